"""Messages in the broker core: routing, retained messages, queues, flow control."""
# ruff: noqa: FBT001  packets are written by position, as on the wire

import pytest

from tests.unit.broker.playbook import Playbook, v5
from ucmlab.broker.access import Action, ClientIdentity
from ucmlab.broker.events import ClientStats, ConnectionPaused, ConnectionResumed, PacketReceived, SendPacket
from ucmlab.broker.filters import filter_matches
from ucmlab.broker.limits import Limits
from ucmlab.broker.packets import (
    NEVER_EXPIRES,
    V5,
    V311,
    ConnAck,
    Connect,
    ConnectProperties,
    Disconnect,
    DisconnectProperties,
    PubAck,
    Publish,
    PublishProperties,
    Reason,
    Subscription,
    Unsubscribe,
)


def lasting(client_id: str, seconds: int = NEVER_EXPIRES) -> Connect:
    return Connect(client_id, V5, False, properties=ConnectProperties(session_expiry_interval=seconds))


@pytest.mark.parametrize("version", [V311, V5])
def test_a_message_goes_to_subscribers_at_the_lower_qos_and_is_acknowledged_last(version: int) -> None:
    play = Playbook()
    pub, sub0, sub1 = (play.connect(Connect(name, version)) for name in ("p", "s0", "s1"))
    play.subscribe(sub0, Subscription("a/#", 0))
    play.subscribe(sub1, Subscription("a/+", 1))

    commands = play.does(PacketReceived(pub, Publish("a/b", b"x", 1, packet_id=9)))

    assert commands == [
        SendPacket(sub1, Publish("a/b", b"x", 1, packet_id=1)),
        SendPacket(sub0, Publish("a/b", b"x")),
        SendPacket(pub, PubAck(9)),
    ] or commands == [
        SendPacket(sub0, Publish("a/b", b"x")),
        SendPacket(sub1, Publish("a/b", b"x", 1, packet_id=1)),
        SendPacket(pub, PubAck(9)),
    ]


def test_a_version_5_publisher_learns_that_nobody_listens() -> None:
    play = Playbook()
    new, old = play.connect(v5("new")), play.connect(Connect("old"))

    assert play.sends(new, Publish("t", b"x", 1, packet_id=1)) == [PubAck(1, Reason.NO_MATCHING_SUBSCRIBERS)]
    assert play.sends(old, Publish("t", b"x", 1, packet_id=1)) == [PubAck(1)]


def test_who_did_not_subscribe_gets_nothing() -> None:
    play = Playbook()
    pub, idle, system = play.connect(v5("p")), play.connect(v5("idle")), play.connect(v5("sys"))
    play.subscribe(system, Subscription("#"), Subscription("+/x"))

    play.sends(pub, Publish("$SYS/x", b"1"))
    play.sends(pub, Publish("t", b"1", retain=True))

    assert play.got(idle) == []
    assert play.messages(system) == [("t", b"1")]


@pytest.mark.parametrize("topics", [["a", "a/b", "a/b/c", "b"], [f"a/{number}" for number in range(300)]])
@pytest.mark.parametrize("filter_", ["#", "+", "a/#", "a/+", "+/b", "a/+/c", "a/b/#", "a", "b"])
def test_a_subscription_counts_from_the_next_message_on_whatever_was_routed_before(
    filter_: str, topics: list[str]
) -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(v5("s"))
    wanted = [topic for topic in topics if filter_matches(filter_, topic)]

    def arrive() -> list[str]:
        for topic in topics:
            play.does(PacketReceived(pub, Publish(topic, b"x")))
        return [topic for topic, _ in play.messages(sub)]

    assert arrive() == []
    play.subscribe(sub, Subscription(filter_, 0))
    assert arrive() == wanted
    play.sends(sub, Unsubscribe(2, (filter_,)))
    assert arrive() == []


@pytest.mark.parametrize("version", [V311, V5])
def test_overlapping_subscriptions_give_one_copy_at_the_highest_qos(version: int) -> None:
    play = Playbook()
    pub, sub = play.connect(Connect("p")), play.connect(Connect("s", version))
    play.subscribe(sub, Subscription("a/#", 0), identifier=3 if version == V5 else None)
    play.subscribe(sub, Subscription("a/b", 1), identifier=4 if version == V5 else None)

    play.sends(pub, Publish("a/b", b"x", 1, packet_id=1))

    (copy,) = play.got(sub)
    assert isinstance(copy, Publish)
    assert copy.qos == 1
    if version == V5:
        assert copy.properties is not None
        assert sorted(copy.properties.subscription_identifiers) == [3, 4]
    else:
        assert copy.properties is None


def test_options_of_version_5_are_respected() -> None:
    play = Playbook()
    conn, other = play.connect(v5("a")), play.connect(v5("b"))
    play.subscribe(conn, Subscription("t", no_local=True, retain_as_published=True))
    play.subscribe(other, Subscription("t"))

    play.sends(conn, Publish("t", b"mine", retain=True))

    assert play.sends(other, Publish("t", b"yours", retain=True)) == [Publish("t", b"mine"), Publish("t", b"yours")]
    assert play.got(conn) == [Publish("t", b"yours", retain=True)]


def test_properties_pass_through_and_are_left_out_for_3_1_1() -> None:
    play = Playbook()
    pub, new, old = play.connect(v5("p")), play.connect(v5("new")), play.connect(Connect("old"))
    for conn in (new, old):
        play.subscribe(conn, Subscription("t"))
    properties = PublishProperties(1, None, 5, "answer", b"id", (), "text", (("k", "v"), ("k", "w")))

    play.sends(pub, Publish("t", b"x", properties=properties))

    passed = PublishProperties(1, None, None, "answer", b"id", (), "text", (("k", "v"), ("k", "w")))
    assert play.got(new) == [Publish("t", b"x", properties=passed)]
    assert play.got(old) == [Publish("t", b"x")]


def test_a_topic_alias_stands_for_its_topic_on_its_connection() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(v5("s"))
    play.subscribe(sub, Subscription("#"))
    alias = PublishProperties(topic_alias=16)

    play.sends(pub, Publish("t", b"1", properties=alias))
    play.sends(pub, Publish("", b"2", properties=alias))
    play.sends(pub, Publish("u", b"3", properties=alias))
    play.sends(pub, Publish("", b"4", properties=alias))

    assert play.got(sub) == [Publish("t", b"1"), Publish("t", b"2"), Publish("u", b"3"), Publish("u", b"4")]


# --- retained ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1])
def test_a_fresh_subscriber_gets_all_retained_messages_within_its_window(qos: int) -> None:
    play = Playbook(limits=Limits(max_queued=5))
    pub = play.connect(v5("p"))
    for n in range(1000):
        play.sends(pub, Publish(f"r/{n}", b"%d" % n, qos, retain=True, packet_id=1 if qos else 0))
    sub = play.connect(Connect("s", V5, properties=ConnectProperties(receive_maximum=7)))

    first = play.subscribe(sub, Subscription("r/#", 1))

    assert len(first) == (7 if qos else 1000)
    assert all(isinstance(packet, Publish) and packet.retain for packet in first)
    if qos:
        for packet in first:
            assert isinstance(packet, Publish)
            play.does(PacketReceived(sub, PubAck(packet.packet_id)))
        assert play.messages(sub) == [(f"r/{n}", b"%d" % n) for n in range(7, 1000)]
    assert play.core.stats().dropped == 0


def test_only_an_empty_retained_message_clears() -> None:
    play = Playbook()
    pub = play.connect(v5("p"))
    play.sends(pub, Publish("t", b"x", retain=True))

    play.sends(pub, Publish("t", b""))
    assert play.subscribe(play.connect(v5("s1")), Subscription("t")) == [Publish("t", b"x", retain=True)]

    play.sends(pub, Publish("t", b"", retain=True))
    assert play.subscribe(play.connect(v5("s2")), Subscription("t")) == []
    assert play.core.stats().retained == 0


@pytest.mark.parametrize(("handling", "first", "again"), [(0, 1, 1), (1, 1, 0), (2, 0, 0)])
def test_retain_handling(handling: int, first: int, again: int) -> None:
    play = Playbook()
    conn = play.connect(v5("a"))
    play.sends(conn, Publish("t", b"x", retain=True))

    wanted = Subscription("t", retain_handling=handling)

    assert len(play.subscribe(conn, wanted)) == first
    assert len(play.subscribe(conn, wanted)) == again


def test_asking_again_for_retained_messages_does_not_pile_them_up() -> None:
    play = Playbook()
    sub = play.connect(Connect("s", V5, properties=ConnectProperties(receive_maximum=1)))
    for n in range(10):
        play.sends(sub, Publish(f"r/{n}", b"x", 1, retain=True, packet_id=1))

    for _ in range(50):
        play.subscribe(sub, Subscription("#", 1))

    assert play.core.stats().clients["s"].queued <= 10


def test_a_retained_message_waits_before_a_newer_live_one() -> None:
    play = Playbook()
    pub = play.connect(v5("p"))
    play.sends(pub, Publish("a", b"0", 1, retain=True, packet_id=1))
    play.sends(pub, Publish("t", b"old", 1, retain=True, packet_id=1))
    sub = play.connect(Connect("s", V5, properties=ConnectProperties(receive_maximum=1)))
    first = play.subscribe(sub, Subscription("#", 1))
    play.sends(pub, Publish("t", b"new", 1, packet_id=1))

    assert [getattr(packet, "payload", None) for packet in first] == [b"0"]
    play.does(PacketReceived(sub, PubAck(1)))
    assert play.messages(sub) == [("t", b"old"), ("t", b"new")]


def test_retained_topics_are_limited_and_the_refusal_is_told() -> None:
    play = Playbook(limits=Limits(max_retained=1))
    conn = play.connect(v5("a"))
    play.sends(conn, Publish("t", b"x", retain=True))

    assert play.sends(conn, Publish("u", b"x", 1, retain=True, packet_id=1)) == [PubAck(1, Reason.QUOTA_EXCEEDED)]
    assert play.core.stats().refused == 1


# --- sessions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [Connect("s", clean_start=False), lasting("s")])
def test_a_lasting_session_keeps_20_messages_in_order(again: Connect) -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(again)
    play.subscribe(sub, Subscription("q/#", 1))
    play.does(PacketReceived(sub, Disconnect()))
    for n in range(20):
        play.sends(pub, Publish("q/t", b"%d" % n, 1, packet_id=1))
        play.sends(pub, Publish("q/t", b"not kept"))

    back = play.open()
    answer, *rest = play.sends(back, again)

    assert isinstance(answer, ConnAck)
    assert answer.session_present
    assert [getattr(packet, "payload", None) for packet in rest] == [b"%d" % n for n in range(20)]


def test_a_clean_session_leaves_nothing() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(Connect("s"))
    play.subscribe(sub, Subscription("#", 1))
    play.lose(sub)
    play.sends(pub, Publish("t", b"x", 1, packet_id=1))

    back = play.open()
    assert play.sends(back, Connect("s", clean_start=False)) == [ConnAck(session_present=False)]


def test_a_clean_start_ends_the_session_that_was() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(lasting("s"))
    play.subscribe(sub, Subscription("#", 1))
    play.lose(sub)

    back = play.connect(v5("s"))
    play.sends(pub, Publish("t", b"x"))

    assert play.got(back) == []


@pytest.mark.parametrize(("seconds", "present"), [(9, True), (10, False)])
def test_a_session_expires(seconds: int, present: bool) -> None:
    play = Playbook()
    sub = play.connect(lasting("s", 10))
    play.subscribe(sub, Subscription("t", 1))
    play.lose(sub)
    assert play.core.next_due() == 10_000_000

    play.wait(seconds)

    assert ("s" in play.core.stats().clients) is present
    answer = play.sends(play.open(), lasting("s"))[0]
    assert isinstance(answer, ConnAck)
    assert answer.session_present is present


def test_a_goodbye_may_shorten_the_session() -> None:
    play = Playbook()
    sub = play.connect(lasting("s", 10))

    play.does(PacketReceived(sub, Disconnect(0, DisconnectProperties(session_expiry_interval=0))))

    assert play.core.stats().clients == {}


def test_what_was_not_acknowledged_is_repeated_first_and_marked() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(lasting("s"))
    play.subscribe(sub, Subscription("#", 1))
    for n in range(3):
        play.sends(pub, Publish("t", b"%d" % n, 1, packet_id=1))
    play.does(PacketReceived(sub, PubAck(2)))
    play.lose(sub)
    play.sends(pub, Publish("t", b"3", 1, packet_id=1))

    back = play.connect(Connect("s", V5, False, properties=ConnectProperties(receive_maximum=2)))

    repeated = [Publish("t", b"0", 1, dup=True, packet_id=1), Publish("t", b"2", 1, dup=True, packet_id=3)]
    assert play.got(back) == repeated
    assert play.sends(back, PubAck(1)) == [Publish("t", b"3", 1, packet_id=4)]


def test_a_full_queue_drops_the_newest_and_counts() -> None:
    play = Playbook(limits=Limits(max_queued=2))
    pub, sub = play.connect(v5("p")), play.connect(lasting("s"))
    play.subscribe(sub, Subscription("#", 1))
    play.lose(sub)
    for n in range(5):
        play.sends(pub, Publish("t", b"%d" % n, 1, packet_id=1))

    stats = play.core.stats()
    assert stats.dropped == 3
    assert stats.clients["s"] == ClientStats(None, 0, 0, inflight=0, queued=2, dropped=3, oversized=0)
    back = play.connect(lasting("s"))
    assert play.messages(back) == [("t", b"0"), ("t", b"1")]


# --- flow control -----------------------------------------------------------------------------------------------------


def test_the_receive_maximum_is_never_exceeded() -> None:
    play = Playbook()
    pub = play.connect(v5("p"))
    sub = play.connect(Connect("s", V5, properties=ConnectProperties(receive_maximum=2)))
    play.subscribe(sub, Subscription("#", 1))
    for n in range(4):
        play.sends(pub, Publish("t", b"%d" % n, 1, packet_id=1))
    assert play.core.stats().clients["s"] == ClientStats(sub, 0, 2, 2, 2, 0, 0)

    assert [getattr(packet, "packet_id", None) for packet in play.got(sub)] == [1, 2]
    assert play.sends(sub, PubAck(2)) == [Publish("t", b"2", 1, packet_id=3)]
    assert play.sends(sub, PubAck(77)) == []


def test_a_message_larger_than_the_client_takes_is_not_sent() -> None:
    play = Playbook()
    pub = play.connect(v5("p"))
    sub = play.connect(Connect("s", V5, properties=ConnectProperties(maximum_packet_size=20)))
    play.subscribe(sub, Subscription("#", 1))

    play.sends(pub, Publish("t", b"x" * 13, 1, packet_id=1))
    play.sends(pub, Publish("t", b"x" * 12, 1, packet_id=1))

    assert play.messages(sub) == [("t", b"x" * 12)]
    assert play.core.stats().clients["s"].oversized == 1


def test_a_peer_that_does_not_read_gets_its_messages_later_and_bounded() -> None:
    play = Playbook(limits=Limits(max_queued=3))
    pub, sub = play.connect(v5("p")), play.connect(v5("s"))
    play.subscribe(sub, Subscription("#", 1))
    play.core.handle(ConnectionPaused(sub), 0)
    for n in range(5):
        play.sends(pub, Publish("t", b"%d" % n))
    assert play.got(sub) == []

    commands = play.core.handle(ConnectionResumed(sub), 0)

    assert commands == [SendPacket(sub, Publish("t", b"%d" % n)) for n in range(3)]
    assert play.core.stats().clients["s"].dropped == 2


@pytest.mark.slow
def test_packet_identifiers_are_not_used_twice_at_once() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(v5("s"))
    play.subscribe(sub, Subscription("#", 1))
    message = PacketReceived(pub, Publish("t", b"x", 1, packet_id=1))
    play.does(message)
    for n in range(2, 65_536):
        play.does(message)
        play.does(PacketReceived(sub, PubAck(n)))
    play.got(sub)

    play.does(message)

    assert play.got(sub) == [Publish("t", b"x", 1, packet_id=2)]


# --- expiry and access ------------------------------------------------------------------------------------------------


def test_a_message_expires_while_it_waits_and_its_interval_shrinks() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(lasting("s"))
    play.subscribe(sub, Subscription("#", 1))
    play.lose(sub)
    for seconds in (10, 20):
        interval = PublishProperties(message_expiry_interval=seconds)
        play.sends(pub, Publish("t", b"%d" % seconds, 1, retain=True, packet_id=1, properties=interval))

    play.wait(12)
    back = play.connect(lasting("s"))

    left = PublishProperties(message_expiry_interval=8)
    assert play.got(back) == [Publish("t", b"20", 1, packet_id=1, properties=left)]
    late = play.subscribe(play.connect(v5("late")), Subscription("t"))
    assert late == [Publish("t", b"20", retain=True, properties=left)]
    play.wait(8)
    assert play.core.stats().retained == 0


def test_access_rules_stop_messages_on_their_way_in_and_out() -> None:
    def authorize(client: ClientIdentity, action: Action, topic: str) -> bool:
        if action == "publish":
            return topic != "locked"
        return not (action == "receive" and client.client_id == "s" and topic.startswith("secret"))

    play = Playbook(authorize=authorize)
    new, old, sub = play.connect(v5("new")), play.connect(Connect("old")), play.connect(v5("s"))
    play.subscribe(sub, Subscription("#", 1))

    assert play.sends(new, Publish("locked", b"x", 1, retain=True, packet_id=1)) == [PubAck(1, Reason.NOT_AUTHORIZED)]
    assert play.sends(old, Publish("locked", b"x", 1, packet_id=1)) == [PubAck(1)]
    play.sends(new, Publish("secret/1", b"x", retain=True))
    play.sends(new, Publish("open", b"x", retain=True))

    assert play.messages(sub) == [("open", b"x")]
    assert play.core.stats().refused == 2
    assert play.subscribe(sub, Subscription("#")) == [Publish("open", b"x", retain=True)]


def test_a_changed_access_policy_counts_at_once() -> None:
    allowed = {"publish", "receive", "subscribe"}

    def authorize(client: ClientIdentity, action: Action, topic: str) -> bool:
        del client, topic
        return action in allowed

    play = Playbook(authorize=authorize)
    conn = play.connect(v5("a"))
    play.subscribe(conn, Subscription("t"))
    assert len(play.sends(conn, Publish("t", b"x"))) == 1

    allowed.discard("receive")
    play.core.access_changed()

    assert play.sends(conn, Publish("t", b"x")) == []


# --- what a cache or a queue could get wrong --------------------------------------------------------------------------


@pytest.mark.parametrize("filter_", ["t", "+"])
def test_a_subscription_counts_from_its_suback_to_its_unsuback(filter_: str) -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(v5("s"))
    play.sends(pub, Publish("t", b"before"))

    play.subscribe(sub, Subscription(filter_))
    play.sends(pub, Publish("t", b"during"))
    assert play.messages(sub) == [("t", b"during")]

    play.sends(sub, Unsubscribe(2, (filter_,)))
    play.sends(pub, Publish("t", b"after"))
    assert play.got(sub) == []


def test_qos_0_does_not_wait_for_a_client_that_left_while_it_did_not_read() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(lasting("s"))
    play.subscribe(sub, Subscription("#", 1))
    play.core.handle(ConnectionPaused(sub), 0)
    play.sends(pub, Publish("t", b"0"))
    play.sends(pub, Publish("t", b"1", 1, packet_id=1))

    play.lose(sub)

    assert play.messages(play.connect(lasting("s"))) == [("t", b"1")]


def test_nothing_overtakes_what_waits() -> None:
    play = Playbook()
    narrow = Connect("s", V5, properties=ConnectProperties(receive_maximum=1))
    pub, sub = play.connect(v5("p")), play.connect(narrow)
    play.subscribe(sub, Subscription("#", 1))
    for n in range(2):
        play.sends(pub, Publish("t", b"%d" % n, 1, packet_id=1))
    play.sends(pub, Publish("t", b"2"))

    assert play.messages(sub) == [("t", b"0"), ("t", b"1"), ("t", b"2")]


def test_nothing_overtakes_what_is_repeated() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(lasting("s"))
    play.subscribe(sub, Subscription("#", 1))
    for n in range(3):
        play.sends(pub, Publish("t", b"%d" % n, 1, packet_id=1))
    play.lose(sub)
    properties = ConnectProperties(session_expiry_interval=9, receive_maximum=1)
    back = play.connect(Connect("s", V5, False, properties=properties))
    play.sends(pub, Publish("t", b"3"))

    assert play.messages(back) == [("t", b"%d" % n) for n in range(4)]


@pytest.mark.parametrize("topic", ["$SYS", "$SYS/broker/uptime", "$share/g/t"])
def test_nobody_publishes_under_the_names_of_the_server(topic: str) -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(v5("s"))
    play.subscribe(sub, Subscription("$SYS/#"), Subscription("$SYS"))

    assert play.sends(pub, Publish(topic, b"x", 1, packet_id=1)) == [PubAck(1, Reason.NOT_AUTHORIZED)]
    assert play.sends(pub, Publish("$SYSTEM/x", b"x", 1, packet_id=1)) == [PubAck(1, Reason.NO_MATCHING_SUBSCRIBERS)]
    assert play.got(sub) == []


@pytest.mark.parametrize("qos", [0, 1])
def test_a_payload_that_is_not_the_text_that_it_says_is_refused(qos: int) -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(v5("s"))
    play.subscribe(sub, Subscription("t"))
    text = PublishProperties(payload_format_indicator=1)

    refused = play.sends(pub, Publish("t", b"\xff", qos, retain=True, packet_id=qos, properties=text))
    play.sends(pub, Publish("t", "é".encode(), qos, packet_id=qos, properties=text))
    play.sends(pub, Publish("t", b"\xff", qos, packet_id=qos))

    assert refused == ([PubAck(1, Reason.PAYLOAD_FORMAT_INVALID)] if qos else [])
    assert [payload for _, payload in play.messages(sub)] == ["é".encode(), b"\xff"]
    assert (play.core.stats().refused, play.core.stats().retained) == (1, 0)


def test_what_waits_is_bounded_in_bytes_as_well() -> None:
    play = Playbook(limits=Limits(max_queued_bytes=100))
    pub, sub = play.connect(v5("p")), play.connect(lasting("s"))
    play.subscribe(sub, Subscription("t", 1))
    for _ in range(3):
        play.lose(sub)
        for size in (60, 60, 40, 1):
            play.sends(pub, Publish("t", b"x" * size, 1, packet_id=1))
        sub = play.connect(lasting("s"))

        assert [len(payload) for _, payload in play.messages(sub)] == [60, 40]

    assert play.core.stats().dropped == 6
