"""Publishers that keep the log wrongly: each leaves out one rule of `publisher/`."""

from msgspec.structs import replace

from ucmlab.broker import topics
from ucmlab.broker.codec import Opened
from ucmlab.broker.messages import Ack, Answer, Birth, CatchUp, LogEntry, Proposal, ServiceOrder, Snapshot
from ucmlab.node.commands import AnyCommand, AppendLog
from ucmlab.node.events import AnyEvent
from ucmlab.node.instant import MINUTE, Instant
from ucmlab.node.trust_rules import Wanted
from ucmlab.publisher.core import PublisherCore
from ucmlab.publisher.log import Log


class HastyPublisher(PublisherCore):
    """Acknowledges before the append: what must be durable first is performed last."""

    def handle(self, event: AnyEvent, now: Instant) -> list[AnyCommand]:
        """The same commands, appends at the end."""
        wanted = super().handle(event, now)
        return [each for each in wanted if type(each) is not AppendLog] + [
            each for each in wanted if type(each) is AppendLog
        ]


class ForgetfulPublisher(PublisherCore):
    """Drops tombstones by time, whoever has not seen the delete yet."""

    def _floor(self) -> int:
        floor = super()._floor()
        for entry_seq, appended in self._appended_at():
            if self.context.now.lab - appended > 10 * MINUTE:
                floor = max(floor, entry_seq)
        return floor

    def _appended_at(self) -> list[tuple[int, int]]:
        times: dict[int, int] = self.__dict__.setdefault("_times", {})
        times.setdefault(self.log.head[1], self.context.now.lab)
        return list(times.items())


class UnseeingPublisher(PublisherCore):
    """Does not compare digests."""

    def _ack_told(self, ack: Ack, sender: str, boot: int) -> None:
        """Whatever is acknowledged is right."""
        if (ack.epoch, ack.seq) == self.replica.position:
            ack = replace(ack, digest=self.replica.digest(), settings=self.replica.settings_digest)
        super()._ack_told(ack, sender, boot)


class ShortSightedPublisher(PublisherCore):
    """Waits for the acknowledgements of those only that are there."""

    def _floor(self) -> int:
        head = self.log.head
        present = [name for name, birth in self._births.items() if birth.state == "up"]
        acked = [self._acks[name] for name in present if name in self._acks]
        return min([head, *acked])[1] if all(position[0] == head[0] for position in acked) else self.log.floor


class UnconcernedPublisher(PublisherCore):
    """Goes on in its epoch, whoever saw what its log does not hold."""

    def _somebody_saw(self, position: tuple[int, int]) -> None:
        """Nobody cares."""


class CredulousPublisher(PublisherCore):
    """Appends what is proposed as it is proposed."""

    def _judge(self, proposal: Proposal, origin: str) -> Wanted:  # noqa: ARG002  # whoever it was
        return Wanted(proposal.kind, removes=proposal.removes, adds=proposal.adds, settings=proposal.settings)


class PromisingPublisher(PublisherCore):
    """Answers that a parameter is set, and leaves it at that."""

    def _judge(self, proposal: Proposal, origin: str) -> Wanted:
        return replace(super()._judge(proposal, origin), settings=())


class UnrememberingPublisher(PublisherCore):
    """Takes back what was deleted, if a node has a file of it."""

    def _judge(self, proposal: Proposal, origin: str) -> Wanted:
        tombstones, self.replica.tombstones = self.replica.tombstones, {}
        try:
            return super()._judge(proposal, origin)
        finally:
            self.replica.tombstones = tombstones


class ForgetfulLog(Log):
    """Remembers no answer: an operation that is asked for again is a new one."""

    def answer(self, op_id: str) -> Answer | None:  # noqa: ARG002  # none of them
        """None."""
        return None


class StingyPublisher(PublisherCore):
    """Serves nobody who needs a snapshot."""

    def _catch_up(self, request: CatchUp, member: str) -> None:
        if request.epoch == self.log.epoch and self.log.after(request.seq, request.hash) is not None:
            super()._catch_up(request, member)


class AmnesicPublisher(PublisherCore):
    """Serves snapshots that say nothing of deletions."""

    def _snapshot(self, request: int) -> list[Snapshot]:
        return [replace(each, tombstones=()) for each in super()._snapshot(request)]


class EchoingPublisher(PublisherCore):
    """Answers every acknowledgement with a head."""

    def _ack_told(self, ack: Ack, sender: str, boot: int) -> None:
        super()._ack_told(ack, sender, boot)
        self._head_soon()


class MeddlingPublisher(PublisherCore):
    """Carries out whatever order it hears."""

    def _heard(self, address: topics.Address, opened: Opened, payload: bytes) -> bool:
        order = opened.message
        if isinstance(order, ServiceOrder) and address.kind == "cmd":
            self._carry_out(order.op_id, order.service, order.action, order.not_after)
            return True
        return super()._heard(address, opened, payload)


class UnaskingPublisher(PublisherCore):
    """Takes the name in a topic for the sender's."""

    def _heard(self, address: topics.Address, opened: Opened, payload: bytes) -> bool:
        if address.kind == "req":
            opened = Opened(address.node, opened.boot, opened.cause, opened.message)
        return super()._heard(address, opened, payload)


class UncontradictingPublisher(PublisherCore):
    """Lets a will of its own stand that came after its birth."""

    def _birth_told(self, sender: str, birth: Birth) -> None:
        if sender != self.config.name:
            super()._birth_told(sender, birth)


class ForkingPublisher(PublisherCore):
    """Gives the number of its last entry to another one, now and then."""

    def _commit(self, proposal: Proposal, origin: str, wanted: Wanted) -> Answer:
        if self.log.head[1] % 7:
            return super()._commit(proposal, origin, wanted)
        epoch, seq = self.log.head
        op_id, changes = proposal.op_id, (wanted.removes, wanted.adds, 0, wanted.settings)
        entry = LogEntry(epoch, seq, self.log.head_hash, op_id, origin, wanted.kind, *changes)
        return self._append(entry, self.context.codec.seal(self.context.topics.log_binding(), entry))
