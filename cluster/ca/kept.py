"""One authority of a folder, and its files; `folder` has the layout."""

from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from ucmlab.broker.codec import UNREADABLE
from ucmlab.cluster.ca.authority import Authority, der_of, pem_of
from ucmlab.cluster.ca.keys import PrivateKey
from ucmlab.cluster.ca.office import Office
from ucmlab.cluster.errors import Unusable
from ucmlab.node.privatefile import read_private, write_private

SCHEMA = 1
_Value = TypeVar("_Value")


class Note(msgspec.Struct, frozen=True):
    """Which authority it is: `authority.json`."""

    name: str
    honours_request: bool
    schema: int = SCHEMA


class Kept:
    """An authority of a folder."""

    def __init__(self, path: Path, note: Note, office: Office) -> None:
        """Use `CAFolder`."""
        self.path = path
        self.name = note.name
        self.office = office

    @property
    def der(self) -> bytes:
        """Its certificate."""
        return der_of(self.office.authority.certificate)

    def enter(self, certificate: x509.Certificate) -> None:
        """Keep a certificate that it issued, and the books that name it.

        Raises:
            Unusable: they cannot be written; the books from before are still there.
        """
        content = pem_of([certificate])
        write_kept(self.path / "issued" / f"{certificate.serial_number:x}.pem", content)
        self.save_books()

    def save_books(self) -> None:
        """Keep the books after a change.

        Raises:
            Unusable: they cannot be written; those from before are still there.
        """
        write_kept(self.path / "books.json", msgspec.json.encode(self.office.books))

    def issued(self, serial: str) -> bytes:
        """A certificate that it issued, PEM.

        Raises:
            Unusable: its file is gone.
        """
        return read_kept(self.path / "issued" / f"{serial}.pem")

    def keep_cross(self, issuer: "Kept", crossed: Authority) -> None:
        """Keep the way up by way of another authority.

        Raises:
            Unusable: it cannot be written.
        """
        write_kept(self.path / "cross" / f"{issuer.path.name}.pem", pem_of(crossed.chain))

    def cross_chain(self, issuer: "Kept") -> tuple[x509.Certificate, ...]:
        """The chain by way of another authority.

        Raises:
            Unusable: that one never cross-signed it.
        """
        path = self.path / "cross" / f"{issuer.path.name}.pem"
        if not path.exists():
            raise Unusable(f"{issuer.name} did not cross-sign {self.name}; it does with `ucmlab ca cross-sign`")
        return tuple(read_certificates(path))


def key_pem(key: PrivateKey) -> bytes:
    """A private key as `key.pem` has it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_key(path: Path) -> PrivateKey:
    """The private key of a file.

    Raises:
        Unusable: there is none that a CA can have, or it is not ours alone.
    """
    content = read_kept(path)
    try:
        # Validation of an RSA key costs 40 ms, and the file is our own.
        key = load_pem_private_key(content, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        return key
    raise Unusable(f"{path} is no key that a CA can have; found the CA anew")


def read_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a file, in its order.

    Raises:
        Unusable: there is none, or it is not ours alone.
    """
    content = read_kept(path)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise Unusable(f"{path} holds no certificate; found the CA anew") from error


def read_kept(path: Path) -> bytes:
    """What a file of an authority holds.

    Raises:
        Unusable: it is not there, or not ours alone.
    """
    try:
        return read_private(path)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror or error}") from error


def write_kept(path: Path, content: bytes) -> None:
    """Put a file of an authority in place, durably.

    Raises:
        Unusable: it cannot be written; what was there before still is.
    """
    try:
        write_private(path, content)
    except OSError as error:
        raise Unusable(f"{path} cannot be written: {error.strerror or error}") from error


def read_kept_json(path: Path, kind: type[_Value]) -> _Value:
    """A file of an authority that holds JSON.

    Raises:
        Unusable: it is not there, not ours alone, or of another version.
    """
    try:
        return msgspec.json.decode(read_kept(path), type=kind)
    except UNREADABLE as error:
        raise Unusable(f"{path} was not made by this version of ucmlab; found the CA anew") from error
