"""Handshakes that are judged otherwise than OpenSSL judges them: a table with the reasons, and no others in x509-limbo.

Limbo's vectors lie beside the checkout (`tests.unit.node.test_x509_limbo`). They come without keys, so it is OpenSSL's
command that is asked, which knows names as well.
"""

import json
import lzma
import ssl
import tomllib
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from tests.contract.handshaking import openssl_says_at
from tests.contract.test_handshakes_and_openssl import OPENSSL, agree
from tests.unit.node.authorities import Authority, issue
from tests.unit.node.certificate_factory import END, START, certificate, name
from tests.unit.node.test_x509_limbo import UNTIMED, VECTORS
from ucmlab.cluster.simkeys import sim_rsa
from ucmlab.node.handshake import Shown, Standard, date_verdict
from ucmlab.node.handshake_reasons import Usage
from ucmlab.node.instant import from_datetime

pytestmark = [OPENSSL, pytest.mark.slow]
DIFFERENCES = Path(__file__).with_name("handshake_differences.toml")
NOW = from_datetime(START) + 1_000_000
Asked = tuple[Shown, Standard]
Extension = tuple[x509.ExtensionType, bool]


class Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    why: str
    cases: tuple[str, ...]
    only: str = ""
    """The OpenSSL of which it is known, as in `3.0`; empty, all of them."""


class PeerName(msgspec.Struct, frozen=True):
    value: str


class Vector(msgspec.Struct, frozen=True):
    """What the question is in one of limbo's cases."""

    id: str
    trusted_certs: tuple[str, ...]
    untrusted_intermediates: tuple[str, ...]
    peer_certificate: str
    validation_kind: str
    validation_time: datetime | None
    expected_peer_name: PeerName | None

    def asked(self) -> Asked:
        named = self.expected_peer_name.value if self.expected_peer_name else ""
        wall = from_datetime(self.validation_time or UNTIMED)
        held = tuple(map(der_of, self.trusted_certs))
        role: Usage = "server" if self.validation_kind == "SERVER" else "client"
        chain = (self.peer_certificate, *self.untrusted_intermediates)
        return Shown(tuple(map(der_of, chain))), Standard(trusted=held, usage=role, name=named, wall=wall)


def der_of(text: str) -> bytes:
    return b64decode("".join(line for line in text.splitlines() if not line.startswith("-----")))


def vectors() -> list[Vector]:
    with lzma.open(VECTORS) as file:
        return msgspec.convert(json.load(file)["testcases"], list[Vector])


def listed(version: str = "") -> set[str]:
    """The table's cases; with a version of OpenSSL, those that it is known to judge otherwise."""
    table = tomllib.loads(DIFFERENCES.read_text(encoding="utf-8"))["difference"]
    some = (each for each in msgspec.convert(table, list[Difference]) if not version or each.only in ("", version))
    return {case for each in some for case in each.cases}


def differs(folder: Path, shown: Shown, standard: Standard) -> bool:
    return not agree(date_verdict(shown, standard), openssl_says_at(folder, shown.chain, standard))


def asked(leaf: Authority, *held: Authority, wall: int = NOW) -> Asked:
    return Shown((leaf.der,)), Standard(trusted=tuple(each.der for each in held), usage="server", wall=wall)


def with_extension(value: x509.ExtensionType) -> list[Extension]:
    return [(value, False)]


def last_second() -> Asked:
    return asked(issue("pub.lab.test", 3, ROOT, ca=False), ROOT, wall=from_datetime(END))


def ed25519_issuer() -> Asked:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    root = certificate("Corp Root CA", key=key, ca=True)
    subject = x509.load_der_x509_certificate(root).subject
    builder = x509.CertificateBuilder(subject, name("pub.lab.test"), key.public_key(), 7, START, END)
    leaf = builder.sign(key, None).public_bytes(Encoding.DER)
    return Shown((leaf,)), Standard(trusted=(root,), usage="server", wall=NOW)


def long_exponent() -> Asked:
    numbers = sim_rsa(0).private_numbers()
    p, q, exponent = numbers.p, numbers.q, (1 << 33) + 17
    private = rsa.rsa_recover_private_exponent(exponent, p, q)
    parts = (p, q, private, private % (p - 1), private % (q - 1), rsa.rsa_crt_iqmp(p, q))
    key = rsa.RSAPrivateNumbers(*parts, rsa.RSAPublicNumbers(exponent, p * q)).private_key()
    root = issue("Corp Root CA", key)
    return asked(issue("pub.lab.test", 3, root, ca=False), root)


def netscape_type() -> Asked:
    client_alone = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.16.840.1.113730.1.1"), b"\x03\x02\x07\x80")
    return asked(issue("pub.lab.test", 3, ROOT, ca=False, extensions=with_extension(client_alone)), ROOT)


def user_in_a_uri() -> Asked:
    root = issue("Corp Root CA", 1, extensions=with_extension(x509.NameConstraints([uri("lab.test")], None)))
    named = with_extension(x509.SubjectAlternativeName([uri("https://u@lab.test/")]))
    return asked(issue("pub.lab.test", 3, root, ca=False, extensions=named), root)


def mail_in_utf8() -> Asked:
    root = issue("Corp Root CA", 1, extensions=with_extension(x509.NameConstraints([uri("lab.test")], None)))
    mail = x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@lab.test", _ASN1Type.UTF8String)
    return asked(issue(x509.Name([mail]), 3, root, ca=False), root)


def many_names() -> Asked:
    hosts = [x509.DNSName(f"h{number}.lab.test") for number in range(500)]
    root = issue("Corp Root CA", 1, extensions=with_extension(x509.NameConstraints(None, hosts)))
    others = x509.SubjectAlternativeName([x509.DNSName(f"h{number}.corp.test") for number in range(500)])
    return asked(issue("pub.lab.test", 3, root, ca=False, extensions=with_extension(others)), root)


def uri(value: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(value)


ROOT = issue("Corp Root CA", 1)
OWN: Mapping[str, Callable[[], Asked]] = {
    "last second": last_second,
    "Ed25519 issuer": ed25519_issuer,
    "long exponent": long_exponent,
    "Netscape type": netscape_type,
    "user in a URI": user_in_a_uri,
    "mail in UTF-8": mail_in_utf8,
    "many names": many_names,
}


def test_what_is_said_to_differ_differs(tmp_path: Path) -> None:
    assert {case for case in listed() if "::" not in case} == set(OWN)
    known = listed("{}.{}".format(*ssl.OPENSSL_VERSION_INFO))
    assert [case for case in known & OWN.keys() if not differs(tmp_path, *OWN[case]())] == []


@pytest.mark.skipif(not VECTORS.exists(), reason=f"{VECTORS} is not there: the vectors come beside the checkout")
def test_no_vector_of_limbo_is_judged_otherwise_than_openssl_judges_it_but_those_listed(tmp_path: Path) -> None:
    found = {each.id for each in vectors() if differs(tmp_path, *each.asked())}
    expected = {case for case in listed() if "::" in case}
    assert sorted(found - expected) == [], "these differ and are not listed"
    assert sorted(expected - found) == [], "these are listed and agree, or are no cases"
