"""What the commands ask of a lab that runs, whatever carries the question.

Every call blocks until the lab has answered. `Unusable` is the lab's word for what cannot be carried out as asked; a
lab that went away in the middle is told as `LabGone`, because nobody knows what it still did.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from ucmlab.cluster.cli.snapshot import Outline, State, read_outline, read_state
from ucmlab.cluster.errors import LabGone
from ucmlab.cluster.port import Operation
from ucmlab.cluster.requests import Glanced, MailTold, SyslogTold
from ucmlab.node.commands import Reply

__all__ = ["LabGone", "LabLink", "outline_of", "state_of"]


class LabLink(Protocol):
    """A running lab."""

    def dump(self) -> dict[str, object]:
        """The state (design 7.2)."""
        ...

    def outline(self) -> dict[str, object]:
        """The state without certificates and rows: no files are read, of which a large lab has a hundred thousand."""
        ...

    def glance(self, nodes: Iterable[str]) -> Glanced:
        """Everybody's life, and what the services of `nodes` have loaded; costs less than the state."""
        ...

    def mail(self, after: int = 0) -> MailTold:
        """What the lab's mail server took after its mail of that number."""
        ...

    def syslog(self, after: int = 0) -> SyslogTold:
        """What the lab's syslog collector was told after its message of that number."""
        ...

    def operate(self, node: str, operation: Operation) -> Reply:
        """Do an operation on a node."""
        ...

    def upgrade(self, nodes: Sequence[str], release: str, op_id: str) -> Reply:
        """Upgrade nodes to a release, one after the other, booting each."""
        ...

    def converged(self, within: int) -> bool:
        """Wait until the cluster has converged, at most `within` lab microseconds."""
        ...

    def fault(self, what: str, target: str | None = None) -> None:
        """`kill stop start pause resume isolate heal break repair` of a node, or of `broker` where that makes sense."""
        ...

    def partition(self, groups: Sequence[Sequence[str]], broker: int | None) -> None:
        """Cut the network into groups."""
        ...

    def inject(
        self, fault: str, target: str, parameters: Mapping[str, str], *, count: int | None, lasts: int | None
    ) -> None:
        """Inject a fault of the catalogue, for so many uses or lab microseconds, else until it is ended."""
        ...

    def end_fault(self, fault: str, target: str) -> None:
        """End one that stands."""
        ...

    def advance(self, duration: int) -> None:
        """Let lab time jump."""
        ...

    def speed(self, factor: float) -> None:
        """Let lab time flow faster or slower."""
        ...

    def down(self) -> None:
        """End the lab; returns when every process of it is gone."""
        ...


def state_of(lab: LabLink) -> State:
    """The lab's state, typed."""
    return read_state(lab.dump())


def outline_of(lab: LabLink) -> Outline:
    """The lab's state without certificates and rows, typed."""
    return read_outline(lab.outline())
