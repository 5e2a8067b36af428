"""The control channel over real sockets, and where its sockets lie."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ucmlab.cluster.control import Channel, listen, runtime_folder, same_user, socket_path
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.framing import LARGEST_FRAME, LENGTH


class End:
    """One end of a channel, remembering what it heard."""

    def __init__(self, sock: socket.socket) -> None:
        self.frames: list[bytes] = []
        self.closed = asyncio.Event()
        self.heard = asyncio.Event()
        self.channel = Channel(sock, frame=self._frame, closed=self.closed.set)

    async def has(self, number: int) -> list[bytes]:
        async with asyncio.timeout(10):
            while len(self.frames) < number:
                self.heard.clear()
                await self.heard.wait()
        return self.frames

    def _frame(self, body: bytes) -> None:
        self.frames.append(body)
        self.heard.set()


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    ours, theirs = socket.socketpair()
    both = End(ours), End(theirs)
    yield both
    for end in both:
        end.channel.close()


async def test_frames_arrive_in_order_also_when_they_fill_the_sockets_buffer(ends: tuple[End, End]) -> None:
    near, far = ends
    bodies = [bytes([number]) * 100_000 for number in range(50)]

    for body in bodies:
        near.channel.send(body)

    assert await far.has(50) == bodies


async def test_draining_takes_in_what_was_sent_before_without_a_turn_of_the_loop(ends: tuple[End, End]) -> None:
    near, far = ends
    near.channel.send(b"now")

    far.channel.drain()

    assert far.frames == [b"now"]


async def test_a_plain_call_can_wait_for_an_answer(ends: tuple[End, End]) -> None:
    near, far = ends
    near.channel.send(b"answer")

    assert far.channel.wait(lambda: bool(far.frames), 10)
    assert not far.channel.wait(lambda: len(far.frames) > 1, 0.001)


async def test_the_end_of_one_side_is_told_to_the_other_after_its_last_frame(ends: tuple[End, End]) -> None:
    near, far = ends
    near.channel.send(b"last")
    near.channel.close()

    async with asyncio.timeout(10):
        await far.closed.wait()

    assert far.frames == [b"last"]
    assert not far.channel.is_open
    far.channel.send(b"nobody hears it")


async def test_a_peer_that_sends_no_frames_of_ours_is_cut_off() -> None:
    raw, theirs = socket.socketpair()
    end = End(theirs)

    raw.sendall(LENGTH.pack(LARGEST_FRAME + 1))

    async with asyncio.timeout(10):
        await end.closed.wait()
    raw.close()


def test_the_socket_has_a_short_path_however_long_that_of_the_home_is(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 30) / ("deeper" * 30)
    path = socket_path(home)

    assert len(os.fsencode(path)) < 104
    assert path != socket_path(home / "other")
    with listen(path) as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        served, _ = listener.accept()
        with served:
            assert same_user(served)
            assert same_user(client)
    path.unlink()


def test_a_socket_left_by_a_dead_owner_is_replaced(tmp_path: Path) -> None:
    path = socket_path(tmp_path)
    listen(path).close()

    with listen(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    path.unlink()


def test_the_runtime_folder_is_the_sessions_if_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Path("/tmp") / f"ucmlab-test-{os.getpid()}"  # noqa: S108  made and removed here
    short.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    try:
        assert runtime_folder() == short / "ucmlab"
        assert (short / "ucmlab").stat().st_mode & 0o777 == 0o700
        (short / "ucmlab").rmdir()
    finally:
        short.rmdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    assert runtime_folder() == Path(f"/tmp/ucmlab-{os.getuid()}")  # noqa: S108  what is under test


def test_a_runtime_folder_that_others_may_write_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Path("/tmp") / f"ucmlab-open-{os.getpid()}"  # noqa: S108  made and removed here
    session.mkdir(mode=0o700)
    (session / "ucmlab").mkdir()
    (session / "ucmlab").chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    try:
        with pytest.raises(Unusable, match=r"is not yours alone; remove it, or set XDG_RUNTIME_DIR"):
            runtime_folder()
    finally:
        (session / "ucmlab").rmdir()
        session.rmdir()
