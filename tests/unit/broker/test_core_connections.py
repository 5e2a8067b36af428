"""Connections of the broker core: who gets in, how long they stay, what they leave behind."""

import pytest

from tests.unit.broker.playbook import Playbook, v5
from ucmlab.broker.access import Action, ClientIdentity
from ucmlab.broker.events import (
    BrokerStopped,
    CloseConnection,
    ConnectionOpened,
    PacketMalformed,
    PacketReceived,
    SendPacket,
)
from ucmlab.broker.limits import Limits
from ucmlab.broker.mqtt_codec import encode
from ucmlab.broker.packets import (
    V5,
    V311,
    Auth,
    ConnAck,
    ConnAckProperties,
    Connect,
    ConnectProperties,
    Disconnect,
    DisconnectProperties,
    Packet,
    PingReq,
    PingResp,
    Publish,
    PublishProperties,
    Reason,
    SubAck,
    Subscribe,
    Subscription,
    Unsubscribe,
    Will,
    WillProperties,
)

WILL = Will("will", b"gone", 1)
TEXT = WillProperties(payload_format_indicator=1)


def test_a_3_1_1_client_is_accepted() -> None:
    play = Playbook()
    conn = play.open()

    assert play.does(PacketReceived(conn, Connect("a"))) == [SendPacket(conn, ConnAck())]


def test_a_version_5_client_is_told_what_the_broker_can() -> None:
    play = Playbook(limits=Limits(max_packet_size=1000, server_keep_alive=30))
    conn = play.open()

    answer = play.sends(conn, Connect("", V5))

    properties = ConnAckProperties(
        receive_maximum=1000,
        maximum_packet_size=1000,
        assigned_client_identifier="auto-1",
        topic_alias_maximum=16,
        server_keep_alive=30,
    )
    assert answer == [ConnAck(properties=properties)]


def test_assigned_ids_are_counted_and_free() -> None:
    play = Playbook()
    play.connect(Connect("auto-1"))
    play.connect(Connect(""))

    assert list(play.core.stats().clients) == ["auto-1", "auto-2"]


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (Connect("", clean_start=False), 2),
        (Connect("a", username="bad"), 4),
        (Connect("a", V5, username="bad"), Reason.BAD_USERNAME_OR_PASSWORD),
        (Connect("nobody"), 5),
        (Connect("nobody", V5), Reason.NOT_AUTHORIZED),
        (Connect("a", will=Will("forbidden")), 5),
        (Connect("a", V5, will=Will("forbidden")), Reason.NOT_AUTHORIZED),
        (Connect("a", V5, will=Will("a/#")), Reason.TOPIC_INVALID),
        (Connect("a", will=Will("a/#")), 3),
        (Connect("a", V5, will=Will("$SYS/a")), Reason.NOT_AUTHORIZED),
        (Connect("a", V5, will=Will("a", b"\xff", properties=TEXT)), Reason.PAYLOAD_FORMAT_INVALID),
        (Connect("a", V5, will=Will("a", properties=WillProperties(response_topic="+"))), Reason.PROTOCOL_ERROR),
        (Connect("a", V5, properties=ConnectProperties(authentication_data=b"x")), Reason.PROTOCOL_ERROR),
        (Connect("a", V5, properties=ConnectProperties(authentication_method="m")), Reason.BAD_AUTHENTICATION_METHOD),
        (Connect("a", 3), 1),
    ],
)
def test_a_client_that_cannot_be_taken_is_told_why(packet: Connect, code: int) -> None:
    def authenticate(client_id: str, username: str | None, password: bytes | None) -> bool:
        del password
        return client_id != "nobody" and username is None

    def authorize(client: ClientIdentity, action: Action, topic: str) -> bool:
        del client, action
        return topic != "forbidden"

    play = Playbook(authenticate=authenticate, authorize=authorize)

    assert play.refused(packet) == code
    assert play.core.stats().connections == 0


def test_a_session_is_not_handed_to_another_user() -> None:
    play = Playbook()
    play.connect(Connect("a", clean_start=False, username="one"))

    assert play.refused(Connect("a", V5, username="two")) == Reason.NOT_AUTHORIZED


@pytest.mark.parametrize(
    "packet",
    [
        Connect("a", V5),
        ConnAck(),
        SubAck(1, (0,)),
        PingResp(),
        Auth(),
        Publish("", b"x"),
        Publish("t", b"x", properties=PublishProperties(subscription_identifiers=(1,))),
        Publish("t", b"x", properties=PublishProperties(response_topic="a/#")),
        Publish("", b"x", properties=PublishProperties(topic_alias=1)),
        Disconnect(0, DisconnectProperties(session_expiry_interval=5)),
    ],
)
def test_a_protocol_error_ends_its_connection_and_no_other(packet: Packet) -> None:
    play = Playbook()
    other = play.connect(v5("other"))
    play.subscribe(other, Subscription("will", 1))
    conn = play.connect(Connect("a", V5, will=WILL))

    play.does(PacketReceived(conn, packet))

    assert play.closed == [conn]
    assert play.why(conn) == Reason.PROTOCOL_ERROR
    assert play.messages(other) == [("will", b"gone")]
    assert play.sends(other, PingReq()) == [PingResp()]


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (Publish("a/+", b"x"), Reason.TOPIC_INVALID),
        (Subscribe(1, (Subscription("a/#/b"),)), Reason.MALFORMED_PACKET),
        (Subscribe(1, (Subscription("a"), Subscription("a+"))), Reason.MALFORMED_PACKET),
        (Subscribe(1, (Subscription(""),)), Reason.MALFORMED_PACKET),
        (Unsubscribe(1, ("#a",)), Reason.MALFORMED_PACKET),
        (Publish("t", b"x", properties=PublishProperties(topic_alias=17)), Reason.TOPIC_ALIAS_INVALID),
        (Publish("t", b"x", properties=PublishProperties(topic_alias=0)), Reason.TOPIC_ALIAS_INVALID),
    ],
)
def test_the_reason_of_an_expulsion_is_exact(packet: Packet, reason: int) -> None:
    play = Playbook()
    conn = play.connect(v5("a"))

    play.does(PacketReceived(conn, packet))

    assert play.why(conn) == reason


def test_a_3_1_1_client_is_closed_without_words() -> None:
    play = Playbook()
    conn = play.connect(Connect("a"))

    assert play.does(PacketReceived(conn, Publish("a/+", b"x"))) == [CloseConnection(conn)]


def test_the_first_packet_must_be_connect() -> None:
    play = Playbook()
    conn = play.open()

    assert play.does(PacketReceived(conn, PingReq())) == [CloseConnection(conn)]


def test_bytes_that_are_no_packet_end_the_connection() -> None:
    play = Playbook()
    conn = play.connect(v5("a"))

    commands = play.core.handle(PacketMalformed(conn, Reason.PACKET_TOO_LARGE, "large"), 0)

    words = DisconnectProperties(reason_string="large")
    assert commands == [SendPacket(conn, Disconnect(Reason.PACKET_TOO_LARGE, words)), CloseConnection(conn)]


def test_an_unknown_protocol_version_is_answered() -> None:
    play = Playbook()
    conn = play.open()

    commands = play.core.handle(PacketMalformed(conn, Reason.UNSUPPORTED_VERSION, "3"), 0)

    assert commands == [SendPacket(conn, ConnAck(reason_code=1)), CloseConnection(conn)]


def test_events_of_a_forgotten_connection_are_ignored() -> None:
    play = Playbook()
    conn = play.connect(v5("a"))
    play.lose(conn)

    assert play.does(PacketReceived(conn, PingReq())) == []
    play.lose(conn)


def test_too_many_connections_are_turned_away() -> None:
    play = Playbook(limits=Limits(max_connections=1))
    play.open()

    assert play.does(ConnectionOpened(2)) == [CloseConnection(2)]


def test_a_second_client_with_the_same_id_takes_over() -> None:
    play = Playbook()
    watcher = play.connect(v5("w"))
    play.subscribe(watcher, Subscription("will"))
    old = play.connect(Connect("a", V5, will=WILL))

    new = play.connect(v5("a"))

    assert play.why(old) == Reason.SESSION_TAKEN_OVER
    assert play.messages(watcher) == [("will", b"gone")]
    assert play.sends(new, PingReq()) == [PingResp()]


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (Disconnect(), []),
        (Disconnect(0x04), [("will", b"gone")]),
        (None, [("will", b"gone")]),
    ],
    ids=["goodbye", "goodbye with will", "lost"],
)
@pytest.mark.parametrize("version", [V311, V5])
def test_a_will_is_published_unless_the_client_says_goodbye(
    version: int, packet: Disconnect | None, expected: list[tuple[str, bytes]]
) -> None:
    if version == V311 and packet == Disconnect(0x04):
        pytest.skip("3.1.1 has no reasons")
    play = Playbook()
    watcher = play.connect(v5("w"))
    play.subscribe(watcher, Subscription("will"))
    conn = play.connect(Connect("a", version, will=WILL))

    if packet is None:
        play.lose(conn)
    else:
        play.does(PacketReceived(conn, packet))
        assert play.closed == [conn]

    assert play.messages(watcher) == expected


def test_a_will_carries_its_properties_and_may_be_retained() -> None:
    play = Playbook()
    will = Will("will", b"gone", 2, True, WillProperties(content_type="text", user_properties=(("k", "v"),)))
    conn = play.connect(Connect("a", V311, will=will))
    play.lose(conn)

    late = play.connect(v5("late"))
    (message,) = play.subscribe(late, Subscription("will", 1))

    properties = PublishProperties(content_type="text", user_properties=(("k", "v"),))
    assert message == Publish("will", b"gone", 1, retain=True, packet_id=1, properties=properties)


def test_silence_of_one_and_a_half_keep_alives_ends_the_connection() -> None:
    play = Playbook()
    watcher = play.connect(Connect("w"))
    play.subscribe(watcher, Subscription("will"))
    conn = play.connect(Connect("a", V5, keep_alive=10, will=WILL))
    play.wait(14.9)
    assert play.core.next_due() == 15_000_000
    assert play.closed == []

    play.wait(0.1)

    assert play.why(conn) == Reason.KEEP_ALIVE_TIMEOUT
    assert play.messages(watcher) == [("will", b"gone")]


def test_any_packet_keeps_alive_and_no_keep_alive_lasts_for_ever() -> None:
    play = Playbook()
    play.connect(Connect("quiet"))
    conn = play.connect(Connect("a", keep_alive=10))
    play.wait(14)
    play.sends(conn, PingReq())

    play.wait(14)

    assert play.closed == []


def test_the_server_may_set_the_keep_alive_of_version_5() -> None:
    play = Playbook(limits=Limits(server_keep_alive=2))
    conn = play.connect(Connect("a", V5, keep_alive=1000))

    play.wait(3)

    assert play.closed == [conn]


def test_a_peer_that_never_says_connect_is_closed() -> None:
    play = Playbook(limits=Limits(connect_timeout=10))
    conn = play.open()
    play.wait(9.9)
    assert play.closed == []

    play.wait(0.1)

    assert play.closed == [conn]


def test_a_stopping_broker_says_so_and_publishes_no_wills() -> None:
    play = Playbook()
    old = play.connect(Connect("old", will=Will("t")))
    new = play.connect(v5("new"))
    play.subscribe(new, Subscription("t"))

    commands = play.core.handle(BrokerStopped(), 0)

    words = DisconnectProperties(reason_string="the broker stops")
    assert commands == [
        CloseConnection(old),
        SendPacket(new, Disconnect(Reason.SHUTTING_DOWN, words)),
        CloseConnection(new),
    ]


@pytest.mark.parametrize("size", [0, 20_001])
def test_limits_that_cannot_work_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"^max_inflight is \d+; 1 to 20000 leaves room for packet identifiers$"):
        Limits(max_inflight=size)


def test_unsubscribing_stops_messages_and_version_5_learns_what_existed() -> None:
    play = Playbook()
    new, old = play.connect(v5("new")), play.connect(Connect("old"))
    for conn in (new, old):
        play.subscribe(conn, Subscription("a/+"), Subscription("b"))

    answers = [play.sends(conn, Unsubscribe(2, ("a/+", "b", "c")))[0] for conn in (new, old)]

    assert [getattr(answer, "reason_codes", None) for answer in answers] == [(0, 0, 0x11), ()]
    play.sends(new, Publish("a/x", b"1"))
    assert play.got(old) == []


def test_a_subscribe_answers_each_filter_for_itself() -> None:
    def authorize(client: ClientIdentity, action: Action, topic: str) -> bool:
        del client, action
        return topic != "no"

    play = Playbook(authorize=authorize, limits=Limits(max_subscriptions=2))
    asked = tuple(Subscription(f, 2) for f in ("a", "/" * 200, "no", "$share/g/a", "b", "c"))
    codes = {}
    for version in (V5, V311):
        conn = play.connect(Connect(f"v{version}", version))
        codes[version] = getattr(play.sends(conn, Subscribe(1, asked))[0], "reason_codes", None)

    assert codes == {V5: (2, 0x8F, 0x87, 2, 0x97, 0x97), V311: (2, 0x80, 0x80, 2, 0x80, 0x80)}


def test_a_client_that_asks_learns_where_to_be_answered() -> None:
    play = Playbook(limits=Limits(response_information="answers/%c"))

    def told(asks: int | None) -> str | None:
        (answer,) = play.sends(
            play.open(), Connect("a", V5, properties=ConnectProperties(None, None, None, None, asks))
        )
        assert isinstance(answer, ConnAck)
        assert answer.properties is not None
        return answer.properties.response_information

    assert [told(1), told(0), told(None)] == ["answers/a", None, None]


@pytest.mark.parametrize("size", [4, 10])
def test_a_client_that_takes_no_connack_is_closed_without_one(size: int) -> None:
    play = Playbook()
    conn = play.open()

    answers = play.sends(conn, Connect("a", V5, properties=ConnectProperties(maximum_packet_size=size)))

    assert all(len(encode(answer, V5)) <= size for answer in answers)
    assert play.closed == [conn]
    assert play.core.stats().clients == {}


def test_no_answer_is_larger_than_the_client_takes() -> None:
    play = Playbook()
    size = 30
    conn = play.connect(Connect("a", V5, properties=ConnectProperties(maximum_packet_size=size)))
    assert len(play.sends(conn, Subscribe(1, (Subscription("a"),) * 25))) == 1

    play.does_send(conn, Subscribe(1, (Subscription("a"),) * 26))

    assert play.why(conn) == Reason.PACKET_TOO_LARGE


def test_sessions_are_limited_and_those_that_exist_may_go_on() -> None:
    play = Playbook(limits=Limits(max_sessions=2))
    play.lose(play.connect(Connect("a", clean_start=False)))
    play.connect(Connect("b"))

    assert play.refused(Connect("c", V5)) == Reason.QUOTA_EXCEEDED
    play.connect(Connect("a", clean_start=False))


def test_a_client_that_wants_no_explanations_gets_none_but_in_connack_and_disconnect() -> None:
    play = Playbook()
    conn = play.connect(Connect("a", V5, properties=ConnectProperties(request_problem_information=0)))
    asks: tuple[Packet, ...] = (
        Publish("$SYS/x", b"x", 1, packet_id=1),
        Publish("$SYS/x", b"x", 2, packet_id=1),
        Subscribe(1, (Subscription("/" * 200),)),
        Unsubscribe(1, ("never",)),
    )

    answers = [answer for packet in asks for answer in play.sends(conn, packet)]

    assert [getattr(answer, "properties", None) for answer in answers] == [None] * 4
