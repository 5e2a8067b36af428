"""Stand-ins for the CA certificates that come with the product, and their keys (domain.md B.2).

The real ones are the same in every cluster of the world, so that a phone is trusted wherever it goes; they are their
owners', and their keys nobody has. A lab has its own, of the same names, chains and usages. Its keys are what a factory
has: manufacturer-installed certificates of phones can be issued by them. They are made once, while the home is.

Keys are RSA of the real ones' length, because everybody who looks into a store sees them, and who verifies a chain pays
for them. EC keys would cost nothing and be told at a glance; RSA keys come from the user's cache where it has some.
Signatures are with SHA-256: the real ones of 2003 to 2011 have SHA-1, which OpenSSL takes in no chain any more.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time
from functools import lru_cache
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ucmlab.cluster.ca.keys import KeySource, PrivateKey
from ucmlab.cluster.ca.signatures import DEFAULT_HASH, sign_certificate
from ucmlab.cluster.ca.usages import key_usage_extension
from ucmlab.cluster.labfile import KeptCa
from ucmlab.cluster.simkeys import sim_key
from ucmlab.node.rulebook import DefaultCa, RuleBook

_USAGE = key_usage_extension(frozenset({"keyCertSign", "cRLSign"}))
_LAST_SECOND = time(23, 59, 59, tzinfo=UTC)


class MadeCa(NamedTuple):
    """A CA of the lab's factory."""

    certificate: x509.Certificate
    key: PrivateKey


def make_default_cas(rulebook: RuleBook, keys: KeySource, serials: Callable[[str], int]) -> dict[str, MadeCa]:
    """Make all that the release ships, and who issues them; by common name, issuers first.

    Args:
        rulebook: which there are.
        keys: a new key of a kind; asked from several threads at once, since making one takes a core 60 ms.
        serials: the serial number of the one of that name.
    """
    rows = rulebook.default_cas.values()
    with ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="default_cas") as threads:
        made = list(threads.map(keys, [row.key for row in rows]))
    return _found_all((row, key, serials(row.name)) for row, key in zip(rows, made, strict=True))


def shipped(rulebook: RuleBook, made: Mapping[str, MadeCa]) -> tuple[bytes, ...]:
    """The certificates (DER) that lie in trust stores: what nodes are told (`NodeConfig.default_cas`)."""
    rows = [row for row in rulebook.default_cas.values() if row.units]
    return tuple(made[row.name].certificate.public_bytes(Encoding.DER) for row in rows)


def kept_cas(made: Mapping[str, MadeCa]) -> tuple[KeptCa, ...]:
    """What of them is kept, so that they can issue certificates as long as the lab is there."""
    return tuple(
        KeptCa(
            name,
            authority.certificate.public_bytes(Encoding.PEM).decode(),
            authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        )
        for name, authority in made.items()
    )


@lru_cache(maxsize=16)
def simulated_default_cas(release: str, profile: str) -> tuple[bytes, ...]:
    """What nodes of simulated labs are told: the same in every lab and process, made once in each.

    Raises:
        ValueError: no such release or profile.
    """
    rulebook = RuleBook.load(release, profile)
    numbered = [(row, _number(row.name)) for row in rulebook.default_cas.values()]
    return shipped(rulebook, _found_all((row, sim_key(number, row.key), number) for row, number in numbered))


def _found_all(wanted: Iterable[tuple[DefaultCa, PrivateKey, int]]) -> dict[str, MadeCa]:
    """The CAs of rows, each with its key and its serial number."""
    found: dict[str, MadeCa] = {}
    for row, key, serial in wanted:
        issuer = found[row.issuer] if row.issuer else None
        found[row.name] = MadeCa(_certificate(row, key, issuer, serial), key)
    return found


def _certificate(row: DefaultCa, key: PrivateKey, issuer: MadeCa | None, serial: int) -> x509.Certificate:
    subject, signing = x509.Name.from_rfc4514_string(row.subject), key if issuer is None else issuer.key
    # One that is no root issues to devices alone: no path goes on below it.
    constraints = x509.BasicConstraints(ca=True, path_length=None if issuer is None else 0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(datetime.combine(row.not_before, time(tzinfo=UTC)))
        .not_valid_after(datetime.combine(row.not_after, _LAST_SECOND))
        .add_extension(constraints, critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    return sign_certificate(builder, signing, DEFAULT_HASH)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "big") | 1 << 127
