"""What simulated nodes ask of others, in virtual time (`ucmlab.node.commands.Exchange`).

A performer is called when an exchange begins and says when it is answered, and with what; never at once: even an answer
that takes no time is a step of its own on the timeline, as it is in a real lab.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ucmlab.node.commands import Exchange
from ucmlab.node.events import AnyEvent

if TYPE_CHECKING:
    from ucmlab.cluster.sim.world import SimNode, World


class Answering(Protocol):
    """Tells what answers an exchange: an event, after a delay of lab microseconds."""

    def __call__(self, event: AnyEvent, delay: int = 0) -> None:
        """Say it; what was given up meanwhile, or whose node has died, is not delivered."""
        ...


Performer = Callable[["SimNode", Any, Answering], None]
"""Carries out an exchange of one kind, which is its second argument."""


class SimExchanges:
    """The exchanges of all nodes of a world."""

    def __init__(self, world: "World") -> None:
        """Nobody knows how to perform any; see `World.perform_exchanges`."""
        self._world = world
        self._open: dict[tuple[SimNode, str], int] = {}
        """By process: a clone has its node's name, and tokens of its own."""
        self._begun = 0
        self.performers: dict[type[Exchange], Performer] = {}

    def begin(self, node: "SimNode", command: Exchange) -> None:
        """Begin one."""
        self._begun += 1
        number = self._begun
        self._open[node, command.token] = number

        def answer(event: AnyEvent, delay: int = 0) -> None:
            self._world.at(self._world.now + delay, self._deliver, node, command.token, number, event)

        self.performers[type(command)](node, command, answer)

    def give_up(self, node: "SimNode", token: str) -> None:
        """Nobody waits for it any more."""
        self._open.pop((node, token), None)

    def number_of(self, node: "SimNode", token: str) -> int | None:
        """Which exchange has that token now: a number of its own; None: nobody waits for one."""
        return self._open.get((node, token))

    def forget(self, node: "SimNode") -> None:
        """The process has died."""
        for key in [key for key in self._open if key[0] is node]:
            del self._open[key]

    def _deliver(self, node: "SimNode", token: str, number: int, event: AnyEvent) -> None:
        if self._open.get((node, token)) == number:
            del self._open[node, token]
            self._world.deliver(node, event)
