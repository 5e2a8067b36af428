"""FIPS mode of one node: what it forbids, and what is made anew when it is turned on (B.4, B.16).

The parameter says what is wanted, the disk what was carried out; where they differ, the node's identities are made
anew one by one and the node boots. A kill in between leaves it to be done again, all of it, at the next start. Nothing
is done by a replica that is behind: it may have lost what was set.
"""

from collections.abc import Callable, Iterable

from cryptography.exceptions import UnsupportedAlgorithm

from ucmlab.node.certificates import Certificate
from ucmlab.node.commands import Reply, SetFips
from ucmlab.node.context import Context
from ucmlab.node.errors import Refusal
from ucmlab.node.events import Regenerate
from ucmlab.node.issuing import load
from ucmlab.node.parameter_rules import FIPS
from ucmlab.node.settings import Settings

FORBIDDEN = ("md5", "sha1")


def check_fips(settings: Settings, node: str, certificates: Iterable[Certificate]) -> None:
    """See that a node in FIPS mode takes no certificate that was signed with SHA-1 (B.4).

    Raises:
        Refusal: `hash_algorithm`.
    """
    if settings.get((node, FIPS)) != "true":
        return
    for each in certificates:
        used = _hash_of(each.der)
        if used in FORBIDDEN:
            raise Refusal("hash_algorithm", f"{each.common_name} was signed with {used}, which FIPS mode forbids")


def _hash_of(der: bytes) -> str:
    try:
        algorithm = load(der).signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return ""
    return "" if algorithm is None else algorithm.name


class FipsMode:
    """What was carried out, and what is under way."""

    def __init__(
        self,
        context: Context,
        *,
        carried_out: bool,
        identities: dict[str, bytes],
        caught_up: Callable[[], bool],
        regenerate: Callable[[Regenerate], None],
        reboot: Callable[[], None],
    ) -> None:
        """Nothing is done before `begin`.

        Args:
            context: the node's.
            carried_out: whether the node is in FIPS mode, by its disk.
            identities: the node's own table.
            caught_up: whether the replica is where the log ends.
            regenerate: has an identity made anew; the reply is offered to `takes`.
            reboot: ends all services and starts them again.
        """
        self._context = context
        self._on = carried_out
        self._identities = identities
        self._caught_up = caught_up
        self._regenerate = regenerate
        self._reboot = reboot
        self._begun = False
        self._making: dict[str, str] = {}
        """Units by operation id."""
        self._failed = False
        self.waits = False
        """Whether there is something to do once the replica has caught up."""

    def busy(self) -> int:
        """Identities that are being made anew."""
        return len(self._making)

    def begin(self) -> None:
        """The node has booted."""
        self._begun = True
        self.look()

    def look(self) -> None:
        """Carry out what is set, if it is not yet."""
        wanted = self._context.parameters.flag(FIPS)
        idle = self._begun and not self._making and not self._failed
        self.waits = idle and wanted != self._on and not self._caught_up()
        if not idle or wanted == self._on or self.waits:
            return
        # The product asks for mixed mode's CTL file, SSH host keys and a longer security password besides; there are
        # none here. What turning it off makes anew is not public. [ASSUMED] nothing: the node boots.
        me, units = self._context.config.name, self._units() if wanted else []
        self._context.record("mode_changing", mode=FIPS, value=str(wanted).lower(), units=",".join(units))
        self._making = {f"fips-{me}-{self._context.boot}-{unit}": unit for unit in units}
        for op_id, unit in list(self._making.items()):
            self._regenerate(Regenerate(op_id, unit, self._context.cause))
        if not units:
            self._end()

    def takes(self, reply: Reply) -> bool:
        """Whether the reply is to what this file asked for."""
        unit = self._making.pop(reply.op_id, None)
        if unit is None:
            return False
        if reply.outcome == "refused":
            self._failed = True
            self._context.alarm("mode_not_carried_out", reply.op_id, mode=FIPS, unit=unit, reason=reply.reason)
        if not self._making and not self._failed:
            self._end()
        return True

    def _end(self) -> None:
        self._on = not self._on
        self._context.ask(SetFips(self._on))
        self._context.record("rebooted", mode=FIPS)
        # The process of the node, and its connection to the bus, live on: a boot is that of its services.
        self._reboot()
        self.look()

    def _units(self) -> list[str]:
        """What this node makes by itself: what the publisher hands out comes from there."""
        rulebook, publisher = self._context.rulebook, self._context.config.is_publisher
        return [
            unit
            for unit in rulebook.parameters[FIPS].regenerates
            if unit in self._identities
            and (publisher or not rulebook.identities[unit].distributed_to)
            and (publisher or "regenerate" not in rulebook.units[unit].publisher_only)
        ]
