"""`ucmlab ca`: authorities in a folder, requests from outside, and what OpenSSL says to all of it."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.openssl import new_request, openssl, verify
from tests.rules import ROOT
from tests.unit.cluster.cli_lab import Bench, FakeLink, make_home, run
from ucmlab.cluster.ca.folder import CAFolder
from ucmlab.cluster.ca.keys import make_key
from ucmlab.cluster.ca.requests import REQUEST_LIMIT, server_request
from ucmlab.cluster.ca.terms import Terms
from ucmlab.cluster.cli import ca_place
from ucmlab.cluster.labclock import ClockFile
from ucmlab.node.clock import machine_wall
from ucmlab.node.instant import from_datetime
from ucmlab.node.privatefile import TEMPORARY

SAN = (
    "-addext",
    "subjectAltName=DNS:pub.lab.test,DNS:lab.test",
    "-addext",
    "keyUsage=digitalSignature,dataEncipherment",
)
TODAY = datetime(2026, 1, 5, 8, tzinfo=UTC)


class Authorities:
    """A folder of authorities, and a command line at it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path / "cas"

    def run(self, *arguments: str, stdin: bytes | None = None) -> Result:
        return run("ca", *arguments, "--folder", str(self.folder), stdin=stdin)

    def out(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout_bytes

    def json(self, *arguments: str, stdin: bytes | None = None) -> dict[str, object]:
        found = json.loads(self.out(*arguments, "--json", stdin=stdin))
        assert isinstance(found, dict)
        return found

    def names(self) -> list[str]:
        listed = self.json("list")["authorities"]
        assert isinstance(listed, list)
        return [each["ca"] for each in listed]

    def new(self, name: str, *options: str) -> bytes:
        return self.out("new", name, "--key", "ec-256", *options)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authorities:
    monkeypatch.setattr(ca_place, "machine_wall", lambda: from_datetime(TODAY))
    return Authorities(tmp_path)


@pytest.fixture
def csr(tmp_path: Path) -> bytes:
    return new_request(tmp_path, *SAN)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def parsed(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


@pytest.mark.rule("R-145")
def test_a_request_of_openssl_comes_back_signed_and_verifies(desk: Authorities, csr: bytes, tmp_path: Path) -> None:
    root = desk.new("Corp Root CA")
    desk.new("Corp Issuing CA", "--parent", "Corp Root CA")
    (tmp_path / "pub.csr").write_bytes(csr)
    leaf = desk.out("sign", str(tmp_path / "pub.csr"), "--ca", "Corp Issuing CA")
    above = desk.out("chain", "Corp Issuing CA")
    assert verify(tmp_path, leaf, roots=root, above=above, at=TODAY).endswith(": OK\n")
    assert "DNS:pub.lab.test, DNS:lab.test" in openssl("x509", "-noout", "-ext", "subjectAltName", stdin=leaf)
    assert "Digital Signature, Data Encipherment" in openssl("x509", "-noout", "-ext", "keyUsage", stdin=leaf)
    public = openssl("pkey", "-pubout", "-in", tmp_path / "request.key")
    assert openssl("x509", "-noout", "-pubkey", stdin=leaf) == public


def test_a_request_is_read_from_standard_input_and_in_der(desk: Authorities, csr: bytes) -> None:
    desk.new("Corp Root CA")
    der = x509.load_pem_x509_csr(csr).public_bytes(Encoding.DER)
    subjects = {parsed(desk.out("sign", "-", stdin=data)).subject.rfc4514_string() for data in (csr, der)}
    assert subjects == {"CN=pub.lab.test,O=Lab,C=US"}


@pytest.mark.rule("R-032", "R-031")
def test_a_request_is_ignored_or_distorted_and_that_is_said(desk: Authorities, csr: bytes) -> None:
    desk.new("Strict CA", "--ignore-request")
    ignored = desk.run("sign", "-", stdin=csr)
    assert "otherwise than asked for: keyUsage lacks digitalSignature, dataEncipherment\n" in ignored.stderr
    assert "otherwise than asked for: subjectAltName lacks pub.lab.test, lab.test\n" in ignored.stderr
    assert desk.json("sign", "-", "--honour-request", stdin=csr)["differs"] == []
    options = ["--honour-request", "--drop-key-usage", "dataEncipherment", "--add-key-usage", "keyAgreement"]
    options += ["--eku", "serverAuth", "--eku", "1.2.3.4", "--san", "www.lab.test", "--san", "lab.test"]
    assert desk.json("sign", "-", *options, stdin=csr)["differs"] == [
        "keyUsage lacks dataEncipherment",
        "keyUsage has besides keyAgreement",
        "extendedKeyUsage has besides serverAuth, 1.2.3.4",
        "subjectAltName lacks pub.lab.test",
        "subjectAltName has besides www.lab.test",
    ]
    bare = desk.json("sign", "-", "--honour-request", "--san", "none", "--eku", "none", stdin=csr)
    assert bare["differs"] == ["subjectAltName lacks pub.lab.test, lab.test"]


def test_signatures_with_sha1_are_made_and_verify(desk: Authorities, csr: bytes, tmp_path: Path) -> None:
    root = desk.new("Old Root", "--hash", "sha1")
    leaf = desk.out("sign", "-", "--hash", "sha1", stdin=csr)
    assert verify(tmp_path, leaf, roots=root, at=TODAY).endswith(": OK\n")
    for certificate in (root, leaf):
        assert openssl("x509", "-noout", "-text", stdin=certificate).count("ecdsa-with-SHA1") == 2


def test_dates_are_given_as_instants_or_days(desk: Authorities, csr: bytes) -> None:
    desk.new("Corp Root CA", "--not-before", "2020-01-01", "--not-after", "2030-01-01T12:00:00Z")
    made = desk.json("sign", "-", "--not-before", "2021-02-03", "--days", "10", stdin=csr)
    assert (made["not_before"], made["not_after"]) == ("2021-02-03T00:00:00Z", "2021-02-13T00:00:00Z")
    end = parsed(desk.out("sign", "-", "--days", "30", stdin=csr)).not_valid_after_utc
    assert end == TODAY + timedelta(days=30)
    # Not beyond its CA, unless that is said.
    desk.new("Short CA", "--parent", "Corp Root CA", "--days", "3")
    short = parsed(desk.out("sign", "-", "--ca", "Short CA", stdin=csr))
    assert short.not_valid_after_utc == parsed(desk.out("chain", "Short CA")).not_valid_after_utc


@pytest.mark.rule("R-025", "R-014")
def test_a_chain_comes_as_pem_and_as_pkcs7_with_or_without_the_leaf(desk: Authorities, csr: bytes) -> None:
    desk.new("Corp Root CA")
    desk.new("Corp Issuing CA", "--parent", "Corp Root CA")
    leaf = desk.out("sign", "-", "--ca", "Corp Issuing CA", stdin=csr)
    chain = x509.load_pem_x509_certificates(desk.out("chain", "Corp Issuing CA"))
    assert [each.subject.rfc4514_string() for each in chain] == ["CN=Corp Issuing CA", "CN=Corp Root CA"]
    whole = [parsed(leaf), *chain]
    assert x509.load_pem_x509_certificates(desk.out("chain", "--leaf", "pub.lab.test")) == whole
    signed = desk.out("sign", "-", "--ca", "Corp Issuing CA", "--chain", stdin=csr)
    assert x509.load_pem_x509_certificates(signed)[1:] == chain
    serial = f"{whole[0].serial_number:x}"
    for form, options in (("PEM", ["--pkcs7"]), ("DER", ["--pkcs7", "--der"])):
        bundle = desk.out("chain", "--leaf", serial, *options)
        printed = openssl("pkcs7", "-inform", form, "-print_certs", stdin=bundle).encode()
        assert set(x509.load_pem_x509_certificates(printed)) == set(whole)
    bundle = desk.out("sign", "-", "--ca", "Corp Root CA", "--pkcs7", stdin=csr)
    assert openssl("pkcs7", "-print_certs", "-noout", stdin=bundle).count("subject=") == 2
    alone = desk.out("sign", "-", "--ca", "Corp Root CA", "--der", stdin=csr)
    assert x509.load_der_x509_certificate(alone).subject == whole[0].subject


def test_a_cross_sign_is_another_way_up(desk: Authorities, csr: bytes, tmp_path: Path) -> None:
    desk.new("Corp Root CA")
    partner = desk.new("Partner Root CA")
    leaf = desk.out("sign", "-", "--ca", "Corp Root CA", stdin=csr)
    crossed = desk.out("cross-sign", "Corp Root CA", "--by", "Partner Root CA")
    above = desk.out("chain", "Corp Root CA", "--by", "Partner Root CA")
    assert above == crossed + partner
    assert verify(tmp_path, leaf, roots=partner, above=crossed, at=TODAY).endswith(": OK\n")
    refused = desk.run("chain", "Partner Root CA", "--by", "Corp Root CA")
    assert refused.exit_code == 2
    assert "Corp Root CA did not cross-sign Partner Root CA" in refused.stderr


def test_what_is_revoked_stands_in_the_list_that_openssl_verifies(
    desk: Authorities, csr: bytes, tmp_path: Path
) -> None:
    root = desk.new("Corp Root CA")
    (tmp_path / "root.pem").write_bytes(root)
    leaf = tmp_path / "leaf.pem"
    desk.out("sign", "-", "-o", str(leaf), stdin=csr)
    serial = parsed(leaf.read_bytes()).serial_number
    named = serial.to_bytes((serial.bit_length() + 7) // 8).hex().upper()  # whole octets, as OpenSSL prints them

    def listed() -> str:
        crl = desk.out("crl")
        assert desk.out("crl", "--der")[:1] == b"\x30"
        return openssl("crl", "-noout", "-text", "-verify", "-CAfile", tmp_path / "root.pem", stdin=crl)

    assert "No Revoked Certificates" in listed()
    told = desk.run("revoke", str(leaf), "--reason", "certificateHold")
    assert told.stdout == "done: pub.lab.test by Corp Root CA: revoked, certificateHold\n"
    assert f"Serial Number: {named}" in listed()
    assert "Certificate Hold" in listed()
    assert desk.run("unhold", named).stdout == "done: pub.lab.test by Corp Root CA: on hold no more\n"
    assert "No Revoked Certificates" in listed()
    assert desk.json("revoke", "pub.lab.test", "--reason", "keycompromise")["reason"] == "keyCompromise"
    crl = desk.json("crl")
    assert (crl["ca"], crl["revoked"]) == ("Corp Root CA", [f"{serial:x}"])
    with pytest.raises(AssertionError, match="certificate revoked"):
        verify(tmp_path, leaf.read_bytes(), roots=root, crls=desk.out("crl"), at=TODAY)


def test_the_list_of_authorities_tells_what_each_issued(desk: Authorities, csr: bytes) -> None:
    assert desk.out("list") == b"there is no CA yet; say `ucmlab ca new NAME`\n"
    desk.new("Corp Root CA")
    desk.new("Corp Issuing CA", "--parent", "Corp Root CA")
    desk.out("sign", "-", "--ca", "Corp Issuing CA", stdin=csr)
    desk.out("revoke", "pub.lab.test")
    rows = [line.split() for line in desk.out("list").decode().splitlines()]
    assert rows[1][:5] == ["Corp", "Issuing", "CA", "CN=Corp", "Root"]
    assert (rows[1][6], rows[2][3:5]) == ("ec-256", ["itself", "ec-256"])
    listed = desk.json("list")["authorities"]
    assert isinstance(listed, list)
    issued = [[(each["common_name"], each["revoked"]) for each in authority["issued"]] for authority in listed]
    assert issued == [[("pub.lab.test", "unspecified")], [("Corp Root CA", None), ("Corp Issuing CA", None)]]


def test_private_keys_are_their_owners_alone_and_shown_by_no_command(desk: Authorities, csr: bytes) -> None:
    said = [
        desk.run("new", "Corp Root CA", "--json").output,
        desk.run("new", "Sub CA", "--parent", "Corp Root CA").output,
        desk.run("sign", "-", "--ca", "Sub CA", "--json", stdin=csr).output,
        desk.run("chain", "Sub CA", "--json").output,
        desk.run("list", "--json").output,
        desk.run("crl", "Sub CA", "--json").output,
    ]
    assert not [text for text in said if "PRIVATE KEY" in text]
    kept = [path for path in desk.folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in desk.folder.iterdir() if path.is_dir()} == {0o700}
    assert [path.name for path in kept if b"PRIVATE KEY" in path.read_bytes()] == ["key.pem", "key.pem"]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "refused empty: there is nothing in it\n"),
        (b"garbage", "refused format: it is no certificate signing request (PKCS#10) in PEM or DER\n"),
        (
            b"-----BEGIN CERTIFICATE-----\n",
            "refused format: it is a certificate; a CA signs certificate signing requests",
        ),
        (b"-----BEGIN RSA PRIVATE KEY-----\n", "refused private_key: it holds a private key, which no CA may see; "),
        (
            b"x" * (REQUEST_LIMIT + 9),
            f"refused too_large: more than {REQUEST_LIMIT} bytes; a request has some thousand",
        ),
    ],
)
def test_what_is_no_request_is_refused_and_nothing_is_issued(desk: Authorities, data: bytes, line: str) -> None:
    desk.new("Corp Root CA")
    before = snapshot(desk.folder)
    result = desk.run("sign", "-", stdin=data)
    assert (result.exit_code, result.stdout, result.stderr[: len(line)]) == (1, "", line)
    told = json.loads(desk.run("sign", "-", "--json", stdin=data).stdout)
    assert (told["outcome"], told["reason"]) == ("refused", line.split()[1].rstrip(":"))
    assert snapshot(desk.folder) == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["sign", "/nonexistent.csr", "--ca", "One"], "/nonexistent.csr cannot be read: No such file or directory; "),
        (["sign", "-"], "there are several CAs; say which: 'One', 'Two'"),
        (["sign", "-", "--ca", "Three"], "there is no CA 'Three'; there are 'One', 'Two'"),
        (["sign", "-", "--ca", "One", "--drop-key-usage", "all"], "there is no key usage 'all'; there are digitalSig"),
        (["sign", "-", "--ca", "One", "--eku", "web"], "there is no extended key usage 'web'; there are serverAuth, "),
        (["sign", "-", "--ca", "One", "--san", "a b"], "'a b' is no DNS name, IP address or mail address"),
        (["sign", "-", "--ca", "One", "--hash", "md5"], "there is no signature algorithm with md5 and an EC key; "),
        (["sign", "-", "--ca", "One", "--not-after", "soon"], "'soon' is no instant; write it like 2027-01-31"),
        (["sign", "-", "--ca", "One", "--days", "9999999"], "9999999 days are beyond the calendar; "),
        (["sign", "-", "--ca", "One", "--days", "1", "--not-after", "2027-01-31"], "--not-after and --days both say "),
        (["sign", "-", "--ca", "One", "--chain", "--der"], "DER holds one certificate; for a chain say --pkcs7 --der"),
        (["sign", "-", "--ca", "One", "-o", "/nonexistent/leaf.pem"], "/nonexistent/leaf.pem cannot be written; "),
        (["new", "One"], "there is a CA 'One' already; choose another name"),
        (["new", "Below", "--parent", "Three"], "there is no CA 'Three'; there are 'One', 'Two'"),
        (["new", "x" * 65], "can be no common name; one has from 1 to 64 characters"),
        (["new", "Late", "--not-before", "2027-01-01", "--not-after", "2026-01-01"], "a certificate cannot end (2026-"),
        (["new", "Odd", "--key", "ed25519", "--hash", "sha1"], "an Ed25519 key signs in its own way, never with sha1"),
        (["cross-sign", "One", "--by", "One"], "an authority cannot cross-sign itself; name another one"),
        (["chain", "One", "--der"], "DER holds one certificate; for a chain say --pkcs7 --der, or leave --der out"),
        (["revoke", "/dev/null"], "no CA here issued '/dev/null'; `ucmlab ca list` tells what they issued"),
        (["chain", "--leaf", str(ROOT / "LICENSE")], "LICENSE is no certificate: it is neither PEM nor DER"),
        (["revoke", "nobody"], "no CA here issued 'nobody'; `ucmlab ca list` tells what they issued"),
        (["unhold", "One"], "is not revoked, so no hold can be lifted"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_and_changes_nothing(
    desk: Authorities, csr: bytes, arguments: list[str], text: str
) -> None:
    desk.new("One")
    desk.new("Two")
    before = snapshot(desk.folder)
    result = desk.run(*arguments, stdin=csr)
    assert result.exit_code == 2
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert snapshot(desk.folder) == before


def test_a_name_that_fits_several_certificates_names_none(desk: Authorities, csr: bytes) -> None:
    desk.new("Corp Root CA")
    for _ in range(2):
        desk.out("sign", "-", stdin=csr)
    result = desk.run("revoke", "pub.lab.test")
    assert result.exit_code == 2
    assert "'pub.lab.test' fits 2 certificates; name one by its serial number, like " in result.stderr


def test_names_that_make_one_folder_are_refused(desk: Authorities) -> None:
    desk.new("Corp CA")
    result = desk.run("new", "Corp_CA")
    assert result.exit_code == 2
    assert "choose a name that differs in more than blanks" in result.stderr
    assert desk.names() == ["Corp CA"]


def test_what_a_killed_command_left_is_no_authority_and_goes(desk: Authorities) -> None:
    desk.new("Corp Root CA")
    unfinished = desk.folder / f"{TEMPORARY}dead"
    unfinished.mkdir()
    (unfinished / "authority.json").write_bytes(b"{}")
    assert desk.names() == ["Corp Root CA"]
    desk.new("Another CA")
    assert not unfinished.exists()


def test_commands_at_the_same_time_wait_for_each_other(desk: Authorities) -> None:
    desk.new("Corp Root CA")
    request = server_request("pub.lab.test", make_key("ec-256").public_key())

    def sign(_number: int) -> None:
        folder = CAFolder(desk.folder, now=lambda: TODAY)
        with folder.locked():
            kept = folder.find(None)
            kept.enter(kept.office.sign(request, Terms()))

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(sign, range(12)))
    [kept] = CAFolder(desk.folder, now=lambda: TODAY).all()
    assert len(kept.office.books.issued) == 13
    assert len(list((kept.path / "issued").iterdir())) == 13


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        ("authority.json", b"{", "authority.json was not made by this version of ucmlab"),
        ("books.json", None, "books.json cannot be read"),
        ("key.pem", b"none", "key.pem is no key that a CA can have"),
        ("chain.pem", b"none", "chain.pem holds no certificate"),
    ],
)
def test_a_broken_folder_is_named(desk: Authorities, file: str, content: bytes | None, text: str) -> None:
    desk.new("Corp Root CA")
    path = desk.folder / "Corp_Root_CA" / file
    path.unlink() if content is None else path.write_bytes(content)
    result = desk.run("list")
    assert result.exit_code == 2
    assert text in result.stderr


def test_books_that_cannot_be_written_stay_as_they_were(desk: Authorities, csr: bytes) -> None:
    desk.new("Corp Root CA")
    before = (desk.folder / "Corp_Root_CA" / "books.json").read_bytes()
    # Its folder was opened to others, so nothing more is put into it.
    (desk.folder / "Corp_Root_CA").chmod(0o755)
    for arguments in (["sign", "-"], ["revoke", "Corp Root CA"]):
        result = desk.run(*arguments, stdin=csr)
        assert result.exit_code == 2
        assert "Corp_Root_CA must belong to you alone" in result.stderr
    assert (desk.folder / "Corp_Root_CA" / "books.json").read_bytes() == before


def test_a_folder_that_cannot_be_is_said(desk: Authorities, tmp_path: Path) -> None:
    (tmp_path / "cas").write_bytes(b"")
    assert "is a file" in desk.run("list").stderr
    desk.folder = tmp_path / "cas" / "below"
    result = desk.run("new", "Corp Root CA")
    assert result.exit_code == 2
    assert "below cannot be used: Not a directory; name another folder" in result.stderr


def test_a_key_that_others_may_read_is_not_used(desk: Authorities, csr: bytes) -> None:
    desk.new("Corp Root CA")
    (desk.folder / "Corp_Root_CA" / "key.pem").chmod(0o644)
    result = desk.run("sign", "-", stdin=csr)
    assert result.exit_code == 2
    assert "key.pem must belong to you alone" in result.stderr


def test_without_a_lab_or_a_folder_there_is_no_place(tmp_path: Path) -> None:
    result = run("ca", "list", "--dir", str(tmp_path))
    assert result.exit_code == 2
    assert "there is no lab in " in result.stderr


def test_a_lab_keeps_its_authorities_in_its_home_and_they_go_by_its_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, csr: bytes
) -> None:
    home = make_home(tmp_path / "lab")
    ClockFile(home.path).begin(machine_wall())
    lab = Bench(home, FakeLink(home), monkeypatch)
    root = parsed(lab.run("ca", "new", "Corp Root CA", "--key", "ec-256").stdout_bytes)
    leaf = parsed(lab.run("ca", "sign", "-", stdin=csr).stdout_bytes)
    assert [each.not_valid_before_utc.date().isoformat() for each in (root, leaf)] == ["2026-01-04", "2026-01-04"]
    assert leaf.issuer == root.subject
    assert [kept.name for kept in CAFolder(home.path / "ca", now=lambda: TODAY).all()] == ["Corp Root CA"]
