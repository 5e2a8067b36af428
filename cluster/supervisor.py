"""The supervisor: the process behind `ucmlab up`. It owns a lab in flowing time and answers the command line.

`run_lab` does all of `up` in this process; `ucmlab.cluster.daemon` does the same in one of its own.
"""

import asyncio
import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from threading import Event as ThreadEvent

import msgspec

from ucmlab.broker.codec import UNREADABLE
from ucmlab.cluster.control import Channel, listen, same_user, socket_path
from ucmlab.cluster.control_messages import act_event
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.lablock import LabLock
from ucmlab.cluster.local import BROKER, LabLost, LocalLab, ProcessCrashed
from ucmlab.cluster.outside.received import PLACES
from ucmlab.cluster.processes import entitle, settle_memory
from ucmlab.cluster.provision import LabHome
from ucmlab.cluster.requests import (
    Advance,
    Answered,
    AnyAnswer,
    AnyChange,
    AnyRequest,
    Asked,
    AskMail,
    AskSyslog,
    Broken,
    Converged,
    Done,
    Down,
    Dump,
    EndFault,
    Fault,
    Glance,
    Impossible,
    Inject,
    MailTold,
    Met,
    Muster,
    Operate,
    Operated,
    Partition,
    Speed,
    SyslogTold,
    Told,
    UpgradeTo,
)
from ucmlab.cluster.spawning import ForkServerProcess
from ucmlab.cluster.state import convergence, dump, outline_of
from ucmlab.cluster.stocking import refill, stock_keys
from ucmlab.cluster.upgrading import upgrade_nodes
from ucmlab.node.events import ReplicationSet, ServiceTroubled, StopRequested

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Asked] = msgspec.msgpack.Decoder(Asked)


class Supervisor:
    """Serves one lab on its control socket until it is told to end."""

    def __init__(self, lab: LocalLab) -> None:
        """`serve` does the rest."""
        self._lab = lab
        self._end = asyncio.Event()
        self._ended = asyncio.Event()
        self._moving_time = asyncio.Lock()
        self._channels: set[Channel] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup

    def end(self) -> None:
        """End the lab, in order."""
        self._end.set()

    async def serve(self, listener: socket.socket) -> None:
        """Answer until `end`, `Down`, or the fork server is gone; the lab is ended when this returns."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                loop.add_reader(listener.fileno(), self._accept, listener)
                watch = self._tasks.create_task(self._watch_lab(), name="supervisor.watch")
                await self._end.wait()
                watch.cancel()
                loop.remove_reader(listener.fileno())
                for task in list(self._answering):
                    task.cancel()  # who waits for the lab hears that it is gone
                await self._lab.close()
                self._ended.set()
        finally:
            listener.close()
            for channel in list(self._channels):
                channel.close()

    async def _watch_lab(self) -> None:
        while not self._lab.lost:
            self._lab.roster.changed.clear()
            await self._lab.roster.changed.wait()
        self._end.set()

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return  # it went away before we came
        if not same_user(sock):
            sock.close()
            return

        def on_frame(body: bytes) -> None:
            self._on_frame(channel, body)

        channel = Channel(sock, frame=on_frame, closed=lambda: self._channels.discard(channel))
        self._channels.add(channel)

    def _on_frame(self, channel: Channel, body: bytes) -> None:
        try:
            asked = _decoder.decode(body)
        except UNREADABLE as error:
            channel.send(
                _encode(Answered(0, Impossible(f"not understood, is this ucmlab of the same version? {error}")))
            )
            return
        name = f"supervisor.{type(asked.request).__name__.lower()}"
        task = self._tasks.create_task(self._answer(channel, asked), name=name)
        if not isinstance(asked.request, Down):
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, channel: Channel, asked: Asked) -> None:
        answer: AnyAnswer
        try:
            answer = await self._carry_out(asked.request)
        except Unusable as error:
            answer = Impossible(error.text)
        except (LabLost, ProcessCrashed) as error:
            answer = Broken(str(error))
        except Exception:  # noqa: BLE001  the boundary of one request: the lab goes on, who asked hears of the bug
            answer = Broken(traceback.format_exc())
        channel.send(_encode(Answered(asked.number, answer)))

    async def _carry_out(self, request: AnyRequest) -> AnyAnswer:
        lab = self._lab
        match request:
            case Dump() | Muster() | Glance() | AskMail() | AskSyslog():
                return self._told(request)
            case Operate(node=node, operation=operation):
                event = act_event(operation)
                if isinstance(event, ReplicationSet | ServiceTroubled | StopRequested):
                    raise Unusable("that is a fault, no operation")
                return Operated(await lab.operate(node, event))
            case UpgradeTo(nodes=nodes, release=release, op_id=op_id):
                return Operated(await upgrade_nodes(lab, nodes, release, op_id=op_id))
            case Converged(within=within):
                return Met(await lab.wait_until(lambda: convergence(lab).converged, within))
            case Down():
                self._end.set()
                await self._ended.wait()
            case _:
                await self._change(request)
        return Done()

    def _outline(self) -> dict[str, object]:
        lab = self._lab
        return outline_of(lab.facts(), [lab.outline(name) for name in lab.names], lab=lab.now())

    def _told(self, request: Dump | Muster | Glance | AskMail | AskSyslog) -> AnyAnswer:
        lab = self._lab
        match request:
            case Dump(certificates=certificates):
                return Told(msgspec.json.encode(dump(lab) if certificates else self._outline()))
            case Muster():
                return lab.muster()
            case Glance(nodes=nodes):
                return lab.glance(nodes)
            case AskMail(after=after):
                mails = lab.outside.mail.box
                return MailTold(mails.count, mails.after(after))
            case AskSyslog(after=after):
                messages = lab.outside.syslog.box
                return SyslogTold(messages.count, messages.after(after))

    async def _change(self, request: AnyChange) -> None:
        lab = self._lab
        match request:
            case Fault(what=what, target=target):
                await self._fault(what, target)
            case Partition(groups=groups, broker=broker):
                await lab.partition(groups, broker)
            case Inject(fault=fault, target=target, parameters=parameters, count=count, lasts=lasts):
                until = None if lasts is None else lab.now() + lasts
                await lab.inject(fault, target, parameters, count=count, until=until)
            case EndFault(fault=fault, target=target):
                await lab.end_fault(fault, target)
            case Advance(duration=duration):
                async with self._moving_time:
                    await lab.advance(duration)
            case Speed(factor=factor):
                async with self._moving_time:
                    lab.set_speed(factor)

    async def _fault(self, what: str, target: str | None) -> None:
        lab = self._lab
        if target == BROKER:
            acts = {"kill": lab.kill_broker, "stop": lab.stop_broker, "start": lab.start_broker}
            if what not in acts:
                raise Unusable(f"the broker has no fault {what!r}; it can be killed, stopped and started")
            await acts[what]()
        elif what == "heal":
            await lab.heal(target)
        elif target in PLACES:
            await self._outside(what, target)
        elif target is None:
            raise Unusable(f"say which node to {what}")
        elif what in {"break", "repair"}:
            await lab.set_replication(target, broken=what == "break")
        else:
            await self._life(what, target)

    async def _outside(self, what: str, place: str) -> None:
        acts = {"stop": self._lab.stop_place, "start": self._lab.start_place}
        if what not in acts:
            raise Unusable(f"{place} has no fault {what!r}; it can be stopped and started")
        await acts[what](place)

    async def _life(self, what: str, node: str) -> None:
        lab = self._lab
        acts = {
            "kill": lab.kill_node,
            "stop": lab.stop_node,
            "start": lab.start_node,
            "pause": lab.pause_node,
            "resume": lab.resume_node,
            "isolate": lab.isolate,
        }
        if what not in acts:
            raise Unusable(f"there is no fault {what!r}; there are {', '.join((*acts, 'heal', 'break', 'repair'))}")
        await acts[what](node)


def run_lab(
    home: LabHome,
    ready: Callable[[], None],
    *,
    timeout: float,
    speed: float = 1.0,
    listen_on: str | None = None,
    tls: bool = False,
    fresh_keys: bool = False,
) -> None:
    """Start the lab of `home`, say that it is ready, and serve it until it is ended. Returns when nothing is left.

    Args:
        home: the lab's home; it is held until the end.
        ready: called once, when the lab has converged and can be asked.
        timeout: machine seconds to become ready.
        speed: lab seconds in a machine second.
        listen_on: the broker's address, if not one of the lab's own.
        tls: whether the broker speaks TLS on loopback too.
        fresh_keys: whether nodes make all their keys themselves.

    Raises:
        Unusable: it runs already, or did not become ready; nothing is left.
        LabLost, ProcessCrashed: it broke down; nothing is left.
        KeyboardInterrupt: it was told to end before it was ready; nothing is left.
    """
    lock = LabLock(home.path)
    entitle(home.lab.name, "supervisor")
    settle_memory()
    topology = home.topology
    try:
        # Before anything else, because it imports while this process goes on.
        fork_server = ForkServerProcess(
            lab=home.lab.name,
            release=topology.release,
            profile=topology.profile,
            forked=threading.active_count() == 1,
        )
        try:
            if not fresh_keys:
                stock_keys(home, os.environ)
            lab = LocalLab(home, fork_server, stepped=False, speed=speed, listen=listen_on, tls=tls)
            asyncio.run(_supervise(lock, lab, ready, patience_s=timeout, refilling=not fresh_keys))
        finally:
            fork_server.close()
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        lock.release()


async def _supervise(
    lock: LabLock, lab: LocalLab, ready: Callable[[], None], *, patience_s: float, refilling: bool
) -> None:
    supervisor = Supervisor(lab)
    loop = asyncio.get_running_loop()
    opening = asyncio.current_task()
    opened = False

    def on_signal() -> None:
        if opened:
            supervisor.end()
        elif opening is not None:
            opening.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    path = socket_path(lab.home.path)
    try:
        await _open(lab, patience_s)
        listener = listen(path)
        lock.point(path)
        opened = True
        ready()
        await _serve(supervisor, listener, refilling=refilling)
    finally:
        await lab.close()
        path.unlink(missing_ok=True)
    if lab.lost:
        raise LabLost


async def _serve(supervisor: Supervisor, listener: socket.socket, *, refilling: bool) -> None:
    stop = ThreadEvent()
    async with asyncio.TaskGroup() as tasks:
        if refilling:
            tasks.create_task(asyncio.to_thread(refill, os.environ, stop.is_set), name="supervisor.refill")
        try:
            await supervisor.serve(listener)
        finally:
            stop.set()


async def _open(lab: LocalLab, patience_s: float) -> None:
    try:
        async with asyncio.timeout(patience_s):
            await lab.open()
    except TimeoutError:
        waiting = ", ".join(convergence(lab).waiting_for) or "nodes to start"
        raise Unusable(
            f"the lab did not become ready within {patience_s:g} s; it waits for: {waiting}; "
            "give it more with --timeout, or let its time run faster with --speed"
        ) from None
