"""Files that operators bring and should not: what a node must refuse, or take with its eyes open.

Made with keys that everybody may know (`simkeys`): only the public halves go into an upload, in every mode.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ucmlab.cluster.simkeys import sim_ec
from ucmlab.node.certificates import Certificate
from ucmlab.node.instant import HOUR, to_datetime
from ucmlab.node.upload_files import UPLOAD_LIMIT

NAME = "Fault Root"
DAYS = 365
CHAIN = 60
"""Certificates in one file: far more than any chain has."""

EXPECTED = {
    "expired": "expired",
    "not-yet-valid": "not_yet_valid",
    "malformed": "format",
    "truncated": "format",
    "empty": "empty",
    "trailing-data": "trailing_data",
    "oversize": "too_large",
    "private-key": "private_key",
    "wildcard": "wildcard",
    "key-type": "key_type",
    "same-name-older": "same_cn_older_start",
    "same-name-newer": "",
    "wrong-usage": "",
    "wrong-san": "",
    "no-issuer": "",
    "long-chain": "",
}
"""Each kind, and the reason word with which it is refused; empty when a trust store takes it."""
TIMELESS = tuple(kind for kind in EXPECTED if not kind.startswith("same-name"))
"""Kinds that are the same whoever is there, and for a while."""


def bad_upload(kind: str, wall: int, rival: Certificate | None) -> bytes:
    """What is uploaded, at that wall instant; `rival` is a certificate whose name is to be taken, if there is one."""
    if kind in TIMELESS:
        return _made(kind, wall - wall % HOUR)
    return _MAKERS[kind](to_datetime(wall), rival)


@lru_cache(maxsize=64)
def _made(kind: str, wall: int) -> bytes:
    """What takes nobody's name is made once an hour: sixty signatures are too much for each of thousands of seeds."""
    return _MAKERS[kind](to_datetime(wall), None)


def _certificate(
    now: datetime,
    *,
    name: str = NAME,
    issuer: str | None = None,
    starts: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=DAYS),
    key: EllipticCurvePrivateKey | Ed25519PrivateKey | None = None,
    extensions: tuple[x509.ExtensionType, ...] = (),
    number: int = 1,
) -> bytes:
    own = sim_ec(number, "ec-256") if key is None else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer or name))
        .public_key(own.public_key())
        .serial_number(5000 + number)
        .not_valid_before(now.replace(microsecond=0) + starts)
        .not_valid_after(now.replace(microsecond=0) + ends)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    if isinstance(own, Ed25519PrivateKey):
        return builder.sign(own, None).public_bytes(Encoding.PEM)
    return builder.sign(own, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.PEM)


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _expired(now: datetime, _rival: Certificate | None) -> bytes:
    return _certificate(now, starts=timedelta(days=-DAYS), ends=timedelta(seconds=-1))


def _early(now: datetime, _rival: Certificate | None) -> bytes:
    return _certificate(now, starts=timedelta(days=1))


def _malformed(now: datetime, _rival: Certificate | None) -> bytes:
    lines = _certificate(now).splitlines(keepends=True)
    lines[1] = lines[1][::-1].lstrip() + b"\n"
    return b"".join(lines)


def _truncated(now: datetime, _rival: Certificate | None) -> bytes:
    lines = _certificate(now).splitlines(keepends=True)
    return b"".join((*lines[: len(lines) // 2], lines[-1]))


def _empty(_now: datetime, _rival: Certificate | None) -> bytes:
    return b" \n"


def _trailing(now: datetime, _rival: Certificate | None) -> bytes:
    der = x509.load_pem_x509_certificate(_certificate(now)).public_bytes(Encoding.DER)
    return der + b"more"


def _oversize(now: datetime, _rival: Certificate | None) -> bytes:
    one = _certificate(now)
    return one * (UPLOAD_LIMIT // len(one) + 1)


def _private(now: datetime, _rival: Certificate | None) -> bytes:
    key = sim_ec(1, "ec-256")
    return _certificate(now) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _wildcard(now: datetime, _rival: Certificate | None) -> bytes:
    return _certificate(now, name="*.example.org")


def _key_type(now: datetime, _rival: Certificate | None) -> bytes:
    return _certificate(now, key=Ed25519PrivateKey.from_private_bytes(bytes(32)))


def _older(now: datetime, rival: Certificate | None) -> bytes:
    starts = timedelta(days=-20 * DAYS)
    if rival is None:
        return _certificate(now, starts=starts, number=2)
    # The rival may be one that came by this very fault while its name was free.
    starts = min(starts, to_datetime(rival.not_before) - now - timedelta(days=1))
    return _certificate(now, name=rival.common_name, starts=starts, number=2)


def _newer(now: datetime, rival: Certificate | None) -> bytes:
    name = rival.common_name if rival is not None else NAME
    return _certificate(now, name=name, starts=timedelta(), number=3)


def _wrong_usage(now: datetime, _rival: Certificate | None) -> bytes:
    return _certificate(now, extensions=(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),))


def _wrong_san(now: datetime, _rival: Certificate | None) -> bytes:
    return _certificate(now, extensions=(x509.SubjectAlternativeName([x509.DNSName("elsewhere.example.org")]),))


def _no_issuer(now: datetime, _rival: Certificate | None) -> bytes:
    return _certificate(now, issuer="Nobody Knows CA")


def _long_chain(now: datetime, _rival: Certificate | None) -> bytes:
    return b"".join(_certificate(now, name=f"{NAME} {number}", number=number) for number in range(CHAIN))


_MAKERS: dict[str, Callable[[datetime, Certificate | None], bytes]] = {
    "expired": _expired,
    "not-yet-valid": _early,
    "malformed": _malformed,
    "truncated": _truncated,
    "empty": _empty,
    "trailing-data": _trailing,
    "oversize": _oversize,
    "private-key": _private,
    "wildcard": _wildcard,
    "key-type": _key_type,
    "same-name-older": _older,
    "same-name-newer": _newer,
    "wrong-usage": _wrong_usage,
    "wrong-san": _wrong_san,
    "no-issuer": _no_issuer,
    "long-chain": _long_chain,
}
