"""What the command line asks of a running lab over its control socket, and the answers. One frame each, numbered."""

import msgspec

from ucmlab.cluster.control_messages import Act
from ucmlab.node.commands import Reply


class Request(msgspec.Struct, frozen=True, tag=True):
    """Base: the tag is the class name."""


class Dump(Request, frozen=True):
    """The state (design 7.2); answered by `Told`."""


class Muster(Request, frozen=True):
    """Who runs, and where, which is less than the state: no disk is read; answered by `Mustered`."""


class Operate(Request, frozen=True):
    """Do an operation on a node; answered by `Operated`."""

    node: str
    operation: Act


class Converged(Request, frozen=True):
    """Wait until the cluster has converged, at most so long; answered by `Met`."""

    within: int


class Fault(Request, frozen=True):
    """`kill stop start pause resume isolate heal break repair`; answered by `Done`."""

    what: str
    target: str | None = None


class Partition(Request, frozen=True):
    """Cut the network; answered by `Done`."""

    groups: list[list[str]]
    broker: int | None


class Clock(Request, frozen=True):
    """Let a node's wall clock be wrong by so many microseconds; answered by `Done`."""

    node: str
    offset: int


class Advance(Request, frozen=True):
    """Let lab time jump; answered by `Done`."""

    duration: int


class Speed(Request, frozen=True):
    """Let lab time flow faster or slower; answered by `Done`."""

    factor: float


class Down(Request, frozen=True):
    """End the lab; answered by `Done` when every process but the supervisor is gone."""


AnyRequest = Dump | Muster | Operate | Converged | Fault | Partition | Clock | Advance | Speed | Down


class Answer(msgspec.Struct, frozen=True, tag=True):
    """Base: the tag is the class name."""


class Done(Answer, frozen=True):
    """It was done."""


class Told(Answer, frozen=True):
    """The state, as JSON: what was asked for is JSON in the end, and its keys are its contract."""

    state: bytes


class Present(msgspec.Struct, frozen=True):
    """A node's process, and where the node is."""

    pid: int | None
    address: str
    fqdn: str
    home: str


class Mustered(Answer, frozen=True):
    """The lab's processes, the publisher's first."""

    broker_url: str
    broker_pid: int | None
    nodes: dict[str, Present]


class Operated(Answer, frozen=True):
    """The node's reply."""

    reply: Reply


class Met(Answer, frozen=True):
    """Whether it came about in time."""

    met: bool


class Impossible(Answer, frozen=True):
    """It cannot be carried out as asked: one line that says why and what would work."""

    text: str


class Broken(Answer, frozen=True):
    """A bug of ours, or the lab is gone."""

    text: str


AnyAnswer = Done | Told | Mustered | Operated | Met | Impossible | Broken


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """A request on the wire."""

    number: int
    request: AnyRequest


class Answered(msgspec.Struct, frozen=True, array_like=True):
    """The answer to the request of that number."""

    number: int
    answer: AnyAnswer
