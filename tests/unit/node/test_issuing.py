from pathlib import Path

import certifi
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509.oid import NameOID

from tests.unit.node.authorities import Authority, issue, usage, version_1, with_curve_spelled_out
from tests.unit.node.certificate_factory import name
from ucmlab.cluster.simkeys import sim_rsa
from ucmlab.node import names
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.issuing import (
    kind_of,
    named,
    only_authorities,
    public_key,
    signed_with,
    signs_itself,
    standing,
    why_no_issuer,
)
from ucmlab.node.upload_files import read_upload

ROOT = issue("Corp Root CA", 1)
ISSUING = issue("Corp Issuing CA", 2, ROOT)
LEAF = issue("pub.lab.example", 3, ISSUING, ca=False)
SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")


SHA256 = bytes.fromhex("06092a864886f70d01010b"), hashes.SHA256()
SHA1 = bytes.fromhex("06092a864886f70d010105"), hashes.SHA1()  # noqa: S303  # real roots have it
MD5 = bytes.fromhex("06092a864886f70d010104"), hashes.MD5()  # noqa: S303  # real roots had it
MD2 = bytes.fromhex("06092a864886f70d010102"), hashes.SHA256()


def signed_by_rsa(holder: Authority, issuer: Authority, algorithm: tuple[bytes, hashes.HashAlgorithm]) -> Certificate:
    """The certificate anew, with an algorithm that no library signs with any more."""
    assert isinstance(issuer.key, rsa.RSAPrivateKey)
    oid, digest = algorithm
    to_be_signed, outer, _ = names._values(names._contents(holder.der.replace(SHA256[0], oid)))
    signature = issuer.key.sign(to_be_signed, padding.PKCS1v15(), digest)
    bits = names.encode(0x03, b"\0" + signature)
    return parse(names.encode(names.SEQUENCE, to_be_signed + outer + bits))


def damaged(certificate: Certificate) -> Certificate:
    """Another signature of the same length."""
    return parse(certificate.der[:-1] + bytes((certificate.der[-1] ^ 1,)))


@pytest.mark.parametrize(
    ("authority", "kind"),
    [
        (ROOT, "root"),
        (ISSUING, "intermediate"),
        (LEAF, "leaf"),
        (issue("no extensions at all", 4, ca=None, key_ids=False), "leaf"),
        (issue("self-signed server", 4, ca=False), "leaf"),
        (issue("CA that may not sign", 4, key_usage=usage("crl_sign")), "leaf"),
        (issue("CA that may", 4, key_usage=usage("key_cert_sign")), "root"),
        (issue("key usage alone makes no CA", 4, ca=None, key_usage=usage("key_cert_sign")), "leaf"),
        (version_1("VeriSign", 4), "root"),
        (version_1("of an old root", 5, ROOT), "leaf"),
        (issue("Corp Root CA", 6, ROOT), "intermediate"),
        (issue("with RSA", sim_rsa(1)), "root"),
        (issue("with a curve of its own", ec.derive_private_key(7, ec.SECP256K1())), "leaf"),
    ],
)
def test_what_a_certificate_is(authority: Authority, kind: str) -> None:
    assert kind_of(authority.certificate) == kind


def test_a_file_of_ca_certificates_alone_is_told_from_one_with_a_leaf() -> None:
    assert only_authorities([ROOT.certificate, ISSUING.certificate, version_1("VeriSign", 4).certificate])
    assert not only_authorities([ROOT.certificate, LEAF.certificate])
    assert not only_authorities([issue("self-signed server", 4, ca=False).certificate])


def test_why_a_certificate_issues_nothing_is_said() -> None:
    huge = msgspec.structs.replace(issue("Root", sim_rsa(1)).certificate, key="rsa-8192", key_bits=8192)
    assert why_no_issuer(ROOT.certificate) == ""
    assert why_no_issuer(LEAF.certificate) == "is no CA certificate by its basic constraints"
    assert "may not sign certificates" in why_no_issuer(issue("x", 4, key_usage=usage("crl_sign")).certificate)
    assert why_no_issuer(huge) == "has a key that is not supported (rsa-8192)"


def test_equal_names_are_no_signature() -> None:
    assert signs_itself(ROOT.certificate)
    assert not signs_itself(damaged(ROOT.certificate))
    assert kind_of(damaged(ROOT.certificate)) == "intermediate"


def test_a_certificate_that_names_another_key_did_not_sign_itself() -> None:
    other = x509.AuthorityKeyIdentifier(b"another", None, None)
    by_serial = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(name("Corp Root CA"))], 8)
    own = x509.SubjectKeyIdentifier(b"mine")
    assert not signs_itself(issue("x", 1, key_ids=False, extensions=[(other, False), (own, False)]).certificate)
    assert signs_itself(issue("x", 1, key_ids=False, extensions=[(other, False)]).certificate)
    assert not signs_itself(issue("x", 1, key_ids=False, extensions=[(by_serial, False)], serial=9).certificate)
    assert signs_itself(issue("x", 1, key_ids=False, extensions=[(by_serial, False)], serial=8).certificate)


def test_a_signature_is_checked_with_the_issuers_key() -> None:
    assert signed_with(LEAF.certificate, public_key(ISSUING.certificate))
    assert not signed_with(LEAF.certificate, public_key(ROOT.certificate))
    assert not signed_with(damaged(LEAF.certificate), public_key(ISSUING.certificate))
    by_rsa = issue("leaf", 3, issue("with RSA", sim_rsa(1)))
    assert signed_with(by_rsa.certificate, public_key(issue("with RSA", sim_rsa(1)).certificate))
    assert not signed_with(by_rsa.certificate, public_key(ROOT.certificate))
    assert not signed_with(LEAF.certificate, b"no key")
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    assert not signed_with(LEAF.certificate, edwards.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def test_sha1_still_counts_md5_and_older_do_not() -> None:
    root = issue("with RSA", sim_rsa(1))
    assert signs_itself(signed_by_rsa(root, root, SHA1))
    assert not signs_itself(signed_by_rsa(root, root, MD5))
    assert not signed_with(signed_by_rsa(issue("leaf", 3, root), root, MD5), public_key(root.certificate))
    assert not signed_with(signed_by_rsa(issue("leaf", 3, root), root, MD2), public_key(root.certificate))


def test_rsa_keys_that_cost_too_much_verify_nothing() -> None:
    root = issue("with RSA", sim_rsa(1))
    plain = public_key(root.certificate)
    long_exponent = plain.replace(b"\x02\x03\x01\x00\x01", b"\x02\x03\x01\x00\x03")
    assert signed_with(root.certificate, plain)
    assert not signed_with(root.certificate, long_exponent)


def test_an_algorithm_that_was_changed_outside_is_no_signature() -> None:
    sha256, sha384 = (bytes.fromhex(f"06082a8648ce3d04030{digit}") for digit in "23")
    before, _, after = ROOT.der.rpartition(sha256)
    assert not signs_itself(parse(before + sha384 + after))


def test_a_curve_must_be_named() -> None:
    key = public_key(ISSUING.certificate)
    spelled_out = with_curve_spelled_out(key)
    assert load_der_public_key(spelled_out) == load_der_public_key(key)
    assert signed_with(LEAF.certificate, key)
    assert not signed_with(LEAF.certificate, spelled_out)


def test_critical_extensions_that_are_not_understood_are_told() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    policy = x509.PolicyConstraints(None, 0)
    told = standing(issue("x", 4, extensions=[(policy, True), (unknown, True)]).der)
    assert (told.not_understood, told.version, told.ca, told.path_length) == ("1.2.3.4", 3, True, None)
    assert standing(issue("x", 4, extensions=[(unknown, False)]).der).not_understood == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Corp Root CA", "corp  root   CA "),
        ("Corp Root CA", "CORP ROOT CA"),
    ],
)
def test_names_are_compared_without_case_blanks_and_encoding(one: str, other: str) -> None:
    plain = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)])
    printable = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, other, x509.name._ASN1Type.PrintableString)])
    assert named(issue(plain, 4).der) == named(issue(printable, 5).der)
    assert named(issue(plain, 4).der) != named(ROOT.der)


def test_strings_of_no_known_kind_are_compared_by_their_bytes() -> None:
    bits = x509.Name([x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x00\x01", x509.name._ASN1Type.BitString)])
    assert named(issue(bits, 4).der)[0] == (((b"\x55\x04\x2d", b"\x03\x00\x01"),),)


def stated(certificate: Certificate) -> bool:
    """Whether the rule is stated by which one of those roots is none here: the kind of its key (X-06, B.4)."""
    return why_no_issuer(certificate).startswith("has a key that is not supported")


@pytest.mark.slow
@pytest.mark.parametrize("bundle", [Path(certifi.where()), SYSTEM_ROOTS], ids=["certifi", "system"])
def test_the_roots_of_the_public_web_are_roots(bundle: Path) -> None:
    if not bundle.exists():
        pytest.skip(f"{bundle} is not there")
    certificates = [each for block in pem_blocks(bundle) for each in read_upload(block)]
    assert len(certificates) > 50
    assert [each.subject for each in certificates if kind_of(each) != "root" and not stated(each)] == []


def pem_blocks(bundle: Path) -> list[bytes]:
    return [b"-----BEGIN " + block for block in bundle.read_bytes().split(b"-----BEGIN ")[1:]]
