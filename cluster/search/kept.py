"""Failing seeds kept as files: what was played, what was drawn, what failed, at which commit; and the case made small.

One JSON document a seed. It needs no seed to be played again: the acts and the choice tape are in it, so it outlives
changes of how schedules are drawn.
"""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import msgspec

from ucmlab.cluster.bench.measuring import commit
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.search.campaign import Campaign
from ucmlab.cluster.search.case import Case, case_of, play, signature
from ucmlab.cluster.search.invariants import Violation
from ucmlab.cluster.search.run import SeedResult
from ucmlab.cluster.search.shrinking import Shrunk
from ucmlab.cluster.search.tape import Deck


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A failing seed."""

    schema: Literal[1] = 1
    invariant: str
    signature: str
    """What it has in common with others of its kind; see `case.signature`."""
    seed: int
    campaign: Campaign
    version: str
    commit: str | None
    """None: of an installed wheel."""
    violations: tuple[Violation, ...]
    trace: str
    """SHA-256 of the journal, up to the first violation."""
    case: Case
    shrunk: Shrunk | None = None

    @property
    def name(self) -> str:
        """What its files and its story are called."""
        words = (self.invariant, self.campaign.plant or self.campaign.replication, str(self.seed))
        return "_".join(words).lower().replace("-", "_")

    @property
    def smallest(self) -> tuple[Case, str]:
        """The smallest case there is, and the hash of its journal."""
        return (self.case, self.trace) if self.shrunk is None else (self.shrunk.case, self.shrunk.trace)


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How a kept case ended when it was played again."""

    ended: Literal["still", "otherwise", "gone"]
    """It fails as it did; it fails in another way; it does not fail."""
    violation: Violation | None
    trace: str
    same_trace: bool


def keep(campaign: Campaign, result: SeedResult, shrunk: Shrunk | None = None) -> Kept:
    """Play a failing seed once more, and take down what it draws."""
    case, deck = case_of(campaign, result.seed), Deck()
    run = play(case, deck)
    # What shows only when a seed is played twice does not show now.
    violations = run.result.violations or result.violations
    kept = Kept(
        invariant=violations[0].invariant,
        signature=signature(violations[0], case.nodes),
        seed=result.seed,
        campaign=campaign,
        version=version("ucmlab"),
        commit=commit(),
        violations=violations,
        trace=run.trace(),
        case=msgspec.structs.replace(case, tape=deck.drawn()),
        shrunk=shrunk,
    )
    run.world.dismantle()
    return kept


def replay(case: Case, wanted: str, trace: str) -> Replayed:
    """Play a case again, and say whether it still fails with the violation of that signature.

    Raises:
        Unusable: this version cannot play it.
    """
    run = play(case)
    first = next(iter(run.result.violations), None)
    again = run.trace()
    run.world.dismantle()
    same = first is not None and signature(first, case.nodes) == wanted
    ended: Literal["still", "otherwise", "gone"] = "gone" if first is None else "still" if same else "otherwise"
    return Replayed(ended=ended, violation=first, trace=again, same_trace=again == trace)


def write(folder: Path, kept: Kept) -> Path:
    """Write it into a folder, which is made if need be; returns the file.

    Raises:
        Unusable: that cannot be written.
    """
    path = folder / f"{kept.name}.json"
    plain = msgspec.to_builtins(kept)
    _tapes(plain, lambda drawn: " ".join(f"{draw:x}" for draw in drawn))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n")
    except OSError as error:
        raise Unusable(f"cannot write {path}: {error.strerror}; name another folder with --keep") from error
    return path


def read(path: Path) -> Kept:
    """Read such a file.

    Raises:
        Unusable: it cannot be read, or is no such file.
    """
    try:
        plain = msgspec.json.decode(path.read_bytes())
        _tapes(plain, lambda text: [int(draw, 16) for draw in text.split()])
        return msgspec.convert(plain, Kept)
    except OSError as error:
        raise Unusable(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError, TypeError, ValueError) as error:
        raise Unusable(f"{path} is no failing seed that `ucmlab explore` has kept: {error}") from error


def _tapes(plain: dict[str, Any], convert: Callable[[Any], Any]) -> None:
    """Convert each tape in place: in the file it is one line, numbers of base 16 with blanks between."""
    shrunk = plain.get("shrunk") or {}
    for case in (plain.get("case"), shrunk.get("case")):
        if case and case.get("tape"):
            case["tape"] = {stream: convert(drawn) for stream, drawn in case["tape"].items()}
