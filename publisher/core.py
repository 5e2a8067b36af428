"""The first node: a node (`ucmlab.node.core`) with the authority over the log and the keys of the cluster on top.

Three rules govern this file (anchors.md iv, v):

- one writer: every change of rows and settings goes through `_commit`, which appends durably *before* anybody is told;
- one content per `(epoch, seq)`: a publisher that finds that somebody has seen more than its own log holds (it was
  restored or rebuilt) starts a higher epoch before it writes again;
- one answer per operation id, however often it is asked.
"""

import msgspec

from ucmlab.broker import topics
from ucmlab.broker.codec import Opened
from ucmlab.broker.messages import (
    Ack,
    Answer,
    Birth,
    CatchUp,
    Entries,
    Head,
    KeysInstalled,
    LogEntry,
    Proposal,
    Row,
    SealedKeys,
    ServiceOrder,
    ServiceReport,
    Snapshot,
)
from ucmlab.node.commands import AppendLog, BeginEpoch, Halt, MakeAuthz, RaiseFloor, RecordAnswer, Reply
from ucmlab.node.config import AuthzAsked
from ucmlab.node.core import NodeCore
from ucmlab.node.errors import Refusal
from ucmlab.node.events import (
    AuthzMade,
    CommandFailed,
    DiskImage,
    IdentityMade,
    KeysSealed,
    OrderService,
    RegenerateAuthz,
)
from ucmlab.node.following import apply_entry
from ucmlab.node.instant import MILLISECOND, MINUTE
from ucmlab.node.parameter_rules import KIND as PARAMETER
from ucmlab.node.parameter_rules import parameter_text
from ucmlab.node.settings import in_order
from ucmlab.node.status import NodeStatus
from ucmlab.node.trust_rules import Wanted, product_text
from ucmlab.publisher.authz import AUTHZ, KeyDistribution
from ucmlab.publisher.authz import TIMER as KEYS_TIMER
from ucmlab.publisher.judging import judge
from ucmlab.publisher.log import Log

HEAD_TIMER = "publisher:head"
HEAD_AFTER = 50 * MILLISECOND
"""A burst of entries is followed by one head; entries carry their own numbers."""
HEAD_AGAIN = 30 * MINUTE
"""A head is told again however little happens: a broker may have lost the last one, and nobody would ever know."""
FLOOR_LAG = 8
"""So far may the floor be ahead of what the last head told, before a head is published for its sake alone."""
BATCH = 200
"""Entries, or rows of a snapshot, in one message."""
BATCH_BYTES = 1 << 19
"""And so many bytes of entries, as an entry may hold a whole chain: well below any broker's packet limit."""
KEPT_REACHES = 256
"""Different words about all members that are kept for the answers to come: with few away, they are few."""


class PublisherCore(NodeCore):
    """The publisher."""

    log_class = Log
    """Of which the log is; a planted bug takes another one."""

    # -- life

    def _take(self, image: DiskImage) -> None:
        super()._take(image)
        self.log = self.log_class(epoch=image.log.epoch, floor=image.log.floor, floor_hash=image.log.floor_hash)
        self.distribution = KeyDistribution(self.context)
        self._births: dict[str, Birth] = {}
        self._acks: dict[str, tuple[int, int]] = {}
        self._names = tuple(member.name for member in self.config.members)
        self._reaches: dict[tuple[str, ...], dict[str, str]] = {}
        """What answers say of the members."""
        self._line = (0, 0)
        """Where the floor is worth telling: so far from the one that was told last."""
        self._before_line: set[str] = set()
        """Members that have not acknowledged the line."""
        self._ack_counts: dict[str, tuple[int, int]] = {}
        self._seen = (0, 0)
        self._head_due = False
        self._authz_requests: dict[str, AuthzAsked] = {}
        """Operation id to the key that it asks for, in their order."""
        self._making_authz = False
        for op_id, outcome, reason, seq in image.log.answers:
            self.log.remember(self._make_answer(op_id, outcome, reason, seq))
        self._replay(image.log.payloads)
        if self.log.epoch == 0:
            self._begin_epoch(1)

    def _replay(self, payloads: tuple[bytes, ...]) -> None:
        """The log is the truth; the replica on disk may be behind it by what was lost or not yet applied."""
        for payload in payloads:
            entry = self.context.kept(self.context.codec.open(self.context.topics.log_binding(), payload)).message
            if not isinstance(entry, LogEntry):
                continue
            digest = self.log.append(entry, payload)
            self.log.remember(self._make_answer(entry.op_id, "done", "", entry.seq))
            if (entry.epoch, entry.seq) > self.replica.position:
                self.replica.position = (entry.epoch, self.replica.seq)
                new = apply_entry(self.context, self.replica, entry, digest)
                self._applied(entry, new, False)

    def _started(self, image: DiskImage) -> None:
        super()._started(image)
        if self.installation.complete and AUTHZ not in self.keys:
            self._make_authz()  # the last step of an installation, cut off by a kill

    def _begin_epoch(self, epoch: int) -> None:
        """Start over with the rows and settings at hand, above everything that anybody has seen."""
        self.log.begin_epoch(epoch)
        self.context.ask(BeginEpoch(epoch))
        # Members that were away when it was deleted learn of it in this epoch or never: tombstones go with the rows.
        deleted = [(*key, 0) for key in self.replica.tombstones]
        rows, settings = self.replica.table.in_order(), in_order(self.replica.settings)
        self.replica.install(epoch=epoch, seq=0, entry_hash=b"", rows=rows, tombstones=deleted, settings=settings)
        self.context.record("epoch_begun", epoch=epoch)
        self._acks.clear()
        self._head_soon()

    def _command_failed(self, event: CommandFailed) -> None:
        """An upload of this node's own is in the log of its mind by now, and was dropped with the rest of its list."""
        super()._command_failed(event)
        if self.log.answer(event.op_id) is not None:
            self.context.ask(Halt(f"{event.command} failed, and the log does not hold what followed: {event.text}"))

    def _taken_over(self) -> None:
        """Two writers of one log must never be: the one that lost its place on the bus ends."""
        super()._taken_over()
        self.context.ask(Halt("another publisher of this name took the place on the bus"))

    def _installed(self) -> None:
        super()._installed()
        if AUTHZ not in self.keys:
            self._make_authz()

    # -- the bus

    def _filters(self) -> tuple[str, ...]:
        return self.context.topics.publisher_filters(self.config.name)

    def _connected(self) -> None:
        super()._connected()
        self._publish_head()
        self.distribution.repeat()

    def _heard(self, address: topics.Address, opened: Opened, payload: bytes) -> bool:
        sender = opened.sender
        own = sender == address.node
        match opened.message:
            case Proposal() as proposal if address.kind == "req" and own:
                self._proposed(proposal, sender)
            case CatchUp() as request if address.kind == "req" and own:
                self._catch_up(request, sender)
            case Ack() as ack if address.kind == "ack" and own:
                self._ack_told(ack, sender, opened.boot)
            case Birth() as birth if address.kind == "birth" and own:
                self._birth_told(sender, birth)
            case KeysInstalled() as keys if address.kind == "req" and own:
                self.distribution.confirmed(sender, keys.kind, keys.generation)
            case Head() as head if sender == self.config.name:
                self._somebody_saw((head.epoch, head.seq))
            case ServiceReport() as report if address.kind == "state" and own:
                self.ordering.reported(sender, report)
            case ServiceOrder() if address.kind == "cmd" and (own or sender == self.config.name):
                pass  # a node's order to itself is on the bus for those who watch; this node's own comes back to it
            case LogEntry() | Entries() | Snapshot() | Answer() | SealedKeys():
                return False  # what this node alone may say, in this life or an earlier one: it follows nobody
            case _:
                return super()._heard(address, opened, payload)
        return True

    def _birth_told(self, sender: str, birth: Birth) -> None:
        known = self._births.get(sender)
        if sender == self.config.name and birth.state == "lost" and known is not None and known.state == "up":
            # A will that came after the birth: who connects from now on would read that there is no publisher.
            self._publish_birth("up")
            return
        if known is not None and birth.boot < known.boot:
            return
        self._births[sender] = birth
        if sender == self.config.name:
            return
        if birth.state != "up":
            self.distribution.member_left(sender)
            return
        self.ordering.returned(sender)
        for kind in self._shared_kinds(sender):
            if kind != AUTHZ and kind in self.keys and birth.keys.get(kind, 0) > self.keys[kind]:
                # This node came back from a backup; what it has is the cluster's again, and must count as the newest.
                self.keys[kind] = birth.keys[kind] + 1
            # Of the OAuth keys a member keeps what it has; of an identity there is one in the cluster (B.1).
            least = 1 if kind == AUTHZ else self.keys.get(kind, 0)
            if kind in self.keys and birth.keys.get(kind, 0) < least:
                self.distribution.deliver(sender, kind, self.keys[kind])

    def _identity_made(self, event: IdentityMade) -> None:
        """An identity of the whole cluster is made here and copied to whoever has a use for it (B.1: ITLRecovery)."""
        super()._identity_made(event)
        if self.context.rulebook.identities[event.unit].distributed_to:
            self.keys[event.unit] = self.keys.get(event.unit, 0) + 1
            for member, birth in self._births.items():
                if birth.state == "up" and event.unit in self._shared_kinds(member):
                    self.distribution.deliver(member, event.unit, self.keys[event.unit])

    def _shared_kinds(self, member: str) -> tuple[str, ...]:
        """Private material that the member gets: authz keys, and cluster-wide identities of its role."""
        role = next(each.role for each in self.config.members if each.name == member)
        profiles = self.context.rulebook.identity_profiles(self.config.role)
        return (AUTHZ, *(profile.unit for profile in profiles if role in profile.distributed_to))

    def believes_publisher_away(self) -> bool:
        """It is this node."""
        return False

    def _is_away(self, member: str) -> bool:
        """Whether a member is known to be away: all say so here, or their wills."""
        birth = self._births.get(member)
        return member != self.config.name and (birth is None or birth.state != "up")

    # -- proposals

    def _submit(self, proposal: Proposal) -> bool:
        """This node's own proposals take the short way; the answer comes like any other."""
        answer = self._decide(proposal, self.config.name)
        if answer is not None:
            self._answered(answer)
        return True

    def _proposed(self, proposal: Proposal, origin: str) -> None:
        answer = self._decide(proposal, origin)
        if answer is not None:
            self.context.publish(self.context.topics.answer(origin, "propose"), answer)

    def _decide(self, proposal: Proposal, origin: str) -> Answer | None:
        known = self.log.answer(proposal.op_id)
        if known is not None:
            return known
        if self.context.now.lab > proposal.not_after:
            return None
        try:
            wanted = self._judge(proposal, origin)
        except Refusal as refusal:
            return self._refuse(proposal, refusal)
        if not wanted.adds and not wanted.removes and not wanted.settings:
            answer = self._make_answer(proposal.op_id, "done", "already_present", self.log.head[1])
            self.log.remember(answer)
            return answer
        return self._commit(proposal, origin, wanted)

    def _judge(self, proposal: Proposal, origin: str) -> Wanted:
        rulebook, now = self.context.rulebook, self.context.now
        return judge(rulebook, self.config, self.replica, proposal, origin=origin, now=now)

    def _refuse(self, proposal: Proposal, refusal: Refusal) -> Answer:
        self.context.ask(RecordAnswer(proposal.op_id, refusal.reason))
        unit = next((row.unit for row in proposal.adds), next((unit for unit, _ in proposal.removes), ""))
        told = parameter_text if proposal.kind == PARAMETER else product_text
        text = told(self.context.rulebook, refusal.reason, unit, refusal.text)
        answer = self._make_answer(proposal.op_id, "refused", refusal.reason, self.log.head[1], text)
        self.log.remember(answer)
        return answer

    def _commit(self, proposal: Proposal, origin: str, wanted: Wanted) -> Answer:
        """Append, durably; then this node's own replica, the bus, and whoever asked."""
        epoch, seq = self.log.head
        entry = LogEntry(
            epoch=epoch,
            seq=seq + 1,
            prev=self.log.head_hash,
            op_id=proposal.op_id,
            origin=origin,
            kind=wanted.kind,
            removes=wanted.removes,
            adds=wanted.adds,
            at=self.context.now.wall,
            settings=wanted.settings,
        )
        payload = self.context.codec.seal(self.context.topics.log_binding(), entry, self.context.cause)
        return self._append(entry, payload)

    def _append(self, entry: LogEntry, payload: bytes) -> Answer:
        self.context.ask(AppendLog(entry.epoch, entry.seq, entry.op_id, payload))
        digest = self.log.append(entry, payload)
        self.context.record("log_appended", entry.op_id, epoch=entry.epoch, seq=entry.seq, kind=entry.kind)
        answer = self._make_answer(entry.op_id, "done", "", entry.seq, origin=entry.origin)
        self.log.remember(answer)
        new = apply_entry(self.context, self.replica, entry, digest)
        cause = self.context.cause
        if self.context.connected:
            self._publish_entry(entry, payload)
        self._applied(entry, new, True)
        self.context.cause = cause
        self.follower.acknowledge_soon()
        self._head_soon()
        return answer

    def _publish_entry(self, entry: LogEntry, payload: bytes) -> None:
        about = [row.unit for row in entry.adds] or [unit for unit, _ in entry.removes] or [entry.kind]
        self.context.publish_sealed(self.context.topics.log(about[0]), payload)

    def _make_answer(
        self, op_id: str, outcome: str, reason: str, seq: int, text: str = "", *, origin: str = ""
    ) -> Answer:
        nodes = self._reach_of_all(origin) if outcome == "done" else {}
        return Answer(op_id, outcome, reason, text, self.log.epoch, seq, nodes)  # type: ignore[arg-type]  # callers' literals

    def _reach_of_all(self, origin: str) -> dict[str, str]:
        """Per member. One dictionary for the same words, as thousands of answers are remembered; not to be changed."""
        words = tuple(self._reach(name, origin) for name in self._names)
        if len(self._reaches) > KEPT_REACHES:
            self._reaches.clear()
        return self._reaches.setdefault(words, dict(zip(self._names, words, strict=True)))

    def _reach(self, member: str, origin: str) -> str:
        if member in (self.config.name, origin):
            return "done"
        birth = self._births.get(member)
        return "pending" if birth is not None and birth.state == "up" else "unreachable"

    # -- followers

    def _catch_up(self, request: CatchUp, member: str) -> None:
        self._somebody_saw((request.epoch, request.seq))
        self._somebody_is_at((request.epoch, request.seq), request.hash, member)
        payloads = self.log.after(request.seq, request.hash) if request.epoch == self.log.epoch else None
        topic = self.context.topics.answer(member, "catchup")
        if payloads is None:
            for part in self._snapshot(request.request):
                self.context.publish(topic, part)
        else:
            self.context.publish(topic, Entries(request.request, batch(payloads), self.log.head[1]))

    def _snapshot(self, request: int) -> list[Snapshot]:
        rows = self.replica.table.in_order()
        tombstones = tuple((unit, fingerprint, seq) for (unit, fingerprint), seq in self.replica.tombstones.items())
        chunks = row_batches(rows)
        at, besides = (*self.log.head, self.log.head_hash), (tombstones, in_order(self.replica.settings))
        return [
            Snapshot(request, *at, part, len(chunks), chunk, *((), ()) if part else besides)
            for part, chunk in enumerate(chunks)
        ]

    def _ack_told(self, ack: Ack, sender: str, boot: int) -> None:
        if (boot, ack.count) <= self._ack_counts.get(sender, (0, 0)):
            return
        self._ack_counts[sender] = (boot, ack.count)
        self._somebody_is_at((ack.epoch, ack.seq), ack.hash, sender)
        self._acknowledged(sender, (ack.epoch, ack.seq))
        digests = (self.replica.digest(), self.replica.settings_digest)
        if (ack.epoch, ack.seq) == self.replica.position and (ack.digest, ack.settings) != digests:
            self.context.alarm("digest_mismatch", member=sender, epoch=ack.epoch, seq=ack.seq)

    def _acknowledged(self, member: str, position: tuple[int, int]) -> None:
        self._somebody_saw(position)
        self._acks[member] = position
        if self._all_passed(member, position) and not self._head_due and self._floor() >= self._line[1]:
            self._head_soon()

    def _all_passed(self, member: str, position: tuple[int, int]) -> bool:
        """Whether the floor is worth telling. Who holds it back is remembered: each of many acks asks."""
        line = (self.log.epoch, self.log.floor + FLOOR_LAG)
        if line != self._line:
            self._line = line
            self._before_line = {each.name for each in self.config.members if self._acks.get(each.name, (0, 0)) < line}
        elif position < line:
            self._before_line.add(member)
        else:
            self._before_line.discard(member)
        return not self._before_line

    def _somebody_saw(self, position: tuple[int, int]) -> None:
        """Somebody saw what this log does not hold: it was restored from something older. Never write there again."""
        if position > max(self.log.head, self._seen):
            self._seen = position
            self._begin_epoch(position[0] + 1)

    def _somebody_is_at(self, position: tuple[int, int], entry: bytes, member: str) -> None:
        """Somebody holds another entry where this log has one: as above, but the log has grown as far as the lost one.

        What was acknowledged of the lost log says nothing of this one: counted, it would let deletes be forgotten that
        nobody has seen.
        """
        epoch, seq = position
        ours = self.log.hash_at(seq) if epoch == self.log.epoch else None
        if entry and ours is not None and entry != ours:
            self.context.alarm("log_fork", member=member, epoch=epoch, seq=seq)
            self._begin_epoch(epoch + 1)

    def _synced(self) -> None:
        position = self.follower.synced()
        if position is not None:
            self._acknowledged(self.config.name, position)

    def _floor(self) -> int:
        """What every member, online or not, has acknowledged (S14); nothing while one of them was never heard of."""
        least = self.log.head
        for member in self.config.members:
            acked = self._acks.get(member.name)
            if acked is None or acked[0] != least[0]:
                return self.log.floor
            least = min(least, acked)
        return least[1]

    def _head_soon(self) -> None:
        if not self._head_due:
            self._head_due = True
            self.context.start_timer(HEAD_TIMER, HEAD_AFTER)

    def _publish_head(self) -> None:
        self._head_due = False
        floor = self._floor()
        if self.replica.raise_floor(floor):
            self.log.raise_floor(floor)
            self.context.ask(RaiseFloor(floor))
        epoch, seq = self.log.head
        digests = (self.replica.digest(), self.log.floor, self.replica.settings_digest)
        head = Head(epoch, seq, self.log.head_hash, *digests, self.config.release)
        self.context.publish(self.context.topics.head(), head, retain=True)
        self.context.start_timer(HEAD_TIMER, HEAD_AGAIN)

    def _caught_up(self) -> bool:
        return True

    def _set_replication(self, *, broken: bool) -> None:
        """Nothing is replicated to the publisher: its replica is fed by its own log."""

    # -- services and keys

    def _order_service(self, event: OrderService) -> None:
        """From the publisher's Control Center every node can be chosen (R-157)."""
        if all(member.name != event.node for member in self.config.members):
            text = self.context.rulebook.refusal_text("not_found", unit=event.node)
            self.context.ask(Reply(event.op_id, "refused", "not_found", text))
            return
        not_after = self.ordering.give(event)
        if event.node == self.config.name:
            self._carry_out(event.op_id, event.service, event.action, not_after)

    def _regenerate_authz(self, event: RegenerateAuthz) -> None:
        self._authz_requests.setdefault(event.op_id, event.key)
        self.context.cause = event.cause
        self._make_authz(event.key)

    def _make_authz(self, key: AuthzAsked = "") -> None:
        """Make the next generation; who asks for the same while one is being made gets that one."""
        if not self._making_authz:
            self._making_authz = True
            self.context.ask(MakeAuthz(self.keys.get(AUTHZ, 0) + 1, key))

    def _publisher_keys(self, event: AuthzMade | KeysSealed) -> None:
        if isinstance(event, KeysSealed):
            self.distribution.sealed(event.recipient, event.kind, event.generation, event.blob)
            return
        self._making_authz = False
        if AUTHZ in self.keys:
            self.service_changes.authz_renewed()
        self.keys[AUTHZ] = event.generation
        answered = [op_id for op_id, key in self._authz_requests.items() if key == event.key]
        self.context.record("authz_made", next(iter(answered), ""), generation=event.generation, key=event.key)
        nodes = {self.config.name: "done"}
        for member, birth in self._births.items():
            if member == self.config.name:
                continue
            nodes[member] = "pending" if birth.state == "up" else "unreachable"
            if birth.state == "up":
                self.distribution.deliver(member, AUTHZ, event.generation)
        for op_id in answered:
            del self._authz_requests[op_id]
            self.context.ask(Reply(op_id, "done", nodes=nodes))
        if self._authz_requests:
            self._make_authz(next(iter(self._authz_requests.values())))

    # -- timers

    def _timer(self, token: str) -> None:
        if token == HEAD_TIMER:
            self._publish_head()
        elif token == KEYS_TIMER:
            self.distribution.repeat()
        else:
            super()._timer(token)

    def status(self) -> NodeStatus:
        """The node as seen from outside, with the end of its log."""
        return msgspec.structs.replace(super().status(), head=self.log.head)

    def open_operations(self) -> int:
        """Also keys that are on their way to somebody."""
        return super().open_operations() + self.distribution.busy()


def row_batches(rows: tuple[Row, ...]) -> list[tuple[Row, ...]]:
    """All rows, divided as `batch` divides entries: a certificate may have 64 kB; one part at least."""
    parts: list[list[Row]] = [[]]
    size = 0
    for row in rows:
        size += len(row.der) + len(row.description)
        if parts[-1] and (len(parts[-1]) >= BATCH or size > BATCH_BYTES):
            parts.append([])
            size = len(row.der) + len(row.description)
        parts[-1].append(row)
    return [tuple(part) for part in parts]


def batch(payloads: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The first of these entries, as many as one message should hold; at least one."""
    taken, size = 0, 0
    for payload in payloads[:BATCH]:
        size += len(payload)
        if taken and size > BATCH_BYTES:
            break
        taken += 1
    return payloads[:taken]
