"""Change Notification: the policy table of design 4 cell by cell, its notices, its comparisons."""

from typing import get_args

import pytest
from msgspec.structs import replace

from tests.playbook import LogBook, Playbook, config, file_of, follower, row
from ucmlab.broker.messages import Proposal, Row
from ucmlab.node.certificates import parse
from ucmlab.node.commands import AnyCommand, ReadFiles, RemoveFile, SettleFile, WriteFile
from ucmlab.node.config import Policy
from ucmlab.node.events import DiskImage, OrderService, Upload
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.node.services import CHANGE_NOTIFICATION

CA = row("Corp Root CA")
POLICIES: tuple[Policy, ...] = get_args(Policy)
FROM_11: tuple[Policy, ...] = ("faithful", "modern")
COMPARE = ReadFiles("compare")


def write(held: Row) -> WriteFile:
    return WriteFile(held.unit, f"{held.unit and common_name(held)}_01.pem", held.der, held.description, "")


def common_name(held: Row) -> str:

    return parse(held.der).common_name.replace(" ", "_")


def order(sub: Playbook, action: str) -> list[AnyCommand]:
    event = OrderService(f"{action}-{sub.lab}", sub.config.name, CHANGE_NOTIFICATION, action)  # type: ignore[arg-type]
    return files_only(sub.does(event))


def files_only(commands: list[AnyCommand]) -> list[AnyCommand]:
    return [each for each in commands if isinstance(each, (ReadFiles, WriteFile, RemoveFile, SettleFile))]


def proposals(sub: Playbook, commands: list[AnyCommand]) -> list[tuple[str, str, tuple[Row, ...]]]:
    found = [said for _, said in sub.published(commands) if isinstance(said, Proposal)]
    return [(said.op_id, said.kind, said.adds) for said in found]


def compared(
    book: LogBook, policy: Policy, *, files: tuple[Row, ...] = (), op_id: str = ""
) -> tuple[Playbook, list[AnyCommand]]:
    """A subscriber that starts with this log and these files, at its first comparison."""
    image = DiskImage(
        boot=0, installed=True, replica=book.image(), files=tuple(file_of(each, op_id=op_id) for each in files)
    )
    sub = Playbook(config(replication=policy), image=image).up()
    return sub, sub.does(book.head())


# -- the table


@pytest.mark.rule("B.6")
@pytest.mark.rule("R-022")
@pytest.mark.parametrize("policy", POLICIES)
def test_a_row_without_a_file_gets_its_file(policy: Policy) -> None:
    book = LogBook()
    book.add(CA)
    sub, wanted = compared(book, policy)
    assert wanted == [COMPARE, write(CA)]
    assert sub.files() == [CA.fingerprint]


@pytest.mark.rule("C-01")
@pytest.mark.rule("B.6")
def test_before_11_the_file_comes_back_to_the_node_that_deleted_it_and_the_node_to_the_holders() -> None:
    book, left = LogBook(), row("Corp Root CA", holders=("pub", "sub2"))
    book.add(left)
    sub, wanted = compared(book, "legacy")
    assert files_only(wanted) == [COMPARE, write(left)]
    mine = Row(CA.unit, CA.fingerprint, CA.der, "", ("sub1",))
    assert proposals(sub, wanted) == [("map-sub1-1-1", "map", (mine,))]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_file_that_was_never_in_the_log_is_proposed(policy: Policy) -> None:
    sub, wanted = compared(LogBook(), policy, files=(CA,))
    assert files_only(wanted) == [COMPARE]
    assert proposals(sub, wanted) == [("resync-sub1-1-1", "resync", (CA,))]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_file_whose_upload_was_cut_off_is_proposed_under_its_operation_id(policy: Policy) -> None:
    sub, wanted = compared(LogBook(), policy, files=(CA,), op_id="op-7")
    assert proposals(sub, wanted) == [("op-7", "upload", (CA,))]


@pytest.mark.rule("R-080")
@pytest.mark.rule("B.6")
@pytest.mark.parametrize("policy", FROM_11)
def test_a_delete_seen_while_running_removes_the_file(policy: Policy) -> None:
    book = LogBook()
    book.add(CA)
    sub, _ = compared(book, policy, files=(CA,))
    book.delete(CA)
    assert files_only(sub.does(book.told(2))) == [RemoveFile(CA.unit, f"{CA.fingerprint[:8]}.pem")]
    assert sub.files() == []


@pytest.mark.rule("B.6")
def test_before_11_a_delete_that_is_seen_is_ignored() -> None:
    book = LogBook()
    book.add(CA)
    sub, _ = compared(book, "legacy", files=(CA,))
    book.delete(CA)
    assert files_only(sub.does(book.told(2))) == []
    assert sub.files() == [CA.fingerprint]


@pytest.mark.rule("X-09")
@pytest.mark.rule("B.6")
def test_a_deleted_certificate_whose_file_is_found_comes_back_in_faithful() -> None:
    book = LogBook()
    book.add(CA)
    book.delete(CA)
    sub, wanted = compared(book, "faithful", files=(CA,))
    assert proposals(sub, wanted) == [("resync-sub1-1-1", "resync", (CA,))]
    assert sub.files() == [CA.fingerprint]


@pytest.mark.rule("S3")
def test_a_deleted_certificate_whose_file_is_found_goes_in_modern() -> None:
    book = LogBook()
    book.add(CA)
    book.delete(CA)
    sub, wanted = compared(book, "modern", files=(CA,))
    assert files_only(wanted) == [COMPARE, RemoveFile(CA.unit, f"{CA.fingerprint[:8]}.pem")]
    assert proposals(sub, wanted) == []


@pytest.mark.parametrize("policy", POLICIES)
def test_files_that_equal_rows_lead_to_nothing(policy: Policy) -> None:
    book = LogBook()
    book.add(CA)
    _, wanted = compared(book, policy, files=(CA,))
    assert wanted == [COMPARE]


def test_an_operation_id_beside_a_file_that_has_its_row_is_forgotten() -> None:
    book = LogBook()
    book.add(CA)
    _, wanted = compared(book, "faithful", files=(CA,), op_id="op-7")
    assert wanted == [COMPARE, SettleFile(CA.unit, f"{CA.fingerprint[:8]}.pem")]


def of_a_backup(policy: Policy) -> Playbook:
    """A file that waits for its answer; the log had its row at 1 and lost it at 2, and nobody remembers that."""
    book = LogBook()
    book.add(CA)
    book.delete(CA)
    replica = replace(book.image(), tombstones=())
    image = DiskImage(boot=0, installed=True, replica=replica, files=(file_of(CA, op_id="op-7"),))
    sub = Playbook(config(replication=policy), image=image).up()
    assert proposals(sub, sub.does(book.head())) == [("op-7", "upload", (CA,))]
    return sub


@pytest.mark.rule("S3")
@pytest.mark.parametrize(("policy", "left"), [("modern", []), ("faithful", [CA.fingerprint])])
def test_a_backups_file_whose_row_came_and_went_is_gone_in_modern_when_the_old_answer_comes(
    policy: Policy, left: list[str]
) -> None:
    sub = of_a_backup(policy)
    sub.hears_answer("op-7", seq=1)
    assert sub.files() == left


@pytest.mark.rule("S3")
def test_a_file_whose_row_is_still_to_come_stays() -> None:
    sub = of_a_backup("modern")
    sub.hears_answer("op-7", seq=3)
    assert sub.files() == [CA.fingerprint]


# -- units that are not listed


@pytest.mark.rule("R-023")
@pytest.mark.rule("R-083")
@pytest.mark.parametrize("unit", ["CAPF-trust", "ipsec-trust", "TVS-trust"])
def test_a_row_of_an_unlisted_unit_gets_no_file_elsewhere(unit: str) -> None:
    book = LogBook()
    book.add(row("Corp Root CA", unit, holders=("pub",)))
    sub, wanted = compared(book, "faithful")
    assert wanted == [COMPARE]
    sub.wait(61 * MINUTE)
    assert sub.files(unit) == []


def test_an_unlisted_file_without_a_row_is_left_alone() -> None:
    _, wanted = compared(LogBook(), "faithful", files=(row("Corp Root CA", "ipsec-trust"),))
    assert wanted == [COMPARE]


def test_an_upload_to_an_unlisted_unit_that_was_cut_off_is_proposed_though_another_node_has_a_row_of_it() -> None:
    book, held = LogBook(), row("Corp Root CA", "ipsec-trust", holders=("pub",))
    book.add(held)
    sub, wanted = compared(book, "faithful", files=(held,), op_id="op-7")
    mine = Row(held.unit, held.fingerprint, held.der, "", ("sub1",))
    assert proposals(sub, wanted) == [("op-7", "upload", (mine,))]


@pytest.mark.rule("X-04")
@pytest.mark.rule("R-080")
def test_a_cluster_wide_delete_in_an_unlisted_unit_removes_the_file_of_every_holder_whatever_runs() -> None:
    book, held = LogBook(), row("LSC Issuing CA", "CAPF-trust", holders=("pub", "sub1"))
    book.add(held)
    sub, _ = compared(book, "faithful", files=(held,))
    order(sub, "stop")
    book.delete(held, origin="pub")
    assert files_only(sub.does(book.told(2))) == [RemoveFile("CAPF-trust", f"{held.fingerprint[:8]}.pem")]


@pytest.mark.rule("X-04")
def test_a_kill_between_row_and_file_of_a_cluster_wide_delete_is_made_up_for_at_the_start() -> None:
    book, held = LogBook(), row("LSC Issuing CA", "CAPF-trust", holders=("pub", "sub1"))
    book.add(held)
    book.delete(held)
    sub = follower(book, files=(held,))
    assert files_only(sub.start()) == [RemoveFile("CAPF-trust", f"{held.fingerprint[:8]}.pem")]


@pytest.mark.rule("R-081")
@pytest.mark.rule("C-15")
def test_a_local_delete_elsewhere_leaves_the_file_that_an_open_upload_has_put_here() -> None:
    book, held = LogBook(), row("Gateway CA", "ipsec-trust", holders=("pub",))
    book.add(held)
    sub, _ = compared(book, "faithful")
    sub.does(Upload("op-1", "ipsec-trust", held.der))
    book.delete(held)
    sub.does(book.told(2))
    assert sub.files("ipsec-trust") == [held.fingerprint]


@pytest.mark.rule("C-15")
def test_a_comparison_between_an_uploads_answer_and_its_row_leaves_the_file() -> None:
    book, held = LogBook(), row("Gateway CA", "ipsec-trust", holders=("pub",))
    book.add(held)
    sub, _ = compared(book, "faithful")
    sub.does(Upload("op-1", "ipsec-trust", held.der))
    sub.hears_answer("op-1", seq=2)
    sub.wait(31 * MINUTE)
    assert sub.files("ipsec-trust") == [held.fingerprint]
    book.add(Row("ipsec-trust", held.fingerprint, held.der, "", ("pub", "sub1")), op_id="op-1", origin="sub1")
    sub.does(book.told(2))
    sub.wait(31 * MINUTE)
    assert sub.files("ipsec-trust") == [held.fingerprint]


@pytest.mark.rule("C-15")
def test_a_comparison_between_a_deletes_answer_and_its_row_brings_no_file_back() -> None:
    book, held = LogBook(), row("Gateway CA", "ipsec-trust", holders=("sub1",))
    book.add(held)
    sub, _ = compared(book, "faithful", files=(held,))
    sub.deletes("op-1", held)
    sub.hears_answer("op-1", seq=2)
    sub.wait(31 * MINUTE)
    assert sub.files("ipsec-trust") == []


@pytest.mark.rule("X-04")
@pytest.mark.parametrize("unit", ["CAPF-trust", "ipsec-trust"])
def test_an_upload_that_the_log_has_after_somebody_elses_delete_leaves_its_file(unit: str) -> None:
    book, held = LogBook(), row("Gateway CA", unit, holders=("pub",))
    book.add(held)
    sub, _ = compared(book, "faithful")
    sub.does(Upload("op-1", unit, held.der))
    book.delete(held)
    book.add(Row(unit, held.fingerprint, held.der, "", ("sub1",)), op_id="op-1", origin="sub1")
    sub.hears_answer("op-1", seq=3)
    for seq in (2, 3):
        sub.does(book.told(seq))
    assert sub.files(unit) == [held.fingerprint]


@pytest.mark.rule("X-04")
def test_somebody_elses_delete_after_this_nodes_upload_removes_the_file_even_before_the_answer_came() -> None:
    book, held = LogBook(), row("LSC Issuing CA", "CAPF-trust", holders=("pub",))
    book.add(held)
    sub, _ = compared(book, "faithful")
    sub.does(Upload("op-1", "CAPF-trust", held.der))
    both = Row(held.unit, held.fingerprint, held.der, "", ("pub", "sub1"))
    book.add(both, op_id="op-1", origin="sub1")
    book.delete(both)
    for seq in (2, 3):
        sub.does(book.told(seq))
    sub.hears_answer("op-1", seq=2)
    assert sub.files("CAPF-trust") == []


@pytest.mark.rule("R-083")
def test_another_nodes_import_does_not_touch_the_file_that_was_put_here() -> None:
    book, held = LogBook(), row("LSC Issuing CA", "CAPF-trust", holders=("pub",))
    sub, _ = compared(book, "faithful")
    book.add(held)
    sub.does(Upload("op-1", "CAPF-trust", held.der))
    sub.hears_answer("op-1", seq=2)
    sub.does(book.told(1))
    assert sub.files("CAPF-trust") == [held.fingerprint]


# -- notices


@pytest.mark.rule("R-022")
def test_a_notice_writes_the_file_at_once_when_nothing_takes_time() -> None:
    sub, book = follower(LogBook()).up(), LogBook()
    book.add(CA)
    assert files_only(sub.does(book.told(1))) == [write(CA)]


@pytest.mark.rule("A.22")
def test_under_product_timing_the_reaction_takes_its_time_and_looks_at_the_rows_of_then() -> None:
    book = LogBook()
    sub = Playbook(config(timing="product"), image=DiskImage(boot=0, installed=True, replica=book.image())).up()
    sub.wait(5 * MINUTE)
    assert sub.core.change_notification.running
    book.add(CA)
    other = row("Another CA")
    book.add(other)
    book.delete(CA)
    for seq in (1, 2, 3):
        sub.does(book.told(seq))
    assert files_only(sub.wait(5 * SECOND)) == []
    assert sub.core.change_notification.waiting() == 3
    assert files_only(sub.wait(60 * SECOND)) == [write(other)]
    assert sub.core.change_notification.waiting() == 0


@pytest.mark.rule("C-05")
def test_notices_are_lost_on_a_service_that_is_stopped() -> None:
    book, sub = LogBook(), follower(LogBook()).up()
    order(sub, "stop")
    book.add(CA)
    assert files_only(sub.does(book.told(1))) == []
    assert (sub.rows(), sub.files()) == ([CA.fingerprint], [])
    assert files_only(sub.wait(61 * MINUTE)) == []


@pytest.mark.rule("C-05")
def test_the_start_of_the_service_finds_what_was_missed() -> None:
    book, sub = LogBook(), follower(LogBook()).up()
    order(sub, "stop")
    book.add(CA)
    sub.does(book.told(1))
    sub.does(book.head())
    assert order(sub, "start") == [COMPARE, write(CA)]


def test_a_notice_that_waits_when_the_service_stops_is_lost() -> None:
    book = LogBook()
    sub = Playbook(config(timing="product"), image=DiskImage(boot=0, installed=True, replica=book.image())).up()
    sub.wait(5 * MINUTE)
    book.add(CA)
    sub.does(book.told(1))
    sub.wait(5 * SECOND)
    order(sub, "stop")
    assert files_only(sub.wait(2 * MINUTE)) == []


def test_an_entry_that_was_pulled_after_an_absence_gives_no_notice() -> None:
    book, sub = LogBook(), follower(LogBook()).up()
    sub.does(book.head())
    book.add(CA)
    sub.does(book.head())
    request = next(said for _, said in sub.published(sub.wait(SECOND)))
    assert files_only(sub.does(book.after(request))) == []  # type: ignore[arg-type]  # a CatchUp
    assert files_only(sub.wait(30 * MINUTE)) == [COMPARE, write(CA)]


@pytest.mark.rule("R-022")
def test_another_nodes_upload_is_filed_at_once_though_an_operation_of_this_node_is_open_in_the_unit() -> None:
    book, sub = LogBook(), follower(LogBook()).up()
    sub.does(Upload("op-1", "tomcat-trust", CA.der))
    other = row("Another CA")
    book.add(other, origin="sub2")
    assert files_only(sub.does(book.told(1))) == [write(other)]


@pytest.mark.rule("R-022")
def test_an_upload_that_the_log_has_after_a_delete_leaves_its_file_in_a_listed_unit() -> None:
    book = LogBook()
    book.add(CA)
    sub, _ = compared(book, "faithful", files=(CA,))
    sub.does(Upload("op-1", "tomcat-trust", CA.der))
    book.delete(CA)
    book.add(CA, op_id="op-1", origin="sub1")
    for seq in (2, 3):
        sub.does(book.told(seq))
    sub.hears_answer("op-1", seq=3)
    assert (sub.rows(), sub.files()) == ([CA.fingerprint], [CA.fingerprint])


# -- comparisons


@pytest.mark.rule("B.6")
def test_files_and_rows_are_compared_every_30_minutes() -> None:
    sub = follower(LogBook()).up()
    sub.does(LogBook().head())
    moments: list[int] = []
    while sub.lab < 95 * MINUTE:
        if COMPARE in sub.wait(MINUTE):
            moments.append(sub.lab // MINUTE)
    assert moments == [30, 60, 90]


def test_the_first_comparison_waits_until_the_replica_has_caught_up() -> None:
    book = LogBook()
    book.add(CA)
    book.delete(CA)
    sub = follower(LogBook(), files=(CA,)).up()
    sub.does(book.head())
    request = next(said for _, said in sub.published(sub.wait(SECOND)))
    assert files_only(sub.commands) == []
    assert COMPARE in sub.does(book.after(request))  # type: ignore[arg-type]  # a CatchUp
    assert COMPARE not in sub.does(book.head())


def test_a_restart_of_the_service_compares_again_and_begins_the_30_minutes_anew() -> None:
    sub = follower(LogBook()).up()
    sub.does(LogBook().head())
    sub.wait(29 * MINUTE)
    assert order(sub, "restart") == [COMPARE]
    assert COMPARE not in sub.wait(29 * MINUTE)
    assert COMPARE in sub.wait(MINUTE)


def test_a_unit_that_an_operation_is_changing_is_not_compared() -> None:
    sub = follower(LogBook()).up()
    sub.does(Upload("op-1", "tomcat-trust", CA.der))
    assert proposals(sub, sub.does(LogBook().head())) == []


@pytest.mark.rule("B.6")
def test_a_file_in_two_places_is_removed_from_both() -> None:
    book = LogBook()
    book.add(CA)
    files = (file_of(CA, name="one.pem"), file_of(CA, name="two.pem"))
    image = DiskImage(boot=0, installed=True, replica=book.image(), files=files)
    sub = Playbook(image=image).up()
    sub.does(book.head())
    book.delete(CA)
    sub.does(book.told(2))
    assert sub.files() == []
