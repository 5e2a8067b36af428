"""Both ends of a connection in this process: whoever ends its handshake says why, and knows why at once."""

import asyncio
import socket
import ssl
from contextlib import suppress

import pytest

from tests.contract.handshaking import key_pem
from tests.unit.node.authorities import issue
from ucmlab.cluster.tls_contexts import Identity, client_context, server_context
from ucmlab.cluster.tls_ends import speak_as_the_product, told
from ucmlab.node.handshake import Shown

HOST = "pub.lab.test"
LEAF = issue(HOST, 3)
OWN = Identity(chain=(LEAF.der,), key=key_pem(LEAF.key))


async def tried(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[list[str], list[str]]:
    """What the client was told and found; what the server found."""
    for context in (client, server):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    found: list[ssl.SSLError] = []
    own: list[ssl.SSLError] = []
    heard: list[str] = []
    with told(found.append):
        listening = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=server)
    async with listening, asyncio.timeout(10):
        host, port = listening.sockets[0].getsockname()
        try:
            with told(own.append):
                _, writer = await asyncio.open_connection(host, port, ssl=client, server_hostname=HOST)
            writer.close()
        except ssl.SSLError as error:
            heard.append(error.reason)
        except ConnectionResetError:
            heard += [each.reason for each in own]
    return heard, [each.reason for each in found]


@pytest.mark.rule("R-004")
async def test_a_client_without_a_certificate_is_told_and_not_only_cut_off() -> None:
    server = server_context([OWN], trusted=(LEAF.der,), client="required").context
    speak_as_the_product(server)
    client = client_context([LEAF.der], check_name=False).context
    heard, found = await tried(client, server)
    assert ("ALERT_HANDSHAKE_FAILURE" in heard[0], found) == (True, ["PEER_DID_NOT_RETURN_A_CERTIFICATE"])


async def test_a_client_knows_its_own_reason_when_the_server_goes() -> None:
    server = server_context([OWN]).context
    client = client_context([], check_name=False).context
    speak_as_the_product(client)
    heard, found = await tried(client, server)
    assert (heard, found) == (["CERTIFICATE_VERIFY_FAILED"], [])


async def test_clients_that_share_a_context_are_heard_apart() -> None:
    """At a listener that asks for certificates, at the same time: each task hears what its own client presented."""
    server = server_context([OWN], trusted=(LEAF.der,), client="required").context
    speak_as_the_product(server, hears=True)
    others = [issue(f"client{number}.lab.test", 4 + number) for number in range(3)]
    heard: dict[int, list[Shown]] = {}

    async def receive(number: int, sock: socket.socket) -> None:
        mine = heard.setdefault(number, [])
        with told(lambda _: None, mine.append):
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, sock, ssl=server)
        transport.close()

    async def call(number: int, sock: socket.socket) -> None:
        own = Identity(chain=(others[number].der,), key=key_pem(others[number].key))
        client = client_context([LEAF.der], identity=own, check_name=False).context
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        with suppress(ssl.SSLError, ConnectionResetError):
            await asyncio.open_connection(sock=sock, ssl=client, server_hostname=HOST)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for number in range(3):
            ends = socket.socketpair()
            for end in ends:
                end.setblocking(False)
            servers = tasks.create_task(receive(number, ends[0]))
            tasks.create_task(call(number, ends[1])).add_done_callback(lambda _, it=servers: it.cancel())  # type: ignore[misc]
    assert heard == {number: [Shown((others[number].der,))] for number in range(3)}
