"""`ucmlab broker`: the embedded broker alone, in the foreground, as a compose service runs it for a lab."""

import asyncio
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec

from ucmlab.broker.access import ALLOW_ALL, AccessRule, Account, Accounts
from ucmlab.broker.core import BrokerCore
from ucmlab.broker.server import EmbeddedBroker
from ucmlab.cluster.cli.listening import Listen, read_listen
from ucmlab.cluster.cli.options import directory_option, topic_filter
from ucmlab.cluster.cli.places import read_url
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import LabHome, open_lab

DEFAULT_LISTEN = "127.0.0.1:1883"


@click.command()
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, metavar="ADDR:PORT", help="Where to listen.")
@click.option("--anonymous", is_flag=True, help="No lab: everybody may do everything. On loopback only.")
@click.option("--deny-subscribe", "denied", multiple=True, metavar="FILTER", help="Nobody may read what this matches.")
@directory_option
def broker(*, listen: str, anonymous: bool, denied: tuple[str, ...], directory: Path) -> None:
    """Run the embedded broker in the foreground, with the accounts and access rules of the lab in --dir."""
    where = read_listen(listen, like=DEFAULT_LISTEN)
    home = None if anonymous else open_lab(directory)
    denied = tuple(map(topic_filter, denied))
    accounts = Accounts(anonymous=(*ALLOW_ALL, *_denials(denied))) if home is None else _accounts(home, denied)
    tls = _tls(home, where)
    asyncio.run(serve(accounts, where, tls, _announce))


async def serve(accounts: Accounts, where: Listen, tls: ssl.SSLContext | None, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM.

    Raises:
        Unusable: the address cannot be had.
    """
    core = BrokerCore(accounts.authenticate, accounts.authorize)
    embedded = EmbeddedBroker(core, host=where.host, port=where.port, ssl_context=tls)
    try:
        await embedded.start()
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unusable(f"cannot listen on {where.host}:{where.port}: {reason}; choose another with --listen") from error
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    announce(f"{'mqtts' if tls else 'mqtt'}://{where.host}:{embedded.port}")
    try:
        await stop.wait()
    finally:
        await embedded.stop()


def _announce(url: str) -> None:
    click.echo(f"listening on {url}")
    sys.stdout.flush()


def _accounts(home: LabHome, denied: Sequence[str]) -> Accounts:
    denials = _denials(denied)
    return Accounts(_with(account, denials) for account in home.accounts())


def _with(account: Account, denials: tuple[AccessRule, ...]) -> Account:
    return msgspec.structs.replace(account, rules=(*account.rules, *denials))


def _denials(filters: Sequence[str]) -> tuple[AccessRule, ...]:
    # The filter itself may not be subscribed to, and what a wider one would bring is not delivered.
    return tuple(AccessRule(action, each, allow=False) for each in filters for action in ("subscribe", "receive"))


def _tls(home: LabHome | None, where: Listen) -> ssl.SSLContext | None:
    """TLS is mandatory once a listener is not loopback (design 5), or where the lab's URL says so."""
    url = home.lab.options.get("broker", "") if home is not None else ""
    address = read_url(url) if "://" in url else None
    if where.loopback and (address is None or not address.tls):
        return None
    if home is None:
        raise Unusable("--anonymous listens on loopback only; for other addresses make a lab with `ucmlab init`")
    names = [name for name in (where.name, address.host if address else None, socket.gethostname()) if name]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home.broker_certificate(names))
    return context
