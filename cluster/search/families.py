"""Families of faults: what the search draws from the catalogue, how often, how strong, and for how long.

Swarm style (anchors.md iv): each seed draws which families are on and how many faults of each, so that a rare
combination is not drowned by the common ones. Every family draws from a random stream of its own: to leave one out
changes nothing in the others.

Left out of every family: `clone` and `second-publisher`, because two processes of one name make nonsense of what the
judges keep by name, and the single acts `stop` (a `kill` that says goodbye) and `reset` inside `partition`'s reach.
`renew` comes with the workload, as a restart belongs to it.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Literal, NamedTuple

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.catalogue import catalogue
from ucmlab.node.instant import MILLISECOND, MINUTE, SECOND

Span = tuple[int, int]
BRIEF: Span = (1 * SECOND, 30 * SECOND)
"""Over before anybody gives up what they wait for."""
LONG: Span = (1 * SECOND, 40 * MINUTE)
"""From less than a reconnect to longer than a resync."""
SOON: Span = (1 * SECOND, 5 * MINUTE)
BRIEFLY = 0.3
"""So many of the faults that last are over soon."""
ON, ON_ALONE, STRONGEST = 0.2, 0.7, 3
"""How many of the families are on in a seed, of all or of some that were asked for, and how many faults each then has
at most."""

Whom = Literal["node", "follower", "publisher", "broker", "groups", "some"]
Parameters = Callable[[Random], dict[str, str]]


def _none(_chance: Random) -> dict[str, str]:
    return {}


def _words(name: str, parameter: str) -> Parameters:
    """One of the words that a row's parameter has."""
    return lambda chance: {parameter: chance.choice(catalogue()[name].parameters[parameter].words)}


def _one_of(parameter: str, *texts: str) -> Parameters:
    return lambda chance: {parameter: chance.choice(texts)}


def _both(*drawn: Parameters) -> Parameters:
    return lambda chance: {name: text for draw in drawn for name, text in draw(chance).items()}


def _milliseconds(parameter: str, low: int, high: int) -> Parameters:
    return lambda chance: {parameter: f"{chance.randint(low // MILLISECOND, high // MILLISECOND)}ms"}


def _count(parameter: str, low: int, high: int) -> Parameters:
    return lambda chance: {parameter: str(chance.randint(low, high))}


def _offset(chance: Random) -> dict[str, str]:
    return {"offset": chance.choice("+-") + chance.choice(("1s", "90s", "1h", "2d"))}


class Drawn(NamedTuple):
    """One kind of fault as a family draws it. Without `lasts` it happens once."""

    fault: str
    whom: Whom = "node"
    lasts: Span | None = LONG
    parameters: Parameters = _none


_SHARE = _one_of("share", "0.05", "0.3", "1")
_WAY = _one_of("way", "both", "up", "down")
_UNIT = _one_of("unit", "tomcat-trust", "CallManager-trust", "Phone-SAST-trust")
_SERVICE = _one_of("service", "Cisco Tomcat", "Cisco Certificate Change Notification")

FAMILIES: dict[str, tuple[Drawn, ...]] = {
    "kill": (Drawn("kill"), Drawn("failpoint", parameters=_words("failpoint", "at"))),
    "power": (Drawn("power-cut"),),
    "torn": (Drawn("torn", parameters=_count("after", 0, 12)),),
    "partition": (Drawn("isolate"), Drawn("partition", "groups")),
    "pause": (Drawn("pause"), Drawn("slow", lasts=SOON)),
    "broker": (
        Drawn("broker-kill", "broker", (0, MINUTE), _words("broker-kill", "keeps")),
        Drawn("broker-slow", "broker", SOON, _milliseconds("each", MILLISECOND, 50 * MILLISECOND)),
        Drawn("late-will", parameters=_milliseconds("late", SECOND, MINUTE)),
    ),
    "personality": (Drawn("personality", "broker", parameters=_words("personality", "kind")),),
    "replication": (Drawn("replication", "follower"),),
    "latency": (
        Drawn("latency", lasts=SOON, parameters=_both(_WAY, _words("latency", "spread"))),
        Drawn("drip", lasts=SOON, parameters=_milliseconds("every", 10 * MILLISECOND, SECOND)),
    ),
    "stall": (
        Drawn("stall", parameters=_WAY),
        Drawn("half-open", lasts=SOON),
        Drawn("reset", lasts=None),
        Drawn("swizzle", "some", LONG, _milliseconds("every", 100 * MILLISECOND, MINUTE)),
    ),
    "loss": (
        Drawn("lose", lasts=SOON, parameters=_both(_SHARE, _WAY)),
        Drawn("queue-overflow", lasts=SOON, parameters=_count("room", 0, 5)),
        Drawn("broker-refuses", lasts=SOON),
    ),
    "copies": (
        Drawn("duplicate", lasts=SOON, parameters=_SHARE),
        Drawn("reorder", lasts=SOON, parameters=_SHARE),
    ),
    "disk": (Drawn("disk-full", lasts=SOON), Drawn("permission-denied", lasts=SOON, parameters=_UNIT)),
    "decay": (Drawn("bit-flip", lasts=None, parameters=_UNIT), Drawn("file-gone", lasts=None, parameters=_UNIT)),
    "restore": (
        Drawn("restore-backup", "follower", None, _words("restore-backup", "of")),
        Drawn("empty-disk", "follower", None),
    ),
    "clock": (
        Drawn("clock", parameters=_offset),
        Drawn("drift", parameters=_one_of("rate", "0.9", "1.001", "1.5")),
        Drawn("wander", parameters=_one_of("reach", "1m", "1h")),
    ),
    "certificate": (Drawn("bad-upload", lasts=None, parameters=_words("bad-upload", "kind")),),
    "service": (
        Drawn("service-start-fails", parameters=_SERVICE),
        Drawn("service-hangs", parameters=_SERVICE),
        Drawn("service-slow", parameters=_SERVICE),
        Drawn("service-crashes", parameters=_SERVICE),
    ),
    "operator": (
        Drawn("delete-while-down", "follower", parameters=_UNIT),
        Drawn("delete-and-reupload", lasts=None, parameters=_UNIT),
        Drawn("two-operators", lasts=None, parameters=_UNIT),
        Drawn("delete-in-use", lasts=None),
    ),
    "publisher": (Drawn("restore-publisher", "publisher", None, _words("restore-publisher", "of")),),
    "rogue": (
        Drawn("forge", lasts=None),
        Drawn("usurp", "follower", None),
        Drawn("replay", "follower", None, _words("replay", "what")),
        Drawn("lower-epoch", lasts=None),
        Drawn("fork", lasts=None),
        Drawn("revoked", lasts=None),
    ),
    "wills": (
        Drawn("late-will", "publisher", parameters=_milliseconds("late", SECOND, MINUTE)),
        Drawn("reset", "publisher", None),
        Drawn("kill", "publisher", BRIEF),
    ),
}


class Planned(NamedTuple):
    """One fault of a schedule, from `at` on for `lasts` microseconds (0: it happens once)."""

    at: int
    family: str
    fault: str
    target: str
    lasts: int
    parameters: tuple[str, ...]


def draw_faults(names: Sequence[str], seed: int, *, span: int, families: Sequence[str] = ()) -> list[Planned]:
    """The faults of a seed, in no order; of some families only, if any are named."""
    planned: list[Planned] = []
    share, swarm = (ON_ALONE if families else ON), Random(f"swarm {seed}")  # noqa: S311  # a simulation's
    for family, kinds in FAMILIES.items():
        on = swarm.random() < share
        if on and (not families or family in families):
            chance = Random(f"{family} {seed}")  # noqa: S311  # a simulation's, not a secret's
            strength = chance.randint(1, STRONGEST)
            planned += [_plan(chance, family, chance.choice(kinds), names, span) for _ in range(strength)]
    return planned


def check_families(families: Sequence[str]) -> None:
    """See that they exist.

    Raises:
        Unusable: one does not.
    """
    for family in families:
        if family not in FAMILIES:
            raise Unusable(f"there is no family {family!r} of faults; there are {', '.join(FAMILIES)}")


def _plan(chance: Random, family: str, drawn: Drawn, names: Sequence[str], span: int) -> Planned:
    at = chance.randrange(span)
    lasts = 0 if drawn.lasts is None else chance.randint(*(BRIEF if chance.random() < BRIEFLY else drawn.lasts))
    given = tuple(f"{name}={text}" for name, text in drawn.parameters(chance).items())
    return Planned(at, family, drawn.fault, _target(chance, drawn.whom, names), lasts, given)


def _target(chance: Random, whom: Whom, names: Sequence[str]) -> str:
    match whom:
        case "node":
            return chance.choice(names)
        case "follower":
            return chance.choice(names[1:])
        case "publisher":
            return names[0]
        case "broker":
            return "broker"
        case "groups" | "some":
            return ",".join(sorted(chance.sample(names, chance.randint(1, len(names) - 1))))
