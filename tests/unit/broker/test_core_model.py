"""The broker core against a small model: any history of three clients gives the messages that the model gives."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.unit.broker.playbook import Playbook
from ucmlab.broker.filters import filter_matches
from ucmlab.broker.packets import Connect, Disconnect, Packet, Publish, Subscription, Unsubscribe, Will

pytestmark = pytest.mark.slow

names = st.sampled_from(["x", "y", "z"])
topics = st.sampled_from(["a", "a/b", "$a/b"])
filters = st.sampled_from(["a/b", "a/+", "a/#", "#", "$a/#"])
qualities = st.integers(0, 1)
Copy = tuple[str, bytes, int]


@dataclass
class ModelClient:
    """What one client should see: `owed` is what it should get next, or on its return."""

    conn: int | None = None
    lasting: bool = False
    will: Will | None = None
    filters: dict[str, int] = field(default_factory=dict)
    owed: list[Copy] = field(default_factory=list)


class BrokerAgainstModel(RuleBasedStateMachine):
    """Every message has a payload of its own, so a lost, doubled or swapped one shows."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Playbook()
        self.clients: dict[str, ModelClient] = {}
        self.retained: dict[str, tuple[bytes, int]] = {}
        self.count = 0
        # Histories begin where they are interesting: everybody is there and some filters overlap.
        for name, lasting in (("x", False), ("y", True), ("z", True)):
            self.connect(name, lasting, None)
            self.subscribe(name, "a/#", 0)

    @rule(name=names, lasting=st.booleans(), will=st.none() | st.builds(Will, topics, st.just(b"will"), qualities))
    def connect(self, name: str, lasting: bool, will: Will | None) -> None:  # noqa: FBT001  drawn by Hypothesis
        before = self.clients.get(name, ModelClient())
        if before.conn is not None:
            self.end(before)
        kept = before if lasting and before.lasting else ModelClient()
        kept.lasting, kept.will = lasting, will
        self.clients[name] = kept
        kept.conn = self.play.connect(Connect(name, clean_start=not lasting, will=will))

    @rule(name=names, goodbye=st.booleans())
    def leave(self, name: str, goodbye: bool) -> None:  # noqa: FBT001  drawn by Hypothesis
        client = self.clients.get(name)
        if client is None or client.conn is None:
            return
        conn = client.conn
        if goodbye:
            client.will = None
        self.end(client)
        if goodbye:
            self.play.sends(conn, Disconnect())
        else:
            self.play.lose(conn)

    @rule(name=names, filter_=filters, qos=qualities)
    def subscribe(self, name: str, filter_: str, qos: int) -> None:
        client = self.clients.get(name)
        if client is None or client.conn is None:
            return
        client.filters[filter_] = qos
        client.owed += [
            (topic, payload, min(qos, sent))
            for topic, (payload, sent) in self.retained.items()
            if filter_matches(filter_, topic)
        ]
        rest = self.play.subscribe(client.conn, Subscription(filter_, qos))
        self.check(client, rest)

    @rule(name=names, filter_=filters)
    def unsubscribe(self, name: str, filter_: str) -> None:
        client = self.clients.get(name)
        if client is not None and client.conn is not None:
            client.filters.pop(filter_, None)
            self.play.sends(client.conn, Unsubscribe(1, (filter_,)))

    @rule(name=names, topic=topics, qos=qualities, retain=st.booleans(), empty=st.booleans())
    def publish(self, name: str, topic: str, qos: int, retain: bool, empty: bool) -> None:  # noqa: FBT001
        client = self.clients.get(name)
        if client is None or client.conn is None:
            return
        self.count += 1
        payload = b"" if empty else b"%d" % self.count
        if retain:
            self.retained.pop(topic, None) if empty else self.retained.update({topic: (payload, qos)})
        self.owe(topic, payload, qos)
        answers = self.play.sends(client.conn, Publish(topic, payload, qos, retain, packet_id=qos))
        self.check(client, [packet for packet in answers if isinstance(packet, Publish)])

    @invariant()
    def everybody_got_what_the_model_says(self) -> None:
        for client in self.clients.values():
            if client.conn is not None:
                self.check(client, self.play.got(client.conn))

    def owe(self, topic: str, payload: bytes, qos: int) -> None:
        for client in self.clients.values():
            granted = [grant for filter_, grant in client.filters.items() if filter_matches(filter_, topic)]
            if granted and (client.conn is not None or min(qos, max(granted))):
                client.owed.append((topic, payload, min(qos, max(granted))))

    def end(self, client: ModelClient) -> None:
        """The client is gone: it forgets, or waits; then its will goes out."""
        client.conn = None
        if not client.lasting:
            client.filters, client.owed = {}, []
        if client.will is not None:
            self.owe(client.will.topic, client.will.payload, client.will.qos)

    def check(self, client: ModelClient, packets: list[Packet]) -> None:
        got = [(p.topic, p.payload, p.qos) for p in packets if isinstance(p, Publish)]
        assert got == client.owed
        client.owed = []
        assert client.conn is not None
        for packet in packets:
            if isinstance(packet, Publish) and packet.qos:
                self.play.acknowledges(client.conn, packet)


TestBrokerAgainstModel = BrokerAgainstModel.TestCase
TestBrokerAgainstModel.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
