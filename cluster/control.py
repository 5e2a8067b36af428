"""The control channel: frames between the processes of a lab, beside the bus and out of every fault's reach.

Fault control and observation never travel on the bus (design 5): what is broken must not carry the order to mend it.
Within a lab a channel is a socket pair that the fork server hands on; the command line reaches a lab through a Unix
socket in a folder that belongs to the user alone.

Raw sockets rather than asyncio's streams: reading is possible at any moment (`drain`), which makes "the lab said so
before that message arrived" a fact, and a plain call may ask a question and wait for the answer.
"""

import asyncio
import hashlib
import os
import select
import socket
import stat
import struct
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.framing import BrokenFrame, FrameDecoder, framed

READ_SIZE = 1 << 18
_UCRED = struct.Struct("3i")
_LONGEST_SOCKET_PATH = 100
"""Linux takes 108 bytes, other systems 104."""


class Channel:
    """One end of a connection that carries frames both ways; used by one event loop."""

    def __init__(self, sock: socket.socket, *, frame: Callable[[bytes], None], closed: Callable[[], None]) -> None:
        """Take over `sock`. `frame` hears of each frame, `closed` once of the end, unless `close` was called."""
        sock.setblocking(False)
        self._sock = sock
        self._frame = frame
        self._closed = closed
        self._decoder = FrameDecoder()
        self._frames: deque[bytes] = deque()
        self._out = bytearray()
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self.drain)

    @property
    def is_open(self) -> bool:
        """Whether both ends are there, as far as is known."""
        return self._open

    def send(self, body: bytes) -> None:
        """Send one frame. To a peer that is gone it is lost, as `closed` tells or told."""
        if not self._open:
            return
        waiting = bool(self._out)
        self._out += framed(body)
        if not waiting:
            self._flush()
            if self._out and self._open:
                self._loop.add_writer(self._sock.fileno(), self._flush)

    def drain(self) -> None:
        """Read what is there now, without waiting."""
        while self._open:
            try:
                data = self._sock.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self._end()
                return
            self._take(data)
            if len(data) < READ_SIZE:
                return

    def wait(self, ready: Callable[[], bool], timeout: float) -> bool:
        """Block this whole process until `ready` (machine seconds), taking frames as they come; False: it never was.

        For plain calls that look at a peer's state. The peer must never do the same to us.
        """
        deadline = time.monotonic() + timeout
        poll = select.poll()
        if self._open:
            poll.register(self._sock.fileno(), select.POLLIN)
        while self._open and not ready():
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                break
            self.drain()
        return ready()

    def close(self) -> None:
        """Let go of the connection, silently."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()

    def _take(self, data: bytes) -> None:
        try:
            self._frames.extend(self._decoder.feed(data))
        except BrokenFrame:
            self._end()
            return
        # Not a plain loop over the new ones: what hears a frame may drain again, and order must hold all the same.
        while self._frames:
            self._frame(self._frames.popleft())

    def _flush(self) -> None:
        try:
            sent = self._sock.send(self._out)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._end()
            return
        del self._out[:sent]
        if not self._out:
            self._loop.remove_writer(self._sock.fileno())

    def _end(self) -> None:
        if self._open:
            self.close()
            self._closed()


def runtime_folder() -> Path:
    """A folder that belongs to this user alone, on a short path, gone after a reboot.

    Raises:
        Unusable: there is one, but others may write into it.
    """
    named = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere")
    folder = named / "ucmlab"
    if not named.is_dir() or len(os.fsencode(folder)) > _LONGEST_SOCKET_PATH - 40:
        folder = Path("/tmp") / f"ucmlab-{os.getuid()}"  # noqa: S108  owner checked below
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise Unusable(
            f"cannot make {folder}: {error.strerror}; set XDG_RUNTIME_DIR to a folder of your own"
        ) from error
    # /tmp is everybody's: whoever made this folder first could answer in the lab's place.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Unusable(f"{folder} is not yours alone; remove it, or set XDG_RUNTIME_DIR to a folder of your own")
    return folder


def lab_key(home: Path) -> str:
    """A short name for a lab, from the path of its home, which may be of any length."""
    return hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]


def socket_path(home: Path, member: str = "") -> Path:
    """Where the lab of `home` (or one node that runs on its own) listens for the command line."""
    return runtime_folder() / f"{lab_key(home)}{'.' + member if member else ''}.sock"


def listen(path: Path) -> socket.socket:
    """Listen on a Unix socket, in the place of one whose owner died. The caller holds the lab's lock."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(os.fspath(path))
    path.chmod(0o600)
    sock.listen(64)
    sock.setblocking(False)
    return sock


def same_user(sock: socket.socket) -> bool:
    """Whether the process at the other end runs as our user (or as root)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # no Linux: the folder's mode is what there is
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _pid, uid, _gid = _UCRED.unpack(raw)
    return uid in {os.getuid(), 0}
