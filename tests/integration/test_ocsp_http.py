"""OCSP over real sockets of this machine: the lab's responder, a node's questions, OpenSSL, and bad servers."""

import asyncio
import base64
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from tests.unit.node.responders import World, serial_of
from ucmlab.cluster.ca.kept import key_pem
from ucmlab.cluster.outside.asking import ANSWER_LIMIT, Asking
from ucmlab.cluster.outside.ocsp import REQUEST_LIMIT, OcspPlace
from ucmlab.cluster.outside.place import Holding
from ucmlab.node.certificates import pem
from ucmlab.node.commands import AskOcsp, FetchCrl
from ucmlab.node.events import OcspAnswered
from ucmlab.node.instant import SECOND, from_datetime
from ucmlab.node.ocsp import read_answer, request_for
from ucmlab.node.rulebook import RuleBook

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
HOST = "127.0.0.1"
ASKING = Asking("sub1")


class Agenda:
    """Lab time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0
        self._made: list[tuple[int, Callable[..., None], tuple[object, ...]]] = []

    def at(self, due: int, action: Callable[..., None], *arguments: object) -> None:
        self._made.append((due, action, arguments))

    def advance(self, duration: int) -> None:
        self.now += duration
        for due, action, arguments in self._made:
            if due <= self.now:
                action(*arguments)
        self._made = [each for each in self._made if each[0] > self.now]


class Lab:
    """One node's count of held answers, and a responder that is open."""

    def __init__(self, world: World) -> None:
        self.world, self.agenda, self.held = world, Agenda(), 0
        self.changed = asyncio.Event()
        holding = Holding(self.agenda, node={"sub1": self}.get, changed=self.changed.set)
        self.place = OcspPlace("ocsp", holding, world.responder)

    def question(self, leaf: bytes) -> AskOcsp:
        return AskOcsp("t", self.place.url, request_for(leaf, self.world.root))


@asynccontextmanager
async def opened(world: World) -> AsyncIterator[Lab]:
    lab = Lab(world)
    await lab.place.open(HOST)
    try:
        yield lab
    finally:
        lab.place.close()


def status(answer: OcspAnswered) -> str:
    assert not answer.trouble, answer.trouble
    return ocsp.load_der_ocsp_response(answer.response).certificate_status.name


async def test_a_node_asks_the_responder_by_post_and_fetches_the_crl() -> None:
    async with opened(World()) as lab:
        good, gone = lab.world.leaf("good"), lab.world.leaf("gone")
        lab.world.revoke(gone)
        assert [status(await ASKING.ask_ocsp(lab.question(leaf))) for leaf in (good, gone)] == ["GOOD", "REVOKED"]
        fetched = await ASKING.fetch_crl(FetchCrl("c", lab.place.crl_url))
        assert [f"{each.serial_number:x}" for each in x509.load_der_x509_crl(fetched.crl)] == [serial_of(gone)]


async def test_anybody_may_ask_by_get() -> None:
    async with opened(World()) as lab, aiohttp.ClientSession() as session:
        asked = lab.question(lab.world.leaf())
        text = quote(base64.b64encode(asked.request).decode(), safe="")
        async with session.get(f"{asked.url}/{text}") as response:
            assert (response.status, response.content_type) == (200, "application/ocsp-response")
            assert ocsp.load_der_ocsp_response(await response.read()).certificate_status is ocsp.OCSPCertStatus.GOOD
        for method, path, content, expected in (
            ("GET", "/no*base64", b"", 400),
            ("PUT", "/", b"", 405),
            ("POST", "/", b"x", 415),
        ):
            async with session.request(method, asked.url + path, data=content) as response:
                assert response.status == expected
        kind = {"Content-Type": "application/ocsp-request"}
        async with session.post(asked.url, data=b"0" * (REQUEST_LIMIT + 1), headers=kind) as response:
            assert response.status == 413
        async with session.post(asked.url, data=b"0" * REQUEST_LIMIT, headers=kind) as response:
            read = ocsp.load_der_ocsp_response(await response.read())
            assert read.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


@pytest.mark.rule("R-164")
async def test_a_responder_that_is_down_refuses_and_comes_back_at_its_address() -> None:
    async with opened(World()) as lab:
        asked = lab.question(lab.world.leaf())
        await lab.place.stop()
        assert (await ASKING.ask_ocsp(asked)).trouble == "refused"
        await lab.place.start()
        assert status(await ASKING.ask_ocsp(asked)) == "GOOD"


async def test_a_slow_responder_holds_its_answer_back_in_lab_time() -> None:
    async with opened(World()) as lab:
        lab.place.slow(5 * SECOND)
        async with asyncio.TaskGroup() as tasks:
            answer = tasks.create_task(ASKING.ask_ocsp(lab.question(lab.world.leaf())))
            await lab.changed.wait()
            assert (lab.held, answer.done()) == (1, False)
            lab.agenda.advance(5 * SECOND)
        assert (lab.held, status(answer.result())) == (0, "GOOD")


async def test_who_gives_up_is_held_no_more_and_a_stop_breaks_off_who_waits() -> None:
    async with opened(World()) as lab:
        lab.place.slow(None)
        asked = lab.question(lab.world.leaf())
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(ASKING.ask_ocsp(asked))
            await lab.changed.wait()
            lab.changed.clear()
            waiting.cancel()
            await lab.changed.wait()
            assert lab.held == 0
            lab.changed.clear()
            broken = tasks.create_task(ASKING.ask_ocsp(asked))
            await lab.changed.wait()
            await lab.place.stop()
        assert broken.result().trouble == "reset"
        assert lab.held == 0


# -- servers that are no responders

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\n"


def says(content: bytes) -> Serve:
    """A server that reads a request and says this."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        await _hung_up(writer)

    return serve


async def resets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def never_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK + b"\r\n")
    try:
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            await writer.drain()
    except ConnectionError:
        pass
    await _hung_up(writer)


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await _hung_up(writer)


async def _hung_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[str]:
    """A server that is gone, with whoever it spoke to, when the test is."""
    visits: list[asyncio.Future[None]] = []

    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        visits.append(over)
        try:
            await serve(reader, writer)
        finally:
            writer.transport.abort()
            await _hung_up(writer)
            over.set_result(None)

    server = await asyncio.start_server(visited, HOST, 0)
    async with server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*visits)


def length(content: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(content) + content


@pytest.mark.parametrize(
    ("serve", "trouble"),
    [
        (resets, "reset"),
        (says(b""), "reset"),
        (says(OK + b"Content-Length: 100\r\n\r\nshort"), "reset"),
        (says(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "no_http"),
        (says(b"HTTP/1.1 500 Internal Server Error\r\n" + length(b"sorry")), "http_500"),
        (says(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.test/\r\n" + length(b"")), "http_302"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + length(b"<html>")), "content_type"),
        (says(OK + length(b"x" * (ANSWER_LIMIT + 1))), "too_large"),
        (never_ends, "too_large"),
    ],
    ids=["reset", "closed", "short", "ssh", "500", "redirect", "html", "huge", "endless"],
)
async def test_servers_that_are_no_responders_are_trouble_of_a_kind(serve: Serve, trouble: str) -> None:
    async with served(serve) as url:
        assert (await ASKING.ask_ocsp(AskOcsp("t", url, b"request"))).trouble == trouble
        if trouble not in ("content_type", "too_large"):
            assert (await ASKING.fetch_crl(FetchCrl("c", url))).trouble == trouble


async def test_nonsense_in_the_right_form_is_the_cores_to_judge() -> None:
    async with served(says(OK + length(b"nonsense"))) as url:
        assert await ASKING.ask_ocsp(AskOcsp("t", url, b"request")) == OcspAnswered("t", b"nonsense")


async def test_a_server_that_says_nothing_is_left_after_a_while() -> None:
    async with served(says_nothing) as url:
        assert (await Asking("sub1", patience_s=0.05).ask_ocsp(AskOcsp("t", url, b"request"))).trouble == "timeout"


@pytest.mark.parametrize(("url", "trouble"), [("http://[", "uri"), ("http://127.0.0.1:0", "refused"), ("", "uri")])
async def test_where_nobody_is(url: str, trouble: str) -> None:
    assert (await ASKING.ask_ocsp(AskOcsp("t", url, b"request"))).trouble == trouble


async def test_a_name_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_asked: object, **_how: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    answer = await ASKING.ask_ocsp(AskOcsp("t", "http://ocsp.corp.test", b"request"))
    assert answer.trouble == "name_unknown"


# -- OpenSSL's command line over HTTP


def current(signer: str) -> World:
    return World(signer, key="rsa-2048", wall=from_datetime(datetime.now(UTC)))


def written(folder: Path, **ders: bytes) -> dict[str, str]:
    for name, der in ders.items():
        (folder / f"{name}.pem").write_text(pem(der))
    return {name: str(folder / f"{name}.pem") for name in ders}


async def run_openssl(*arguments: str) -> asyncio.subprocess.Process:
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
    return await asyncio.create_subprocess_exec("openssl", *arguments, **pipes)  # type: ignore[arg-type]  # two of many


@needs_openssl
async def test_openssl_as_a_client_gets_right_answers_from_the_responder(tmp_path: Path) -> None:
    async with opened(current("delegated")) as lab:
        good, gone = lab.world.leaf("good"), lab.world.leaf("gone")
        lab.world.revoke(gone)
        paths = written(tmp_path, root=lab.world.root, good=good, gone=gone)
        asked = ("-issuer", paths["root"], "-cert", paths["good"], "-cert", paths["gone"])
        process = await run_openssl("ocsp", *asked, "-url", lab.place.url, "-CAfile", paths["root"])
        said, _ = await process.communicate()
        text = said.decode()
        assert process.returncode == 0, text
        assert "Response verify OK" in text
        assert "WARNING: no nonce" not in text
        assert f"{paths['good']}: good" in text
        assert f"{paths['gone']}: revoked" in text
        assert [query.nonce for query in lab.world.responder.queries] == [True, True]


@needs_openssl
@pytest.mark.rule("R-162")
async def test_answers_of_openssl_as_a_server_are_believed(tmp_path: Path) -> None:
    world = current("delegated")
    leaf = world.leaf()
    serial = serial_of(leaf).upper()
    (tmp_path / "index.txt").write_text(f"R\t360101000000Z\t260101000000Z,superseded\t{serial:0>32}\tunknown\t/CN=x\n")
    (tmp_path / "key.pem").write_bytes(key_pem(world.responder.signer.key))
    paths = written(tmp_path, root=world.root, signer=world.signer)
    signed = ("-rsigner", paths["signer"], "-rkey", str(tmp_path / "key.pem"), "-CA", paths["root"])
    index = ("-index", str(tmp_path / "index.txt"))
    process = await run_openssl("ocsp", *index, *signed, "-port", "0", "-nrequest", "1")
    assert process.stdout is not None
    try:
        port = ""
        while not port:
            line = (await process.stdout.readline()).decode()
            assert line, "openssl ended before it listened"
            port = line.split()[1].rpartition(":")[2] if line.startswith("ACCEPT") else ""
        answer = await ASKING.ask_ocsp(AskOcsp("t", f"http://{HOST}:{port}", request_for(leaf, world.root)))
        assert answer.trouble == ""
        read = read_answer(
            answer.response,
            certificate=leaf,
            issuer=world.root,
            designated=(),
            wall=from_datetime(datetime.now(UTC)),
            limits=RuleBook.load("14SU2").revocation.limits,
        )
        assert (read.status, read.detail, read.model) == ("revoked", "superseded", "dtm")
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
