"""Connections that stay open, between a caller and a server outside, at real sockets (R-192)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import pytest

from tests.contract.handshaking import key_pem
from tests.unit.cluster.test_place import Agenda
from tests.unit.node.authorities import issue
from tests.unit.node.certificate_factory import START
from ucmlab.cluster.calling import Caller
from ucmlab.cluster.lasting import LastingConnections
from ucmlab.cluster.outside.peer import TlsPlace
from ucmlab.cluster.outside.place import Holding
from ucmlab.cluster.tls_contexts import Identity
from ucmlab.node.commands import CloseLink, OpenTls
from ucmlab.node.events import LinkEnded
from ucmlab.node.instant import from_datetime

pytestmark = pytest.mark.slow
LEAF = issue("ldap.lab.test", 1, ca=False)


class NoKeys:
    def identity(self, service: str, unit: str) -> None:
        pass


class Ends:
    """A server, a caller, and what the caller's node was told."""

    def __init__(self, place: TlsPlace) -> None:
        self.place = place
        self.lasting = LastingConnections()
        self.told: list[LinkEnded] = []
        self.lasting.attach(self.told.append)

    async def open(self, token: str, *, trusted: tuple[bytes, ...] = (LEAF.der,), lasting: bool = True) -> str:
        command = OpenTls(
            token=token,
            service="",
            unit="",
            node="",
            listener="",
            address=self.place.address,
            name="ldap.lab.test",
            checks_name=False,
            trusted=trusted,
            ec_only=False,
            speaks="",
            lasting=lasting,
        )
        return (await Caller(NoKeys(), self.lasting).open_tls(command)).outcome

    async def connected(self, count: int) -> None:
        """Returns when the server has so many clients."""
        async with asyncio.timeout(10):
            while len(self.place._connections) != count:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0)


@asynccontextmanager
async def ends() -> AsyncGenerator[Ends]:
    def changed() -> None:
        pass

    holding = Holding(Agenda(), node=lambda _: None, changed=changed)
    place = TlsPlace(
        "ldap.lab.test",
        holding,
        identity=Identity(chain=(LEAF.der,), key=key_pem(LEAF.key)),
        trusted=(),
        wall=lambda: from_datetime(START),
    )
    await place.open("127.0.0.1")
    try:
        yield Ends(place)
    finally:
        await place.stop()
        place.close()


@pytest.mark.rule("R-192")
async def test_a_lasting_connection_stays_until_it_is_closed_and_others_do_not_stay() -> None:
    async with ends() as both:
        assert await both.open("one") == "open"
        assert await both.open("other", lasting=False) == "open"
        await both.connected(1)
        assert await both.lasting.close_link(CloseLink("c", "one")) == LinkEnded("c", "one")
        await both.connected(0)
        assert await both.lasting.close_link(CloseLink("c", "one")) == LinkEnded("c", "one")
        assert both.told == []


@pytest.mark.rule("R-192")
async def test_when_a_server_has_stopped_the_node_has_been_told_of_each_connection_once() -> None:
    async with ends() as both:
        assert [await both.open(token) for token in ("one", "two")] == ["open", "open"]
        await both.place.stop()
        assert sorted(both.told, key=msgspec.json.encode) == [LinkEnded("", "one"), LinkEnded("", "two")]
        assert await both.open("three") == "unreachable"
        await both.place.start()
        assert await both.open("three") == "open"
        assert len(both.told) == 2


async def test_a_server_that_is_not_trusted_has_nobody_connected() -> None:
    async with ends() as both:
        other = issue("other.lab.test", 2, ca=False)
        assert await both.open("one", trusted=(other.der,)) == "failed"
        await both.connected(0)
