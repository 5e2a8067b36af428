"""What a node may ask for, in the imperative. Shells perform them, in the order of the list, and decide nothing.

The contract of a list (both shells): commands are performed one after the other, each completely before the next
begins; what answers them is handled right after the list, before anything else that has happened meanwhile. A kill
leaves a prefix of the list performed. A command that fails is reported as `CommandFailed` and the rest of its list is
dropped; a file command that belongs to no operation is only reported. What is `durable` below survives a power cut when
the next command begins; the rest survives one only after `SyncDisk`.
"""

import msgspec

from ucmlab.broker.messages import Row, RowKey, Setting, Shared
from ucmlab.node.config import AuthzAsked
from ucmlab.node.listeners import Speaks
from ucmlab.node.loaded import Loaded
from ucmlab.node.syslog import SyslogMessage


class Command(msgspec.Struct, frozen=True):
    """Base of everything that a node may ask for."""


class Publish(Command, frozen=True, gc=False):
    """Hand a message to the broker at QoS 1. Not connected: it is dropped; whoever needs an answer repeats it."""

    topic: str
    payload: bytes
    retain: bool = False


class Subscribe(Command, frozen=True):
    """Subscribe at QoS 1."""

    filters: tuple[str, ...]


class StartTimer(Command, frozen=True, gc=False):
    """`TimerFired(token)` after `delay` lab microseconds; a running timer of that token is replaced."""

    token: str
    delay: int


class CancelTimer(Command, frozen=True, gc=False):
    """Forget the timer."""

    token: str


class WriteFile(Command, frozen=True):
    """Put a trust certificate file in place, atomically. With `op_id`, that id is kept beside it, written first."""

    unit: str
    name: str
    der: bytes
    description: str
    op_id: str


class RemoveFile(Command, frozen=True):
    """Remove a trust certificate file and what lies beside it."""

    unit: str
    name: str


class SettleFile(Command, frozen=True):
    """Forget the operation id beside a file: the log has it."""

    unit: str
    name: str


class ApplyEntry(Command, frozen=True):
    """Bring one log entry into the replica on disk, in one transaction."""

    epoch: int
    seq: int
    hash: bytes
    op_id: str
    removes: tuple[RowKey, ...]
    adds: tuple[Row, ...]
    tombstones: tuple[RowKey, ...]
    """Rows of `removes` whose deletion must be remembered until the floor passes this entry."""
    settings: tuple[Setting, ...] = ()


class InstallSnapshot(Command, frozen=True):
    """Replace the replica on disk, in one transaction."""

    epoch: int
    seq: int
    hash: bytes
    rows: tuple[Row, ...]
    tombstones: tuple[tuple[str, str, int], ...]
    settings: tuple[Setting, ...] = ()


class RaiseFloor(Command, frozen=True):
    """Every member is past `floor`: forget older tombstones (and, on the publisher, older log entries)."""

    floor: int


class AppendLog(Command, frozen=True):
    """Append to the cluster's log: durable."""

    epoch: int
    seq: int
    op_id: str
    payload: bytes


class RecordAnswer(Command, frozen=True):
    """Remember a refusal under its operation id: durable."""

    op_id: str
    reason: str


class BeginEpoch(Command, frozen=True):
    """Start a higher epoch of the log with rows, settings and tombstones at hand (those count from seq 0): durable."""

    epoch: int


class RecordOrder(Command, frozen=True):
    """Remember that a service order takes effect: durable, before it does."""

    op_id: str


class SetEnabled(Command, frozen=True):
    """Remember whether a service is started at boot."""

    service: str
    enabled: bool


class TakeUp(Command, frozen=True):
    """A service started: keep the private keys of `loaded` as they are now, and open its endpoints.

    In the place of what it had before. What it presents until `LayDown` are these certificates and these keys, whatever
    becomes of the files.
    """

    service: str
    loaded: Loaded


class LayDown(Command, frozen=True):
    """A service stops: close its listeners and everything that came through them, forget its keys."""

    service: str


class Admit(Command, frozen=True):
    """Let a client of a listener in, or close its connection; answers `PeerShown`."""

    token: str
    admitted: bool


class SetInstalled(Command, frozen=True):
    """Remember that the installation is complete: durable."""


class SetRelease(Command, frozen=True):
    """Remember the release that the node starts with from now on: durable, in one step.

    `former` is the one that it comes from, whose state is still to be carried over; empty: that is done.
    """

    release: str
    former: str


class SetFips(Command, frozen=True):
    """Remember whether FIPS mode was carried out: durable."""

    enabled: bool


class ReadFiles(Command, frozen=True, gc=False):
    """Read all trust certificate files; answered by `FilesRead`."""

    token: str


class SyncDisk(Command, frozen=True, gc=False):
    """Make the replica, and on request the trust files too, survive a power cut; answered by `DiskSynced`."""

    token: str
    files: bool


class IdentityForm(msgspec.Struct, frozen=True):
    """What a self-signed certificate is to be, where an operator asked for one; the rest is its unit's profile."""

    key: str
    """`rsa-2048`, `ec-384`: as in `Certificate.key`."""
    digest: str
    """`sha256`, `sha384` or `sha512`."""
    years: int
    cn_serial: bool = False
    """Whether the serial number follows the common name (B.4)."""
    ou: bool = False
    """Whether the organizational unit is in the subject."""
    common_name: str = ""
    """Of a certificate for several nodes; empty: the profile's."""
    names: tuple[str, ...] = ()
    """Its DNS names; empty: the profile's."""
    ends_at: int | None = None
    """Wall instant at which it ends, if it is to look as if it had been made long ago; None: it begins now."""


class MakeIdentity(Command, frozen=True):
    """Make a key and a self-signed certificate, and put both in the place of what is there, durably.

    By the unit's profile and, where an operator asked for it (`op_id`), the form. Answered by `IdentityMade`.
    """

    unit: str
    op_id: str = ""
    form: IdentityForm | None = None


class InstallIdentity(Command, frozen=True):
    """Put a certificate and the key of its waiting request in the place of what is there, durably; forget the request.

    Answered by `IdentityMade`.
    """

    op_id: str
    unit: str
    der: bytes


class ReuseIdentity(Command, frozen=True):
    """Put another identity's certificate and key in the place of this one's, durably; answered by `IdentityMade`."""

    op_id: str
    unit: str
    source: str


class CsrForm(msgspec.Struct, frozen=True):
    """What a certificate signing request is to say, beside what its row of T-1 or T-2 says; judged already."""

    key: str
    """`rsa-2048`, `ec-384`: as in `Certificate.key`."""
    digest: str
    """`sha256`, `sha384` or `sha512`: what signs the request."""
    common_name: str
    names: tuple[str, ...]
    """DNS names and IP addresses of the subject alternative name."""
    ou: bool
    """Whether the organizational unit is in the subject (B.4: an option from 14SU1)."""
    ca: bool
    """Whether basic constraints CA:TRUE, path length 0 are asked for (X-01)."""


class DropCsr(Command, frozen=True):
    """Remove a unit's request and its key, durably; answered by `CsrDropped`."""

    op_id: str
    unit: str


class MakeCsr(Command, frozen=True):
    """Make a key and a request, and put both in the place of the unit's last ones, durably; answered by `CsrMade`."""

    op_id: str
    unit: str
    form: CsrForm


class SealShared(Command, frozen=True):
    """Seal the unit's waiting request, or its identity, with the key to another member; answered by `SharedSealed`."""

    op_id: str
    unit: str
    kind: Shared
    recipient: str


class OpenShared(Command, frozen=True):
    """Open what was sealed so, and put it in the place of what is there, durably; answered by `SharedOpened`."""

    op_id: str
    unit: str
    kind: Shared
    sender: str
    blob: bytes


class MakeAuthz(Command, frozen=True):
    """Make OAuth keys (RSA signing, symmetric encryption) and store them; answered by `AuthzMade`."""

    generation: int
    """Of the pair: it goes up whichever of the two is new."""
    key: AuthzAsked = ""
    """The one to be made, while the other stays; empty: both, as the installation does."""


class SealKeys(Command, frozen=True):
    """Seal private material (`authz`, or the identity unit `kind`) to a member; answered by `KeysSealed`."""

    recipient: str
    kind: str
    generation: int


class OpenKeys(Command, frozen=True):
    """Open and store what was sealed to this node; answered by `KeysOpened`."""

    kind: str
    generation: int
    sender: str
    blob: bytes


class Reply(Command, frozen=True):
    """Answer the operator: exactly once for each operation."""

    op_id: str
    outcome: str
    """`done`, `refused`, `partial` or `indefinite` (design 3)."""
    reason: str = ""
    text: str = ""
    warnings: tuple[str, ...] = ()
    nodes: dict[str, str] = {}
    seen: dict[str, str] = {}
    """Of a connection: what the server presented (`connections.described`), and the `name` by which it was called."""


class Exchange(Command, frozen=True):
    """Base of what a node asks of others than its disk, its keys and the bus: a server outside, or another node.

    Others take their time, so the list goes on without the answer: one event with the same token, whatever happens.
    Shells give up after some machine time and answer that; a core that waited long enough in lab time says `GiveUp`,
    and hears no more of it. A kill loses question and answer.
    """

    token: str


class OpenTls(Exchange, frozen=True, kw_only=True):
    """Open a TLS connection with what a service has loaded, say hello, and close it; answered by `TlsOpened`.

    One that is `lasting` and `open` is not closed: it stays under this token until `CloseLink`, or `LinkEnded` tells
    that the other end has gone.
    """

    service: str
    """Whose keys are used."""
    unit: str
    """Identity unit of what is presented if the other end asks; empty: nothing."""
    node: str
    """Where it goes: a node's name, or empty for a server outside."""
    listener: str
    """Of that node."""
    address: str
    """`HOST:PORT`."""
    name: str
    """By which name the server is called; its certificate must be for it if `checks_name`."""
    checks_name: bool
    trusted: tuple[bytes, ...]
    """DER."""
    ec_only: bool
    speaks: Speaks
    lasting: bool = False


class CloseLink(Exchange, frozen=True):
    """Close a connection that stayed open, or see that it is closed; answered by `LinkEnded`."""

    link: str
    """The token of its `OpenTls`."""


class AskOcsp(Exchange, frozen=True):
    """Post an OCSP request (DER) to a responder; answered by `OcspAnswered`."""

    url: str
    request: bytes


class FetchCrl(Exchange, frozen=True):
    """Get a certificate revocation list; answered by `CrlFetched`."""

    url: str


class SendMail(Exchange, frozen=True):
    """Have a mail server take a mail, in one conversation; answered by `Sent`."""

    server: str
    """HOST or HOST:PORT, or one of the lab's own places."""
    sender: str
    recipients: tuple[str, ...]
    """As an administrator wrote them: whether they are addresses is the server's to say."""
    subject: str
    text: str
    wall: int
    """When it was written, by this node's clock."""


class SendSyslog(Exchange, frozen=True):
    """Have a syslog collector take messages; answered by `Sent`, which over UDP says only that they left."""

    server: str
    """HOST or HOST:PORT, or one of the lab's own places."""
    protocol: str
    """`udp`, or `tcp`: one connection, which the collector closes when it has read everything."""
    messages: tuple[SyslogMessage, ...]
    """Written out by who sends them."""


class GiveUp(Command, frozen=True):
    """Whatever answers that token is not waited for any more."""

    token: str


class Halt(Command, frozen=True):
    """End this process now, as a kill would: what it believes and what its disk holds are no longer the same."""

    text: str


class Record(Command, frozen=True, gc=False):
    """A fact for the journal and the log. `id` is unique in the lab, `cause` is the id that led to it."""

    id: str
    name: str
    cause: str
    op_id: str
    fields: dict[str, str | int | bool | None]


FILE_COMMANDS = (WriteFile, RemoveFile, SettleFile)
"""Commands whose failure leaves node and disk of one mind: the next comparison reads the files again."""

AnyCommand = (
    Publish
    | Subscribe
    | StartTimer
    | CancelTimer
    | WriteFile
    | RemoveFile
    | SettleFile
    | ApplyEntry
    | InstallSnapshot
    | RaiseFloor
    | AppendLog
    | RecordAnswer
    | BeginEpoch
    | RecordOrder
    | SetEnabled
    | TakeUp
    | LayDown
    | Admit
    | SetInstalled
    | SetFips
    | SetRelease
    | ReadFiles
    | SyncDisk
    | MakeIdentity
    | InstallIdentity
    | ReuseIdentity
    | MakeAuthz
    | MakeCsr
    | DropCsr
    | SealShared
    | OpenShared
    | SealKeys
    | OpenKeys
    | Reply
    | Exchange
    | GiveUp
    | Halt
    | Record
)
