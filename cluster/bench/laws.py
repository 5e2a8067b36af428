"""Figure `laws`: how what a cluster costs grows with its nodes, against what it must move.

Each law is a power fitted to pairs of (what must be moved, what it cost): 1 is linear, less means that something is
paid once, more that something is done over and over. The verdict is of the largest sizes, where constants are over.

| law | what must be moved |
|---|---|
| start | every row to every node |
| idle | the rows that every node compares with its files, twice an hour |
| fan-out | a file to every node, for each upload |
| join | every row to the node that lost its database and files, and word of it to every node |
| catch-up | the entries that the node missed, and word of it to every node |

Simulated costs are processor time of this process; real ones are of all processes of the lab, while they do it.
"""

import math
from collections.abc import Sequence
from functools import partial

import msgspec

from ucmlab.cluster.bench.measuring import Aim, Figure, Say
from ucmlab.cluster.bench.realcosts import SETTLING_S, real_costs
from ucmlab.cluster.bench.simcosts import simulated_costs

LAWS = ("start", "idle", "fan-out", "join", "catch-up")
AIM = 1.15
"""Linear, with room for caches that grow too small and for a machine that is never quiet."""
REAL = (5, 21, 50, 100, 200)
SIMULATED = (5, 21, 50, 100, 200, 500, 1_000, 2_000)
TAIL = 3
"""Sizes that the verdict is of: the largest."""


class Cost(msgspec.Struct, frozen=True):
    """One measured point of one law."""

    law: str
    nodes: int
    moved: int
    seconds: float


def measure_laws(
    say: Say, *, real: Sequence[int] = REAL, simulated: Sequence[int] = SIMULATED, settling: float = SETTLING_S
) -> Figure:
    """Measure all laws at these sizes.

    Raises:
        Unusable: a lab did not start, or did not do what it was asked.
    """
    measured: dict[str, object] = {}
    aims: list[Aim] = []
    worlds = (("simulated", simulated, simulated_costs), ("real", real, partial(real_costs, settling=settling)))
    for where, sizes, costs_of in worlds:
        points: list[Cost] = []
        for size in sizes:
            say(f"laws: {size} {where} nodes")
            points += [Cost(law, size, moved, seconds) for law, (moved, seconds) in costs_of(size).items()]
        for law in LAWS:
            own = [point for point in points if point.law == law]
            measured[f"{where} {law}"] = _told(own)
            if len(own) >= TAIL:
                power = exponent([(point.moved, point.seconds) for point in own[-TAIL:]])
                aims.append(Aim(f"{where}: {law} grows with the power", power, AIM, "", at_most=True))
    return Figure("laws", measured, tuple(aims))


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The power p of cost = a * moved ** p that fits best (least squares of the logarithms).

    Raises:
        ValueError: fewer than two different amounts were moved.
    """
    xs, ys = ([math.log(value) for value in column] for column in zip(*points, strict=True))
    mean_x, mean_y = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    width = math.fsum((x - mean_x) ** 2 for x in xs)
    if not width:
        raise ValueError("one amount tells nothing of growth")
    return math.fsum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / width


def _told(points: Sequence[Cost]) -> dict[str, object]:
    at = {
        str(point.nodes): {
            "moved": point.moved,
            "seconds": round(point.seconds, 5),
            "us_each": round(point.seconds / point.moved * 1e6, 2),
        }
        for point in points
    }
    fits = {"power": round(exponent([(point.moved, point.seconds) for point in points]), 2)} if len(points) > 1 else {}
    return {**fits, "nodes": at}
