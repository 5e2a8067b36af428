"""When a will is published: at once, after its delay, with the end of its session, or never."""

import pytest

from tests.unit.broker.playbook import Playbook, v5
from ucmlab.broker.events import BrokerStopped
from ucmlab.broker.packets import (
    V5,
    V311,
    Connect,
    ConnectProperties,
    Disconnect,
    DisconnectProperties,
    Packet,
    Publish,
    PublishProperties,
    Reason,
    Subscription,
    Will,
    WillProperties,
)


def mortal(delay: int, session: int = 100, *, clean: bool = False, payload: bytes = b"gone") -> Connect:
    will = Will("will", payload, 2, properties=WillProperties(will_delay_interval=delay))
    return Connect("m", V5, clean, will=will, properties=ConnectProperties(session_expiry_interval=session))


class Watched(Playbook):
    """A broker with somebody who watches for wills."""

    def __init__(self) -> None:
        super().__init__()
        self.watcher = self.connect(v5("watcher"))
        self.subscribe(self.watcher, Subscription("will", 2))

    def seen(self) -> list[bytes]:
        return [payload for _, payload in self.messages(self.watcher)]


@pytest.mark.parametrize(("delay", "session"), [(10, 100), (100, 10), (10, 10)])
def test_a_will_waits_for_its_delay_or_the_end_of_its_session_whichever_is_first(delay: int, session: int) -> None:
    play = Watched()
    play.lose(play.connect(mortal(delay, session)))

    assert play.core.next_due() == 10_000_000
    play.wait(9.9)
    assert play.seen() == []
    play.wait(0.1)
    assert play.seen() == [b"gone"]
    play.wait(1000)
    assert play.seen() == []


@pytest.mark.parametrize(("delay", "session"), [(0, 100), (10, 0)])
def test_a_will_without_a_delay_or_a_session_that_lasts_is_published_at_once(delay: int, session: int) -> None:
    play = Watched()
    play.lose(play.connect(mortal(delay, session)))

    assert play.seen() == [b"gone"]


def test_who_comes_back_in_time_is_not_lost() -> None:
    play = Watched()
    play.lose(play.connect(mortal(10)))
    play.wait(9)
    conn = play.connect(mortal(10, payload=b"again"))
    play.wait(10)
    assert play.seen() == []

    play.lose(conn)
    play.wait(10)

    assert play.seen() == [b"again"]


def test_a_clean_start_ends_the_session_and_publishes_its_will() -> None:
    play = Watched()
    play.lose(play.connect(mortal(10)))

    play.connect(mortal(10, clean=True, payload=b"new"))

    assert play.seen() == [b"gone"]


@pytest.mark.parametrize(
    ("first", "second", "seen"),
    [
        (mortal(10), mortal(10), []),
        (mortal(10), mortal(10, clean=True), [b"gone"]),
        (mortal(0), mortal(0), [b"gone"]),
        (mortal(10, 0), mortal(10), [b"gone"]),
        (Connect("m", V311, clean_start=False, will=Will("will", b"gone")), mortal(10), [b"gone"]),
    ],
)
def test_a_takeover_publishes_the_will_unless_it_may_wait_for_this_very_client(
    first: Connect, second: Connect, seen: list[bytes]
) -> None:
    play = Watched()
    conn = play.connect(first)

    play.connect(second)

    assert play.closed == [conn]
    assert play.seen() == seen


@pytest.mark.parametrize(
    ("goodbye", "seen"),
    [
        (Disconnect(), []),
        (Disconnect(Reason.DISCONNECT_WITH_WILL), [b"gone"]),
        (Disconnect(Reason.DISCONNECT_WITH_WILL, DisconnectProperties(session_expiry_interval=0)), [b"gone"]),
        (Disconnect(0, DisconnectProperties(session_expiry_interval=0)), []),
    ],
)
def test_a_goodbye_takes_the_will_back_or_asks_for_it(goodbye: Packet, seen: list[bytes]) -> None:
    play = Watched()
    play.sends(play.connect(mortal(10)), goodbye)
    play.wait(10)

    assert play.seen() == seen


def test_a_session_that_a_goodbye_ends_has_its_will_published_at_once() -> None:
    play = Watched()
    over = Disconnect(Reason.DISCONNECT_WITH_WILL, DisconnectProperties(session_expiry_interval=0))
    play.sends(play.connect(mortal(10)), over)

    assert play.seen() == [b"gone"]


def test_the_expiry_of_a_will_counts_from_its_publication_and_its_delay_is_not_passed_on() -> None:
    play = Watched()
    properties = WillProperties(10, 1, 5, "text", "answer", b"id", (("b", "1"), ("a", "2"), ("b", "3")))
    lasting = ConnectProperties(session_expiry_interval=100)
    play.lose(play.connect(Connect("m", V5, will=Will("will", b"gone", properties=properties), properties=lasting)))
    play.wait(10)

    expected = PublishProperties(1, 5, None, "answer", b"id", (), "text", (("b", "1"), ("a", "2"), ("b", "3")))
    assert play.got(play.watcher) == [Publish("will", b"gone", properties=expected)]


def test_wills_whose_delays_are_over_together_come_in_the_order_of_their_ends() -> None:
    play = Watched()
    for name, delay in (("a", 3), ("b", 1), ("c", 2)):
        will = Will("will", name.encode(), properties=WillProperties(will_delay_interval=delay))
        lasting = ConnectProperties(session_expiry_interval=100)
        play.lose(play.connect(Connect(name, V5, will=will, properties=lasting)))
    play.wait(5)

    assert play.seen() == [b"b", b"c", b"a"]


def test_a_broker_that_stops_publishes_no_wills() -> None:
    play = Watched()
    play.lose(play.connect(mortal(10)))

    play.core.handle(BrokerStopped(), play.now)

    assert play.core.next_due() == 100_000_000
