"""Signatures of authorities, those included that libraries refuse to make: OpenSSL verifies each."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.openssl import openssl, verify
from ucmlab.cluster.ca.authority import Authority, der_of, pem_of, root_authority
from ucmlab.cluster.ca.keys import KINDS, PrivateKey, make_key, simulation_keys
from ucmlab.cluster.ca.requests import server_request
from ucmlab.cluster.ca.revocations import Revocation
from ucmlab.cluster.ca.terms import Terms, Validity
from ucmlab.cluster.errors import Unusable
from ucmlab.node.instant import from_datetime

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
VALIDITY = Validity(NOW, NOW + timedelta(days=400))
LEAF_KEY = ec.derive_private_key(77, ec.SECP256R1())


def key_of(kind: str) -> PrivateKey:
    return simulation_keys()(kind)


def signed(kind: str, digest: str) -> tuple[Authority, bytes]:
    """A root and a leaf, both signed with that hash."""
    root = root_authority("Old Root", key_of(kind), serial=1, validity=VALIDITY, digest=digest)
    request = server_request("pub.lab.test", LEAF_KEY.public_key())
    return root, pem_of([root.sign(request, Terms.of(digest=digest), serial=2, validity=VALIDITY)])


@pytest.mark.rule("R-039")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_signs_what_openssl_verifies(kind: str, tmp_path: Path) -> None:
    root, leaf = signed(kind, "sha256")
    assert verify(tmp_path, leaf, roots=pem_of(root.chain), at=NOW).endswith(": OK\n")


@pytest.mark.parametrize(
    ("kind", "digest", "algorithm"),
    [
        ("rsa-2048", "sha1", "sha1WithRSAEncryption"),
        ("rsa-4096", "sha1", "sha1WithRSAEncryption"),
        ("rsa-2048", "md5", "md5WithRSAEncryption"),
        ("rsa-2048", "sha512", "sha512WithRSAEncryption"),
        ("ec-256", "sha1", "ecdsa-with-SHA1"),
        ("ec-521", "sha1", "ecdsa-with-SHA1"),
        ("ec-384", "sha384", "ecdsa-with-SHA384"),
    ],
)
def test_every_hash_is_in_both_places_and_verifies(kind: str, digest: str, algorithm: str, tmp_path: Path) -> None:
    root, leaf = signed(kind, digest)
    assert verify(tmp_path, leaf, roots=pem_of(root.chain), at=NOW).endswith(": OK\n")
    assert openssl("x509", "-noout", "-text", stdin=leaf).count(f"Signature Algorithm: {algorithm}") == 2
    assert openssl(
        "verify",
        "-check_ss_sig",
        "-auth_level",
        "0",
        "-attime",
        str(int(NOW.timestamp())),
        "-CAfile",
        tmp_path / "roots.pem",
        tmp_path / "roots.pem",
    ).endswith(": OK\n")


@pytest.mark.parametrize(("kind", "digest"), [("rsa-2048", "sha1"), ("ec-384", "sha1"), ("ed25519", "sha256")])
def test_a_crl_is_signed_in_every_way_too(kind: str, digest: str, tmp_path: Path) -> None:
    root, _ = signed(kind, digest)
    gone = Revocation("2a", from_datetime(NOW), "keyCompromise")
    crl = root.crl([gone], at=NOW, number=7, digest=digest).public_bytes(Encoding.PEM)
    (tmp_path / "root.pem").write_bytes(pem_of(root.chain))
    said = openssl("crl", "-noout", "-text", "-verify", "-CAfile", tmp_path / "root.pem", stdin=crl)
    assert "verify OK" in said
    assert "Serial Number: 2A" in said


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_key_serial_and_dates_give_the_same_bytes(kind: str) -> None:
    digests = ["sha256"] if kind == "ed25519" else ["sha256", "sha1"]
    for digest in digests:
        (root, leaf), (again, same) = signed(kind, digest), signed(kind, digest)
        assert (der_of(root.certificate), leaf) == (der_of(again.certificate), same)


@pytest.mark.parametrize(
    ("kind", "digest", "text"),
    [
        ("ec-256", "md5", "there is no signature algorithm with md5 and an EC key; choose an RSA key or another hash"),
        ("ed25519", "sha1", "an Ed25519 key signs in its own way, never with sha1; leave the hash out"),
        ("rsa-2048", "sha3", "no signatures with 'sha3'; there are sha224, sha256, sha384, sha512, sha1, md5"),
    ],
)
def test_what_cannot_be_signed_is_said(kind: str, digest: str, text: str) -> None:
    with pytest.raises(Unusable) as refused:
        signed(kind, digest)
    assert refused.value.text == text


@pytest.mark.parametrize("kind", ["ec-256", "ec-521", "ed25519"])
def test_a_key_that_nobody_else_has_is_another_each_time(kind: str) -> None:
    assert make_key(kind).public_key() != make_key(kind).public_key()


def test_an_unknown_kind_of_key_is_said() -> None:
    with pytest.raises(Unusable, match=r"^no CA with a key 'dsa'; there are rsa-2048, rsa-3072, .*, ed25519$"):
        make_key("dsa")
