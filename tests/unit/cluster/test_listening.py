"""The listeners of a real node: what befalls their ports is told or waited for, and ends nobody."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from ucmlab.cluster import doors
from ucmlab.cluster.listening import Listeners
from ucmlab.cluster.ports import Ports
from ucmlab.node.commands import LayDown, TakeUp
from ucmlab.node.events import AnyEvent, ListenerFailed, PeerShown
from ucmlab.node.keyring import KeyRing
from ucmlab.node.listeners import Listener
from ucmlab.node.loaded import Loaded
from ucmlab.node.rulebook import RuleBook

TVS = Listener(rule="ours", name="tvs", service="TVS", port=0, presents=())
STARTED = TakeUp("TVS", Loaded(listeners=(TVS,)))
CAPF = Listener(rule="ours", name="capf", service="TVS", port=0, presents=())
BOTH = TakeUp("TVS", Loaded(listeners=(TVS, CAPF)))


class NoWebsite:
    """None of the listeners here is Cisco Tomcat's."""

    async def protocol(self) -> asyncio.Protocol:
        raise AssertionError

    def closed(self) -> None:
        raise AssertionError


class NoTerminal:
    """Nor are they System SSH's."""

    async def serve(self, sock: socket.socket, let_in: Callable[[], None]) -> None:
        raise AssertionError(sock, let_in)


class Told:
    """What the core and the lab hear."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.addresses: dict[str, str] = {}
        self.anchors: dict[str, tuple[bytes, ...]] = {}

    def moved(self, addresses: dict[str, str], anchors: dict[str, tuple[bytes, ...]]) -> None:
        self.addresses, self.anchors = addresses, anchors


@asynccontextmanager
async def listening(told: Told, home: Path, terminal: NoTerminal | None = None) -> AsyncIterator[Listeners]:
    ring, book = KeyRing(home), RuleBook.load("14SU2")
    listeners = Listeners("127.0.0.1", Ports(), ring, book, website=NoWebsite(), terminal=terminal or NoTerminal())
    listeners.attach(told.events.append, told.moved)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listeners.run())
        await asyncio.sleep(0)
        yield listeners
        listeners.close()


class Keyless(NoTerminal):
    """Its host key cannot be had."""

    async def serve(self, sock: socket.socket, let_in: Callable[[], None]) -> None:
        sock.close()
        raise PermissionError(13, "Permission denied", let_in)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_without_descriptors_a_port_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def no_more(sock: socket.socket) -> tuple[socket.socket, object]:
        tried.append(sock.fileno())
        raise OSError(errno.EMFILE, "Too many open files")

    told = Told()
    async with listening(told, tmp_path) as listeners:
        listeners.take_up(STARTED)
        monkeypatch.setattr(socket.socket, "accept", no_more)
        host, _, port = told.addresses["tvs"].partition(":")
        with socket.create_connection((host, int(port))):
            await turns(50)
            assert len(tried) == 1
            listeners.lay_down(LayDown("TVS"))
    assert told.addresses == {}


# -- who says nothing


class Guests:
    """Clients that dial and say nothing."""

    def __init__(self, addresses: dict[str, str], stack: AsyncExitStack) -> None:
        self._addresses = addresses
        self._stack = stack

    async def dial(self, name: str) -> asyncio.StreamReader:
        host, _, port = self._addresses[name].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        self._stack.callback(writer.close)
        await turns(20)
        return reader


async def turned_away(reader: asyncio.StreamReader) -> bool:
    """Whether its connection ends; nothing else would end it for ten seconds."""
    async with asyncio.timeout(5):
        return await reader.read(1) == b""


async def test_who_came_first_and_says_nothing_goes_for_who_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "AT_A_PORT", 3)
    told = Told()
    async with listening(told, tmp_path) as listeners, AsyncExitStack() as stack:
        listeners.take_up(BOTH)
        guests = Guests(told.addresses, stack)
        readers = [await guests.dial("tvs") for _ in range(5)]
        other = await guests.dial("capf")
        assert [await turned_away(each) for each in readers[:2]] == [True, True]
        assert [each.at_eof() for each in (*readers[2:], other)] == [False] * 4


async def test_who_is_silent_at_one_port_goes_for_who_comes_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "CONNECTIONS", 4)
    told = Told()
    async with listening(told, tmp_path) as listeners, AsyncExitStack() as stack:
        listeners.take_up(BOTH)
        guests = Guests(told.addresses, stack)
        silent = [await guests.dial("tvs") for _ in range(4)]
        others = [await guests.dial("capf") for _ in range(2)]
        assert [await turned_away(each) for each in silent[:2]] == [True, True]
        assert [each.at_eof() for each in (*silent[2:], *others)] == [False] * 4


async def test_who_was_let_in_stays_and_there_is_no_room_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "AT_A_PORT", 2)
    with socket.socket() as sock:
        door = doors.Door("TVS", Loaded(listeners=(TVS,)).endpoint(TVS), sock)
        async with asyncio.TaskGroup() as tasks:
            inside, knocking = [tasks.create_task(asyncio.sleep(60)) for _ in range(2)]
            for each in (inside, knocking):
                door.come(each)
            door.let_in(inside)
            assert doors.make_room([door], door)
            await turns(2)
            assert (inside.done(), knocking.cancelled(), len(door)) == (False, True, 1)
            late = tasks.create_task(asyncio.sleep(60))
            door.come(late)
            door.let_in(late)
            assert (doors.make_room([door], door), door.knocking, len(door)) == (False, 0, 2)
            door.clear()
        assert len(door) == 0


async def test_who_has_been_served_goes_for_others_until_it_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "AT_A_PORT", 2)
    with socket.socket() as sock:
        door = doors.Door("TVS", Loaded(listeners=(TVS,)).endpoint(TVS), sock)
        async with asyncio.TaskGroup() as tasks:
            early, late = [tasks.create_task(asyncio.sleep(60)) for _ in range(2)]
            for each in (early, late):
                door.come(each)
                door.let_in(each)
            assert not doors.make_room([door], door)
            door.let_out(late)
            door.let_out(early)
            door.let_in(late)
            door.let_out(late)  # served once more, so the other has been silent for longer
            assert doors.make_room([door], door)
            await turns(2)
            assert (early.cancelled(), late.done()) == (True, False)
            door.let_out(early)  # it has gone
            assert (door.knocking, len(door)) == (1, 1)
            door.clear()


async def test_a_command_line_without_its_host_key_ends_nobody(tmp_path: Path) -> None:
    told = Told()
    shell = Listener(rule="ours", name="ssh", service="SSH", port=0, speaks="ssh", presents=())
    async with listening(told, tmp_path, Keyless()) as listeners:
        listeners.take_up(TakeUp("SSH", Loaded(listeners=(shell,))))
        host, _, port = told.addresses["ssh"].partition(":")
        for expected in (1, 2):
            with socket.create_connection((host, int(port))):
                await turns(50)
            assert [type(each) for each in told.events] == [ListenerFailed] * expected


async def test_a_port_that_cannot_be_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    async with listening(told, tmp_path) as listeners:
        with monkeypatch.context() as patched:
            patched.setattr(socket, "socket", _no_socket)
            listeners.take_up(STARTED)
    assert told.addresses == {}
    assert [(type(each), each.what) for each in told.events if isinstance(each, ListenerFailed)] == [
        (ListenerFailed, "tvs")
    ]


def _no_socket(*_: object) -> socket.socket:
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"],
    ids=["nothing", "no TLS", "half a greeting"],
)
async def test_who_does_not_come_to_the_end_of_his_handshake_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr("ucmlab.cluster.listening.HANDSHAKE_S", 0.01)
    told = Told()
    async with listening(told, tmp_path) as listeners:
        listeners.take_up(STARTED)
        host, _, port = told.addresses["tvs"].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(said)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert [(each.token, each.listener) for each in told.events if isinstance(each, PeerShown)] == [("", "tvs")]
