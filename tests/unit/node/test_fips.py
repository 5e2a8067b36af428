"""FIPS mode on one node: carried out once, whatever fails meanwhile; and the boot of its services."""

import pytest
from msgspec.structs import replace

from tests.playbook import LogBook, Playbook, config
from tests.unit.node.certificate_factory import certificate, ec_key
from tests.unit.node.test_services import TFTP, TOMCAT, order, reports, state, up
from tests.unit.publisher.test_publisher_core import up as publisher_up
from ucmlab.broker.messages import Answer, CatchUp, Proposal, Row, Setting
from ucmlab.cluster.ca.signatures import resigned
from ucmlab.cluster.simkeys import sim_rsa
from ucmlab.node.certificates import parse
from ucmlab.node.commands import MakeIdentity, SetFips
from ucmlab.node.errors import Refusal
from ucmlab.node.events import DiskImage
from ucmlab.node.fips import check_fips
from ucmlab.node.instant import HOUR, MINUTE, SECOND

FIPS = "FIPS Mode"
OLD = resigned(certificate("Old Root"), ec_key(), "sha1")


def in_cluster() -> Playbook:
    """A subscriber with one identity."""
    tomcat = certificate("sub1.lab.test", key=sim_rsa(1))
    image = DiskImage(boot=0, installed=True, replica=LogBook().image(), identities={"tomcat": tomcat})
    return Playbook(config("sub1"), image=image).up()


def sets_fips(sub: Playbook, book: LogBook, value: str) -> None:
    """The entry comes; the publisher answers whatever follows."""
    book.add(kind="parameter", settings=(Setting("sub1", FIPS, value),))
    sub.does(book.told(book.replica.seq))
    sub.does(book.head())
    answered(sub)


def answered(sub: Playbook) -> None:
    for each in sub.said(Proposal):
        sub.hears_answer(each.op_id)


def made(sub: Playbook) -> list[str]:
    return [each.unit for each in sub.all(MakeIdentity)]


@pytest.mark.rule("B.16")
def test_it_is_carried_out_once_and_remembered() -> None:
    sub, book = in_cluster(), LogBook()
    sets_fips(sub, book, "true")
    assert made(sub) == ["tomcat"]
    assert sub.all(SetFips) == [SetFips(enabled=True)]
    assert sub.core.fips.busy() == 0
    sub.restart()
    assert (made(sub), sub.all(SetFips)) == ([], [])
    sets_fips(sub, book, "false")
    assert (made(sub), sub.all(SetFips)) == ([], [SetFips(enabled=False)])


@pytest.mark.rule("B.16")
def test_services_have_loaded_what_was_made_when_the_node_has_booted() -> None:
    sub, book = in_cluster(), LogBook()
    before = sub.core.services.status()[TOMCAT].loaded["tomcat"]
    sets_fips(sub, book, "true")
    after = sub.core.services.status()[TOMCAT]
    assert (state(sub), after.pending) == ("started", ())
    assert after.loaded["tomcat"] != before


@pytest.mark.rule("B.16")
def test_with_a_disk_that_is_full_it_is_not_carried_out_people_are_told_and_the_next_start_does_it() -> None:
    sub, book = in_cluster(), LogBook()
    sub.fails = MakeIdentity
    sets_fips(sub, book, "true")
    assert sub.all(SetFips) == []
    told = [each.fields for each in sub.records("alarm") if each.fields["alarm"] == "mode_not_carried_out"]
    assert told == [{"alarm": "mode_not_carried_out", "mode": FIPS, "unit": "tomcat", "reason": "permission"}]
    assert sub.core.fips.busy() == 0
    sub.fails = None
    sub.restart()
    assert not sub.disk.fips
    sub.does(book.head())
    answered(sub)
    assert sub.disk.fips


@pytest.mark.rule("B.16")
def test_a_replica_that_lost_what_was_set_does_nothing_before_it_has_caught_up() -> None:
    sub, book = in_cluster(), LogBook()
    sets_fips(sub, book, "true")
    kept = sub.disk.image()
    lost = Playbook(config("sub1"), image=replace(kept, replica=LogBook().image())).up()
    assert lost.core.replica.settings == {}
    lost.does(book.head())
    (request,) = [said for _, said in lost.published(lost.wait(SECOND)) if isinstance(said, CatchUp)]
    lost.does(book.after(request))
    assert dict(lost.core.replica.settings) == {("sub1", FIPS): "true"}
    assert (lost.all(SetFips), made(lost), lost.disk.fips) == ([], [], True)


@pytest.mark.rule("B.16")
def test_what_is_turned_off_while_it_is_carried_out_is_off_in_the_end() -> None:
    sub, book = in_cluster(), LogBook()
    for value in ("true", "false"):
        book.add(kind="parameter", settings=(Setting("sub1", FIPS, value),))
        sub.does(book.told(book.replica.seq))
        sub.does(book.head())
    answered(sub)
    assert sub.all(SetFips) == [SetFips(enabled=True), SetFips(enabled=False)]


@pytest.mark.rule("S11")
def test_who_ordered_a_service_about_hears_of_its_start_after_a_boot() -> None:
    sub = up(timing="product")
    sub.wait(HOUR)
    order(sub, "op-2", "stop", TFTP, not_after=2 * HOUR)
    sub.wait(MINUTE)
    order(sub, "op-1", "restart", not_after=2 * HOUR)
    order(sub, "op-3", "start", TFTP, not_after=2 * HOUR)
    sub.core.context.begin(sub.core.context.now, "")
    sub.core.services.reboot()
    assert state(sub) == state(sub, TFTP) == "starting"
    for each in sub.core.context.commands:
        sub._perform(each)
    done = [(op_id, at) for op_id, at, outcome, _ in reports(sub, sub.wait(HOUR)) if outcome == "done"]
    assert sorted(done) == [("op-1", "started"), ("op-3", "started")]


@pytest.mark.rule("B.4")
@pytest.mark.parametrize(("value", "reason"), [("true", ["hash_algorithm"]), ("false", [])])
def test_the_publisher_judges_the_hash_for_a_node_in_fips_mode(value: str, reason: list[str]) -> None:
    pub = publisher_up()
    pub.hears_proposal("sub1", Proposal("op-1", "parameter", (), (), MINUTE, (Setting("sub1", FIPS, value),)))
    held = Row("tomcat-trust", parse(OLD).fingerprint, OLD, "", None)
    pub.hears_proposal("sub1", Proposal("op-2", "upload", (), (held,), MINUTE))
    assert [each.reason for each in pub.said(Answer) if each.outcome == "refused"] == reason


def test_a_certificate_without_a_hash_of_its_own_is_none_of_those_that_are_forbidden() -> None:
    check_fips({("sub1", FIPS): "true"}, "sub1", [parse(certificate("Root"))])
    with pytest.raises(Refusal, match=r"^hash_algorithm: Old Root was signed with sha1, which FIPS mode forbids$"):
        check_fips({("sub1", FIPS): "true"}, "sub1", [parse(OLD)])
