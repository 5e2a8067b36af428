"""`ucmlab replay`: plays a failing seed again that `ucmlab explore` kept, or the story that it was shrunk to.

The search's own judges look into a simulated cluster; a story sees what shows from outside. A script is therefore
played twice in the simulation: as data before the judges, from the kept seed beside it, and as the story that it is, if
that can show anything.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import msgspec

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.search import kept as keeping
from ucmlab.cluster.search.case import Case
from ucmlab.cluster.search.invariants import INVARIANTS
from ucmlab.cluster.search.kept import Kept, Replayed
from ucmlab.cluster.search.shrinking import Shrunk
from ucmlab.cluster.search.telling.checks import seen_from_outside
from ucmlab.node.instant import SECOND
from ucmlab.scenarios.commands import EXIT_STATUS, Ended, live, overall
from ucmlab.scenarios.loading import load
from ucmlab.scenarios.result import SCHEMA, Mode, Options

MILDEST_FIRST = (0, 3, 1, 2)
"""Exit statuses: the worst of several counts."""


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--mode",
    type=click.Choice(get_args(Mode)),
    default="sim",
    show_default=True,
    help="Virtual time, or real processes: those need the story.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay(file: Path, mode: str, *, as_json: bool) -> None:
    """Play a failing seed again (NAME.json), or the story that it was shrunk to (NAME.py).

    Exit status: 0 it does not fail any more, 1 it still fails, 3 it could not be judged, 2 could not be carried out as
    asked.
    """
    if mode == "local" and file.suffix != ".py":
        file = _story_beside(file)
    script, data = file.suffix == ".py", file.with_suffix(".json")
    kept = keeping.read(data) if not script or data.is_file() else None
    replayed: dict[str, Replayed] = {}
    if kept is not None and mode == "sim":
        replayed = {name: keeping.replay(case, kept.signature, trace) for name, case, trace in _cases(kept, script)}
    hidden = kept is not None and kept.shrunk is not None and not _shows(kept.shrunk)
    if kept is not None and not as_json:
        _say(kept, replayed, file if script and hidden else None)
    told: list[Ended] = []
    if script and not (hidden and mode == "sim"):
        told = [live(story, Options(mode=msgspec.convert(mode, Mode)), quiet=as_json) for story in load(str(file))]
    if as_json:
        results = [ended if isinstance(ended, str) else ended.json() for _, ended in told]
        document = {"schema": SCHEMA, "invariant": kept and kept.invariant, "replayed": replayed, "told": results}
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
    verdicts = [1 if any(each.ended != "gone" for each in replayed.values()) else 0]
    verdicts += [EXIT_STATUS[overall(told)]] if told else []
    sys.exit(max(verdicts, key=MILDEST_FIRST.index))


def _shows(shrunk: Shrunk) -> bool:
    return seen_from_outside(shrunk.case, shrunk.violation)


def _story_beside(file: Path) -> Path:
    story = file.with_suffix(".py")
    if not story.is_file():
        raise Unusable(f"{file} is a seed of the simulation, and no story is beside it; leave out --mode local")
    return story


def _cases(kept: Kept, script: bool) -> Iterator[tuple[str, Case, str]]:  # noqa: FBT001  # which of two files was named
    """What is played before the judges: of a seed's file what was found and what became of it, of a script the latter.

    Each with its name and the hash of its journal.
    """
    if not script or kept.shrunk is None:
        yield f"seed {kept.seed}", kept.case, kept.trace
    if kept.shrunk is not None:
        yield f"shrunk to {len(kept.shrunk.case.acts)} steps", kept.shrunk.case, kept.shrunk.trace


def _say(kept: Kept, replayed: dict[str, Replayed], hidden: Path | None) -> None:
    for name, each in replayed.items():
        click.echo(f"{name}: {_line(kept, each)}")
    if hidden is not None:
        text = INVARIANTS[kept.invariant].text
        click.echo(
            f"{kept.invariant} ({text}) is judged inside the simulation; as a story, by `ucmlab run {hidden}`, "
            "it shows only whether the cluster converges"
        )


def _line(kept: Kept, played: Replayed) -> str:
    trace = f"trace {played.trace[:16]}, {'the same as' if played.same_trace else 'another than'} when it was kept"
    if played.violation is None:
        return f"gone, {kept.invariant} holds; {trace}"
    seen = played.violation
    what = f"{seen.invariant} at {seen.at / SECOND:.1f} s on {seen.node}: {seen.text}"
    return f"{'still' if played.ended == 'still' else 'fails otherwise'}, {what}; {trace}"
