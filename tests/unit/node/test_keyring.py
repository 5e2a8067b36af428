import hashlib
import stat
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ucmlab.broker.signing import Ed25519Signer, Ed25519Verifier
from ucmlab.cluster.simkeys import sim_ec, sim_rsa
from ucmlab.node.certificates import parse
from ucmlab.node.errors import SealBroken
from ucmlab.node.identity import Organization, make_identity
from ucmlab.node.instant import SECOND
from ucmlab.node.keyring import IdentityKey, KeyRing
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.sealing import BusIdentity, seal, sealing_info, unseal

RULES = RuleBook.load("14SU2")
TOMCAT, CAPF, RECOVERY = (RULES.units[name] for name in ("tomcat", "CAPF", "ITLRecovery"))
START = datetime(2022, 2, 4, 15, 31, 39, tzinfo=UTC)
SPARE = [sim_rsa(number).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) for number in range(4)]


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    """A provisioned key ring with spare RSA keys, so that no test waits for prime numbers."""
    made = KeyRing(tmp_path / "sub1")
    BusIdentity.make().save(made.bus_file)
    made.stock(SPARE)
    return made


@pytest.fixture
def other(tmp_path: Path) -> KeyRing:
    made = KeyRing(tmp_path / "sub2")
    BusIdentity.make().save(made.bus_file)
    return made


def certificate(unit: str, key: IdentityKey, *, serial: int = 0x7F00000000000000ABCDEF12) -> bytes:
    return make_identity(RULES.identities[unit], key=key, fqdn="pub.lab.example", serial=serial, not_before=START)


def info(operation: str = "authz/1", recipient: str = "sub2") -> bytes:
    return sealing_info(cluster="lab", operation=operation, sender="sub1", recipient=recipient)


def modes(home: Path) -> dict[str, int]:
    return {str(path.relative_to(home)): stat.S_IMODE(path.stat().st_mode) for path in home.rglob("*")}


# --- identities ---------------------------------------------------------------------------------------------------


def test_a_made_key_is_stored_for_its_owner_alone_and_found_by_its_certificate(ring: KeyRing, tmp_path: Path) -> None:
    key = ring.make_identity_key(TOMCAT, "rsa-2048")
    der = certificate("tomcat", key)
    found = ring.identity_key(TOMCAT, der)
    assert found.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) in SPARE
    assert found.public_key() == key.public_key()
    seen = modes(tmp_path / "sub1")
    assert seen[TOMCAT.key_file] == 0o600
    assert seen[str(Path(TOMCAT.key_file).parent)] == 0o700
    assert seen["private"] == seen["private/spare"] == 0o700
    assert {mode for path, mode in seen.items() if path.endswith((".der", ".json", ".pem"))} == {0o600}


def test_the_key_before_is_kept_until_its_certificate_is_replaced(ring: KeyRing) -> None:
    first = certificate("tomcat", ring.make_identity_key(TOMCAT, "rsa-2048"))
    second = certificate("tomcat", ring.make_identity_key(TOMCAT, "ec-256"))
    assert isinstance(ring.identity_key(TOMCAT, first), rsa.RSAPrivateKey)
    assert isinstance(ring.identity_key(TOMCAT, second), ec.EllipticCurvePrivateKey)
    ring.make_identity_key(TOMCAT, "ec-384")
    with pytest.raises(KeyError, match="no key for this certificate of tomcat"):
        ring.identity_key(TOMCAT, first)


def test_attempts_that_fail_cost_no_key(ring: KeyRing, tmp_path: Path) -> None:
    in_place = certificate("tomcat", ring.make_identity_key(TOMCAT, "ec-256"))
    file = tmp_path / "sub1" / TOMCAT.certificate_file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(x509.load_der_x509_certificate(in_place).public_bytes(Encoding.PEM))
    for _ in range(3):
        ring.make_identity_key(TOMCAT, "ec-256")  # and no certificate comes of it
    assert isinstance(ring.identity_key(TOMCAT, in_place), ec.EllipticCurvePrivateKey)


def test_a_spare_key_is_used_once(ring: KeyRing, tmp_path: Path) -> None:
    keys = [ring.make_identity_key(TOMCAT, "rsa-2048").public_key() for _ in SPARE]
    assert len({key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in keys}) == len(SPARE)
    assert list((tmp_path / "sub1/private/spare").iterdir()) == []


def test_spare_keys_of_another_length_are_left_alone(ring: KeyRing, tmp_path: Path) -> None:
    made = ring.make_identity_key(TOMCAT, "rsa-1024")
    assert isinstance(made, rsa.RSAPrivateKey)
    assert made.key_size == 1024
    assert len(list((tmp_path / "sub1/private/spare").iterdir())) == len(SPARE)


@pytest.mark.parametrize("kind", ["rsa-", "dsa-2048", "ec-512", ""])
def test_an_unknown_kind_of_key_is_our_mistake(ring: KeyRing, kind: str) -> None:
    with pytest.raises(ValueError, match="is no kind of key"):
        ring.make_identity_key(TOMCAT, kind)


def test_a_key_file_that_others_may_read_is_not_trusted(ring: KeyRing, tmp_path: Path) -> None:
    der = certificate("tomcat", ring.make_identity_key(TOMCAT, "ec-256"))
    (tmp_path / "sub1" / TOMCAT.key_file).chmod(0o644)
    with pytest.raises(PermissionError, match="must belong to you alone"):
        ring.identity_key(TOMCAT, der)


def test_a_key_file_that_is_a_link_is_not_followed(ring: KeyRing, tmp_path: Path) -> None:
    der = certificate("tomcat", ring.make_identity_key(TOMCAT, "ec-256"))
    path = tmp_path / "sub1" / TOMCAT.key_file
    path.rename(tmp_path / "elsewhere.pem")
    path.symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(OSError, match="symbolic link"):
        ring.identity_key(TOMCAT, der)


def test_leftovers_of_a_crash_are_removed(ring: KeyRing, tmp_path: Path) -> None:
    ring.make_identity_key(TOMCAT, "ec-256")
    before = modes(tmp_path)
    for folder in ("private", "private/spare", str(Path(TOMCAT.key_file).parent)):
        (tmp_path / "sub1" / folder / ".tmp-half").write_bytes(b"half")
    ring.clean(RULES.units.values())
    assert modes(tmp_path) == before


def test_the_key_of_a_request_that_is_not_there_is_removed(ring: KeyRing, tmp_path: Path) -> None:
    """A kill came between the two, while they were made or deleted."""
    ring.make_csr_key(TOMCAT, "ec-256")
    assert [name for name in modes(tmp_path) if "_csr_" in name] != []
    ring.clean(RULES.units.values())
    assert [name for name in modes(tmp_path) if "_csr_" in name] == []


# --- certificates -------------------------------------------------------------------------------------------------


@pytest.mark.rule("B.4")
@pytest.mark.parametrize("unit", list(RULES.identities))
def test_every_profile_makes_a_certificate_that_is_its_own_issuer(unit: str) -> None:
    profile = RULES.identities[unit]
    key = sim_ec(1, profile.key) if profile.key.startswith("ec") else sim_rsa(1)
    der = certificate(unit, key)
    made = parse(der)
    loaded = x509.load_der_x509_certificate(der)
    loaded.verify_directly_issued_by(loaded)
    assert (made.key, made.self_signed, made.is_ca) == (profile.key, True, profile.ca)
    assert made.sans == ("pub.lab.example",)
    assert made.not_after - made.not_before == (365 * 86400 * profile.years - 1) * SECOND
    assert made.subject.endswith(",O=ucmlab,L=San Jose,ST=California,C=US")
    assert der == certificate(unit, key)


@pytest.mark.rule("B.4")
@pytest.mark.parametrize(
    ("unit", "common_name"),
    [
        ("tomcat", "pub.lab.example"),
        ("tomcat-ECDSA", "pub-EC.lab.example"),
        ("CAPF", "CAPF-abcdef12"),
        ("ITLRecovery", "ITLRECOVERY_pub.lab.example"),
    ],
)
def test_common_names_have_the_products_forms(unit: str, common_name: str) -> None:
    assert parse(certificate(unit, sim_ec(1, "ec-256"))).common_name == common_name


@pytest.mark.rule("X-01")
def test_a_capf_certificate_is_a_ca_that_signs_leaves_only() -> None:
    extensions = x509.load_der_x509_certificate(certificate("CAPF", sim_rsa(1))).extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (constraints.critical, constraints.value.path_length) == (True, 0)
    assert (usage.key_cert_sign, usage.digital_signature, usage.key_encipherment) == (True, True, False)


def test_an_organizational_unit_is_in_the_subject_only_if_asked_for() -> None:
    made = make_identity(
        RULES.identities["tomcat"],
        key=sim_ec(1, "ec-384"),
        fqdn="pub",
        serial=1,
        not_before=START,
        organization=Organization(name="Acme", unit="Voice", locality="", state="", country="DE"),
        ou=True,
    )
    assert parse(made).subject == "CN=pub,OU=Voice,O=Acme,C=DE"


# --- sealing ------------------------------------------------------------------------------------------------------


def test_what_is_sealed_opens_for_its_recipient_and_purpose_only() -> None:
    ours, theirs = BusIdentity.make(), BusIdentity.make()
    blob = seal(theirs.sealing_public, b"a secret", info=info())
    assert unseal(theirs.sealing_private, blob, info=info()) == b"a secret"
    assert b"a secret" not in blob
    for private, bound, sealed in (
        (ours.sealing_private, info(), blob),
        (theirs.sealing_private, info("authz/2"), blob),
        (theirs.sealing_private, info(recipient="sub3"), blob),
        (theirs.sealing_private, info(), blob[:-1]),
        (theirs.sealing_private, info(), b""),
        (theirs.sealing_private, info(), bytes([blob[0] ^ 1]) + blob[1:]),
    ):
        with pytest.raises(SealBroken):
            unseal(private, sealed, info=bound)


def test_parts_of_what_a_seal_is_bound_to_cannot_be_shifted() -> None:
    one = sealing_info(cluster="lab", operation="ab", sender="c", recipient="d")
    assert one != sealing_info(cluster="lab", operation="a", sender="bc", recipient="d")


@pytest.mark.rule("R-125", "R-133")
def test_authz_keys_travel_sealed_and_are_equal_on_both_nodes(ring: KeyRing, other: KeyRing) -> None:
    assert other.authz() is None
    digests = ring.make_authz(7)
    blob = ring.seal_authz(recipient_public=other.bus.sealing_public, info=info())
    assert other.open_authz(blob, info=info()) == digests == other.authz() == ring.authz()
    assert digests.generation == 7
    assert digests.signing in {
        hashlib.sha256(
            sim_rsa(number).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest()
        for number in range(4)
    }


@pytest.mark.rule("R-126")
def test_new_authz_keys_replace_both(ring: KeyRing) -> None:
    first, second = ring.make_authz(1), ring.make_authz(2)
    assert first.signing != second.signing
    assert first.encryption != second.encryption
    assert ring.authz() == second


@pytest.mark.rule("R-123")
def test_each_authz_key_is_made_anew_by_itself(ring: KeyRing) -> None:
    first = ring.make_authz(1, "signing")
    signed = ring.make_authz(2, "signing")
    assert (signed.signing != first.signing, signed.encryption) == (True, first.encryption)
    encrypted = ring.make_authz(3, "encryption")
    assert (encrypted.signing, encrypted.encryption != signed.encryption) == (signed.signing, True)
    assert (encrypted.generation, ring.authz()) == (3, encrypted)


def test_authz_keys_that_do_not_open_change_nothing(ring: KeyRing, other: KeyRing) -> None:
    ring.make_authz(1)
    blob = ring.seal_authz(recipient_public=other.bus.sealing_public, info=info())
    garbage = seal(other.bus.sealing_public, b'{"generation": 1}', info=info())
    nonsense = seal(
        other.bus.sealing_public, b'{"generation": 1, "signing": "AAAA", "encryption": "AAAA"}', info=info()
    )
    for sealed, bound in ((blob, info("authz/2")), (garbage, info()), (nonsense, info())):
        with pytest.raises(SealBroken):
            other.open_authz(sealed, info=bound)
    assert other.authz() is None


@pytest.mark.rule("B.1")
def test_an_identity_of_the_cluster_travels_with_its_certificate(ring: KeyRing, other: KeyRing) -> None:
    der = certificate("ITLRecovery", ring.make_identity_key(RECOVERY, "rsa-2048"))
    blob = ring.seal_identity(RECOVERY, der, recipient_public=other.bus.sealing_public, info=info("ITLRecovery/1"))
    assert other.open_identity(RECOVERY, blob, info=info("ITLRecovery/1")) == der
    assert other.identity_key(RECOVERY, der).public_key() == ring.identity_key(RECOVERY, der).public_key()


def test_an_identity_whose_key_is_another_is_not_stored(other: KeyRing) -> None:
    der = certificate("CAPF", sim_ec(1, "ec-256"))
    wrong = sim_ec(2, "ec-256").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for bundle in ((der, wrong), (b"junk", wrong), (der, b"junk"), ("x",)):
        blob = seal(other.bus.sealing_public, msgspec.msgpack.encode(bundle), info=info())
        with pytest.raises(SealBroken):
            other.open_identity(CAPF, blob, info=info())
    with pytest.raises(KeyError):
        other.identity_key(CAPF, der)


# --- bus identities -----------------------------------------------------------------------------------------------


def test_a_bus_identity_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    made = BusIdentity.make()
    made.save(tmp_path / "private" / "bus.json")
    assert BusIdentity.load(tmp_path / "private" / "bus.json") == made
    assert modes(tmp_path) == {"private": 0o700, "private/bus.json": 0o600}


def test_a_bus_identity_signs_what_others_verify() -> None:
    made = BusIdentity.make()
    signature = Ed25519Signer(made.signing_private).sign(b"entry")
    assert Ed25519Verifier({"sub1": made.signing_public}).verify("sub1", b"entry", signature)


def test_bus_identities_differ_in_every_part() -> None:
    one, other = BusIdentity.make(), BusIdentity.make()
    assert [field for field in BusIdentity.__struct_fields__ if getattr(one, field) == getattr(other, field)] == []


def test_no_secret_shows_in_a_repr(ring: KeyRing, tmp_path: Path) -> None:
    assert repr(BusIdentity.make()) == "BusIdentity(...)"
    assert BusIdentity.make().__rich_repr__() == []
    assert repr(ring) == f"KeyRing({str(tmp_path / 'sub1')!r})"
    assert "BusIdentity(...)" in repr([ring.bus])


def test_an_unprovisioned_node_has_no_bus_identity(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _ = KeyRing(tmp_path).bus
