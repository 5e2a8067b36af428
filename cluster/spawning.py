"""The lab's side of the fork server: starts it, asks for processes, hears how they end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import msgspec

from ucmlab.cluster.control_messages import (
    SPAWN,
    BrokerSpec,
    Exited,
    ForkServerSpec,
    FromForkServer,
    MosquittoSpec,
    NodeSpec,
    Spawn,
    Spawned,
)
from ucmlab.cluster.processes import outlive_threads

LARGEST_ANSWER = 4096
_decoder: msgspec.msgpack.Decoder[FromForkServer] = msgspec.msgpack.Decoder(FromForkServer)
_encode = msgspec.msgpack.Encoder().encode


class Child:
    """A process of the lab. Once reaped, `exited` is set and `status` is its exit status, or minus the signal."""

    def __init__(self, number: int, ended: Callable[[int], None]) -> None:
        """It has been asked for."""
        self.number = number
        self.pid = 0
        self.status: int | None = None
        self.spawned = asyncio.Event()
        self.exited = asyncio.Event()
        self._ended = ended

    def send_signal(self, number: signal.Signals) -> None:
        """Signal it; nothing happens when it has ended. Its number is not used again before it was reaped."""
        if self.pid and self.status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self, status: int) -> None:
        """It was reaped."""
        self.status = status
        self.spawned.set()
        self.exited.set()
        self._ended(status)


class _Forked:
    """A child without a program of its own, for whom `subprocess` has no word."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._reaped = False

    def kill(self) -> None:
        if not self._reaped:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        if not self._reaped:
            os.waitpid(self.pid, 0)
            self._reaped = True


def _started(spec: ForkServerSpec) -> subprocess.Popen[bytes]:
    options = [f"--{name}={value}" for name, value in msgspec.structs.asdict(spec).items()]
    # start_new_session: a terminal's Ctrl-C is for the lab's owner, which then ends the processes in order.
    return subprocess.Popen(  # noqa: S603  our own interpreter and module
        [sys.executable, "-m", "ucmlab.cluster.forkserver", *options],
        stdin=subprocess.DEVNULL,
        pass_fds=[spec.socket],
        start_new_session=True,
    )


def _forked(spec: ForkServerSpec) -> _Forked:
    outlive_threads()
    pid = os.fork()
    if pid == 0:
        # Not earlier: what only nodes need is loaded while the lab's owner goes on.
        from ucmlab.cluster.forkserver import be_fork_server  # noqa: PLC0415

        be_fork_server(spec)
    return _Forked(pid)


def _send(sock: socket.socket, request: bytes, control: socket.socket) -> None:
    # In memory that both can read: a broker's accounts grow with its cluster, and the kernel limits a message (208 kB).
    memory = os.memfd_create("request")
    try:
        os.pwrite(memory, request, 0)
        socket.send_fds(sock, [SPAWN], [control.fileno(), memory])
    finally:
        os.close(memory)


class ForkServerProcess:
    """The fork server of one lab. Started from the main thread (`die_with_parent` says why)."""

    def __init__(self, *, lab: str, release: str, profile: str, forked: bool = False) -> None:
        """Start it; it is ready when it answers, and takes requests at once.

        Args:
            lab: the lab's name, for titles.
            release: the rules that are read once for all nodes.
            profile: whose reading of them.
            forked: fork this process in place of starting a new one: it need not import again what is imported here.
                Only for a process with one thread and no event loop that is the lab's owner and nothing else.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        spec = ForkServerSpec(os.getpid(), theirs.fileno(), lab, release, profile)
        self._process = _forked(spec) if forked else _started(spec)
        theirs.close()
        ours.setblocking(False)
        self._sock = ours
        self._children: dict[int, Child] = {}
        self._asked = 0
        self._waiting: deque[tuple[bytes, socket.socket]] = deque()
        self._lost: Callable[[], None] = lambda: None
        self._listening = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def attach(self, lost: Callable[[], None]) -> None:
        """Serve the running event loop from now on; `lost` hears when the fork server is gone, and all with it."""
        self._lost = lost
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._on_readable)
        self._listening = True
        self._flush()

    def spawn(
        self, spec: NodeSpec | BrokerSpec | MosquittoSpec, ended: Callable[[int], None]
    ) -> tuple[Child, socket.socket]:
        """Ask for a process; returns it and our end of its control channel. `ended` hears its exit status."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._asked += 1
        child = Child(self._asked, ended)
        self._children[child.number] = child
        self._waiting.append((_encode(Spawn(child.number, spec)), theirs))
        self._flush()
        return child, ours

    def close(self) -> None:
        """End it, and with it everything it forked that still runs; returns when it is gone."""
        self._stop_listening()
        self._sock.close()
        self._process.kill()
        self._process.wait()
        self._end_all()

    def _flush(self) -> None:
        # The kernel queues ten such messages and no more, and while the fork server imports it takes none.
        loop = asyncio.get_running_loop()
        while self._waiting:
            data, theirs = self._waiting[0]
            try:
                _send(self._sock, data, theirs)
            except BlockingIOError:
                if self._listening:
                    loop.add_writer(self._sock.fileno(), self._flush)
                return
            except ConnectionError:
                break  # it is gone; reading tells
            self._waiting.popleft()
            theirs.close()
        if self._listening:
            loop.remove_writer(self._sock.fileno())

    def _stop_listening(self) -> None:
        if self._listening:
            self._listening = False
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            asyncio.get_running_loop().remove_writer(self._sock.fileno())

    def _on_readable(self) -> None:
        while self._listening:
            try:
                data = self._sock.recv(LARGEST_ANSWER)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._stop_listening()
                self._end_all()
                self._lost()
                return
            self._on_message(_decoder.decode(data))

    def _on_message(self, message: FromForkServer) -> None:
        match message:
            case Spawned(number=number, pid=pid):
                self._children[number].pid = pid
                self._children[number].spawned.set()
            case Exited(number=number, status=status):
                self._children.pop(number).end(status)

    def _end_all(self) -> None:
        # The kernel has killed what the fork server had forked.
        while self._waiting:
            self._waiting.popleft()[1].close()
        children, self._children = self._children, {}
        for child in children.values():
            child.end(-signal.SIGKILL)
