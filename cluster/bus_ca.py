"""The lab's own certification authority for the bus: TLS between members and broker, and nothing else.

It belongs to the lab, not to the product (design 5): no trust store knows it, and no story can break it. Its dates are
fixed and far apart, because the bus is to work whatever the clock of a node or of the machine says.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ucmlab.node.sealing import Secret

_NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(2099, 12, 31, tzinfo=UTC)


class Pair(Secret, frozen=True):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def make_bus_ca(cluster: str) -> Pair:
    """Make the authority of one lab, at random."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"ucmlab bus CA {cluster}")
    builder = _builder(name, issuer=name, key=key).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    builder = builder.add_extension(_key_usage(signs=True), critical=True)
    return _pair(builder.sign(key, SHA256()), key)


def issue_broker_certificate(authority: Pair, hosts: Sequence[str]) -> Pair:
    """Issue a certificate for a broker that is reached under these names and addresses."""
    issuer, signing = x509.load_pem_x509_certificate(authority.certificate), load_pem_private_key(authority.key, None)
    if not isinstance(signing, ec.EllipticCurvePrivateKey):
        raise TypeError("the key of the bus CA is no EC key")
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    builder = (
        _builder(_name("ucmlab broker"), issuer=issuer.subject, key=key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative_name(host) for host in hosts]), critical=False)
        .add_extension(identifier, critical=False)
    )
    return _pair(builder.sign(signing, SHA256()), key)


def covers(certificate: bytes, hosts: Sequence[str]) -> bool:
    """Whether a certificate (PEM) is for all of these names and addresses."""
    extensions = x509.load_pem_x509_certificate(certificate).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {_alternative_name(host) for host in hosts} <= set(names)


def _builder(subject: x509.Name, *, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_name(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(certificate.public_bytes(Encoding.PEM), private)
