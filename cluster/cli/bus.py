"""`ucmlab bus`: what travels on the bus, verified and decoded, as the observer sees it: an account that only reads."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import cast

import aiomqtt
import click
import msgspec

from ucmlab.broker.bus import BusEndpoint
from ucmlab.broker.codec import BusCodec, Refused
from ucmlab.broker.signing import Ed25519Signer, Ed25519Verifier
from ucmlab.broker.topics import Topics, parse
from ucmlab.cluster.carriers.reaching import client_of
from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.options import directory_option, topic_filter
from ucmlab.cluster.cli.places import read_url
from ucmlab.cluster.cli.printing import print_line
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import LabHome, open_lab

TRY_EVERY_S = 0.3
"""Machine time between attempts to reach a broker that went away."""
SHORT = 32
"""Bytes up to which binary is shown as hex (hashes are no longer); longer is shown as its size and digest."""
FAILURE = 0x80
"""Reason codes of a SUBACK from here on are refusals (MQTT 5, 3.9.3)."""
NOTHING = "nothing"
"""A filter that nobody publishes on, and that the observer may not even read: it is asked for its answer alone."""
Shown = Callable[[dict[str, object]], None]


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on until interrupted; else only what the broker retains.")
@click.option(
    "--topic", metavar="F", default="#", show_default=True, help="An MQTT filter, whole or below the lab's root."
)
@directory_option
@click.option("--json", "as_json", is_flag=True, help="It is JSON lines in any case.")
def bus(*, follow: bool, topic: str, directory: Path, as_json: bool) -> None:
    """Show what travels on the bus as JSON lines, each message verified and decoded."""
    del as_json
    home = open_lab(directory)
    url = attaching.running_outline(home).broker.url
    if url is None:
        raise Unusable("the broker is down; start it with `ucmlab fault start broker`")
    address = read_url(url)
    endpoint = home.observer_endpoint(
        f"observer-{secrets.token_hex(4)}", host=address.host, port=address.port, tls=address.tls
    )
    watch = Watch(endpoint, full_filter(home, topic), Decoder(home), print_line)
    asyncio.run(watch.follow() if follow else watch.retained())


class Decoder:
    """Makes a payload what people read."""

    def __init__(self, home: LabHome) -> None:
        """Verify as a member of that lab would."""
        config = home.node_config(home.topology.publisher)
        self._topics = Topics(config.cluster)
        # It seals nothing: the signer is there because a codec has one.
        self._codec = BusCodec(
            cluster=config.cluster,
            sender="observer",
            boot=0,
            signer=Ed25519Signer(secrets.token_bytes(SHORT)),
            verifier=Ed25519Verifier({member.name: member.signing for member in config.members}),
        )

    def decode(self, topic: str, payload: bytes) -> dict[str, object]:
        """A message, or why it is none, as values for JSON. No secret is in it: what is sealed shows as a digest."""
        address = parse(topic)
        bound = self._topics.log_binding() if address is not None and address.kind == "log" else topic
        try:
            opened = self._codec.open(bound, payload)
        except Refused as refused:
            return {"topic": topic, "refused": refused.reason, "sender": refused.sender, "payload": plain(payload)}
        return {
            "topic": topic,
            "sender": opened.sender,
            "boot": opened.boot,
            "cause": opened.cause,
            "kind": type(opened.message).__name__,
            "message": plain(opened.message),
        }


class Watch:
    """A subscription of the observer's."""

    def __init__(self, endpoint: BusEndpoint, topic_filter: str, decoder: Decoder, shown: Shown) -> None:
        """Nothing is connected yet."""
        self._endpoint = endpoint
        self._filter = topic_filter
        self._decoder = decoder
        self._shown = shown

    async def retained(self) -> None:
        """Show what the broker retains."""
        try:
            async with client_of(self._endpoint) as client:
                await self._subscribe(client, self._filter)
                # A broker answers in order: with the second answer, everything of the first subscription is here.
                await self._subscribe(client, NOTHING)
                for _ in range(len(client.messages)):
                    self._show(await anext(client.messages))
        except aiomqtt.MqttError as error:
            raise Unusable(f"the broker cannot be reached: {error}; `ucmlab status` tells how it is") from error

    async def follow(self) -> None:
        """Show everything that comes, and outlive the broker."""
        while True:
            try:
                async with client_of(self._endpoint) as client:
                    await self._subscribe(client, self._filter)
                    async for message in client.messages:
                        self._show(message)
            except aiomqtt.MqttError as error:
                click.echo(f"ucmlab bus: the broker is gone ({error}); trying again", err=True)
            await asyncio.sleep(TRY_EVERY_S)

    async def _subscribe(self, client: aiomqtt.Client, topic_filter: str) -> None:
        codes = await client.subscribe(topic_filter, qos=0)
        if topic_filter == self._filter and any(_number(code) >= FAILURE for code in codes):
            raise Unusable(f"the observer may not read {topic_filter}; it may read what is below the lab's own root")

    def _show(self, message: aiomqtt.Message) -> None:
        shown = self._decoder.decode(message.topic.value, _bytes(message.payload))
        self._shown({"retained": message.retain, **shown})


def full_filter(home: LabHome, topic: str) -> str:
    """A filter as MQTT knows it: what does not begin like the lab's topics is meant below their root.

    Raises:
        Unusable: it is no filter.
    """
    topic_filter(topic)
    root = Topics(home.lab.cluster).root
    return topic if topic.startswith(("cucm/", "$")) else f"{root}/{topic}"


def plain(value: object) -> object:
    """A message's value for JSON: structures by field name, long binary as size and digest."""
    match value:
        case msgspec.Struct():
            return {field: plain(getattr(value, field)) for field in value.__struct_fields__}
        case bytes() if len(value) <= SHORT:
            return value.hex()
        case bytes():
            return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
        case dict():
            pairs = cast("dict[str, object]", value)  # the only keys that JSON and our messages have
            return {key: plain(each) for key, each in pairs.items()}
        case tuple() | list():
            return [plain(each) for each in cast("list[object]", value)]
        case _:
            return value


def _bytes(payload: object) -> bytes:
    return payload if isinstance(payload, bytes) else str(payload).encode()


def _number(code: object) -> int:
    # aiomqtt hands on paho's reason codes for MQTT 5, plain numbers before.
    found = getattr(code, "value", code)
    return found if isinstance(found, int) else 0
