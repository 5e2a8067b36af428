"""The chaos proxy of one node's link in a real lab: a TCP proxy between the node and the broker, as bytes.

It lives in the lab's own process, beside the lab's clock, and not in one of its own: what it holds is due in lab time,
and whether anything is in flight is asked here. A node goes through it from the first fault of its link on (`Detour`:
it says goodbye and connects again, which takes milliseconds); a lab without such faults has no proxy at all. TLS passes
through, so it serves every carrier. What faults do to bytes is `ucmlab.cluster.faults`, as in the simulation; a parcel
is what one read brought.

While a link suffers, the broker's counts and the node's cannot agree, so the stepper asks for something else: `still`.
Nothing moves on such a link when the proxy has written out all that it does not hold, and the kernel has no byte of
these connections that an end has not read; and nothing has moved when its `activity` is the same afterwards, once both
ends have answered a probe. What it holds is due at an instant (the agenda knows it) or when a fault ends.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterable
from pathlib import Path

from ucmlab.cluster.faults.lanes import Clock, Lane, Lanes, Parcel

Ports = tuple[int, int]
"""Local and remote port of one end of a connection."""
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


class ChaosProxy:
    """One node's link."""

    def __init__(self, clock: Clock, upstream: tuple[str, int]) -> None:
        """Nothing is wrong; `upstream` is where the broker listens."""
        self.upstream = upstream
        self.address = ("", 0)
        """Where it listens, once it does."""
        self.lanes = Lanes(clock)
        self.activity = 0
        """Goes up whenever anything moves."""
        self._passages: set[_Passage] = set()
        self._server: asyncio.Server | None = None

    async def open(self, host: str) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        self._server = await asyncio.get_running_loop().create_server(lambda: _Passage(self).node_end, host, 0)
        self.address = self._server.sockets[0].getsockname()[:2]

    def close(self) -> None:
        """Break everything and be gone."""
        if self._server is not None:
            self._server.close()
        self.break_all()

    # -- what faults do, beside what they do in the lanes

    def break_all(self) -> bool:
        """Reset every connection at both ends; whether there was any."""
        passages = list(self._passages)
        for passage in passages:
            passage.break_off()
        return bool(passages)

    def lose_broker(self) -> bool:
        """Take the broker's ends away, and tell the node's nothing; whether there was any."""
        lost = [passage.lose_broker() for passage in list(self._passages)]
        return any(lost)

    # -- what the stepper asks

    @property
    def suffers(self) -> bool:
        """Whether it holds something, or will hold whatever comes."""
        return self.lanes.holds() or not self.lanes.empty()

    @property
    def troubled(self) -> bool:
        """Whether anything is wrong, or was when something that is still here came."""
        return bool(self.lanes.effects()) or not self.lanes.empty()

    @property
    def written(self) -> bool:
        """Whether nothing waits here that should go on."""
        return all(passage.written for passage in self._passages)

    def connections(self) -> list[Ports]:
        """Our end of every connection."""
        return [ports for passage in self._passages for ports in passage.ports()]

    # -- what passages tell

    def enter(self, passage: "_Passage") -> None:
        """A node connected."""
        self.activity += 1
        self._passages.add(passage)

    def leave(self, passage: "_Passage") -> None:
        """Both its ends are gone."""
        self.activity += 1
        self._passages.discard(passage)


class _Passage:
    """One connection of the node, and the one to the broker that belongs to it."""

    def __init__(self, proxy: ChaosProxy) -> None:
        self._proxy = proxy
        self.node_end = _End(self)
        self._broker_end = _End(self)
        self._early: list[bytes] = []
        """What the node said before the broker was reached."""
        self._connecting: asyncio.Task[None] | None = None

    def made(self, end: "_End") -> None:
        self._proxy.activity += 1
        if end is self.node_end:
            self._proxy.enter(self)
            self._connecting = asyncio.get_running_loop().create_task(self._reach(), name="chaos.connect")
        else:
            for data in self._early:
                end.write(data)
            self._early.clear()

    async def _reach(self) -> None:
        loop, (host, port) = asyncio.get_running_loop(), self._proxy.upstream
        try:
            await loop.create_connection(lambda: self._broker_end, host, port)
        except OSError:
            self.break_off()
        self._proxy.activity += 1
        self._connecting = None
        if self.node_end.gone:
            self._broker_end.close()

    def brought(self, end: "_End", data: bytes) -> None:
        """An end has sent something."""
        self._proxy.activity += 1
        other = self._other(end)
        self._lane(end).carry(Parcel(None, lambda: self._pass(other, data)))

    def ended(self, end: "_End") -> None:
        """An end is gone. That travels like what it said; but what a stall holds of a dead node is lost."""
        self._proxy.activity += 1
        lane, other = self._lane(end), self._other(end)
        if end is self.node_end and lane.holds():
            other.close()
        else:
            lane.carry(Parcel(None, other.close))
        if other.gone:
            self._proxy.leave(self)

    def break_off(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        for end in (self.node_end, self._broker_end):
            end.abort()
        self._proxy.leave(self)

    def lose_broker(self) -> bool:
        there = not self._broker_end.gone
        self._broker_end.abort()
        return there

    @property
    def written(self) -> bool:
        return self._connecting is None and self.node_end.written and self._broker_end.written

    def ports(self) -> list[Ports]:
        return [end.ports for end in (self.node_end, self._broker_end) if not end.gone]

    def _pass(self, other: "_End", data: bytes) -> None:
        self._proxy.activity += 1
        if other is self._broker_end and self._connecting is not None:
            self._early.append(data)
        else:
            other.write(data)

    def _lane(self, end: "_End") -> Lane:
        """Where what an end says travels."""
        return self._proxy.lanes.up if end is self.node_end else self._proxy.lanes.down

    def _other(self, end: "_End") -> "_End":
        return self._broker_end if end is self.node_end else self.node_end


class _End(asyncio.Protocol):
    """One socket of a passage."""

    def __init__(self, passage: _Passage) -> None:
        self.gone = True
        self.ports: Ports = (0, 0)
        self._passage = passage
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  a stream has no others
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport
        self.gone = False
        self.ports = (transport.get_extra_info("sockname")[1], transport.get_extra_info("peername")[1])
        self._passage.made(self)

    def data_received(self, data: bytes) -> None:
        self._passage.brought(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.gone = True
        self._passage.ended(self)

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def written(self) -> bool:
        transport = self._transport
        return self.gone or transport is None or (not transport.is_closing() and not transport.get_write_buffer_size())


def stillness(links: Iterable[ChaosProxy]) -> object:
    """Something that is the same as long as nothing moves on links that suffer; None while something does."""
    troubled = [link for link in links if link.troubled]
    if not all(link.written for link in troubled):
        return None
    if unread(connection for link in troubled for connection in link.connections()):
        return None
    return tuple(link.activity for link in troubled)


def unread(connections: Iterable[Ports]) -> bool:
    """Whether the kernel holds bytes of these connections that no end has read, as far as this machine has the ends.

    Told by ports alone: a stranger with both the same makes the lab wait for him, and nothing worse. On a system
    without these tables nothing is known, and what the loop has seen must do.
    """
    wanted = {pair for local, remote in connections for pair in ((local, remote), (remote, local))}
    return bool(wanted) and any(_waits(line, wanted) for table in _TABLES for line in _lines(table))


def _lines(table: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return table.read_text().splitlines()[1:]
    return []


def _waits(line: str, wanted: set[Ports]) -> bool:
    _, local, remote, _, queues, *_ = line.split()
    pair = (int(local.rpartition(":")[2], 16), int(remote.rpartition(":")[2], 16))
    return pair in wanted and queues != "00000000:00000000"
