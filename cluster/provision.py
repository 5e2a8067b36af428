"""A lab's home: made whole or not at all, opened with a reason when it is none.

    lab.json                  which lab it is (`LabFile`)
    credentials.json          what `ucmlab env` prints (`Credentials`)
    default_cas.json          the CAs that stand in for those of the product's image, keys included: `list[KeptCa]`
    bus/ca.pem, ca.key.pem    the bus CA; broker.pem: the broker's certificate from it, with its key
    bus/accounts.json         who may do what on the broker: `list[Account]`, passwords as salted digests
    nodes/<name>/             a node's home; node.json: its `NodeConfig`; private/bus.json: its `BusIdentity`
    logs/                     journals and outputs of the processes

Everything in it is its owner's alone: folders 0700, files 0600. All secrets are random; none follows from the seed.
"""

import secrets
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from cryptography.x509 import random_serial_number

from ucmlab.broker.access import Account
from ucmlab.broker.bus import BusEndpoint
from ucmlab.cluster.admin.accounts import FULL, READ, AdminAccount, make_admin
from ucmlab.cluster.bus_ca import Pair, covers
from ucmlab.cluster.carriers.choice import Carrier
from ucmlab.cluster.carriers.keeping import keep, kept_carrier, through
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.homebuild import OBSERVER, build_home, issue_for_broker
from ucmlab.cluster.labfile import OPTION_DEFAULTS, SCHEMA, Credentials, KeptCa, LabFile, read_json
from ucmlab.cluster.ports import Ports
from ucmlab.cluster.topology import Topology, topology_at
from ucmlab.node.config import NodeConfig
from ucmlab.node.disk import read_state
from ucmlab.node.keyring import KeyRing
from ucmlab.node.layout import STATE_FILE
from ucmlab.node.privatefile import read_private, sync_folder
from ucmlab.node.releases import config_at

if TYPE_CHECKING:
    from ucmlab.cluster.ca.keys import KeySource

_SEED_BITS = 63
"""So that it stays a positive integer in msgpack, JSON and everybody's languages."""


class LabHome:
    """A lab's home that is there. Reading only, but for the broker's certificate."""

    def __init__(self, path: Path, lab: LabFile) -> None:
        """Use `open_lab` or `provision`."""
        self.path = path
        self.lab = lab
        self._topology: Topology | None = None

    def __repr__(self) -> str:
        return f"LabHome({str(self.path)!r})"

    @property
    def topology(self) -> Topology:
        """Its nodes and rules; of the release that its publisher runs by what is on the disk."""
        if self._topology is None:
            made = self.lab.topology
            self._topology = topology_at(made, self._release(made.publisher))
        return self._topology

    def reread(self) -> None:
        """Forget which release the publisher ran: it may have been upgraded."""
        self._topology = None

    def _release(self, node: str) -> str:
        try:
            return read_state(self.path / "nodes" / node / STATE_FILE).release
        except OSError:
            return ""  # whoever starts the node says what is wrong with its disk

    @property
    def carrier(self) -> Carrier:
        """What carries its bus."""
        return kept_carrier(self.path, self.lab.options.get("broker", OPTION_DEFAULTS["broker"]))

    @property
    def ports(self) -> Ports:
        """At which ports its services listen."""
        return Ports(self.lab.options.get("ports", OPTION_DEFAULTS["ports"]))

    @property
    def logs(self) -> Path:
        """The folder of journals and process outputs."""
        return self.path / "logs"

    @property
    def bus_ca(self) -> Path:
        """The certificate that a TLS client of the bus trusts."""
        return self.path / "bus" / "ca.pem"

    def node_home(self, node: str) -> Path:
        """A node's own folder.

        Raises:
            Unusable: the lab has no such node.
        """
        if node not in self.topology.names:
            raise Unusable(f"there is no node {node!r} in this lab; there are {', '.join(self.topology.names)}")
        return self.path / "nodes" / node

    def node_config(self, node: str) -> NodeConfig:
        """What the node is told about itself and its cluster, of the release that it runs."""
        return config_at(read_json(self.node_home(node) / "node.json", NodeConfig), self._release(node))

    def accounts(self) -> tuple[Account, ...]:
        """The broker's accounts."""
        return read_json(self.path / "bus" / "accounts.json", tuple[Account, ...])

    def credentials(self) -> Credentials:
        """User names and passwords, for `env` and the admin interfaces."""
        return read_json(self.path / "credentials.json", Credentials)

    def admins(self) -> tuple[AdminAccount, ...]:
        """The accounts of the admin interfaces, as a node's process is to know them."""
        known = self.credentials()
        return (
            make_admin(known.os_user, known.os_password, "platform", privilege=FULL),
            make_admin(known.reader_user, known.reader_password, "platform", privilege=READ),
            make_admin(known.app_user, known.app_password, "application", privilege=FULL),
        )

    def default_cas(self) -> tuple[KeptCa, ...]:
        """The CAs that stand in for those of the product's image, and can issue as a factory does.

        Raises:
            Unusable: the home was made before labs had them.
        """
        return read_json(self.path / "default_cas.json", tuple[KeptCa, ...])

    def endpoint(self, node: str, *, host: str, port: int, tls: bool) -> BusEndpoint:
        """How a node reaches the broker and proves itself to it."""
        password = KeyRing(self.node_home(node)).bus.password
        return self._endpoint(node, password, host=host, port=port, tls=tls)

    def observer_endpoint(self, client_id: str, *, host: str, port: int, tls: bool) -> BusEndpoint:
        """How somebody who only watches reaches the broker; every connection needs a client id of its own."""
        password = self.credentials().observer_password
        endpoint = self._endpoint(OBSERVER, password, host=host, port=port, tls=tls)
        if endpoint.username != OBSERVER:
            client_id = f"{self.lab.cluster}-{client_id}"
        return msgspec.structs.replace(endpoint, client_id=client_id)

    def passwords(self) -> dict[str, str]:
        """Every bus account's password, by user name, for a broker that is to know them."""
        members = {name: KeyRing(self.node_home(name)).bus.password for name in self.topology.names}
        return members | {OBSERVER: self.credentials().observer_password}

    def broker_certificate(self, hosts: Sequence[str] = ()) -> Path:
        """The PEM file with certificate and key for a broker under these addresses; issued anew if it lacks one."""
        path = self.path / "bus" / "broker.pem"
        if not covers(read_private(path), hosts):
            authority = Pair(read_private(self.bus_ca), read_private(self.path / "bus" / "ca.key.pem"))
            issue_for_broker(authority, path, hosts)
        return path

    def matches(self, topology: Topology, options: Mapping[str, str] | None = None) -> str | None:
        """The first difference between this lab and what is asked for, in words; None when there is none."""
        mine, asked = _described(self.topology), _described(topology)
        mine |= OPTION_DEFAULTS | self.lab.options
        asked |= dict(options or {})
        for what, wanted in asked.items():
            if wanted != mine[what]:
                return f"{what}: the lab has {mine[what]}, asked for is {wanted}"
        return None

    def _endpoint(self, user: str, password: str, *, host: str, port: int, tls: bool) -> BusEndpoint:
        endpoint = BusEndpoint(host, port, user, user, password, str(self.bus_ca) if tls else None)
        carrier = self.carrier
        if carrier.kind != "url":
            return endpoint
        return through(carrier, self.path, endpoint, cluster=self.lab.cluster)


def provision(
    directory: Path,
    topology: Topology,
    *,
    wall_start: int,
    name: str | None = None,
    seed: int | None = None,
    options: Mapping[str, str] | None = None,
    carrier: Carrier | None = None,
    broker_ca: bytes | None = None,
    keys: "KeySource | None" = None,
) -> LabHome:
    """Make a lab's home. A failure on the way leaves nothing behind.

    Args:
        directory: its place; may be there already if it is empty.
        topology: its nodes and rules.
        wall_start: the wall clock at lab instant 0.
        name: what people call it; by default its id on the bus.
        seed: by default random.
        options: see `LabFile.options`.
        carrier: what carries the bus; its account is kept apart from the options.
        broker_ca: what the certificate of somebody else's broker is checked with, PEM.
        keys: where its stand-ins for the product's default CAs get theirs; None: made here.

    Raises:
        Unusable: there is a lab or something else already, or the place cannot be written.
    """
    _check_free(directory)
    cluster = f"lab-{secrets.token_hex(4)}"
    lab = LabFile(
        made_by=version("ucmlab"),
        name=name or cluster,
        cluster=cluster,
        seed=secrets.randbits(_SEED_BITS) if seed is None else seed,
        wall_start=wall_start,
        topology=topology,
        options=dict(options or {}) | ({} if carrier is None else {"broker": carrier.text}),
    )
    building = directory.parent / f".{directory.name}.tmp-{secrets.token_hex(4)}"
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        _build(building, lab, keys)
        if carrier is not None:
            keep(building, carrier, broker_ca)
        building.rename(directory)
        sync_folder(directory.parent)
    except OSError as error:
        raise Unusable(f"no lab can be made in {directory}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return LabHome(directory, lab)


def _build(home: Path, lab: LabFile, keys: "KeySource | None") -> None:
    # What makes certificates takes some milliseconds to import, and most commands only open a lab.
    from ucmlab.cluster.ca.keys import make_key  # noqa: PLC0415
    from ucmlab.cluster.default_cas import kept_cas, make_default_cas, shipped  # noqa: PLC0415

    rulebook = lab.topology.rulebook
    made = make_default_cas(rulebook, keys or make_key, lambda _name: random_serial_number())
    build_home(home, lab, default_cas=kept_cas(made), image=shipped(rulebook, made))


def open_lab(directory: Path) -> LabHome:
    """Open the lab of a folder.

    Raises:
        Unusable: there is none, it is not ours alone, or another version of ucmlab made it.
    """
    if not (directory / "lab.json").exists():
        raise Unusable(f"there is no lab in {directory}; make one with `ucmlab init`, or name its folder with --dir")
    lab = read_json(directory / "lab.json", LabFile)
    if lab.schema != SCHEMA:
        raise Unusable(f"the lab in {directory} was made by ucmlab {lab.made_by}; make it anew with --fresh")
    return LabHome(directory, lab)


def discard_lab(directory: Path) -> None:
    """Remove a lab's home, and nothing that is none (`--fresh`).

    Raises:
        Unusable: the folder is there and holds no lab.
    """
    if not directory.exists():
        return
    open_lab(directory)
    # Out of the way in one step first: a half-removed lab must not look like one.
    doomed = directory.parent / f".{directory.name}.tmp-{secrets.token_hex(4)}"
    directory.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _check_free(directory: Path) -> None:
    if (directory / "lab.json").exists():
        raise Unusable(f"there is a lab in {directory} already; start it with `ucmlab up`, or discard it with --fresh")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Unusable(f"{directory} is there and holds no lab; choose another place with --dir")


def _described(topology: Topology) -> dict[str, str]:
    return {
        "nodes": ",".join(topology.names),
        "release": topology.release,
        "profile": topology.profile,
        "replication": topology.replication,
        "timing": topology.timing,
        "domain": topology.domain,
        "der_pkcs7": str(topology.der_pkcs7).lower(),
        "strict_uploads": str(topology.strict_uploads).lower(),
    }
