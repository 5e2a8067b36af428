"""QoS 2 in the broker core: every message exactly once, in both directions, across connections."""

import pytest

from tests.unit.broker.playbook import Playbook, lasting, v5
from ucmlab.broker.access import Action, ClientIdentity
from ucmlab.broker.limits import Limits
from ucmlab.broker.packets import (
    V5,
    V311,
    AckProperties,
    Connect,
    Disconnect,
    Packet,
    PubAck,
    PubComp,
    Publish,
    PublishProperties,
    PubRec,
    PubRel,
    Reason,
    Subscription,
)

VERSIONS = pytest.mark.parametrize("version", [V311, V5])


def exactly_once(payload: bytes, packet_id: int, *, dup: bool = False, topic: str = "t") -> Publish:
    return Publish(topic, payload, 2, dup=dup, packet_id=packet_id)


# --- from a client ----------------------------------------------------------------------------------------------------


@VERSIONS
@pytest.mark.rule("S16")
def test_a_message_is_handed_on_once_however_often_it_is_repeated(version: int) -> None:
    play = Playbook()
    pub, sub = play.connect(lasting("p", version)), play.connect(Connect("s", version))
    play.subscribe(sub, Subscription("t", 2))

    assert play.sends(pub, exactly_once(b"1", 7)) == [PubRec(7)]
    assert play.sends(pub, exactly_once(b"1", 7, dup=True)) == [PubRec(7)]
    play.lose(pub)
    pub = play.connect(lasting("p", version))
    play.got(pub)
    assert play.sends(pub, exactly_once(b"1", 7, dup=True)) == [PubRec(7)]
    assert play.sends(pub, PubRel(7)) == [PubComp(7)]
    assert play.sends(pub, exactly_once(b"2", 7)) == [PubRec(7)]

    assert play.messages(sub) == [("t", b"1"), ("t", b"2")]


@VERSIONS
def test_a_session_that_ended_takes_its_handshakes_along(version: int) -> None:
    play = Playbook()
    sub = play.connect(Connect("s", version))
    play.subscribe(sub, Subscription("t", 2))
    for payload in (b"1", b"2"):
        pub = play.connect(Connect("p", version))
        play.sends(pub, exactly_once(payload, 7))
        play.lose(pub)

    assert play.messages(sub) == [("t", b"1"), ("t", b"2")]


def test_a_release_of_nothing_is_answered_and_version_5_learns_it() -> None:
    play = Playbook()
    old, new = play.connect(Connect("old")), play.connect(v5("new"))

    assert play.sends(old, PubRel(9)) == [PubComp(9)]
    assert play.sends(new, PubRel(9)) == [PubComp(9, Reason.PACKET_ID_NOT_FOUND)]


def test_a_refused_message_is_over_with_its_pubrec_in_version_5_and_dropped_in_silence_in_3_1_1() -> None:
    def authorize(client: ClientIdentity, action: Action, topic: str) -> bool:
        del client
        return action != "publish" or topic == "yes"

    play = Playbook(authorize=authorize)
    old, new, sub = play.connect(Connect("old")), play.connect(v5("new")), play.connect(v5("sub"))
    play.subscribe(sub, Subscription("#", 2))

    assert play.sends(old, exactly_once(b"x", 1, topic="no")) == [PubRec(1)]
    assert play.sends(old, PubRel(1)) == [PubComp(1)]
    assert play.sends(new, exactly_once(b"x", 1, topic="no")) == [PubRec(1, Reason.NOT_AUTHORIZED)]
    assert play.sends(new, exactly_once(b"y", 1, topic="yes")) == [PubRec(1)]

    assert play.messages(sub) == [("yes", b"y")]


def test_a_version_5_publisher_learns_that_nobody_listens_and_still_releases() -> None:
    play = Playbook()
    pub = play.connect(v5("p"))

    assert play.sends(pub, exactly_once(b"x", 1)) == [PubRec(1, Reason.NO_MATCHING_SUBSCRIBERS)]
    assert play.sends(pub, PubRel(1)) == [PubComp(1)]


def test_a_client_that_begins_more_than_it_may_is_expelled_and_one_that_releases_is_not() -> None:
    play = Playbook(limits=Limits(receive_maximum=2))
    good, bad, old = play.connect(v5("good")), play.connect(v5("bad")), play.connect(Connect("old"))
    for number in range(1, 6):
        play.sends(good, exactly_once(b"x", number))
        play.sends(good, PubRel(number))
        play.sends(old, exactly_once(b"x", number))
    play.sends(bad, exactly_once(b"x", 1))
    play.sends(bad, exactly_once(b"x", 1, dup=True))
    play.sends(bad, exactly_once(b"x", 2))
    assert play.closed == []

    play.does_send(bad, exactly_once(b"x", 3))

    assert play.closed == [bad]
    assert play.why(bad) == Reason.RECEIVE_MAXIMUM_EXCEEDED


def test_a_new_connection_counts_from_nothing() -> None:
    play = Playbook(limits=Limits(receive_maximum=1))
    pub = play.connect(lasting("p"))
    play.sends(pub, exactly_once(b"1", 1))
    play.lose(pub)
    pub = play.connect(lasting("p"))
    play.got(pub)

    assert play.sends(pub, exactly_once(b"2", 2)) == [PubRec(2, Reason.NO_MATCHING_SUBSCRIBERS)]
    assert play.sends(pub, PubRel(1)) == [PubComp(1)]


def test_an_alias_set_by_a_repetition_counts() -> None:
    play = Playbook()
    pub = play.connect(lasting("p"))
    play.sends(pub, exactly_once(b"1", 1))
    play.lose(pub)
    pub, sub = play.connect(lasting("p")), play.connect(v5("s"))
    play.subscribe(sub, Subscription("t"))
    alias = PublishProperties(topic_alias=1)

    play.sends(pub, Publish("t", b"1", 2, dup=True, packet_id=1, properties=alias))
    play.sends(pub, Publish("", b"2", properties=alias))

    assert play.messages(sub) == [("t", b"2")]


# --- to a client ------------------------------------------------------------------------------------------------------


@VERSIONS
def test_a_message_is_released_when_the_client_has_it_and_its_identifier_is_free_when_it_says_so(version: int) -> None:
    play = Playbook(limits=Limits(max_inflight=1))
    pub, sub = play.connect(Connect("p")), play.connect(Connect("s", version))
    play.subscribe(sub, Subscription("t", 2))
    play.sends(pub, exactly_once(b"1", 1))
    play.sends(pub, exactly_once(b"2", 2))

    assert play.got(sub) == [exactly_once(b"1", 1)]
    assert play.sends(sub, PubRec(1)) == [PubRel(1)]
    assert play.sends(sub, PubRec(1)) == [PubRel(1)]
    assert play.sends(sub, PubComp(1)) == [exactly_once(b"2", 2)]


@VERSIONS
def test_what_was_not_received_is_repeated_and_what_was_is_released_again(version: int) -> None:
    play = Playbook()
    pub, sub = play.connect(Connect("p")), play.connect(lasting("s", version))
    play.subscribe(sub, Subscription("t", 2))
    for number in (1, 2, 3, 4):
        play.sends(pub, exactly_once(b"%d" % number, number))
    play.got(sub)
    play.sends(sub, PubRec(3))
    play.sends(sub, PubRec(1))
    play.lose(sub)

    sub = play.connect(lasting("s", version))

    assert play.got(sub) == [
        PubRel(3),
        PubRel(1),
        exactly_once(b"2", 2, dup=True),
        exactly_once(b"4", 4, dup=True),
    ]
    assert play.sends(sub, PubComp(1)) == []
    assert play.sends(sub, PubRec(2)) == [PubRel(2)]
    play.lose(sub)
    sub = play.connect(lasting("s", version))
    assert play.got(sub) == [PubRel(3), PubRel(2), exactly_once(b"4", 4, dup=True)]


def test_a_client_may_come_back_with_the_other_version() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(lasting("s", V5))
    play.subscribe(sub, Subscription("t", 2), identifier=5)
    play.sends(pub, Publish("t", b"1", 2, packet_id=1, properties=PublishProperties(content_type="x")))
    properties = PublishProperties(content_type="x", subscription_identifiers=(5,))
    assert play.got(sub) == [Publish("t", b"1", 2, packet_id=1, properties=properties)]
    play.lose(sub)

    sub = play.connect(lasting("s", V311))
    assert play.got(sub) == [exactly_once(b"1", 1, dup=True)]
    play.lose(sub)

    (again,) = play.got(play.connect(lasting("s", V5)))
    assert isinstance(again, Publish)
    assert (again.dup, again.properties) == (True, properties)


def test_the_expiry_interval_of_a_repetition_has_shrunk() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(lasting("s"))
    play.subscribe(sub, Subscription("t", 2))
    play.sends(pub, Publish("t", b"1", 2, packet_id=1, properties=PublishProperties(message_expiry_interval=10)))
    play.got(sub)
    play.lose(sub)
    play.wait(4)

    (again,) = play.got(play.connect(lasting("s")))

    assert isinstance(again, Publish)
    assert again.properties == PublishProperties(message_expiry_interval=6)


def test_a_client_may_refuse_a_message_which_ends_it() -> None:
    play = Playbook(limits=Limits(max_inflight=1))
    pub, sub = play.connect(v5("p")), play.connect(lasting("s"))
    play.subscribe(sub, Subscription("t", 2))
    play.sends(pub, exactly_once(b"1", 1))
    play.sends(pub, exactly_once(b"2", 2))
    assert play.got(sub) == [exactly_once(b"1", 1)]

    assert play.sends(sub, PubRec(1, Reason.QUOTA_EXCEEDED, AckProperties("full"))) == [exactly_once(b"2", 2)]
    play.lose(sub)
    assert play.got(play.connect(lasting("s"))) == [exactly_once(b"2", 2, dup=True)]


def test_a_pubrec_for_nothing_is_answered_and_version_5_learns_it() -> None:
    play = Playbook()
    old, new = play.connect(Connect("old")), play.connect(v5("new"))

    assert play.sends(old, PubRec(9)) == [PubRel(9)]
    assert play.sends(new, PubRec(9)) == [PubRel(9, Reason.PACKET_ID_NOT_FOUND)]
    assert play.sends(new, PubComp(9)) == []


@pytest.mark.parametrize(
    ("qos", "wrong"),
    [(1, PubRec(1)), (1, PubRec(1, 0x80)), (1, PubComp(1)), (2, PubAck(1)), (2, PubComp(1))],
)
def test_the_wrong_answer_ends_the_connection_and_loses_nothing(qos: int, wrong: Packet) -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(lasting("s"))
    play.subscribe(sub, Subscription("t", 2))
    play.sends(pub, Publish("t", b"1", qos, packet_id=1))
    play.got(sub)

    play.does_send(sub, wrong)

    assert play.why(sub) == Reason.PROTOCOL_ERROR
    assert play.got(play.connect(lasting("s"))) == [Publish("t", b"1", qos, dup=True, packet_id=1)]


def test_the_receive_maximum_counts_both_qualities_and_a_message_until_it_is_complete() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(lasting("s", receive_maximum=2))
    play.subscribe(sub, Subscription("t", 2))
    for number, qos in enumerate((2, 1, 2, 1), 1):
        play.sends(pub, Publish("t", b"%d" % number, qos, packet_id=number))

    assert [packet.payload for packet in play.got(sub) if isinstance(packet, Publish)] == [b"1", b"2"]
    assert play.sends(sub, PubRec(1)) == [PubRel(1)]
    assert play.sends(sub, PubAck(2)) == [exactly_once(b"3", 3)]
    assert play.sends(sub, PubComp(1)) == [Publish("t", b"4", 1, packet_id=4)]


def test_an_identifier_is_not_used_again_before_its_message_is_complete() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(v5("s"))
    play.subscribe(sub, Subscription("t", 2))
    play.sends(pub, exactly_once(b"x", 1))
    play.sends(sub, PubRec(1))
    play.got(sub)
    used = set()
    for _ in range(65_534):
        play.does_send(pub, Publish("t", b"y", 1, packet_id=1))
        play.got(pub)
        (copy,) = play.got(sub)
        assert isinstance(copy, Publish)
        used.add(copy.packet_id)
        play.acknowledges(sub, copy)

    assert used == set(range(2, 65_536))


def test_an_answer_may_come_before_the_repetition_that_it_answers() -> None:
    play = Playbook()
    pub, sub = play.connect(v5("p")), play.connect(lasting("s"))
    play.subscribe(sub, Subscription("t", 2))
    for number in (1, 2):
        play.sends(pub, exactly_once(b"%d" % number, number))
    play.lose(sub)
    sub = play.connect(lasting("s", receive_maximum=1))
    assert play.got(sub) == [exactly_once(b"1", 1, dup=True)]

    assert play.sends(sub, PubRec(2)) == [PubRel(2)]
    assert play.sends(sub, PubRec(1)) == [PubRel(1)]
    assert play.sends(sub, PubComp(2)) == []
    assert play.sends(sub, PubComp(1)) == []
    assert play.sends(sub, Disconnect()) == []
    assert play.core.stats().clients["s"].inflight == 0
