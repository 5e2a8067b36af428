"""What happens in a seed: operators at work, and what breaks meanwhile; drawn before the run, as plain data.

Swarm style (anchors.md iv): each seed draws which families of faults are on and how many of each, so that a rare
combination is not drowned by the common ones. A schedule is data, so it can be printed, kept and shrunk.
"""

import random
from typing import Literal

import msgspec

from ucmlab.cluster.search.material import material
from ucmlab.node.config import NodeConfig
from ucmlab.node.instant import MINUTE, SECOND

OPERATIONS = 40
SPAN = 50 * MINUTE
UNITS = ("tomcat-trust", "tomcat-trust", "CallManager-trust", "Phone-SAST-trust", "CAPF-trust", "ipsec-trust")
"""Replicated units more often than the others."""
ABSENCE = (1 * SECOND, 40 * MINUTE)
"""How long a fault lasts: from less than a reconnect to longer than a resync."""
FAMILIES = ("kill", "power", "torn", "partition", "pause", "broker", "replication")

Kind = Literal[
    "upload", "delete", "service",
    "kill", "power", "torn", "start", "partition", "isolate", "heal", "pause", "resume",
    "broker_kill", "broker_start", "replication_break", "replication_repair",
]  # fmt: skip


class Act(msgspec.Struct, frozen=True, array_like=True):
    """One thing that somebody or something does. `number` picks among what is there when its time comes."""

    at: int
    kind: Kind
    node: str = ""
    unit: str = ""
    number: int = 0
    nodes: tuple[str, ...] = ()
    text: str = ""


def draw_schedule(configs: tuple[NodeConfig, ...], seed: int, *, operations: int = OPERATIONS) -> list[Act]:
    """The schedule of a seed, in order of time."""
    chance = random.Random(f"workload {seed}")  # noqa: S311  # a simulation's, not a secret's
    names = [config.name for config in configs]
    acts = [_operation(chance, names) for _ in range(operations)]
    for family in FAMILIES:
        if chance.random() < 0.5:
            for _ in range(chance.randint(1, 3)):
                acts += _fault(chance, family, names)
    return sorted(acts, key=lambda act: act.at)


def _operation(chance: random.Random, names: list[str]) -> Act:
    at, node = chance.randrange(SPAN), chance.choice(names)
    kind = chance.random()
    if kind < 0.55:
        return Act(at, "upload", node, chance.choice(UNITS), chance.randrange(len(material())))
    if kind < 0.92:
        return Act(at, "delete", node, chance.choice(UNITS), chance.randrange(1 << 30))
    service = "Cisco Certificate Change Notification" if chance.random() < 0.7 else "Cisco Tomcat"
    return Act(at, "service", node, service, text=chance.choice(("stop", "start", "restart", "start")))


def _fault(chance: random.Random, family: str, names: list[str]) -> list[Act]:  # noqa: PLR0911  one return for each family
    at, node = chance.randrange(SPAN), chance.choice(names)
    end = at + chance.randint(*ABSENCE)
    match family:
        case "kill" | "power":
            return [Act(at, family, node), Act(end, "start", node)]
        case "torn":
            return [Act(at, "torn", node, number=chance.randrange(12)), Act(end, "start", node)]
        case "pause":
            return [Act(at, "pause", node), Act(end, "resume", node)]
        case "broker":
            return [Act(at, "broker_kill"), Act(at + chance.randint(0, MINUTE), "broker_start")]
        case "replication":
            node = chance.choice(names[1:])
            return [Act(at, "replication_break", node), Act(end, "replication_repair", node)]
        case _:
            if chance.random() < 0.5:
                return [Act(at, "isolate", node), Act(end, "heal")]
            group = tuple(sorted(chance.sample(names, chance.randint(1, len(names) - 1))))
            return [Act(at, "partition", nodes=group), Act(end, "heal")]
