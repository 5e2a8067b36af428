"""Which lab is asked for by `ucmlab init` and `up`, and how it becomes a home: made anew, or found to be the same."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, get_args

import click
import msgspec

from ucmlab.cluster.carriers.choice import Carrier, read_carrier
from ucmlab.cluster.carriers.keeping import read_authority
from ucmlab.cluster.carriers.mosquitto import find_mosquitto
from ucmlab.cluster.cli.options import wall_instant
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.labclock import ClockFile
from ucmlab.cluster.provision import LabHome, provision
from ucmlab.cluster.topology import DEFAULT_NODES, DEFAULT_RELEASE, Profile, Settings, Topology, read_settings, topology
from ucmlab.node.clock import machine_wall
from ucmlab.node.config import Policy, Timing
from ucmlab.node.instant import rfc3339

Command = TypeVar("Command", bound=Callable[..., object])
SETTINGS = ("nodes", "release", "profile", "replication", "timing", "beyond_product")
"""Options that a lab.toml can say as well."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the options say; None: nothing was said."""

    nodes: str | None
    config: Path | None
    release: str | None
    profile: Profile | None
    replication: str | None
    timing: Timing | None
    at: str | None
    speed: float | None
    carrier: Carrier | None
    broker_ca: Path | None
    listen: str | None
    beyond_product: bool | None

    def settings(self, base: Settings) -> Settings:
        """The settings of `base`, with what was said instead."""
        said = {name: getattr(self, name) for name in SETTINGS}
        return msgspec.structs.replace(base, **{name: value for name, value in said.items() if value is not None})

    def options(self) -> dict[str, str]:
        """The options that are no settings of the topology, as `lab.json` keeps them."""
        speed = None if self.speed is None else f"{self.speed:g}"
        broker = None if self.carrier is None else self.carrier.text
        said = {"broker": broker, "listen": self.listen, "speed": speed}
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
        click.option("--at", metavar="INSTANT", help="The lab's wall clock at its start.  [default: the machine's]"),
        click.option("--speed", type=click.FloatRange(0, 100_000, min_open=True), help="Of lab time.  [default: 1]"),
        click.option("--phones", type=int, default=0, help="0: there are no phones in this version."),
        click.option("--broker", metavar="B", help="embedded, mosquitto, or a broker's URL.  [default: embedded]"),
        click.option("--broker-ca", type=click.Path(path_type=Path), help="What its certificate is checked with."),
        click.option("--listen", metavar="ADDR", help="The broker's address; TLS when it is not loopback."),
        click.option("--fresh", is_flag=True, help="Discard the lab that is there."),
    )
    for option in reversed(options):  # so that --help lists them in this order
        command = option(command)
    return command


def asked_for(*, phones: int, **said: object) -> Asked:
    """What the options say.

    Raises:
        Unusable: they ask for what there is not.
    """
    if phones:
        raise Unusable(f"--phones {phones}: there are no phones in this version; leave it out, or say 0")
    broker = said.pop("broker")
    carrier = read_carrier(broker) if isinstance(broker, str) else None
    asked = msgspec.convert(said | {"carrier": carrier}, Asked)
    if asked.nodes is not None and asked.config is not None:
        raise Unusable("say --nodes or --config, not both: a lab.toml names the nodes")
    if carrier is not None and carrier.kind == "mosquitto":
        find_mosquitto()
    if asked.listen is not None and carrier is not None and carrier.kind == "url":
        raise Unusable(f"--listen goes with a broker that ucmlab runs; {carrier.text} listens where it does already")
    if asked.broker_ca is not None and (carrier is None or not carrier.tls):
        raise Unusable("--broker-ca goes with --broker mqtts://…: nothing else has a certificate to check")
    return asked


def planned(asked: Asked) -> Topology:
    """The cluster that is asked for.

    Raises:
        Unusable: there can be none.
    """
    if asked.at is not None:
        wall_instant(asked.at)
    return topology(asked.settings(_base(asked)))


def make(directory: Path, asked: Asked) -> LabHome:
    """Make the home of a new lab.

    Raises:
        Unusable: there is one, or no such lab can be.
    """
    start = machine_wall() if asked.at is None else wall_instant(asked.at)
    home = provision(
        directory,
        planned(asked),
        wall_start=start,
        name=name_of(directory),
        options=asked.options(),
        carrier=asked.carrier,
        broker_ca=None if asked.broker_ca is None else read_authority(asked.broker_ca),
    )
    if asked.at is None:
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
    )
    wanted = topology(asked.settings(base if asked.config is None else _base(asked)))
    difference = home.matches(wanted, asked.options())
    account = None if asked.carrier is None else asked.carrier.account
    if difference is None and account is not None and account != home.carrier.account:
        difference = "broker: the lab has another user or password there"
    if difference is None and asked.at is not None and wall_instant(asked.at) != home.lab.wall_start:
        difference = f"at: the lab has {rfc3339(home.lab.wall_start)}, asked for is {asked.at}"
    if difference is not None:
        raise Unusable(f"the lab in {home.path} is another: {difference}; leave the option out, or say --fresh")


def _base(asked: Asked) -> Settings:
    if asked.config is None:
        return Settings()
    try:
        text = asked.config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Unusable(f"{asked.config} cannot be read: {why}") from error
    return read_settings(text, where=str(asked.config))
