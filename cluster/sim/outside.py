"""The lab's places outside the cluster in virtual time: what they take, refuse and hold back, without sockets.

The same words as in `ucmlab.cluster.outside`, which has the real ones: a place that is down refuses, one that is slow
takes what it is brought only when it answers, and who has given up by then has brought nothing.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from ucmlab.cluster.outside.place import Manner, fact_of
from ucmlab.cluster.outside.received import DOMAIN, MAIL, SYSLOG, Kept, Logged, Mail, is_address, logged
from ucmlab.cluster.sim.exchanges import Answering
from ucmlab.node.commands import SendMail, SendSyslog
from ucmlab.node.events import Sent
from ucmlab.node.instant import SECOND, rfc3339
from ucmlab.node.syslog import SyslogMessage, read_message

if TYPE_CHECKING:
    from ucmlab.cluster.sim.world import SimNode, World

KEPT = 100_000
REFUSED = "Connection refused"
BROKEN_OFF = "Connection lost"


class _Held(msgspec.Struct, frozen=True, eq=False):
    """An answer that a place holds back."""

    place: str
    node: "SimNode"
    token: str
    number: int | None
    take: Callable[[], Sent]
    answer: Answering


class SimOutside:
    """The mail server and the syslog collector of one world."""

    def __init__(self, world: "World") -> None:
        """Both are up, and nothing came yet."""
        self._world = world
        self.manners = {MAIL: Manner(), SYSLOG: Manner()}
        self.mail: Kept[Mail] = Kept(KEPT)
        self._syslog: Kept[tuple[int, str, str, SyslogMessage]] = Kept(KEPT)
        """When, whose, how and what: written and read as on the wire only when somebody looks; a search never does."""
        self._held: list[_Held] = []
        world.perform_exchanges(SendMail, self._send_mail)
        world.perform_exchanges(SendSyslog, self._send_syslog)

    def syslog(self) -> list[Logged]:
        """What the collector was told."""
        return [self._logged(*each) for each in self._syslog.after()]

    # -- what stories do to them

    def stop(self, place: str) -> None:
        """Let nobody in, and break off whoever waits."""
        self.manners[place] = msgspec.structs.replace(self.manners[place], up=False)
        broken, self._held = (
            [each for each in self._held if each.place == place],
            [each for each in self._held if each.place != place],
        )
        for held in broken:
            held.answer(Sent(held.token, BROKEN_OFF))

    def start(self, place: str) -> None:
        """Be as it should."""
        self.manners[place] = Manner()

    def slow(self, place: str, delay: int | None) -> None:
        """Take so long for an answer, or forever."""
        self.manners[place] = msgspec.structs.replace(self.manners[place], delay=delay)

    def faults(self) -> tuple[dict[str, str], ...]:
        """What `dump` tells of them under `faults`."""
        facts = (fact_of(name, manner) for name, manner in self.manners.items())
        return tuple(fact for fact in facts if fact is not None)

    # -- what nodes do

    def _send_mail(self, node: "SimNode", command: SendMail, answer: Answering) -> None:
        if command.server != MAIL + DOMAIN:
            answer(_unknown(command.token, command.server))
        else:
            self._serve(MAIL, node, command.token, lambda: self._take_mail(node, command), answer)

    def _send_syslog(self, node: "SimNode", command: SendSyslog, answer: Answering) -> None:
        if command.server != SYSLOG + DOMAIN:
            answer(_unknown(command.token, command.server))
        elif command.protocol == "tcp":
            self._serve(SYSLOG, node, command.token, lambda: self._take_syslog(node, command), answer)
        else:
            # Datagrams: whether anybody is there to read them is nothing that a sender hears of.
            answer(self._take_syslog(node, command) if self.manners[SYSLOG].up else Sent(command.token))

    def _serve(self, place: str, node: "SimNode", token: str, take: Callable[[], Sent], answer: Answering) -> None:
        manner = self.manners[place]
        if not manner.up:
            answer(Sent(token, REFUSED))
        elif manner.delay == 0:
            answer(take())
        else:
            number = self._world.exchanges.number_of(node, token)
            held = _Held(place, node, token, number, take, answer)
            self._held.append(held)
            if manner.delay is not None:
                self._world.at(self._world.now + manner.delay, self._release, held)

    def _release(self, held: _Held) -> None:
        if held in self._held:
            self._held.remove(held)
            if self._world.exchanges.number_of(held.node, held.token) == held.number:
                held.answer(held.take())

    def _take_mail(self, node: "SimNode", command: SendMail) -> Sent:
        taken = tuple(each for each in command.recipients if is_address(each))
        refused = tuple(each for each in command.recipients if not is_address(each))
        if not taken:
            return Sent(command.token, "no recipient was taken", lasting=True, refused=refused)
        written = rfc3339(command.wall // SECOND * SECOND)
        self.mail.put(Mail(self._now, node.name, command.sender, taken, command.subject, command.text, written))
        return Sent(command.token, refused=refused)

    def _take_syslog(self, node: "SimNode", command: SendSyslog) -> Sent:
        for message in command.messages:
            self._syslog.put((self._world.now, node.name, command.protocol, message))
        return Sent(command.token)

    def _logged(self, now: int, node: str, protocol: str, message: SyslogMessage) -> Logged:
        read = read_message(message.write())
        return logged(read, at=rfc3339(self._world.wall_start + now), node=node, protocol=protocol)

    @property
    def _now(self) -> str:
        return rfc3339(self._world.wall_start + self._world.now)


def _unknown(token: str, server: str) -> Sent:
    return Sent(token, f"{server} cannot be reached")
