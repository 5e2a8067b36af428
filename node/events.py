"""What can happen to a node, in the past tense. Shells make these; the core only reads them.

An event that answers a command carries that command's `token`; an unknown or repeated token is ignored by the core.
"""

from typing import Literal, get_args

import msgspec

from ucmlab.broker.messages import Row, Setting, Shared
from ucmlab.node.config import AuthzAsked, AuthzKey


class Event(msgspec.Struct, frozen=True):
    """Base of everything that can happen to a node."""


class FileImage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One trust certificate file as found on disk. `op_id` is that of the upload not yet known to be in the log."""

    unit: str
    name: str
    der: bytes
    description: str = ""
    op_id: str = ""


class ReplicaImage(msgspec.Struct, frozen=True):
    """The database replica as found on disk."""

    epoch: int = 0
    seq: int = 0
    hash: bytes = b""
    floor: int = 0
    rows: tuple[Row, ...] = ()
    tombstones: tuple[tuple[str, str, int], ...] = ()
    settings: tuple[Setting, ...] = ()
    """By place and name."""


class LogImage(msgspec.Struct, frozen=True):
    """The publisher's log as found on disk: what is kept of it, and the answers given so far."""

    epoch: int = 0
    floor: int = 0
    floor_hash: bytes = b""
    payloads: tuple[bytes, ...] = ()
    answers: tuple[tuple[str, str, str, int], ...] = ()
    """(op_id, outcome, reason, seq) of operations whose entry is below the floor, or that were refused."""


class DiskImage(msgspec.Struct, frozen=True):
    """Everything a node finds at its start. An empty one is a node that was never installed."""

    boot: int = 1
    identities: dict[str, bytes] = {}
    csrs: dict[str, bytes] = {}
    """Certificate signing requests (DER) by identity unit."""
    installed_by: dict[str, str] = {}
    """Identity unit to the id of the operation that its certificate is from; those of the installation have none."""
    files: tuple[FileImage, ...] = ()
    replica: ReplicaImage = ReplicaImage()
    log: LogImage = LogImage()
    enabled: dict[str, bool] = {}
    """Services whose start at boot was changed by an operator."""
    done_orders: tuple[str, ...] = ()
    """Operation ids of service orders that took effect."""
    keys: dict[str, int] = {}
    """Generation of each kind of sealed private material at hand (`authz`, `ITLRecovery`)."""
    authz: dict[AuthzKey, int] = {}
    """In virtual time, where there are no keys: the generation in which each OAuth key was made."""
    installed: bool = False
    fips: bool = False
    """Whether FIPS mode was carried out."""
    release: str = ""
    """The release that it was upgraded to; empty: the one that it was installed with."""
    former: str = ""
    """The release that it comes from, while an upgrade is not finished."""


class Started(Event, frozen=True):
    """The node's process is up and has read its disk. Always the first event, exactly once."""

    image: DiskImage


class StopRequested(Event, frozen=True):
    """The node is to stop in order: say so on the bus, stop services. The shell ends it when the commands are done."""


class BusConnected(Event, frozen=True):
    """Connected to the broker with a clean session; nothing is subscribed yet."""


class BusDisconnected(Event, frozen=True):
    """The broker closed the connection or is gone. A stalled link is no disconnection: nothing happens then."""


class MessageArrived(Event, frozen=True, gc=False):
    """A PUBLISH from the broker."""

    topic: str
    payload: bytes


class TimerFired(Event, frozen=True, gc=False):
    """A timer that the core started has run out."""

    token: str


class FilesRead(Event, frozen=True, gc=False):
    """The answer to `ReadFiles`."""

    token: str
    files: tuple[FileImage, ...]


class DiskSynced(Event, frozen=True, gc=False):
    """The answer to `SyncDisk`: what was written before it survives a power cut."""

    token: str


class IdentityMade(Event, frozen=True):
    """The answer to `MakeIdentity` and `InstallIdentity`: key and certificate are on disk."""

    unit: str
    der: bytes
    op_id: str = ""
    """Of the operation; the installation has none."""


class CsrMade(Event, frozen=True):
    """The answer to `MakeCsr`: key and request (`der`) are on disk."""

    op_id: str
    der: bytes


class CsrDropped(Event, frozen=True):
    """The answer to `DropCsr`: neither request nor key is on disk any more."""

    op_id: str


class SharedSealed(Event, frozen=True):
    """The answer to `SealShared`."""

    op_id: str
    unit: str
    kind: Shared
    recipient: str
    blob: bytes


class SharedOpened(Event, frozen=True):
    """The answer to `OpenShared`: stored. `der` is the request or certificate; empty: none, or not for this node."""

    op_id: str
    unit: str
    kind: Shared
    sender: str
    der: bytes


class AuthzMade(Event, frozen=True):
    """The answer to `MakeAuthz`: what it asked for is in the key ring."""

    generation: int
    key: AuthzAsked = ""


class KeysSealed(Event, frozen=True):
    """The answer to `SealKeys`."""

    recipient: str
    kind: str
    generation: int
    blob: bytes


class KeysOpened(Event, frozen=True):
    """The answer to `OpenKeys`: stored. `der` is the certificate that came along, for an identity of the cluster."""

    kind: str
    generation: int
    ok: bool
    der: bytes = b""


class OcspAnswered(Event, frozen=True):
    """The answer to `AskOcsp`: what the responder sent, or (`trouble`, a stable word) why there is nothing."""

    token: str
    response: bytes = b""
    trouble: str = ""


class CrlFetched(Event, frozen=True):
    """The answer to `FetchCrl`, likewise."""

    token: str
    crl: bytes = b""
    trouble: str = ""


class CommandFailed(Event, frozen=True):
    """A command could not be performed (disk full, no permission); what followed it in its list was dropped."""

    command: str
    op_id: str
    text: str


class Sent(Event, frozen=True):
    """The answer to `SendMail` and `SendSyslog`."""

    token: str
    error: str = ""
    """Why it was not taken; empty: it was."""
    lasting: bool = False
    """Whether trying again is of no use."""
    refused: tuple[str, ...] = ()
    """Recipients that the server does not know; the others have the mail."""


class TakenOver(Event, frozen=True):
    """The broker gave this node's place on the bus to somebody of the same name; the shell does not connect again."""


class ServiceTroubled(Event, frozen=True):
    """A fault of one service, from its next start on; the only event that may come before `Started`.

    `fails`: so many starts fail (`count`; 0 for all). `hangs`: it stays in `starting`. `slow`: a start takes `delay`.
    `crashes`: it ends by itself `delay` after it came up. Empty: the trouble is over.
    """

    service: str
    trouble: Literal["", "fails", "hangs", "slow", "crashes"]
    count: int = 0
    delay: int = 0


class ListenerFailed(Event, frozen=True):
    """Something of a service's listeners could not be had: a port, or a private key (`what`)."""

    service: str
    what: str
    text: str


REJECTED = "rejected"
NO_CERTIFICATE = "peer did not return a certificate"
"""OpenSSL's words for a client that presented none where it had to."""


class PeerShown(Event, frozen=True):
    """A client of a listener has presented its certificate; it waits for `Admit`, unless the handshake has ended."""

    token: str
    """Empty: the handshake is over, and nobody waits."""
    service: str
    listener: str
    chain: tuple[bytes, ...]
    """DER, its own certificate first; empty: it presented none."""
    trouble: str = ""
    """What ended the handshake: `REJECTED`, the client did not accept what it was shown; else in OpenSSL's words."""


class TlsOpened(Event, frozen=True):
    """The answer to `OpenTls`.

    `open`: OpenSSL found no fault, and the server let us in. `failed`: OpenSSL did. `rejected`: the server did not let
    us in. `unreachable`: there is no server, or it said nothing in time.
    """

    token: str
    outcome: Literal["open", "failed", "rejected", "unreachable"]
    chain: tuple[bytes, ...] = ()
    """What the server presented, DER."""
    text: str = ""


class LinkEnded(Event, frozen=True):
    """A connection that stayed open is there no more: the other end has gone, or it answers `CloseLink`."""

    token: str
    """Of the `CloseLink`; empty: the other end has gone."""
    link: str
    """The token of its `OpenTls`."""


class ReplicationSet(Event, frozen=True):
    """The fault `replication break|repair`: what the publisher replicates does or does not reach this node."""

    broken: bool


class Upload(Event, frozen=True):
    """An operator uploads a file. `op_id` is the operator's; the same id again is the same operation."""

    op_id: str
    purpose: str
    data: bytes
    description: str = ""
    cause: str = ""
    by_cli: bool = False
    """Whether it came by the platform's command line, which takes no multi-SAN certificates from 14SU2 on (R-121)."""

    @property
    def unit(self) -> str:
        """The unit that the purpose names (R-015)."""
        return self.purpose


class Delete(Event, frozen=True):
    """An operator deletes a certificate, confirmed."""

    op_id: str
    unit: str
    fingerprint: str
    cause: str = ""


class SetDefaultCas(Event, frozen=True):
    """An operator enables or disables CA certificates that came with the product, in all stores at once (B.9)."""

    op_id: str
    enabled: bool
    name: str = ""
    """The common name of one; empty: all of them."""
    cause: str = ""

    @property
    def unit(self) -> str:
        """What they are called together, or the one: they lie in several units."""
        return self.name or "default CA certificates"


class GenerateCsr(Event, frozen=True):
    """An operator wants a certificate signing request for an identity of this node; it overwrites the last one."""

    op_id: str
    unit: str
    key: str = ""
    """`rsa-3072`, `ec-256`; empty: the kind that the unit has from its installation."""
    digest: str = ""
    """`sha256`, `sha384`, `sha512`; empty: the usual one of the key."""
    san: tuple[str, ...] = ()
    """Further DNS names and IP addresses."""
    include_ou: bool = False
    """From 14SU1; releases before always include it."""
    multi_server: bool = False
    """One request for all nodes that have the unit: it is copied to them, key included (B.8)."""
    common_name: str = ""
    """Empty: that of the unit's own certificate, for all nodes with its `-ms` (B.8)."""
    cause: str = ""


class DeleteCsr(Event, frozen=True):
    """An operator wants the request that waits on this node to be gone, and its key with it."""

    op_id: str
    unit: str
    cause: str = ""


class Regenerate(Event, frozen=True):
    """An operator wants a new self-signed certificate in an identity's place, with the same length of key (R-090)."""

    op_id: str
    unit: str
    cause: str = ""


class GenerateSelfSigned(Event, frozen=True):
    """An operator wants a new self-signed certificate in an identity's place, of a form of the operator's (R-092)."""

    op_id: str
    unit: str
    key: str = ""
    """`rsa-3072`, `ec-256`; empty: the kind that the unit has from its installation."""
    digest: str = ""
    """`sha256`, `sha384`, `sha512`; empty: the usual one of the key."""
    years: int = 0
    """How long it is valid; 0: as the unit's from the installation."""
    cn_serial: bool = False
    """Whether the serial number follows the common name; from 14SU1."""
    include_ou: bool = False
    """From 14SU1; releases before always include it."""
    multi_server: bool = False
    """One certificate and key for all nodes that have the unit; from 14 (A.19)."""
    cause: str = ""


class ReuseCertificate(Event, frozen=True):
    """An operator wants the multi-server certificate of tomcat to stand in for CallManager's, on all nodes; from 14."""

    op_id: str
    unit: str
    """The identity that gives way."""
    cause: str = ""


class Plant(Event, frozen=True):
    """Somebody sets up a state: certificates are to be in a trust unit, in files or database, past all rules."""

    op_id: str
    unit: str
    data: bytes
    files: bool = True
    database: bool = True
    cause: str = ""


class Age(Event, frozen=True):
    """Somebody sets up a state: an identity is to be self-signed and to end after `expires_in` (negative: it has)."""

    op_id: str
    unit: str
    expires_in: int
    """Lab microseconds from now, by this node's wall clock."""
    cause: str = ""


class SetParameter(Event, frozen=True):
    """An administrator saves a page of this node (R-206), or sets a mode on its command line: what was edited, at once.

    `place` is `cluster`, or this node: then the value is that of its side of the cluster, where each side has its own.
    What is edited and not saved is nobody's but the administrator's: no node hears of it.
    """

    op_id: str
    place: str
    name: str
    value: str
    cause: str = ""
    others: tuple[tuple[str, str], ...] = ()
    """Names and values of what else was edited on the page: all of it is saved, or none."""

    @property
    def values(self) -> tuple[tuple[str, str], ...]:
        """Everything that is saved: names and values."""
        return ((self.name, self.value), *self.others)

    @property
    def unit(self) -> str:
        """The first parameter, in whatever case it is written."""
        return self.name.casefold()


class OrderService(Event, frozen=True):
    """An operator orders a service of `node` about, from this node's Control Center."""

    op_id: str
    node: str
    service: str
    action: Literal["start", "stop", "restart", "enable", "disable"]
    cause: str = ""


class Upgrade(Event, frozen=True):
    """An operator has the node upgraded to a later release, which it runs from its next start on."""

    op_id: str
    release: str
    cause: str = ""


class Connect(Event, frozen=True):
    """An operator, or the product itself, has a node open a TLS connection of one of its kinds (`clients.toml`)."""

    op_id: str
    client: str
    node: str = ""
    """Whom: another node, or empty."""
    listener: str = ""
    """Of that node; empty: the one of the kind."""
    address: str = ""
    """`HOST:PORT` of a server outside; of a node the lab fills it in."""
    name: str = ""
    """By which name; empty: the node's fully qualified one, or the address's host."""
    reachable: bool = True
    """Whether the network lets them reach each other; the lab fills it in."""
    ec_only: bool = False
    cause: str = ""


class RegenerateAuthz(Event, frozen=True):
    """Make one of the authz keys anew, and copy both to all nodes that are up (R-123, R-133)."""

    op_id: str
    key: AuthzAsked = ""
    """Empty: both, as the installation does; the product has no such verb."""
    cause: str = ""


AnyOperation = (
    Upload
    | Delete
    | SetDefaultCas
    | GenerateCsr
    | DeleteCsr
    | Regenerate
    | GenerateSelfSigned
    | ReuseCertificate
    | Plant
    | Age
    | SetParameter
    | OrderService
    | Upgrade
    | Connect
    | RegenerateAuthz
)
"""What operators ask for."""
OPERATIONS = get_args(AnyOperation)
AnyEvent = (
    AnyOperation
    | Started
    | StopRequested
    | BusConnected
    | BusDisconnected
    | MessageArrived
    | TimerFired
    | FilesRead
    | DiskSynced
    | IdentityMade
    | AuthzMade
    | CsrMade
    | CsrDropped
    | SharedSealed
    | SharedOpened
    | KeysSealed
    | KeysOpened
    | OcspAnswered
    | CrlFetched
    | CommandFailed
    | Sent
    | TakenOver
    | ListenerFailed
    | PeerShown
    | TlsOpened
    | LinkEnded
    | ServiceTroubled
    | ReplicationSet
)
