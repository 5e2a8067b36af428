"""The embedded broker on real sockets, with the clients that people use."""

import asyncio
import datetime as dt
import ipaddress
import shutil
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.unit.broker.wire_client import PATIENCE, Clients
from ucmlab.broker.access import AccessRule, Accounts, allow_everyone, allow_everything, make_account
from ucmlab.broker.core import BrokerCore
from ucmlab.broker.limits import Limits
from ucmlab.broker.mqtt_codec import Decoder, encode
from ucmlab.broker.packets import V5, V311, Connect, Disconnect, Publish, Reason, Subscription
from ucmlab.broker.server import ClientCounters, EmbeddedBroker

PROTOCOLS = [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5]
ACCOUNTS = Accounts(
    [
        make_account(
            "sub1",
            b"secret",
            salt=b"1",
            client_id="%u",
            rules=[AccessRule("publish", "node/%u/#"), AccessRule("subscribe", "#"), AccessRule("receive", "#")],
        ),
        make_account("observer", b"look", salt=b"2", rules=[AccessRule("subscribe", "#"), AccessRule("receive", "#")]),
    ]
)


@asynccontextmanager
async def running(
    core: BrokerCore | None = None, context: ssl.SSLContext | None = None, high_water: int = 1 << 20
) -> AsyncIterator[EmbeddedBroker]:
    core = core or BrokerCore(allow_everyone, allow_everything)
    broker = EmbeddedBroker(core, ssl_context=context, high_water=high_water, tick_interval=0.05)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


def locked() -> BrokerCore:
    return BrokerCore(ACCOUNTS.authenticate, ACCOUNTS.authorize)


async def next_message(client: aiomqtt.Client) -> aiomqtt.Message:
    async with asyncio.timeout(PATIENCE):
        return await anext(aiter(client.messages))


# --- clients ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_aiomqtt_talks_to_it(protocol: aiomqtt.ProtocolVersion) -> None:
    async with (
        running() as broker,
        aiomqtt.Client("127.0.0.1", broker.port, identifier="s", protocol=protocol) as subscriber,
        aiomqtt.Client("127.0.0.1", broker.port, identifier="p", protocol=protocol) as publisher,
    ):
        await subscriber.subscribe("a/#", qos=1)
        await publisher.publish("a/b", b"live", qos=1)
        live = await next_message(subscriber)
        await publisher.publish("a/r", b"kept", qos=1, retain=True)

        assert (str(live.topic), live.payload, live.qos) == ("a/b", b"live", 1)
        kept = await next_message(subscriber)
        assert (str(kept.topic), kept.payload) == ("a/r", b"kept")


@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
async def test_paho_talks_to_it(protocol: MQTTProtocolVersion) -> None:
    got: list[bytes] = []
    done, subscribed = threading.Event(), threading.Event()

    def on_message(_client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        got.append(bytes(message.payload))
        if len(got) == 50:
            done.set()

    def talk(port: int) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="p", protocol=protocol)
        client.on_message = on_message
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", port)
        client.loop_start()
        client.subscribe("t", qos=1)
        assert subscribed.wait(PATIENCE)
        for n in range(50):
            client.publish("t", b"%d" % n, qos=1)
        assert done.wait(PATIENCE)
        client.disconnect()
        client.loop_stop()

    async with running() as broker:
        await asyncio.to_thread(talk, broker.port)

    assert got == [b"%d" % n for n in range(50)]


@pytest.mark.parametrize("options", [[], ["-V", "5"]], ids=["defaults", "version 5"])
@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto_sub is not installed")
async def test_the_command_line_clients_of_mosquitto_talk_to_it(options: list[str]) -> None:
    async with running() as broker, asyncio.timeout(PATIENCE):
        where = ["-h", "127.0.0.1", "-p", str(broker.port), *options]
        published = await asyncio.create_subprocess_exec("mosquitto_pub", *where, "-t", "a/b", "-m", "hello", "-r")
        assert await published.wait() == 0

        listening = await asyncio.create_subprocess_exec(
            "mosquitto_sub", *where, "-t", "#", "-C", "1", "-v", stdout=asyncio.subprocess.PIPE
        )
        output, _ = await listening.communicate()

        assert (listening.returncode, output) == (0, b"a/b hello\n")


# --- TLS, passwords, access -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and a client's that trusts it, from a throwaway CA."""
    folder = tmp_path_factory.mktemp("tls")
    now = dt.datetime.now(dt.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Throwaway CA")])
    base = x509.CertificateBuilder().not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    ca = (
        base.subject_name(ca_name)
        .issuer_name(ca_name)
        .serial_number(1)
        .public_key(ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        base.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")]))
        .issuer_name(ca_name)
        .serial_number(2)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(pem) + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "leaf.pem")
    return server, ssl.create_default_context(cadata=ca.public_bytes(pem).decode())


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_it_serves_tls(protocol: aiomqtt.ProtocolVersion, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, trusting = tls
    async with (
        running(context=server) as broker,
        aiomqtt.Client("127.0.0.1", broker.port, protocol=protocol, tls_context=trusting) as client,
    ):
        await client.subscribe("big", qos=1)
        await client.publish("big", b"x" * 1_000_000, qos=1)

        assert (await next_message(client)).payload == b"x" * 1_000_000


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("identifier", "username", "password"),
    [("sub1", "sub1", "wrong"), ("sub2", "sub1", "secret"), ("sub1", "observer", "look"), ("x", None, None)],
)
async def test_the_wrong_password_and_the_wrong_client_id_are_refused(
    protocol: aiomqtt.ProtocolVersion, identifier: str, username: str | None, password: str | None
) -> None:
    async with running(locked()) as broker:
        client = aiomqtt.Client(
            "127.0.0.1", broker.port, identifier=identifier, username=username, password=password, protocol=protocol
        )
        with pytest.raises(aiomqtt.MqttError):
            await client.__aenter__()


@pytest.mark.parametrize("version", [V311, V5])
async def test_a_node_publishes_under_its_own_topics_only(version: int) -> None:
    core = locked()
    async with running(core) as broker, Clients() as clients:
        node = await clients.connect(broker.port, Connect("sub1", version, username="sub1", password=b"secret"))
        eye = await clients.connect(broker.port, Connect("eye", version, username="observer", password=b"look"))
        await eye.publish("node/sub1/ack", b"forged", retain=True)
        await eye.subscribe(Subscription("#", 1))

        await node.publish("node/sub1/ack", b"mine")
        code = await node.publish("node/sub2/ack", b"not mine")

        assert code == (Reason.NOT_AUTHORIZED if version == V5 else 0)
        assert [message.payload for message in await eye.all_messages()] == [b"mine"]
        assert core.stats().refused == 2


# --- the shell itself -------------------------------------------------------------------------------------------------


async def test_counters_add_up() -> None:
    async with running() as broker, Clients() as clients:
        publisher = await clients.connect(broker.port, Connect("p", V5))
        subscriber = await clients.connect(broker.port, Connect("s", V5))
        await subscriber.subscribe(Subscription("t", 1))
        for _ in range(3):
            await publisher.publish("t", b"x")
        before = broker.counters()
        await subscriber.all_messages()
        await subscriber.all_messages()  # its answer says that the acknowledgements have arrived

        assert before["s"] == ClientCounters(0, 3, 0, inflight=3, queued=0, dropped=0)
        assert broker.counters() == {
            "p": ClientCounters(3, 0, 0, 0, 0, 0),
            "s": ClientCounters(0, 3, 0, inflight=0, queued=0, dropped=0),
        }


async def test_a_client_that_stops_reading_costs_a_bounded_amount_and_hinders_nobody() -> None:
    core = BrokerCore(allow_everyone, allow_everything, Limits(max_queued=10))
    async with running(core, high_water=65_536) as broker, Clients() as clients:
        stuck = await clients.connect(broker.port, Connect("stuck", V5))
        await stuck.subscribe(Subscription("t", 1))
        publisher = await clients.connect(broker.port, Connect("p", V5))
        # The kernel takes some megabytes for a peer that does not read, and asyncio's reader 128 KB; then it backs up.
        while not broker.counters()["stuck"].dropped:
            await publisher.publish("t", b"x" * 100_000)

        stats = broker.counters()["stuck"]
        assert stats.queued == 10
        assert stats.unflushed < 65_536 + 200_000
        read = await stuck.messages(stats.sent_publishes + stats.queued)
        assert len(read) == stats.sent_publishes + stats.queued


async def test_a_client_that_sends_and_never_reads_is_cut_off() -> None:
    async with running(high_water=1024) as broker, Clients() as clients:
        broker.reply_bound = 1024
        greedy = await clients.connect(broker.port, Connect("greedy", V5))
        await greedy.subscribe(Subscription("t"))
        while not broker.counters()["greedy"].queued:
            greedy.send(Publish("t", b"x" * 100_000))
            await asyncio.sleep(0)

        async with asyncio.timeout(PATIENCE):
            while "greedy" in broker.counters():
                greedy.send(Publish("u", b"x", 1, packet_id=1))
                await asyncio.sleep(0)
        greedy.abort()


async def test_silent_peers_are_closed() -> None:
    core = BrokerCore(allow_everyone, allow_everything, Limits(connect_timeout=0))
    async with running(core) as broker:
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("connected", [False, True])
async def test_a_packet_that_never_ends_ends_its_connection_only(connected: bool) -> None:  # noqa: FBT001
    core = BrokerCore(allow_everyone, allow_everything, Limits(packet_timeout=0))
    async with running(core) as broker, Clients() as clients:
        other = await clients.connect(broker.port, Connect("other"))
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writer.write((encode(Connect("slow", V5), V5) if connected else b"") + b"\x10\x7f\x00")

        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()

        *_, last = Decoder(V5).feed(answer) if connected else [None]
        assert last is None or (isinstance(last, Disconnect) and last.reason_code == Reason.MALFORMED_PACKET)
        writer.close()
        assert await other.all_messages() == []


async def test_bytes_may_dribble_in_as_long_as_packets_end() -> None:
    async with running() as broker, Clients() as clients:
        client = await clients.connect(broker.port, Connect("c", V5))
        await client.subscribe(Subscription("t"))
        for byte in encode(Publish("t", b"x"), V5) * 3:
            client.send_bytes(bytes((byte,)))
            await asyncio.sleep(0)

        assert [message.payload for message in await client.messages(3)] == [b"x"] * 3


async def test_a_packet_larger_than_allowed_is_refused_before_it_is_there() -> None:
    core = BrokerCore(allow_everyone, allow_everything, Limits(max_packet_size=1000))
    async with running(core) as broker, Clients() as clients:
        other = await clients.connect(broker.port, Connect("other"))
        client = await clients.connect(broker.port, Connect("c", V5))
        client.send_bytes(encode(Publish("t", b"x" * 1000), V5)[:20])

        answer = await client.receive()
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == Reason.PACKET_TOO_LARGE
        await client.closed()
        assert await other.all_messages() == []


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n\r\n", b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01a", b"\x00"]
)
async def test_noise_ends_its_connection_only(noise: bytes) -> None:
    async with running() as broker, Clients() as clients:
        other = await clients.connect(broker.port, Connect("other"))
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writer.write(noise + b"\0")

        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()

        assert answer == (b"\x20\x02\x00\x01" if b"MQIsdp" in noise else b"")
        writer.close()
        assert await other.all_messages() == []


async def test_stopping_tells_everybody_and_may_be_repeated() -> None:
    async with running() as broker, Clients() as clients:
        client = await clients.connect(broker.port, Connect("c", V5))
        await broker.stop()

        answer = await client.receive()
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == Reason.SHUTTING_DOWN
        await client.closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", broker.port)


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with running() as broker:
        second = EmbeddedBroker(BrokerCore(allow_everyone, allow_everything), port=broker.port)
        with pytest.raises(OSError, match="in use"):
            await second.start()


async def test_a_thousand_retained_messages_leave_in_few_writes_and_arrive_whole() -> None:
    async with running() as broker, Clients() as clients:
        client = await clients.connect(broker.port, Connect("c", V5))
        for n in range(1000):
            client.send(Publish(f"r/{n}", b"x" * 2000, retain=True))
        await client.subscribe(Subscription("#", 1))

        assert len(await client.messages(1000)) == 1000
