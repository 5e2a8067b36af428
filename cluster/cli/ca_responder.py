"""`ucmlab ca responder`: an authority's OCSP responder, in the foreground, for people and pipelines."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from cryptography.x509 import ocsp

from ucmlab.cluster.ca.authority import pem_of
from ucmlab.cluster.ca.kept import Kept
from ucmlab.cluster.ca.keys import make_key
from ucmlab.cluster.ca.ocsp_messages import Signer, refusal
from ucmlab.cluster.ca.responder import REFUSALS, SIGNERS, Responder, make_signer
from ucmlab.cluster.cli.ca_place import ca_place, place_options
from ucmlab.cluster.cli.listening import Listen, read_listen
from ucmlab.cluster.cli.output import check_output, output_option, write_file
from ucmlab.cluster.errors import LabGone, Unusable
from ucmlab.cluster.outside.place import Holding
from ucmlab.node.instant import SECOND

DEFAULT_LISTEN = "127.0.0.1:2560"
SIGNER_KEY = "rsa-2048"
_SERIAL = 1
_ITS_OWN = ("delegated", "undelegated")
"""Signers whose certificate the CA issues, so that it stands in its books."""


class Manners(msgspec.Struct, frozen=True):
    """What is wrong with it, if anything is."""

    stale: bool
    refuses: str
    slow_s: float


@click.command()
@click.argument("name", required=False)
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, metavar="ADDR:PORT", help="Port 0: any.")
@click.option(
    "--signer",
    type=click.Choice(SIGNERS),
    default="ca",
    show_default=True,
    help="Who signs the answers: undelegated lacks the attribute for it, unrelated signed itself.",
)
@click.option("--stale", is_flag=True, help="Its answers counted until a week ago.")
@click.option("--refuse", type=click.Choice(sorted(REFUSALS)), help="It refuses every request so.")
@click.option("--slow", type=click.FloatRange(min=0), default=0, metavar="SECONDS", help="It takes so long to answer.")
@output_option
@place_options
def responder(
    name: str | None,
    *,
    listen: str,
    signer: str,
    stale: bool,
    refuse: str | None,
    slow: float,
    output: Path | None,
    directory: Path,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Run a CA's OCSP responder until SIGTERM; its CRL is at /crl.

    It answers from the CA's books as they are when it is asked, so `ca revoke` in another terminal counts at once. With
    -o the certificate of who signs is written, for clients that are to trust it by itself. Certificates name it if
    they were signed with `ca sign --ocsp`.
    """
    where = read_listen(listen, like=DEFAULT_LISTEN)
    if output is not None:
        check_output(output, binary=False)
    place = ca_place(directory, folder)
    with place.locked():
        kept = place.find(name)
        made = make_signer(signer, kept.office, lambda: make_key(SIGNER_KEY), serial=_SERIAL)
        if signer in _ITS_OWN:
            kept.enter(made.certificate)
    if output is not None:
        write_file(output, pem_of([made.certificate]))
    manners = Manners(stale, refuse or "", slow)
    answers = FromBooks(lambda: ca_place(directory, folder).find(kept.name), made, manners)

    def announce(url: str) -> None:
        told = {"ca": kept.name, "url": url, "crl": f"{url}/crl", "signer": signer}
        click.echo(json.dumps(told) if as_json else f"listening on {url}")
        sys.stdout.flush()

    asyncio.run(serve(answers, where, manners, announce))


class FromBooks:
    """Answers from a CA's folder, read anew each time: other commands change it."""

    def __init__(self, opened: Callable[[], Kept], signer: Signer, manners: Manners) -> None:
        """`opened` finds the CA as it is at that moment, with the clock of that moment."""
        self._opened = opened
        self._signer = signer
        self._manners = manners

    def answer(self, request: bytes) -> bytes:
        """The response to a request; what keeps it from the books is an error of its own (RFC 6960, 2.3)."""
        try:
            return self._responder().answer(request)
        except (Unusable, LabGone):
            return refusal(ocsp.OCSPResponseStatus.INTERNAL_ERROR)

    def crl(self) -> bytes:
        """The CRL of now, DER.

        Raises:
            Unusable: the books cannot be read.
            LabGone: the lab, whose clock counts, went away meanwhile.
        """
        return self._responder().crl()

    def _responder(self) -> Responder:
        made = Responder(self._opened().office, self._signer)
        made.stale, made.refuses = self._manners.stale, self._manners.refuses
        return made


class MachineTime:
    """Appointments by the machine's clock: nobody's lab waits here."""

    @property
    def now(self) -> int:
        """Microseconds."""
        return int(asyncio.get_running_loop().time() * SECOND)

    def at(self, due: int, action: Callable[..., None], *arguments: object) -> None:
        """Do something at an instant."""
        asyncio.get_running_loop().call_at(due / SECOND, action, *arguments)


async def serve(answers: FromBooks, where: Listen, manners: Manners, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM.

    Raises:
        Unusable: the address cannot be had.
    """
    from ucmlab.cluster.outside.ocsp import OcspPlace  # noqa: PLC0415  aiohttp; other commands need not pay for it

    holding = Holding(MachineTime(), node=lambda node: None, changed=lambda: None)
    place = OcspPlace("responder", holding, answers)
    place.wanted_port = where.port
    place.slow(int(manners.slow_s * SECOND))
    try:
        await place.open(where.host)
        if where.port not in (0, place.port):
            raise Unusable(f"port {where.port} of {where.host} is taken; choose another with --listen")
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        announce(place.url)
        await stop.wait()
    finally:
        place.close()
