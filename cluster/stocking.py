"""Puts RSA keys from the user's cache into the nodes' homes before their first start: 50 to 67 ms saved for each."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from ucmlab.cluster.keycache import LARGEST_TARGET, KeyCache, cache_folder
from ucmlab.cluster.provision import LabHome
from ucmlab.node.config import Role
from ucmlab.node.disk import read_state
from ucmlab.node.keyring import AUTHZ_BITS, KeyRing
from ucmlab.node.layout import HomeLayout
from ucmlab.node.rulebook import RuleBook

LOWEST_PRIORITY = 19


def stock_keys(home: LabHome, environment: Mapping[str, str]) -> int:
    """Give each node as many keys as its installation makes, as far as the cache has them; returns how many.

    Nodes that lack some make them themselves: a cache is no promise.
    """
    cache = KeyCache(cache_folder(environment))
    rulebook = home.topology.rulebook
    places: dict[int, list[Path]] = {}
    for node in home.topology.nodes:
        folder = home.node_home(node.name)
        if read_state(HomeLayout(folder, rulebook).state).boot:
            continue  # it was started before, and makes few keys from now on
        for bits, number in keys_for(rulebook, node.role).items():
            places.setdefault(bits, []).extend(KeyRing(folder).spare_places(bits, number))
    return sum(cache.move(bits, wanted) for bits, wanted in places.items())


def refill(environment: Mapping[str, str], stop: Callable[[], bool], *, target: int = LARGEST_TARGET) -> None:
    """Make keys, one after the other, until the cache is full or `stop` says so. For a thread in the background."""
    cache = KeyCache(cache_folder(environment))
    if hasattr(os, "setpriority"):
        # Of this thread alone on Linux; nobody waits for these keys, and the lab is using the processors.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
    while not stop() and cache.count(AUTHZ_BITS) < target:
        cache.refill(cache.count(AUTHZ_BITS) + 1, AUTHZ_BITS)


def keys_for(rulebook: RuleBook, role: Role) -> Counter[int]:
    """How many RSA keys of which length the installation of a node of `role` makes."""
    wanted: Counter[int] = Counter()
    for profile in rulebook.identity_profiles(role):
        family, _, bits = profile.key.partition("-")
        if family == "rsa":
            wanted[int(bits)] += 1
    if role == "pub":
        wanted[AUTHZ_BITS] += 1
    return wanted
