"""The publisher judges every rule again, with its own rows."""

import pytest
from msgspec.structs import replace

from tests.playbook import WALL, config, proposal, row
from ucmlab.broker.messages import Proposal, Row, RowKey
from ucmlab.cluster.default_cas import simulated_default_cas
from ucmlab.node.config import Policy
from ucmlab.node.default_cas import KIND, default_rows
from ucmlab.node.errors import Refusal
from ucmlab.node.events import ReplicaImage
from ucmlab.node.instant import DAY, Instant
from ucmlab.node.replica import Replica
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.trust_rules import Wanted
from ucmlab.publisher.judging import judge

NODES = ("pub", "sub1", "sub2", "imp1")
CA = row("Corp Root CA")
NEWER = row("Corp Root CA", days=10)


def judged(
    said: Proposal,
    *rows: Row,
    origin: str = "sub1",
    replication: Policy = "faithful",
    wall: int = WALL,
    gone: tuple[RowKey, ...] = (),
) -> Wanted:
    told = config("pub", nodes=NODES, replication=replication)
    tombstones = tuple((*key, 1) for key in gone)
    replica = Replica(ReplicaImage(epoch=1, seq=9, rows=rows, tombstones=tombstones))
    return judge(RuleBook.load("14SU2"), told, replica, said, origin=origin, now=Instant(0, wall))


def refusal(said: Proposal, *rows: Row, **how: object) -> str:
    with pytest.raises(Refusal) as caught:
        judged(said, *rows, **how)  # type: ignore[arg-type]  # the keywords of `judged`
    return caught.value.reason


def capf(*holders: str) -> Row:
    return row("LSC Issuing CA", "CAPF-trust", holders=holders)


def ipsec(*holders: str) -> Row:
    return row("Gateway CA", "ipsec-trust", holders=holders)


def delete(gone: Row) -> Proposal:
    return proposal("op", kind="delete", removes=(gone.key,))


def test_holders_are_decided_here_whatever_the_proposal_says() -> None:
    assert judged(proposal("op", row(holders=("sub2",)))).adds == (CA,)
    assert judged(proposal("op", ipsec("pub", "sub2"))).adds == (ipsec("sub1"),)
    assert judged(proposal("op", ipsec("sub1")), ipsec("pub")).adds == (ipsec("pub", "sub1"),)


@pytest.mark.rule("X-17")
def test_what_the_origin_holds_already_is_no_change() -> None:
    assert judged(proposal("op", CA), CA) == Wanted("upload", (), ())
    assert judged(proposal("op", ipsec("sub1")), ipsec("sub1", "pub")) == Wanted("upload", (), ())


@pytest.mark.rule("B.10")
def test_the_same_name_is_judged_with_the_logs_rows() -> None:
    assert judged(proposal("op", NEWER), CA) == Wanted("upload", (CA.key,), (NEWER,))
    assert refusal(proposal("op", CA), NEWER) == "same_cn_older_start"
    assert judged(proposal("op", CA, NEWER)) == Wanted("upload", (), (NEWER,))
    assert refusal(proposal("op", NEWER, CA)) == "same_cn_older_start"


@pytest.mark.rule("X-04")
def test_in_a_local_unit_the_newer_takes_the_place_of_the_older_on_its_node_only() -> None:
    newer = row("LSC Issuing CA", "CAPF-trust", days=10, holders=("sub1",))
    wanted = judged(proposal("op", newer), capf("pub", "sub1"))
    assert (wanted.removes, set(wanted.adds)) == ((), {capf("pub"), newer})
    assert judged(proposal("op", newer), capf("sub1")).removes == (capf("sub1").key,)


@pytest.mark.rule("X-09")
def test_before_11_the_older_of_a_name_loses_one_mapping_only() -> None:
    wanted = judged(proposal("op", NEWER), CA, replication="legacy")
    assert (wanted.removes, wanted.adds) == ((), (row(holders=("pub", "sub2", "imp1")), NEWER))


@pytest.mark.parametrize(("wall", "reason"), [(WALL + 6 * 366 * DAY, "expired"), (WALL - 60 * DAY, "not_yet_valid")])
def test_an_uploads_validity_is_judged_at_the_publishers_clock_and_a_found_files_is_not(wall: int, reason: str) -> None:
    assert refusal(proposal("op", CA), wall=wall) == reason
    assert judged(proposal("op", CA, kind="resync"), wall=wall).adds == (CA,)


@pytest.mark.rule("S3")
def test_a_file_of_a_deleted_certificate_is_refused_in_modern_and_an_upload_of_it_is_not() -> None:
    found = proposal("op", CA, kind="resync")
    assert refusal(found, gone=(CA.key,), replication="modern") == "not_found"
    assert judged(found, gone=(CA.key,), replication="faithful").adds == (CA,)
    assert judged(proposal("op", CA), gone=(CA.key,), replication="modern").adds == (CA,)


@pytest.mark.rule("R-072")
@pytest.mark.rule("R-082")
def test_phone_edge_trust_is_the_publishers() -> None:
    edge = row("Edge CA", "Phone-Edge-trust", holders=("pub",))
    assert refusal(proposal("op", edge)) == "publisher_only"
    assert refusal(delete(edge), edge) == "publisher_only"
    assert judged(proposal("op", edge), origin="pub").adds == (edge,)


@pytest.mark.rule("R-073")
@pytest.mark.parametrize("kind", ["upload", "resync"])
def test_an_identity_is_no_upload(kind: str) -> None:
    assert refusal(proposal("op", row("x", "tomcat", holders=("sub1",)), kind=kind)) == "wrong_purpose"


@pytest.mark.rule("R-073")
def test_an_identity_cannot_be_deleted() -> None:
    identity = row("x", "tomcat", holders=("sub1",))
    assert refusal(delete(identity), identity) == "wrong_purpose"


def test_a_node_without_the_unit_cannot_upload_to_it() -> None:
    assert refusal(proposal("op", row("x", "CallManager-trust")), origin="imp1") == "wrong_purpose"


def test_a_name_that_is_not_the_content_is_refused() -> None:
    assert refusal(proposal("op", Row(CA.unit, "ab" * 32, CA.der, "", None))) == "format"


# -- deletes


@pytest.mark.rule("R-080")
@pytest.mark.parametrize("unit", ["tomcat-trust", "CallManager-trust", "Phone-SAST-trust"])
def test_a_delete_in_a_replicated_unit_removes_the_row(unit: str) -> None:
    held = row(unit=unit)
    assert judged(delete(held), held) == Wanted("delete", (held.key,), ())


@pytest.mark.rule("R-083")
@pytest.mark.rule("X-04")
@pytest.mark.rule("C-11")
def test_a_delete_in_capf_trust_removes_the_row_of_every_holder() -> None:
    assert judged(delete(capf()), capf("pub", "sub1")) == Wanted("delete", (capf().key,), ())


@pytest.mark.rule("R-081")
def test_a_delete_in_a_local_unit_takes_one_holder_away_and_the_last_one_takes_the_row() -> None:
    assert judged(delete(ipsec()), ipsec("pub", "sub1")) == Wanted("delete", (), (ipsec("pub"),))
    assert judged(delete(ipsec()), ipsec("sub1")) == Wanted("delete", (ipsec().key,), ())


@pytest.mark.rule("X-09")
@pytest.mark.rule("B.6")
def test_before_11_every_delete_takes_one_holder_away() -> None:
    assert judged(delete(CA), CA, replication="legacy").adds == (row(holders=("pub", "sub2", "imp1")),)
    last = row(holders=("sub1",))
    assert judged(delete(CA), last, replication="legacy") == Wanted("delete", (CA.key,), ())


def test_what_no_row_names_cannot_be_deleted() -> None:
    assert refusal(delete(CA)) == "not_found"


# -- mappings


@pytest.mark.rule("C-01")
def test_a_node_that_found_a_row_without_its_file_becomes_a_holder_again() -> None:
    left = row(holders=("pub",))
    said = proposal("op", row(holders=("sub1", "sub2")), kind="map")
    assert judged(said, left, replication="legacy").adds == (row(holders=("pub", "sub1")),)
    assert judged(said, CA, replication="legacy").adds == ()
    assert refusal(said, replication="legacy") == "not_found"


@pytest.mark.parametrize("held", [ipsec("pub"), row("x", "tomcat", holders=("pub",))], ids=["local", "identity"])
def test_nobody_maps_itself_to_what_change_notification_does_not_move(held: Row) -> None:
    assert refusal(proposal("op", held, kind="map"), held) == "wrong_purpose"


# -- installation


def installing(*rows: Row) -> Proposal:
    return proposal("install-sub1", *rows, kind="install")


def identity(*holders: str) -> Row:
    return row("sub1.lab.test", "tomcat", holders=holders)


def copy() -> Row:
    return row("sub1.lab.test", "tomcat-trust")


@pytest.mark.rule("B.1")
def test_an_installation_brings_its_identities_and_their_copies() -> None:
    assert judged(installing(identity("sub1"), copy())).adds == (identity("sub1"), copy())
    assert judged(installing(identity("sub1"), copy()), copy()).adds == (identity("sub1"),)


@pytest.mark.parametrize("holders", [("sub2",), ("sub1", "sub2"), ()])
def test_an_installation_brings_no_identity_of_another_node(holders: tuple[str, ...]) -> None:
    assert refusal(installing(identity(*holders))) == "permission"


def test_the_publisher_alone_brings_an_identity_for_several() -> None:
    assert judged(installing(identity("pub", "sub1")), origin="pub").adds == (identity("pub", "sub1"),)


def test_an_installation_brings_no_trust_of_its_own_choice() -> None:
    assert refusal(installing(identity("sub1"), CA)) == "permission"


def test_an_installation_names_members_only() -> None:
    assert refusal(installing(identity("sub1", "sub9"))) == "wrong_purpose"


# -- upgrade

AFTER = WALL + 10 * 365 * DAY
"""When the certificates of these tests have expired."""


def upgrading(*adds: Row, removes: tuple[Row, ...] = ()) -> Proposal:
    return proposal("upgrade-sub1-2", *adds, kind="upgrade", removes=tuple(each.key for each in removes))


@pytest.mark.rule("B.19")
def test_an_upgrade_lets_go_of_what_has_expired_as_its_units_deletes_reach_and_of_nothing_else() -> None:
    mine, others = ipsec("sub1", "sub2"), row("Other CA", "ipsec-trust", holders=("sub2",))
    wanted = judged(upgrading(removes=(CA, mine, others, NEWER)), CA, mine, others, wall=AFTER)
    assert (wanted.kind, wanted.removes, wanted.adds) == ("upgrade", (CA.key,), (ipsec("sub2"),))


@pytest.mark.rule("B.19")
def test_the_publishers_clock_says_what_has_expired() -> None:
    wanted = judged(upgrading(removes=(CA,)), CA)
    assert (wanted.removes, wanted.adds) == ((), ())


@pytest.mark.rule("B.19")
def test_an_upgrade_brings_new_identities_and_takes_none_away() -> None:
    assert judged(upgrading(identity("sub1"), copy())).adds == (identity("sub1"), copy())
    assert refusal(upgrading(CA)) == "permission"
    assert refusal(upgrading(removes=(identity("sub1"),)), identity("sub1"), wall=AFTER) == "wrong_purpose"


def test_there_is_no_other_kind_of_proposal() -> None:
    assert refusal(proposal("op", CA, kind="nonsense")) == "wrong_purpose"


@pytest.mark.rule("B.2")
def test_the_publishers_installation_brings_the_rows_of_the_image_as_they_are_and_nobody_elses_does() -> None:
    told = replace(config("pub", nodes=NODES), default_cas=simulated_default_cas("14SU2", "seed"))
    rows = default_rows(RuleBook.load("14SU2"), told)

    def judged_of(origin: str, *brought: Row) -> Wanted:
        said = proposal(f"install-{origin}", identity(origin), *brought, kind="install")
        rulebook, replica = RuleBook.load("14SU2"), Replica(ReplicaImage(epoch=1))
        return judge(rulebook, told, replica, said, origin=origin, now=Instant(0, WALL))

    assert judged_of("pub", *rows).adds == (identity("pub"), *rows)
    local = next(row for row in rows if row.unit == "CAPF-trust")
    elsewhere = Row("TVS-trust", local.fingerprint, local.der, "", None)
    for origin, brought in (("sub1", local), ("pub", elsewhere), ("pub", replace(local, holders=("sub1",)))):
        with pytest.raises(Refusal, match="an installation brings"):
            judged_of(origin, brought)


@pytest.mark.rule("B.9")
def test_default_cas_are_the_publishers_to_enable_and_disable_and_nothing_else_goes_that_way() -> None:
    told = replace(config("pub", nodes=NODES, replication="modern"), default_cas=simulated_default_cas("14SU2", "seed"))
    rulebook, rows = RuleBook.load("14SU2"), default_rows(RuleBook.load("14SU2"), told)

    def judged_of(origin: str, *adds: Row, removes: tuple[RowKey, ...] = (), there: tuple[Row, ...] = ()) -> Wanted:
        gone = tuple((*each.key, 1) for each in rows)
        replica = Replica(ReplicaImage(epoch=1, seq=1, rows=there, tombstones=gone))
        said = proposal("op", *adds, removes=removes, kind=KIND)
        return judge(rulebook, told, replica, said, origin=origin, now=Instant(0, WALL + 100 * 365 * DAY))

    local = next(row for row in rows if row.unit == "CAPF-trust")
    assert judged_of("pub", local) == Wanted("upload", (), (replace(local, holders=("pub",)),)), "expired and deleted"
    assert judged_of("pub", removes=(local.key, rows[-1].key), there=(local,)) == Wanted("delete", (local.key,), ())
    assert judged_of("pub", removes=(local.key,)) == Wanted("delete", (), ())
    for origin, adds, removes, reason in (
        ("sub1", (local,), (), "publisher_only"),
        ("pub", (CA,), (), "not_a_default_ca"),
        ("pub", (), (CA.key,), "not_a_default_ca"),
        ("pub", (replace(local, unit="ipsec-trust"),), (), "not_a_default_ca"),
    ):
        with pytest.raises(Refusal) as caught:
            judged_of(origin, *adds, removes=removes, there=(CA,))
        assert caught.value.reason == reason
