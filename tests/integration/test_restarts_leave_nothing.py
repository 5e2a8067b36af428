"""Restarts leave no socket, no task, no thread and no descriptor behind: in a large lab, and inside of one node."""

import asyncio
import socket
import ssl
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from functools import partial
from itertools import cycle, islice, product
from pathlib import Path

import psutil
import pytest

from tests.integration.command_line import PATIENCE_S, CommandLine
from tests.integration.real_lab import make_home, opened
from tests.integration.usage import processes
from tests.soak_sizes import RESTARTS
from ucmlab.cluster.greetings import GET
from ucmlab.cluster.labclient import connect
from ucmlab.cluster.local import LocalLab
from ucmlab.cluster.nodeprocess import Node
from ucmlab.node.commands import Reply
from ucmlab.node.events import OrderService, StopRequested
from ucmlab.node.rulebook import RuleBook

Tell = Callable[[str, object], None]

NODES = ("pub", *(f"sub{number}" for number in range(1, 21)))
A_MINUTE = 200
SERVICES = ("Cisco Tomcat", "Cisco CallManager", "Cisco Trust Verification Service", "Cisco HAProxy", "IPsec")
"""Services with listeners that every node runs."""
LISTENERS = {
    service: tuple(row for row in rows if row.when is None)
    for service, rows in RuleBook.load("14SU2").listeners_of.items()
}
"""Of each service, those that are open."""
TIMEOUT_S = 30
Census = dict[str, int]
"""What a process holds: descriptors by kind (`socket`, `pipe`, `anon_inode`, `file`), TCP sockets by state, threads."""


def census(process: psutil.Process) -> Census:
    kinds: Counter[str] = Counter()
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            kind, colon, _ = str(descriptor.readlink()).partition(":")
        except FileNotFoundError:
            continue  # closed meanwhile
        kinds[kind if colon else "file"] += 1
    states = Counter(str(each.status) for each in process.net_connections("tcp"))
    return {**kinds, **states, "threads": process.num_threads()}


def more(before: Census, after: Census) -> dict[str, tuple[int, int]]:
    """What there is more of afterwards, with both counts; what has ended meanwhile is no leak."""
    return {kind: (before.get(kind, 0), now) for kind, now in after.items() if now > before.get(kind, 0)}


def told(held: Census) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(held.items()))


def until(holds: Callable[[], bool]) -> bool:
    """Look again and again, for a minute at most."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


# -- a large lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CommandLine]:
    made = CommandLine(tmp_path)
    made.must("up", "--detach", "--timeout", "180s", "--nodes", ",".join(NODES), "--beyond-product")
    try:
        yield made
    finally:
        made.run("down")


class Clients:
    """People who are connected to a service when it is restarted: one says nothing, one has come through TLS."""

    def __init__(self, addresses: dict[str, dict[str, str]]) -> None:
        self._addresses = addresses
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        self.cut_off = 0

    def see(self, node: str, service: str, restart: Callable[[], None]) -> None:
        """They connect, the service is restarted, and they are cut off."""
        with ExitStack() as stack:
            connected = list[socket.socket]()
            for row in LISTENERS[service]:
                silent = stack.enter_context(self._dial(node, row.name))
                connected.append(silent)
                if row.client != "required":
                    inside = self._context.wrap_socket(self._dial(node, row.name))
                    connected.append(stack.enter_context(inside))
            restart()
            for each in connected:
                assert _is_cut_off(each), (node, service)
            self.cut_off += len(connected)

    def are_served(self) -> None:
        """Every listener answers, and the website, which a node loads for whoever comes first."""
        for node, addresses in self._addresses.items():
            assert {row.name for service in SERVICES for row in LISTENERS[service]} <= addresses.keys()
            for listener in ("https", "https_alt", "tvs", "tftp_mra"):
                with self._context.wrap_socket(self._dial(node, listener)) as inside:
                    assert inside.getpeercert(binary_form=True)
                    if listener == "https":
                        inside.sendall(GET)
                        assert inside.recv(4096).startswith(b"HTTP/1.1 ")

    def _dial(self, node: str, listener: str) -> socket.socket:
        host, _, port = self._addresses[node][listener].rpartition(":")
        return socket.create_connection((host, int(port)), timeout=TIMEOUT_S)


def _is_cut_off(connected: socket.socket) -> bool:
    try:
        return connected.recv(1) == b""
    except (ConnectionResetError, ssl.SSLEOFError):
        return True


def addresses_of(lab: CommandLine) -> dict[str, dict[str, str]]:
    return {name: node["addresses"] for name, node in lab.json("dump")["nodes"].items()}


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(RESTARTS * 60 / A_MINUTE + 600)
def test_two_hundred_restarts_a_minute_over_twenty_one_nodes_leave_nothing_behind(
    lab: CommandLine, record_property: Tell
) -> None:
    addresses, took = addresses_of(lab), list[float]()
    clients, found = Clients(addresses), processes(lab.json("status")["broker"]["pid"])
    link = connect(lab.home)
    assert link is not None
    numbers = iter(range(10**9))

    def restart(node: str, service: str) -> None:
        began = time.monotonic()
        reply = link.operate("pub", OrderService(f"restart-{next(numbers)}", node, service, "restart"))
        assert reply.outcome == "done", reply
        took.append(time.monotonic() - began)

    with closing(link):
        clients.are_served()
        everything = [(node, service) for service, node in product(SERVICES, NODES)]
        for node, service in everything:  # what a process takes once, it has taken then
            clients.see(node, service, partial(restart, node, service))
        lab.must("wait", "--converged")
        before = {role: census(process) for role, process in found.items()}
        took.clear()
        clients.cut_off = 0
        began = time.monotonic()
        for number, (node, service) in enumerate(islice(cycle(everything), RESTARTS)):
            time.sleep(max(0.0, began + number * 60 / A_MINUTE - time.monotonic()))
            clients.see(node, service, partial(restart, node, service))
        minutes = (time.monotonic() - began) / 60
        clients.are_served()
        lab.must("wait", "--converged")
        until(lambda: not leaked(found, before))
    record_property("nodes", len(NODES))
    record_property("restarts", RESTARTS)
    record_property("a minute", round(RESTARTS / minutes, 1))
    record_property("milliseconds each, median", round(statistics.median(took) * 1000, 1))
    record_property("slowest", round(max(took) * 1000, 1))
    record_property("clients cut off by them", clients.cut_off)
    for role in ("pub", "sub1", "sub20", "broker", "fork server", "supervisor"):
        record_property(f"{role} before", told(before[role]))
        record_property(f"{role} after", told(census(found[role])))
    assert leaked(found, before) == {}
    assert addresses_of(lab) == addresses


def leaked(found: dict[str, psutil.Process], before: dict[str, Census]) -> dict[str, dict[str, tuple[int, int]]]:
    """By process, what it holds more of than before."""
    each = {role: more(before[role], census(process)) for role, process in found.items()}
    return {role: what for role, what in each.items() if what}


# -- inside of one node


class Watcher:
    """Who watches a node in the test's own loop; hears nothing that matters here."""

    def replied(self, reply: Reply) -> None:
        pass

    def changed(self) -> None:
        pass

    def drain(self) -> None:
        pass


class Resident:
    """A node of a lab that lives in the test's own loop, as others do in processes of their own."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._addresses: dict[str, str] = {}
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        node.attach(Watcher())
        node.listeners.attach(node.shell.offer, self._moved)
        node.lasting.attach(node.shell.offer)
        self._orders = 0

    def _moved(self, addresses: dict[str, str], ends: dict[str, tuple[bytes, ...]]) -> None:
        del ends
        self._addresses = addresses

    async def idle(self) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not (self._addresses and self._calm()):  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.001)

    def _calm(self) -> bool:
        pulse = self.node.shell.pulse()
        return pulse.idle and pulse.connected and not pulse.unanswered

    async def visit(self) -> None:
        """Have the node load its website, as it does for whoever comes first."""
        reader, writer = await self._connect("https", tls=True)
        writer.write(GET)
        async with asyncio.timeout(TIMEOUT_S):
            assert (await reader.readline()).startswith(b"HTTP/1.1 ")
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def restart(self, service: str) -> None:
        """While two are connected to each of its listeners: one has said nothing, one has come through TLS."""
        clients = [await self._connect(row.name, tls=False) for row in LISTENERS[service]]
        clients += [await self._connect(row.name, tls=True) for row in LISTENERS[service] if row.client != "required"]
        self._orders += 1
        self.node.shell.act(OrderService(f"restart-{self._orders}", "sub1", service, "restart"))
        async with asyncio.timeout(TIMEOUT_S):
            for reader, writer in clients:
                assert await _end_of(reader) == b""
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
        await self.idle()
        assert self.node.shell.status().services[service].state == "started"

    async def _connect(self, listener: str, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self._addresses[listener].rpartition(":")
        return await asyncio.open_connection(host, int(port), ssl=self._context if tls else None)


async def _end_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


@asynccontextmanager
async def living_here(lab: LocalLab, name: str) -> AsyncIterator[Resident]:
    await lab.stop_node(name)
    node = Node(lab.roster._spec(lab.roster.nodes[name]))
    async with asyncio.TaskGroup() as tasks:
        resident = Resident(node)
        tasks.create_task(node.run(troubles=(), replication_broken=False), name="node")
        await resident.idle()
        yield resident
        node.shell.act(StopRequested())


def held() -> Census:
    """What this process holds, and the tasks of its loop by name."""
    tasks = Counter(f"task {task.get_name().rstrip('0123456789')}" for task in asyncio.all_tasks())
    return {**tasks, **census(psutil.Process())}


@pytest.mark.slow
async def test_restarts_leave_no_task_of_a_node_behind(tmp_path: Path) -> None:
    async with opened(make_home(tmp_path, "pub,sub1"), stepped=False) as lab, living_here(lab, "sub1") as resident:
        await resident.visit()
        for service in SERVICES:
            await resident.restart(service)
        before = held()
        for service in islice(cycle(SERVICES), 50):
            await resident.restart(service)
        async with asyncio.timeout(TIMEOUT_S):
            while more(before, held()):  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.01)
        assert {"task node", "task node.bus", "task node.doors", "task node.exchanges"} <= before.keys()
