"""Fakes that keep a port's promises, for tests that are not about what is behind the port."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from ucmlab.broker.messages import Row, Setting
from ucmlab.cluster.ca.responder import Responder
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.ledger import Ledger
from ucmlab.cluster.outside.received import Logged, Mail
from ucmlab.cluster.port import LabFacts, NodeLife, NodeView, Operation, ServiceView, Standing
from ucmlab.cluster.simkeys import sim_ec
from ucmlab.cluster.state import db_digest
from ucmlab.node.commands import CsrForm, OpenTls, Reply
from ucmlab.node.csr import make_csr
from ucmlab.node.events import (
    Age,
    Connect,
    Delete,
    DeleteCsr,
    FileImage,
    GenerateCsr,
    GenerateSelfSigned,
    OrderService,
    Plant,
    Regenerate,
    RegenerateAuthz,
    ReuseCertificate,
    SetDefaultCas,
    SetParameter,
    TlsOpened,
    Upgrade,
    Upload,
)
from ucmlab.node.instant import MINUTE, SECOND, from_rfc3339
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.services import CHANGE_NOTIFICATION

TFTP = "Cisco Tftp"
WALL = from_rfc3339("2026-01-05T08:00:00Z")


class FakeNode:
    """What one node of the fake holds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.release = "14SU2"
        self.state: NodeLife = "up"
        self.files: dict[tuple[str, str], FileImage] = {}
        self.rows: dict[tuple[str, str], Row] = {}
        self.csrs: dict[str, bytes] = {}
        self.service = "started"
        self.dies_after: str | None = None


class FakeServed:
    """A responder that nobody can ask."""

    url, crl_url = "http://ocsp.test", "http://ocsp.test/crl"

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def slow(self, delay: int | None) -> None: ...


class FakePeer:
    """Where nobody ever connects."""

    address = "192.0.2.1:443"

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class FakeLab:
    """A lab in memory: rows reach nodes that are up after two seconds, files after ten. `data` is the DER itself."""

    def __init__(self, names: Sequence[str] = ("pub", "sub1", "sub2")) -> None:
        self.nodes = {name: FakeNode(name) for name in names}
        self.broker_up = True
        self.groups: Sequence[Sequence[str]] = ()
        self.closed = False
        self.settings: tuple[Setting, ...] = ()
        self.responders: dict[str, Responder] = {}
        self.peers: list[str] = []
        self.ledger = Ledger("sim", list(names))
        self._now = 100 * SECOND
        self._due: list[tuple[int, Callable[[], None]]] = []
        self._watchers: list[Callable[[], None]] = []
        self._journal: list[dict[str, object]] = []

    @property
    def mode(self) -> Literal["sim", "local"]:
        return "sim"

    @property
    def names(self) -> Sequence[str]:
        return list(self.nodes)

    async def serve_responder(self, name: str, responder: Responder) -> FakeServed:
        self.responders[name] = responder
        return FakeServed()

    async def serve_peer(self, name: str, *, chain: Sequence[bytes], key: bytes, trusted: Sequence[bytes]) -> FakePeer:
        del chain, key, trusted
        self.peers.append(name)
        return FakePeer()

    def now(self) -> int:
        return self._now

    def wall(self) -> int:
        return WALL + self._now

    def view(self, node: str) -> NodeView:
        if node not in self.nodes:
            raise Unusable(f"there is no node {node!r}; there are {', '.join(self.nodes)}")
        it = self.nodes[node]
        up = it.state != "down"
        loaded = {"tomcat": _fingerprint(_identity(node))} if up and it.service == "started" else {}
        return NodeView(
            name=node,
            role="pub" if node == "pub" else "sub",
            release=it.release,
            fqdn=f"{node}.lab.test",
            state=it.state,
            pid=None,
            home="",
            addresses={},
            clock_offset=0,
            epoch=1,
            seq=0,
            digest=db_digest(it.rows.values()),
            settings_digest="",
            settings=self.settings,
            rows=tuple(it.rows.values()),
            files=tuple(it.files.values()),
            paths={},
            identities={"tomcat": _identity(node)},
            csrs=dict(it.csrs),
            services={
                TFTP: ServiceView(
                    it.service if up else "stopped", "feature", enabled=True, since=0, loaded=loaded, pending=()
                ),
                CHANGE_NOTIFICATION: ServiceView(
                    "started" if up else "stopped", "network", enabled=True, since=0, loaded={}, pending=()
                ),
            },
            authz=None,
            open_operations=0,
            replication_broken=False,
            files_agree=it.files.keys() == it.rows.keys(),
            change_notification=up,
        )

    def standing(self, node: str) -> Standing:
        return self.view(node)

    def facts(self) -> LabFacts:
        return LabFacts(
            name="fake",
            mode="sim",
            release="14SU2",
            profile="seed",
            replication="faithful",
            wall=self.wall(),
            broker={"kind": "embedded", "url": None, "pid": None},
            faults=(),
            head=(1, 0),
        )

    def events(self, name: str | None = None, node: str | None = None) -> list[dict[str, object]]:
        return [event for event in self._journal if name in (None, event["event"]) and node in (None, event["node"])]

    def messages(self, topic_filter: str) -> list[tuple[str, bytes]]:  # noqa: ARG002  # nothing is on this bus
        return []

    def mail(self) -> list[Mail]:
        return []

    def syslog(self) -> list[Logged]:
        return []

    async def stop_place(self, place: str) -> None:
        self._journal.append({"event": "fault", "node": "lab", "fault": "stop", "target": place})

    async def start_place(self, place: str) -> None:
        self._journal.append({"event": "fault", "node": "lab", "fault": "start", "target": place})

    async def slow_place(self, place: str, delay: int | None) -> None:
        self._journal.append({"event": "fault", "node": "lab", "fault": "slow", "target": place, "delay_us": delay})

    async def start_node(self, node: str) -> None:
        self.nodes[node].state = "up"
        others = [other for other in self.nodes.values() if other.name != node]
        self._after(2 * SECOND, lambda: self.nodes[node].rows.update(others[0].rows))
        self._after(10 * SECOND, lambda: self._write_files(node))

    async def stop_node(self, node: str) -> None:
        self.nodes[node].state = "down"

    async def reboot_node(self, node: str) -> None:
        await self.stop_node(node)
        await self.start_node(node)

    async def kill_node(self, node: str, at: str | None = None) -> None:
        if at is None:
            self.nodes[node].state = "down"
        else:
            self.nodes[node].dies_after = at

    async def pause_node(self, node: str) -> None:
        self.nodes[node].state = "paused"

    async def resume_node(self, node: str) -> None:
        await self.start_node(node)

    async def kill_broker(self) -> None:
        self.broker_up = False

    async def start_broker(self) -> None:
        self.broker_up = True

    async def partition(self, groups: Sequence[Sequence[str]], broker: int | None = None) -> None:  # noqa: ARG002
        self.groups = groups

    async def isolate(self, node: str) -> None:
        self.groups = [*(group for group in self.groups if node not in group), [node]]

    async def heal(self, node: str | None = None) -> None:  # noqa: ARG002
        self.groups = ()

    async def set_replication(self, node: str, *, broken: bool) -> None:
        self._record("fault", node, fault="replication", state="broken" if broken else "repaired")

    async def inject(
        self,
        fault: str,
        target: str,
        parameters: Mapping[str, str],
        *,
        count: int | None = None,
        until: int | None = None,
    ) -> None:
        injected = self.ledger.declare(fault, target, parameters, count=count, until=until)
        if fault == "isolate":
            await self.isolate(target)
            injected.used()
        self.ledger.begin(injected)

    async def end_fault(self, fault: str, target: str) -> None:
        self.ledger.take(fault, target)

    def unfired(self) -> list[str]:
        return self.ledger.unfired()

    async def operate(self, node: str, operation: Operation) -> Reply:
        it = self.nodes[node]
        if it.state == "down":
            return Reply(operation.op_id, "refused", "node_down", f"{node} is down")
        if it.state == "paused":
            await self.wait(MINUTE)
            return Reply(operation.op_id, "indefinite")
        self._record("operation", node, operation_id=operation.op_id)
        return self._answer(it, operation)

    def _answer(self, it: FakeNode, operation: Operation) -> Reply:
        match operation:
            case DeleteCsr():
                return self._delete_csr(it, operation)
            case Upload():
                return self._upload(it, operation)
            case Delete():
                return self._delete(operation)
            case OrderService():
                self.nodes[operation.node].service = "stopped" if operation.action == "stop" else "started"
            case GenerateCsr():
                it.csrs[operation.unit] = _request(it.name)
            case SetParameter():
                new = {name: Setting(operation.place, name, value) for name, value in operation.values}
                self.settings = (*(each for each in self.settings if each.name not in new), *new.values())
            case Upgrade():
                it.release = operation.release
            case (
                RegenerateAuthz()
                | Regenerate()
                | GenerateSelfSigned()
                | ReuseCertificate()
                | SetDefaultCas()
                | Plant()
                | Age()
                | Connect()
            ):
                pass
        return Reply(operation.op_id, "done")

    def _delete_csr(self, it: FakeNode, operation: DeleteCsr) -> Reply:
        there = it.csrs.pop(operation.unit, None) is not None
        return Reply(operation.op_id, "done") if there else Reply(operation.op_id, "refused", "csr_missing")

    async def probe(self, node: str, command: OpenTls) -> TlsOpened:
        return TlsOpened(command.token, "unreachable", text=f"nobody listens on {node}")

    async def wait(self, duration: int) -> None:
        await self.wait_until(lambda: False, duration)

    async def wait_until(self, predicate: Callable[[], bool], within: int) -> bool:
        end = self._now + within
        while not predicate():
            due = [at for at, _ in self._due if at <= end]
            if not due:
                self._now = end
                return predicate()
            self._now = min(due)
            ready = [act for at, act in self._due if at <= self._now]
            self._due = [(at, act) for at, act in self._due if at > self._now]
            for act in ready:
                act()
                for watcher in list(self._watchers):
                    watcher()
        return True

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def close(self) -> None:
        self.closed = True

    def _upload(self, node: FakeNode, operation: Upload) -> Reply:
        if not operation.data:
            return Reply(operation.op_id, "refused", "empty", "there is nothing in it")
        row = Row(operation.purpose, _fingerprint(operation.data), operation.data, operation.description, None)
        node.files[row.key] = FileImage(row.unit, f"{row.fingerprint[:8]}.pem", row.der, row.description)
        if node.dies_after == "WriteFile":
            node.state, node.dies_after = "down", None
            return Reply(operation.op_id, "indefinite")
        node.rows[row.key] = row
        for other in self.nodes.values():
            self._after(2 * SECOND, lambda it=other: it.state == "up" and it.rows.update({row.key: row}))  # type: ignore[misc]
            self._after(10 * SECOND, lambda it=other: self._write_files(it.name))  # type: ignore[misc]
        return Reply(operation.op_id, "done", nodes=dict.fromkeys(self.nodes, "pending"))

    def _delete(self, operation: Delete) -> Reply:
        for node in self.nodes.values():
            node.files.pop((operation.unit, operation.fingerprint), None)
            node.rows.pop((operation.unit, operation.fingerprint), None)
        return Reply(operation.op_id, "done")

    def _write_files(self, node: str) -> None:
        it = self.nodes[node]
        if it.state == "up":
            for key, row in it.rows.items():
                it.files.setdefault(key, FileImage(row.unit, f"{row.fingerprint[:8]}.pem", row.der, row.description))

    def _after(self, delay: int, act: Callable[[], object]) -> None:
        self._due.append((self._now + delay, lambda: (act(), None)[1]))

    def _record(self, name: str, node: str, **fields: object) -> None:
        self._journal.append({"id": len(self._journal), "at": self._now, "node": node, "event": name, **fields})


def _identity(node: str) -> bytes:
    return f"identity of {node}".encode()


def _fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def _request(node: str) -> bytes:
    form = CsrForm("ec-256", "sha256", f"{node}.lab.test", (f"{node}.lab.test",), ou=False, ca=False)
    return make_csr(form, RuleBook.load("14SU2").csrs["pub", "tomcat"], sim_ec(0, "ec-256"))
