"""What a stall holds, and what becomes of it."""

import pytest

from ucmlab.broker.gate import Gate


class Heard:
    """A listener that remembers, and the carrier's side of the gate."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.sent: list[str] = []
        self.gate = Gate(self)

    def connected(self) -> None:
        self.said.append("connected")

    def disconnected(self) -> None:
        self.said.append("disconnected")

    def message(self, topic: str, payload: bytes) -> None:
        self.said.append(f"{topic}={payload.decode()}")

    def duplicate(self) -> None:
        self.said.append("duplicate")

    def counted(self) -> None:
        self.said.append("counted")

    def send(self, what: str) -> None:
        self.gate.outwards(lambda: self.sent.append(what))


@pytest.fixture
def heard() -> Heard:
    heard = Heard()
    heard.gate.connected()
    return heard


def test_an_open_gate_passes_everything_at_once(heard: Heard) -> None:
    heard.gate.message("t", b"1")
    heard.send("a")

    assert heard.said == ["connected", "t=1"]
    assert heard.sent == ["a"]


def test_a_stall_holds_both_directions_and_healing_hands_over_in_order(heard: Heard) -> None:
    heard.gate.stall(stalled=True)
    heard.gate.message("t", b"1")
    heard.gate.message("t", b"2")
    heard.send("a")
    heard.send("b")
    assert (heard.said, heard.sent) == (["connected"], [])

    heard.gate.stall(stalled=False)

    assert heard.said == ["connected", "t=1", "t=2"]
    assert heard.sent == ["a", "b"]


def test_a_connection_that_breaks_during_a_stall_takes_what_was_held_with_it(heard: Heard) -> None:
    heard.gate.stall(stalled=True)
    heard.gate.message("t", b"1")
    heard.send("a")
    heard.gate.disconnected()
    assert heard.said == ["connected"]

    heard.gate.stall(stalled=False)

    assert heard.said == ["connected", "disconnected"]
    assert heard.sent == []


def test_a_connection_that_came_and_went_within_a_stall_was_never_there() -> None:
    heard = Heard()
    heard.gate.stall(stalled=True)
    heard.gate.connected()
    heard.gate.message("t", b"1")
    heard.gate.disconnected()

    heard.gate.stall(stalled=False)

    assert heard.said == []


def test_a_connection_made_as_the_stall_began_is_told_when_it_ends() -> None:
    heard = Heard()
    heard.gate.stall(stalled=True)
    heard.gate.connected()
    assert heard.said == []

    heard.gate.stall(stalled=False)

    assert heard.said == ["connected"]
