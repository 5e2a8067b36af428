"""What is done with one input, and what must hold: a value or a refusal, nothing else; what is accepted stays as it is.

Shares: every upload is read in both ways, and each of up to three accepted certificates of it goes through names, file
names, details of two releases and chains in every role (as it is, and adopted by a CA, so that the search goes on);
of every fourth upload a whole cluster hears as well (`nodes`). Every request that is accepted is signed.
"""

import base64
import binascii
import contextlib
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from random import Random

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.fuzz import raw
from tests.fuzz.certificates import BELOW, ISSUING, LIMITED, LINE, ROOT, certificates
from tests.fuzz.der import SEQUENCE, value
from tests.fuzz.files import giants, plain_files
from tests.fuzz.inputs import Mutant
from tests.playbook import WALL
from tests.unit.node.authorities import Authority, numbered_key
from tests.unit.node.certificate_factory import END, START, ec_key
from ucmlab.cluster.ca.authority import Authority as Office
from ucmlab.cluster.ca.authority import root_authority
from ucmlab.cluster.ca.differences import differences
from ucmlab.cluster.ca.requests import read_request
from ucmlab.cluster.ca.terms import Terms, Validity
from ucmlab.cluster.certificate_list import Entry
from ucmlab.cluster.cli import details
from ucmlab.node import names, pkcs7
from ucmlab.node.certificates import Certificate, check_trust_certificate, parse, pem, trust_file_stem
from ucmlab.node.chains import Chain, complete
from ucmlab.node.errors import Refusal
from ucmlab.node.issuing import kind_of, only_authorities
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.upload_files import read_upload

RELEASES = ("12.5", "14SU2")
"""Before and after R-056 changed the page."""
REASONS = frozenset(RuleBook.load("14SU2").refusals)
LOOKED_AT = 3
"""Certificates of one file that go through everything; a file may hold hundreds."""
FILE_NAME = re.compile(r"(?!\.)[A-Za-z0-9._%-]+")
LONGEST_FILE_NAME = 200
"""Characters of a trust file's stem: with a number, `.pending` and the like it must stay below 255."""
ISSUERS = ((ISSUING, 3), (LIMITED, 7), (ROOT, 1), (ROOT, 2))
"""Who may adopt a certificate, with what key: the last one is another's."""
Seen = Counter[str]
"""How often what happened: worth nothing unless much is refused and much goes through."""


def examine(mutant: Mutant, seen: Seen) -> None:
    """Bring an input to the surfaces of its kind, but for whole nodes."""
    match mutant.kind:
        case "upload":
            upload(mutant, seen)
        case "request":
            request(mutant.data, seen)
        case "name":
            name(mutant.data, seen)
        case "identity" | "order":
            pass  # a node's


# -- files


def upload(mutant: Mutant, seen: Seen) -> None:
    """A file is read, in both ways; its PKCS#7 by itself."""
    random, data = Random(mutant.seed), mutant.data
    blobs = tuple(_blobs(data))
    for der_pkcs7 in (False, True):
        try:
            found = read_upload(data, der_pkcs7=der_pkcs7)
        except Refusal as refusal:
            seen[f"upload refused: {check(refusal)}"] += 1
            continue
        assert found, "accepted, and nothing is in it"
        seen["upload accepted"] += 1
        assert all(any(each.der in blob for blob in blobs) for each in found), "not the bytes of the file"
        if not der_pkcs7 or pkcs7.is_pkcs7(data):
            for certificate in dict.fromkeys(found[-LOOKED_AT:]):
                accepted(certificate, random, seen)
            only_authorities(found)
    try:
        cut = pkcs7.certificates_of(data)
    except Refusal as refusal:
        check(refusal)
    else:
        assert all(each in data for each in cut), "not the bytes of the chain"


def check(refusal: Refusal) -> str:
    """A refusal is a word of the contract and one text that can be told."""
    assert refusal.reason in REASONS, f"the reason {refusal.reason!r} is no word of the contract"
    assert refusal.text, f"{refusal.reason} without a text"
    refusal.text.encode()
    return refusal.reason


def accepted(certificate: Certificate, random: Random, seen: Seen) -> None:
    """A certificate that was read can be told, shown, filed and chained."""
    der = certificate.der
    with warnings.catch_warnings(action="ignore"):
        again = x509.load_pem_x509_certificate(pem(der).encode())
    assert again.public_bytes(Encoding.DER) == der, "another certificate after a way through PEM"
    assert parse(der) == certificate
    msgspec.json.encode(certificate)
    for style in ("cn", "cn_serial"):
        stem = trust_file_stem(der, style)
        assert FILE_NAME.fullmatch(stem), f"{stem!r} is no file name"
        assert len(stem) <= LONGEST_FILE_NAME, f"a file name of {len(stem)} characters"
    try:
        check_trust_certificate(certificate, WALL)
    except Refusal as refusal:
        seen[f"certificate refused: {check(refusal)}"] += 1
    else:
        seen["certificate accepted"] += 1
    shown(certificate)
    chained(certificate, random, seen)


def shown(certificate: Certificate) -> None:
    """The page of one certificate, in two releases, and what programs read."""
    entry = Entry(unit="tomcat-trust", usage="trust", file="x.pem", path="x.pem", certificate=certificate)
    for release in RELEASES:
        text = "\n".join(details.lines(entry, RuleBook.load(release).display))
        assert text.endswith("-----END CERTIFICATE-----")
        text.encode()
    told = details.as_json(entry)
    assert msgspec.json.decode(msgspec.json.encode(told))["pem"] == pem(certificate.der)
    assert entry.name
    assert entry.kind


def _blobs(data: bytes) -> Iterator[bytes]:
    """The file, and what its PEM blocks hold: read otherwise than by what is tried."""
    yield data
    for body in re.findall(rb"-----BEGIN [^-]*-----([^-]*)-----END ", data):
        with contextlib.suppress(binascii.Error):
            yield base64.b64decode(body)


# -- chains


def chained(certificate: Certificate, random: Random, seen: Seen) -> None:
    """It completes no chain unless it was signed, and breaks none, in whatever role; likewise if a CA does sign it."""
    found = complete(certificate, brought=_line()[1:3], held=_line()[3:], wall=WALL)
    seen[f"chain: {_judged(found, certificate)}"] += 1
    if found.complete:
        assert _signed_part(certificate.der) in _signed_parts(), "a chain for what nobody signed"
    harmless(certificate)
    issuer, key = random.choice(ISSUERS)
    try:
        anew = parse(adopted(certificate.der, issuer, numbered_key(key)))
    except Refusal:
        return
    chain = complete(anew, brought=(*_line()[1:], _limited()[1]), wall=WALL)
    seen[f"chain, signed anew: {_judged(chain, anew)}"] += 1
    harmless(anew)
    kind_of(anew)


def harmless(certificate: Certificate) -> None:
    """A good chain stays one, whatever else was brought along or is held."""
    leaf, issuing, policy, root = _line()
    below, limited = _limited()
    chains = (
        complete(leaf, brought=(certificate, issuing), held=(policy, root), wall=WALL, roots="held"),
        complete(leaf, brought=(issuing, policy), held=(certificate, root), wall=WALL, roots="held"),
        complete(below, brought=(certificate, limited), held=(root,), wall=WALL, roots="held"),
    )
    for chain in chains:
        assert chain.complete, f"a chain is broken by what lies beside it: {chain.text}"
        assert set(chain.issuers) <= {issuing, policy, root, certificate, limited}


def _judged(chain: Chain, certificate: Certificate) -> str:
    assert chain.certificate == certificate
    if chain.complete:
        return "complete"
    assert chain.text, f"{chain.reason} without a text"
    chain.text.encode()
    assert chain.reason in REASONS
    return chain.reason


@lru_cache(maxsize=1)
def _limited() -> tuple[Certificate, Certificate]:
    """A leaf, and the CA that has limits on names."""
    return BELOW.certificate, LIMITED.certificate


@lru_cache(maxsize=1)
def _line() -> Sequence[Certificate]:
    return tuple(each.certificate for each in LINE)


def _signed_part(der: bytes) -> bytes:
    return names._values(names._contents(der), count=1)[0]


@lru_cache(maxsize=1)
def _signed_parts() -> frozenset[bytes]:
    made = [*certificates().values(), *giants().values()]
    for file in plain_files().values():
        with contextlib.suppress(Refusal):
            made += [each.der for each in read_upload(file)]
    return frozenset(map(_signed_part, made))


def adopted(der: bytes, issuer: Authority, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The certificate as that authority might have issued it: under its name, with a signature of the key."""
    parts = names._values(names._contents(_signed_part(der)))
    at = 1 if parts[0][0] == 0xA0 else 0
    parts[at + 1], parts[at + 2] = raw.ECDSA_SHA256, names.cut(issuer.der).subject
    return raw.signed(value(SEQUENCE, *parts), key)


# -- requests, names


def request(data: bytes, seen: Seen) -> None:
    """A CA reads a request, and can sign whatever it took."""
    try:
        asked = read_request(data)
    except Refusal as refusal:
        seen[f"request refused: {check(refusal)}"] += 1
        return
    seen["request accepted"] += 1
    validity = Validity(START, END)
    made = _authority().sign(asked, Terms(), serial=7, validity=validity)
    differences(asked, made)
    issued = parse(made.public_bytes(Encoding.DER))
    assert issued.subject == names.read(asked.subject.public_bytes()).text
    root = parse(_authority().certificate.public_bytes(Encoding.DER))
    seen[f"chain of what was asked for: {_judged(complete(issued, held=[root], wall=WALL), issued)}"] += 1


@lru_cache(maxsize=1)
def _authority() -> Office:
    """One that honours what requests ask for."""
    return root_authority("Corp Root CA", ec_key(), serial=1, validity=Validity(START, END))


def name(data: bytes, seen: Seen) -> None:
    """A name is read, or is malformed: `ValueError` is what `names` says then."""
    assert names.start_of_value(data) >= 0
    assert names.end_of_value(data) >= 0
    try:
        read = names.read(data)
        names.canonical(data)
        values = names.values_of(data, names.COMMON_NAME)
    except ValueError:
        seen["name refused"] += 1
        return
    seen["name read"] += 1
    "".join((read.text, read.common_name, read.first_value, *values)).encode()
    assert read.common_name in (*values, "")
