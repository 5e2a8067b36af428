"""A certificate as the product's page shows it, release by release; and downloads, with OpenSSL as a second opinion."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.openssl import EC, openssl
from tests.unit.cluster.cli_lab import Bench, FakeLink, make_home, nothing_changes, put_identity, put_trust
from tests.unit.node.authorities import issue, usage, version_1
from tests.unit.node.certificate_factory import certificate
from ucmlab.cluster.cli.details import page
from ucmlab.cluster.simkeys import sim_rsa
from ucmlab.node.certificates import parse
from ucmlab.node.rulebook import RuleBook

JDK_RELEASES = ("11.0", "11.5", "12.0", "12.5", "14", "14SU1")
BCFIPS_RELEASES = ("14SU2", "14SU3", "15")
ROOT = issue("Corp Root CA", sim_rsa(1), key_usage=usage("digital_signature", "key_cert_sign"), serial=0x0AB1)
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not there")


def shown(der: bytes, release: str) -> list[str]:
    return list(page(parse(der), RuleBook.load(release).display))


def tags(lines: list[str]) -> dict[str, str]:
    """Tag to value, of the lines that have both."""
    cut = (line.strip().partition(":") for line in lines)
    return {tag: value.strip() for tag, colon, value in cut if colon}


@pytest.mark.rule("R-056", "R-057", "R-058", "R-059", "R-060", "R-061", "X-18")
@pytest.mark.parametrize("release", JDK_RELEASES)
def test_up_to_14su1_the_old_tags_are_shown(release: str) -> None:
    found = tags(shown(ROOT.der, release))
    certificate = ROOT.certificate
    assert found["Issuer Name"] == found["Subject Name"] == certificate.subject
    assert (found["Validity From"], found["To"]) == ("Thu Jan 01 00:00:00 UTC 2026", "Wed Jan 01 00:00:00 UTC 2031")
    assert (found["Key"], found["Serial Number"]) == ("RSA (1.2.840.113549.1.1.1)", "AB1")
    modulus = f"{sim_rsa(1).public_key().public_numbers().n:x}"
    assert found["Key Value"] == f"3082010a0282010100{modulus}0203010001"  # RFC 8017, A.1.1
    assert found["SignatureAlgorithm"] == "SHA256withRSA (1.2.840.113549.1.1.11)"
    assert not {"IssuerDN", "SubjectDN", "Start Date", "Final Date", "Public Key", "Modulus"} & found.keys()


@pytest.mark.rule("R-056", "R-057", "R-058", "R-059", "R-060", "R-061")
@pytest.mark.parametrize("release", BCFIPS_RELEASES)
def test_from_14su2_those_of_the_bcfips_provider(release: str) -> None:
    found = tags(shown(ROOT.der, release))
    certificate = ROOT.certificate
    assert found["IssuerDN"] == found["SubjectDN"] == certificate.subject
    assert (found["Start Date"], found["Final Date"]) == (
        "Thu Jan 01 00:00:00 UTC 2026",
        "Wed Jan 01 00:00:00 UTC 2031",
    )
    assert (found["Public Key"], found["SerialNumber"]) == ("RSA Public Key", str(0x0AB1))
    assert found["Modulus"] == f"{sim_rsa(1).public_key().public_numbers().n:x}"
    assert found["Signature Algorithm"] == "SHA256WITHRSA"
    assert not {"Issuer Name", "Subject Name", "Validity From", "To", "Key", "Key Value"} & found.keys()


@pytest.mark.rule("R-062", "X-18")
def test_extensions_are_names_up_to_14su1_and_object_identifiers_from_14su2() -> None:
    old, new = "\n".join(shown(ROOT.der, "14SU1")), "\n".join(shown(ROOT.der, "14SU2"))
    assert (
        "     Extension: KeyUsage (OID.2.5.29.15)\n     Critical: true\n     Digital Signature, Key Cert Sign\n" in old
    )
    assert "     Extension: BasicConstraints (OID.2.5.29.19)\n     Critical: true\n     CA=TRUE\n" in old
    assert "OID" not in new
    assert "critical(true) 2.5.29.15 value = 03020284" in new
    assert "critical(true) 2.5.29.19 value = CA=TRUE" in new
    for name in ("Digital Signature", "KeyUsage", "BasicConstraints"):
        assert name not in new


@pytest.mark.rule("B.5")
def test_a_serial_number_is_decimal_in_the_oldest_releases() -> None:
    assert tags(shown(ROOT.der, "10.5"))["Serial Number"] == str(0x0AB1)


def test_certificates_without_extensions_and_with_other_keys_are_shown() -> None:
    old_root, curve = version_1("VeriSign", 3), certificate("an EC root")
    for release in ("14SU1", "14SU2"):
        assert any("0 present" in line for line in shown(old_root.der, release))
        assert re.search(r"Key: EC( |$)", "\n".join(shown(curve, release)), re.MULTILINE)
    assert tags(shown(curve, "14SU2"))["Modulus"].startswith("04")
    assert tags(shown(old_root.der, "14SU2"))["[0]         Version"] == "1"


def test_a_serial_number_of_zero_is_shown_without_a_warning() -> None:
    der = issue("an old root", 3, serial=7).der.replace(b"\x02\x01\x07", b"\x02\x01\x00", 1)
    assert tags(shown(der, "14SU1"))["Serial Number"] == tags(shown(der, "14SU2"))["SerialNumber"] == "0"


# -- downloads


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    home = make_home(tmp_path / "lab")
    return Bench(home, FakeLink(home), monkeypatch)


@needs_openssl
@pytest.mark.rule("R-063", "R-028")
def test_a_download_is_byte_for_byte_what_openssl_wrote(lab: Bench, tmp_path: Path) -> None:
    made, der, got, got_der = (tmp_path / name for name in ("made.pem", "made.der", "got.pem", "got.der"))
    subject, names = "/C=DE/O=Prüfstand/CN=Some Root", "subjectAltName=DNS:root.lab.test,IP:192.0.2.1"
    options = ("-utf8", "-subj", subject, "-addext", names, "-days", "900", "-set_serial", "0x00ff01", "-nodes")
    openssl("req", "-x509", *EC, "-keyout", tmp_path / "key.pem", *options, "-out", made)
    openssl("x509", "-in", made, "-outform", "DER", "-out", der)
    put_trust(lab.home, "pub", "tomcat-trust", file="Some_Root.pem", der=der.read_bytes())
    put_identity(lab.home, "pub", "tomcat", der.read_bytes())
    with nothing_changes(lab.home):
        lab.run("cert", "download", "pub", "tomcat-trust", "Some Root", "-o", str(got))
        lab.run("cert", "download", "pub", "tomcat", "--der", "-o", str(got_der))
        piped = lab.run("cert", "download", "pub", "tomcat")
    assert got.read_bytes() == piped.stdout_bytes == made.read_bytes()
    assert got_der.read_bytes() == der.read_bytes()
    told: Any = lab.json("cert", "show", "pub", "tomcat")
    printed = openssl("x509", "-in", got, "-noout", "-fingerprint", "-sha256").partition("=")[2].strip()
    assert printed.replace(":", "").lower() == told["fingerprint"]


@needs_openssl
def test_openssl_agrees_with_what_is_shown(lab: Bench, tmp_path: Path) -> None:
    put_identity(lab.home, "pub", "tomcat", ROOT.der)
    file = tmp_path / "tomcat.pem"
    lab.run("cert", "download", "pub", "tomcat", "-o", str(file))
    said = openssl("x509", "-in", file, "-noout", "-serial", "-modulus", "-enddate")
    found = tags(lab.run("cert", "show", "pub", "tomcat").stdout.splitlines())
    assert f"serial={int(found['SerialNumber']):04X}" in said
    assert f"Modulus={found['Modulus'].upper()}" in said
    assert "notAfter=Jan  1 00:00:00 2031 GMT" in said
    assert found["Final Date"] == "Wed Jan 01 00:00:00 UTC 2031"


def test_a_page_ends_in_the_certificate_itself(lab: Bench) -> None:
    put_identity(lab.home, "pub", "tomcat", ROOT.der)
    whole = lab.run("cert", "show", "pub", "tomcat").stdout
    head, mark, body = whole.partition("-----BEGIN CERTIFICATE-----")
    assert f"{mark}{body}" == lab.run("cert", "download", "pub", "tomcat").stdout
    assert head.startswith(f"File: {lab.home.path}")
    assert "Type: Self-signed\n" in head
