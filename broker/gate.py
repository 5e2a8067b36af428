"""The gate of a link: while it is stalled, nothing passes, and nothing is lost or reordered.

What must live here: what a stall means for what is held. What this file must not know: sockets, MQTT, time. The same
gate serves every carrier, so a partition is the same with each of them (design 6).
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import ParamSpec

from ucmlab.broker.bus import BusListener

Call = Callable[[], None]
Parameters = ParamSpec("Parameters")


class Gate:
    """Stands between a carrier and its listener, for both directions."""

    def __init__(self, listener: BusListener) -> None:
        """Open, with nothing held; `listener` hears what passes inwards."""
        self.stalled = False
        self._listener = listener
        self._inwards: deque[Call] = deque()
        self._outwards: deque[Call] = deque()
        self._told_connected = False

    @property
    def open(self) -> bool:
        """Whether everything passes at once: it is not stalled, and nothing is held that would have to go first."""
        return not (self.stalled or self._inwards or self._outwards)

    def outwards(
        self, call: Callable[Parameters, None], *arguments: Parameters.args, **named: Parameters.kwargs
    ) -> None:
        """Let a publish or a subscription pass, or hold it."""
        if self.stalled or self._outwards:
            self._outwards.append(partial(call, *arguments, **named))
        else:
            call(*arguments, **named)

    def message(self, topic: str, payload: bytes) -> None:
        """A message arrived."""
        if self.stalled or self._inwards:
            self._inwards.append(lambda: self._listener.message(topic, payload))
        else:
            self._listener.message(topic, payload)

    def connected(self) -> None:
        """A connection was made. While stalled that is a race lost by the stall: the news waits like any other."""
        if self.stalled:
            self._inwards.append(self._tell_connected)
        else:
            self._tell_connected()

    def disconnected(self) -> None:
        """The connection is gone, and with it everything held: it sat in buffers of this very connection."""
        self._outwards.clear()
        self._inwards.clear()
        if not self._told_connected:
            return
        if self.stalled:
            self._inwards.append(self._tell_disconnected)
        else:
            self._tell_disconnected()

    def stall(self, *, stalled: bool) -> None:
        """Close the gate, or open it and hand over what it held: first what came, then what was to go.

        What the listener says while it is handed the one waits behind the other, which it said before.
        """
        self.stalled = stalled
        if stalled:
            return
        for held in (self._inwards, self._outwards):
            while held:
                held.popleft()()

    def _tell_connected(self) -> None:
        self._told_connected = True
        self._listener.connected()

    def _tell_disconnected(self) -> None:
        self._told_connected = False
        self._listener.disconnected()
