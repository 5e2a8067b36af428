"""Which lab is asked for by `ucmlab init` and `up`, and how it becomes a home: made anew, or found to be the same."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar, get_args

import click
import msgspec

from ucmlab.cluster.carriers.choice import Carrier, read_carrier
from ucmlab.cluster.carriers.keeping import read_authority
from ucmlab.cluster.carriers.mosquitto import find_mosquitto
from ucmlab.cluster.cli.options import upload_options, wall_instant
from ucmlab.cluster.cli.said import Said, read_config
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.keycache import users_keys
from ucmlab.cluster.labclock import ClockFile
from ucmlab.cluster.labtoml import SPEED_LIMIT
from ucmlab.cluster.ports import read_ports
from ucmlab.cluster.provision import LabHome, provision
from ucmlab.cluster.topology import DEFAULT_NODES, DEFAULT_RELEASE, Profile, Settings, Topology, topology
from ucmlab.node.clock import machine_wall
from ucmlab.node.config import Policy, Timing
from ucmlab.node.instant import from_rfc3339, rfc3339
from ucmlab.node.rulebook import RuleBook

Command = TypeVar("Command", bound=Callable[..., object])
SETTINGS = frozenset(Settings.__struct_fields__)
EARLIEST, LATEST = from_rfc3339("1950-01-01T00:00:00Z"), from_rfc3339("9900-01-01T00:00:00Z")
"""A lab begins between these: certificates can say 1950 to 9999 (RFC 5280, 4.1.2.5), and a lab's own are for years."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, on the command line or in a lab.toml; None: nothing was said."""

    said: Said
    nodes: tuple[str, ...] | str | None = None
    release: str | None = None
    profile: Profile | None = None
    replication: Literal["auto"] | Policy | None = None
    timing: Timing | None = None
    domain: str | None = None
    beyond_product: bool | None = None
    der_pkcs7: bool | None = None
    strict_uploads: bool | None = None
    start: int | None = None
    """The wall clock at lab instant 0, microseconds since 1970."""
    speed: float | None = None
    carrier: Carrier | None = None
    authority: bytes | None = None
    """What the certificate of somebody else's broker is checked with, PEM."""
    listen: str | None = None
    ports: str | None = None

    def cluster(self, base: Settings) -> Topology:
        """The cluster of `base`, with what was said instead.

        Raises:
            Unusable: there can be none.
        """
        said = {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}
        with self.said.telling():
            return topology(msgspec.structs.replace(base, **said))

    def options(self) -> dict[str, str]:
        """The options that are no settings of the topology, as `lab.json` keeps them."""
        speed = None if self.speed is None else f"{self.speed:g}"
        broker = None if self.carrier is None else self.carrier.text
        said = {"broker": broker, "listen": self.listen, "ports": self.ports, "speed": speed}
        return {name: value for name, value in said.items() if value is not None}


def lab_options(command: Command) -> Command:
    """The options that say which lab; the command gets them as keywords for `asked_for`."""
    default = ",".join(DEFAULT_NODES)
    options = (
        click.option("--nodes", metavar="N,N,…", help=f"Their names choose their roles.  [default: {default}]"),
        click.option(
            "--beyond-product", is_flag=True, default=None, help="Allow more nodes than the product's limits."
        ),
        click.option("--config", type=click.Path(path_type=Path), help="A lab.toml that says the same."),
        click.option("--release", metavar="R", help=f"The product's release.  [default: {DEFAULT_RELEASE}]"),
        click.option("--profile", type=click.Choice(get_args(Profile)), help="Whose reading of the rules."),
        click.option("--replication", type=click.Choice(["auto", *get_args(Policy)]), help="The replication policy."),
        click.option("--timing", type=click.Choice(get_args(Timing)), help="No delays, or the product's."),
        upload_options,
        click.option("--at", metavar="INSTANT", help="The lab's wall clock at its start.  [default: the machine's]"),
        click.option(
            "--speed", type=click.FloatRange(0, SPEED_LIMIT, min_open=True), help="Of lab time.  [default: 1]"
        ),
        click.option("--phones", type=int, default=0, help="0: there are no phones in this version."),
        click.option("--broker", metavar="B", help="embedded, mosquitto, or a broker's URL.  [default: embedded]"),
        click.option("--broker-ca", type=click.Path(path_type=Path), help="What its certificate is checked with."),
        click.option("--listen", metavar="ADDR", help="The broker's address; TLS when it is not loopback."),
        click.option("--ports", metavar="P", help="Of the services: auto, real, or offset:N.  [default: auto]"),
        click.option("--fresh", is_flag=True, help="Discard the lab that is there."),
    )
    for option in reversed(options):  # so that --help lists them in this order
        command = option(command)
    return command


def asked_for(*, phones: int, **options: object) -> Asked:
    """What is asked for; each part is looked at by itself, before anything is made or discarded.

    Raises:
        Unusable: it is what there is not, or options contradict each other.
    """
    if phones:
        raise Unusable(f"--phones {phones}: there are no phones in this version; leave it out, or say 0")
    config = options.pop("config", None)
    said = Said(options, read_config(config) if isinstance(config, Path) else None)
    values = said.values
    with said.telling("broker"):
        carrier = _carrier(values.get("broker"))
    with said.telling("listen", "broker"):
        _check_listen(values.get("listen"), carrier)
    with said.telling("ports"):
        ports = _ports(values.get("ports"))
    with said.telling("broker_ca", "broker"):
        authority = _authority(values.get("broker_ca"), carrier)
    with said.telling("at"):
        start = _start(values.get("at"))
    found = {"said": said, "carrier": carrier, "authority": authority, "start": start, "ports": ports}
    return msgspec.convert(values | found, Asked)


def planned(asked: Asked) -> Topology:
    """The cluster that is asked for.

    Raises:
        Unusable: there can be none.
    """
    return asked.cluster(Settings())


def make(directory: Path, asked: Asked, *, fresh_keys: bool = False) -> LabHome:
    """Make the home of a new lab; the keys of its default CAs come from the user's cache, or are made anew.

    Raises:
        Unusable: there is one, or no such lab can be.
    """
    start = machine_wall() if asked.start is None else asked.start
    home = provision(
        directory,
        planned(asked),
        wall_start=start,
        name=name_of(directory),
        options=asked.options(),
        carrier=asked.carrier,
        broker_ca=asked.authority,
        keys=None if fresh_keys else users_keys(os.environ),
    )
    if asked.start is None:
        ClockFile(directory).begin(start)
    return home


def name_of(directory: Path) -> str | None:
    """What people call a lab: its folder, or the folder that a hidden one is in; None when that says nothing."""
    return (directory.parent.name if directory.name.startswith(".") else directory.name) or None


def same(home: LabHome, asked: Asked) -> None:
    """See that the lab that is there is what is asked for, as far as anything was said (design 7.1).

    Raises:
        Unusable: it is not; the text names the difference.
    """
    found = home.topology
    base = Settings(
        nodes=found.names,
        release=found.release,
        profile=found.profile,
        replication=found.replication,
        timing=found.timing,
        domain=found.domain,
        beyond_product=True,
        der_pkcs7=found.der_pkcs7,
        strict_uploads=found.strict_uploads,
    )
    difference = home.matches(asked.cluster(base), asked.options())
    account = None if asked.carrier is None else asked.carrier.account
    if difference is None and account is not None and account != home.carrier.account:
        difference = "broker: the lab has another user or password there"
    if difference is None and asked.start is not None and asked.start != home.lab.wall_start:
        difference = f"at: the lab has {rfc3339(home.lab.wall_start)}, asked for is {rfc3339(asked.start)}"
    if difference is not None:
        with asked.said.telling(difference.partition(":")[0]):
            raise Unusable(f"the lab in {home.path} is another: {difference}; leave the option out, or say --fresh")


def _carrier(said: object) -> Carrier | None:
    if not isinstance(said, str):
        return None
    carrier = read_carrier(said)
    if carrier.kind == "mosquitto":
        find_mosquitto()
    return carrier


def _check_listen(said: object, carrier: Carrier | None) -> None:
    if said is not None and carrier is not None and carrier.kind == "url":
        raise Unusable(f"--listen goes with a broker that ucmlab runs; {carrier.text} listens where it does already")


def _ports(said: object) -> str | None:
    return None if said is None else read_ports(str(said), RuleBook.load(DEFAULT_RELEASE).ports).text


def _authority(said: object, carrier: Carrier | None) -> bytes | None:
    if said is None:
        return None
    if carrier is None or not carrier.tls:
        raise Unusable("--broker-ca goes with --broker mqtts://…: nothing else has a certificate to check")
    return read_authority(Path(str(said)))


def _start(said: object) -> int | None:
    if said is None:
        return None
    start = wall_instant(str(said))
    if not EARLIEST <= start <= LATEST:
        raise Unusable(f"no lab begins at {said}; say an instant from 1950 to 9899, like 2027-01-31T08:00:00Z")
    return start
