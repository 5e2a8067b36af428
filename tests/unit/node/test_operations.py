"""Operations: what each changes, in which order, and its one reply."""

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, pkcs7, pkcs12

from tests.playbook import TOPICS, WALL, LogBook, Playbook, config, file_of, follower, message, publisher, root, row
from tests.unit.node.certificate_factory import certificate, ec_key
from ucmlab.broker.messages import Answer, Proposal, Row
from ucmlab.node.certificates import parse, pem
from ucmlab.node.commands import AnyCommand, Publish, RemoveFile, Reply, SettleFile, WriteFile
from ucmlab.node.events import CommandFailed, Delete, DiskImage, Upload
from ucmlab.node.instant import DAY, MINUTE, SECOND, Instant, to_datetime

CA = row("Corp Root CA")
OLD, NEW = row("Corp Root CA"), row("Corp Root CA", days=10)
NAME = "Corp_Root_CA_01.pem"


def sub1(*held: Row, files: bool = True) -> tuple[Playbook, LogBook]:
    book = LogBook()
    for each in held:
        book.add(each)
    sub = follower(book, files=held if files else ()).up()
    sub.hears_birth("pub", "up")
    sub.does(book.head())
    sub.commands.clear()
    return sub, book


def proposed(sub: Playbook, commands: list[AnyCommand]) -> list[Proposal]:
    return [said for _, said in sub.published(commands) if isinstance(said, Proposal)]


def files_only(commands: list[AnyCommand]) -> list[AnyCommand]:
    return [each for each in commands if isinstance(each, (WriteFile, RemoveFile, SettleFile))]


# -- the way of one operation


@pytest.mark.rule("B.6")
def test_an_upload_writes_the_file_then_asks_the_publisher_and_says_nothing_yet() -> None:
    sub, _ = sub1()
    wanted = sub.uploads("op-1", CA.der, description="for LDAP")
    filed, told = wanted
    assert filed == WriteFile("tomcat-trust", NAME, CA.der, "for LDAP", "op-1")
    assert isinstance(told, Publish)
    assert told.topic == TOPICS.request("sub1", "propose")
    described = Row(CA.unit, CA.fingerprint, CA.der, "for LDAP", None)
    assert sub.opened(told) == Proposal("op-1", "upload", (), (described,), sub.lab + 60 * SECOND)


def test_it_is_done_when_the_log_has_it_and_the_id_beside_the_file_is_forgotten() -> None:
    sub, _ = sub1()
    sub.wait(SECOND)
    sub.uploads("op-1", CA.der)
    assert sub.hears_answer("op-1") == [SettleFile("tomcat-trust", NAME), Reply("op-1", "done")]
    assert sub.hears_answer("op-1") == []
    assert sub.wait(10 * MINUTE) == []


def test_an_unanswered_proposal_is_repeated_under_its_id_with_growing_waits_and_ends_indefinite_after_60_s() -> None:
    sub, _ = sub1()
    sub.uploads("op-1", CA.der)
    moments: list[int] = []
    while not sub.replies():
        wanted = sub.wait(SECOND // 10)
        if repeated := proposed(sub, wanted):
            assert {each.op_id for each in repeated} == {"op-1"}
            moments.append(sub.lab)
    waits = [later - sooner for sooner, later in zip([0, *moments], moments, strict=False)]
    assert 4 <= len(moments) <= 6
    assert waits == sorted(waits)
    assert sub.lab == 60 * SECOND
    assert sub.replies() == [("op-1", "indefinite", "publisher_unreachable")]


def test_an_answer_after_the_end_changes_nothing() -> None:
    sub, _ = sub1()
    sub.uploads("op-1", CA.der)
    sub.wait(2 * MINUTE)
    assert sub.hears_answer("op-1") == []
    assert len(sub.replies()) == 1


@pytest.mark.rule("C-08")
@pytest.mark.rule("B.6")
def test_an_upload_while_the_publisher_is_known_to_be_away_is_partial_at_once() -> None:
    sub, _ = sub1()
    sub.hears_birth("pub", "lost")
    wanted = sub.uploads("op-1", CA.der)
    assert wanted[0] == WriteFile("tomcat-trust", NAME, CA.der, "", "op-1")
    assert sub.replies() == [("op-1", "partial", "publisher_unreachable")]
    assert (proposed(sub, sub.commands), sub.files()) == ([], [CA.fingerprint])


def test_without_a_connection_it_is_partial_as_well() -> None:
    sub, _ = sub1()
    sub.disconnect()
    sub.uploads("op-1", CA.der)
    assert sub.replies() == [("op-1", "partial", "publisher_unreachable")]


def test_once_asked_an_operation_is_never_partial() -> None:
    sub, _ = sub1()
    sub.uploads("op-1", CA.der)
    sub.hears_birth("pub", "lost")
    sub.disconnect()
    sub.wait(MINUTE)
    assert sub.replies() == [("op-1", "indefinite", "publisher_unreachable")]


def test_a_new_session_and_a_publisher_that_comes_back_are_asked_at_once() -> None:
    sub, _ = sub1()
    sub.uploads("op-1", CA.der)
    sub.disconnect()
    assert [each.op_id for each in proposed(sub, sub.connect())] == ["op-1"]
    sub.hears_birth("pub", "lost", boot=2)
    assert [each.op_id for each in proposed(sub, sub.hears_birth("pub", "up", boot=3))] == ["op-1"]


def test_the_same_id_twice_is_one_operation() -> None:
    sub, _ = sub1()
    sub.uploads("op-1", CA.der)
    assert sub.uploads("op-1", CA.der) == []
    sub.hears_answer("op-1")
    assert sub.replies() == [("op-1", "done", "")]


# -- one at a time


def test_changes_of_one_unit_run_one_at_a_time_and_in_order() -> None:
    sub, _ = sub1()
    first, second, third = (row(f"Root {letter}") for letter in "ABC")
    sub.uploads("op-1", first.der)
    assert sub.uploads("op-2", second.der) == []
    assert sub.uploads("op-3", third.der) == []
    assert sub.core.open_operations() == 3
    assert [each.op_id for each in proposed(sub, sub.hears_answer("op-1"))] == ["op-2"]
    assert [each.op_id for each in proposed(sub, sub.hears_answer("op-2"))] == ["op-3"]
    sub.hears_answer("op-3")
    assert [op_id for op_id, _, _ in sub.replies()] == ["op-1", "op-2", "op-3"]
    assert sub.core.open_operations() == 0


def test_changes_of_two_units_do_not_wait_for_each_other() -> None:
    sub, _ = sub1()
    sub.uploads("op-1", CA.der)
    assert [each.op_id for each in proposed(sub, sub.uploads("op-2", CA.der, "ipsec-trust"))] == ["op-2"]


def test_what_waits_in_line_goes_on_after_a_refusal_and_after_a_time_out() -> None:
    sub, _ = sub1()
    sub.uploads("op-1", CA.der)
    sub.does(Upload("op-2", "tomcat-trust", b""))
    sub.uploads("op-3", row("Root B").der)
    sub.wait(MINUTE)
    sub.hears_answer("op-3")
    assert sub.replies() == [
        ("op-1", "indefinite", "publisher_unreachable"),
        ("op-2", "refused", "empty"),
        ("op-3", "done", ""),
    ]


def test_everything_in_line_is_answered_once_when_the_connection_is_gone_for_good() -> None:
    sub, _ = sub1()
    sub.uploads("op-0", CA.der)
    for number in range(1, 6):
        sub.uploads(f"op-{number}", row(f"Root {number}").der)
    sub.disconnect()
    sub.wait(10 * MINUTE)
    assert sorted(op_id for op_id, _, _ in sub.replies()) == [f"op-{number}" for number in range(6)]
    assert sub.core.open_operations() == 0


# -- refused by the publisher


def test_a_refused_upload_is_put_back_and_its_file_goes() -> None:
    sub, _ = sub1()
    sub.uploads("op-1", CA.der)
    wanted = sub.hears_answer("op-1", "refused", "expired")
    assert files_only(wanted) == [SettleFile("tomcat-trust", NAME), RemoveFile("tomcat-trust", NAME)]
    assert sub.replies() == [("op-1", "refused", "expired")]


def test_a_refused_upload_that_took_an_older_ones_place_puts_that_back() -> None:
    sub, _ = sub1(OLD)
    sub.uploads("op-1", NEW.der)
    assert sub.files() == [NEW.fingerprint]
    sub.hears_answer("op-1", "refused", "same_cn_older_start")
    assert sub.files() == [OLD.fingerprint]


def test_a_refused_delete_puts_the_file_back() -> None:
    sub, _ = sub1(CA)
    sub.deletes("op-1", CA)
    assert sub.files() == []
    sub.hears_answer("op-1", "refused", "publisher_only")
    assert sub.files() == [CA.fingerprint]


def test_a_refused_upload_to_a_local_unit_leaves_no_file_though_another_node_has_a_row_of_it() -> None:
    sub, book = sub1()
    held = row("Gateway CA", "ipsec-trust", holders=("pub",))
    book.add(held)
    sub.does(book.told(1))
    sub.uploads("op-1", held.der, "ipsec-trust")
    sub.hears_answer("op-1", "refused", "expired")
    assert sub.files("ipsec-trust") == []


# -- asked for again after `indefinite`


@pytest.mark.parametrize(
    "act", [lambda sub: sub.uploads("op-1", CA.der), lambda sub: sub.deletes("op-1", CA)], ids=["upload", "delete"]
)
def test_an_indefinite_operation_asked_for_again_ends_as_the_publisher_says(
    act: Callable[[Playbook], list[AnyCommand]],
) -> None:
    sub, book = sub1(CA)
    first = proposed(sub, act(sub))
    sub.wait(MINUTE)
    book.delete(CA, op_id="op-1", origin="sub1")
    sub.does(book.told(2))
    again = proposed(sub, act(sub))
    assert [(each.op_id, each.removes, each.adds) for each in again] == [
        (each.op_id, each.removes, each.adds) for each in first
    ]
    sub.hears_answer("op-1")
    assert sub.replies() == [("op-1", "indefinite", "publisher_unreachable"), ("op-1", "done", "")]


# -- disk full


def test_a_file_that_cannot_be_written_ends_the_operation_refused_and_the_others_ask_again() -> None:
    sub, _ = sub1()
    sub.uploads("op-1", CA.der, "ipsec-trust")
    sub.uploads("op-2", CA.der)
    again = sub.does(CommandFailed("WriteFile", "op-2", "No space left on device"))
    assert [each.op_id for each in proposed(sub, again)] == ["op-1"]
    assert sub.replies() == [("op-2", "refused", "permission")]


@pytest.mark.rule("L3")
def test_a_file_that_cannot_be_written_is_told_though_the_operation_had_ended_by_then() -> None:
    # Found by seeds 141 and 279: the reply `partial` was dropped with the rest of its list.
    sub, _ = sub1()
    sub.hears_birth("pub", "lost")
    sub.core.handle(Upload("op-1", "tomcat-trust", CA.der), Instant(sub.lab, WALL + sub.lab))
    failed = sub.does(CommandFailed("WriteFile", "op-1", "No space left on device"))
    assert [(each.op_id, each.outcome) for each in failed if isinstance(each, Reply)] == [("op-1", "refused")]
    sub.wait(10 * MINUTE)
    assert sub.replies() == [("op-1", "refused", "permission")]


@pytest.mark.rule("L3")
def test_who_was_next_in_line_behind_a_file_that_cannot_be_written_is_told_too() -> None:
    sub, _ = sub1()
    sub.uploads("op-1", CA.der, "ipsec-trust")
    sub.uploads("op-2", CA.der, "ipsec-trust")
    sub.uploads("op-3", b"no certificate", "ipsec-trust")
    sub.hears_birth("pub", "lost")
    # What op-1's answer leads to: op-2 ends partial at once, op-3 is refused; all after a file that is not written.
    answer = message("pub", TOPICS.answer("sub1", "propose"), Answer("op-1", "refused", "expired", "", 1, 0, {}))
    sub.core.handle(answer, Instant(sub.lab, WALL + sub.lab))
    failed = sub.does(CommandFailed("WriteFile", "op-2", "No space left on device"))
    told = [(each.op_id, each.outcome, each.reason) for each in failed if isinstance(each, Reply)]
    assert told == [("op-2", "refused", "permission"), ("op-3", "refused", "format")]


# -- deletes


@pytest.mark.rule("R-075")
def test_a_delete_warns_removes_the_file_and_proposes() -> None:
    sub, _ = sub1(CA)
    wanted = sub.deletes("op-1", CA)
    assert files_only(wanted) == [RemoveFile("tomcat-trust", f"{CA.fingerprint[:8]}.pem")]
    assert [(each.kind, each.removes, each.adds) for each in proposed(sub, wanted)] == [("delete", (CA.key,), ())]
    assert len(sub.records("delete_warning")) == 1


@pytest.mark.rule("R-073")
@pytest.mark.rule("R-074")
@pytest.mark.rule("C-47")
@pytest.mark.parametrize("unit", ["tomcat", "CallManager", "ITLRecovery", "ipsec"])
def test_an_identity_cannot_be_deleted(unit: str) -> None:
    sub, _ = sub1()
    wanted = sub.does(Delete("op-1", unit, "ab" * 32))
    assert [(each.outcome, each.reason) for each in wanted if isinstance(each, Reply)] == [("refused", "not_deletable")]
    assert len(wanted) == 1


@pytest.mark.parametrize("unit", ["tomcat-trust", "no-such-trust"])
def test_what_is_not_there_cannot_be_deleted(unit: str) -> None:
    sub, _ = sub1()
    sub.does(Delete("op-1", unit, "ab" * 32))
    assert (sub.replies(), proposed(sub, sub.commands)) == ([("op-1", "refused", "not_found")], [])


@pytest.mark.rule("C-15")
def test_what_only_another_node_holds_cannot_be_deleted_here() -> None:
    sub, _ = sub1(row("Gateway CA", "ipsec-trust", holders=("pub",)), files=False)
    sub.does(Delete("op-1", "ipsec-trust", row("Gateway CA").fingerprint))
    assert sub.replies() == [("op-1", "refused", "not_found")]


@pytest.mark.rule("S8")
def test_a_refused_delete_puts_no_file_back_that_only_another_node_holds_by_then() -> None:
    # Found by seed 12950: the publisher, restored, took the upload and refused the delete before this node heard of it.
    theirs = row("Gateway CA", "ipsec-trust", holders=("pub",))
    sub, _ = sub1(theirs, files=False)
    sub.uploads("op-1", theirs.der, "ipsec-trust")
    sub.hears_answer("op-1", "done")
    sub.deletes("op-2", theirs)
    sub.hears_answer("op-2", "refused", "not_found")
    assert sub.files("ipsec-trust") == []


# -- publisher only


@pytest.mark.rule("R-072")
@pytest.mark.rule("R-082")
@pytest.mark.rule("C-08")
def test_the_publisher_alone_changes_phone_edge_trust() -> None:
    sub, _ = sub1()
    edge = row("Phone Edge CA", "Phone-Edge-trust")
    sub.uploads("op-1", edge.der, "Phone-Edge-trust")
    sub.deletes("op-2", edge)
    assert sub.replies() == [("op-1", "refused", "publisher_only"), ("op-2", "refused", "publisher_only")]
    assert [each for each in sub.commands if not isinstance(each, Reply) and files_only([each])] == []
    pub = publisher().up()
    pub.uploads("op-1", edge.der, "Phone-Edge-trust")
    pub.deletes("op-2", edge)
    assert pub.replies() == [("op-1", "done", ""), ("op-2", "done", "")]


# -- bad uploads


@pytest.mark.rule("B.10")
@pytest.mark.parametrize(
    ("purpose", "reason"),
    [
        ("no-such-purpose", "wrong_purpose"),
        ("cup-trust", "wrong_purpose"),
        ("tomcat", "key_type"),
        ("tomcat-ECDSA", "csr_missing"),
    ],
)
def test_a_purpose_that_does_not_fit_is_refused(purpose: str, reason: str) -> None:
    sub, _ = sub1()
    assert [type(each) for each in sub.uploads("op-1", CA.der, purpose)] == [Reply]
    assert sub.replies() == [("op-1", "refused", reason)]


@pytest.mark.rule("B.10")
@pytest.mark.parametrize(
    ("offset", "reason"), [(6 * 365 * DAY, "expired"), (-60 * DAY, "not_yet_valid")], ids=["expired", "not yet valid"]
)
def test_validity_is_judged_at_this_nodes_own_clock(offset: int, reason: str) -> None:
    sub, _ = sub1()
    sub.wall_offset = offset
    sub.uploads("op-1", CA.der)
    assert sub.replies() == [("op-1", "refused", reason)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello", "format"),
        (pem(CA.der).encode()[:-30], "format"),
        (CA.der + b"x", "trailing_data"),
        (b"x" * (5 << 20), "too_large"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private_key"),
    ],
    ids=["empty", "text", "truncated", "trailing", "too large", "private key"],
)
def test_bad_uploads_get_their_reason_and_change_nothing(data: bytes, reason: str) -> None:
    sub, _ = sub1()
    (reply,) = sub.does(Upload("op-1", "tomcat-trust", data))
    assert isinstance(reply, Reply)
    assert (reply.outcome, reply.reason, "\n" in reply.text) == ("refused", reason, False)


# -- the same common name


@pytest.mark.rule("B.10")
@pytest.mark.rule("C-46")
def test_the_newer_start_takes_the_place_of_the_older_one_of_its_name() -> None:
    sub, _ = sub1(OLD)
    wanted = sub.uploads("op-1", NEW.der)
    assert files_only(wanted)[0] == RemoveFile("tomcat-trust", f"{OLD.fingerprint[:8]}.pem")
    assert [(each.removes, each.adds) for each in proposed(sub, wanted)] == [((OLD.key,), (NEW,))]


@pytest.mark.rule("B.10")
@pytest.mark.rule("C-46")
def test_the_older_start_is_refused() -> None:
    sub, _ = sub1(NEW)
    sub.uploads("op-1", OLD.der)
    assert (sub.replies(), sub.files()) == ([("op-1", "refused", "same_cn_older_start")], [NEW.fingerprint])


@pytest.mark.rule("B.10")
def test_of_two_of_one_name_in_one_file_the_newer_stays() -> None:
    sub, _ = sub1()
    wanted = sub.does(Upload("op-1", "tomcat-trust", (pem(OLD.der) + pem(NEW.der)).encode()))
    assert [(each.removes, each.adds) for each in proposed(sub, wanted)] == [((), (NEW,))]
    assert sub.files() == [NEW.fingerprint]


@pytest.mark.rule("B.10")
def test_of_two_of_one_name_in_one_file_the_older_cannot_follow() -> None:
    sub, _ = sub1()
    sub.does(Upload("op-1", "tomcat-trust", (pem(NEW.der) + pem(OLD.der)).encode()))
    assert (sub.replies(), sub.files()) == ([("op-1", "refused", "same_cn_older_start")], [])


@pytest.mark.rule("R-014")
def test_several_certificates_in_one_file_are_one_operation() -> None:
    sub, _ = sub1()
    chain = [root("Corp Root CA"), root("Corp Issuing CA")]
    wanted = sub.does(Upload("op-1", "tomcat-trust", "".join(map(pem, chain)).encode()))
    (said,) = proposed(sub, wanted)
    assert [each.der for each in said.adds] == chain
    assert sub.files() == sorted(parse(der).fingerprint for der in chain)


@pytest.mark.rule("R-014")
@pytest.mark.rule("R-028")
def test_a_pkcs7_chain_of_cas_is_one_operation_with_a_row_for_each() -> None:
    sub, _ = sub1()
    chain = [x509.load_der_x509_certificate(root(each)) for each in ("Corp Root CA", "Corp Issuing CA")]
    wanted = sub.does(Upload("op-1", "tomcat-trust", pkcs7.serialize_certificates(chain, Encoding.PEM)))
    (said,) = proposed(sub, wanted)
    assert {(each.unit, each.der) for each in said.adds} == {
        ("tomcat-trust", each.public_bytes(Encoding.DER)) for each in chain
    }
    assert said.op_id == "op-1"


@pytest.mark.rule("C-45")
@pytest.mark.rule("X-15")
def test_four_bad_files_stop_at_four_checks_and_change_nothing() -> None:
    huge = rsa.RSAPublicNumbers(65537, (1 << 4104) - 1).public_key()
    loaded = x509.load_der_x509_certificate(CA.der)
    files = {
        "wildcard": certificate("*.lab.example"),
        "key_over_4096": certificate(public=huge),
        "expired": certificate(start=to_datetime(WALL - 2 * DAY), end=to_datetime(WALL - DAY)),
        "format": pkcs12.serialize_key_and_certificates(b"x", ec_key(), loaded, None, NoEncryption()),
    }
    sub, _ = sub1(CA)
    commands = [command for reason, data in files.items() for command in sub.uploads(reason, data)]
    assert sub.replies() == [(reason, "refused", reason) for reason in files]
    assert (files_only(commands), proposed(sub, commands), sub.files()) == ([], [], [CA.fingerprint])
    assert "it is a PKCS#12 file (.pfx, .p12)" in sub.all(Reply)[-1].text


# -- already there; copies


@pytest.mark.rule("X-05")
@pytest.mark.rule("X-17")
def test_what_is_there_already_changes_nothing_and_says_so() -> None:
    sub, _ = sub1(CA)
    assert files_only(sub.uploads("op-1", CA.der)) == []
    (reply,) = (each for each in sub.hears_answer("op-1", "done", "already_present") if isinstance(each, Reply))
    assert (reply.outcome, reply.reason, reply.text, len(reply.warnings)) == (
        "done",
        "already_present",
        "The certificate already exists in tomcat-trust",
        1,
    )


@pytest.mark.rule("R-019")
@pytest.mark.rule("R-154", "X-05")
def test_on_the_publisher_an_upload_to_capf_trust_goes_to_callmanager_trust_as_well_and_a_later_one_is_no_news() -> (
    None
):
    pub = publisher().up()
    capf = row("LSC Issuing CA", "CAPF-trust")
    pub.uploads("op-1", capf.der, "CAPF-trust")
    pub.uploads("op-2", capf.der, "CallManager-trust")
    assert pub.replies() == [("op-1", "done", ""), ("op-2", "done", "already_present")]
    assert [(each.unit, each.holders) for each in pub.core.replica.rows.values()] == [
        ("CAPF-trust", ("pub",)),
        ("CallManager-trust", None),
    ]
    assert (pub.files("CAPF-trust"), pub.files("CallManager-trust")) == ([capf.fingerprint], [capf.fingerprint])


@pytest.mark.rule("R-019")
@pytest.mark.rule("C-10")
def test_on_a_subscriber_it_stays_alone() -> None:
    sub, _ = sub1()
    (said,) = proposed(sub, sub.uploads("op-1", CA.der, "CAPF-trust"))
    assert [(each.unit, each.holders) for each in said.adds] == [("CAPF-trust", ("sub1",))]


# -- after a kill


def test_an_upload_cut_off_by_a_kill_is_proposed_under_its_id_after_the_start_and_answers_nobody() -> None:
    image = DiskImage(boot=0, installed=True, replica=LogBook().image(), files=(file_of(CA, op_id="op-1"),))
    sub = Playbook(config(), image=image).up()
    assert [(each.op_id, each.kind) for each in proposed(sub, sub.does(LogBook().head()))] == [("op-1", "upload")]
    assert [type(each) for each in sub.hears_answer("op-1")] == [SettleFile]
    assert sub.replies() == []
