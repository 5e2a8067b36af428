"""The bus of a real lab against people who should not be there, and members who say what is not theirs to say."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import aiomqtt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.reasoncodes import ReasonCode

from tests.integration.real_lab import Item, converge, dumped, item, make_home, opened
from ucmlab.broker.access import AccessRule, make_account
from ucmlab.broker.codec import BusCodec
from ucmlab.broker.messages import (
    Ack,
    Answer,
    AnyMessage,
    Birth,
    Envelope,
    Head,
    LogEntry,
    Proposal,
    Row,
    SealedKeys,
    ServiceOrder,
    ServiceReport,
)
from ucmlab.broker.mqtt_codec import encode
from ucmlab.broker.packets import V311 as V311_LEVEL
from ucmlab.broker.packets import Connect
from ucmlab.broker.signing import Ed25519Signer, Ed25519Verifier
from ucmlab.broker.topics import Topics
from ucmlab.cluster.labfile import write_json
from ucmlab.cluster.local import LocalLab
from ucmlab.cluster.provision import LabHome
from ucmlab.node.events import Delete, OrderService, Upload
from ucmlab.node.keyring import KeyRing
from ucmlab.node.log_hash import entry_hash

PATIENCE_S = 30
V311, V5 = aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5
MALLORY = "mallory"
EVERYTHING = (AccessRule("publish", "#"), AccessRule("subscribe", "#"), AccessRule("receive", "#"))
NOT_AUTHORIZED = 0x80
"""Reason codes of SUBACK and PUBACK from here on are refusals."""
CONNACK = b"\x20"
MARK = b"written by somebody who may not"
_envelope = msgspec.msgpack.Decoder(Envelope).decode
_body = msgspec.msgpack.Decoder(AnyMessage).decode


@asynccontextmanager
async def client(
    lab: LocalLab,
    user: str | None = None,
    password: str | None = None,
    *,
    client_id: str | None = None,
    protocol: aiomqtt.ProtocolVersion = V5,
) -> AsyncGenerator[aiomqtt.Client]:
    place = lab.roster.place
    async with (
        asyncio.timeout(PATIENCE_S),
        aiomqtt.Client(
            place.host, place.port, username=user, password=password, identifier=client_id, protocol=protocol
        ) as connected,
    ):
        yield connected


def bus_password(home: LabHome, node: str) -> str:
    return KeyRing(home.node_home(node)).bus.password


async def refused_filters(connected: aiomqtt.Client, filters: Iterable[str]) -> list[str]:
    """Those of the filters that the broker does not let the client subscribe to."""
    refused: list[str] = []
    for each in filters:
        codes = await connected.subscribe(each, qos=1)
        if any(_number(code) >= NOT_AUTHORIZED for code in codes):
            refused.append(each)
    return refused


def _number(code: int | ReasonCode) -> int:
    return code if isinstance(code, int) else code.value


async def write_on(connected: aiomqtt.Client, topics: Iterable[str]) -> None:
    """Publish on each topic in every way; returns when the broker has judged all of it."""
    for topic in topics:
        await connected.publish(topic, MARK, qos=1)
        await connected.publish(topic, MARK, qos=1, retain=True)
        await connected.publish(topic, MARK, qos=0)
    # Subscribing is answered after everything that was sent before it.
    await connected.subscribe("nothing/at/all", qos=1)


async def written(lab: LocalLab) -> list[str]:
    """The topics on which the broker took what `write_on` published. Whoever wrote as a member must be gone by now."""
    await lab.wait(0)
    return sorted({topic for topic, payload in lab.messages("#") if payload == MARK})


def topics_of(home: LabHome, node: str) -> list[str]:
    """One of each kind of topic that names the node, or none."""
    topics = Topics(home.lab.cluster)
    return [
        topics.log("tomcat-trust"),
        topics.head(),
        topics.birth(node),
        topics.ack(node),
        topics.request(node, "propose"),
        topics.answer(node, "propose"),
        topics.keys(node),
        topics.service_order(node, "Cisco Tftp"),
        topics.service_state(node, "Cisco Tftp"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [V311, V5])
async def test_nobody_gets_in_without_the_right_name_password_and_client_id(
    tmp_path: Path, protocol: aiomqtt.ProtocolVersion
) -> None:
    home = make_home(tmp_path)
    observer = home.credentials().observer_password
    sub1 = bus_password(home, "sub1")
    attempts = {
        "anonymous": (None, None, None),
        "anonymous under a member's client id": (None, None, "sub1"),
        "a name without a password": ("observer", None, "x"),
        "an empty password": ("observer", "", "x"),
        "a wrong password": ("observer", observer + "x", "x"),
        "an unknown name": ("root", observer, "x"),
        "a member's name with another's password": ("sub2", sub1, "sub2"),
        "a member under another's client id": ("sub1", sub1, "sub2"),
        "a member under the publisher's client id": ("sub1", sub1, "pub"),
        "a member under a client id of nobody": ("sub1", sub1, "somebody"),
        "the observer under a member's client id": ("observer", observer, "sub1"),
    }
    async with opened(home) as lab:
        before = dumped(lab)
        let_in: list[str] = []
        for what, (user, password, client_id) in attempts.items():
            try:
                async with client(lab, user, password, client_id=client_id, protocol=protocol):
                    let_in.append(what)
            except aiomqtt.MqttError:
                continue
        assert let_in == []
        await lab.wait(0)
        assert dumped(lab) == before
        # Nobody's session was taken over on the way.
        assert [node.pulse.connection for node in lab.roster.nodes.values() if node.pulse] == [1, 1, 1]


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("S5")
async def test_the_observer_reads_this_cluster_and_writes_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    root = Topics(home.lab.cluster).root
    async with opened(home) as lab:
        before = dumped(lab)
        async with client(lab, "observer", home.credentials().observer_password) as observer:
            assert await refused_filters(observer, ["#", "cucm/#", "cucm/v1/+/#", "$SYS/#", "+/+/+/head"]) == [
                "#",
                "cucm/#",
                "cucm/v1/+/#",
                "$SYS/#",
                "+/+/+/head",
            ]
            assert await refused_filters(observer, [f"{root}/#"]) == []
            topics = [topic for node in lab.names for topic in topics_of(home, node)]
            await write_on(observer, [*topics, "other", "$SYS/broker"])
            assert await written(lab) == []
        assert dumped(lab) == before
        assert lab.events("bus_refused") == []


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("S5", "S15")
async def test_a_members_account_reaches_its_own_topics_only(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    topics = Topics(home.lab.cluster)
    foreign = [
        f"{topics.root}/#",
        f"{topics.root}/answer/#",
        f"{topics.root}/answer/+/+",
        f"{topics.root}/answer/sub2/+",
        f"{topics.root}/keys/+",
        topics.keys("sub2"),
        f"{topics.root}/req/+/+",
        f"{topics.root}/req/sub2/propose",
        f"{topics.root}/svc/sub2/+/cmd",
        topics.ack("sub2"),
        "cucm/v1/other/log/+",
        "#",
    ]
    own = (
        set(topics_of(home, "sub1"))
        - set(topics_of(home, "sub2"))
        - {topics.answer("sub1", "propose"), topics.keys("sub1")}
    )
    async with opened(home) as lab:
        await lab.stop_node("sub1")
        before = dumped(lab)
        async with client(lab, "sub1", bus_password(home, "sub1"), client_id="sub1") as stolen:
            assert await refused_filters(stolen, foreign) == foreign
            assert await refused_filters(stolen, topics.follower_filters("sub1", "pub")) == []
            await write_on(stolen, [topic for node in lab.names for topic in topics_of(home, node)])
        assert set(await written(lab)) == own
        # What it did write, under its own topics, is not signed: refused by those who read it.
        assert {event["reason"] for event in lab.events("bus_refused")} == {"malformed"}
        assert dumped(lab) == before


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.parametrize("options", [["-V", "311"], ["-V", "5"]], ids=["3.1.1", "5"])
@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="the clients of Mosquitto are not installed")
async def test_mosquittos_clients_are_kept_out_and_let_in_alike(tmp_path: Path, options: list[str]) -> None:
    home = make_home(tmp_path)
    password, head = home.credentials().observer_password, Topics(home.lab.cluster).head()
    async with opened(home) as lab:
        place = lab.roster.place
        where = ["-h", place.host, "-p", str(place.port), *options, "-t", head]

        async def run(program: str, *arguments: str) -> tuple[int | None, bytes]:
            process = await asyncio.create_subprocess_exec(
                program, *where, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
            )
            try:
                async with asyncio.timeout(PATIENCE_S):
                    output, _ = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            return process.returncode, output

        known = ["-u", "observer", "-P", password]
        status, payload = await run("mosquitto_sub", *known, "-C", "1", "-N")
        assert (status, _envelope(payload).sender) == (0, "pub")
        for wrong in ([], ["-u", "observer", "-P", "wrong"], ["-u", "sub1", "-P", bus_password(home, "sub1")]):
            assert (await run("mosquitto_sub", *wrong, "-C", "1"))[0] not in (0, None)
            assert (await run("mosquitto_pub", *wrong, "-m", MARK.decode()))[0] not in (0, None)
        await run("mosquitto_pub", *known, "-q", "1", "-m", MARK.decode())
        await lab.wait(0)
        assert MARK not in [payload for _, payload in lab.messages("#")]


@pytest.mark.library
@pytest.mark.slow
async def test_with_tls_the_bus_is_reached_by_who_trusts_its_ca_and_never_in_plain(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    observer = home.credentials().observer_password
    async with opened(home, tls=True) as lab:
        place = lab.roster.place
        assert place.url.startswith("mqtts://")
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(place.host, place.port, ssl=ssl.create_default_context())
        reader, writer = await asyncio.open_connection(place.host, place.port)
        writer.write(encode(Connect("observer", username="observer", password=observer.encode()), V311_LEVEL))
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read(1)
        writer.close()
        assert answer != CONNACK, "in plain it is no broker"
        trusting = aiomqtt.TLSParameters(ca_certs=str(home.bus_ca))
        async with aiomqtt.Client(
            place.host, place.port, username="observer", password=observer, tls_params=trusting
        ) as let_in:
            assert await refused_filters(let_in, [Topics(home.lab.cluster).head()]) == []


# --- what is said by whom ---------------------------------------------------------------------------------------------


class Attacker:
    """Somebody on the bus who may publish everywhere, and who has what a test gives it: keys, captured messages."""

    def __init__(self, lab: LocalLab, connected: aiomqtt.Client) -> None:
        self._lab = lab
        self._connected = connected
        self.cluster = lab.home.lab.cluster
        self.topics = Topics(self.cluster)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        await self._connected.publish(topic, payload, qos=1, retain=retain)

    def seal(
        self, topic: str, message: AnyMessage, *, sender: str, key_of: str | None, boot: int = 1, cluster: str = ""
    ) -> bytes:
        """A message that says it is `sender`'s, signed with the key of `key_of`; None is a key that nobody knows."""
        private = Ed25519PrivateKey.generate().private_bytes_raw() if key_of is None else self._private(key_of)
        codec = BusCodec(
            cluster=cluster or self.cluster,
            sender=sender,
            boot=boot,
            signer=Ed25519Signer(private),
            verifier=Ed25519Verifier({}),
        )
        return codec.seal(topic, message)

    def _private(self, node: str) -> bytes:
        return KeyRing(self._lab.home.node_home(node)).bus.signing_private

    def captured(self, topic_filter: str, kind: type[AnyMessage]) -> list[tuple[str, bytes]]:
        return [
            (topic, payload)
            for topic, payload in self._lab.messages(topic_filter)
            if isinstance(_body(_envelope(payload).body), kind)
        ]


@asynccontextmanager
async def attacked(folder: Path) -> AsyncGenerator[tuple[LocalLab, Attacker]]:
    """A lab at rest with two uploads behind it, and somebody on its bus with the rights of everybody."""
    home = make_home(folder)
    account = make_account(MALLORY, b"let me in", salt=b"salt", rules=EVERYTHING)
    write_json(home.path / "bus" / "accounts.json", (*home.accounts(), account))
    async with opened(home) as lab:
        for number, node in ((1, "sub1"), (2, "pub")):
            assert (
                await lab.operate(node, Upload(f"upload-{number}", "tomcat-trust", item(number).pem))
            ).outcome == "done"
        await lab.operate("pub", OrderService("order-1", "sub1", "Cisco Tftp", "restart"))
        await converge(lab)
        async with client(lab, MALLORY, "let me in") as connected:
            yield lab, Attacker(lab, connected)


def entry_after(lab: LocalLab, forged: Item, *, epoch: int = 0, seq: int = 0) -> LogEntry:
    """The entry that would come next, with a row of the attacker's."""
    head = lab.facts().head
    assert head is not None
    row = Row(forged.unit, forged.fingerprint, forged.der, "", None)
    now = (epoch or head[0], seq or head[1] + 1)
    payload = [payload for topic, payload in lab.messages("cucm/v1/+/log/+")][-1]
    return LogEntry(*now, entry_hash(payload), "forged", "pub", "upload", (), (row,), lab.wall())


async def refusals(lab: LocalLab, since: int) -> dict[str, set[str]]:
    """Node to the reasons for which it refused something since then."""
    await lab.wait(0)
    found: dict[str, set[str]] = {}
    for event in lab.events("bus_refused")[since:]:
        found.setdefault(cast("str", event["node"]), set()).add(cast("str", event["reason"]))
    return found


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("S5", "S4", "S15")
async def test_an_entry_that_is_not_the_publishers_word_is_refused_logged_and_changes_nothing(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (lab, attacker):
        forged = item(666)
        entry, log = entry_after(lab, forged), attacker.topics.log("tomcat-trust")
        binding = attacker.topics.log_binding()
        genuine = lab.messages("cucm/v1/+/log/tomcat-trust")[-1][1]
        envelope = _envelope(genuine)
        other = attacker.seal(binding, entry, sender="pub", key_of="sub1")
        cases: dict[str, tuple[str, bytes, str]] = {
            "another member's key": (log, other, "signature"),
            "a key of nobody": (log, attacker.seal(binding, entry, sender="pub", key_of=None), "signature"),
            "a member's own name": (log, attacker.seal(binding, entry, sender="sub1", key_of="sub1"), "sender"),
            "a name of nobody": (log, attacker.seal(binding, entry, sender=MALLORY, key_of=None), "signature"),
            "another cluster": (
                log,
                attacker.seal("cucm/v1/other/log", entry, sender="pub", key_of="pub", cluster="other"),
                "cluster",
            ),
            "bound to its topic, not to the log": (
                log,
                attacker.seal(log, entry, sender="pub", key_of="pub"),
                "signature",
            ),
            "re-signed by a member": (
                log,
                attacker.seal(binding, _body(envelope.body), sender="pub", key_of="sub2"),
                "signature",
            ),
            "genuine, its body changed": (
                log,
                msgspec.msgpack.encode(msgspec.structs.replace(envelope, body=msgspec.msgpack.encode(entry))),
                "signature",
            ),
            "genuine, said to be of another boot": (
                log,
                msgspec.msgpack.encode(msgspec.structs.replace(envelope, boot=envelope.boot + 1)),
                "signature",
            ),
            "genuine, of another version": (
                log,
                msgspec.msgpack.encode(msgspec.structs.replace(envelope, version=2)),
                "version",
            ),
            "genuine, moved to the head": (attacker.topics.head(), genuine, "signature"),
            "genuine, moved to an answer": (attacker.topics.answer("sub1", "catchup"), genuine, "signature"),
            "no message at all": (log, MARK, "malformed"),
            "nothing": (log, b"", "malformed"),
            "a lower epoch": (
                log,
                attacker.seal(binding, msgspec.structs.replace(entry, epoch=0), sender="pub", key_of="pub"),
                "epoch",
            ),
            "replayed": (log, genuine, "repeated"),
            "replayed under another unit": (attacker.topics.log("CallManager-trust"), genuine, "repeated"),
        }
        before, disks = dumped(lab), rows(lab)
        for what, (topic, payload, reason) in cases.items():
            since = len(lab.events("bus_refused"))
            await attacker.publish(topic, payload)
            found = await refusals(lab, since)
            assert {reason} in found.values(), (what, found)
            assert set().union(*found.values()) == {reason}, (what, found)
            assert dumped(lab) == before, what
        assert rows(lab) == disks
        assert forged.key not in {row.key for view in map(lab.view, lab.names) for row in view.rows}
        # And the log goes on where it was.
        assert (await lab.operate("sub2", Upload("after", "tomcat-trust", item(3).pem))).outcome == "done"
        await converge(lab)


def rows(lab: LocalLab) -> dict[str, tuple[Row, ...]]:
    return {name: lab.view(name).rows for name in lab.names}


@pytest.mark.slow
@pytest.mark.rule("S5", "S11", "S15")
async def test_no_other_message_is_believed_from_whom_it_is_not(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (lab, attacker):
        topics, forged = attacker.topics, item(666)
        row = Row(forged.unit, forged.fingerprint, forged.der, "", None)
        epoch, seq = lab.facts().head or (0, 0)
        far = lab.now() + 10**12
        order = ServiceOrder("forged-order", "Cisco Tftp", "stop", far)
        messages: dict[str, AnyMessage] = {
            topics.head(): Head(epoch + 5, 0, b"", "", 0),
            topics.birth("sub1"): Birth("lost", 99, {}, {}),
            topics.birth("pub"): Birth("lost", 99, {}, {}),
            topics.ack("sub1"): Ack(epoch + 5, seq + 5, "", 10**6),
            topics.request("sub1", "propose"): Proposal("forged", "upload", (), (row,), far),
            topics.answer("sub1", "propose"): Answer("forged", "done", "", "", epoch, seq, {}),
            topics.keys("sub1"): SealedKeys(99, "authz", b"blob"),
            topics.service_order("sub1", "Cisco Tftp"): order,
            topics.service_state("sub1", "Cisco Tftp"): ServiceReport(
                "order-1", "Cisco Tftp", "stopped", False, 0, "done", "", "", 10**6
            ),
        }
        before = dumped(lab)
        for topic, message in messages.items():
            for sender, key_of, reason in (
                ("pub", "sub2", "signature"),
                ("sub1", "sub2", "signature"),
                ("pub", None, "signature"),
                (MALLORY, None, "signature"),
                ("sub2", "sub2", "sender"),
            ):
                since = len(lab.events("bus_refused"))
                await attacker.publish(topic, attacker.seal(topic, message, sender=sender, key_of=key_of))
                found = await refusals(lab, since)
                assert found, (topic, sender, key_of)
                assert set().union(*found.values()) == {reason}, (topic, sender, key_of, found)
                assert dumped(lab) == before, (topic, sender, key_of)


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("S11", "S4")
async def test_everything_that_was_ever_said_changes_nothing_when_it_is_said_again(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (lab, attacker):
        await lab.operate("sub2", Delete("delete-1", *item(1).key))
        await converge(lab)
        before, disks = dumped(lab), rows(lab)
        # Retained topics are left out: their last word is with the broker, and a repetition of an older one is a fault
        # of the broker's memory, which the members must survive and do: see the next loop.
        captured = list(lab.messages("#"))
        for topic, payload in captured:
            if payload and "/birth" not in topic:
                await attacker.publish(topic, payload)
        await lab.wait(0)
        assert rows(lab) == disks
        assert dumped(lab) == before
        # Nothing of it is only waiting for an occasion: another hour, another upload.
        await converge(lab)
        assert rows(lab) == disks
        assert (await lab.operate("sub1", Upload("after", "tomcat-trust", item(3).pem))).outcome == "done"


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("S3")
async def test_the_proposal_of_an_upload_that_changed_nothing_is_not_good_for_a_second_time(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (lab, attacker):
        await lab.operate("sub1", Upload("again", "tomcat-trust", item(1).pem))
        proposals = attacker.captured("cucm/v1/+/req/sub1/propose", Proposal)
        assert (await lab.operate("sub2", Delete("delete-1", *item(1).key))).outcome == "done"
        for topic, payload in proposals:
            await attacker.publish(topic, payload)
        await lab.wait(0)
        assert item(1).key not in {row.key for row in lab.view("pub").rows}


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("S4", "S5")
async def test_the_publishers_own_account_replays_nothing_while_the_publisher_is_away(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    async with opened(home) as lab:
        for number in (1, 2):
            await lab.operate("pub", Upload(f"upload-{number}", "tomcat-trust", item(number).pem))
        await converge(lab)
        captured = lab.messages("cucm/v1/+/log/+")
        await lab.stop_node("pub")
        before, disks = dumped(lab), rows(lab)
        async with client(lab, "pub", bus_password(home, "pub"), client_id="pub") as thief:
            for topic, payload in captured:
                await thief.publish(topic, payload, qos=1)
        await lab.wait(0)
        assert rows(lab) == disks
        assert dumped(lab)["nodes"] == before["nodes"]
        await lab.start_node("pub")
        await converge(lab)
        assert rows(lab) == disks
