"""Nodes whose services, operations or Change Notification leave out one rule of `node/`."""

import time

from ucmlab.broker.messages import LogEntry, RowKey
from ucmlab.node.change_notification import ChangeNotification
from ucmlab.node.context import Context
from ucmlab.node.core import NodeCore
from ucmlab.node.events import FilesRead, IdentityMade
from ucmlab.node.instant import MILLISECOND
from ucmlab.node.loaded import Loaded
from ucmlab.node.operations import Operations
from ucmlab.node.restarts import Verb
from ucmlab.node.services import Services
from ucmlab.node.slots import Order, Slot
from ucmlab.node.unlisted_files import UnlistedFiles


class RepeatingOperations(Operations):
    """Forgets to close what it has answered."""

    def _close(self, op_id: str) -> None:
        """It stays open."""


class PatientOperations(Operations):
    """Gives up nothing: an operator waits until somebody answers."""

    def timer(self, op_id: str) -> None:
        """Ask again."""
        operation = self._open.get(op_id)
        if operation is not None and self._context.now.lab < operation.proposal.not_after:
            super().timer(op_id)


class RepeatingServices(Services):
    """Carries out an order as often as it comes."""

    def receive(self, order: Order, *, not_after: int) -> None:
        """As if for the first time."""
        self._done.pop(order.op_id, None)
        super().receive(order, not_after=not_after)


class LateServices(Services):
    """Carries out an order whenever it comes."""

    def receive(self, order: Order, *, not_after: int) -> None:
        """In time."""
        super().receive(order, not_after=max(not_after, self._context.now.lab))


class LoyalServices(Services):
    """Starts with what was loaded at the first start."""

    def _started(self, slot: Slot) -> None:
        first: dict[str, Loaded] = self.__dict__.setdefault("_first", {})
        super()._started(slot)
        slot.loaded = first.setdefault(slot.rule.name, slot.loaded)


class HeedlessServices(Services):
    """Takes no note of a change that it is to be restarted for."""

    def unit_changed(self, unit: str, verb: Verb) -> None:
        """And that was all."""
        super().unit_changed(unit, verb)
        for slot in self._slots.values():
            slot.pending.pop(unit, None)


class FussyServices(Services):
    """Is to be restarted for whatever was changed, whether it was undone or not."""

    def unit_changed(self, unit: str, verb: Verb) -> None:
        """Until then."""
        super().unit_changed(unit, verb)
        for slot in self._slots.values():
            slot.pending.update(dict.fromkeys(slot.pending, True))


class ReloadingNode(NodeCore):
    """Has its services take up a new identity at once."""

    def _identity_made(self, event: IdentityMade) -> None:
        super()._identity_made(event)
        services = self.services
        for slot in services._slots.values():  # noqa: SLF001  # what a bug would do
            if event.unit in slot.loaded.fingerprints:
                services._loader.renew(slot.loaded, event.unit)  # noqa: SLF001


class GreedyFiles(UnlistedFiles):
    """Writes the files of unlisted units whoever holds them."""

    def _follow(self, entry: LogEntry, key: RowKey) -> None:
        super()._follow(entry, key)
        row, unit = self._replica.rows.get(key), self._context.rulebook.units[key[0]]
        if row is not None and unit.kind == "trust" and self._context.config.role in unit.roles:
            self._filing.write(row)


class WideNotification(ChangeNotification):
    """Takes a deleted certificate's files away wherever they are."""

    def _react(self, entry: LogEntry, added: tuple[RowKey, ...]) -> None:
        super()._react(entry, added)
        for _, fingerprint in entry.removes:
            for unit in self._listed:
                self._filing.remove(unit, fingerprint, op_id=entry.op_id)


class ZombieNotification(ChangeNotification):
    """Proposes a file without a row, whatever it remembers: what the product does."""

    def _file_without_row(self, unit: str, fingerprint: str) -> None:
        self._propose_file(unit, fingerprint)


class TrustfulNotification(ChangeNotification):
    """Takes for granted that its files are what it once wrote."""

    def compare(self, event: FilesRead) -> None:
        """Look at nothing new."""
        self._filing._taken = event.files  # noqa: SLF001  # it has seen them, it thinks
        super().compare(event)


class ImpatientContext(Context):
    """Asks again at once, as often as it takes."""

    def backoff(self, attempt: int, *what: object) -> int:  # noqa: ARG002  # whatever was tried
        """A moment."""
        return 100 * MILLISECOND


class ClockReadingContext(Context):
    """Draws delays from the machine's clock."""

    def draw(self, low: int, high: int, *what: object) -> int:  # noqa: ARG002  # whatever it is for
        """Something else each time."""
        return low + time.perf_counter_ns() % (high - low + 1) if high > low else low
