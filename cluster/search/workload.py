"""What happens in a seed: operators at work, and what breaks meanwhile; drawn before the run, as plain data.

A schedule is data, so it can be printed, kept and shrunk: each fault is one act, its end included. What can break and
how it is drawn stands in `families.py`.
"""

import random
from collections.abc import Sequence
from typing import Literal

import msgspec

from ucmlab.cluster.search.families import draw_faults
from ucmlab.cluster.search.material import material
from ucmlab.node.config import NodeConfig
from ucmlab.node.instant import MINUTE

OPERATIONS = 40
SPAN = 50 * MINUTE
UNITS = ("tomcat-trust", "tomcat-trust", "CallManager-trust", "Phone-SAST-trust", "CAPF-trust", "ipsec-trust")
"""Replicated units more often than the others."""
Kind = Literal["upload", "delete", "service", "regenerate", "parameter", "inject"]
RENEWALS = 0.15
"""How many seeds have one."""
RESTARTED_WITHIN = 10 * MINUTE
REGENERATED = ("tomcat", "tomcat-ECDSA", "ipsec")
"""Identities of every role: with copies that everybody has, and with one that stays."""
REGENERATIONS = 0.3
"""How many seeds have some."""
SETTINGS = (("Use TLS", ("true", "false")), ("Check Every", ("6", "12", "24")), ("Enable OCSP", ("true", "false")))
"""Parameters of the whole cluster and of each of its sides, and values, the defaults among them."""
SET = 0.25
"""How many seeds have some."""


class Act(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that somebody or something does. `number` picks among what is there when its time comes.

    A delete may say which certificate it is of: then `text` is its fingerprint, and nothing is picked.
    Of a parameter, `unit` is its name and `text` the value.
    Of a fault (`inject`), `text` is its name, `node` its target, `nodes` its parameters, `unit` the family that it was
    drawn from (none: it is an operator's), and `number` how long it lasts in microseconds.
    """

    at: int
    kind: Kind
    node: str = ""
    unit: str = ""
    number: int = 0
    nodes: tuple[str, ...] = ()
    text: str = ""


def draw_schedule(
    configs: tuple[NodeConfig, ...], seed: int, *, operations: int = OPERATIONS, families: Sequence[str] = ()
) -> list[Act]:
    """The schedule of a seed, in order of time; with faults of some families only, if any are named."""
    chance = random.Random(f"workload {seed}")  # noqa: S311  # a simulation's, not a secret's
    names = [config.name for config in configs]
    acts = [_operation(chance, names) for _ in range(operations)]
    acts += _renewal(seed, names) + _regenerations(seed, names) + _settings(seed, names)
    for fault in draw_faults(names, seed, span=SPAN, families=families):
        parameters = fault.parameters
        acts.append(Act(fault.at, "inject", fault.target, fault.family, fault.lasts, parameters, fault.fault))
    return sorted(acts, key=lambda act: act.at)


def _renewal(seed: int, names: list[str]) -> list[Act]:
    """An identity is made again on one node, and what loads it is restarted a while later."""
    chance = random.Random(f"renewal {seed}")  # noqa: S311  # a simulation's, not a secret's
    if chance.random() >= RENEWALS:
        return []
    at, node = chance.randrange(SPAN), chance.choice(names)
    restart = Act(at + chance.randrange(RESTARTED_WITHIN), "service", node, "Cisco Tomcat", text="restart")
    return [Act(at, "inject", node, text="renew"), restart]


def _regenerations(seed: int, names: list[str]) -> list[Act]:
    """Operators regenerate an identity on up to three nodes."""
    chance = random.Random(f"regenerations {seed}")  # noqa: S311  # a simulation's, not a secret's
    if chance.random() >= REGENERATIONS:
        return []
    draws = range(chance.randint(1, 3))
    return [Act(chance.randrange(SPAN), "regenerate", chance.choice(names), chance.choice(REGENERATED)) for _ in draws]


def _settings(seed: int, names: list[str]) -> list[Act]:
    """Administrators set parameters, on whatever nodes."""
    chance = random.Random(f"parameters {seed}")  # noqa: S311  # a simulation's, not a secret's
    if chance.random() >= SET:
        return []
    acts = []
    for _ in range(chance.randint(1, 4)):
        name, values = chance.choice(SETTINGS)
        acts.append(Act(chance.randrange(SPAN), "parameter", chance.choice(names), name, text=chance.choice(values)))
    return acts


def _operation(chance: random.Random, names: list[str]) -> Act:
    at, node = chance.randrange(SPAN), chance.choice(names)
    kind = chance.random()
    if kind < 0.55:
        return Act(at, "upload", node, chance.choice(UNITS), chance.randrange(len(material())))
    if kind < 0.92:
        return Act(at, "delete", node, chance.choice(UNITS), chance.randrange(1 << 30))
    service = "Cisco Certificate Change Notification" if chance.random() < 0.7 else "Cisco Tomcat"
    return Act(at, "service", node, service, text=chance.choice(("stop", "start", "restart", "start")))
