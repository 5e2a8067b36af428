"""`ucmlab cert` against a home on disk and a fake lab."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.unit.cluster.cli_lab import (
    Bench,
    FakeLink,
    certificate,
    issued,
    make_home,
    nothing_changes,
    put_identity,
    put_trust,
    refused,
)
from tests.unit.node.authorities import issue
from ucmlab.cluster.cli.cert_change import READ_LIMIT
from ucmlab.cluster.simkeys import sim_rsa
from ucmlab.node.certificates import pem
from ucmlab.node.commands import Reply
from ucmlab.node.events import Delete, Upload

ROOT = certificate("Corp Root CA", ca=True)
OTHER = certificate("Other Root", serial=2, end=datetime(2027, 1, 1, tzinfo=UTC))
LEAF = issued("pub.lab.test", ROOT)


def fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str) -> Bench:
    home = make_home(tmp_path / "lab", release=release)
    put_identity(home, "pub", "tomcat", LEAF)
    put_identity(home, "pub", "ipsec", certificate("pub", key=sim_rsa(1), serial=3))
    put_trust(home, "pub", "tomcat-trust", file="Corp_Root_CA_0123.pem", der=ROOT, description="the root")
    put_trust(home, "pub", "tomcat-trust", file="Other_Root_02.pem", der=OTHER)
    return Bench(home, FakeLink(home), monkeypatch)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return bench(tmp_path, monkeypatch, "14SU2")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return bench(tmp_path, monkeypatch, "12.5")


def names(lab: Bench, *options: str) -> list[str]:
    told: Any = lab.json("cert", "list", "pub", *options)
    return [each["name"] for each in told["certificates"]]


ALL = ["ipsec.pem", "tomcat.pem", "Corp_Root_CA_0123.pem", "Other_Root_02.pem"]


def test_the_list_has_identities_and_trust_of_the_node(lab: Bench) -> None:
    assert names(lab) == ALL
    assert lab.run("cert", "list", "sub1").stdout == "no certificate fits\n"


@pytest.mark.rule("R-001")
def test_the_list_tells_self_signed_from_ca_signed(lab: Bench) -> None:
    lines = {line.split()[0]: line for line in lab.run("cert", "list", "pub").stdout.splitlines()}
    assert "CA-signed" in lines["tomcat"]
    assert "Self-signed" in lines["ipsec"]
    assert "rsa-" in lines["ipsec"]
    assert "2031-01-01" in lines["tomcat"]


@pytest.mark.rule("R-068")
def test_the_list_has_the_description_that_a_certificate_was_uploaded_with(lab: Bench) -> None:
    told: Any = lab.json("cert", "list", "pub", "tomcat-trust")
    assert {each["name"]: each["description"] for each in told["certificates"]} == {
        "Corp_Root_CA_0123.pem": "the root",
        "Other_Root_02.pem": "",
    }
    assert "\nDescription: the root\n" in lab.run("cert", "show", "pub", "tomcat-trust", "Corp Root CA").stdout


@pytest.mark.rule("R-052", "R-055")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["tomcat-trust"], ALL[2:]),
        (["--usage", "identity"], ALL[:2]),
        (["--usage", "Trust"], ALL[2:]),
        (["--cn", "root"], ALL[2:]),
        (["--expires-before", "2027-06-30"], ["Other_Root_02.pem"]),
        (["--expires-before", "2027-01-01T00:00:00Z"], []),
        (["--key", "rsa"], ["ipsec.pem"]),
        (["--key", "ec", "--sort", "expires"], ["Other_Root_02.pem", "tomcat.pem", "Corp_Root_CA_0123.pem"]),
        (["--sort", "cn"], ["Corp_Root_CA_0123.pem", "Other_Root_02.pem", "ipsec.pem", "tomcat.pem"]),
        (["--sort", "usage"], ALL),
        (["--sort", "unit"], [ALL[0], ALL[1], ALL[2], ALL[3]]),
        (["--sort", "key"], ["tomcat.pem", "Corp_Root_CA_0123.pem", "Other_Root_02.pem", "ipsec.pem"]),
    ],
)
def test_a_filter_returns_only_what_fits(lab: Bench, options: list[str], expected: list[str]) -> None:
    found = names(lab, *options)
    assert found == expected if "--sort" in options else set(found) == set(expected)


@pytest.mark.rule("R-205")
def test_all_filters_must_fit(lab: Bench) -> None:
    assert names(lab, "--usage", "trust", "--cn", "corp", "--key", "ec") == ["Corp_Root_CA_0123.pem"]
    assert names(lab, "--usage", "identity", "--cn", "corp") == []


@pytest.mark.rule("R-053", "R-055")
def test_below_14_the_usage_filter_is_refused(old: Bench) -> None:
    result = old.run("cert", "list", "pub", "--usage", "identity")
    assert result.exit_code == 1
    assert result.stderr.startswith("refused release: ")
    for asked in (["--usage", "identity"], ["--sort", "usage"]):
        told: Any = old.json("cert", "list", "pub", *asked)
        assert (told["outcome"], told["reason"]) == ("refused", "release")
        assert told["text"] == "Release 12.5 does not have this: the filter Usage comes with release 14"
    assert names(old) == ALL


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["list", "pub9"], "there is no node 'pub9'"),
        (["list", "pub", "trust"], "there is no unit 'trust'"),
        (["list", "pub", "--expires-before", "soon"], "'soon' is no instant"),
        (["show", "pub", "tomcat-trust"], "tomcat-trust has several that fit"),
        (["download", "pub", "tomcat", "-o", "/nonexistent/x"], "/nonexistent/x cannot be written"),
        (["upload", "pub", "tomcat-trust", "/nonexistent.pem"], "/nonexistent.pem cannot be read"),
        (["upload", "nobody", "tomcat-trust", "-"], "there is no node 'nobody'"),
        (["delete", "pub", "nothing-trust", "x"], "there is no unit 'nothing-trust'"),
    ],
)
def test_what_there_is_not_is_named(lab: Bench, arguments: list[str], text: str) -> None:
    result = lab.run("cert", *arguments)
    assert result.exit_code == 2
    assert text in result.stderr
    assert lab.link.operations == []


@pytest.mark.parametrize(
    "name",
    ["Corp_Root_CA_0123.pem", "Corp_Root_CA_0123", "Corp Root CA", fingerprint(ROOT), fingerprint(ROOT)[:8].upper()],
    ids=["file", "file without suffix", "common name", "fingerprint", "its beginning"],
)
def test_a_certificate_is_found_by_file_name_common_name_or_fingerprint(lab: Bench, name: str) -> None:
    told: Any = lab.json("cert", "show", "pub", "tomcat-trust", name)
    assert (told["fingerprint"], told["description"], told["ca"]) == (fingerprint(ROOT), "the root", True)


def test_a_fingerprint_may_be_written_as_openssl_does(lab: Bench) -> None:
    digits = fingerprint(ROOT).upper()
    told: Any = lab.json("cert", "show", "pub", "tomcat-trust", ":".join(digits[at : at + 2] for at in range(0, 64, 2)))
    assert told["fingerprint"] == fingerprint(ROOT)


@pytest.mark.parametrize("command", ["show", "download"])
def test_a_certificate_that_is_not_there_is_not_found(lab: Bench, command: str) -> None:
    result = lab.run("cert", command, "pub", "tomcat-trust", "Nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "refused not_found: No such certificate in tomcat-trust\n"


@pytest.mark.rule("R-068")
def test_the_description_is_in_the_list(lab: Bench) -> None:
    lines = lab.run("cert", "list", "pub", "tomcat-trust").stdout.splitlines()
    assert [line.endswith("the root") for line in lines] == [False, True, False]


@pytest.mark.rule("R-001")
def test_what_a_ca_signed_for_its_next_key_is_not_self_signed(lab: Bench) -> None:
    root = issue("Corp Root CA", 1)
    renewed = issue("Corp Root CA", 2, root)
    put_trust(lab.home, "sub1", "tomcat-trust", file="new_with_new.pem", der=root.der)
    put_trust(lab.home, "sub1", "tomcat-trust", file="new_with_old.pem", der=renewed.der)
    told: Any = lab.json("cert", "list", "sub1")
    assert [each["type"] for each in told["certificates"]] == ["Self-signed", "CA-signed"]


def test_names_do_not_steer_the_terminal(lab: Bench) -> None:
    put_trust(lab.home, "sub1", "tomcat-trust", file="evil.pem", der=issue("\x1b[31mCA\x07", 1).der)
    for command in (["list", "sub1"], ["show", "sub1", "tomcat-trust"]):
        shown = lab.run("cert", *command).stdout
        assert "[31mCA" in shown
        assert "\x1b" not in shown
        assert "\x07" not in shown


@pytest.mark.rule("R-063")
def test_a_download_hashes_to_the_listed_fingerprint_and_changes_nothing(lab: Bench, tmp_path: Path) -> None:
    with nothing_changes(lab.home):
        told = lab.run("cert", "download", "pub", "tomcat-trust", "Corp Root CA")
        der = lab.run("cert", "download", "pub", "tomcat-trust", "Corp Root CA", "--der")
        lab.run("cert", "download", "pub", "tomcat", "-o", str(tmp_path / "leaf.pem"))
    assert told.stdout == pem(ROOT)
    assert der.stdout_bytes == ROOT
    assert x509.load_pem_x509_certificate((tmp_path / "leaf.pem").read_bytes()).serial_number == 0x77


def test_an_upload_carries_the_files_bytes_and_the_description(lab: Bench, tmp_path: Path) -> None:
    file = tmp_path / "new.pem"
    file.write_bytes(b"whatever it is")
    result = lab.run("cert", "upload", "sub1", "tomcat-trust", str(file), "--description", "a text")
    [(node, operation)] = lab.link.operations
    assert result.exit_code == 0
    assert isinstance(operation, Upload)
    assert (node, operation.purpose, operation.data) == ("sub1", "tomcat-trust", b"whatever it is")
    assert operation.description == "a text"


def test_an_upload_reads_standard_input_and_never_without_end(lab: Bench) -> None:
    lab.run("cert", "upload", "pub", "tomcat-trust", "-", stdin=b"x" * (READ_LIMIT + 10))
    [(_, operation)] = lab.link.operations
    assert isinstance(operation, Upload)
    assert len(operation.data) == READ_LIMIT


@pytest.mark.parametrize(
    ("reply", "status", "line"),
    [
        (refused("expired", "The certificate\nhas expired"), 1, "refused expired: The certificate has expired\n"),
        (Reply("", "partial", "publisher_unreachable", "alone"), 1, "partial publisher_unreachable: alone\n"),
        (Reply("", "indefinite"), 3, "indefinite\n"),
    ],
)
def test_an_outcome_is_one_line_and_a_status(lab: Bench, reply: Reply, status: int, line: str) -> None:
    lab.link.reply = reply
    result = lab.run("cert", "upload", "pub", "tomcat-trust", "-", stdin=b"x")
    assert (result.exit_code, result.stdout, result.stderr) == (status, "", line)
    told: Any = lab.json("cert", "upload", "pub", "tomcat-trust", "-")
    assert set(told) == {"schema", "outcome", "reason", "text", "warnings", "operation_id", "nodes"}
    assert (told["outcome"], told["reason"]) == (reply.outcome, reply.reason)


def test_an_upload_that_waits_tells_what_became_of_it_on_each_node(lab: Bench, tmp_path: Path) -> None:
    put_trust(lab.home, "sub1", "tomcat-trust", file="Corp_Root_CA_0123.pem", der=ROOT)
    lab.link.states["sub2"] = "down"
    file = tmp_path / "root.pem"
    file.write_text(pem(ROOT))
    told: Any = lab.json("cert", "upload", "pub", "tomcat-trust", str(file), "--wait")
    assert told["nodes"] == {"pub": "done", "sub1": "done", "sub2": "unreachable"}


@pytest.mark.rule("R-023")
def test_an_upload_to_a_local_unit_concerns_its_node_only(lab: Bench, tmp_path: Path) -> None:
    file = tmp_path / "root.der"
    file.write_bytes(ROOT)
    put_trust(lab.home, "sub1", "ipsec-trust", file="Corp_Root_CA_0123.pem", der=ROOT)
    told: Any = lab.json("cert", "upload", "sub1", "ipsec-trust", str(file), "--wait")
    assert told["nodes"] == {"sub1": "done"}


def test_waiting_in_vain_ends_with_1(lab: Bench) -> None:
    lab.link.converges = False
    result = lab.run("cert", "upload", "pub", "tomcat-trust", "-", "--wait", stdin=OTHER)
    assert result.exit_code == 1
    assert "not converged within 120s" in result.stderr


@pytest.mark.rule("R-079")
def test_without_a_terminal_a_delete_is_not_confirmed(lab: Bench) -> None:
    with nothing_changes(lab.home):
        result = lab.run("cert", "delete", "pub", "tomcat-trust", "Corp Root CA")
    assert result.exit_code == 1
    assert result.stderr.startswith("refused not_confirmed: Not confirmed, nothing was changed: say --yes")
    assert lab.link.operations == []


@pytest.mark.rule("R-075", "R-076")
@pytest.mark.parametrize(("answer", "deleted"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_at_a_terminal_it_warns_and_asks(lab: Bench, answer: bytes, deleted: bool) -> None:  # noqa: FBT001
    lab.answer_at_a_terminal()
    result = lab.run("cert", "delete", "pub", "tomcat-trust", "Corp Root CA", stdin=answer)
    assert "Warning: deleting a certificate can affect the system" in result.stderr
    assert "chain broken: pub.lab.test in tomcat was issued by it" in result.stderr
    assert bool(lab.link.operations) is deleted
    assert result.exit_code == (0 if deleted else 1)


@pytest.mark.rule("R-076", "C-48")
def test_dependants_are_listed_before_the_question_and_answered_as_warnings(lab: Bench) -> None:
    policy, other = issue("Policy CA", 31), issue("Other CA", 32)
    crossed = issue("Policy CA", 31, other, serial=33)
    issuing = issue("Issuing CA", 34, policy)
    old = issue("old.lab.test", 35, issuing, ca=False, end=datetime(2026, 1, 2, tzinfo=UTC))
    for each, file in ((policy, "a"), (other, "b"), (issuing, "d"), (old, "e")):
        put_trust(lab.home, "sub1", "tomcat-trust", file=f"{file}.pem", der=each.der)
    put_identity(lab.home, "sub1", "tomcat", issue("sub1.lab.test", 36, issuing, ca=False).der)
    put_identity(lab.home, "sub1", "CallManager", issue("sub1.lab.test", 37, issuing, ca=False).der)
    broken = [
        "chain broken: Issuing CA in tomcat-trust was issued by it",
        "chain broken: sub1.lab.test in tomcat has it further up in its chain",
        "old.lab.test in tomcat-trust has it further up in its chain, and has another chain or none",
    ]
    fingerprint = policy.certificate.fingerprint
    told: Any = lab.json("cert", "delete", "sub1", "tomcat-trust", fingerprint, "--yes")
    assert sorted(told["warnings"]) == sorted(broken)
    lab.answer_at_a_terminal()
    asked = lab.run("cert", "delete", "sub1", "tomcat-trust", fingerprint, stdin=b"n\n").stderr
    assert all(asked.index(line) < asked.index("Delete ") for line in broken)
    put_trust(lab.home, "sub1", "tomcat-trust", file="c.pem", der=crossed.der)
    told = lab.json("cert", "delete", "sub1", "tomcat-trust", fingerprint, "--yes")
    assert [text for text in told["warnings"] if text.startswith("chain broken")] == []
    assert len(told["warnings"]) == 3


def test_a_refused_delete_warns_of_nothing(lab: Bench) -> None:
    lab.link.reply = refused("publisher_only")
    told: Any = lab.json("cert", "delete", "pub", "tomcat-trust", "Corp Root CA", "--yes")
    assert (told["reason"], told["warnings"]) == ("publisher_only", [])


def test_with_yes_it_deletes_by_fingerprint(lab: Bench) -> None:
    result = lab.run("cert", "delete", "pub", "tomcat-trust", "Other_Root_02.pem", "--yes")
    [(node, operation)] = lab.link.operations
    assert isinstance(operation, Delete)
    assert (node, operation.unit, operation.fingerprint) == ("pub", "tomcat-trust", fingerprint(OTHER))
    assert result.stdout.startswith("done: deleted from tomcat-trust on pub\n")


def test_a_row_without_a_file_is_deleted_by_its_whole_fingerprint(lab: Bench) -> None:
    lab.run("cert", "delete", "sub1", "tomcat-trust", fingerprint(ROOT).upper(), "--yes")
    [(_, operation)] = lab.link.operations
    assert isinstance(operation, Delete)
    assert operation.fingerprint == fingerprint(ROOT)


def test_a_name_that_nobody_has_is_not_found(lab: Bench) -> None:
    result = lab.run("cert", "delete", "pub", "tomcat-trust", "Nobody", "--yes")
    assert (result.exit_code, lab.link.operations) == (1, [])
    assert result.stderr.startswith("refused not_found: ")


@pytest.mark.rule("R-080", "R-081")
def test_a_delete_that_waits_tells_where_it_is_gone(lab: Bench) -> None:
    put_trust(lab.home, "sub2", "tomcat-trust", file="Other_Root_02.pem", der=OTHER)
    told: Any = lab.json("cert", "delete", "sub1", "tomcat-trust", fingerprint(OTHER), "--yes", "--wait")
    assert told["nodes"] == {"pub": "pending", "sub1": "done", "sub2": "pending"}
    told = lab.json("cert", "delete", "sub1", "ipsec-trust", fingerprint(OTHER), "--yes", "--wait")
    assert told["nodes"] == {"sub1": "done"}


def test_a_lab_that_does_not_run_can_be_read_but_not_changed(lab: Bench) -> None:
    lab.running = False
    assert names(lab) == ALL
    result = lab.run("cert", "upload", "pub", "tomcat-trust", "-", stdin=b"x")
    assert result.exit_code == 2
    assert "does not run; start it with `ucmlab up --dir " in result.stderr


@pytest.mark.parametrize("option", [(), ("--show",), ("--delete",)])
def test_a_request_of_a_unit_that_there_is_not_is_told_with_those_of_the_node(
    lab: Bench, option: tuple[str, ...]
) -> None:
    result = lab.run("cert", "csr", "sub1", "nope", *option)
    assert (result.exit_code, result.stdout, lab.link.operations) == (2, "", [])
    there = "CallManager, CallManager-ECDSA, ipsec, tomcat, tomcat-ECDSA, TVS"
    assert result.stderr == f"ucmlab: there is no unit 'nope'; sub1 makes requests of {there}\n"
