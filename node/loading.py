"""Makes what services take up from what lies on this node's disk (`ucmlab.node.loaded`)."""

from collections.abc import Callable, Collection, Mapping

from ucmlab.node.certificates import parse
from ucmlab.node.chains import complete
from ucmlab.node.context import Context
from ucmlab.node.filing import Filing
from ucmlab.node.found import Lying
from ucmlab.node.loaded import NOTHING, Loaded
from ucmlab.node.restarts import Condition
from ucmlab.node.rulebook import Service

CIPHERS = "HTTPS Ciphers"
EC_CIPHERS = "All Supported EC and RSA Ciphers"


class Loader:
    """Makes loaded copies. Thirty services start at once with a node, so what they share is found once."""

    def __init__(self, context: Context, filing: Filing, identities: Mapping[str, bytes]) -> None:
        """`identities` is the node's own table, unit to DER."""
        self._context = context
        self._filing = filing
        self._identities = identities
        uses = context.rulebook.uses(context.config.role)
        self._kept = uses.kept
        self._listed = uses.listed
        self._units = tuple((unit.name, unit.kind) for unit in context.rulebook.units_of(context.config.role))
        self._fingerprints: dict[str, tuple[bytes, str]] = {}

    def fingerprint(self, unit: str) -> str:
        """Of the identity that lies on disk now; empty when there is none."""
        der = self._identities.get(unit, b"")
        known = self._fingerprints.get(unit)
        if known is None or known[0] is not der:
            known = self._fingerprints[unit] = (der, parse(der).fingerprint if der else "")
        return known[1]

    def take_up(self, service: Service, conditions: Callable[[], Collection[Condition]]) -> Loaded:
        """What a service loads that starts now; `conditions` tells which of the tables' hold."""
        listeners = self._context.rulebook.listeners_of.get(service.name, ())
        if not (service.loads or service.trusts or listeners):
            return NOTHING  # as nothing is ever renewed in it
        units = service.loads
        if listeners:
            listeners = tuple(each for each in listeners if each.when is None or each.when in conditions())
            units = tuple(dict.fromkeys((*units, *(unit for each in listeners for unit in each.presents))))
        units = tuple(unit for unit in units if unit in self._identities)
        return Loaded(
            chains={unit: self._chain(unit) for unit in units},
            fingerprints={unit: self.fingerprint(unit) for unit in units},
            trusted={unit: self._filing.contents(unit) for unit in self._kept[service.name]},
            hidden=self._hidden() if listeners else frozenset(),
            listeners=listeners,
        )

    def lies(self, unit: str) -> Lying:
        """What a unit holds on disk now."""
        trust = self._context.rulebook.units[unit].kind == "trust"
        return self._filing.contents(unit) if trust else self.fingerprint(unit)

    def found(self, service: Service) -> dict[str, Lying]:
        """What a service that starts now finds; nothing of one that is never to be restarted for a certificate."""
        if service.name not in self._listed:
            return {}
        filing, fingerprint = self._filing, self.fingerprint
        return {unit: filing.contents(unit) if kind == "trust" else fingerprint(unit) for unit, kind in self._units}

    def trusted(self, loaded: Loaded, unit: str) -> tuple[bytes, ...]:
        """What a service trusts by a unit: its copy, or the files where it keeps none (`ucmlab.node.service_uses`)."""
        kept = loaded.trusted.get(unit)
        return self._filing.contents(unit) if kept is None else kept

    def renew(self, loaded: Loaded, unit: str) -> None:
        """Have a copy hold what one unit has now: its service took that up by itself (R-120)."""
        if unit in loaded.trusted:
            loaded.trusted[unit] = self._filing.contents(unit)
        elif unit in self._identities:
            loaded.chains[unit] = self._chain(unit)
            loaded.fingerprints[unit] = self.fingerprint(unit)

    def _hidden(self) -> frozenset[str]:
        rulebook = self._context.rulebook
        return frozenset() if self._context.parameters.text(CIPHERS) == EC_CIPHERS else rulebook.ec_identities

    def _chain(self, unit: str) -> tuple[bytes, ...]:
        """The identity and its issuers; a root goes along, as the product's key stores have it. [ASSUMED]."""
        der = self._identities[unit]
        leaf = parse(der)
        if leaf.self_signed:
            return (der,)
        store = self._context.rulebook.units[unit].verified_by
        held = [parse(each) for each in self._filing.contents(store)]
        return (der, *(each.der for each in complete(leaf, held=held, wall=self._context.now.wall).issuers))
