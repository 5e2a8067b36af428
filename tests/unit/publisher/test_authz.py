"""The authz keys: made on the publisher, sealed to who is up, repeated until confirmed (R-125, R-133)."""

import pytest

from tests.playbook import TOPICS, LogBook, Playbook, config, follower, publisher
from ucmlab.broker.messages import KeysInstalled, SealedKeys
from ucmlab.node.commands import MakeAuthz, OpenKeys, Reply, SealKeys
from ucmlab.node.events import AuthzMade, KeysSealed, RegenerateAuthz
from ucmlab.node.instant import MINUTE, SECOND

ALL_KEYS = {"authz": 1, "ITLRecovery": 1}


def up() -> Playbook:
    pub = publisher().up()
    pub.hears_birth("sub1", "up", keys=ALL_KEYS)
    pub.hears_birth("sub2", "up", keys=ALL_KEYS)
    pub.commands.clear()
    return pub


def sent(pub: Playbook) -> list[tuple[str, str, int]]:
    found = pub.published(pub.commands)
    return [(topic, said.kind, said.generation) for topic, said in found if isinstance(said, SealedKeys)]


def confirm(pub: Playbook, member: str, generation: int) -> None:
    pub.hears(member, TOPICS.request(member, "keys"), KeysInstalled(generation, "authz"))


@pytest.mark.rule("R-133")
def test_a_regeneration_makes_the_next_generation_and_seals_it_to_everybody_who_is_up() -> None:
    pub = up()
    wanted = pub.does(RegenerateAuthz("op-1"))
    assert [each for each in wanted if isinstance(each, (MakeAuthz, SealKeys, Reply))] == [
        MakeAuthz(2),
        SealKeys("sub1", "authz", 2),
        SealKeys("sub2", "authz", 2),
        Reply("op-1", "done", nodes={"pub": "done", "sub1": "pending", "sub2": "pending"}),
    ]
    assert sent(pub) == [(TOPICS.keys("sub1"), "authz", 2), (TOPICS.keys("sub2"), "authz", 2)]


@pytest.mark.rule("R-133")
def test_it_is_sent_again_until_it_is_confirmed() -> None:
    pub = up()
    pub.does(RegenerateAuthz("op-1"))
    confirm(pub, "sub1", 2)
    pub.commands.clear()
    pub.wait(10 * MINUTE)
    assert {topic for topic, _, _ in sent(pub)} == {TOPICS.keys("sub2")}
    assert 8 <= len(sent(pub)) <= 20
    confirm(pub, "sub2", 2)
    pub.commands.clear()
    pub.wait(10 * MINUTE)
    assert (sent(pub), pub.core.open_operations()) == ([], 0)


@pytest.mark.rule("R-133")
@pytest.mark.rule("C-62")
def test_a_node_that_was_down_keeps_the_old_keys_until_the_next_regeneration() -> None:
    pub = up()
    pub.hears_birth("sub2", "stopped")
    pub.does(RegenerateAuthz("op-1"))
    assert pub.all(Reply)[0].nodes == {"pub": "done", "sub1": "pending", "sub2": "unreachable"}
    pub.hears_birth("sub2", "up", boot=2, keys=ALL_KEYS)
    pub.wait(10 * MINUTE)
    assert {topic for topic, _, _ in sent(pub)} == {TOPICS.keys("sub1")}
    pub.does(RegenerateAuthz("op-2"))
    assert (TOPICS.keys("sub2"), "authz", 3) in sent(pub)


@pytest.mark.rule("C-62")
def test_a_node_that_goes_away_before_it_confirmed_misses_them() -> None:
    pub = up()
    pub.does(RegenerateAuthz("op-1"))
    confirm(pub, "sub1", 2)
    pub.hears_birth("sub2", "lost")
    pub.commands.clear()
    pub.hears_birth("sub2", "up", boot=2, keys=ALL_KEYS)
    pub.wait(10 * MINUTE)
    assert (sent(pub), pub.core.open_operations()) == ([], 0)


def test_a_confirmation_of_an_older_generation_confirms_nothing() -> None:
    pub = up()
    pub.does(RegenerateAuthz("op-1"))
    confirm(pub, "sub1", 1)
    confirm(pub, "sub2", 2)
    assert pub.core.open_operations() == 1


@pytest.mark.rule("R-133")
def test_a_node_without_any_gets_the_current_ones_when_it_appears_im_and_p_included() -> None:
    pub = publisher(nodes=("pub", "sub1", "imp1")).up()
    pub.hears_birth("imp1", "up")
    pub.hears_birth("sub1", "up", keys={"authz": 1})
    assert sorted(sent(pub)) == [(TOPICS.keys("imp1"), "authz", 1), (TOPICS.keys("sub1"), "ITLRecovery", 1)]


def test_two_requests_while_the_keys_are_being_made_get_one_generation_and_a_reply_each() -> None:
    pub = up()
    pub.keeps_answers = True
    wanted = [*pub.does(RegenerateAuthz("op-1")), *pub.does(RegenerateAuthz("op-2"))]
    assert [each for each in wanted if isinstance(each, MakeAuthz)] == [MakeAuthz(2)]
    pub.does(AuthzMade(2))
    assert [op_id for op_id, _, _ in pub.replies()] == ["op-1", "op-2"]


@pytest.mark.rule("R-123")
def test_who_asks_for_the_other_key_meanwhile_gets_the_next_generation() -> None:
    pub = up()
    pub.keeps_answers = True
    wanted = [*pub.does(RegenerateAuthz("op-1", "signing")), *pub.does(RegenerateAuthz("op-2", "encryption"))]
    assert [each for each in wanted if isinstance(each, MakeAuthz)] == [MakeAuthz(2, "signing")]
    assert MakeAuthz(3, "encryption") in pub.does(AuthzMade(2, "signing"))
    assert [op_id for op_id, _, _ in pub.replies()] == ["op-1"]
    pub.does(AuthzMade(3, "encryption"))
    assert [op_id for op_id, _, _ in pub.replies()][-1] == "op-2"


def test_what_was_sealed_for_an_older_generation_is_not_sent() -> None:
    pub = up()
    pub.keeps_answers = True
    pub.does(RegenerateAuthz("op-1"))
    pub.does(AuthzMade(2))
    pub.does(RegenerateAuthz("op-2"))
    pub.does(AuthzMade(3))
    pub.does(KeysSealed("sub1", "authz", 2, b"old"))
    assert sent(pub) == []
    pub.does(KeysSealed("sub1", "authz", 3, b"new"))
    assert sent(pub) == [(TOPICS.keys("sub1"), "authz", 3)]


@pytest.mark.rule("R-130")
@pytest.mark.rule("C-08")
def test_on_a_subscriber_it_is_refused() -> None:
    sub = follower(LogBook()).up()
    (reply,) = sub.does(RegenerateAuthz("op-1"))
    assert isinstance(reply, Reply)
    assert (reply.outcome, reply.reason) == ("refused", "publisher_only")


# -- the receiving end


def sealed_for(sub: Playbook, generation: int) -> SealedKeys:
    pub = publisher()
    (made,) = (pub.ring.perform(SealKeys(sub.config.name, "authz", generation), pub.disk, wall=0),)
    assert isinstance(made, KeysSealed)
    return SealedKeys(generation, "authz", made.blob)


@pytest.mark.rule("R-133")
def test_a_node_opens_what_is_sealed_to_it_once_and_confirms_every_time() -> None:
    sub = follower(LogBook()).up()
    said = sealed_for(sub, 2)
    first = sub.hears("pub", TOPICS.keys("sub1"), said)
    second = sub.hears("pub", TOPICS.keys("sub1"), said)
    assert [len([each for each in wanted if isinstance(each, OpenKeys)]) for wanted in (first, second)] == [1, 0]
    assert [(each.kind, each.generation) for each in sub.said(KeysInstalled)] == [("authz", 2)] * 2
    assert sub.disk.keys == {"authz": 2}


def test_an_older_generation_that_comes_late_changes_nothing() -> None:
    sub = follower(LogBook()).up()
    sub.hears("pub", TOPICS.keys("sub1"), sealed_for(sub, 3))
    sub.hears("pub", TOPICS.keys("sub1"), sealed_for(sub, 2))
    assert sub.disk.keys == {"authz": 3}


@pytest.mark.rule("S12")
def test_what_is_sealed_to_somebody_else_does_not_open_and_raises_an_alarm() -> None:
    sub = Playbook(config("sub2"), image=follower(LogBook()).disk.image()).up()
    others = sealed_for(follower(LogBook()), 2)
    sub.hears("pub", TOPICS.keys("sub2"), others)
    assert (sub.disk.keys, sub.said(KeysInstalled)) == ({}, [])
    assert [each.fields["alarm"] for each in sub.records("alarm")] == ["keys_not_opened"]
    assert sub.wait(SECOND) == [] or sub.said(KeysInstalled) == []
