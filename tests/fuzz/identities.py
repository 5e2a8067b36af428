"""Leaves for a request that waits on a publisher: what a CA made of it, gone wrong, and mostly signed again by that CA.

An identity that is accepted must have been signed by an authority, as an independent reader of its signature finds.
"""

import contextlib
import warnings
from functools import lru_cache
from random import Random

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fuzz import raw
from tests.fuzz.certificates import LINE
from tests.fuzz.der import elements
from tests.fuzz.files import armoured, chain_file
from tests.fuzz.mutation import mutated
from tests.playbook import Playbook, config
from tests.unit.node.authorities import numbered_key
from tests.unit.node.certificate_factory import END, START
from ucmlab.cluster.ca.authority import Authority, der_of
from ucmlab.cluster.ca.requests import read_request
from ucmlab.cluster.ca.terms import Terms, Validity
from ucmlab.node.certificates import Certificate, pem
from ucmlab.node.commands import Reply
from ucmlab.node.events import DiskImage, GenerateCsr, Upload

UNIT = "tomcat-ECDSA"
"""Of a family whose signatures are the same in every run."""


class Waiting(msgspec.Struct, frozen=True):
    """A publisher that waits for an identity's certificate."""

    image: DiskImage
    """What its disk holds: identities, the request, the CA's certificates in the trust store."""
    leaf: bytes
    """What the CA made of the request, as asked."""


@lru_cache(maxsize=1)
def waiting() -> Waiting:
    """The same for every input."""
    pub = Playbook(config("pub"), image=DiskImage(boot=0)).up()
    for number, authority in enumerate(LINE[1:]):
        _done(pub, Upload(f"ca-{number}", "tomcat-trust", pem(authority.der).encode()))
    _done(pub, GenerateCsr("csr", UNIT))
    issuing = Authority(x509.load_der_x509_certificate(LINE[1].der), numbered_key(3))
    asked = read_request(pub.disk.csrs[UNIT])
    made = issuing.sign(asked, Terms(), serial=0x77, validity=Validity(START, END))
    return Waiting(pub.disk.image(), der_of(made))


def leaf_file(random: Random, donors: tuple[bytes, ...]) -> bytes:
    """A file with a leaf for the request that waits: alone, with its chain, or with something else."""
    leaf = waiting().leaf
    if random.random() < 0.9:
        leaf = mutated(random, leaf, (leaf, *donors) if random.random() < 0.5 else (leaf,))
    found = elements(leaf)
    if random.random() < 0.8 and len(found) > 1:
        leaf = raw.signed(leaf[found[1].start : found[1].stop], numbered_key(random.choice((3, 3, 3, 2, 1))))
    others = [each.der for each in LINE[1:]] if random.random() < 0.3 else []
    if random.random() < 0.2:
        others.append(mutated(random, random.choice(donors), donors))
    documents = [leaf, *others]
    if random.random() < 0.3:
        random.shuffle(documents)
    if random.random() < 0.2:
        return armoured("PKCS7", chain_file(documents))
    return b"".join(armoured("CERTIFICATE", each) for each in documents)


def signed_by_an_authority(certificate: Certificate) -> bool:
    """Whether a key of the line's CAs signed it; how the issuer's name is spelt is for others to compare."""
    with warnings.catch_warnings(action="ignore"):
        loaded = x509.load_der_x509_certificate(certificate.der)
    content = loaded.tbs_certificate_bytes
    for number in (1, 2, 3):
        with contextlib.suppress(InvalidSignature):
            numbered_key(number).public_key().verify(loaded.signature, content, ec.ECDSA(hashes.SHA256()))
            return True
    return False


def _done(node: Playbook, event: Upload | GenerateCsr) -> None:
    (reply,) = [each for each in node.does(event) if isinstance(each, Reply)]
    assert reply.outcome == "done", reply
