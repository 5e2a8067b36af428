"""The process of one node: puts core, disk, keys, bus and shell together, and obeys the lab's control channel."""

import asyncio
import logging
import os
import socket
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import msgspec

from ucmlab.broker.aiomqtt_bus import AiomqttBus
from ucmlab.broker.bus import Will
from ucmlab.broker.codec import BusCodec
from ucmlab.broker.signing import Ed25519Signer, Ed25519Verifier
from ucmlab.broker.topics import echo_topic
from ucmlab.cluster.admin.accounts import Guard
from ucmlab.cluster.admin.desk import Desk
from ucmlab.cluster.admin.lazily import LazyTerminal, LazyWebsite
from ucmlab.cluster.calling import Caller
from ucmlab.cluster.control import Channel
from ucmlab.cluster.control_messages import (
    Act,
    AskStatus,
    Crashed,
    Detour,
    Felt,
    Fire,
    FromNode,
    Moved,
    NodeSpec,
    Places,
    Probe,
    Prod,
    Pulsed,
    Recover,
    Replied,
    SetClock,
    SetTime,
    Stall,
    StatusTold,
    Suffer,
    ToNode,
    act_event,
)
from ucmlab.cluster.exchanges import Performer, TaskExchanges
from ucmlab.cluster.framing import framed
from ucmlab.cluster.lasting import LastingConnections
from ucmlab.cluster.listening import Listeners
from ucmlab.cluster.nodefaults import NodeFaults
from ucmlab.cluster.outside.lazily import LazilyAsking
from ucmlab.cluster.outside.senders import Senders
from ucmlab.node.clock import LabClock
from ucmlab.node.commands import CloseLink, Exchange, OpenTls, Record, Reply
from ucmlab.node.core import NodeCore
from ucmlab.node.disk import NodeDisk
from ucmlab.node.events import DiskImage, ReplicationSet, Started
from ucmlab.node.journal_file import JournalFile
from ucmlab.node.key_commands import KeyCommands
from ucmlab.node.keyring import KeyRing
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.shell import NodeShell, Observer, Pulse
from ucmlab.publisher.core import PublisherCore

EXIT_CRASHED = 70
UNASKED_AFTER_S = 0.02
"""Machine time after which a node tells its pulse unasked while time flows: nobody steps, so one may tell of many."""
_decoder: msgspec.msgpack.Decoder[ToNode] = msgspec.msgpack.Decoder(ToNode)
_encode = msgspec.msgpack.Encoder().encode


class Node:
    """One node's parts, put together around its disk."""

    def __init__(self, spec: NodeSpec) -> None:
        """Read the disk and build everything; call it inside the event loop."""
        config, home = spec.config, Path(spec.home)
        rulebook = RuleBook.load(config.release, config.profile)
        self.clock = LabClock(spec.clock)
        self.disk = NodeDisk(home, rulebook, publisher=config.is_publisher)
        ring = KeyRing(home)
        keys = KeyCommands(home, config, rulebook, ring)
        self.image: DiskImage = self.disk.load()
        codec = BusCodec(
            cluster=config.cluster,
            sender=config.name,
            boot=self.image.boot,
            signer=Ed25519Signer(ring.bus.signing_private),
            verifier=Ed25519Verifier({member.name: member.signing for member in config.members}),
        )
        self.journal = JournalFile(Path(spec.logs) / f"{config.name}.jsonl", config.name)
        for number, text in enumerate(self.disk.load_warnings, 1):
            fact = Record(f"{config.name}.{self.image.boot}.disk.{number}", "disk_warning", "", "", {"text": text})
            self.journal.write(fact, self.clock.now())
        core = (PublisherCore if config.is_publisher else NodeCore)(config, rulebook, codec)
        self.desk = Desk(config, home, boot=self.image.boot, clock=self.clock, journal=self.journal)
        guard = Guard(spec.admins)
        website, terminal = LazyWebsite(self.desk, guard), LazyTerminal(self.desk, guard)
        self.listeners = Listeners(spec.host, spec.ports, ring, rulebook, website=website, terminal=terminal)
        self.lasting = LastingConnections()
        self.places = dict(spec.outside)
        """Where servers outside are, by the names that only the lab's nodes know."""
        calls: dict[type[Exchange], Performer] = {
            OpenTls: Caller(self.listeners, self.lasting, self.places).open_tls,
            CloseLink: self.lasting.close_link,
        }
        calls |= LazilyAsking(config.name).performers
        self.exchanges = TaskExchanges(calls | Senders(config.fqdn, self.places).performers())
        self.shell = NodeShell(
            core=core,
            disk=self.disk,
            keys=keys,
            exchanges=self.exchanges,
            doors=self.listeners,
            journal=self.journal,
            clock=self.clock,
        )
        self.bus = AiomqttBus(spec.endpoint, self.shell, will=Will(*core.will()))
        self.bus.stall(stalled=spec.stalled)
        if spec.detour is not None:
            self.bus.detour((spec.detour.host, spec.detour.port))
        self.faults = NodeFaults(self.shell, self.bus, self.clock, seed=config.seed)
        self.echo_topic = echo_topic(config.cluster, spec.endpoint.client_id)

    def attach(self, observer: Observer) -> None:
        """`observer` hears what the lab wants to know; what administrators asked for is answered to them."""
        self.desk.attach(self.shell, observer)
        self.shell.attach(self.bus, self.desk)

    async def run(self, *, troubles: Iterable[Act], replication_broken: bool) -> None:
        """Live until stopped in order."""
        faults = (ReplicationSet(broken=True),) if replication_broken else ()
        try:
            await self.shell.run(*map(act_event, troubles), Started(self.image), *faults)
        finally:
            self.disk.close()
            self.journal.close()


class LabLink:
    """The node's end of the control channel: obeys, answers, and tells when the node has become idle."""

    def __init__(self, sock: socket.socket, node: Node) -> None:
        """Listen from now on."""
        self._node = node
        self._told: Pulse | None = None
        self._scheduled = False
        self._asked_status = 0
        self._told_status = 0
        self._loop = asyncio.get_running_loop()
        self._channel = Channel(sock, frame=self._on_frame, closed=_lab_is_gone)

    def replied(self, reply: Reply) -> None:
        """See `Observer`."""
        self._send(Replied(reply))

    def moved(self, addresses: dict[str, str], anchors: dict[str, tuple[bytes, ...]]) -> None:
        """Tell the lab what is open where, and what it is verified with."""
        self._send(Moved(addresses, anchors))

    def felt(self, number: int) -> None:
        """Tell the lab that a fault was felt."""
        self._send(Felt(number))

    def changed(self) -> None:
        """See `Observer`. Tells the lab once: at the end of this turn of the loop, or a little later if time flows."""
        if not self._scheduled:
            self._scheduled = True
            if self._node.clock.stepped:
                self._loop.call_soon(self._tell)
            else:
                self._loop.call_later(UNASKED_AFTER_S, self._tell)

    def drain(self) -> None:
        """See `Observer`."""
        self._channel.drain()

    def _tell(self) -> None:
        self._scheduled = False
        self._tell_status()
        pulse = self._node.shell.pulse()
        if pulse.idle and pulse.unanswered == 0 and pulse != self._told:
            self._told = pulse
            self._send(Pulsed(0, pulse))

    def _on_frame(self, body: bytes) -> None:
        message = _decoder.decode(body)
        match message:
            case SetTime(lab=lab):
                self._node.clock.advance(lab)
            case SetClock(setting=setting):
                self._node.shell.set_clock(setting)
                self._tell()
            case Places(places=places):
                self._node.places.update(places)
            case Probe(number=number, echo=echo, written=written):
                self._answer_probe(number, echo=echo, written=written)
            case AskStatus(number=number):
                self._asked_status = number
                self._tell_status()
            case Fire() | Act() | Stall() | Prod() | Suffer() | Recover() | Detour():
                self._obey(message)

    def _answer_probe(self, number: int, *, echo: bool, written: bool) -> None:
        def answer() -> None:
            self._send(Pulsed(number, self._node.shell.pulse()))

        if echo:
            self._node.bus.echo(self._node.echo_topic, answer)
        elif written:
            self._node.bus.when_written(answer)
        else:
            answer()

    def _tell_status(self) -> None:
        # Before its first event a core cannot tell; whoever asks then waits for the end of that event.
        if self._told_status < self._asked_status and self._node.shell.pulse().turns:
            self._told_status = self._asked_status
            self._send(StatusTold(self._asked_status, self._node.shell.status()))

    def _obey(self, act: Fire | Act | Stall | Prod | Suffer | Recover | Detour) -> None:
        shell = self._node.shell
        match act:
            case Fire():
                shell.fire()
            case Act():
                shell.act(act_event(act))
            case Stall(stalled=stalled):
                self._node.bus.stall(stalled=stalled)
                shell.act()
            case Prod():
                self._node.bus.prod()
                shell.act()
            case Suffer():
                self._node.faults.suffer(act)
                shell.act()
            case Recover(number=number):
                self._node.faults.recover(number)
                shell.act()
            case Detour(host=host, port=port):
                self._node.bus.detour((host, port))
                shell.act()

    def _send(self, message: FromNode) -> None:
        self._channel.send(_encode(message))


def node_main(spec: NodeSpec, sock: socket.socket) -> NoReturn:
    """Be this node, from here to the end of the process."""
    try:
        asyncio.run(_live(spec, sock))
    except BaseException:  # noqa: BLE001  the one boundary: a bug must be seen, whatever it is
        text = traceback.format_exc()
        sys.stderr.write(text)
        sys.stderr.flush()
        _last_words(sock, text)
        os._exit(EXIT_CRASHED)
    os._exit(0)


async def _live(spec: NodeSpec, sock: socket.socket) -> None:
    # It warns of each write to a client that has gone, so that whoever comes and goes fills the log.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: _on_stray_exception(sock, context))
    node = Node(spec)
    link = LabLink(sock, node)
    node.attach(link)
    node.listeners.attach(node.shell.offer, link.moved)
    node.lasting.attach(node.shell.offer)
    node.faults.attach(link.felt)
    for fault in spec.suffers:
        node.faults.suffer(fault)
    await node.run(troubles=spec.troubles, replication_broken=spec.replication_broken)


def _last_words(sock: socket.socket, text: str) -> None:
    try:
        sock.setblocking(True)
        sock.sendall(framed(_encode(Crashed(text))))
    except OSError:
        pass  # the lab is gone too


def _on_stray_exception(sock: socket.socket, context: dict[str, object]) -> None:
    # asyncio only logs what a callback raises. A callback of ours has then lost a frame or an event: that is a crash.
    # One of aiomqtt's that found its socket gone is not: its next attempt to connect is all there is to do about it.
    error = context.get("exception")
    text = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else str(context["message"])
    sys.stderr.write(text)
    sys.stderr.flush()
    if "handle" in context and isinstance(error, BaseException) and _is_ours(error):
        _last_words(sock, text)
        os._exit(EXIT_CRASHED)


def _is_ours(error: BaseException) -> bool:
    return any("ucmlab" in frame.filename for frame in traceback.extract_tb(error.__traceback__))


def _lab_is_gone() -> None:
    os._exit(1)
