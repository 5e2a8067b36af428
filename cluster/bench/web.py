"""Figure `web`: requests to the certificate API of one node, beside a bare aiohttp server's over the same TLS.

One client, one connection that stays open, one request after the other: what is told is what a request takes, not how
many a crowd gets through. A list is read from the node's files. An upload is answered when it is durable, so its floor
is a server that syncs what came in one file; a node writes three: the certificate, the log, the database.
"""

import asyncio
import json
import ssl
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import aiohttp

from ucmlab.cluster.addresses import free_port
from ucmlab.cluster.admin.rest import BASE
from ucmlab.cluster.bench.clusters import KeyStore, cluster_of, names_of
from ucmlab.cluster.bench.labs import UCMLAB, RunningLab, running_lab
from ucmlab.cluster.bench.material import make_certificates
from ucmlab.cluster.bench.measuring import (
    HOST,
    Aim,
    Figure,
    Say,
    bare_server,
    bench_folder,
    cores,
    percentile,
    said,
    spread,
)
from ucmlab.cluster.errors import Unusable

AIM_LIST = 4.0
AIM_UPLOAD = 8.0
OK = 200
WARMING = 20
Ask = Callable[[aiohttp.ClientSession, int], AbstractAsyncContextManager[aiohttp.ClientResponse]]


def measure_web(say: Say, *, lists: int = 1_000, uploads: int = 300) -> Figure:
    """Ask one node for a list, and upload to it, so many times.

    Raises:
        Unusable: the lab did not start, or did not do what it was asked for.
    """
    with bench_folder() as folder:
        keys = KeyStore(folder / "keys", cluster_of(1), cores())
        with running_lab(folder, names_of(1), keys) as lab:
            return asyncio.run(_measure(say, folder, lab, lists=lists, uploads=uploads))


async def _measure(say: Say, folder: Path, lab: RunningLab, *, lists: int, uploads: int) -> Figure:
    told = json.loads(said((*UCMLAB, "env", "--format", "json", "--dir", str(lab.home)), lab.environment))
    url = f"https://{told['UCMLAB_PUB_ADDRESS']}{BASE}"
    account = aiohttp.encode_basic_auth(told["UCMLAB_OS_USER"], told["UCMLAB_OS_PASSWORD"])
    bodies = [
        json.dumps({"service": ["tomcat"], "certificates": [each.pem.decode()]})
        for each in make_certificates(uploads + WARMING)
    ]
    async with aiohttp.ClientSession(connector=_connector(), headers={"Authorization": account}) as client:
        listing = f"{url}/trust/certificate?service=tomcat"
        say(f"web: {lists} lists")
        listed, size = await _timed(client, lists, lambda session, _: session.get(listing))
        say(f"web: {uploads} uploads")
        uploading = f"{url}/trust/certificates"
        uploaded, _ = await _timed(client, uploads, lambda session, at: session.post(uploading, data=bodies[at]))
    say("web: the same, bare")
    with _bare(folder, size) as bare:
        async with aiohttp.ClientSession(connector=_connector()) as client:
            read, _ = await _timed(client, lists, lambda session, _: session.get(bare))
            kept, _ = await _timed(client, uploads, lambda session, at: session.post(bare, data=bodies[at]))
    return _figure(size, {"list": (listed, read, AIM_LIST), "upload": (uploaded, kept, AIM_UPLOAD)})


async def _timed(client: aiohttp.ClientSession, number: int, ask: Ask) -> tuple[list[float], int]:
    """Milliseconds of each request, and the octets of the last answer."""
    took: list[float] = []
    size = 0
    for at in range(number + WARMING):
        began = time.perf_counter()
        async with ask(client, at) as answer:
            size = len(await answer.read())
        took.append((time.perf_counter() - began) * 1e3)
        if answer.status != OK:
            raise Unusable(f"a request was answered with status {answer.status}")
    return took[WARMING:], size


@contextmanager
def _bare(folder: Path, octets: int) -> Generator[str]:
    pem, port = folder / "bare.pem", free_port(HOST, 0)
    key, certificate = folder / "bare.key", folder / "bare.crt"
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bare", "-days", "30")
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)  # noqa: S603
    pem.write_bytes(key.read_bytes() + certificate.read_bytes())
    with bare_server("bareweb", str(pem), str(port), str(octets), port=port, folder=folder):
        yield f"https://{HOST}:{port}/"


def _connector() -> aiohttp.TCPConnector:
    """One connection; unverified, as all scripts against the product do it: the certificate is self-signed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return aiohttp.TCPConnector(ssl=context, limit=1)


def _figure(size: int, timed: Mapping[str, tuple[list[float], list[float], float]]) -> Figure:
    """From the milliseconds of each kind of request, those of its floor, and what it may be times that."""
    measured: dict[str, object] = {"octets_of_a_list": size}
    aims: list[Aim] = []
    for what, (took, floor, aim) in timed.items():
        measured[what] = spread(took) | {"a_second": round(1e3 * len(took) / sum(took), 1)}
        measured[f"bare_{what}"] = spread(floor) | {"a_second": round(1e3 * len(floor) / sum(floor), 1)}
        for at in (50, 99):
            ratio = percentile(took, at) / percentile(floor, at)
            aims.append(Aim(f"{what}, p{at}", ratio, aim, "times bare", at_most=True))
    return Figure("web", measured, tuple(aims))
