"""The lab in a story's hands: nodes, faults, time, and what is judged.

Everything that acts or passes time is `async`; everything that reads is a plain call and looks at the state now.
`check` and `holds` record and go on; `must_be`, `wait_until` and `converged` end the story when they fail.
Times are text: `90s`, `31m`, `1h30m`.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import msgspec

from ucmlab.broker.messages import AnyMessage, Envelope
from ucmlab.cluster import state
from ucmlab.cluster.ca.keys import KeySource
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.outside.received import Logged, Mail
from ucmlab.cluster.rolling import summed, turns
from ucmlab.node.events import SetParameter
from ucmlab.node.instant import duration, to_datetime
from ucmlab.node.parameter_rules import CLUSTER
from ucmlab.node.services import CHANGE_NOTIFICATION
from ucmlab.scenarios.ca import CA, Chained, Founder, Leaf, presented
from ucmlab.scenarios.node import Node
from ucmlab.scenarios.page import Page
from ucmlab.scenarios.parameters import parameter_of, parameter_value
from ucmlab.scenarios.peer import Peer
from ucmlab.scenarios.reply import Reply
from ucmlab.scenarios.telling import StoryOver, Telling
from ucmlab.scenarios.upgrades import upgraded

Group = str | Iterable[str | Node]
"""Nodes on one side of a cut: `"pub sub1"`, or a list of names or nodes."""

_envelope = msgspec.msgpack.Decoder(Envelope).decode
_body = msgspec.msgpack.Decoder(AnyMessage).decode


@dataclass(frozen=True, slots=True)
class BusMessage:
    """What one member published on the bus."""

    topic: str
    sender: str
    message: AnyMessage

    @property
    def kind(self) -> str:
        """The message's type, as in `LogEntry`."""
        return type(self.message).__name__


class Broker:
    """The bus's broker."""

    def __init__(self, telling: Telling) -> None:
        self._port = telling.port

    async def kill(self) -> None:
        """Kill the broker: every connection is reset, and what it held in memory is gone."""
        await self._port.kill_broker()

    async def start(self) -> None:
        """Start the broker again, empty."""
        await self._port.start_broker()


class Outside:
    """A server outside the cluster."""

    def __init__(self, telling: Telling, name: str) -> None:
        self._port = telling.port
        self._name = name

    async def stop(self) -> None:
        """Stop it: whoever connects is refused, and who waited for an answer is broken off."""
        await self._port.stop_place(self._name)

    async def start(self) -> None:
        """Start it again, at its old address and as it should be."""
        await self._port.start_place(self._name)

    async def slow(self, time: str | None) -> None:
        """Have it take so much lab time for each answer from now on; None: it never answers."""
        await self._port.slow_place(self._name, None if time is None else duration(time))


class Lab:
    """A cluster, and the hands that break it."""

    def __init__(self, telling: Telling, keys: KeySource) -> None:
        self._telling = telling
        self._port = telling.port
        self._founder = Founder(
            keys=keys,
            now=lambda: self.now,
            seed=telling.seed,
            record=telling.names.made,
            serve=telling.port.serve_responder,
        )
        self._peers: set[str] = set()
        self.broker = Broker(telling)

    @property
    def nodes(self) -> Sequence[Node]:
        """All nodes, the publisher first."""
        return [Node(self._telling, name) for name in self._port.names]

    @property
    def now(self) -> datetime:
        """The lab's wall clock, unskewed."""
        return to_datetime(self._port.wall())

    def node(self, name: str) -> Node:
        """A node by name.

        Raises:
            Unusable: the lab has none of that name.
        """
        self._port.view(name)
        return Node(self._telling, name)

    async def ca(
        self,
        name: str,
        *,
        parent: CA | None = None,
        key: str = "rsa-2048",
        hash: str = "sha256",  # noqa: A002  as `CA.sign` has it
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        honours_extension_request: bool = True,
    ) -> CA:
        """Found a certification authority: a root, or below `parent`. By default it is valid for ten years.

        Args:
            name: its common name; a second one of the same name has another key.
            parent: who signs it.
            key: `rsa-2048`, `rsa-3072`, `rsa-4096`, `ec-256`, `ec-384`, `ec-521` or `ed25519`.
            hash: of the signature under its own certificate.
            not_before: a day ago, if not said.
            not_after: in ten years, or when `parent` ends.
            honours_extension_request: whether it gives what a request asks for (R-032).

        Raises:
            Unusable: an option cannot be.
        """
        made = self._founder.found(
            name,
            parent=parent,
            key=key,
            digest=hash,
            not_before=not_before,
            not_after=not_after,
            honours_request=honours_extension_request,
        )
        if parent is None:
            self._telling.roots.append(made.der)
        return made

    @asynccontextmanager
    async def step(self, title: str, expect: str = "") -> AsyncGenerator[None]:
        """Name what comes next. `expect` is what a class should predict; it judges nothing."""
        await self._telling.begin_step(title, expect)
        try:
            yield
        except StoryOver:
            self._telling.end_step()
            raise
        self._telling.end_step()

    def check(self, condition: bool, text: str, seen: object = "") -> None:  # noqa: FBT001 (design 7.3 spells it so)
        """Judge, and go on.

        Args:
            condition: what must be true.
            text: the same as a sentence.
            seen: what the report shows beside a failed check.
        """
        self._telling.check(text, held=bool(condition), seen="" if condition else str(seen))

    async def wait(self, time: str) -> None:
        """Let lab time pass."""
        await self._port.wait(duration(time))

    async def wait_until(self, predicate: Callable[[], bool], within: str, text: str = "") -> None:
        """Let lab time pass until the predicate holds. When it never does, the story ends.

        Raises:
            StoryOver: it did not hold in time.
        """
        held = await self._port.wait_until(predicate, duration(within))
        self._telling.demand(text or f"what the story waited for came within {within}", held=held)

    async def converged(self, within: str) -> None:
        """Let lab time pass until the cluster has converged (design 7.2). When it never does, the story ends.

        Raises:
            StoryOver: it did not converge in time.
        """
        held = await self._port.wait_until(lambda: not self._unsettled(), duration(within))
        self._telling.demand(f"the cluster converged within {within}", held=held, seen="; ".join(self._unsettled()))

    async def services_up(self, within: str) -> None:
        """Let lab time pass until no service is starting: after a restart, what needs that service starts as well.

        Raises:
            StoryOver: one still was.
        """
        await self.wait_until(
            lambda: all("starting" not in node.services.values() for node in self.nodes),
            within,
            "what needs those services runs again too",
        )

    async def holds(self, predicate: Callable[[], bool], during: str, text: str) -> None:
        """Let lab time pass, and judge after every event that the predicate holds all the while."""
        broken: list[int] = []
        errors: list[Exception] = []

        def look() -> None:
            # Called from inside the lab: an error of the story's must surface in the story, not there.
            try:
                if not broken and not errors and not predicate():
                    broken.append(self._port.now())
            except Exception as error:  # noqa: BLE001 (raised again below)
                errors.append(error)

        look()
        end_watch = self._port.watch(look)
        try:
            await self._port.wait(duration(during))
        finally:
            end_watch()
        if errors:
            raise errors[0]
        at = broken[0] if broken else None
        self._telling.check(text, held=not broken, expected=f"at all times during {during}", at=at)

    async def partition(self, *groups: Group, broker: int | None = None) -> None:
        """Cut the network into groups. Nodes that no group names stand together in one more.

        Args:
            *groups: `"pub sub1"`, or lists of names or nodes.
            broker: the number of the group that the broker stands in, from 0; by default the publisher's.

        Raises:
            Unusable: no such node or group, or a node stands in two groups.
        """
        await self._port.partition([_names(group) for group in groups], broker)

    async def isolate(self, node: Node | str) -> None:
        """Cut one node off from everything, the bus included; nodes isolated before stay so."""
        await self._port.isolate(_name(node))

    async def heal(self) -> None:
        """Make the network whole again."""
        await self._port.heal()

    async def break_replication(self, node: Node | str) -> None:
        """Break the database replication from the publisher to a node; the network stays whole."""
        await self._set_replication(node, broken=True)

    async def repair_replication(self, node: Node | str) -> None:
        """Repair the database replication to a node."""
        await self._set_replication(node, broken=False)

    async def inject(
        self,
        fault: str,
        target: Node | str,
        *,
        count: int | None = None,
        until: str | None = None,
        **parameters: str | float,
    ) -> None:
        """Inject a fault of the catalogue (`ucmlab fault list`); one that never takes effect makes the run `unknown`.

        Args:
            fault: its name, as in `latency`.
            target: what it befalls: a node, `broker`, or groups of nodes like `pub,sub1 / sub2`.
            count: it ends after so many uses: packets, messages, starts.
            until: it ends after so much lab time from now.
            **parameters: what the row names, as in `low="50ms"`.

        Raises:
            Unusable: there is no such fault in this mode, or it cannot be injected as asked.
        """
        given = {name: str(value) for name, value in parameters.items()}
        end = None if until is None else self._port.now() + duration(until)
        await self._port.inject(fault, _name(target), given, count=count, until=end)

    async def end_fault(self, fault: str, target: Node | str) -> None:
        """End a fault that was injected.

        Raises:
            Unusable: it does not stand.
        """
        await self._port.end_fault(fault, _name(target))

    async def set_parameter(self, name: str, value: str | int) -> Reply:
        """Set a parameter of the whole cluster on the publisher and save (A.21).

        Args:
            name: as in `Certificate Validity Check`.
            value: True and False are the flags' values.
        """
        publisher = self._port.names[0]
        operation = SetParameter(self._telling.operation_id(), CLUSTER, name, parameter_value(value))
        what = f"set {name}"
        return Reply(self._telling, what, await self._telling.operate(publisher, operation, what))

    def page(self, name: str) -> Page:
        """Open a page of the publisher's administration, as in `Enterprise Parameters`: see `Page`.

        Raises:
            Unusable: the release has no such page.
        """
        return Page(self._telling, CLUSTER, name)

    async def restart(self, service: str) -> Reply:
        """Restart a service on every node that runs it, one after the other, the publisher first (C-19).

        It ends with the first node on which it fails.

        Raises:
            Unusable: no node runs it.
        """
        nodes, replies = {node.name: node for node in self.nodes}, list[Reply]()
        order = turns(service, {name: node.services for name, node in nodes.items()})
        for name in order:
            replies.append(await nodes[name].restart(service))
            if replies[-1].outcome != "done":
                break
        return Reply(self._telling, f"restart {service} on {', '.join(order)}", summed("", order, replies))

    async def upgrade(self, release: str) -> Reply:
        """Upgrade all nodes that do not run the release yet: the publisher, then the others (B.19).

        Each is booted; services may still be starting afterwards.
        """
        return await upgraded(self._telling, self._port.names, release)

    def parameter(self, name: str) -> str:
        """What the publisher's replica has of a parameter of the whole cluster.

        Raises:
            Refusal: the release has no such parameter, or the cluster has several values of it.
        """
        return parameter_of(self._port, CLUSTER, name)

    def events(self, name: str | None = None, node: Node | str | None = None) -> list[dict[str, object]]:
        """The journal so far, of all events or of one name, of all nodes or of one."""
        return self._port.events(name, None if node is None else _name(node))

    def messages(self, topic_filter: str) -> list[BusMessage]:
        """What was published on the bus so far on topics that match an MQTT filter."""
        opened = ((topic, _envelope(payload)) for topic, payload in self._port.messages(topic_filter) if payload)
        return [BusMessage(topic, envelope.sender, _body(envelope.body)) for topic, envelope in opened]

    def outside(self, name: str) -> Outside:
        """A server outside the cluster: `mail` or `syslog`."""
        return Outside(self._telling, name)

    async def peer(self, name: str, leaf: Leaf, *, trusts: Iterable[Chained] = ()) -> Peer:
        """Open a TLS server outside the cluster, which is up at once. It presents the leaf and all above it.

        Args:
            name: its fully qualified one, as in `ldap.corp.test`.
            leaf: what it presents; made by `CA.issue`, so that its key is here.
            trusts: CAs that it trusts in clients, which must present a certificate then; without any, it asks for none.

        Raises:
            Unusable: there is a server of that name, the leaf's key is not here, or it cannot be presented.
        """
        if name in self._peers:
            raise Unusable(f"there is a server {name} already; give the second one another name")
        chain, key = presented(leaf)
        served = await self._port.serve_peer(name, chain=chain, key=key, trusted=[each.der for each in trusts])
        self._peers.add(name)
        return Peer(name, served)

    def mail(self) -> list[Mail]:
        """What the lab's mail server has taken so far."""
        return self._port.mail()

    def syslog(self) -> list[Logged]:
        """What the lab's syslog collector has been told so far."""
        return self._port.syslog()

    def dump(self) -> Mapping[str, object]:
        """The whole state, as `ucmlab dump --json` prints it."""
        return state.dump(self._port)

    def _unsettled(self) -> list[str]:
        """Why the cluster has not converged; one phrase a cause."""
        views = [self._port.standing(name) for name in self._port.names]
        # A node that was just booted is waited for: until Change Notification is up, nobody knows of its files.
        booting = [
            f"{view.name} is starting Change Notification"
            for view in views
            if view.state == "up"
            and (service := view.services.get(CHANGE_NOTIFICATION))
            and service.state == "starting"
        ]
        return booting or list(state.convergence_of(self._port.facts(), views).waiting_for)

    async def _set_replication(self, node: Node | str, *, broken: bool) -> None:
        await self._port.set_replication(_name(node), broken=broken)


def _name(node: Node | str) -> str:
    return node.name if isinstance(node, Node) else node


def _names(group: Group) -> list[str]:
    members = group.replace(",", " ").split() if isinstance(group, str) else group
    return [_name(member) for member in members]
