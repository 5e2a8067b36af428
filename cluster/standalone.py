"""Where operators reach a node that runs on its own, as in a container: no supervisor stands between.

Its socket speaks the language of the control channel, as far as an operator may: operations and questions. Faults are
for whoever runs the process (`docker compose kill sub2`).
"""

import asyncio
import socket
from pathlib import Path

import msgspec

from ucmlab.cluster.control import Channel, listen, same_user, socket_path
from ucmlab.cluster.control_messages import Act, AskStatus, FromNode, Replied, StatusTold, ToNode, act_event
from ucmlab.node.commands import Reply
from ucmlab.node.events import OPERATIONS
from ucmlab.node.shell import NodeShell

_decoder: msgspec.msgpack.Decoder[ToNode] = msgspec.msgpack.Decoder(ToNode)
_encode = msgspec.msgpack.Encoder().encode


class Reception:
    """Takes operators in, one connection each. Is the node's `Observer`; use it inside the event loop."""

    def __init__(self, home: Path, name: str, shell: NodeShell) -> None:
        """Listen from now on."""
        self._shell = shell
        self._path = socket_path(home, name)
        self._listener = listen(self._path)
        self._visitors: set[_Visitor] = set()
        self._waiting: dict[str, _Visitor] = {}
        self._addresses: dict[str, str] = {}
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Let everybody go."""
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        self._listener.close()
        self._path.unlink(missing_ok=True)
        for visitor in self._visitors:
            visitor.channel.close()

    def moved(self, addresses: dict[str, str], anchors: dict[str, tuple[bytes, ...]]) -> None:
        """What is open where, by name; whoever asks how the node is hears it."""
        del anchors  # there is no one who could keep a bundle for all nodes
        self._addresses = addresses

    def replied(self, reply: Reply) -> None:
        """See `Observer`."""
        visitor = self._waiting.pop(reply.op_id, None)
        if visitor is not None:
            visitor.send(Replied(reply))

    def changed(self) -> None:
        """See `Observer`. Nobody steps its time, so nobody needs its counts."""

    def drain(self) -> None:
        """See `Observer`."""
        for visitor in tuple(self._visitors):
            visitor.channel.drain()

    def hear(self, visitor: "_Visitor", body: bytes) -> None:
        """Take in what a visitor says."""
        match _decoder.decode(body):
            case AskStatus(number=number):
                visitor.send(StatusTold(number, self._shell.status(), self._addresses))
            case Act() as message if isinstance(event := act_event(message), OPERATIONS):
                self._waiting[event.op_id] = visitor
                self._shell.act(event)
            case _:
                self.leave(visitor)

    def leave(self, visitor: "_Visitor") -> None:
        """Forget a visitor; what it asked for goes on all the same."""
        visitor.channel.close()
        self._visitors.discard(visitor)
        self._waiting = {op_id: each for op_id, each in self._waiting.items() if each is not visitor}

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # it went away before we came to it
        if same_user(sock):
            self._visitors.add(_Visitor(self, sock))
        else:
            sock.close()


class _Visitor:
    """One operator's connection."""

    def __init__(self, reception: Reception, sock: socket.socket) -> None:
        self.channel = Channel(
            sock, frame=lambda body: reception.hear(self, body), closed=lambda: reception.leave(self)
        )

    def send(self, message: FromNode) -> None:
        self.channel.send(_encode(message))
