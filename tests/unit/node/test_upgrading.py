"""An upgrade in the core: who may be upgraded, what is carried over, and what a node of another release hears."""

from datetime import timedelta

import pytest

from tests.playbook import TOPICS, WALL, LogBook, Playbook, config, file_of, message, row
from tests.unit.node.certificate_factory import START, certificate
from ucmlab.broker.messages import Head, Proposal, Row
from ucmlab.node.certificates import parse
from ucmlab.node.commands import (
    AnyCommand,
    InstallSnapshot,
    MakeIdentity,
    Record,
    RemoveFile,
    Reply,
    SetRelease,
)
from ucmlab.node.config import Policy
from ucmlab.node.events import Delete, DiskImage, MessageArrived, Upgrade, Upload
from ucmlab.node.instant import HOUR
from ucmlab.node.releases import config_at
from ucmlab.node.rulebook import RuleBook

OLD, NEW = "12.5", "14SU2"
SOON = START + timedelta(days=20)
OVER = row(der=certificate("Partner Root CA", end=SOON))
VALID = row("Corp Root CA")
LOCAL = row(unit="ipsec-trust", der=OVER.der, holders=("sub1",))
ALIEN = row(unit="ipsec-trust", der=certificate("Gateway CA", end=SOON), holders=("sub2",))


def head(book: LogBook, release: str) -> MessageArrived:
    """Where the log ends, as a publisher of that release tells it."""
    held = book.replica
    said = Head(held.epoch, held.seq, held.hash, held.digest(), 0, held.settings_digest, release)
    return message("pub", TOPICS.head(), said)


def running(
    release: str = OLD, *, rows: tuple[Row, ...] = (), name: str = "sub1", at: str = OLD
) -> tuple[Playbook, LogBook]:
    """A node of a release that has heard of a publisher of another, or of the same."""
    book = LogBook(rows=rows)
    image = DiskImage(boot=0, installed=True, replica=book.start, files=tuple(map(file_of, rows)))
    node = Playbook(config(name, release=release), image=image).up()
    if name != "pub":
        node.hears_birth()
        node.does(head(book, at))
    return node, book


def asked(node: Playbook, release: str) -> list[AnyCommand]:
    return [each for each in node.does(Upgrade("op-1", release)) if isinstance(each, Reply | SetRelease)]


def booted(node: Playbook, release: str = NEW, former: str = OLD) -> Playbook:
    """The node's next start, with the release that its disk names."""
    node.disk.set_release(SetRelease(release, former))
    again = Playbook(config_at(node.config, node.disk.release), image=node.disk.image())
    again.lab = node.lab
    return again


def proposals(node: Playbook) -> list[Proposal]:
    return [said for _, said in node.published(node.commands) if isinstance(said, Proposal) and said.kind == "upgrade"]


def told(node: Playbook, name: str) -> list[Record]:
    return [record for _, record in node.journal if record.name == name]


# -- who may


@pytest.mark.rule("B.19")
@pytest.mark.parametrize(
    ("name", "runs", "publisher", "wanted", "reason"),
    [
        ("pub", "14SU2", "14SU2", "14SU9", "release_unknown"),
        ("pub", "14SU2", "14SU2", "", "release_unknown"),
        ("pub", "14SU2", "14SU2", "14SU2", "release_not_later"),
        ("pub", "14SU2", "14SU2", "12.5", "release_not_later"),
        ("sub1", "12.5", "12.5", "14SU2", "publisher_first"),
        ("sub1", "12.5", "14", "14SU2", "publisher_first"),
        ("sub1", "12.5", "15", "14SU2", "release_mismatch"),
        ("sub1", "14SU2", "15", "12.5", "release_not_later"),
    ],
)
def test_what_leads_nowhere_is_refused_and_nothing_changes(
    name: str, runs: str, publisher: str, wanted: str, reason: str
) -> None:
    node, _ = running(runs, name=name, at=publisher)
    (reply,) = asked(node, wanted)
    assert isinstance(reply, Reply)
    assert (reply.outcome, reply.reason) == ("refused", reason)
    assert (wanted in reply.text, node.disk.release) == (True, "")


@pytest.mark.rule("B.19")
def test_a_subscriber_that_never_heard_of_its_publisher_or_knows_it_gone_is_not_upgraded() -> None:
    unheard = Playbook(config("sub1", release=OLD), image=DiskImage(boot=0, installed=True)).up()
    gone, _ = running(at=NEW)
    gone.hears_birth(state="stopped")
    cut, _ = running(at=NEW)
    cut.disconnect()
    for node in (unheard, gone, cut):
        assert [each.reason for each in asked(node, NEW) if isinstance(each, Reply)] == ["upgrade_needs_publisher"]


@pytest.mark.rule("B.19")
@pytest.mark.parametrize("name", ["pub", "sub1"])
def test_an_upgrade_is_one_step_on_the_disk_and_changes_nothing_until_the_next_start(name: str) -> None:
    node, _ = running(name=name, at=NEW, rows=(OVER, VALID))
    before = node.disk.image()
    assert asked(node, NEW) == [SetRelease(NEW, OLD), Reply("op-1", "done")]
    after = node.disk.image()
    assert (after.release, after.former) == (NEW, OLD)
    assert (after.files, after.identities, after.replica) == (before.files, before.identities, before.replica)


def test_a_disk_that_does_not_take_the_step_leaves_the_node_with_its_release() -> None:
    node, _ = running(name="pub")
    node.fails = SetRelease
    wanted = node.does(Upgrade("op-1", NEW))
    assert [each for each in wanted if isinstance(each, Reply)] == []
    assert [type(each).__name__ for each in wanted][-1] == "Halt"
    assert node.disk.release == ""


# -- what is carried over


@pytest.mark.rule("B.19", "C-60", "A.19")
def test_expired_trust_is_dropped_from_files_at_once_and_from_the_database_by_the_nodes_proposal() -> None:
    node, _ = running(rows=(OVER, VALID, LOCAL, ALIEN), at=NEW)
    new = booted(node)
    new.start()
    removed = [each.unit for each in new.commands if isinstance(each, RemoveFile)]
    assert sorted(removed) == ["ipsec-trust", "tomcat-trust"]
    new.connect()
    (said,) = proposals(new)[-1:]
    assert said.removes == (OVER.key, LOCAL.key)
    assert VALID.fingerprint in new.core.filing.fingerprints("tomcat-trust")


@pytest.mark.rule("B.19", "A.19")
@pytest.mark.parametrize("release", ["14", "14SU1"])
def test_an_upgrade_to_an_earlier_one_imports_what_has_expired(release: str) -> None:
    node, _ = running(rows=(OVER, VALID), at=release)
    new = booted(node, release)
    new.start()
    new.connect()
    assert proposals(new)[-1].removes == ()
    assert {OVER.fingerprint, VALID.fingerprint} <= new.core.filing.fingerprints("tomcat-trust").keys()


@pytest.mark.rule("B.1", "B.19")
def test_identities_of_units_that_the_old_release_lacked_are_made_and_no_others() -> None:
    first = Playbook(config("sub1", release="10.5"), image=DiskImage(boot=0))
    first.start()
    first.connect()
    first.hears_answer("install-sub1")
    kept = dict(first.disk.identities)
    new = booted(first, NEW, "10.5")
    new.start()
    made = [each.unit for each in new.commands if isinstance(each, MakeIdentity)]
    assert made == ["tomcat-ECDSA", "CallManager-ECDSA"]
    assert {unit: new.disk.identities[unit] for unit in kept} == kept  # CAPF too, which 14 has on the publisher alone
    new.connect()
    brought = {(each.unit, parse(each.der).fingerprint) for each in proposals(new)[-1].adds}
    assert {unit for unit, _ in brought} == {"tomcat-ECDSA", "CallManager-ECDSA", "tomcat-trust", "CallManager-trust"}


@pytest.mark.rule("B.19")
def test_services_start_when_the_database_has_it_and_the_journal_tells_what_was_dropped() -> None:
    node, _ = running(rows=(OVER, VALID), at=NEW)
    new = booted(node)
    new.start()
    new.connect()
    new.wait(2 * HOUR)
    assert set(new.core.services.states().values()) == {"stopped", "not activated"}
    assert (new.core.open_operations() > 0, new.core.status().installed, new.disk.former) == (True, False, OLD)
    op_id = proposals(new)[-1].op_id
    new.hears_answer(op_id)
    assert new.core.services.states()["Cisco Tomcat"] == "started"
    assert (new.core.status().installed, new.core.open_operations()) == (True, 0)
    assert (new.disk.release, new.disk.former) == (NEW, "")
    (fact,) = told(new, "upgraded")
    assert fact.fields == {"former": OLD, "release": NEW, "made": "", "dropped": f"tomcat-trust {OVER.fingerprint}"}
    assert [each for each in Playbook(new.config, image=new.disk.image()).start() if isinstance(each, SetRelease)] == []


@pytest.mark.rule("B.19", "B.6")
def test_it_does_not_end_before_the_replica_has_what_the_log_answered() -> None:
    node, book = running(rows=(OVER, VALID), at=NEW)
    gone = book.delete(OVER, op_id="upgrade-pub-2")
    new = booted(node)
    new.start()
    new.connect()
    new.hears_answer(proposals(new)[-1].op_id, reason="already_present", seq=gone.seq)
    assert (new.disk.former, new.core.status().installed) == (OLD, False)
    new.does(head(book, NEW))
    new.does(book.told(1))
    assert (new.disk.former, new.core.status().installed) == ("", True)
    assert OVER.key not in new.core.replica.rows


@pytest.mark.rule("B.19")
@pytest.mark.parametrize("dies_after", [RemoveFile, MakeIdentity, SetRelease])
def test_a_node_that_dies_on_the_way_carries_over_again_what_is_left(dies_after: type[AnyCommand]) -> None:
    book = LogBook(rows=(OVER, VALID))
    image = DiskImage(boot=0, installed=True, replica=book.start, files=(file_of(OVER), file_of(VALID)))
    node = booted(Playbook(config("sub1", release="11.0"), image=image), NEW, "11.0")
    book.delete(OVER, op_id="upgrade-pub-2")

    def life() -> None:
        node.start()
        node.connect()
        node.does(head(book, NEW))
        node.does(book.told(1))
        for said in proposals(node)[-1:]:
            node.hears_answer(said.op_id, seq=1)

    node.dies_after = dies_after
    life()
    node.dies_after = None
    node.commands.clear()
    life()
    assert (node.disk.former, node.core.services.states()["Cisco Tomcat"]) == ("", "started")
    assert set(node.core.filing.fingerprints("tomcat-trust")) == {VALID.fingerprint}
    assert set(node.disk.identities) >= {"tomcat-ECDSA"}


@pytest.mark.rule("B.19")
def test_one_that_is_cut_off_and_goes_further_comes_from_where_it_came() -> None:
    node, _ = running("10.5", name="pub")
    new = booted(node, "14", "10.5")
    new.fails = MakeIdentity
    new.start()
    new.fails = None
    assert asked(new, "15") == [SetRelease("15", "10.5"), Reply("op-1", "done")]


# -- units that are no more


@pytest.mark.rule("B.2", "B.19")
def test_rows_of_a_unit_that_the_release_has_no_more_are_gone_once_and_for_all() -> None:
    over = row("Directory CA", "directory-trust")
    node, book = running("10.5", rows=(over, VALID), at="11.0")
    new = booted(node, "11.0", "10.5")
    wanted = new.start()
    snapshots = [each for each in wanted if isinstance(each, InstallSnapshot)]
    assert [each.rows for each in snapshots] == [(VALID,)]
    assert over.key not in new.core.replica.rows
    again = Playbook(new.config, image=new.disk.image())
    assert [each for each in again.start() if isinstance(each, InstallSnapshot)] == []
    # What the log tells of it from before is passed over, and the replica agrees with the publisher's.
    book.add(row("Another", "directory-trust"), VALID, op_id="op-7")
    again.connect()
    again.does(book.told(1))
    assert (again.core.replica.seq, set(again.core.replica.rows)) == (1, {VALID.key})


def test_what_a_release_retires_is_what_earlier_ones_had() -> None:
    assert {name: RuleBook.load(name).retired_units for name in ("10.5", "11.0", "14", "15")} == {
        "10.5": frozenset(),
        **dict.fromkeys(("11.0", "14", "15"), frozenset({"directory-trust"})),
    }


# -- a publisher of another release


@pytest.mark.rule("B.19")
def test_nothing_is_replicated_to_a_node_of_another_release_until_it_follows() -> None:
    node, book = running(rows=(VALID,), at=OLD)
    node.does(head(book, NEW))
    assert [each.fields for each in told(node, "releases_differ")] == [{"release": OLD, "publisher": NEW}]
    late = book.add(row("Late CA"))
    node.does(book.told(1))
    node.does(head(book, NEW))
    node.wait(HOUR)
    assert (node.core.replica.seq, node.core.status().catching_up) == (0, False)
    new = booted(node)
    new.start()
    new.connect()
    new.does(head(book, NEW))
    new.does(book.told(1))
    assert late.adds[0].key in new.core.replica.rows


@pytest.mark.rule("B.19", "B.6")
def test_what_is_uploaded_on_a_node_of_another_release_stays_there_until_it_follows() -> None:
    node, _ = running(at=NEW)
    wanted = node.does(Upload("op-2", "tomcat-trust", VALID.der))
    assert [(each.outcome, each.reason) for each in wanted if isinstance(each, Reply)] == [
        ("partial", "publisher_unreachable")
    ]
    node.does(Delete("op-3", "tomcat-trust", VALID.fingerprint))
    node.wait(2 * HOUR)
    assert [said for _, said in node.published(node.commands) if isinstance(said, Proposal)] == []


@pytest.mark.parametrize("release", ["", OLD])
def test_a_publisher_that_tells_the_same_release_or_none_is_followed(release: str) -> None:
    node, book = running(at=OLD)
    book.add(VALID)
    node.does(head(book, release))
    node.does(book.told(1))
    assert VALID.key in node.core.replica.rows


# -- the policy


@pytest.mark.rule("X-09", "B.19")
@pytest.mark.parametrize(
    ("made_with", "made", "release", "expected"),
    [
        ("10.5", "legacy", "14SU2", "faithful"),
        ("10.5", "modern", "14SU2", "modern"),
        ("12.5", "faithful", "15", "faithful"),
        ("12.5", "legacy", "15", "legacy"),
        ("12.5", "modern", "15", "modern"),
        ("10.5", "legacy", "", "legacy"),
        ("10.5", "legacy", "10.5", "legacy"),
    ],
)
def test_the_policy_goes_with_the_release_unless_it_was_chosen_against_it(
    made_with: str, made: Policy, release: str, expected: Policy
) -> None:
    told = config_at(config("pub", release=made_with, replication=made), release)
    assert (told.replication, told.release) == (expected, release or made_with)


def test_one_of_the_certificates_of_these_tests_has_expired() -> None:
    assert [parse(each.der).validity(WALL) for each in (OVER, VALID)] == ["expired", "valid"]
