"""OCSP responders and their CRLs in virtual time: what nodes ask reaches them without sockets.

They behave as the real one (`ucmlab.cluster.outside.ocsp`): down it refuses, and breaks off whom it kept waiting; an
answer is what was true when the question came, however late it is given.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from ucmlab.cluster.outside.place import Manner
from ucmlab.cluster.sim.exchanges import Answering
from ucmlab.node.commands import AskOcsp, FetchCrl
from ucmlab.node.events import CrlFetched, OcspAnswered

if TYPE_CHECKING:
    from ucmlab.cluster.ca.responder import Responder
    from ucmlab.cluster.sim.world import SimNode, World

PORT = 2560
CRL_PATH = "/crl"
Event = OcspAnswered | CrlFetched


class SimResponder:
    """One responder of a world."""

    def __init__(self, world: "World", host: str, responder: "Responder") -> None:
        """It is up, and answers at once."""
        self.responder = responder
        self.manner = Manner()
        self.url = f"http://{host}:{PORT}"
        self.crl_url = self.url + CRL_PATH
        self._world = world
        self._waiting: dict[int, Callable[[], None]] = {}
        self._number = 0

    def stop(self) -> None:
        """Let nobody in any more, and break off whoever waits."""
        self.manner = msgspec.structs.replace(self.manner, up=False)
        waiting, self._waiting = self._waiting, {}
        for break_off in waiting.values():
            break_off()

    def start(self) -> None:
        """Be as it should."""
        self.manner = Manner()

    def slow(self, delay: int | None) -> None:
        """Take so many lab microseconds for an answer; None: give none."""
        self.manner = msgspec.structs.replace(self.manner, delay=delay)

    def serve(self, event: Event, broken: Event, answer: Answering) -> None:
        """Answer with an event when it is time, or with another if it is stopped before."""
        delay = self.manner.delay
        if delay == 0:
            answer(event)
            return
        self._number += 1
        self._waiting[self._number] = lambda: answer(broken)
        if delay is not None:
            self._world.at(self._world.now + delay, self._release, self._number, event, answer)

    def _release(self, number: int, event: Event, answer: Answering) -> None:
        if self._waiting.pop(number, None) is not None:
            answer(event)


class SimResponders:
    """All of a world, by where they are."""

    def __init__(self, world: "World") -> None:
        """There are none: whoever asks is refused."""
        self._world = world
        self._places: dict[str, SimResponder] = {}
        world.perform_exchanges(AskOcsp, self._ask)
        world.perform_exchanges(FetchCrl, self._fetch)

    def open(self, host: str, responder: "Responder") -> SimResponder:
        """Open one at a name of its own."""
        place = SimResponder(self._world, host, responder)
        self._places[urlsplit(place.url).netloc] = place
        return place

    def _at(self, url: str) -> SimResponder | None:
        place = self._places.get(urlsplit(url).netloc)
        return place if place is not None and place.manner.up else None

    def _ask(self, _node: "SimNode", command: AskOcsp, answer: Answering) -> None:
        place, token = self._at(command.url), command.token
        if place is None:
            answer(OcspAnswered(token, trouble="refused"))
        else:
            said = OcspAnswered(token, place.responder.answer(command.request))
            place.serve(said, OcspAnswered(token, trouble="reset"), answer)

    def _fetch(self, _node: "SimNode", command: FetchCrl, answer: Answering) -> None:
        place, token = self._at(command.url), command.token
        if place is None:
            answer(CrlFetched(token, trouble="refused"))
        elif urlsplit(command.url).path != CRL_PATH:
            answer(CrlFetched(token, trouble="http_400"))
        else:
            place.serve(CrlFetched(token, place.responder.crl()), CrlFetched(token, trouble="reset"), answer)
