"""Mail and syslog through real sockets on loopback: what arrives, and what servers can do to a node that sends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.unit.cluster.test_place import Agenda, Node
from ucmlab.cluster.outside.mail import MailServer
from ucmlab.cluster.outside.place import Holding, Place
from ucmlab.cluster.outside.received import Kept, Logged, Mail, is_address
from ucmlab.cluster.outside.senders import Senders
from ucmlab.cluster.outside.syslog import SyslogCollector
from ucmlab.node.commands import SendMail, SendSyslog
from ucmlab.node.events import Sent
from ucmlab.node.instant import from_rfc3339
from ucmlab.node.syslog import SyslogMessage, framed

NOW = "2026-01-05T08:00:00Z"
WALL = from_rfc3339(NOW)
SECOND = 1_000_000


class Lab:
    """Both places, open, and a node that sends."""

    def __init__(self) -> None:
        self.agenda, self.node, self.changed = Agenda(), Node(), asyncio.Event()
        holding = Holding(self.agenda, node={"sub1": self.node}.get, changed=self.changed.set)
        self.mail = MailServer(holding, now=lambda: NOW, keep=1000)
        self.syslog = SyslogCollector(holding, now=lambda: NOW, keep=1000)
        self.places: tuple[Place, ...] = (self.mail, self.syslog)

    @property
    def senders(self) -> Senders:
        return Senders("sub1.lab.test", {f"{each.name}.outside": (each.host, each.port) for each in self.places})

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until something has happened that the places tell of."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()


@asynccontextmanager
async def lab() -> AsyncIterator[Lab]:
    made = Lab()
    for place in made.places:
        await place.open("127.0.0.1")
    try:
        yield made
    finally:
        for place in made.places:
            place.close()
        await asyncio.sleep(0)


def mail(*recipients: str, server: str = "mail.outside", subject: str = "Notice", text: str = "text\n") -> SendMail:
    return SendMail("t", server, "certmonitor@sub1.lab.test", recipients, subject, text, wall=WALL)


def message(text: str = "something") -> SyslogMessage:
    return SyslogMessage(
        severity=0, wall=WALL, host="sub1.lab.test", application="App", message_id="Expired", text=text
    )


def syslog(*texts: str, protocol: str = "udp", server: str = "syslog.outside") -> SendSyslog:
    return SendSyslog("t", server, protocol, tuple(map(message, texts)))


def texts(box: Kept[Logged]) -> list[str]:
    return [each.text for each in box.after()]


# -- what arrives


@pytest.mark.rule("R-180")
async def test_a_mail_arrives_as_it_was_sent_at_every_recipient() -> None:
    async with lab() as made:
        sent = await made.senders.mail(mail("a@lab.test", "b@lab.test", subject="Käse", text="one\n.\nzwölf\n"))
        assert sent == Sent("t")
        assert made.mail.box.after() == [
            Mail(
                at=NOW,
                node="sub1",
                sender="certmonitor@sub1.lab.test",
                recipients=("a@lab.test", "b@lab.test"),
                subject="Käse",
                text="one\n.\nzwölf\n",
                written=NOW,
            )
        ]


@pytest.mark.rule("R-180")
async def test_two_addresses_with_a_comma_between_are_one_bad_one() -> None:
    async with lab() as made:
        sent = await made.senders.mail(mail("a@lab.test,b@lab.test", "c@lab.test"))
        assert sent == Sent("t", refused=("a@lab.test,b@lab.test",))
        assert [each.recipients for each in made.mail.box.after()] == [("c@lab.test",)]


@pytest.mark.parametrize(
    "address", ["a@b,c@d", "no at", "", "a@b>", "<a@b>", "Käse@lab.test", "a b@lab.test", "a@lab..test", "a@b;c@d"]
)
async def test_what_is_no_address_is_refused_for_good(address: str) -> None:
    async with lab() as made:
        sent = await made.senders.mail(mail(address))
        assert sent == Sent("t", "no recipient was taken", lasting=True, refused=(address,))
        assert (made.mail.box.after(), is_address(address)) == ([], False)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_syslog_messages_arrive_in_their_order_and_are_there_when_they_are_sent(protocol: str) -> None:
    async with lab() as made:
        assert await made.senders.syslog(syslog("one", "zwölf", "x" * 1500, protocol=protocol)) == Sent("t")
        assert texts(made.syslog.box) == ["one", "zwölf", "x" * 1500]
        assert made.syslog.box.after(2) == [
            Logged(
                at=NOW,
                node="sub1",
                protocol=protocol,
                severity=0,
                application="App",
                message_id="Expired",
                text="x" * 1500,
                written=NOW,
            )
        ]


async def test_what_is_no_syslog_message_is_thrown_away() -> None:
    async with lab() as made:
        address = made.syslog.host, made.syslog.port
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=address
        )
        for octets in (b"", b"no message", message("one").write()):
            transport.sendto(octets)
        transport.close()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(framed(b"no message"))
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert texts(made.syslog.box) == ["one"]


async def test_a_stranger_without_frames_is_hung_up_on() -> None:
    async with lab() as made:
        reader, writer = await asyncio.open_connection(made.syslog.host, made.syslog.port)
        writer.write(b"<34>1 no frame")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


# -- what servers do to a node


@pytest.mark.parametrize("command", [mail("a@lab.test"), syslog("one", protocol="tcp")])
async def test_a_place_that_is_stopped_refuses_and_takes_again_when_it_is_back(command: SendMail | SendSyslog) -> None:
    async with lab() as made:
        for place in made.places:
            await place.stop()
        assert "refused" in (await send(made.senders, command)).error.lower()
        for place in made.places:
            await place.start()
        assert await send(made.senders, command) == Sent("t")


async def test_datagrams_to_nobody_are_lost_and_nobody_hears_of_it() -> None:
    async with lab() as made:
        await made.syslog.stop()
        assert await made.senders.syslog(syslog("one", "two")) == Sent("t")
        await made.syslog.start()
        assert await made.senders.syslog(syslog("three")) == Sent("t")
        assert texts(made.syslog.box) == ["three"]


@pytest.mark.parametrize("command", [mail("a@lab.test"), syslog("one", protocol="tcp")])
async def test_a_slow_place_takes_what_it_is_brought_when_it_answers(command: SendMail | SendSyslog) -> None:
    async with lab() as made, asyncio.TaskGroup() as tasks:
        for place in made.places:
            place.slow(30 * SECOND)
        sending = tasks.create_task(send(made.senders, command))
        await made.until(lambda: made.node.held == 1)
        assert ([due for due, _, _ in made.agenda.made], count(made)) == ([100 + 30 * SECOND], 0)
        made.agenda.now += 30 * SECOND
        made.agenda.run_due()
        assert made.node.held == 0
        assert await sending == Sent("t")
        assert count(made) == 1


@pytest.mark.parametrize("command", [mail("a@lab.test"), syslog("one", protocol="tcp")])
async def test_who_gives_up_is_held_no_more_and_has_brought_nothing(command: SendMail | SendSyslog) -> None:
    async with lab() as made, asyncio.TaskGroup() as tasks:
        for place in made.places:
            place.slow(None)
        sending = tasks.create_task(send(made.senders, command))
        await made.until(lambda: made.node.held == 1)
        sending.cancel()
        await made.until(lambda: made.node.held == 0)
        assert count(made) == 0


@pytest.mark.parametrize("command", [mail("a@lab.test"), syslog("one", protocol="tcp")])
async def test_a_place_that_goes_away_breaks_off_whoever_waits(command: SendMail | SendSyslog) -> None:
    async with lab() as made, asyncio.TaskGroup() as tasks:
        for place in made.places:
            place.slow(None)
        sending = tasks.create_task(send(made.senders, command))
        await made.until(lambda: made.node.held == 1)
        for place in made.places:
            await place.stop()
        answer = await sending
        assert answer.error
        assert not answer.lasting
        await made.until(lambda: made.node.held == 0)
        assert count(made) == 0


REPLIES = [
    (b"554 go away\r\n", True),
    (b"421 later\r\n", False),
    (b"220 hello\r\n500 what\r\n500 what\r\n", True),
    (b"220 hello\r\n250 hello\r\n451 later\r\n", False),
    (b"220 hello\r\n250 hello\r\n550 not you\r\n", True),
    (b"220 hello\r\n250 hello\r\n250 ok\r\n452 full\r\n", False),
    (b"220 hello\r\n250 hello\r\n250 ok\r\n250 ok\r\n554 no data\r\n", True),
    (b"220 hello\r\n250 hello\r\n250 ok\r\n250 ok\r\n354 go on\r\n452 full\r\n", False),
    (b"220 hello\r\n250 hello\r\n250 ok\r\n250 ok\r\n354 go on\r\n", False),
    (b"GET / HTTP/1.1\r\n\r\n", False),
    (b"\xff\xfe\x00\r\n", False),
    (b"220" + b"-x" * 100_000, False),
    (b"", False),
]


@pytest.mark.parametrize(("said", "lasting"), REPLIES, ids=range(len(REPLIES)))
async def test_a_mail_server_may_say_what_it_likes(said: bytes, *, lasting: bool) -> None:
    async with foreign(said) as server:
        answer = await Senders("sub1.lab.test", {}).mail(mail("a@lab.test", server=server))
        assert answer.error
        assert "\n" not in answer.error
        assert answer.lasting is lasting


@pytest.mark.parametrize("protocol", ["mail", "tcp"])
async def test_somebody_elses_server_that_says_nothing_is_not_waited_for_forever(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ucmlab.cluster.outside.senders.PATIENCE_S", 0.0)
    async with silent() as server:
        command = (
            mail("a@lab.test", server=server) if protocol == "mail" else syslog("one", server=server, protocol="tcp")
        )
        answer = await send(Senders("sub1.lab.test", {}), command)
        assert answer.error
        assert not answer.lasting


async def test_a_mail_that_was_taken_is_taken_whatever_comes_then() -> None:
    said = b"220 hello\r\n250 hello\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\nnonsense\r\n"
    async with foreign(said) as server:
        assert await Senders("sub1.lab.test", {}).mail(mail("a@lab.test", server=server)) == Sent("t")


async def test_a_collector_may_say_what_it_likes() -> None:
    async with foreign(b"nonsense" * 10_000) as server:
        assert await Senders("sub1.lab.test", {}).syslog(syslog("one", protocol="tcp", server=server)) == Sent("t")


@pytest.mark.parametrize(
    "command",
    [
        mail("a@lab.test", server="127.0.0.1:x"),
        syslog("one", server="127.0.0.1:99999", protocol="tcp"),
        syslog("one", server="127.0.0.1:0"),
        mail("a@lab.test"),
        syslog("one"),
    ],
)
async def test_a_server_that_cannot_be_named_so_or_is_not_here_is_not_reached(command: SendMail | SendSyslog) -> None:
    answer = await send(Senders("sub1.lab.test", {}), command)
    assert answer.error
    assert not answer.lasting


# -- how


async def send(senders: Senders, command: SendMail | SendSyslog) -> Sent:
    return await (senders.mail(command) if isinstance(command, SendMail) else senders.syslog(command))


def count(made: Lab) -> int:
    return made.mail.box.count + made.syslog.box.count


class Foreign(asyncio.Protocol):
    """A server that says one line, and after each thing that the other says another, whether it fits or not."""

    def __init__(self, said: bytes, everybody: list["Foreign"]) -> None:
        self._lines = said.splitlines(keepends=True)
        self._heard = b""
        self._end = b"\r\n"
        everybody.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._speak()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if self._heard.endswith(self._end):
            self._heard = b""
            self._speak()

    def _speak(self) -> None:
        """A line that is not whole is the last one."""
        line = self._lines.pop(0) if self._lines else b""
        self._end = b"\r\n.\r\n" if line.startswith(b"354") else b"\r\n"
        self.transport.write(line)
        if not line.endswith(b"\r\n"):
            self.transport.write_eof()


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """A server that takes connections (the kernel does) and says nothing; HOST:PORT."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        yield f"{host}:{port}"


@asynccontextmanager
async def foreign(said: bytes) -> AsyncIterator[str]:
    """A server that is none of the lab's; HOST:PORT."""
    everybody: list[Foreign] = []
    server = await asyncio.get_running_loop().create_server(lambda: Foreign(said, everybody), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"{host}:{port}"
    server.close()
    for each in everybody:
        each.transport.abort()
    await asyncio.sleep(0)
