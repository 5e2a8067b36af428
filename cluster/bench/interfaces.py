"""Figure `interfaces`: what a node's listeners cost when nobody comes, and what the first client of each kind leaves.

Five nodes of one role: at two, every service that listens is disabled but System SSH, which nobody can stop on the
product; at three none is. All five were started anew, so that their histories are the same. Then a client of the
certificate API comes to one of the three, one of the command line to another, and nobody to the third. The floor of a
first client is the import of the library that serves him, in a process that has a node's code and nothing else.
"""

import asyncio
import json
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping
from http.client import HTTPSConnection

import msgspec

from ucmlab.cluster.admin.rest import BASE
from ucmlab.cluster.bench.clusters import KeyStore, cluster_of
from ucmlab.cluster.bench.labs import UCMLAB, RunningLab, processor_seconds, running_lab
from ucmlab.cluster.bench.logins import Place
from ucmlab.cluster.bench.measuring import Aim, Figure, Say, bench_folder, cores, said
from ucmlab.cluster.errors import Unusable

MIB = 1 << 20
QUIET = ("sub1", "sub2")
LISTENING = ("sub3", "sub4", "sub5")
NODES = ("pub", *QUIET, *LISTENING)
VISITED = {"rest": "sub3", "ssh": "sub4"}
LIBRARIES = {"rest": "aiohttp.web", "ssh": "asyncssh"}
IMPORT = """
import time, ucmlab.cluster.nodeprocess
def pss():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
held, began = pss(), time.process_time()
import {library}
print((time.process_time() - began) * 1e3, (pss() - held) / 1024)
"""
SIZE = 21
"""Whose keys are made: enough for all of these."""
OK = 200
AIM_IDLE_MIB = 1.0
"""A dozen sockets, and what their services have loaded."""
AIM_CLIENT = 2.0
"""Times the import of the library, in memory and in processor time: as much again for the interface itself, the host
key or TLS, a log-in and an answer."""
AIM_IDLE_RATIO = 1.5
"""While nobody comes a listener does nothing; what two idle nodes differ in for other reasons stays below that."""


class Held(msgspec.Struct, frozen=True):
    """What a node held, and what it did per second meanwhile."""

    mib: float
    """PSS."""
    idle_ms: float
    """Processor time a second."""


def measure_interfaces(say: Say, *, seconds: float = 20.0, settling: float = 5.0) -> Figure:
    """Watch these nodes for some seconds before anybody came, and after.

    Raises:
        Unusable: the lab did not start, or did not do what it was asked for.
    """
    with bench_folder() as folder:
        keys = KeyStore(folder / "keys", cluster_of(SIZE), cores())
        with running_lab(folder, NODES, keys) as lab:
            say("interfaces: two nodes lose theirs")
            _silence(lab)
            nodes = json.loads(_said(lab, "dump"))["nodes"]
            pids = {name: int(nodes[name]["pid"]) for name in NODES}
            say(f"interfaces: {seconds:g} s of nobody")
            before = _watched(lab, pids, seconds=seconds, settling=settling)
            say(f"interfaces: two clients, and {seconds:g} s of nobody")
            took = _come(lab, {name: nodes[name]["addresses"] for name in NODES}, pids)
            after = _watched(lab, pids, seconds=seconds, settling=settling)
            say("interfaces: bare imports")
            floors = {interface: _imported(lab, library) for interface, library in LIBRARIES.items()}
    return _figure(before, after, took, floors)


def _silence(lab: RunningLab) -> None:
    rulebook = cluster_of(SIZE).rulebook
    services = {row.service for row in rulebook.listeners.values()}
    for node in QUIET:
        for service in services:
            if rulebook.services[service].can_stop and "sub" in rulebook.services[service].roles:
                lab.ucmlab("service", "disable", node, service)
    for node in (*QUIET, *LISTENING):
        lab.ucmlab("fault", "stop", node)
        lab.ucmlab("fault", "start", node)
    lab.ucmlab("wait", "--converged")


def _watched(lab: RunningLab, pids: Mapping[str, int], *, seconds: float, settling: float) -> dict[str, Held]:
    time.sleep(settling)
    began = {name: processor_seconds(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    used = {name: processor_seconds(pid) - began[name] for name, pid in pids.items()}
    return {name: Held(lab.pss_of(pid) / MIB, used[name] * 1e3 / seconds) for name, pid in pids.items()}


def _come(lab: RunningLab, addresses: Mapping[str, Mapping[str, str]], pids: Mapping[str, int]) -> dict[str, float]:
    """One client to each of `VISITED`; milliseconds of processor time that it cost the node, by interface."""
    told = json.loads(_said(lab, "env"))
    account = told["UCMLAB_OS_USER"], told["UCMLAB_OS_PASSWORD"]
    took: dict[str, float] = {}
    for interface, node in VISITED.items():
        began = processor_seconds(pids[node])
        if interface == "rest":
            _ask(addresses[node]["https"], *account)
        else:
            host, _, port = addresses[node]["ssh"].rpartition(":")
            asyncio.run(Place(host, int(port), *account).log_in())
        took[interface] = (processor_seconds(pids[node]) - began) * 1e3
    return took


def _ask(address: str, user: str, password: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = HTTPSConnection(address, context=context)
    basic = b64encode(f"{user}:{password}".encode()).decode()
    connection.request("GET", f"{BASE}/snapshot/server", headers={"Authorization": f"Basic {basic}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != OK:
        raise Unusable(f"a request was answered with status {answer.status}")


def _imported(lab: RunningLab, library: str) -> tuple[float, float]:
    """Milliseconds of processor time and MiB of one import."""
    told = said((sys.executable, "-c", IMPORT.format(library=library)), lab.environment).split()
    return float(told[0]), float(told[1])


def _said(lab: RunningLab, command: str) -> str:
    return said((*UCMLAB, command, "--json", "--dir", str(lab.home)), lab.environment)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _figure(
    before: Mapping[str, Held],
    after: Mapping[str, Held],
    took: Mapping[str, float],
    floors: Mapping[str, tuple[float, float]],
) -> Figure:
    mib = {name: _mean(before[node].mib for node in nodes) for name, nodes in (("quiet", QUIET), ("nobody", LISTENING))}
    grown = {interface: after[node].mib - before[node].mib for interface, node in VISITED.items()}
    idle = {"nobody": _mean(before[node].idle_ms for node in LISTENING)}
    idle |= {interface: after[node].idle_ms for interface, node in VISITED.items()}
    quiet = _mean(held[node].idle_ms for held in (before, after) for node in QUIET)
    measured: dict[str, object] = {
        "mib": _rounded(mib),
        "first_client_mib": _rounded(grown),
        "first_client_ms": _rounded(took),
        "import_mib": _rounded({name: floor[1] for name, floor in floors.items()}),
        "import_ms": _rounded({name: floor[0] for name, floor in floors.items()}),
        "idle_ms_a_second": _rounded({"quiet": quiet} | idle),
    }
    aims = [Aim("memory, nobody came", mib["nobody"] - mib["quiet"], AIM_IDLE_MIB, "MiB", at_most=True)]
    for name, (ms, floor) in floors.items():
        aims.append(Aim(f"memory, first {name} client", grown[name] / floor, AIM_CLIENT, "imports", at_most=True))
        aims.append(Aim(f"time, first {name} client", took[name] / ms, AIM_CLIENT, "imports", at_most=True))
    for name, ms in idle.items():
        what = "idle, nobody came" if name == "nobody" else f"idle, after a {name} client"
        aims.append(Aim(what, ms / quiet, AIM_IDLE_RATIO, "times quiet", at_most=True))
    return Figure("interfaces", measured, tuple(aims))


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}
