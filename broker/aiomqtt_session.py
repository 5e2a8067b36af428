"""One connection of the bus over aiomqtt: the client, but for how it writes, and what goes out on it."""

import asyncio
import math
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import aiomqtt
from paho.mqtt import client as paho

from ucmlab.broker.topics import QOS

CONNECT_TIMEOUT_S = 10.0


class Client(aiomqtt.Client):
    """aiomqtt's client, but for how it writes.

    It watches the socket for each packet, acknowledgements too: a wake-up through the loop's pipe, then epoll told to
    look and to look no more. This one writes in the loop's next turn, and watches only a socket that did not take all.
    Nor does it watch one that a reset has closed meanwhile, which would raise where nobody can catch it.
    """

    _watched = False

    def go_through(self, address: tuple[str, int]) -> None:
        """Connect to this address in place of the broker's, which stays the name that TLS checks."""
        # paho knows proxies of its own kinds only; where it connects is this one call.
        paho_client: Any = self._client
        paho_client._create_socket_connection = lambda: socket.create_connection(address, CONNECT_TIMEOUT_S)  # noqa: SLF001

    def _on_socket_unregister_write(self, client: paho.Client, userdata: object, sock: "paho.SocketLike") -> None:
        if self._watched:
            self._watched = False
            super()._on_socket_unregister_write(client, userdata, sock)

    def _on_socket_register_write(self, client: paho.Client, userdata: object, sock: socket.socket) -> None:
        del userdata

        def write() -> None:
            try:
                client.loop_write()
            except Exception as error:  # noqa: BLE001  as aiomqtt has it: whatever it is, the connection is broken
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)
            # paho has called `_on_socket_unregister_write` when nothing is left.
            if not self._watched and client.want_write() and sock.fileno() >= 0:
                self._watched = True
                self._loop.add_writer(sock.fileno(), write)

        if _runs_here(self._loop):
            self._loop.call_soon(write)
        else:
            self._loop.call_soon_threadsafe(write)  # paho connects on the executor's thread


class Session:
    """What goes out on one connection: in order, without waiting for acknowledgements, but counting them."""

    def __init__(
        self, client: aiomqtt.Client, tasks: asyncio.TaskGroup, client_id: str, counted: Callable[[], None]
    ) -> None:
        """Nothing was said yet; `counted` hears of every acknowledgement."""
        self._client = client
        self._tasks = tasks
        self._name = f"bus[{client_id}]"
        self._counted = counted
        self.sent = 0
        self.unanswered = 0
        self.received = 0
        self.leave = asyncio.Event()
        """The connection is to end in order."""
        self.over = False
        """The connection is lost; its tasks are being ended, and the group takes no more."""
        self._echo_topic = ""
        self._echo_count = 0
        self._echoes: dict[bytes, Callable[[], None]] = {}

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Say it, at QoS 1."""
        if self.over:
            return
        self.sent += 1
        self.unanswered += 1
        # Tasks start in the order of their making, and aiomqtt hands the packet to paho before its first await.
        self._tasks.create_task(self._publish(topic, payload, retain), name=f"{self._name}.publish")

    def subscribe(self, filters: tuple[str, ...]) -> None:
        """Ask for what these filters cover."""
        if self.over:
            return
        self.unanswered += 1
        self._tasks.create_task(self._subscribe(filters), name=f"{self._name}.subscribe")

    def echo(self, topic: str, heard: Callable[[], None]) -> None:
        """Say something to ourselves; `heard` is called when it is back, or will not come."""
        if self.over:
            heard()
            return
        self._echo_count += 1
        payload = str(self._echo_count).encode()
        self._echoes[payload] = heard
        self._tasks.create_task(self._say_to_ourselves(topic, payload), name=f"{self._name}.echo")

    @property
    def writing(self) -> bool:
        """Whether the system has not yet taken everything."""
        return self._client._client.want_write()  # noqa: SLF001  as below

    def hears_echo(self, topic: str, payload: bytes) -> bool:
        """Whether this message was to ourselves."""
        if topic != self._echo_topic:
            return False
        heard = self._echoes.pop(payload, None)
        if heard is not None:
            heard()
        return True

    def lose_echoes(self) -> None:
        """What we said to ourselves comes back no more."""
        lost, self._echoes = self._echoes, {}
        for heard in lost.values():
            heard()

    async def _say_to_ourselves(self, topic: str, payload: bytes) -> None:
        with self._ending():
            if self._echo_topic != topic:
                self._echo_topic = topic
                await self._client.subscribe([(topic, QOS)], timeout=math.inf)
            await self._client.publish(topic, payload, QOS, timeout=math.inf)

    def abort(self) -> None:
        """Break the connection without a word; the reader finds it broken."""
        sock = self._client._client.socket()  # noqa: SLF001  aiomqtt can only disconnect in order
        if isinstance(sock, socket.socket):
            sock.shutdown(socket.SHUT_RDWR)

    async def _publish(self, topic: str, payload: bytes, retain: bool) -> None:  # noqa: FBT001  one caller
        with self._ending():
            await self._client.publish(topic, payload, QOS, retain, timeout=math.inf)
        self._answer()

    async def _subscribe(self, filters: tuple[str, ...]) -> None:
        with self._ending():
            await self._client.subscribe([(name, QOS) for name in filters], timeout=math.inf)
        self._answer()

    @contextmanager
    def _ending(self) -> Generator[None]:
        # The group refuses new tasks from the moment that one of them has failed, which is before its body hears of it.
        try:
            yield
        except aiomqtt.MqttError:
            self.over = True
            raise

    def _answer(self) -> None:
        self.unanswered -= 1
        self._counted()


def inbox(arrived: Callable[[aiomqtt.Message], None]) -> type[asyncio.Queue[aiomqtt.Message]]:
    """A type of queue, which aiomqtt takes, that keeps nothing: `arrived` gets each message.

    So what has arrived is known at once and exactly, and costs no task (aiomqtt's iterator makes one for each message).
    """

    class Inbox(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            arrived(item)

    return Inbox


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
