"""Self-signed identity certificates, as the product makes them at installation and on regeneration.

Shell side: it takes a private key. The same key, serial and start give the same bytes (PKCS#1 v1.5 and RFC 6979 use
no randomness), which is what lets the simulation replay an installation.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ucmlab.node.commands import IdentityForm
from ucmlab.node.instant import to_datetime
from ucmlab.node.keyring import IdentityKey
from ucmlab.node.rulebook import KEY_USAGE, IdentityProfile
from ucmlab.node.usages import OF_THE_TABLES

HASHES: dict[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


class Organization(msgspec.Struct, frozen=True):
    """What installation asks about the owner, beside names. Parts that are empty stay out of the certificate."""

    name: str = "ucmlab"
    unit: str = "Laboratory"
    """OU: in certificates and requests up to 14; since then where it is asked for (B.4, A.19)."""
    locality: str = "San Jose"
    state: str = "California"
    country: str = "US"


def make_identity(
    profile: IdentityProfile,
    *,
    key: IdentityKey,
    fqdn: str,
    serial: int,
    not_before: datetime,
    organization: Organization | None = None,
    ou: bool = False,
    form: IdentityForm | None = None,
) -> bytes:
    """Make a self-signed certificate by a profile; return its DER.

    Args:
        profile: What is made.
        key: Of the kind that the profile names; the caller has made or found it.
        fqdn: The node's; host and domain are taken from it.
        serial: Positive, at most 159 bits; from the caller's stream of randomness. Names CAPF certificates too.
        not_before: Aware; the node's wall clock. Fractions of a second are dropped.
        organization: What installation asked; the default is the lab's.
        ou: Whether the subject names the organizational unit; a form says it itself.
        form: What an operator asked for otherwise than the profile has it.

    Raises:
        ValueError: a name is longer than X.509 allows (common name: 64 characters).
    """
    host, _, domain = fqdn.partition(".")
    fields = {"fqdn": fqdn, "host": host, "domain": domain, "hex": f"{serial & 0xFFFFFFFF:08x}"}
    common_name = profile.cn.format(**fields).rstrip(".") if form is None or not form.common_name else form.common_name
    if form is not None and form.cn_serial:
        common_name = f"{common_name}_{serial:x}"
    owner = organization or Organization()
    if not (ou if form is None else form.ou):
        owner = msgspec.structs.replace(owner, unit="")
    subject = subject_name(common_name, owner)
    start = not_before.replace(microsecond=0)
    years = profile.years if form is None else form.years
    if form is not None and form.ends_at is not None:
        start = to_datetime(form.ends_at).replace(microsecond=0) - timedelta(days=365 * years, seconds=-1)
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject, serial_number=serial)
        .public_key(key.public_key())
        .not_valid_before(start)
        # Years of 365 days, less a second: so do dates in captured certificates add up (wire-interfaces 3.2).
        .not_valid_after(start + timedelta(days=365 * years, seconds=-1))
    )
    dns = form.names if form is not None and form.names else [name.format(**fields) for name in profile.dns]
    builder = _with_extensions(builder, profile, key=key, dns=dns)
    return _sign(builder, key, "" if form is None else form.digest).public_bytes(Encoding.DER)


def subject_name(common_name: str, organization: Organization) -> x509.Name:
    """The subject of what a node makes; parts that are empty stay out."""
    # Least specific first, so that RFC 4514 text begins with the CN, as the product shows it.
    parts = (
        (NameOID.COUNTRY_NAME, organization.country),
        (NameOID.STATE_OR_PROVINCE_NAME, organization.state),
        (NameOID.LOCALITY_NAME, organization.locality),
        (NameOID.ORGANIZATION_NAME, organization.name),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, organization.unit),
        (NameOID.COMMON_NAME, common_name),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value])


def _with_extensions(
    builder: x509.CertificateBuilder, profile: IdentityProfile, *, key: IdentityKey, dns: Iterable[str]
) -> x509.CertificateBuilder:
    usages = [OF_THE_TABLES[usage] for usage in profile.extended_key_usage]
    key_usage = x509.KeyUsage(**{usage: usage in profile.key_usage for usage in KEY_USAGE})
    # The key identifier tells a renewed certificate from the one before it, which has the same subject.
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        builder.add_extension(key_usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in dns]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    if profile.ca:
        return builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder


def _sign(builder: x509.CertificateBuilder, key: IdentityKey, digest: str) -> x509.Certificate:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        # B.4: SHA-384 or more for a 384-bit key.
        usual = "sha256" if isinstance(key.curve, ec.SECP256R1) else "sha384"
        return builder.sign(key, HASHES[digest or usual], ecdsa_deterministic=True)
    return builder.sign(key, HASHES[digest or "sha256"])
