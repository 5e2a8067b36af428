"""Op-scripts: what clients do with a broker, as data, and what each of them sees; two brokers must show the same.

The scripts are in `broker_scripts.toml`, and so is the table of differences: each names the steps that look different
and why. A difference that is not there any more is an error in the table.
"""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

Version = Literal[4, 5]
Does = Literal[
    "connect", "subscribe", "unsubscribe", "publish", "release", "hear", "disconnect", "drop", "closed", "wait"
]


class WillStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The will of a `connect`; `delay` in seconds."""

    topic: str
    payload: str
    qos: int = 0
    retain: bool = False
    delay: int | None = None


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step: who does what. Which fields count is the verb's affair; seconds and bytes are plain numbers."""

    do: Does
    client: str = ""
    # connect
    client_id: str | None = None
    clean: bool = True
    session_expiry: int | None = None
    receive_maximum: int | None = None
    max_packet: int | None = None
    will: WillStep | None = None
    hold: Literal["", "all", "release"] = ""
    """What the client leaves unanswered: nothing, every message, or every PUBREL."""
    # subscribe, unsubscribe
    filters: tuple[str, ...] = ()
    qos: int = 0
    no_local: bool = False
    as_published: bool = False
    handling: int = 0
    identifier: int | None = None
    # publish
    topic: str = ""
    payload: str = ""
    raw: bool = False
    """The payload is one byte that is no text."""
    size: int = 0
    """Bytes of filling behind the payload."""
    count: int = 1
    """So many messages, numbered behind their payload."""
    retain: bool = False
    expiry: int | None = None
    text: bool = False
    content_type: str | None = None
    response_topic: str | None = None
    correlation: str | None = None
    user: tuple[tuple[str, str], ...] = ()
    alias: int | None = None
    packet_id: int = 0
    """With one, the message goes out under it, and is not released until a `release`."""
    dup: bool = False
    # disconnect, closed
    reason: int = 0
    # hear
    clients: tuple[str, ...] = ()
    """Whose messages count together, in whatever share."""
    # wait
    seconds: float = 0


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One script; `by` are the clients that can play it."""

    name: str
    steps: tuple[Step, ...]
    versions: tuple[Version, ...] = (4, 5)
    by: tuple[Literal["wire", "paho"], ...] = ("wire", "paho")


class Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the brokers differ, and why both are right or which of them is not."""

    script: str
    versions: tuple[Version, ...]
    steps: tuple[int, ...]
    """Counted from 0."""
    why: str
    by: tuple[Literal["wire", "paho"], ...] = ("wire", "paho")


class Book(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in `broker_scripts.toml`."""

    script: tuple[Script, ...]
    difference: tuple[Difference, ...] = ()


BOOK = msgspec.convert(tomllib.loads(Path(__file__).with_name("broker_scripts.toml").read_text()), Book)


class Gone(Exception):
    """The broker ended the connection; `code` is the one that it gave, 0 without one."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with 0x{code:02X}")
        self.code = code


class Heard(msgspec.Struct, frozen=True, order=True):
    """One message as a client saw it, without what only counts on its connection; a PUBREL has no topic."""

    topic: str
    payload: str
    qos: int
    retain: bool
    dup: bool
    expiry: int | None = None
    text: bool = False
    content_type: str | None = None
    response_topic: str | None = None
    correlation: str | None = None
    user: tuple[tuple[str, str], ...] = ()
    identifiers: tuple[int, ...] = ()


class Client(Protocol):
    """A client of one connection after the other. Codes are those of the standard."""

    async def connect(self, step: Step) -> tuple[int, bool]:
        """Return the code and whether there was a session."""

    async def subscribe(self, step: Step) -> tuple[int, ...]:
        """Return the codes."""

    async def unsubscribe(self, step: Step) -> tuple[int, ...]:
        """Return the codes, none in 3.1.1."""

    async def publish(self, step: Step, payload: bytes) -> int:
        """Return the code of the answer, 0 at QoS 0."""

    async def release(self, step: Step) -> int:
        """Release the message of a packet identifier; returns the code."""

    async def hear(self) -> list[Heard]:
        """Everything that the broker has for the client by now."""

    async def disconnect(self, step: Step) -> None:
        """Say goodbye."""

    async def drop(self) -> None:
        """Lose the connection."""

    async def closed(self) -> None:
        """Wait until the broker ends the connection.

        Every method raises `Gone` when it has.
        """


MakeClient = Callable[[int, str, int], Client]
"""Makes a client of a port, a name and a protocol version."""


async def play(script: Script, port: int, version: int, make: MakeClient) -> list[object]:
    """Plays a script; returns what each step showed."""
    clients: dict[str, Client] = {}
    shown: list[object] = []
    try:
        for step in script.steps:
            for name in (step.client, *step.clients):
                if name and name not in clients:
                    clients[name] = make(port, name, version)
            try:
                shown.append(await _take(step, clients))
            except Gone as gone:
                shown.append(("closed", gone.code))
    finally:
        for client in clients.values():
            await client.drop()
    return shown


async def _take(step: Step, clients: dict[str, Client]) -> object:
    if step.do == "wait":
        await asyncio.sleep(step.seconds)
        return None
    if step.do == "hear":
        names = step.clients or (step.client,)
        heard = [message for name in names for message in await clients[name].hear()]
        # Order is the standard's for one topic on one connection only.
        return sorted(heard) if step.clients else sorted(heard, key=lambda message: message.topic)
    client = clients[step.client]
    if step.do == "publish":
        return [await client.publish(step, payload) for payload in _payloads(step)]
    takes: dict[str, Callable[[Step], Awaitable[object]]] = {
        "connect": client.connect,
        "subscribe": client.subscribe,
        "unsubscribe": client.unsubscribe,
        "release": client.release,
        "disconnect": client.disconnect,
        "drop": lambda _: client.drop(),
        "closed": lambda _: client.closed(),
    }
    return await takes[step.do](step)


def _payloads(step: Step) -> Sequence[bytes]:
    if step.raw:
        return [b"\xff"]
    filling = "x" * step.size
    numbers = [""] if step.count == 1 else [str(number) for number in range(step.count)]
    return [f"{step.payload}{number}{filling}".encode() for number in numbers]
