"""What the publisher makes of a node's new identity: rows, copies, and what gives way."""

import pytest

from tests.playbook import WALL, config, root
from tests.steps import lines_run
from ucmlab.broker.messages import Proposal, Row
from ucmlab.node.certificates import parse
from ucmlab.node.config import Policy
from ucmlab.node.errors import Refusal
from ucmlab.node.events import ReplicaImage
from ucmlab.node.identity_rows import CHANGED, FOUND
from ucmlab.node.instant import Instant
from ucmlab.node.replica import Replica
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.trust_rules import Wanted
from ucmlab.publisher.judging import judge

Key = tuple[str, str]
OLD, NEW, OTHER = root("sub1.lab.test"), root("sub1.lab.test", serial=2, days=1), root("sub2.lab.test")
SHARED = root("pub-ms.lab.test")


def row(unit: str, der: bytes, *holders: str) -> Row:
    return Row(unit, parse(der).fingerprint, der, "", holders or None)


def judged(
    *adds: Row,
    rows: tuple[Row, ...] = (),
    deleted: tuple[Key, ...] = (),
    kind: str = CHANGED,
    origin: str = "sub1",
    policy: Policy = "faithful",
) -> Wanted:
    tombstones = tuple((*key, 1) for key in deleted)
    replica = Replica(ReplicaImage(epoch=1, seq=1, rows=rows, tombstones=tombstones))
    proposal = Proposal("op-1", kind, (), adds, 1)
    told = config("pub", replication=policy)
    return judge(RuleBook.load("14SU2"), told, replica, proposal, origin=origin, now=Instant(0, WALL))


@pytest.mark.rule("R-021", "B.6")
def test_the_new_one_takes_the_place_of_the_old_one_and_its_copies() -> None:
    before = (row("tomcat", OLD, "sub1"), row("tomcat-trust", OLD), row("tomcat", OTHER, "sub2"))
    wanted = judged(row("tomcat", NEW, "sub1"), row("tomcat-trust", NEW), rows=before)
    assert set(wanted.removes) == {before[0].key, before[1].key}
    assert wanted.adds == (row("tomcat", NEW, "sub1"), row("tomcat-trust", NEW))


@pytest.mark.rule("B.6")
def test_a_copy_is_overwritten_whenever_it_began() -> None:
    before = (row("tomcat", NEW, "sub1"), row("tomcat-trust", NEW))
    wanted = judged(row("tomcat", OLD, "sub1"), row("tomcat-trust", OLD), rows=before)
    assert [each.unit for each in wanted.adds] == ["tomcat", "tomcat-trust"]


@pytest.mark.rule("B.8")
def test_what_is_another_nodes_identity_still_keeps_its_copies() -> None:
    before = (row("tomcat", SHARED, "sub1", "sub2"), row("tomcat-trust", SHARED))
    wanted = judged(row("tomcat", NEW, "sub1"), row("tomcat-trust", NEW), rows=before)
    assert wanted.removes == ()
    assert set(wanted.adds) == {row("tomcat", SHARED, "sub2"), row("tomcat", NEW, "sub1"), row("tomcat-trust", NEW)}


@pytest.mark.rule("R-023", "C-65")
def test_others_keep_what_is_not_replicated() -> None:
    before = (row("ipsec", OLD, "pub"), row("ipsec-trust", OLD, "pub", "sub1", "sub2"))
    wanted = judged(row("ipsec", NEW, "pub"), row("ipsec-trust", NEW, "pub"), rows=before, origin="pub")
    assert row("ipsec-trust", OLD, "sub1", "sub2") in wanted.adds
    assert row("ipsec-trust", NEW, "pub") in wanted.adds


@pytest.mark.parametrize(("replaced", "copied"), [(False, False), (True, True)])
def test_in_modern_a_copy_that_an_operator_deleted_stays_away(*, replaced: bool, copied: bool) -> None:
    identity, copy = row("tomcat", OLD, "sub1"), row("tomcat-trust", OLD)
    deleted = (copy.key, identity.key) if replaced else (copy.key,)
    wanted = judged(identity, copy, deleted=deleted, kind=FOUND, policy="modern")
    assert (copy in wanted.adds) is copied
    assert identity in wanted.adds
    asked = judged(identity, copy, deleted=deleted, policy="modern")
    assert copy in asked.adds


def test_the_same_again_is_nothing_new() -> None:
    before = (row("tomcat", OLD, "sub1"), row("tomcat-trust", OLD))
    wanted = judged(*before, rows=before)
    assert (wanted.removes, wanted.adds) == ((), ())


@pytest.mark.parametrize(
    ("adds", "origin", "reason"),
    [
        ((row("tomcat-trust", OLD),), "sub1", "wrong_purpose"),
        ((row("tomcat", OLD, "sub1"), row("TVS", OLD, "sub1")), "sub1", "wrong_purpose"),
        ((row("tomcat", OLD, "sub1"), row("ipsec-trust", OTHER, "sub1")), "sub1", "wrong_purpose"),
        ((row("cup", OLD, "sub1"),), "sub1", "wrong_purpose"),
        ((row("ITLRecovery", OLD, "sub1"),), "sub1", "publisher_only"),
        ((row("CAPF", OLD, "sub1"),), "sub1", "wrong_purpose"),
        ((Row("tomcat", "00" * 32, OLD, "", ("sub1",)),), "sub1", "format"),
    ],
)
def test_what_no_node_proposes_is_refused(adds: tuple[Row, ...], origin: str, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        judged(*adds, origin=origin)
    assert refused.value.reason == reason


def test_who_holds_an_identity_is_not_the_proposers_word() -> None:
    wanted = judged(row("tomcat", OLD, "sub1", "sub2", "pub"))
    assert wanted.adds == (row("tomcat", OLD, "sub1"),)


def test_rows_of_units_that_it_is_not_about_are_not_looked_through() -> None:
    before = (row("tomcat", OLD, "sub1"), row("tomcat-trust", OLD))
    others = tuple(Row(unit, f"{n:064x}", OTHER, "", ("sub2",)) for unit in ("ipsec", "TVS-trust") for n in range(99))

    def lines(rows: tuple[Row, ...]) -> int:
        replica = Replica(ReplicaImage(epoch=1, seq=1, rows=rows))
        proposal = Proposal("op-1", CHANGED, (), (row("tomcat", NEW, "sub1"), row("tomcat-trust", NEW)), 1)
        book, now = RuleBook.load("14SU2"), Instant(0, WALL)

        def judging() -> int:
            return lines_run(lambda: judge(book, config("pub"), replica, proposal, origin="sub1", now=now))

        judging()  # what is remembered takes none from here on
        return judging()

    assert lines(before + others) == lines(before)


def test_an_authority_that_comes_along_takes_the_place_of_its_older_namesake() -> None:
    older, newer = root("Corp Root CA"), root("Corp Root CA", serial=2, days=1)
    before = (row("tomcat-trust", older), row("ipsec-trust", older))
    wanted = judged(row("tomcat", NEW, "sub1"), row("tomcat-trust", newer), rows=before)
    assert wanted.removes == (before[0].key,)
    assert wanted.adds == (row("tomcat", NEW, "sub1"), row("tomcat-trust", newer))
