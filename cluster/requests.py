"""What the command line asks of a running lab over its control socket, and the answers. One frame each, numbered."""

import msgspec

from ucmlab.cluster.control_messages import Act
from ucmlab.cluster.outside.received import Logged, Mail
from ucmlab.cluster.port import NodeLife
from ucmlab.node.commands import Reply


class Request(msgspec.Struct, frozen=True, tag=True):
    """Base: the tag is the class name."""


class Dump(Request, frozen=True):
    """The state (design 7.2); answered by `Told`."""

    certificates: bool = True
    """Without them, and so without rows, no files are read."""


class Muster(Request, frozen=True):
    """Who runs, and where, which is less than the state: no disk is read; answered by `Mustered`."""


class Glance(Request, frozen=True):
    """Everybody's life, and what the services of some nodes have loaded: no disk is read; answered by `Glanced`."""

    nodes: list[str]


class Operate(Request, frozen=True):
    """Do an operation on a node; answered by `Operated`."""

    node: str
    operation: Act


class UpgradeTo(Request, frozen=True):
    """Upgrade nodes one after the other, booting each; answered by `Operated`."""

    nodes: list[str]
    release: str
    op_id: str


class Converged(Request, frozen=True):
    """Wait until the cluster has converged, at most so long; answered by `Met`."""

    within: int


class AskMail(Request, frozen=True):
    """What the lab's mail server took after its mail of that number; answered by `MailTold`."""

    after: int = 0


class AskSyslog(Request, frozen=True):
    """What the lab's syslog collector was told after its message of that number; answered by `SyslogTold`."""

    after: int = 0


class Fault(Request, frozen=True):
    """`kill stop start pause resume isolate heal break repair`; answered by `Done`."""

    what: str
    target: str | None = None


class Partition(Request, frozen=True):
    """Cut the network; answered by `Done`."""

    groups: list[list[str]]
    broker: int | None


class Inject(Request, frozen=True):
    """Inject a fault of the catalogue, for so many uses or lab microseconds; answered by `Done`."""

    fault: str
    target: str
    parameters: dict[str, str]
    count: int | None
    lasts: int | None


class EndFault(Request, frozen=True):
    """End one that stands; answered by `Done`."""

    fault: str
    target: str


class Advance(Request, frozen=True):
    """Let lab time jump; answered by `Done`."""

    duration: int


class Speed(Request, frozen=True):
    """Let lab time flow faster or slower; answered by `Done`."""

    factor: float


class Down(Request, frozen=True):
    """End the lab; answered by `Done` when every process but the supervisor is gone."""


AnyChange = Fault | Partition | Inject | EndFault | Advance | Speed
AnyRequest = Dump | Muster | Glance | AskMail | AskSyslog | Operate | UpgradeTo | Converged | AnyChange | Down


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


class Presence(msgspec.Struct, frozen=True):
    """A node at a glance."""

    state: NodeLife
    loaded: dict[str, dict[str, str]] | None
    """Service to identity unit to fingerprint; None when it was not asked for, or nobody is there to tell."""


class Glanced(Answer, frozen=True):
    """The lab at a glance."""

    broker_down: bool
    nodes: dict[str, Presence]


class MailTold(Answer, frozen=True):
    """Mails, and how many there were in all."""

    count: int
    mails: list[Mail]


class SyslogTold(Answer, frozen=True):
    """Syslog messages, and how many there were in all."""

    count: int
    messages: list[Logged]


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


AnyAnswer = Done | Told | Mustered | Glanced | MailTold | SyslogTold | Operated | Met | Impossible | Broken


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """A request on the wire."""

    number: int
    request: AnyRequest


class Answered(msgspec.Struct, frozen=True, array_like=True):
    """The answer to the request of that number."""

    number: int
    answer: AnyAnswer
