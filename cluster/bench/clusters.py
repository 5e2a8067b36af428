"""The clusters that are measured, and keys for them."""

import shutil
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ucmlab.cluster.ca.keys import RSA
from ucmlab.cluster.keycache import KeyCache
from ucmlab.cluster.stocking import keys_for
from ucmlab.cluster.topology import Settings, Topology, topology

SIZES: Mapping[int, str] = {
    3: "pub,sub1,sub2",
    21: ",".join(
        [
            "pub",
            *(
                f"{kind}{number}"
                for kind, count in (("sub", 8), ("tftp", 6), ("imp", 6))
                for number in range(1, count + 1)
            ),
        ]
    ),
}
"""Node lists by size: the default lab; a publisher with twenty others of every role, within the product's limits."""


def names_of(size: int) -> tuple[str, ...]:
    """Its nodes: of 3 and 21 the lists above, else a publisher with others of every role in about the same parts."""
    if size in SIZES:
        return tuple(SIZES[size].split(","))
    roles = ("sub", "tftp", "imp")
    return ("pub", *(f"{roles[number % 3]}{number // 3 + 1}" for number in range(size - 1)))


def cluster_of(size: int) -> Topology:
    """The cluster of that size, larger than the product's limits too."""
    return topology(Settings(nodes=names_of(size), beyond_product=True))


def keys_of(cluster: Topology) -> Counter[int]:
    """How many RSA keys of which length its home and its installation make."""
    wanted = Counter(RSA[each.key] for each in cluster.rulebook.default_cas.values())
    for node in cluster.nodes:
        wanted += keys_for(cluster.rulebook, node.role)
    return wanted


class KeyStore:
    """Keys made once for all measured starts. Each gets a copy: these labs are gone before a key could be looked at."""

    def __init__(self, folder: Path, cluster: Topology, jobs: int) -> None:
        """Make the keys that the largest cluster wants; takes seconds."""
        self._folder = folder
        cache = KeyCache(folder)
        began, made = time.process_time(), 0
        for bits, number in keys_of(cluster).items():
            made += cache.refill(number, bits, jobs=jobs)
        self.seconds_a_key = (time.process_time() - began) / max(1, made)
        """Processor time to make one RSA key, the mean over all that were made."""

    def copy_to(self, folder: Path, *, at_least: int = 0) -> None:
        """Fill a cache; several times with the same keys, if there are fewer than wanted."""
        shutil.copytree(self._folder, folder)
        keys = tuple(folder.rglob("*.der"))
        for number in range(1, -(-at_least // len(keys))):
            for key in keys:
                shutil.copy2(key, key.with_name(f"{number}-{key.name}"))
