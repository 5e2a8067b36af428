"""Makes a failing case smaller for as long as the same invariant fails in the same way.

Fewer acts, nodes and certificates, plainer acts, rounder times, and at last simpler draws: delta debugging by steps
that know what a story is made of. Which cases are tried depends on nothing but the case; the budget is counted in
events of the simulation, not in seconds.
"""

from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.search.case import Case, play, signature
from ucmlab.cluster.search.invariants import Violation
from ucmlab.cluster.search.renaming import merged, nodes_used, renamed, without_nodes
from ucmlab.cluster.search.simpler import EVERYWHERE, Acts, composed_of, plainer
from ucmlab.cluster.search.tape import Tape
from ucmlab.cluster.search.timing import all_short, gaps, rounder
from ucmlab.cluster.search.workload import Act

BUDGET = 150_000
"""Events that may be spent on one case: some seconds of processor time."""
A_START = 60
"""What the start of a world costs, in events."""


class Shrunk(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a case."""

    case: Case
    violation: Violation
    trace: str
    """SHA-256 of its journal."""
    tries: int
    events: int
    """What that cost."""


class Shrinker:
    """Shrinks one case."""

    def __init__(self, case: Case, violation: Violation, *, budget: int = BUDGET) -> None:
        """The case failed with this violation; it is played once more when its turn comes."""
        self.case = case
        self._wanted = signature(violation, case.nodes)
        self._violation = violation
        self._trace = ""
        self._done: list[tuple[Act, Acts]] = []
        """What was done in its last play, and the plainer acts that each consists of."""
        self._left = budget
        self._budget = budget
        self._tried: set[Case] = set()
        self.tries = 0

    def shrink(self) -> Shrunk | None:
        """The smallest case that was found; None when the case does not fail as it did."""
        if not self._fails(self.case):
            return None
        self._pin()
        self._draw_simply()
        self._until_nothing_helps(self._coarsely)
        self._until_nothing_helps(self._finely)
        self._draw_less()
        return Shrunk(
            case=self.case,
            violation=self._violation,
            trace=self._trace,
            tries=self.tries,
            events=self._budget - self._left,
        )

    # -- trying

    def _fails(self, case: Case) -> bool:
        """Play a case; when the same violation comes first, it is the case from now on."""
        if self._left <= 0 or case in self._tried:
            return False
        self._tried.add(case)
        self.tries += 1
        try:
            run = play(case)
        except Unusable:  # no such cluster, or a fault that cannot befall what is left of it
            self._left -= A_START
            return False
        self._left -= run.world.events_handled + A_START
        first = next(iter(run.result.violations), None)
        failed = first is not None and signature(first, case.nodes) == self._wanted
        if failed and first is not None:
            self.case, self._violation, self._trace = case, first, run.trace()
            self._done = [
                (act, composed_of(act, run.world.journal[lines.start : lines.stop])) for act, lines in run.done
            ]
        run.world.dismantle()
        return failed

    def _any(self, cases: Iterable[Case]) -> bool:
        return any(self._fails(case) for case in cases)

    def _until_nothing_helps(self, step: Callable[[], bool]) -> None:
        while step():
            pass

    # -- steps; each tells whether it made the case smaller

    def _pin(self) -> None:
        """Keep what was really done, up to the violation, and say in each act what it left to the moment."""
        acts = tuple(act for act, _ in self._done)
        self._fails(replace(self.case, acts=acts))
        self._fails(replace(self.case, acts=acts, spare=True))

    def _draw_simply(self) -> bool:
        """The simplest draws, if it fails with them: then no act that goes changes those of the others."""
        return self._fails(replace(self.case, tape=Tape()))

    def _coarsely(self) -> bool:
        size = max(2, len(self.case.acts) // 2)
        smaller = False
        while size > 1:
            smaller = self._remove_acts(size) or smaller
            size //= 2
        return self._drop_nodes() or smaller

    def _finely(self) -> bool:
        smaller = self._remove_acts(1)
        for step in (
            self._drop_nodes,
            self._merge_nodes,
            self._plainer,
            self._decompose,
            self._earlier,
            self._draw_simply,
        ):
            smaller = step() or smaller
        return smaller

    def _remove_acts(self, size: int) -> bool:
        """Leave out so many acts at a time, from the last on."""
        before = len(self.case.acts)
        end = before
        while end > 0:
            acts = self.case.acts
            self._fails(replace(self.case, acts=acts[: max(0, end - size)] + acts[end:]))
            end -= size
        return len(self.case.acts) < before

    def _drop_nodes(self) -> bool:
        """Leave out nodes to which nothing is done: all of them, or one at a time."""
        before = self.case
        unused = [name for name in before.nodes[1:] if name not in nodes_used(before)]
        if unused and not self._fails(without_nodes(before, unused)):
            for name in unused:
                self._fails(without_nodes(self.case, [name]))
        return self.case is not before

    def _merge_nodes(self) -> bool:
        """Let one node suffer what two did, and call nodes by the simplest names."""
        before = self.case
        for name in reversed(before.nodes[1:]):
            if name in self.case.nodes:
                self._any(merged(self.case, name, other) for other in self.case.nodes if other != name)
        simplest = renamed(self.case)
        return (simplest is not None and self._fails(simplest)) or self.case is not before

    def _plainer(self) -> bool:
        """Plainer acts: of all at once, then of each."""
        before = self.case
        for change in EVERYWHERE:
            self._fails(change(self.case))
        for number in range(len(self.case.acts)):
            while self._any(self._with(number, acts) for acts in plainer(self.case, number)):
                pass
        return self.case is not before

    def _decompose(self) -> bool:
        """In place of an operator's fault, what it consists of: a story can tell that anywhere."""
        for act, acts in self._done:
            if acts and act in self.case.acts and self._fails(self._with(self.case.acts.index(act), acts)):
                return True
        return False

    def _earlier(self) -> bool:
        """Short waits and round times."""
        before = self.case
        self._fails(all_short(self.case))
        number = 0
        while number < gaps(self.case):
            self._any(rounder(self.case, number))
            number += 1
        return self.case is not before

    def _with(self, number: int, acts: Acts) -> Case:
        mine = self.case.acts
        return replace(self.case, acts=(*mine[:number], *acts, *mine[number + 1 :]))

    def _draw_less(self) -> None:
        """Put simplest draws in place of others, as many as can be at once."""
        if self.case.tape is None:
            deck = self.case.deck()
            play(self.case, deck).world.dismantle()
            self._fails(replace(self.case, tape=deck.drawn()))
        tape = self.case.tape or Tape()
        for tried in (replace(tape, faults=()), replace(tape, schedule=())):
            self._fails(replace(self.case, tape=tried))
        size = len((self.case.tape or tape).schedule) // 2
        while size:
            self._zero_runs(size)
            size //= 2

    def _zero_runs(self, size: int) -> None:
        """Runs of so many draws of the schedule, from the last on."""
        end = len((self.case.tape or Tape()).schedule)
        while end > 0 and self._left > 0:
            tape = self.case.tape or Tape()
            start, zeros = max(0, end - size), (0,) * min(size, end)
            if any(tape.schedule[start:end]):
                schedule = (*tape.schedule[:start], *zeros, *tape.schedule[end:])
                self._fails(replace(self.case, tape=replace(tape, schedule=schedule)))
            end -= size
