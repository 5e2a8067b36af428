"""Tells one story in one lab and judges it. Which lab, is `labs.py`'s business.

The only catch-all of `scenarios/` is here: whatever a story's own code raises is a failed verdict of one line, and
the whole trace goes to the report folder.
"""

import asyncio
import re
import time
import traceback
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO, cast

import msgspec

from ucmlab.cluster.ca.keys import KeySource
from ucmlab.cluster.carriers.choice import read_carrier
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.local import LabLost, ProcessCrashed
from ucmlab.cluster.port import LabPort
from ucmlab.node.instant import HOUR
from ucmlab.scenarios import names
from ucmlab.scenarios.budget import Overrun
from ucmlab.scenarios.ca import CA, Leaf
from ucmlab.scenarios.lab import Broker, Lab
from ucmlab.scenarios.node import Node
from ucmlab.scenarios.processes import processes
from ucmlab.scenarios.reply import Reply
from ucmlab.scenarios.result import Options, Result, Trouble, again, verdict
from ucmlab.scenarios.story import Story
from ucmlab.scenarios.telling import Ended, Listener, Stage, StoryOver, Telling

HEALTHY_WITHIN = HOUR
"""More than the slowest start of a service takes."""
NEVER_AWAITED = r"coroutine '.*' was never awaited"
"""How Python begins its warning."""
BUILT = (Lab, Node, CA, Leaf, Broker, Reply)
"""What a story holds; a name that one of these lacks is not built."""


async def tell(
    story: Story,
    options: Options,
    *,
    port: LabPort,
    keys: KeySource,
    listener: Listener,
    kept: str = "",
    opened_in: float = 0.0,
    stage: Stage | None = None,
) -> Result:
    """Tell a story in a lab that is ready, and judge it.

    Args:
        story: what to tell.
        options: how.
        port: the lab.
        keys: where its third-party CAs get their keys.
        listener: hears of everything as it happens.
        kept: where the homes of the nodes stay; empty when they go.
        opened_in: machine seconds from the first process of the lab to its being ready.
        stage: who waits before each step, and is shown what it did.

    Raises:
        Unusable: the story asks for something that is not built, or the cluster never became healthy.
    """
    started = time.perf_counter()
    if not await port.wait_until(lambda: _healthy(port), HEALTHY_WITHIN):
        raise Unusable("the services of the lab did not all come up, so no story can begin")
    telling = Telling(port, options.seed, listener, stage)
    telling.introduce(processes(port), machine_seconds=opened_in)
    if stage is not None:
        stage.begin(port)
    trouble = await _script(story, Lab(telling, keys))
    telling.observe()
    if options.report is not None:
        write_journal(Path(options.report) / story.name, port)
    result = _result(story, options, telling, trouble, machine_seconds=time.perf_counter() - started)
    return msgspec.structs.replace(result, kept=kept)


def _healthy(port: LabPort) -> bool:
    """Whether every service of every node has come to rest: a story begins in a cluster at work, not at its boot."""
    services = (service for name in port.names for service in port.view(name).services.values())
    return all(service.state in {"started", "stopped", "not activated"} for service in services)


def write_journal(folder: Path, port: LabPort) -> None:
    """Write the journal, one event a line, while the lab still stands."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (msgspec.json.encode(event, order="deterministic") + b"\n" for event in port.events())
    (folder / "journal.jsonl").write_bytes(b"".join(lines))


async def _script(story: Story, lab: Lab) -> Trouble | None:
    """Run the story's own code: None when it came to its end, or ended itself by a judgment."""
    try:
        with _forgotten_awaits() as forgotten:
            await story.script(lab)
    except StoryOver as over:
        return _ended(over)
    except (asyncio.CancelledError, Overrun) as error:
        if isinstance(error, Overrun):
            # The cancellation that came first is still pending, and would take away the result.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        # Whoever ends a story from outside says why. Ctrl-C is not among them: it ends the whole run from the loop.
        why = error.args[0] if error.args else "cancelled"
        return Trouble(f"{why} ({_place(error, story)})", _trace(error))
    except (LabLost, ProcessCrashed) as error:
        return Trouble(_one_line(error, story), _trace(error), cause="lab")
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001  # the catch-all that this file's first lines name
        leaves = [*_leaves(error)]
        own = [each for each in leaves if not isinstance(each, StoryOver)]
        if not own:
            return next((trouble for each in leaves if (trouble := _ended(each)) is not None), None)
        _refuse_unbuilt(own[0], story)
        return Trouble(_one_line(own[0], story), _trace(error))
    return Trouble(forgotten[0], "\n".join(forgotten)) if forgotten else None


def _ended(over: BaseException) -> Trouble | None:
    """What to say when whoever told the story ended it: it was the story's own judgment otherwise."""
    if isinstance(over, Ended):
        return Trouble(f"ended by a key before the step {str(over)!r}", cause="people")
    return None


@contextmanager
def _forgotten_awaits() -> Generator[list[str]]:
    """Collect what was called without `await`, and so was never done: no story holds because nothing happened in it."""
    found: list[str] = []
    others = warnings.showwarning

    def show(  # the signature is that of `warnings.showwarning`
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if re.match(NEVER_AWAITED, str(message)):
            found.append(f"{str(message).splitlines()[0]}; write `await` before it ({Path(filename).name}:{lineno})")
        else:
            others(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", NEVER_AWAITED, RuntimeWarning)
        warnings.showwarning = show
        yield found


def _refuse_unbuilt(error: BaseException, story: Story) -> None:
    if isinstance(error, Unusable):
        raise Unusable(f"{error} ({_place(error, story)})") from error
    if isinstance(error, AttributeError) and isinstance(error.obj, BUILT):
        name = f"{type(error.obj).__name__}.{error.name}"
        raise Unusable(
            f"the story asks for {name}, which is not built in this version ({_place(error, story)})"
        ) from error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    # isinstance cannot tell of what the group is; of exceptions it always is.
    for each in cast("BaseExceptionGroup[BaseException]", error).exceptions:
        yield from _leaves(each)


def _one_line(error: BaseException, story: Story) -> str:
    text = " ".join(str(error.args[0] if isinstance(error, LookupError) and error.args else error).split())
    return f"{type(error).__name__}{': ' if text else ''}{text} ({_place(error, story)})"


def _place(error: BaseException, story: Story) -> str:
    """The line of the story's file that was being run."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).resolve() == story.path]
    return f"{story.path.name}:{own[-1].lineno}" if own else story.path.name


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _result(
    story: Story, options: Options, telling: Telling, trouble: Trouble | None, *, machine_seconds: float
) -> Result:
    port = telling.port
    facts = port.facts()
    views = [port.view(name) for name in port.names]
    judged, why = verdict(telling, trouble)
    return Result(
        story=story.name,
        again=again(story, options),
        mode=port.mode,
        broker=read_carrier(options.broker).text,
        seed=options.seed,
        release=facts.release,
        profile=facts.profile,
        replication=facts.replication,
        timing=options.timing or story.timing,
        verdict=judged,
        trouble=why,
        began=telling.began,
        ended=port.now(),
        wall=facts.wall,
        machine_seconds=machine_seconds,
        entries=telling.entries,
        stores=names.stores(views, telling.names),
        rows=names.rows(views, telling.names),
        loaded=names.loaded(views, telling.names),
        kept="",
        outcomes=[[each.node, each.operation, each.outcome, each.reason] for each in telling.outcomes],
    )
