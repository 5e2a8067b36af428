"""The command line's way to nodes that run on their own: each is asked at its own socket; together they are the lab."""

import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn, TypeVar

import msgspec

from ucmlab.broker.codec import UNREADABLE
from ucmlab.cluster import state
from ucmlab.cluster.cli.atrest import facts_at_rest, node_outline_at_rest, view_at_rest
from ucmlab.cluster.cli.places import read_url
from ucmlab.cluster.control import same_user, socket_path
from ucmlab.cluster.control_messages import AskStatus, FromNode, Replied, StatusTold, ToNode, act
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.framing import BrokenFrame, FrameDecoder, framed
from ucmlab.cluster.labclock import ClockFile
from ucmlab.cluster.port import LabFacts, Operation, Outline, ServiceView
from ucmlab.cluster.provision import LabHome
from ucmlab.cluster.requests import Glanced, Presence
from ucmlab.node.clock import LabClock
from ucmlab.node.commands import Reply
from ucmlab.node.connections import listener_name
from ucmlab.node.events import Connect
from ucmlab.node.instant import SECOND, Instant

PATIENCE_S = 60.0
"""Machine time, which here is lab time, after which an operator gives up on a node that does not answer."""
LOOK_EVERY_S = 0.05
Seen = TypeVar("Seen", bound=Outline)
_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[FromNode] = msgspec.msgpack.Decoder(FromNode)


class StandaloneNodes:
    """A lab of nodes that run on their own. Is a `LabLink`."""

    def __init__(self, home: LabHome) -> None:
        """Use `reach`."""
        self._home = home

    def dump(self) -> dict[str, object]:
        """The state (design 7.2)."""
        now, statuses = self._look()
        views = [_seen(view_at_rest(self._home, name, lab=now.lab), told) for name, told in statuses.items()]
        return state.dump_of(self._facts(now, statuses), views, lab=now.lab)

    def outline(self) -> dict[str, object]:
        """The state without certificates and rows."""
        now, statuses = self._look()
        seen = [_seen(node_outline_at_rest(self._home, name, lab=now.lab), told) for name, told in statuses.items()]
        return state.outline_of(self._facts(now, statuses), seen, lab=now.lab)

    def glance(self, nodes: Iterable[str]) -> Glanced:
        """Everybody's life, and what the services of `nodes` have loaded."""
        wanted = set(nodes)
        statuses = {name: self._told(name) for name in self._home.topology.names}
        seen = {name: _present(status, told=name in wanted) for name, status in statuses.items()}
        return Glanced(broker_down=False, nodes=seen)

    def operate(self, node: str, operation: Operation) -> Reply:
        """Do an operation on a node."""
        sock = _connect(self._home, node)
        if sock is None:
            text = self._home.topology.rulebook.refusal_text("node_down", node=node)
            return Reply(operation.op_id, "refused", "node_down", text)
        if isinstance(operation, Connect):
            operation = self._directed(operation)
        match _ask(sock, act(operation)):
            case Replied(reply=reply):
                return reply
            case _:
                return Reply(operation.op_id, "indefinite", "node_down", f"{node} does not answer")

    def upgrade(self, nodes: Sequence[str], release: str, op_id: str) -> NoReturn:
        """Not from here."""
        del release, op_id
        raise Unusable(f"nobody supervises these nodes, so nobody can boot {', '.join(nodes)} into another release")

    def mail(self, after: int = 0) -> NoReturn:
        """Not from here."""
        del after
        raise Unusable(
            "nodes that run on their own have no mail server beside them; look at the one that they are told"
        )

    def syslog(self, after: int = 0) -> NoReturn:
        """Not from here."""
        del after
        raise Unusable("nodes that run on their own have no collector beside them; look at the one that they are told")

    def converged(self, within: int) -> bool:
        """Wait until the cluster has converged, at most `within` lab microseconds."""
        deadline = time.monotonic() + within / SECOND
        while not self.outline()["converged"]:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_EVERY_S)
        return True

    def fault(self, what: str, target: str | None = None) -> NoReturn:
        """Not from here."""
        raise Unusable(f"nobody supervises these nodes; {what} {target or 'them'} where they run (docker compose)")

    def partition(self, groups: Sequence[Sequence[str]], broker: int | None) -> NoReturn:
        """Not from here."""
        del groups, broker
        raise Unusable("nobody supervises these nodes; cut the network where they run (docker network disconnect)")

    def inject(
        self, fault: str, target: str, parameters: Mapping[str, str], *, count: int | None, lasts: int | None
    ) -> NoReturn:
        """Not from here."""
        del parameters, count, lasts
        raise Unusable(f"nobody supervises these nodes, so nobody can inject {fault} of {target}")

    def end_fault(self, fault: str, target: str) -> NoReturn:
        """Not from here."""
        raise Unusable(f"nobody supervises these nodes, so no {fault} of {target} stands")

    def advance(self, duration: int) -> NoReturn:
        """Not from here."""
        del duration
        raise Unusable("the time of nodes that run on their own is the machine's; make a lab with `ucmlab up`")

    def speed(self, factor: float) -> NoReturn:
        """Not from here."""
        self.advance(round(factor))

    def down(self) -> NoReturn:
        """Not from here."""
        raise Unusable("nobody supervises these nodes; end them where they run (docker compose down)")

    def _directed(self, connect: Connect) -> Connect:
        """A connection with the address of its other end; whether the network lets it through shows itself."""
        target = self._told(connect.node) if connect.node else None
        if target is None:
            return connect
        listener = listener_name(self._home.topology.rulebook, connect)
        return msgspec.structs.replace(connect, address=target.addresses.get(listener, ""))

    def _look(self) -> tuple[Instant, dict[str, StatusTold | None]]:
        """The time, and what each node says of itself; None of one that is not there."""
        clock = ClockFile(self._home.path).resume(wall_zero=self._home.lab.wall_start, speed=1.0, stepped=False)
        now = LabClock(clock).now()
        return now, {name: self._told(name) for name in self._home.topology.names}

    def _facts(self, now: Instant, statuses: Mapping[str, StatusTold | None]) -> LabFacts:
        first = statuses[self._home.topology.publisher]
        return msgspec.structs.replace(
            facts_at_rest(self._home, wall=now.wall),
            broker={"kind": "url", "url": self._home.lab.options["broker"], "pid": None},
            head=first.status.head if first is not None else None,
        )

    def _told(self, node: str) -> StatusTold | None:
        sock = _connect(self._home, node)
        told = _ask(sock, AskStatus(1)) if sock is not None else None
        return told if isinstance(told, StatusTold) else None


def reach(home: LabHome) -> StandaloneNodes | None:
    """The nodes of `home` if they run on their own and one at least is there, else None."""
    if "://" not in home.lab.options.get("broker", ""):
        return None
    read_url(home.lab.options["broker"])
    found = [sock for name in home.topology.names if (sock := _connect(home, name)) is not None]
    for sock in found:
        sock.close()
    return StandaloneNodes(home) if found else None


def _seen(view: Seen, told: StatusTold | None) -> Seen:
    """What the disk shows, with what the node itself says."""
    if told is None:
        return view
    status = told.status
    services = {
        name: ServiceView(each.state, each.kind, each.enabled, each.since, each.loaded, each.pending)
        for name, each in status.services.items()
    }
    return msgspec.structs.replace(
        view,
        state="up" if status.connected else "isolated",
        services=services,
        addresses=told.addresses,
        open_operations=status.open_operations,
        replication_broken=status.replication_broken,
        files_agree=status.files_agree,
        change_notification=status.change_notification,
    )


def _present(answer: StatusTold | None, *, told: bool) -> Presence:
    if answer is None:
        return Presence("down", None)
    status = answer.status
    loaded = {name: each.loaded for name, each in status.services.items()} if told else None
    return Presence("up" if status.connected else "isolated", loaded)


def _connect(home: LabHome, node: str) -> socket.socket | None:
    home.node_home(node)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE_S)
    try:
        sock.connect(str(socket_path(home.path, node)))
    except OSError:
        sock.close()
        return None
    if not same_user(sock):
        sock.close()
        raise Unusable(f"{node} is run by another user")
    return sock


def _ask(sock: socket.socket, message: ToNode) -> FromNode | None:
    """The answer; None when none came."""
    decoder = FrameDecoder()
    with sock:
        try:
            sock.sendall(framed(_encode(message)))
            while data := sock.recv(1 << 18):
                for body in decoder.feed(data):
                    return _decoder.decode(body)
        except (OSError, BrokenFrame, *UNREADABLE):
            pass  # it is gone, or hangs: as good as no answer
    return None
