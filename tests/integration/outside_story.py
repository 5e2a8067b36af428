"""A story of mail and syslog, told by a process of its own: `python -m tests.integration.outside_story sim|local`.

Of its own because it wants a cluster in which mail is on from the beginning: defaults of parameters are changed before
nodes are forked from here. Prints what came of it as JSON.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.integration.real_lab import make_home
from tests.unit.scenarios.told import as_story
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.local import LocalLab
from ucmlab.cluster.outside.received import Logged, Mail
from ucmlab.cluster.port import LabPort
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.cluster.sim.loop import VirtualLoop
from ucmlab.cluster.spawning import ForkServerProcess
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.rulebook import RuleBook
from ucmlab.scenarios import Lab
from ucmlab.scenarios.result import Options
from ucmlab.scenarios.runner import tell
from ucmlab.scenarios.telling import Check

NODES = "pub,sub1"
DEFAULTS = {
    "Enable E-mail Notification": "true",
    "E-mail IDs": "a@lab.test;b@lab.test,c@lab.test",
    "Notification Frequency": "1",
    "Notification Frequency Unit": "hours",
    "Remote Syslog Protocol": "tcp",
}


async def story(lab: Lab) -> None:
    """Both servers are well, slow, hang, are stopped, and come back, while a certificate runs out."""
    _, sub1 = lab.nodes
    (await sub1.age("tomcat", "23h")).must_be("done")
    await lab.converged(within="31m")
    await lab.wait("25h")
    for place in ("mail", "syslog"):
        for state in ("slow", "hangs", "stopped"):
            outside, taken = lab.outside(place), len(lab.mail()) + len(lab.syslog())
            await (outside.stop() if state == "stopped" else outside.slow("5s" if state == "slow" else None))
            lab.check(lab.dump()["faults"] != [], f"{place}: the dump tells that something is wrong")
            await lab.wait("70m")
            (await sub1.restart("Cisco Tftp")).must_be("done")
            lab.check(len(lab.mail()) + len(lab.syslog()) > taken, f"{place}, {state}: the rest goes on")
        await lab.outside(place).start()
        await lab.wait("70m")
    (await sub1.regenerate("tomcat")).must_be("done")
    await lab.converged(within="31m")


class Told(msgspec.Struct):
    """What came of it. In stepped and in virtual time it is all the same, to the microsecond."""

    verdict: str
    failed: list[str]
    mail: list[Mail]
    syslog: list[Logged]
    events: list[object]


async def tell_in(port: LabPort) -> Told:
    result = await tell(as_story(story), Options(), port=port, keys=simulation_keys(), listener=lambda *_: None)
    failed = [each.text for each in result.entries if isinstance(each, Check) and not each.held]
    names = ("alarm", "mail", "mail_dropped", "syslog_dropped", "monitor_run")
    events = [
        [event["at"], name, event.get("alarm"), event.get("server"), event.get("recipients"), event.get("count")]
        for name in names
        for event in port.events(name, "sub1")
    ]
    trouble = [] if result.trouble is None else [result.trouble.line]
    return Told(result.verdict, trouble + failed, port.mail(), port.syslog(), [*events])


async def in_sim(lab: SimLab) -> Told:
    await lab.open()
    return await tell_in(lab)


async def in_processes(lab: LocalLab) -> Told:
    try:
        await lab.open()
        return await tell_in(lab)
    finally:
        await lab.close()


def main(mode: str) -> None:
    cluster = topology(Settings(nodes=NODES, replication="faithful"))
    for name, value in DEFAULTS.items():
        row = cluster.rulebook.parameters[name]
        RuleBook.load(cluster.release, cluster.profile).parameters[name] = msgspec.structs.replace(row, default=value)
    if mode == "sim":
        virtual = SimLab(cluster, seed=1)
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(virtual.world)) as runner:
            told = runner.run(in_sim(virtual))
    else:
        fork_server = ForkServerProcess(lab="test", release=cluster.release, profile=cluster.profile, forked=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                told = asyncio.run(in_processes(LocalLab(make_home(Path(folder), NODES), fork_server, stepped=True)))
            finally:
                fork_server.close()
    sys.stdout.write(msgspec.json.encode(told).decode())


if __name__ == "__main__":
    main(sys.argv[1])
