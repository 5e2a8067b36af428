"""The command line's end of a running lab's control socket. Plain blocking calls: a command asks one thing and ends."""

import fcntl
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from ucmlab.broker.codec import UNREADABLE
from ucmlab.cluster.cli.lablink import LabGone
from ucmlab.cluster.control import same_user
from ucmlab.cluster.control_messages import act
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.framing import BrokenFrame, FrameDecoder, framed
from ucmlab.cluster.lablock import lock_path, read_pointer
from ucmlab.cluster.port import Operation
from ucmlab.cluster.requests import (
    Advance,
    Answered,
    AnyAnswer,
    AnyRequest,
    Asked,
    AskMail,
    AskSyslog,
    Broken,
    Converged,
    Down,
    Dump,
    EndFault,
    Fault,
    Glance,
    Glanced,
    Impossible,
    Inject,
    MailTold,
    Met,
    Muster,
    Mustered,
    Operate,
    Operated,
    Partition,
    Speed,
    SyslogTold,
    Told,
    UpgradeTo,
)
from ucmlab.node.commands import Reply

END_TIMEOUT_S = 10.0
"""Machine time for a supervisor to be gone after it has ended its lab."""
POLL_S = 0.005
_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Answered] = msgspec.msgpack.Decoder(Answered)


class LabClient:
    """A running lab, asked over its control socket. Is a `LabLink`."""

    def __init__(self, home: Path, sock: socket.socket) -> None:
        """Use `connect`."""
        self._home = home
        self._sock = sock
        self._decoder = FrameDecoder()
        self._asked = 0

    def dump(self) -> dict[str, object]:
        """The state (design 7.2)."""
        return self._state(Dump())

    def outline(self) -> dict[str, object]:
        """The state without certificates and rows."""
        return self._state(Dump(certificates=False))

    def _state(self, wanted: Dump) -> dict[str, object]:
        answer = self._ask(wanted)
        if isinstance(answer, Told):
            return msgspec.json.decode(answer.state, type=dict[str, object])
        raise _unexpected(answer)

    def muster(self) -> Mustered:
        """Who runs, and where."""
        answer = self._ask(Muster())
        if isinstance(answer, Mustered):
            return answer
        raise _unexpected(answer)

    def glance(self, nodes: Iterable[str]) -> Glanced:
        """Everybody's life, and what the services of `nodes` have loaded."""
        answer = self._ask(Glance([*nodes]))
        if isinstance(answer, Glanced):
            return answer
        raise _unexpected(answer)

    def mail(self, after: int = 0) -> MailTold:
        """What the lab's mail server took after its mail of that number."""
        answer = self._ask(AskMail(after))
        if isinstance(answer, MailTold):
            return answer
        raise _unexpected(answer)

    def syslog(self, after: int = 0) -> SyslogTold:
        """What the lab's syslog collector was told after its message of that number."""
        answer = self._ask(AskSyslog(after))
        if isinstance(answer, SyslogTold):
            return answer
        raise _unexpected(answer)

    def operate(self, node: str, operation: Operation) -> Reply:
        """Do an operation on a node."""
        answer = self._ask(Operate(node, act(operation)))
        if isinstance(answer, Operated):
            return answer.reply
        raise _unexpected(answer)

    def upgrade(self, nodes: Sequence[str], release: str, op_id: str) -> Reply:
        """Upgrade nodes one after the other; see `LabLink`."""
        answer = self._ask(UpgradeTo([*nodes], release, op_id))
        if isinstance(answer, Operated):
            return answer.reply
        raise _unexpected(answer)

    def converged(self, within: int) -> bool:
        """Wait until the cluster has converged, at most `within` lab microseconds."""
        answer = self._ask(Converged(within))
        if isinstance(answer, Met):
            return answer.met
        raise _unexpected(answer)

    def fault(self, what: str, target: str | None = None) -> None:
        """Break or mend something; see `LabLink`."""
        self._ask(Fault(what, target))

    def partition(self, groups: Sequence[Sequence[str]], broker: int | None) -> None:
        """Cut the network into groups."""
        self._ask(Partition([list(group) for group in groups], broker))

    def inject(
        self, fault: str, target: str, parameters: Mapping[str, str], *, count: int | None, lasts: int | None
    ) -> None:
        """Inject a fault of the catalogue; see `LabLink`."""
        self._ask(Inject(fault, target, dict(parameters), count, lasts))

    def end_fault(self, fault: str, target: str) -> None:
        """End one that stands."""
        self._ask(EndFault(fault, target))

    def advance(self, duration: int) -> None:
        """Let lab time jump."""
        self._ask(Advance(duration))

    def speed(self, factor: float) -> None:
        """Let lab time flow faster or slower."""
        self._ask(Speed(factor))

    def down(self) -> None:
        """End the lab; returns when every process of it is gone, the supervisor too."""
        self._ask(Down())
        deadline = time.monotonic() + END_TIMEOUT_S
        while _held(lock_path(self._home)):
            if time.monotonic() > deadline:
                raise LabGone("the lab has ended, but its supervisor has not")
            time.sleep(POLL_S)

    def close(self) -> None:
        """Let go of the connection."""
        self._sock.close()

    def _ask(self, request: AnyRequest) -> AnyAnswer:
        self._asked += 1
        try:
            self._sock.sendall(framed(_encode(Asked(self._asked, request))))
            answer = self._receive()
        except (OSError, BrokenFrame, *UNREADABLE) as error:
            raise LabGone(f"the lab ended while it was being asked: {error}") from error
        match answer:
            case Impossible(text=text):
                raise Unusable(text)
            case Broken(text=text):
                raise LabGone(text)
            case _:
                return answer

    def _receive(self) -> AnyAnswer:
        while True:
            data = self._sock.recv(1 << 18)
            if not data:
                raise ConnectionResetError("no answer came")
            for body in self._decoder.feed(data):
                answered = _decoder.decode(body)
                if answered.number == self._asked:
                    return answered.answer


def connect(home: Path) -> LabClient | None:
    """The lab of `home` if it runs, else None."""
    pointer = read_pointer(home)
    if pointer is None:
        return None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(pointer.socket)
    except OSError:
        sock.close()  # its supervisor died without a word
        return None
    if not same_user(sock):
        sock.close()
        raise Unusable(f"the lab in {home} is run by another user")
    return LabClient(home, sock)


def _unexpected(answer: AnyAnswer) -> LabGone:
    return LabGone(f"the lab answered something else: {type(answer).__name__}; is it of another version of ucmlab?")


def _held(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
