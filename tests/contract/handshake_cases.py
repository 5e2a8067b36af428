"""Made-up handshakes for the comparison with OpenSSL: lines of CAs, good ones and crooked ones, from numbered seeds.

CAs here have few names and few keys, so that some have one name, some were renewed with their key, and some sign each
other. How much is crooked differs from case to case: where everything is, only what is checked first would be seen.
"""

import ipaddress
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count
from typing import Literal, NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.unit.node.authorities import Authority, PrivateKey, usage, version_1
from tests.unit.node.certificate_factory import END, START, name
from ucmlab.cluster.simkeys import is_prime, sim_key
from ucmlab.node.certificates import parse
from ucmlab.node.handshake import Standard
from ucmlab.node.handshake_reasons import Usage
from ucmlab.node.instant import from_datetime

NOW = START + timedelta(days=100)
DAY = timedelta(days=1)
HOSTS = ("pub.lab.test", "PUB.Lab.test", "sub1.lab.test", "lab.test", "x.corp.test", "pub", "xn--nxa.lab.test")
PATTERNS = ("*.lab.test", "p*.lab.test", "*.test", "*", "*.*.test", "x.*.test", "*.corp.test", ".lab.test", "pub.")
ADDRESSES = ("10.1.2.3", "10.2.0.1", "11.0.0.1", "fe80::1")
ASKED = (*HOSTS, *ADDRESSES, "sub2.lab.test", "a.b.lab.test", "192.0.2.9", "::1", "pub.lab.test.")
MAILS = ("a@lab.test", "b@Lab.test", "a@x.lab.test", "A@lab.test")
ODD_MAILS = ("lab.test", "@lab.test", "a@", "a@b@lab.test", "a b@lab.test")
URIS = (
    "http://lab.test/x",
    "https://u@pub.lab.test:1/",
    "http://corp.test",
    "HTTP://LAB.test",
    "ldap://pub.lab.test?x",
)
ODD_URIS = ("urn:lab:test", "mailto:a@lab.test", "lab.test", "http:///x", "//lab.test", "http://[fe80::1]/x", "http://")
ODD_HOSTS = (
    "a_b.lab.test",
    "-x.lab.test",
    "x-.lab.test",
    "x..lab.test",
    "lab.test.",
    "10.1.2.3",
    "\u00fc.lab.test",
    "a b.lab.test",
)
CA_NAMES = ("Corp Root CA", "Partner Root CA", "Issuing CA 1", "Issuing CA 2", "CORP  root CA")
SHA256_RSA, SHA1_RSA = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
"""No library signs with SHA-1 any more; what such a signature is worth is never found out, as its hash comes first."""
CASES_OF_A_LINE = 8
"""Handshakes among the same CAs."""
Extension = tuple[x509.ExtensionType, bool]
KeyKind = Literal["rsa", "ec"]


class Case(msgspec.Struct, frozen=True):
    """One handshake: what is presented, with its key, and what is demanded."""

    chain: tuple[bytes, ...]
    key: PrivateKey
    standard: Standard


class Made(NamedTuple):
    """A CA, with its name as its certificates are to bear it."""

    subject: x509.Name
    authority: Authority


class Maker:
    """The making of certificates and cases, from one seed."""

    def __init__(self, seed: str, *, untimely: float = 0.0) -> None:
        """`untimely`: how many certificates are expired or not yet valid."""
        self.rng = random.Random(f"{seed} {untimely}")
        self.untimely = untimely
        self.rate = self.rng.choice((0.0, 0.15, 0.15, 0.5, 1.5))
        """How much of it is crooked."""
        self.bounded = self.rng.random() < 0.25
        """Whether name constraints are what most of it is about."""
        self.kind: KeyKind = self.rng.choice(("rsa", "ec", "ec", "ec"))
        self.serial = 1

    def often(self, chance: float) -> bool:
        return self.rng.random() < chance

    def seldom(self, chance: float) -> bool:
        return self.rng.random() < chance * self.rate

    def authorities(self) -> list[Made]:
        """Roots first."""
        made = [self.authority(None) for _ in range(self.rng.choice((1, 1, 1, 2, 3)))]
        for _ in range(self.rng.choice((0, 1, 1, 2, 2, 3, 4))):
            made.append(self.authority(made[-1] if self.often(0.7) else self.rng.choice(made)))
        return made

    def case(self, made: list[Made]) -> Case:
        rng, ders = self.rng, [each.authority.der for each in made]
        role: Usage = rng.choice(("server", "server", "client"))
        issuer = made[-1] if self.often(0.8) else rng.choice(made)
        leaf = self.leaf(None if self.seldom(0.15) else issuer, role)
        roots = [each.authority.der for each in made if each.authority.certificate.self_signed]
        asked = "" if role == "client" or self.often(0.3) else self.asked(leaf)
        standard = Standard(trusted=self.held(leaf, roots, ders), usage=role, name=asked, wall=from_datetime(NOW))
        return Case(self.presented(leaf, ders), leaf.key, standard)

    def presented(self, leaf: Authority, made: list[bytes]) -> tuple[bytes, ...]:
        others = list(reversed(made))
        if self.often(0.25):
            others = [each for each in others if self.often(0.7)]
        if self.often(0.1):
            self.rng.shuffle(others)
        if others and self.often(0.05):
            others.insert(self.rng.randrange(len(others)), self.rng.choice((*others, leaf.der)))
        return (leaf.der, *others)

    def held(self, leaf: Authority, roots: list[bytes], made: list[bytes]) -> tuple[bytes, ...]:
        held = list(roots)
        if self.often(0.3):
            held = [each for each in made if self.often(0.6)]
        if self.seldom(0.1):
            held.append(leaf.der)
        if self.seldom(0.2):
            held = [each for each in held if self.often(0.6)]
        self.rng.shuffle(held)
        return tuple(held)

    def asked(self, leaf: Authority) -> str:
        return (
            self.rng.choice([*filter(_askable, leaf.certificate.sans)] or HOSTS)
            if self.often(0.6)
            else self.rng.choice(ASKED)
        )

    def key(self, *, leaf: bool) -> PrivateKey:
        """RSA keys are few, and of the simulation's pool; EC keys are made from numbers."""
        kind: KeyKind = self.kind if self.often(0.85) else self.rng.choice(("rsa", "ec"))
        if kind == "ec":
            return sim_key(self.rng.randrange(32 if leaf else 6), "ec-384" if self.often(0.1) else "ec-256")
        if self.seldom(0.05):
            return weak_key()
        return sim_key(self.rng.randrange(4), "rsa-1024" if self.seldom(0.1) else "rsa-2048")

    def authority(self, above: Made | None) -> Made:
        subject = name(self.rng.choice(CA_NAMES) if self.often(0.6) else f"CA {self.serial}")
        return Made(subject, self.issue(subject, above, leaf=False, extensions=self.ca_extensions(), extended=None))

    def subject(self, common: str) -> x509.Name:
        mails = [x509.NameAttribute(NameOID.EMAIL_ADDRESS, self.rng.choice((*MAILS, *ODD_MAILS)))]
        more = [x509.NameAttribute(NameOID.COMMON_NAME, self.rng.choice(HOSTS))]
        parts = [each for each, chance in ((mails, 0.1), (more, 0.1)) if self.seldom(chance)]
        return x509.Name([*name(common).rdns, *map(x509.RelativeDistinguishedName, parts)])

    def leaf(self, above: Made | None, role: Usage) -> Authority:
        common = self.rng.choice(ODD_HOSTS if self.seldom(0.2) else (*HOSTS, "leaf", "*.lab.test"))
        extensions: list[Extension] = []
        if self.often(0.7):
            names = [self.general_name() for _ in range(self.rng.randint(1, 3))]
            extensions.append((x509.SubjectAlternativeName(names), self.often(0.1)))
        return self.issue(self.subject(common), above, leaf=True, extensions=extensions, extended=role)

    def issue(
        self,
        subject: x509.Name,
        above: Made | None,
        *,
        leaf: bool,
        extensions: list[Extension],
        extended: Usage | None,
    ) -> Authority:
        """One certificate; most are in order, some are not."""
        key = self.key(leaf=leaf)
        self.serial += 1
        if self.seldom(0.02) and isinstance(key, ec.EllipticCurvePrivateKey) and _is_p256(above):
            return version_1(_common_name(subject), self.rng.randrange(6), above.authority if above else None)
        signer = key if above is None else above.authority.key
        if self.seldom(0.04):
            signer = sim_key(5, "rsa-2048" if isinstance(signer, rsa.RSAPrivateKey) else "ec-256")
        start, end = self.dates()
        builder = x509.CertificateBuilder(
            subject_name=subject,
            issuer_name=subject if above is None else above.subject,
            public_key=key.public_key(),
            serial_number=self.serial,
            not_valid_before=start,
            not_valid_after=end,
        )
        given = [*extensions, *self.constraints(leaf=leaf), *self.usages(extended), *self.key_ids(key, above, signer)]
        if self.seldom(0.03):
            given.append((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), self.often(0.5)))
        for extension, critical in given:
            builder = builder.add_extension(extension, critical=critical)
        digest = self.rng.choice((hashes.SHA256(), hashes.SHA384()))
        repeatable = True if isinstance(signer, ec.EllipticCurvePrivateKey) else None
        pss = isinstance(signer, rsa.RSAPrivateKey) and signer.key_size > 1024 and self.often(0.1)
        way = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH) if pss else None
        made = builder.sign(signer, digest, rsa_padding=way, ecdsa_deterministic=repeatable)
        der = made.public_bytes(Encoding.DER)
        return Authority(parse(der.replace(SHA256_RSA, SHA1_RSA) if self.seldom(0.06) else der), key)

    def dates(self) -> tuple[datetime, datetime]:
        start, end = START + self.rng.randrange(9) * DAY, END + self.rng.randrange(9) * DAY
        if self.often(self.untimely):
            return start, NOW - self.off()
        return NOW + self.off() if self.often(self.untimely) else start, end

    def off(self) -> timedelta:
        return self.rng.choice((timedelta(seconds=1), timedelta(hours=1), DAY))

    def constraints(self, *, leaf: bool) -> list[Extension]:
        if leaf:
            if self.often(0.5) and not self.seldom(0.1):
                return []
            return [(x509.BasicConstraints(ca=self.seldom(0.3), path_length=None), True)]
        if self.seldom(0.06):
            return [] if self.often(0.5) else [(x509.BasicConstraints(ca=False, path_length=None), True)]
        length = self.rng.choice((0, 0, 1, 2)) if self.seldom(0.3) else None
        return [(x509.BasicConstraints(ca=True, path_length=length), self.often(0.9))]

    def usages(self, role: Usage | None) -> list[Extension]:
        found: list[Extension] = []
        if self.often(0.6):
            right = ("key_cert_sign", "crl_sign") if role is None else ("digital_signature", "key_encipherment")
            odd = (
                ("crl_sign",),
                ("digital_signature",),
                ("key_agreement",),
                ("key_encipherment",),
                ("key_cert_sign",),
                (),
            )
            found.append(
                (
                    usage(*(self.rng.choice(odd[: -1 if role else None]) if self.seldom(0.15) else right)),
                    self.often(0.8),
                )
            )
        if self.often(0.4 if role else 0.1):
            right_one = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
            wanted = [right_one[role]] if role else list(right_one.values())
            if self.seldom(0.3):
                wanted = [self.rng.choice(EXTENDED)]
            found.append((x509.ExtendedKeyUsage(wanted), self.often(0.1)))
        return found

    def key_ids(self, key: PrivateKey, above: Made | None, signer: PrivateKey) -> list[Extension]:
        found: list[Extension] = []
        if self.often(0.7):
            own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            found.append((own, self.seldom(0.03)))
        if self.often(0.7):
            found.append((self.issuer_key_id(above, signer), self.seldom(0.03)))
        return found

    def issuer_key_id(self, above: Made | None, signer: PrivateKey) -> x509.AuthorityKeyIdentifier:
        plain = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        if not self.seldom(0.2) or above is None:
            return plain
        issuer = x509.load_der_x509_certificate(above.authority.der)
        named = issuer.issuer if self.often(0.7) else name("Nobody")
        serial = issuer.serial_number + int(self.often(0.3))
        identifier = self.rng.choice((None, plain.key_identifier, b"other"))
        return x509.AuthorityKeyIdentifier(identifier, [x509.DirectoryName(named)], serial)

    def ca_extensions(self) -> list[Extension]:
        found: list[Extension] = []
        if self.often(0.5) if self.bounded else self.seldom(0.2):
            permitted = [self.limit() for _ in range(self.rng.randint(0, 3))]
            excluded = [self.limit() for _ in range(self.rng.randint(0 if permitted else 1, 2))]
            found.append((x509.NameConstraints(permitted or None, excluded or None), self.often(0.7)))
        if self.seldom(0.1):
            found.append((x509.SubjectAlternativeName([self.general_name()]), False))
        return found

    def general_name(self) -> x509.GeneralName:
        kinds: Sequence[Callable[[], x509.GeneralName]] = (
            lambda: x509.DNSName(self.rng.choice(HOSTS)),
            lambda: x509.DNSName(self.rng.choice((*HOSTS, *PATTERNS, *ODD_HOSTS[:6]))),
            lambda: x509.IPAddress(ipaddress.ip_address(self.rng.choice(ADDRESSES))),
            lambda: x509.RFC822Name._init_without_validation(self.rng.choice(ODD_MAILS if self.seldom(0.3) else MAILS)),
            lambda: x509.UniformResourceIdentifier(self.rng.choice(ODD_URIS if self.seldom(0.3) else URIS)),
            self.directory,
            self.other,
        )
        return self.rng.choice(kinds[:3] if self.often(0.7) else kinds)()

    def other(self) -> x509.GeneralName:
        number = x509.ObjectIdentifier(self.rng.choice(("1.2.3.4", "1.2.3.5")))
        return x509.RegisteredID(number) if self.often(0.5) else x509.OtherName(number, b"\x0c\x01a")

    def limit(self) -> x509.GeneralName:
        networks = ("10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "fe80::/16")
        kinds: Sequence[Callable[[], x509.GeneralName]] = (
            lambda: x509.DNSName(self.rng.choice((*HOSTS, *ODD_HOSTS[:4], ".lab.test", "test", ""))),
            lambda: x509.IPAddress(ipaddress.ip_network(self.rng.choice(networks))),
            lambda: x509.RFC822Name._init_without_validation(
                self.rng.choice((*MAILS, *ODD_MAILS, "lab.test", ".lab.test", ""))
            ),
            lambda: x509.UniformResourceIdentifier(self.rng.choice(("lab.test", ".lab.test", "", "[fe80::1]"))),
            self.directory,
            self.other,
        )
        return self.rng.choice(kinds)()

    def directory(self) -> x509.DirectoryName:
        parts = [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.rng.choice(("Lab, Inc.", "LAB,  inc.", "Other"))),
            x509.NameAttribute(NameOID.COMMON_NAME, "leaf"),
        ]
        return x509.DirectoryName(x509.Name(parts[: self.rng.randint(1, 3)]))


EXTENDED = (
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    ExtendedKeyUsageOID.CODE_SIGNING,
    x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
)


@lru_cache(maxsize=1)
def weak_key() -> rsa.RSAPrivateKey:
    """An RSA key of 768 bits, which no library makes any more."""
    p, q = (next(filter(is_prime, count(start | 1, 2))) for start in (13 << 380, 15 << 380))
    private = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    return rsa.RSAPrivateNumbers(
        p, q, private, private % (p - 1), private % (q - 1), rsa.rsa_crt_iqmp(p, q), public
    ).private_key()


def case_of(seed: int, *, untimely: float = 0.0) -> Case:
    return Maker(f"case {seed}", untimely=untimely).case(_authorities(seed // CASES_OF_A_LINE, untimely))


@lru_cache(maxsize=2)
def _authorities(number: int, untimely: float) -> list[Made]:
    return Maker(f"line {number}", untimely=untimely).authorities()


def _askable(host: str) -> bool:
    """Whether Python's `ssl` takes it for a server's name."""
    try:
        return bool(host.encode("idna")) and ".." not in f".{host}"
    except UnicodeError:
        return False


def _is_p256(above: Made | None) -> bool:
    return above is None or (
        isinstance(above.authority.key, ec.EllipticCurvePrivateKey) and above.authority.key.curve.name == "secp256r1"
    )


def _common_name(subject: x509.Name) -> str:
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
