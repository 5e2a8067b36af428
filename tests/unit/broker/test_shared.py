"""Shared subscriptions: one copy for a group, whoever comes and goes."""

from collections import Counter

import pytest

from tests.unit.broker.playbook import Playbook, lasting, v5
from ucmlab.broker.access import AccessRule, Account, Accounts, make_account
from ucmlab.broker.events import ConnectionPaused
from ucmlab.broker.limits import Limits
from ucmlab.broker.packets import (
    V5,
    V311,
    Connect,
    PubAck,
    Publish,
    PublishProperties,
    PubRec,
    PubRel,
    Reason,
    SubAck,
    Subscribe,
    Subscription,
    UnsubAck,
    Unsubscribe,
)

SHARED = "$share/g/t/#"


def publish(play: Playbook, conn: int, count: int, qos: int = 0) -> list[bytes]:
    payloads = [b"%d" % number for number in range(count)]
    for payload in payloads:
        play.sends(conn, Publish("t/a", payload, qos, packet_id=qos))
        if qos == 2:
            play.sends(conn, PubRel(qos))
    return payloads


@pytest.mark.parametrize("version", [V311, V5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_goes_to_one_member_and_each_member_gets_its_share(version: int, qos: int) -> None:
    play = Playbook()
    pub = play.connect(Connect("p", version))
    members = [play.connect(Connect(name, version)) for name in "abc"]
    for member in members:
        play.subscribe(member, Subscription(SHARED, 2))

    sent: list[bytes] = []
    got: list[list[bytes]] = [[], [], []]
    for _ in range(3):
        sent += publish(play, pub, 3, qos)
        for found, member in zip(got, members, strict=True):
            found += [payload for _, payload in play.messages(member)]

    assert Counter(payload for each in got for payload in each) == Counter(sent)
    assert [len(each) for each in got] == [3, 3, 3]


def test_groups_and_subscriptions_of_ones_own_get_a_copy_each() -> None:
    play = Playbook()
    pub, one, two = play.connect(v5("p")), play.connect(v5("1")), play.connect(v5("2"))
    play.subscribe(one, Subscription(SHARED), identifier=1)
    play.subscribe(one, Subscription("$share/h/t/a"), identifier=2)
    play.subscribe(one, Subscription("t/+"), identifier=3)
    play.subscribe(two, Subscription("t/a"))

    assert play.sends(pub, Publish("t/a", b"x")) == []

    identifiers = [packet.properties for packet in play.got(one) if isinstance(packet, Publish)]
    assert identifiers == [PublishProperties(subscription_identifiers=(number,)) for number in (3, 1, 2)]
    assert play.messages(two) == [("t/a", b"x")]


def test_a_member_that_left_gets_nothing_more_and_an_empty_group_is_nobody() -> None:
    play = Playbook()
    pub, one, two = play.connect(v5("p")), play.connect(v5("1")), play.connect(v5("2"))
    for conn in (one, two):
        play.subscribe(conn, Subscription(SHARED))

    assert play.sends(one, Unsubscribe(1, (SHARED, SHARED))) == [UnsubAck(1, (0, Reason.NO_SUBSCRIPTION_EXISTED))]
    publish(play, pub, 2)
    assert len(play.messages(two)) == 2
    play.lose(two)

    assert play.sends(pub, Publish("t/a", b"x", 1, packet_id=1)) == [PubAck(1, Reason.NO_MATCHING_SUBSCRIBERS)]
    assert play.sends(pub, Publish("t/a", b"x", 2, packet_id=1)) == [PubRec(1, Reason.NO_MATCHING_SUBSCRIBERS)]


def test_who_can_take_a_message_now_comes_first() -> None:
    play = Playbook(limits=Limits(max_queued=1))
    pub, slow, away, ready = (play.connect(lasting(name)) for name in ("p", "slow", "away", "ready"))
    for conn in (slow, away, ready):
        play.subscribe(conn, Subscription(SHARED, 1))
    play.core.handle(ConnectionPaused(slow), play.now)
    play.lose(away)

    publish(play, pub, 3, 1)
    assert len(play.messages(ready)) == 3
    play.lose(ready)
    publish(play, pub, 2, 1)  # one for who is there and does not read, one for an absent one
    play.lose(slow)
    publish(play, pub, 2, 1)

    assert {name: each.queued for name, each in play.core.stats().clients.items()} == {
        "p": 0,
        "slow": 1,
        "away": 1,
        "ready": 1,
    }
    assert play.core.stats().dropped == 1


def test_a_message_at_qos_0_is_not_kept_for_an_absent_group() -> None:
    play = Playbook()
    pub, member = play.connect(v5("p")), play.connect(lasting("m"))
    play.subscribe(member, Subscription(SHARED, 1))
    play.lose(member)

    publish(play, pub, 1)

    assert play.got(play.connect(lasting("m"))) == []


def test_what_an_ended_session_owed_goes_to_another_member_unless_it_began_at_qos_2() -> None:
    play = Playbook()
    pub, mortal = play.connect(v5("p")), play.connect(lasting("m", seconds=10, receive_maximum=3))
    play.subscribe(mortal, Subscription(SHARED, 2))
    for number, qos in enumerate((1, 2, 1, 2), 1):
        play.sends(pub, Publish("t/a", b"%d" % number, qos, packet_id=number))
    assert len(play.got(mortal)) == 3
    play.does_send(mortal, PubAck(1))
    play.got(mortal)
    heir = play.connect(v5("h"))
    play.subscribe(heir, Subscription(SHARED, 2))

    play.lose(mortal)
    play.wait(9)
    assert play.got(heir) == []
    play.wait(2)

    assert play.messages(heir) == [("t/a", b"3")]
    assert play.core.stats().dropped == 0


def test_an_ended_session_leaves_what_never_began_to_another_member_at_any_quality() -> None:
    play = Playbook()
    pub, mortal = play.connect(v5("p")), play.connect(lasting("m", seconds=10))
    play.subscribe(mortal, Subscription(SHARED, 2), Subscription("t/#", 2))
    play.lose(mortal)
    publish(play, pub, 2, 2)
    heir = play.connect(v5("h"))
    play.subscribe(heir, Subscription(SHARED, 1))

    play.wait(10)

    assert play.messages(heir) == [("t/a", b"0"), ("t/a", b"1")]


def test_a_message_that_a_member_refuses_is_offered_to_nobody_else() -> None:
    play = Playbook()
    pub, one, two = play.connect(v5("p")), play.connect(lasting("1")), play.connect(lasting("2"))
    for conn in (one, two):
        play.subscribe(conn, Subscription(SHARED, 2))
    for qos in (1, 2):
        play.sends(pub, Publish("t/a", b"x", qos, packet_id=1))

    play.does_send(one, PubAck(1, Reason.UNSPECIFIED))
    play.does_send(two, PubRec(1, Reason.UNSPECIFIED))

    assert [len(play.got(conn)) for conn in (one, two)] == [1, 1]
    stats = play.core.stats().clients
    assert [stats[name].inflight for name in ("1", "2")] == [0, 0]


def test_a_group_is_not_owed_what_is_retained() -> None:
    play = Playbook()
    pub, member = play.connect(v5("p")), play.connect(v5("m"))
    play.sends(pub, Publish("t/a", b"kept", retain=True))

    assert play.subscribe(member, Subscription(SHARED)) == []
    play.sends(pub, Publish("t/a", b"new", retain=True))
    assert play.got(member) == [Publish("t/a", b"new")]
    assert play.subscribe(member, Subscription(SHARED, retain_as_published=True)) == []
    play.sends(pub, Publish("t/a", b"newer", retain=True))
    assert play.got(member) == [Publish("t/a", b"newer", retain=True)]


@pytest.mark.parametrize(
    "filter_", ["$share/", "$share/g", "$share/g/", "$share//t", "$share/+/t", "$share/g#/t", "$share/g/t/#/x"]
)
@pytest.mark.parametrize("version", [V311, V5])
def test_what_is_no_shared_subscription_ends_the_connection(filter_: str, version: int) -> None:
    play = Playbook()
    conn = play.connect(Connect("a", version))

    play.does_send(conn, Subscribe(1, (Subscription(filter_),)))

    assert play.why(conn) == (Reason.MALFORMED_PACKET if version == V5 else None)


def test_no_local_in_a_shared_subscription_is_a_protocol_error() -> None:
    play = Playbook()
    conn = play.connect(v5("a"))

    play.does_send(conn, Subscribe(1, (Subscription(SHARED, no_local=True),)))

    assert play.why(conn) == Reason.PROTOCOL_ERROR


def test_wildcards_of_a_group_do_not_see_topics_of_the_server() -> None:
    play = Playbook()
    pub, member = play.connect(v5("p")), play.connect(v5("m"))
    play.subscribe(member, Subscription("$share/g/#"), Subscription("$share/g/$x/#"))

    play.sends(pub, Publish("$x/a", b"1"))

    assert play.messages(member) == [("$x/a", b"1")]


def test_access_rules_are_about_the_filter_and_not_about_the_group() -> None:
    def account(name: str, *rules: AccessRule) -> Account:
        return make_account(name, b"pw", salt=b"", rules=rules)

    reads = (AccessRule("subscribe", "t/#"), AccessRule("receive", "t/a"))
    accounts = Accounts(
        [
            account("one", *reads),
            account("two", AccessRule("subscribe", "t/#")),
            account("p", AccessRule("publish", "#")),
        ]
    )
    play = Playbook(authenticate=accounts.authenticate, authorize=accounts.authorize)
    one, two, pub = (play.connect(Connect(name, V5, username=name, password=b"pw")) for name in ("one", "two", "p"))
    codes = [play.sends(conn, Subscribe(1, (Subscription(SHARED), Subscription("$share/g/u")))) for conn in (one, two)]
    assert codes == [[SubAck(1, (0, Reason.NOT_AUTHORIZED))]] * 2

    publish(play, pub, 4)

    assert len(play.messages(one)) == 4
    assert play.got(two) == []
