"""One server of the cluster as a state machine: `handle(event, now) -> list[Command]`.

Everything that a node decides is decided here and in the machines that this file puts together; it performs nothing.
What must live here: which machine hears of which event, and who may say what on the bus. What this file must not know:
asyncio, sockets, files, clocks, randomness. The publisher is this same machine with the log's authority on top
(`ucmlab.publisher.core`).
"""

from collections.abc import Mapping

import msgspec

from ucmlab.broker import topics
from ucmlab.broker.codec import BusCodec, Opened, Refused
from ucmlab.broker.messages import (
    Answer,
    Birth,
    Entries,
    Head,
    KeysInstalled,
    LogEntry,
    Proposal,
    Row,
    RowKey,
    SealedKeys,
    ServiceOrder,
    ServiceReport,
    Snapshot,
)
from ucmlab.node.alarms import Alarms
from ucmlab.node.broken_chains import tell_broken_chains
from ucmlab.node.certificates import parse
from ucmlab.node.change_notification import COMPARE, REACTION_TIMER, RESYNC_TIMER, ChangeNotification
from ucmlab.node.commands import (
    FILE_COMMANDS,
    AnyCommand,
    DropCsr,
    Halt,
    InstallIdentity,
    InstallSnapshot,
    MakeCsr,
    MakeIdentity,
    OpenKeys,
    OpenShared,
    ReadFiles,
    Reply,
    ReuseIdentity,
    SealShared,
    SetRelease,
    Subscribe,
)
from ucmlab.node.comparison import Comparison
from ucmlab.node.config import NodeConfig
from ucmlab.node.connections import TIMER as CONNECT_TIMER
from ucmlab.node.connections import Connections
from ucmlab.node.context import Context, Fact
from ucmlab.node.csr_requests import CsrRequests
from ucmlab.node.directory_sync import SERVICE as DIRECTORY_SYNC
from ucmlab.node.directory_sync import TIMER as DIRECTORY_TIMER
from ucmlab.node.directory_sync import DirectorySync
from ucmlab.node.errors import Refusal
from ucmlab.node.events import (
    Age,
    AnyEvent,
    AuthzMade,
    BusConnected,
    BusDisconnected,
    CommandFailed,
    Connect,
    CrlFetched,
    CsrDropped,
    CsrMade,
    Delete,
    DeleteCsr,
    DiskImage,
    DiskSynced,
    FilesRead,
    GenerateCsr,
    GenerateSelfSigned,
    IdentityMade,
    KeysOpened,
    KeysSealed,
    LinkEnded,
    ListenerFailed,
    MessageArrived,
    OcspAnswered,
    OrderService,
    PeerShown,
    Plant,
    Regenerate,
    RegenerateAuthz,
    ReplicationSet,
    ReuseCertificate,
    Sent,
    ServiceTroubled,
    SetDefaultCas,
    SetParameter,
    SharedOpened,
    SharedSealed,
    Started,
    StopRequested,
    TakenOver,
    TimerFired,
    TlsOpened,
    Upgrade,
    Upload,
)
from ucmlab.node.expiry_monitor import SERVICE as EXPIRY_MONITOR
from ucmlab.node.expiry_monitor import TIMER as MONITOR_TIMER
from ucmlab.node.expiry_monitor import ExpiryMonitor
from ucmlab.node.filing import Filing
from ucmlab.node.fips import FipsMode
from ucmlab.node.following import Follower
from ucmlab.node.identity_changes import IdentityChanges
from ucmlab.node.installation import Installation
from ucmlab.node.instant import Instant
from ucmlab.node.link_keeping import LinkKeeping
from ucmlab.node.links import CHECK as LINKS_TIMER
from ucmlab.node.links import Links
from ucmlab.node.loading import Loader
from ucmlab.node.multi_server import TIMER as MULTI_SERVER_TIMER
from ucmlab.node.multi_server import MultiServer
from ucmlab.node.operations import TIMER as OPERATION_TIMER
from ucmlab.node.operations import Operations
from ucmlab.node.ordering import Ordering
from ucmlab.node.releases import judge_upgrade
from ucmlab.node.replica import Replica
from ucmlab.node.revocation import QUERY_TIMER, Revocation
from ucmlab.node.revocation import TIMER as REVOCATION_TIMER
from ucmlab.node.revocation_checks import RevocationChecks
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.sending import TIMER as SEND_TIMER
from ucmlab.node.service_changes import ServiceChanges
from ucmlab.node.services import CHANGE_NOTIFICATION, Services
from ucmlab.node.slots import Order
from ucmlab.node.status import NodeStatus
from ucmlab.node.unlisted_files import UnlistedFiles
from ucmlab.node.upgrading import Upgrading

_IDENTITY_COMMANDS = (MakeIdentity.__name__, InstallIdentity.__name__, ReuseIdentity.__name__)
_OF_OPERATIONS = (*(each.__name__ for each in FILE_COMMANDS), *_IDENTITY_COMMANDS)
"""Commands that leave node and disk of one mind when they fail."""
RELOAD = "reload"
"""Token of a reading of the files that only tells what is there."""


class NodeCore:
    """A node. One instance is one life of its process: from `Started` to the kill."""

    context_class = Context
    replica_class = Replica
    follower_class = Follower
    operations_class = Operations
    services_class = Services
    change_notification_class = ChangeNotification
    unlisted_files_class = UnlistedFiles
    comparison_class = Comparison
    """Which machines are put together; a planted bug takes another one."""

    def __init__(self, config: NodeConfig, rulebook: RuleBook, codec: BusCodec) -> None:
        """`codec` seals as this node in this boot."""
        self.config = config
        self.context = self.context_class(config, rulebook, codec)
        self.identities: dict[str, bytes] = {}
        self.keys: dict[str, int] = {}
        self.filing = Filing(self.context)
        self._loader = Loader(self.context, self.filing, self.identities)
        self.services = self.services_class(
            self.context,
            self._loader,
            changed=self._service_changed,
            reported=self._service_reported,
        )
        self.context.parameter_changed = self.services.parameter_changed
        self.service_changes = ServiceChanges(self.context, self.services, self.filing)
        self.installation = Installation(
            self.context,
            self.identities,
            self.filing,
            propose=self._propose_installation,
            installed=self._installed,
        )
        self.csr_requests = CsrRequests(self.context, self.identities, answer=self._reply)
        self.installed_by: dict[str, str] = {}
        self.ordering = Ordering(self.context)
        self.alarms = Alarms(self.context)
        self.context.on_alarm = self._alarm_raised
        self.expiry_monitor = ExpiryMonitor(
            self.context, self.filing, identities=self.identities, mail=self.alarms.mail
        )
        self._publisher_birth: tuple[int, str] | None = None
        self._told = (0, 0)
        """The newest position that an answer to this node named: what it was told there is done, applied or not."""

    # -- life

    def _take(self, image: DiskImage) -> None:
        """Believe the disk."""
        self.context.boot = image.boot
        image = self._without_retired(image)
        self.identities.update(image.identities)
        self.csr_requests.made_for.update(image.csrs)
        self.installed_by.update(image.installed_by)
        self.keys = dict(image.keys)
        self.filing.take(image.files)
        self.replica = self.replica_class(image.replica)
        self.context.set_parameters.update(self.replica.settings)
        self.follower = self._make_follower()
        self.identity_changes = IdentityChanges(
            self.context,
            self.filing,
            self.replica,
            identities=self.identities,
            requests=self.csr_requests.made_for,
            installed_by=self.installed_by,
        )
        self.revocation = Revocation(self.context, self.filing)
        self.revocation_checks = RevocationChecks(
            self.context, self.revocation, self.filing, identities=self.identities
        )
        self.links = Links(self.context, self.revocation)
        self.link_keeping = LinkKeeping(self.context, self.links)
        self.connections = Connections(
            self.context,
            self.services,
            self._loader,
            revocation=self.revocation,
            keeping=self.link_keeping,
            answer=self._reply,
        )
        self.directory_sync = DirectorySync(self.context, self.link_keeping, connect=self.connections.ask)
        self.operations = self._make_operations()
        self.multi_server = MultiServer(
            self.context,
            requests=self.csr_requests.made_for,
            identities=self.identities,
            installed_by=self.installed_by,
            upload=self.operations.ask,
            chain=self.identity_changes.chain,
            away=self._is_away,
            running=self.services.running,
        )
        self.unlisted_files = self.unlisted_files_class(
            self.context,
            self.filing,
            self.replica,
            occupied=self.operations.occupied,
            up_to_date=self._is_as_told,
        )
        self.change_notification = self.change_notification_class(
            self.context,
            self.filing,
            self.replica,
            propose_file=self.operations.propose_file,
            propose_mapping=self.operations.propose_mapping,
            occupied=self.operations.occupied,
            caught_up=self._caught_up,
        )
        self.comparison = self.comparison_class(
            self.context,
            self.filing,
            self.replica,
            identities=self.identities,
            change_notification=self.change_notification,
            unlisted_files=self.unlisted_files,
            operations=self.operations,
            up_to_date=self._is_as_told,
        )
        self.upgrading = Upgrading(
            self.context,
            self.filing,
            self.replica,
            former=image.former,
            identities=self.identities,
            propose=self.operations.propose_own,
            carried_over=self._carried_over,
        )
        self.services.take(enabled=image.enabled, done_orders=image.done_orders)
        self.fips = FipsMode(
            self.context,
            carried_out=image.fips,
            identities=self.identities,
            caught_up=self._caught_up,
            regenerate=self.operations.ask,
            reboot=self.services.reboot,
        )
        self.installation.complete = image.installed

    def _without_retired(self, image: DiskImage) -> DiskImage:
        """The disk without rows and tombstones of units that this release has no more; nobody asks for them again."""
        retired, there = self.context.rulebook.retired_units, image.replica
        rows = tuple(row for row in there.rows if row.unit not in retired)
        tombstones = tuple(each for each in there.tombstones if each[0] not in retired)
        if (len(rows), len(tombstones)) == (len(there.rows), len(there.tombstones)):
            return image
        left = msgspec.structs.replace(there, floor=0, rows=rows, tombstones=tombstones)
        self.context.ask(InstallSnapshot(left.epoch, left.seq, left.hash, rows, tombstones, left.settings))
        return msgspec.structs.replace(image, replica=left)

    def _make_follower(self) -> Follower:
        return self.follower_class(
            self.context,
            self.replica,
            applied=self._applied,
            replaced=self._replaced,
            may_acknowledge=self._may_acknowledge,
            publisher_away=self.believes_publisher_away,
            settled_files=self._settled_files,
        )

    def _make_operations(self) -> Operations:
        return self.operations_class(
            self.context,
            self.filing,
            self.replica,
            identity_changes=self.identity_changes,
            revocation=self.revocation,
            answer=self._reply,
            submit=self._submit,
            publisher_away=self.believes_publisher_away,
        )

    def _started(self, image: DiskImage) -> None:
        self._take(image)
        self.multi_server.begin()
        self.context.record("started", boot=image.boot)
        if self.installation.complete and self.upgrading.former:
            self.upgrading.begin()
        elif self.installation.complete:
            self.unlisted_files.mend()
            self.filing.touched = {}  # of these, what is to be loaded now
            self.services.boot()
            self.parameters_changed()
            self.fips.begin()
        else:
            self.installation.begin()

    def _carried_over(self) -> None:
        """The upgrade is done: from here on the node lives as after any boot."""
        self.unlisted_files.mend()
        self.filing.touched = {}  # as at any boot
        self._installed()

    def _propose_installation(self, op_id: str, rows: tuple[Row, ...]) -> None:
        self.operations.propose_installation(op_id, rows)

    def _installed(self) -> None:
        """The installation is complete: from here on the node lives as after any boot."""
        self.services.boot()
        self.parameters_changed()
        self._publish_birth("up")
        self.fips.begin()

    def _stop(self) -> None:
        self.services.shut_down()
        self._publish_birth("stopped")
        self.context.record("stopped")

    def will(self) -> tuple[str, bytes]:
        """What the broker is to publish, retained, when this node's connection is lost: topic and payload."""
        topic = self.context.topics.birth(self.config.name)
        # Asked for before `Started` has told the core which of its lives this is.
        codec = self.context.codec
        return topic, codec.seal(topic, Birth("lost", codec.boot, {}, {}))

    # -- the machine

    def handle(self, event: AnyEvent, now: Instant) -> list[AnyCommand]:
        """Take in what happened; return what is wanted, to be performed in order."""
        context = self.context
        context.begin(now, "")
        if type(event) is MessageArrived:  # most of what happens to a node
            self._message(event.topic, event.payload)
        else:
            self._dispatch(event)
        if self.filing.gone:
            tell_broken_chains(self.context, self.filing, self.identities)
        if self.filing.touched:
            self.service_changes.look()
        return context.commands

    def _dispatch(self, event: AnyEvent) -> None:  # noqa: C901, PLR0912, PLR0915  one case for each event, nothing else
        match event:
            case MessageArrived():
                self._message(event.topic, event.payload)
            case TimerFired():
                self._timer(event.token)
            case DiskSynced():
                self._synced()
            case FilesRead():
                self._files_read(event)
            case Upload() | GenerateCsr() | GenerateSelfSigned() | ReuseCertificate() if self._is_shared(event.op_id):
                pass  # asked for again: it is done here, and its reply comes when the others have answered
            case Upload() | GenerateSelfSigned() | ReuseCertificate():
                self.multi_server.expect(event)
                self.operations.ask(event)
            case Delete() | SetDefaultCas() | Regenerate() | Plant() | Age() | SetParameter():
                self.operations.ask(event)
            case GenerateCsr():
                self.multi_server.expect(event)
                self.csr_requests.ask(event)
            case DeleteCsr():
                self.csr_requests.delete(event)
            case CsrMade():
                self.csr_requests.made(event)
            case CsrDropped():
                self.csr_requests.dropped(event)
            case SharedSealed():
                self.multi_server.sealed(event)
            case SharedOpened():
                self._shared_opened(event)
            case OrderService():
                self._order_service(event)
            case RegenerateAuthz():
                self._regenerate_authz(event)
            case Upgrade():
                self._upgrade(event)
            case BusConnected():
                self._connected()
            case BusDisconnected():
                self._disconnected()
            case Started():
                self._started(event.image)
            case StopRequested():
                self._stop()
            case IdentityMade():
                self._identity_made(event)
            case KeysOpened():
                self._keys_opened(event)
            case ReplicationSet():
                self._set_replication(broken=event.broken)
            case OcspAnswered():
                self.revocation.answered(event)
            case CrlFetched():
                self.revocation_checks.crl_fetched(event)
            case CommandFailed():
                self._command_failed(event)
            case Sent():
                self.alarms.sent(event)
            case TakenOver():
                self._taken_over()
            case ServiceTroubled():
                self.services.trouble(event)
            case Connect():
                self.connections.ask(event)
            case TlsOpened():
                self.connections.opened(event)
            case LinkEnded():
                self.link_keeping.ended(event)
            case PeerShown():
                self.connections.shown(event)
            case ListenerFailed():
                self.connections.failed(event)
            case AuthzMade() | KeysSealed():
                self._publisher_keys(event)

    def _command_failed(self, event: CommandFailed) -> None:
        """A full disk and the like.

        Files can be compared again; with a database that lacks what the node believes it holds, only a fresh start from
        the disk is safe.
        """
        self.context.alarm("command_failed", event.op_id, command=event.command, text=event.text)
        if event.command in _OF_OPERATIONS and (event.op_id or event.command not in _IDENTITY_COMMANDS):
            self.operations.failed(event.op_id, event.text)
            self.multi_server.connected()  # a timer of its own may have been in the list
            # A file that could not be removed is still there, and must keep this node from acknowledging the delete.
            self.context.ask(ReadFiles(RELOAD))
        elif event.command in (MakeCsr.__name__, DropCsr.__name__):
            self.csr_requests.failed(event.op_id, event.text)
        elif event.command in (SealShared.__name__, OpenShared.__name__):
            pass  # nothing of this node's has changed; whoever waits asks again, or is told that it went without
        else:
            self.context.ask(Halt(f"{event.command} failed: {event.text}"))
            return
        for each in (self.revocation, self.revocation_checks, self.links, self.directory_sync):
            each.ask_again()

    def parameters_changed(self) -> None:
        """What an administrator has set is otherwise than before, or known only now: what runs by it runs anew."""
        self.revocation_checks.parameters_changed()
        self.links.parameters_changed()
        self.directory_sync.parameters_changed()

    def _reply(self, reply: Reply) -> None:
        """Answer the operator, unless other nodes come first, or it was the node itself that asked."""
        if not any(asked.takes(reply) for asked in (self.multi_server, self.fips, self.directory_sync)):
            self.context.ask(reply)

    def _is_shared(self, op_id: str) -> bool:
        return self.multi_server.shares(op_id)

    def _is_away(self, member: str) -> bool:
        """Whether a member is known to be away; this node is told of the publisher alone."""
        return member == self.config.publisher and self.believes_publisher_away()

    def _taken_over(self) -> None:
        """Somebody else joined the bus under this node's name; people must find out who is the right one."""
        self.context.alarm("duplicate_node", node=self.config.name)

    def _publisher_keys(self, event: AuthzMade | KeysSealed) -> None:
        """Only the publisher makes or seals keys; elsewhere nobody asked."""

    # -- the bus

    def _connected(self) -> None:
        self.context.connected = True
        self.context.ask(Subscribe(self._filters()))
        self._publish_birth("up")
        self.follower.connected()
        self.operations.connected()
        self.multi_server.connected()
        self.ordering.connected()

    def _filters(self) -> tuple[str, ...]:
        return self.context.topics.follower_filters(self.config.name, self.config.publisher)

    def _disconnected(self) -> None:
        self.context.connected = False
        self._publisher_birth = None

    def _publish_birth(self, state: str) -> None:
        birth = Birth(state, self.context.boot, dict(self.keys), self.services.states())  # type: ignore[arg-type]  # callers' literals
        self.context.publish(self.context.topics.birth(self.config.name), birth, retain=True)

    def _message(self, topic: str, payload: bytes) -> None:
        context = self.context
        address = topics.parse(topic)
        if address is None:
            context.record("bus_refused", reason="topic", topic=topic)
            return
        try:
            opened = context.open(context.topics.log_binding() if address.kind == "log" else topic, payload)
        except Refused as refused:
            context.record("bus_refused", reason=refused.reason, sender=refused.sender, topic=topic)
            return
        context.cause = opened.cause
        if opened.sender == self.config.publisher:
            self._publisher_speaks(address.kind, opened.boot)
        heard = self._peer_heard if address.kind == "peer" else self._heard
        if not heard(address, opened, payload):
            context.record("bus_refused", reason="sender", sender=opened.sender, topic=topic)

    def _heard(self, address: topics.Address, opened: Opened, payload: bytes) -> bool:
        """Hand the message to whom it concerns; False when its sender may not say such a thing there."""
        from_publisher = opened.sender == self.config.publisher
        to_me = from_publisher and address.node == self.config.name
        match opened.message:
            case LogEntry() as entry if address.kind == "log" and from_publisher:
                self.follower.entry_told(entry, payload)
            case Head() as head if address.kind == "head" and from_publisher:
                self._head_told(head)
            case Answer() as answer if address.kind == "answer" and to_me:
                self._answered(answer)
            case Entries() as entries if address.kind == "answer" and to_me:
                self.follower.entries_told(entries)
                self._perhaps_caught_up()
            case Snapshot() as snapshot if address.kind == "answer" and to_me:
                self.follower.snapshot_told(snapshot)
                self._perhaps_caught_up()
            case Birth() as birth if address.kind == "birth" and opened.sender == address.node:
                self._birth_told(opened.sender, birth)
            case ServiceOrder() as order if address.kind == "cmd" and to_me:
                self._carry_out(order.op_id, order.service, order.action, order.not_after)
            case ServiceOrder() if address.kind == "cmd" and opened.sender == address.node == self.config.name:
                pass  # this node's order to itself: on the bus for those who watch
            case SealedKeys() as keys if address.kind == "keys" and to_me:
                self._keys_told(opened.sender, keys)
            case _:
                return False
        return True

    def _peer_heard(self, address: topics.Address, opened: Opened, _payload: bytes) -> bool:
        """What another node says to this one, and nobody's else."""
        if address.leaf != self.config.name or opened.sender != address.node or opened.sender == self.config.name:
            return False
        return self.multi_server.heard(opened.sender, opened.message)

    def _head_told(self, head: Head) -> None:
        self.follower.head_told(head)
        self._perhaps_caught_up()

    def _perhaps_caught_up(self) -> None:
        self.change_notification.replica_caught_up()
        if self.fips.waits:
            self.fips.look()

    def _birth_told(self, sender: str, birth: Birth) -> None:
        """Of the publisher's births and wills only those of its newest boot count: a will may come late."""
        if sender != self.config.publisher:
            return
        known = self._publisher_birth
        if known is not None and birth.boot < known[0]:
            return
        if birth.state == "up" and known is not None and known[1] != "up":
            self._publisher_is_back(birth.boot)
        self._publisher_birth = (birth.boot, birth.state)

    def _publisher_speaks(self, kind: str, boot: int) -> None:
        """Its birth may be lost on the way; then whatever it says afterwards tells that it is there.

        What is retained may be older than its will: of that boot, only what nobody retains.
        """
        known = self._publisher_birth
        if known is None or known[1] == "up" or kind == "birth":
            return
        if boot > known[0] or (boot == known[0] and known[1] == "lost" and kind in ("log", "answer")):
            self._publisher_is_back(boot)

    def _publisher_is_back(self, boot: int) -> None:
        self._publisher_birth = (boot, "up")
        self.operations.connected()
        self.follower.publisher_back()

    def believes_publisher_away(self) -> bool:
        """Whether the publisher is *known* to be unreachable; silence is not knowledge.

        So is one of another release: it is there, but its database is none that this node can write to.
        """
        return self._publisher_is_gone() or self.follower.apart

    def _publisher_is_gone(self) -> bool:
        return not self.context.connected or (self._publisher_birth is not None and self._publisher_birth[1] != "up")

    def _submit(self, proposal: Proposal) -> bool:
        """Ask the publisher; whether anything left this node."""
        if self.follower.apart:
            return False
        self.context.publish(self.context.topics.request(self.config.name, "propose"), proposal)
        return self.context.connected

    def _answered(self, answer: Answer) -> None:
        self._told = max(self._told, (answer.epoch, answer.seq))
        self.operations.answered(answer)
        if answer.op_id == self.installation.op_id and not self.installation.complete:
            self.installation.answered()
        elif self.upgrading.former and answer.op_id == self.upgrading.op_id:
            self.upgrading.answered((answer.epoch, answer.seq))

    def _is_as_told(self) -> bool:
        """Whether the replica has all that answers to this node named."""
        return self.replica.position >= self._told

    # -- rows and files

    def _caught_up(self) -> bool:
        return self.follower.caught_up()

    def _applied(self, entry: LogEntry, new: tuple[RowKey, ...], live: bool) -> None:  # noqa: FBT001  # a callback
        """An entry came into the replica: what does not wait for Change Notification, then its notice."""
        self.unlisted_files.applied(entry, new)
        self.service_changes.applied(entry, live=live)
        if entry.settings:
            self.parameters_changed()
            self.fips.look()
        if live:
            self.change_notification.notice(entry, new)
        self.change_notification.replica_caught_up()
        self.upgrading.look()

    def _settled_files(self) -> tuple[RowKey, ...]:
        """Files of listed units that had a row once; no operation waits beside them."""
        if self.config.replication != "modern":
            return ()
        units = self.context.rulebook.units
        held = ((unit, files) for unit, files in self.filing.by_unit.items() if units[unit].replicated)
        return tuple((unit, each) for unit, files in held for each, file in files.items() if not file.op_id)

    def _replaced(self, first: bool) -> None:  # noqa: FBT001  # a callback
        """A snapshot took the place of all rows; files follow at the next comparison.

        The first one is part of the installation, whichever of the two came first: the snapshot or the log's answer.
        """
        if first:
            self.unlisted_files.installed(tuple(self.replica.rows))
            self.service_changes.installed(self.replica.rows.values())
        self.parameters_changed()
        self.fips.look()
        self.upgrading.look()

    def _files_read(self, event: FilesRead) -> None:
        if event.token == RELOAD:
            self.filing.take(event.files)
        elif event.token == COMPARE:
            self.comparison.make(event)
            self.follower.acknowledge_soon()

    def _may_acknowledge(self) -> bool:
        """In `modern` a position counts when the files agree as well, so a stopped service holds the floor."""
        return self.config.replication != "modern" or self.change_notification.agrees()

    def _synced(self) -> None:
        self.follower.synced()

    def _identity_made(self, event: IdentityMade) -> None:
        self._identity_replaced(event.unit, event.der, event.op_id)
        if not event.op_id:
            made_by = self.installation if not self.installation.complete else self.upgrading
            made_by.made(event.unit)
            return
        self.installed_by[event.unit] = event.op_id
        self.csr_requests.consumed(event.unit, event.der)
        self.operations.identity_made(event.op_id)

    def _shared_opened(self, event: SharedOpened) -> None:
        """What another node made for several: an identity has a row to come as well."""
        self.multi_server.opened(event)
        if event.der and event.kind == "identity":
            self.installed_by[event.unit] = event.op_id
            self._identity_replaced(event.unit, event.der, event.op_id)
            self.operations.propose_identities()

    def _identity_replaced(self, unit: str, der: bytes, op_id: str = "") -> None:
        new = unit not in self.identities
        self.identities[unit] = der
        certificate = parse(der)
        self.context.record("identity_made", op_id, unit=unit, fingerprint=certificate.fingerprint)
        self.service_changes.identity_replaced(unit, certificate, new=new)

    def _set_replication(self, *, broken: bool) -> None:
        if broken != self.follower.broken:
            self.context.record("fault", fault="replication", state="broken" if broken else "repaired")
            self.follower.set_broken(broken=broken)

    # -- services

    def _service_changed(self, service: str, running: bool) -> None:  # noqa: FBT001  # a callback
        if not running:
            self.link_keeping.service_stopped(service)
        if service == CHANGE_NOTIFICATION:
            if running:
                self.change_notification.started()
            else:
                self.change_notification.stopped()
        elif service == EXPIRY_MONITOR:
            self.expiry_monitor.service_changed(running=running)
        elif service == DIRECTORY_SYNC:
            self.directory_sync.service_changed(running=running)

    def _alarm_raised(self, alarm: str, facts: Mapping[str, Fact]) -> None:
        # By way of the core: whoever takes a simulated world apart cuts its circles here.
        self.alarms.raised(alarm, facts)

    def _service_reported(self, report: ServiceReport) -> None:
        """A report of this node's own; an order given from here may wait for it."""
        self.ordering.reported(self.config.name, report)

    def _order_service(self, event: OrderService) -> None:
        """From this node's Control Center: its own services, and on the publisher everybody's."""
        if event.node != self.config.name:
            text = self.context.rulebook.refusal_text("publisher_only", unit=f"services of {event.node}")
            self.context.ask(Reply(event.op_id, "refused", "publisher_only", text))
            return
        not_after = self.ordering.give(event)
        self._carry_out(event.op_id, event.service, event.action, not_after)

    def _carry_out(self, op_id: str, service: str, action: str, not_after: int) -> None:
        self.services.receive(Order(op_id, service, action), not_after=not_after)

    # -- another release

    def _upgrade(self, event: Upgrade) -> None:
        """From its next start on the node runs a later release; until then nothing changes."""
        context = self.context
        context.cause = event.cause or context.cause
        context.record("operation", event.op_id, phase="begun", kind="upgrade", release=event.release)
        try:
            self._judge_upgrade(event.release)
        except Refusal as refusal:
            context.record("operation", event.op_id, phase="ended", outcome="refused", reason=refusal.reason)
            text = context.rulebook.refusal_text(refusal.reason, detail=refusal.text, release=event.release)
            context.ask(Reply(event.op_id, "refused", refusal.reason, text))
            return
        # One that is cut off in the middle of an upgrade, and goes further, still comes from where it came.
        context.ask(SetRelease(event.release, self.upgrading.former or self.config.release))
        context.record("operation", event.op_id, phase="ended", outcome="done")
        context.ask(Reply(event.op_id, "done"))

    def _judge_upgrade(self, release: str) -> None:
        judge_upgrade(
            self.context.rulebook,
            release,
            node=self.config.name,
            publisher=self.config.publisher,
            runs=self.follower.publisher_release,
            away=self._publisher_is_gone(),
        )

    # -- keys

    def _keys_told(self, sender: str, keys: SealedKeys) -> None:
        if keys.generation > self.keys.get(keys.kind, 0):
            self.context.ask(OpenKeys(keys.kind, keys.generation, sender, keys.blob))
        else:
            self._tell_installed(keys.kind)

    def _keys_opened(self, event: KeysOpened) -> None:
        if not event.ok:
            self.context.alarm("keys_not_opened", kind=event.kind, generation=event.generation)
            return
        renewed = event.kind in self.keys
        self.keys[event.kind] = event.generation
        if event.der:
            self._identity_replaced(event.kind, event.der)
        self.context.record("keys_installed", kind=event.kind, generation=event.generation)
        if event.kind == "authz" and renewed:
            self.service_changes.authz_renewed()
        self._tell_installed(event.kind)

    def _tell_installed(self, kind: str) -> None:
        topic = self.context.topics.request(self.config.name, "keys")
        self.context.publish(topic, KeysInstalled(self.keys[kind], kind))

    def _regenerate_authz(self, event: RegenerateAuthz) -> None:
        text = self.context.rulebook.refusal_text("publisher_only", unit="AUTHZ")
        self.context.ask(Reply(event.op_id, "refused", "publisher_only", text))

    # -- timers

    def _timer(self, token: str) -> None:  # noqa: C901  one case for each machine, nothing else
        if token.startswith("follow:"):
            self.follower.timer(token)
        elif token == RESYNC_TIMER:
            self.change_notification.resync_due()
        elif token == REACTION_TIMER:
            self.change_notification.reaction_due()
            self.follower.acknowledge_soon()
        elif token.startswith(OPERATION_TIMER):
            self.operations.timer(token.removeprefix(OPERATION_TIMER))
        elif token.startswith(MULTI_SERVER_TIMER):
            self.multi_server.timer(token.removeprefix(MULTI_SERVER_TIMER))
        elif token.startswith("service:"):
            self.services.timer(token.removeprefix("service:"))
        elif token.startswith(CONNECT_TIMER):
            self.connections.timer(token.removeprefix(CONNECT_TIMER))
        elif token.startswith("order:"):
            self.ordering.timer(token.removeprefix("order:"))
        elif token.startswith(REVOCATION_TIMER):
            self._revocation_timer(token)
        elif token.startswith((MONITOR_TIMER, SEND_TIMER)):
            machine = self.alarms if token.startswith(SEND_TIMER) else self.expiry_monitor
            machine.timer(token)
        elif token == DIRECTORY_TIMER:
            self.directory_sync.timer()

    def _revocation_timer(self, token: str) -> None:
        if token == LINKS_TIMER:
            self.links.timer()
        elif token.startswith(QUERY_TIMER):
            self.revocation.timer(token.removeprefix(REVOCATION_TIMER))
        else:
            self.revocation_checks.timer(token)

    # -- what others may read

    def status(self) -> NodeStatus:
        """The node as seen from outside."""
        return NodeStatus(
            boot=self.context.boot,
            epoch=self.replica.epoch,
            seq=self.replica.seq,
            digest=self.replica.digest(),
            settings=self.replica.settings_digest,
            files_agree=self.change_notification.agrees() and self.identity_changes.agree(),
            change_notification=self.change_notification.running,
            open_operations=self.open_operations(),
            catching_up=self.follower.busy(),
            connected=self.context.connected,
            installed=self.installation.complete and not self.upgrading.former,
            replication_broken=self.follower.broken,
            keys=dict(self.keys),
            services=self.services.status(),
            head=None,
            links=self.link_keeping.standing(),
        )

    def open_operations(self) -> int:
        """What this node has begun and not ended."""
        return (
            self.operations.open()
            + self.services.busy()
            + self.csr_requests.open()
            + self.multi_server.open()
            + self.ordering.open()
            + self.connections.open()
            + self.change_notification.waiting()
            + self.fips.busy()
            + (not self.installation.complete or bool(self.upgrading.former))
        )
