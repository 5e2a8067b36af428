"""Brokers with a known defect have that defect, and are brokers in everything else."""

from collections.abc import Callable

import pytest

from tests.unit.broker.playbook import Playbook, v5
from ucmlab.broker.access import allow_everyone, allow_everything
from ucmlab.broker.core import BrokerCore
from ucmlab.broker.packets import V5, Connect, ConnectProperties, Disconnect, Publish, Subscription, Will
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.sim.personalities import PERSONALITIES, RETAINED_READ_LIMIT, SHORT_QUEUE, MakeBroker, personality

Look = Callable[[MakeBroker], object]
KINDS = tuple(PERSONALITIES)
WILL = Will("birth/a", b"lost", qos=1, retain=True)


def played_on(make: MakeBroker) -> Playbook:
    book = Playbook()
    book.core = make(allow_everyone, allow_everything)
    return book


def lasting(client_id: str, will: Will | None = None) -> Connect:
    properties = ConnectProperties(session_expiry_interval=3600)
    return Connect(client_id, V5, clean_start=False, properties=properties, will=will)


def retained_seen(make: MakeBroker, count: int) -> int:
    book = played_on(make)
    writer = book.connect(v5("writer"))
    for number in range(count):
        book.sends(writer, Publish(f"state/{number}", b"here", 1, retain=True, packet_id=1))
    reader = book.connect(v5("reader"))
    return len(book.subscribe(reader, Subscription("state/#", 1)))


def kept_after_an_empty_message(make: MakeBroker) -> bool:
    book = played_on(make)
    writer = book.connect(v5("writer"))
    book.sends(writer, Publish("state/1", b"here", 1, retain=True, packet_id=1))
    book.sends(writer, Publish("state/1", b"", 1, packet_id=2))
    return bool(book.subscribe(book.connect(v5("reader")), Subscription("state/1", 1)))


def leaked_to_who_asked_for_nothing(make: MakeBroker) -> list[tuple[str, bytes]]:
    book = played_on(make)
    other = book.connect(v5("other"))
    book.subscribe(other, Subscription("state/+", 1))
    book.sends(other, Publish("state/1", b"theirs", 1, retain=True, packet_id=1))
    return book.messages(book.connect(v5("newcomer")))


def heard_of_a_loss(make: MakeBroker) -> list[tuple[str, bytes]]:
    book = played_on(make)
    watcher = book.connect(v5("watcher"))
    book.subscribe(watcher, Subscription("birth/+", 1))
    book.lose(book.connect(Connect("a", V5, will=WILL)))
    return book.messages(watcher)


def waited(make: MakeBroker, count: int) -> list[bytes]:
    book = played_on(make)
    away = book.connect(lasting("away"))
    book.subscribe(away, Subscription("news", 1))
    book.lose(away)
    writer = book.connect(v5("writer"))
    for number in range(count):
        book.sends(writer, Publish("news", b"%d" % number, 1, packet_id=1))
    back = book.connect(lasting("away"))
    waiting = [payload for _, payload in book.messages(back)]
    book.sends(writer, Publish("news", b"live", 1, packet_id=1))
    assert book.messages(back) == [("news", b"live")]
    return waiting


def copies(make: MakeBroker) -> list[tuple[bool, int]]:
    book = played_on(make)
    reader = book.connect(v5("reader"))
    book.subscribe(reader, Subscription("news", 1))
    book.sends(book.connect(v5("writer")), Publish("news", b"once", 1, packet_id=1))
    return [(packet.dup, packet.packet_id) for packet in book.got(reader) if isinstance(packet, Publish)]


def births(make: MakeBroker) -> list[bytes]:
    book = played_on(make)
    watcher = book.connect(v5("watcher"))
    book.subscribe(watcher, Subscription("birth/+", 1))
    for life in (b"first", b"second"):
        node = book.connect(Connect("a", V5, will=WILL))
        book.sends(node, Publish("birth/a", life, 1, retain=True, packet_id=1))
        if life == b"first":
            book.lose(node)
    return [payload for _, payload in book.messages(watcher)]


@pytest.mark.parametrize(
    ("kind", "looked_at", "sound", "found"),
    [
        ("rumqttd-retained-100", lambda make: retained_seen(make, 150), 150, RETAINED_READ_LIMIT),
        ("rumqttd-empty-deletes", kept_after_an_empty_message, True, False),
        ("amqtt-retained-leak", leaked_to_who_asked_for_nothing, [], [("state/1", b"theirs")]),
        ("no-will", heard_of_a_loss, [("birth/a", b"lost")], []),
        ("no-offline-queue", lambda make: len(waited(make, 20)), 20, 0),
        ("offline-queue-overflow", lambda make: len(waited(make, 20)), 20, SHORT_QUEUE),
        ("duplicate-qos1", copies, [(False, 1)], [(False, 1), (True, 1)]),
        ("will-late", births, [b"first", b"lost", b"second"], [b"first", b"second", b"lost"]),
    ],
    ids=KINDS,
)
def test_each_has_the_defect_that_it_is_named_for(kind: str, looked_at: Look, sound: object, found: object) -> None:
    assert looked_at(BrokerCore) == sound
    assert looked_at(personality(kind)) == found


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "duplicate-qos1"])
def test_the_rest_of_each_is_an_ordinary_broker(kind: str) -> None:
    looks: dict[str, Look] = {
        "rumqttd-retained-100": lambda make: retained_seen(make, 50),
        "rumqttd-empty-deletes": kept_after_an_empty_message,
        "amqtt-retained-leak": leaked_to_who_asked_for_nothing,
        "no-will": heard_of_a_loss,
        "no-offline-queue": lambda make: waited(make, 4),
        "duplicate-qos1": copies,
    }
    # A late will is none to who looks at once, and a short queue holds four.
    own = "no-will" if kind == "will-late" else kind
    for about, look in looks.items():
        if about != own:
            assert look(personality(kind)) == look(BrokerCore), about


def test_a_will_that_was_called_off_does_not_come_late_either() -> None:
    book = played_on(personality("will-late"))
    watcher = book.connect(v5("watcher"))
    book.subscribe(watcher, Subscription("birth/+", 1))
    book.sends(book.connect(Connect("a", V5, will=WILL)), Disconnect())
    again = book.connect(Connect("a", V5, will=WILL))
    book.sends(again, Publish("birth/a", b"second", 1, retain=True, packet_id=1))
    assert book.messages(watcher) == [("birth/a", b"second")]


@pytest.mark.parametrize("kind", KINDS)
def test_the_counters_are_those_of_what_was_really_sent(kind: str) -> None:
    book = played_on(personality(kind))
    other = book.connect(v5("other"))
    book.subscribe(other, Subscription("birth/+", 1))
    sent = 0
    for _ in range(2):
        node = book.connect(Connect("a", V5, will=WILL))
        sent += book.sends(node, Publish("birth/a", b"here", 1, retain=True, packet_id=1)) != []
        assert book.core.stats().clients["a"].received == 1
        book.lose(node)
    got = [packet for packet in book.got(other) if isinstance(packet, Publish)]
    assert sent == 2
    assert book.core.stats().clients["other"].sent == len(got) > 0


def test_an_unknown_one_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(Unusable, match=r"^there is no broker personality 'tidy'; there are rumqttd-retained-100, .*$"):
        personality("tidy")
