"""Where things lie below a node's home, and how its identity certificates are read. Writes nothing."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ucmlab.broker.codec import UNREADABLE
from ucmlab.node.csr_reading import UNREADABLE_CSR, read_csr
from ucmlab.node.keyring import KeyRing
from ucmlab.node.privatefile import read_private
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.trust_files import read_certificate

STATE_FILE = Path("state") / "node.json"
"""Below a node's home, whatever its release."""


class HomeLayout:
    """The paths of one node. Units of all roles have a place; a node uses those of its own."""

    def __init__(self, home: Path, rulebook: RuleBook) -> None:
        """Name the home; nothing is touched."""
        self.home = home
        units = rulebook.units.values()
        self.trust_folders = {unit.name: home / unit.trust_folder for unit in units if unit.kind == "trust"}
        """Trust unit to the folder of its certificate files."""
        self.identity_files = {unit.name: home / unit.certificate_file for unit in units if unit.kind == "identity"}
        """Identity unit to its certificate file."""
        self.csr_files = {unit.name: home / unit.csr_file for unit in units if unit.kind == "identity"}
        """Identity unit to the file of its certificate signing request."""

    @property
    def replica(self) -> Path:
        """The database replica; SQLite keeps its WAL beside it."""
        return self.home / "db" / "replica.sqlite"

    @property
    def log(self) -> Path:
        """The folder of the cluster's log."""
        return self.home / "log"

    @property
    def state(self) -> Path:
        """Boot number and other facts that fit in one small file."""
        return self.home / STATE_FILE

    @property
    def orders(self) -> Path:
        """Ids of service orders that took effect."""
        return self.home / "state" / "orders"

    @property
    def installed_by(self) -> Path:
        """Which operations the identity certificates are from."""
        return self.state.with_name("identities.json")

    @property
    def generations(self) -> Path:
        """Generations of private material that the cluster shares, but for the OAuth keys."""
        return self.home / "private" / "generations.json"

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """Folders that must be there before anything of ours is written."""
        return self.replica.parent, self.log, self.state.parent

    @property
    def folders_with_temporaries(self) -> tuple[Path, ...]:
        """Folders in which a kill may have left a temporary; those with private keys are the key ring's."""
        certificates = [path.parent for path in self.identity_files.values()]
        folders = (*self.own_folders, *certificates, *self.trust_folders.values())
        return tuple(dict.fromkeys(folders))


def read_identities(layout: HomeLayout) -> dict[str, bytes]:
    """Identity unit to the DER of its certificate, for those that are there and can be read."""
    found = {unit: read_certificate(path) for unit, path in layout.identity_files.items()}
    return {unit: der for unit, der in found.items() if der is not None}


def read_csrs(layout: HomeLayout) -> dict[str, bytes]:
    """Identity unit to the DER of the request that waits for its certificate; what is none of ours counts as none."""
    found = {unit: _request(path) for unit, path in layout.csr_files.items() if path.exists()}
    return {unit: der for unit, der in found.items() if der is not None}


def _request(path: Path) -> bytes | None:
    try:
        der = x509.load_pem_x509_csr(path.read_bytes()).public_bytes(Encoding.DER)
        read_csr(der)
    except (OSError, *UNREADABLE_CSR):
        return None  # people have put something of their own there
    return der


def read_key_generations(layout: HomeLayout, rulebook: RuleBook, identities: Mapping[str, bytes]) -> dict[str, int]:
    """Generation of each kind of private material that the cluster shares: `authz`, and identities like ITLRecovery.

    Raises:
        OSError: it is there and cannot be read.
    """
    authz = KeyRing(layout.home).authz()
    counted = read_counted(layout.generations)
    shared = [profile.unit for profile in rulebook.identities.values() if profile.distributed_to]
    # The first is not counted: that it is there says it all.
    generations = {unit: counted.get(unit, 1) for unit in shared if unit in identities}
    return generations if authz is None else {"authz": authz.generation, **generations}


def read_counted(file: Path) -> dict[str, int]:
    """The generations that `HomeLayout.generations` counts.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        return msgspec.json.decode(read_private(file), type=dict[str, int])
    except FileNotFoundError:
        return {}
    except UNREADABLE as error:
        raise OSError(f"{file} was not written by ucmlab: {error}") from error
