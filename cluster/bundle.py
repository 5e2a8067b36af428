"""The lab's CA bundle: what clients verify the nodes' HTTPS interfaces with. It follows what is presented.

A certificate that was uploaded is not in it before a service presents it, and then it is (R-155): clients that read the
file for each connection, as `requests` and `curl` do, need not be told.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ucmlab.cluster.provision import LabHome
from ucmlab.node.certificates import pem
from ucmlab.node.layout import HomeLayout, read_identities
from ucmlab.node.privatefile import write_private

BUNDLE = "ca-bundle.pem"
HTTPS_UNITS = ("tomcat", "tomcat-ECDSA")
Anchors = Mapping[str, tuple[bytes, ...]]
"""Listener to where each chain that it presents ends: a root, or the self-signed identity itself; DER."""


class Bundle:
    """Keeps the bundle of a lab whose nodes tell what they present."""

    def __init__(self, home: LabHome) -> None:
        """Nothing is written before a node has told."""
        self._home = home
        self._anchors: dict[str, dict[str, tuple[bytes, ...]]] = {name: {} for name in home.topology.names}
        self._written: tuple[bytes, ...] = ()

    def take(self, node: str, anchors: Anchors) -> None:
        """A node told what its HTTPS listeners present. What one that is closed presented last is kept.

        Raises:
            OSError: the bundle cannot be written; the old one is there.
        """
        self._anchors[node] |= anchors
        told = (each for listeners in self._anchors.values() for ders in listeners.values() for each in ders)
        wanted = tuple(dict.fromkeys(told))
        if wanted != self._written:
            _write(self._home, wanted)
            self._written = wanted


def bundle_path(home: LabHome) -> Path:
    """Where the bundle is."""
    return home.path / BUNDLE


def write_from_disk(home: LabHome) -> None:
    """Write the bundle of a lab without a supervisor, whose nodes tell nobody: by what lies on their disks now."""
    found: list[bytes] = []
    for node in home.topology.names:
        identities = read_identities(HomeLayout(home.node_home(node), home.topology.rulebook))
        found += [identities[unit] for unit in HTTPS_UNITS if unit in identities]
    _write(home, found)


def _write(home: LabHome, anchors: Iterable[bytes]) -> None:
    # The CA of the bus first: the same file does for a client of a broker that speaks TLS.
    write_private(bundle_path(home), "".join((home.bus_ca.read_text(), *map(pem, anchors))).encode())
