"""One input for each seed: what an operator, a customer or an attacker brings. The seed alone decides what it is.

Of 32 seeds 24 bring a file to upload, 2 a leaf for a request that waits, 4 a request to a CA, one an order for a
request, one a bare name.
"""

from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import Literal

import msgspec

from tests.fuzz import odd_names
from tests.fuzz.armour import LABELS, roughened
from tests.fuzz.certificates import certificates
from tests.fuzz.files import GIANT, armoured, chain_file, giants, others, plain_files, private_keys, requests
from tests.fuzz.identities import UNIT, leaf_file
from tests.fuzz.mutation import mutated
from ucmlab.node.events import GenerateCsr

Kind = Literal["upload", "identity", "request", "order", "name"]
_HALF: tuple[Kind, ...] = ("upload",) * 12 + ("identity",) + ("request",) * 2
KINDS: tuple[Kind, ...] = (*_HALF, "order", *_HALF, "name")
"""By the seed modulo their number."""
SELDOM = 0.004
"""Share of giants among what a file is made of: one costs as much as a hundred others."""
PURPOSES = ("tomcat-trust",) * 4 + ("CallManager-trust", "CAPF-trust", "ipsec-trust", "TVS-trust")
ODD_PURPOSES = (
    "",
    "tomcat",
    "CAPF",
    "ITLRecovery",
    "tomcat-trust ",
    "Tomcat-Trust",
    "cows",
    "../tomcat",
    "\0",
    "{unit}",
)
DESCRIPTIONS = ("", "", "", "for LDAP", *(text for text in odd_names.TEXTS if len(text) < 1_000))
UNITS = (
    "tomcat",
    "tomcat",
    "tomcat-ECDSA",
    "CallManager",
    "CAPF",
    "TVS",
    "ITLRecovery",
    "cup",
    "tomcat-trust",
    "cows",
    "",
)
KEYS = (
    "",
    "",
    "rsa-2048",
    "ec-256",
    "ec-384",
    "ec-521",
    "rsa-1024",
    "rsa-3072",
    "rsa-8192",
    "rsa-",
    "rsa",
    "dsa-1024",
    "-",
)
DIGESTS = ("", "", "sha256", "sha384", "sha512", "md5", "SHA256", "{}")
HOSTS = (
    "web.lab.test",
    "LAB.TEST",
    "sub1.lab.test",
    "xn--nxasmq6b.test",
    "_sip._tcp.lab.test",
    "10.1.2.3",
    "0.0.0.0",  # noqa: S104  as a name, not an address to listen on
    "::1",
    "FE80::1",
    "::ffff:1.2.3.4",
    "01.2.3.4",
    "1.2.3.4.5",
    "256.1.1.1",
    "10.0.0.0/8",
    "[::1]",
    "1.2.3.4",
    "*.lab.test",
    "web.*.test",
    "*",
    "",
    ".",
    "a..b",
    ".lab.test",
    "lab.test.",
    "-a.test",
    "a-.test",
    "a b",
    "a\nb.test",
    "lab.test\n",
    "a\0b",
    "DNS:lab.test",
    "https://lab.test/",
    "user@lab.test",
    "ünïcode.test",
    "a" * 63 + ".test",
    "a" * 64 + ".test",
    "a." * 126 + "b",
    "a." * 127 + "b",
    "${jndi:ldap://x}",
    "{fqdn}",
    "%s",
    "fe80::1%eth0",
    "fe80::1%25eth0",
    "FE80::1%1",
    "fe80::1%",
    "::ffff:1.2.3.4%eth0",
    "10.1.2.3%eth0",
    "web.lab.test%eth0",
    "web%2elab.test",
    "%",
    "😀.test",
)
"""Names that may be asked for in a request, and names that may not."""


class Mutant(msgspec.Struct, frozen=True):
    """One input, made from its seed."""

    seed: int
    kind: Kind
    data: bytes = b""
    purpose: str = ""
    description: str = ""
    order: GenerateCsr = GenerateCsr("op-1", "tomcat")


def mutant(seed: int) -> Mutant:
    """The input of a seed."""
    random, kind = Random(seed), KINDS[seed % len(KINDS)]
    match kind:
        case "upload":
            purpose = random.choice(PURPOSES if random.random() < 0.95 else ODD_PURPOSES)
            return Mutant(seed, kind, _file(random), purpose, random.choice(DESCRIPTIONS))
        case "identity":
            return Mutant(seed, kind, leaf_file(random, _anything()), UNIT)
        case "request":
            return Mutant(seed, kind, _request(random))
        case "order":
            return Mutant(seed, kind, order=_order(random))
        case "name":
            return Mutant(seed, kind, _name(random))


def _file(random: Random) -> bytes:
    """A file to upload: certificates in some wrapping, or something else."""
    if random.random() < 0.03:
        return _plain(random)
    certificates_only = random.random() < 0.9
    count = random.choice((1, 1, 1, 1, 1, 1, 1, 2, 3, 5))
    documents = [_document(random, certificates_only=certificates_only) for _ in range(count)]
    file = _wrapped(random, documents)
    return roughened(random, file) if random.random() < 0.15 else file


def _plain(random: Random) -> bytes:
    """A whole file; large ones seldom, and most of them as they are."""
    kinds = plain_files()
    file = random.choice(list(kinds.values()))
    if len(file) > GIANT and random.random() < 0.9:
        file = kinds["bundle"]
    return file if len(file) > GIANT and random.random() < 0.7 else roughened(random, file)


def _document(random: Random, *, certificates_only: bool) -> bytes:
    """A certificate or something else in DER, as it is or mutated."""
    if random.random() < SELDOM:
        der = giants()[random.choice(sorted(giants()))]
    else:
        der = random.choice(_certificates() if certificates_only else _anything())
    return der if random.random() < 0.35 else mutated(random, der, _anything())


def _wrapped(random: Random, documents: list[bytes]) -> bytes:
    match random.randrange(10):
        case 0 | 1:
            return b"".join(documents)
        case 2:
            return armoured(random.choice(LABELS[4:7]), chain_file(documents, ber=random.random() < 0.5))
        case 3:
            chain = chain_file(documents, ber=random.random() < 0.5)
            return mutated(random, chain, _anything()) if random.random() < 0.5 else chain
        case 4:
            return armoured("PKCS7", chain_file(documents[:1])) + b"".join(map(_block, documents[1:]))
        case 5:
            chain = mutated(random, chain_file(documents), _anything())
            return armoured("PKCS7", chain)
        case _:
            return b"".join(map(_block, documents))


def _block(der: bytes) -> bytes:
    return armoured("CERTIFICATE", der)


def _request(random: Random) -> bytes:
    """A request as CAs get them, or what people send in its place."""
    if random.random() < 0.03:
        return _plain(random)
    der = random.choice(_requests() if random.random() < 0.95 else _anything())
    if random.random() < 0.7:
        der = mutated(random, der, _anything())
    if random.random() < 0.5:
        return der
    file = armoured(random.choice(("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")), der)
    return roughened(random, file) if random.random() < 0.4 else file


def _name(random: Random) -> bytes:
    """A distinguished name."""
    return mutated(random, random.choice(_names()), _names())


def _order(random: Random) -> GenerateCsr:
    """What an operator asks a request for."""
    count = random.choices((0, 1, 2, 3, 300), (30, 50, 30, 20, 1))[0]
    return GenerateCsr(
        "op-1",
        random.choice(UNITS),
        key=random.choice(KEYS),
        digest=random.choice(DIGESTS),
        san=tuple(_host(random) for _ in range(count)),
        include_ou=random.random() < 0.5,
        multi_server=random.random() < 0.2,
    )


def _host(random: Random) -> str:
    host = random.choice(HOSTS[:12] if random.random() < 0.7 else HOSTS)
    if random.random() < 0.7:
        return host
    at = random.randint(0, len(host))
    return (
        host[:at]
        + random.choice(("", ".", "-", "\0", "é", "1", ":", "_", " ", "A"))
        + host[at + random.randint(0, 1) :]
    )


def _in_order(*documents: Sequence[bytes]) -> tuple[bytes, ...]:
    return tuple(each for kind in documents for each in kind if len(each) < GIANT)


@lru_cache(maxsize=1)
def _certificates() -> tuple[bytes, ...]:
    return _in_order(list(certificates().values()))


@lru_cache(maxsize=1)
def _requests() -> tuple[bytes, ...]:
    return _in_order(list(requests().values()))


@lru_cache(maxsize=1)
def _names() -> tuple[bytes, ...]:
    return _in_order(list(odd_names.subjects().values()))


@lru_cache(maxsize=1)
def _anything() -> tuple[bytes, ...]:
    """Documents to start from and to take parts from: certificates mostly."""
    rest = [*private_keys().values(), *others().values()]
    return _in_order(list(certificates().values()), list(requests().values())[:12], rest)
