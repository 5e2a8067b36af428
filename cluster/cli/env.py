"""`ucmlab env`: addresses and passwords for programs, as their environment. The one command that prints passwords."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import click

from ucmlab.broker.topics import Topics
from ucmlab.cluster.bundle import bundle_path, write_from_disk
from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.options import directory_option
from ucmlab.cluster.cli.places import node_addresses
from ucmlab.cluster.cli.snapshot import Outline
from ucmlab.cluster.lablock import read_pointer
from ucmlab.cluster.provision import LabHome, open_lab

PORTS = {"https": "HTTPS_PORT", "https_alt": "SOAP_PORT", "ssh": "SSH_PORT"}
"""Keys of a node's `addresses` to names of variables; those that a node does not listen on are left out. The product's
guides give 8443 for SOAP."""


@click.command()
@click.option(
    "--format",
    "style",
    type=click.Choice(["sh", "dotenv", "json", "github"]),
    default="sh",
    show_default=True,
    help="sh: for `eval`; github: to append to $GITHUB_ENV.",
)
@directory_option
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def env(*, style: str, directory: Path, as_json: bool) -> None:
    """Print addresses and passwords of a lab that runs."""
    home = open_lab(directory)
    found = variables(home, attaching.running_outline(home))
    if as_json or style == "json":
        click.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        click.echo(_LINES[style](name, value))


def variables(home: LabHome, state: Outline) -> dict[str, str]:
    """The variables (design 7.1)."""
    secret = home.credentials()
    user, password = bus_account(home)
    found = {
        "UCMLAB_OS_USER": secret.os_user,
        "UCMLAB_OS_PASSWORD": secret.os_password,
        "UCMLAB_READER_USER": secret.reader_user,
        "UCMLAB_READER_PASSWORD": secret.reader_password,
        "UCMLAB_APP_USER": secret.app_user,
        "UCMLAB_APP_PASSWORD": secret.app_password,
        "UCMLAB_CA_BUNDLE": str(_bundle(home)),
        "UCMLAB_MQTT_URL": state.broker.url or "",
        "UCMLAB_MQTT_USER": user,
        "UCMLAB_MQTT_PASSWORD": password,
        "UCMLAB_MQTT_TOPIC": f"{Topics(home.lab.cluster).root}/#",
    }
    addresses = node_addresses(state)
    for name, node in state.nodes.items():
        prefix = f"UCMLAB_{re.sub('[^A-Z0-9]', '_', name.upper())}"
        found |= {f"{prefix}_ADDRESS": addresses[name]} if name in addresses else {}
        found[f"{prefix}_FQDN"] = node.fqdn
        for key, word in PORTS.items():
            if key in node.addresses:
                found[f"{prefix}_{word}"] = node.addresses[key].rpartition(":")[2]
    return found


def bus_account(home: LabHome) -> tuple[str, str]:
    """User and password for whoever listens: the observer's, or the one account that somebody's broker knows."""
    account, secret = home.carrier.account, home.credentials()
    if account is not None:
        return account.username, account.password
    return secret.observer_user, secret.observer_password


def _bundle(home: LabHome) -> Path:
    """What a client trusts to talk to the lab. A supervisor keeps it."""
    path = bundle_path(home)
    if read_pointer(home.path) is None or not path.exists():
        write_from_disk(home)
    return path


def _quoted(value: str) -> str:
    escaped = re.sub(r'(["\\$`])', r"\\\1", value)
    return f'"{escaped}"'


_LINES: dict[str, Callable[[str, str], str]] = {
    "sh": lambda name, value: f"export {name}={shlex.quote(value)}",
    "dotenv": lambda name, value: f"{name}={_quoted(value)}",
    "github": lambda name, value: f"{name}={value}",
}
