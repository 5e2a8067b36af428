"""Tables T-1, T-1-old and T-2 (domain.md A.4), cell by cell, in requests that OpenSSL reads."""

import shutil
import subprocess

import pytest

from tests.unit.node.csr_tables import marks
from ucmlab.cluster.simkeys import sim_key
from ucmlab.node.commands import CsrForm
from ucmlab.node.csr import csr_pem, make_csr
from ucmlab.node.identity import Organization
from ucmlab.node.rulebook import CSR_COLUMNS, CsrProfile, Role, RuleBook

SHOWN = {
    "server": "TLS Web Server Authentication",
    "client": "TLS Web Client Authentication",
    "ipsec": "IPSec End System",
    "digital_signature": "Digital Signature",
    "key_encipherment": "Key Encipherment",
    "data_encipherment": "Data Encipherment",
    "key_cert_sign": "Certificate Sign",
    "key_agreement": "Key Agreement",
}
"""What OpenSSL calls the columns; the first has no word in a request."""
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not there")


def openssl_reads(der: bytes) -> str:
    command = ["openssl", "req", "-noout", "-text", "-verify"]
    done = subprocess.run(command, input=csr_pem(der), capture_output=True, text=True, check=True)
    assert "verify OK" in done.stderr + done.stdout
    return done.stdout.replace(" = ", "=")  # older versions write blanks there


def request(row: CsrProfile, key: str, *, ou: bool = False) -> bytes:
    form = CsrForm(
        key,
        "sha256" if key.startswith("rsa") else "sha384",
        "node.lab.test",
        ("node.lab.test",),
        ou,
        "CAPF" in row.units,
    )
    return make_csr(form, row, sim_key(1, key), Organization(unit="Voice"))


def requests() -> list[tuple[str, str, Role, str]]:
    """Release, profile, role and unit: one of each table and unit."""
    of = [("14SU2", "seed", "pub"), ("12.5", "seed", "pub"), ("12.5", "seed", "sub"), ("14SU2", "seed", "imp")]
    of += [("14SU2", "english", "imp"), ("14SU2", "tac", "imp"), ("12.5", "english", "imp")]
    return [
        (release, profile, role, unit)
        for release, profile, role in of
        for held, unit in RuleBook.load(release, profile).csrs
        if held == role
    ]


@needs_openssl
@pytest.mark.rule("R-041", "R-042", "R-043", "R-044", "R-045", "R-046", "R-047", "R-048", "R-049", "R-050", "R-027")
@pytest.mark.parametrize(("release", "profile", "role", "unit"), requests())
def test_openssl_reads_the_cells_in_a_request(release: str, profile: str, role: Role, unit: str) -> None:
    rules = RuleBook.load(release, profile)
    text = openssl_reads(request(rules.csrs[role, unit], rules.identities[unit].key))
    printed = dict(zip(CSR_COLUMNS, marks(release, profile, role)[unit], strict=True))
    for column, words in SHOWN.items():
        assert (words in text) == (printed[column] == "Y"), (column, text)
    assert ("CA:TRUE, pathlen:0" in text) == (unit == "CAPF")


@needs_openssl
@pytest.mark.rule("R-144")
def test_a_request_holds_owner_name_and_key() -> None:
    rules = RuleBook.load("14SU2")
    text = openssl_reads(request(rules.csrs["pub", "tomcat"], "rsa-3072", ou=True))
    for part in ("C=US", "ST=California", "L=San Jose", "O=ucmlab", "OU=Voice", "CN=node.lab.test"):
        assert part in text
    assert "(3072 bit)" in text
    assert "DNS:node.lab.test" in text
    assert "OU=" not in openssl_reads(request(rules.csrs["pub", "tomcat"], "rsa-2048"))


@pytest.mark.rule("R-042", "X-13")
def test_who_may_have_a_multi_server_request() -> None:
    old, new = RuleBook.load("12.5"), RuleBook.load("14SU2")
    offered = {unit for (role, unit), row in new.csrs.items() if role == "pub" and row.offers_multi_server}
    assert offered == {"tomcat", "tomcat-ECDSA", "CallManager", "CallManager-ECDSA", "TVS"}
    assert new.csrs["pub", "TVS"].marks["multi_server"] == "N"
    assert not old.csrs["pub", "TVS"].offers_multi_server
    assert not new.csrs["imp", "cup"].offers_multi_server
