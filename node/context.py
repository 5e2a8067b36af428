"""What the machines of one node share: who it is, what time it is, and the list of commands being made.

One context lives as long as the core. `begin` opens the handling of one event; everything that a machine asks for in
between goes through the methods here, so causes, ids and topics are made in one place.
"""

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from ucmlab.broker.codec import BusCodec, Opened, Refused
from ucmlab.broker.messages import AnyMessage, LogEntry, Row, Setting, Snapshot
from ucmlab.broker.topics import Topics
from ucmlab.node.certificates import names_content
from ucmlab.node.commands import AnyCommand, CancelTimer, Publish, Record, StartTimer
from ucmlab.node.config import NodeConfig
from ucmlab.node.instant import SECOND, Instant
from ucmlab.node.parameters import Parameters
from ucmlab.node.rulebook import RuleBook

Fact = str | int | bool | None
NEVER = Instant(0, 0)
REPEAT_FIRST = 2 * SECOND
REPEAT_LAST = 60 * SECOND


class Context:
    """Outbox, clock and identity of one core."""

    def __init__(self, config: NodeConfig, rulebook: RuleBook, codec: BusCodec) -> None:
        """Nothing has happened yet; `now` is meaningless until the first `begin`."""
        self.config = config
        self.rulebook = rulebook
        self.codec = codec
        self.timing = rulebook.timings[config.timing]
        self.topics = Topics(config.cluster)
        self.set_parameters: dict[tuple[str, str], str] = {}
        """What was set, by place and parameter: as the replica has it."""
        self.parameters = Parameters(
            rulebook.parameters, node=config.name, role=config.role, values=self.set_parameters
        )
        self.parameter_changed: Callable[[str], None] = lambda name: None
        """Hears the name of a parameter whose value for this node is another now."""
        self.now = NEVER
        self.cause = ""
        self.boot = 0
        self.connected = False
        self.commands: list[AnyCommand] = []
        self.on_alarm: Callable[[str, Mapping[str, Fact]], None] = lambda alarm, facts: None
        """Hears of every alarm that was raised, with its facts."""
        self._records = 0

    def begin(self, now: Instant, cause: str) -> None:
        """Open the handling of one event that `cause` led to."""
        self.now = now
        self.cause = cause
        self.commands = []

    def open(self, topic: str, payload: bytes) -> Opened:
        """Verify and decode what came; what no node can hold is refused however well it is signed.

        Raises:
            Refused: as the codec says; `row`, a unit that is none, or bytes that are not the certificate named;
                `setting`, a parameter that is none there, or a value that it does not take.
        """
        opened = self.kept(self.codec.open(topic, payload))
        match opened.message:
            case LogEntry(removes=removes, adds=rows, settings=settings):
                units = [unit for unit, _ in removes]
            case Snapshot(tombstones=tombstones, rows=rows, settings=settings):
                units = [unit for unit, _, _ in tombstones]
            case _:
                return opened
        if not (all(unit in self.rulebook.units for unit in units) and all(map(self._can_be_held, rows))):
            raise Refused("row", opened.sender)
        if settings and not all(map(self._can_be_set, settings)):
            raise Refused("setting", opened.sender)
        return opened

    def kept(self, opened: Opened) -> Opened:
        """The message without rows of units that this release has no more: an older log tells of them (B.19)."""
        retired, entry = self.rulebook.retired_units, opened.message
        if not isinstance(entry, LogEntry) or retired.isdisjoint(
            [unit for unit, _ in entry.removes] + [row.unit for row in entry.adds]
        ):
            return opened
        removes = tuple(key for key in entry.removes if key[0] not in retired)
        adds = tuple(row for row in entry.adds if row.unit not in retired)
        return msgspec.structs.replace(opened, message=msgspec.structs.replace(entry, removes=removes, adds=adds))

    def _can_be_held(self, row: Row) -> bool:
        return row.unit in self.rulebook.units and names_content(row.fingerprint, row.der)

    def _can_be_set(self, setting: Setting) -> bool:
        row, members = self.rulebook.parameters.get(setting.name), self.config.members
        return (
            row is not None
            and row.can_hold(setting.value)
            and any(setting.place == row.place(each.name, each.role) for each in members)
        )

    def ask(self, command: AnyCommand) -> None:
        """Put a command on the list."""
        self.commands.append(command)

    def publish(self, topic: str, message: AnyMessage, *, retain: bool = False) -> None:
        """Publish a message; without a connection nothing is asked for (whoever needs an answer repeats)."""
        if self.connected:
            self.commands.append(Publish(topic, self.codec.seal(topic, message, self.cause), retain))

    def publish_sealed(self, topic: str, payload: bytes) -> None:
        """Publish what was sealed before: a log entry, whose signature is bound to the log and not to its topic."""
        if self.connected:
            self.commands.append(Publish(topic, payload))

    def start_timer(self, token: str, delay: int) -> None:
        """Have `TimerFired(token)` after `delay` lab microseconds."""
        self.commands.append(StartTimer(token, delay))

    def cancel_timer(self, token: str) -> None:
        """Forget a timer."""
        self.commands.append(CancelTimer(token))

    def record(self, name: str, op_id: str = "", /, **fields: Fact) -> None:
        """Note a fact for the journal; what follows in this handling was caused by it."""
        self._records += 1
        record_id = f"{self.config.name}.{self.boot}.{self._records}"
        self.commands.append(Record(record_id, name, self.cause, op_id, fields))
        self.cause = record_id

    def alarm(self, alarm: str, op_id: str = "", /, **fields: Fact) -> None:
        """Note that something is wrong that an operator must hear of: a row of `alarms.toml`."""
        self.record("alarm", op_id, alarm=alarm, **fields)
        self.on_alarm(alarm, fields)

    def backoff(self, attempt: int, *what: object) -> int:
        """How long to wait before asking again: about 2 s at first, doubling, about a minute at most, with jitter."""
        longest = min(REPEAT_FIRST << min(attempt, 5), REPEAT_LAST)
        return self.draw(longest * 3 // 4, longest, *what, attempt)

    def draw(self, low: int, high: int, *what: object) -> int:
        """Draw a delay in [low, high] from the run's seed: the same for the same `what`, in every mode."""
        if high <= low:
            return low
        text = "|".join(map(str, (self.config.seed, self.config.name, *what)))
        number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        return low + number % (high - low + 1)
