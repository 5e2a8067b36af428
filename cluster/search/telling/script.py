"""A shrunk case as a story script: a Python file of the story API that `ucmlab run` plays like any other."""

from collections.abc import Iterable, Iterator
from textwrap import indent, wrap
from typing import NamedTuple

from ucmlab.cluster.faults.catalogue import catalogue
from ucmlab.cluster.search.invariants import INVARIANTS
from ucmlab.cluster.search.kept import Kept
from ucmlab.cluster.search.plants import PLANTS
from ucmlab.cluster.search.run import CONVERGENCE
from ucmlab.cluster.search.shrinking import Shrunk
from ucmlab.cluster.search.telling.checks import around, checks, reply
from ucmlab.cluster.search.telling.words import Certificates, spelled, title, variable
from ucmlab.cluster.search.workload import Act
from ucmlab.node.instant import SECOND
from ucmlab.node.services import CHANGE_NOTIFICATION

WIDTH = 110
PLAIN = {
    "stop": ("await {node}.stop()", "await {node}.start()", "{name} is shut down", "{name} boots"),
    "kill": ("await {node}.kill()", "await {node}.start()", "{name} is killed", "{name} boots"),
    "pause": ("await {node}.pause()", "await {node}.resume()", "{name} stands still", "{name} goes on"),
    "replication": (
        "await lab.break_replication({node})",
        "await lab.repair_replication({node})",
        "The database replication to {name} is broken",
        "The database replication to {name} is repaired",
    ),
    "isolate": (
        "await lab.isolate({node})",
        "await lab.heal()",
        "{name} is cut off from everything",
        "{name} is back on the network",
    ),
}
"""Faults for which stories have words of their own: how they begin and end, and the titles of the steps."""


class Step(NamedTuple):
    """What happens at one lab instant: a title, and lines of code."""

    at: int
    title: str
    code: tuple[str, ...]


def script(kept: Kept, shrunk: Shrunk) -> str:
    """The whole file, to be written beside the kept seed as NAME.py."""
    return _Script(kept, shrunk).text()


class _Script:
    """One script being written."""

    def __init__(self, kept: Kept, shrunk: Shrunk) -> None:
        self._kept, self._shrunk, self._case = kept, shrunk, shrunk.case
        self._invariant = shrunk.violation.invariant
        self._certificates = Certificates(self._case)
        self._cuts = [act for act in self._case.acts if act.text in ("isolate", "partition")]

    def text(self) -> str:
        founded = [self._certificates.founding(number) for number in self._certificates.brought]
        body = [*self._docstring(), self._nodes(), *founded, *self._steps(), *self._end()]
        imports = ["from datetime import timedelta", ""] if any("timedelta" in line for line in founded) else []
        head = [
            '"""A failure that `ucmlab explore` found and shrunk.',
            "",
            f"`ucmlab replay {self._kept.name}.py` plays it again, before the search's judges too.",
            '"""',
            "",
            *imports,
            "from ucmlab.scenarios import Lab, scenario",
            "",
            "",
            *_call("@scenario", self._options(), ""),
            f"async def {self._kept.name}(lab: Lab) -> None:",
        ]
        return "\n".join([*head, *(indent(line, "    ") for line in body)]) + "\n"

    # -- what it says of itself

    def _options(self) -> list[str]:
        case = self._case
        options = {"nodes": " ".join(case.nodes), "release": case.release, "replication": case.replication}
        options |= {"timing": "instant", "tags": "found"} | ({"plant": case.plant} if case.plant else {})
        return [f'{name}="{value}"' for name, value in options.items()]

    def _docstring(self) -> Iterator[str]:
        kept, seen, invariant = self._kept, self._shrunk.violation, INVARIANTS[self._invariant]
        yield f'"""{self._invariant} is broken: {invariant.text}.'
        yield ""
        yield from wrap(f"Seen: {seen.text} (on {seen.node}, {seen.at / SECOND:.1f} s into the run).", WIDTH)
        where = f"ucmlab {kept.version}" + (f", commit {kept.commit}" if kept.commit else "")
        sizes = f"{len(kept.case.acts)} steps on {len(kept.case.nodes)} nodes to {len(self._case.acts)} on"
        shrunk = f"shrunk from {sizes} {len(self._case.nodes)}"
        yield from wrap(f"Found with seed {kept.seed} in {self._case.replication}, {where}; {shrunk}.", WIDTH)
        if reason := invariant.broken_by.get(self._case.replication):
            yield from wrap(f"The policy does not promise it. {reason[0].upper()}{reason[1:]}.", WIDTH)
        if self._case.plant:
            bug = PLANTS[self._case.plant].text
            yield from wrap(f"A bug is planted, which the simulation alone can do: {bug}.", WIDTH)
        yield '"""'

    def _nodes(self) -> str:
        names = [variable(name) for name in self._case.nodes]
        return f"{', '.join(names)}{',' if len(names) == 1 else ''} = lab.nodes"

    # -- what happens

    def _steps(self) -> Iterator[str]:
        now = 0
        for step in sorted((each for act in self._case.acts for each in self._judged(act)), key=lambda each: each.at):
            yield from _wait(step.at - now)
            now = max(now, step.at)
            yield from _as_step(step.title, step.code)
        yield from _wait(self._case.span - now)

    def _judged(self, act: Act) -> Iterator[Step]:
        """An act's steps, with what is judged around the first, which is when it begins."""
        first, *others = self._told(act)
        before, after = around(act, self._shrunk.violation)
        yield first._replace(code=(*before, *first.code, *after))
        yield from others

    def _told(self, act: Act) -> Iterator[Step]:
        node, named = variable(act.node), self._certificates
        match act.kind:
            case "upload":
                answer = reply(self._case, act, self._invariant)
                call = f'await {node}.upload("{act.unit}", {named.name(act.number)}.pem)'
                what = f"{title(act.number)} is uploaded to {act.unit} on {act.node}"
                yield Step(act.at, what, (f"{answer} = {call}" if answer else call,))
            case "delete":
                what = f"{named.called(act.text)} is deleted from {act.unit} on {act.node}"
                yield Step(act.at, what, (f'await {node}.delete("{act.unit}", {named.fingerprint(act.text)})',))
            case "regenerate":
                yield Step(
                    act.at, f"{act.unit} is regenerated on {act.node}", (f'await {node}.regenerate("{act.unit}")',)
                )
            case "parameter":
                what = f"{act.unit} is set to {act.text} on {act.node}"
                yield Step(act.at, what, (f'await {node}.set_parameter("{act.unit}", "{act.text}")',))
            case "service":
                call = "restart" if act.text == "restart" else f"{act.text}_service"
                what = f"{act.node} is told to {act.text} {act.unit}"
                yield Step(act.at, what, (f'await {node}.{call}("{act.unit}")',))
            case "inject":
                yield from self._broken(act)

    def _broken(self, act: Act) -> Iterator[Step]:
        row = catalogue()[act.text]
        if self._is_plain(act):
            begin, end, broken, mended = _plain(act)
            yield Step(act.at, broken, (begin,))
            if act.at + act.number < self._case.span:
                yield Step(act.at + act.number, mended, (end,))
            return
        given = [f'"{act.text}"', f'"{act.node}"']
        if row.lasts and act.number:
            given.append(f'until="{spelled(max(1, min(act.number, self._case.span - act.at)))}"')
        given += [f'{name}="{value}"' for name, value in (each.split("=", 1) for each in act.nodes)]
        call = _call("await lab.inject", given, "")
        yield Step(act.at, f"{act.text} of {act.node}", (*wrap(f"# {row.text}", WIDTH, subsequent_indent="# "), *call))

    def _is_plain(self, act: Act) -> bool:
        # A story heals the whole network at once: of several cuts each must end by itself.
        return act.text in PLAIN and not act.nodes and (act.text != "isolate" or len(self._cuts) == 1)

    # -- the end

    def _end(self) -> Iterator[str]:
        mending = [*self._mended(), f'await lab.wait("{spelled(CONVERGENCE)}")']
        what = "Whatever is broken is mended, and two comparisons go by"
        yield from _as_step(what, mending, expect=INVARIANTS[self._invariant].text)
        yield from checks(self._case, self._shrunk.violation, self._certificates)

    def _mended(self) -> Iterator[str]:
        faults = [act for act in self._case.acts if act.kind == "inject"]
        for act in faults:
            if self._is_plain(act) and act.at + act.number >= self._case.span:
                yield _plain(act)[1]
        if not all(self._is_plain(act) for act in faults):
            yield "for node in lab.nodes:"
            yield "    await node.start()"
        orders = [act for act in self._case.acts if act.kind == "service" and act.unit == CHANGE_NOTIFICATION]
        for node, order in {act.node: act.text for act in orders}.items():
            if order == "stop":
                yield f'await {variable(node)}.start_service("{CHANGE_NOTIFICATION}")'


def _plain(act: Act) -> tuple[str, str, str, str]:
    begin, end, broken, mended = (each.format(node=variable(act.node), name=act.node) for each in PLAIN[act.text])
    return begin, end, broken, mended


def _wait(microseconds: int) -> Iterator[str]:
    if microseconds > 0:
        yield f'await lab.wait("{spelled(microseconds)}")'


def _as_step(what: str, code: Iterable[str], *, expect: str = "") -> Iterator[str]:
    yield ""
    yield from _call("async with lab.step", [f'"{what}"', *([f'expect="{expect}"'] if expect else [])], ":")
    yield from (indent(line, "    ") for line in code)


def _call(function: str, arguments: list[str], end: str) -> list[str]:
    """A call on one line, or an argument a line if it would be too long."""
    line = f"{function}({', '.join(arguments)}){end}"
    return [line] if len(line) <= WIDTH else [f"{function}(", *(f"    {each}," for each in arguments), f"){end}"]
