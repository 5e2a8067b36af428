"""What listeners say: to whoever asks, and not for ever."""

import asyncio

import pytest

from ucmlab.cluster import greetings
from ucmlab.cluster.greetings import OPTIONS, speak


class Deaf(asyncio.StreamWriter):
    """Its other end never reads."""

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]  # all that is written here
        self.said.append(data)

    async def drain(self) -> None:
        await asyncio.Event().wait()

    def __del__(self, *_: object) -> None:
        """There is no transport to close."""


def reader(*said: bytes) -> asyncio.StreamReader:
    made = asyncio.StreamReader()
    for each in said:
        made.feed_data(each)
    return made


async def test_who_asks_and_never_listens_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greetings, "IDLE_S", 0.01)
    writer = Deaf()
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            await speak("sip", reader(OPTIONS, OPTIONS), writer)
    assert len(writer.said) == 1


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (b"OPTIONS sip:a SIP/2.0\r\nCall-ID: 7\r\nX: y\r\n\r\n", b"SIP/2.0 200 OK\r\nCall-ID: 7\r\nAllow: OPTIONS\r\n"),
        (b"BYE sip:a SIP/2.0\r\n\xff\xfe\r\n\r\n", b"SIP/2.0 405 Method Not Allowed\r\nAllow: OPTIONS\r\n"),
        (b"\r\n\r\n", b""),
        (b"\x00\xff\r\n\r\n", b""),
    ],
)
def test_whatever_is_said_in_sip_has_an_answer_or_none(head: bytes, answer: bytes) -> None:
    assert greetings._sip(head).startswith(answer)
    assert bool(greetings._sip(head)) == bool(answer)
