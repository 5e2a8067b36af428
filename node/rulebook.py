"""The product's rules, typed: which units, identities, services and delays a release has.

The rules are rows of the files in `rules/`, each with the number of its rule. A row may be gated by `since` (first
release with it) and `until` (first release without it); a `RuleBook` holds the rows of one release, so whoever asks
it never compares releases. What a rule means for an operation is decided elsewhere; here it is only said.
"""

import tomllib
from collections.abc import Container, Mapping
from functools import cached_property, lru_cache
from importlib import resources
from typing import get_args

import msgspec

from ucmlab.node.alarm_rows import Alarm
from ucmlab.node.clients import Client
from ucmlab.node.displays import Display, SerialShown
from ucmlab.node.errors import Refusal
from ucmlab.node.listeners import Listener
from ucmlab.node.parameters import Parameter
from ucmlab.node.restarts import Advisory, Reload, Restart, RestartRules, Verb
from ucmlab.node.revocation_rules import RevocationRules, RevocationTable
from ucmlab.node.rule_rows import (
    CSR_COLUMNS,
    KEY_USAGE,
    PROFILES,
    CsrProfile,
    DefaultCa,
    ExtendedKeyUsage,
    Feature,
    Gate,
    IdentityProfile,
    KeyKind,
    Lifetime,
    Limits,
    Operation,
    Profile,
    Release,
    Role,
    Service,
    Timing,
    TrustCopy,
    Unit,
)
from ucmlab.node.service_uses import Uses

__all__ = [
    "CSR_COLUMNS",
    "KEY_USAGE",
    "PROFILES",
    "CsrProfile",
    "DefaultCa",
    "ExtendedKeyUsage",
    "IdentityProfile",
    "KeyKind",
    "Limits",
    "Operation",
    "Role",
    "RuleBook",
    "Service",
    "TrustCopy",
    "Unit",
    "serves_tftp",
]
"""Whoever reads the book may name the rows that it hands out."""


class _Validity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: str
    years: tuple[int, ...]


class _Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: str
    text: str


class _Rules(msgspec.Struct, frozen=True):
    """All rows of all releases."""

    units: tuple[Unit, ...]
    identities: tuple[IdentityProfile, ...]
    lifetimes: tuple[Lifetime, ...]
    default_cas: tuple[DefaultCa, ...]
    csrs: tuple[CsrProfile, ...]
    keys: tuple[KeyKind, ...]
    validity: _Validity
    services: tuple[Service, ...]
    listeners: tuple[Listener, ...]
    clients: tuple[Client, ...]
    parameters: tuple[Parameter, ...]
    alarms: tuple[Alarm, ...]
    features: tuple[Feature, ...]
    displays: tuple[Display, ...]
    serials: tuple[SerialShown, ...]
    restarts: RestartRules
    revocation: RevocationTable
    releases: tuple[Release, ...]
    limits: Limits
    refusals: dict[str, _Refusal]
    timings: dict[str, Timing]


class RuleBook(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The rules of one release, as one profile reads them. Dictionaries keep the order of the files."""

    release: Release
    profile: Profile
    releases: tuple[str, ...]
    """Names of all known releases, oldest first."""
    units: dict[str, Unit]
    retired_units: frozenset[str]
    """Names of units that earlier releases had, and this one has not."""
    identities: dict[str, IdentityProfile]
    """By unit."""
    default_cas: dict[str, DefaultCa]
    """CA certificates that come with the product, by common name."""
    csrs: dict[tuple[Role, str], CsrProfile]
    """By role and identity unit; a unit without a row has no requests (ITLRecovery)."""
    keys: dict[str, KeyKind]
    validity_years: tuple[int, ...]
    """How long a self-signed certificate may be valid, where an operator says it."""
    services: dict[str, Service]
    listeners: dict[str, Listener]
    clients: dict[str, Client]
    parameters: dict[str, Parameter]
    alarms: dict[str, Alarm]
    timings: dict[str, Timing]
    """`instant` and `product`."""
    limits: Limits
    refusals: dict[str, str]
    """The product's text for each reason word, with fields in braces."""
    features: dict[str, Feature]
    """All that there are, offered or not."""
    offered: frozenset[str]
    """Names of those that this release offers."""
    display: Display
    """How a certificate is shown."""
    after_change: RestartRules
    revocation: RevocationRules

    @staticmethod
    def load(release: str, profile: str = "seed") -> "RuleBook":
        """The rules of `release` under `profile`; read once per process.

        Raises:
            ValueError: no such release or profile; the message names those that there are.
        """
        return _load(release, profile)

    def release_at_least(self, name: str) -> bool:
        """Whether this release is `name` or a later one.

        Raises:
            ValueError: `name` is no known release.
        """
        return self.releases.index(self.release.name) >= self.releases.index(name)

    def offers(self, feature: str) -> bool:
        """Whether this release has a feature (A.19).

        Raises:
            KeyError: there is no such feature.
        """
        return self.features[feature].name in self.offered

    def require(self, feature: str) -> None:
        """Refuse what this release does not have.

        Raises:
            Refusal: `release`.
            KeyError: there is no such feature.
        """
        if not self.offers(feature):
            raise Refusal("release", self.features[feature].text)

    def restarts(self, unit: str, verb: Verb) -> tuple[Restart, ...]:
        """What an operator has to restart after a change of a unit (A.10)."""
        return self.after_change.restarts(unit, verb)

    def reloads(self, unit: str, verb: Verb) -> tuple[Reload, ...]:
        """What starts anew by itself after it."""
        return self.after_change.reloads(unit, verb)

    def advisories(self, unit: str, verb: Verb) -> tuple[Advisory, ...]:
        """What else is out of date after it."""
        return self.after_change.advisories(unit, verb)

    def advise(self, unit: str, verb: Verb) -> tuple[str, ...]:
        """What to tell an operator after it: a sentence (B.9), then who is to be restarted, and where."""
        return self.after_change.advise(unit, verb)

    def units_of(self, role: Role) -> tuple[Unit, ...]:
        """The units that exist on nodes of `role`."""
        return self._of_role[role][0]

    def identity_profiles(self, role: Role) -> tuple[IdentityProfile, ...]:
        """The identities that the installation of a node of `role` makes."""
        return tuple(profile for profile in self.identities.values() if role in profile.roles)

    def services_of(self, role: Role) -> tuple[Service, ...]:
        """The services that nodes of `role` have, activated or not."""
        return self._of_role[role][1]

    def uses(self, role: Role) -> Uses:
        """Who uses which certificates on nodes of `role`."""
        return self._uses[role]

    @cached_property
    def _uses(self) -> dict[Role, Uses]:
        return {
            role: Uses({each.name: each for each in self.services_of(role)}, self.listeners_of, self.after_change)
            for role in get_args(Role)
        }

    @cached_property
    def ec_identities(self) -> frozenset[str]:
        """Identity units with EC keys (R-007)."""
        return frozenset(made.unit for made in self.identities.values() if made.family == "ec")

    @cached_property
    def listeners_of(self) -> dict[str, tuple[Listener, ...]]:
        """Service to its listeners."""
        services = dict.fromkeys(listener.service for listener in self.listeners.values())
        return {name: tuple(each for each in self.listeners.values() if each.service == name) for name in services}

    @property
    def ports(self) -> frozenset[int]:
        """Every port at which a service may listen."""
        return frozenset(each.port for each in self.listeners.values())

    @cached_property
    def outward(self) -> frozenset[str]:
        """Services that others connect to, or that connect to others with a certificate of their own."""
        callers = (client.service for client in self.clients.values() if client.presents)
        return frozenset((*(listener.service for listener in self.listeners.values()), *callers))

    @cached_property
    def multi_server_services(self) -> tuple[str, ...]:
        """Services without which nothing that is for several nodes comes to a node (B.8, C-50)."""
        return tuple(service.name for service in self.services.values() if service.multi_server)

    @cached_property
    def decisive_services(self) -> frozenset[str]:
        """Services that decide by running whether a condition of the restart tables holds."""
        return frozenset(row.service for row in self.after_change.conditions.values() if row.service)

    @cached_property
    def restarts_elsewhere(self) -> frozenset[str]:
        """Units, and `AUTHZ`, whose change on one node is a reason to restart services of others (A.10)."""
        return frozenset(unit for row in self.after_change.restart if row.nodes != "changed" for unit in row.units)

    def activated(self, node: str, roles: Mapping[str, Role]) -> frozenset[str]:
        """The services that a new cluster runs on `node`; `roles` are those of all nodes, in the cluster's order."""
        return frozenset(
            service.name
            for service in self.services_of(roles[node])
            if service.kind != "feature"
            or roles[node] in service.activated
            or (service.activation == "tftp" and serves_tftp(node, roles))
        )

    @cached_property
    def _of_role(self) -> dict[Role, tuple[tuple[Unit, ...], tuple[Service, ...]]]:
        """Units and services by role: every start of a node asks for them."""
        return {
            role: (
                tuple(unit for unit in self.units.values() if role in unit.roles),
                tuple(service for service in self.services.values() if role in service.roles),
            )
            for role in get_args(Role)
        }

    def ou_in_request(self, *, asked: bool) -> bool:
        """Whether the subject of a request, or of what a node signs itself, has the organizational unit (A.19, B.4)."""
        return asked if self.release.ou_option else True

    @property
    def offers_cn_serial(self) -> bool:
        """Whether an operator may have the serial number follow the common name (A.19)."""
        return self.release.trust_file_names == "cn_serial"

    def refusal_text(self, reason: str, **fields: str) -> str:
        """What the product says; `detail` is `Refusal.text`, other fields are named in `refusals.toml`.

        Raises:
            KeyError: no such reason word, or its text has a field that was not given.
        """
        return self.refusals[reason].format(**fields)


def serves_tftp(node: str, roles: Mapping[str, Role]) -> bool:
    """Whether a new cluster has TFTP on `node`: publisher, TFTP nodes, or else the first subscriber. [ASSUMED]."""
    if roles[node] in ("pub", "tftp"):
        return True
    return "tftp" not in roles.values() and node == next((name for name in roles if roles[name] == "sub"), None)


@lru_cache(maxsize=32)
def _load(release: str, profile: str) -> RuleBook:
    rules = _rules()
    names = tuple(known.name for known in rules.releases)
    if release not in names:
        raise ValueError(f"{release!r} is no known release; there are {', '.join(names)}")
    if profile not in PROFILES:
        raise ValueError(f"{profile!r} is no known profile; there are {', '.join(PROFILES)}")
    at = names.index(release)
    valid = Gate(at, names, profile)
    units = {unit.name: unit for unit in valid(rules.units)}
    rows = valid(rules.services)
    services = {row.name: _without_missing(row, units, {each.name for each in rows}) for row in rows}
    csrs = ((role, unit, row) for row in valid(rules.csrs) for role in row.roles for unit in row.units)
    lifetimes = {row.unit: row for row in valid(rules.lifetimes)}
    identities = (_lasting(made, lifetimes) for made in valid(rules.identities) if made.unit in units)
    return RuleBook(
        release=rules.releases[at],
        profile=msgspec.convert(profile, Profile),
        releases=names,
        units=units,
        retired_units=frozenset(each.name for each in rules.units if valid.is_over(each)) - units.keys(),
        identities={made.unit: made for made in identities},
        default_cas={row.name: row for row in valid(rules.default_cas)},
        csrs={(role, unit): row for role, unit, row in csrs if unit in units and role in units[unit].roles},
        keys={kind.name: kind for kind in valid(rules.keys)},
        validity_years=rules.validity.years,
        services=services,
        listeners={row.name: _presenting(row, units) for row in valid(rules.listeners) if row.service in services},
        clients={row.name: _trusting(row, units) for row in valid(rules.clients) if row.service in {*services, ""}},
        parameters={row.name: row for row in valid(rules.parameters)},
        alarms={row.name: row for row in valid(rules.alarms)},
        timings=rules.timings,
        limits=rules.limits,
        refusals={reason: refusal.text for reason, refusal in rules.refusals.items()},
        features={feature.name: feature for feature in rules.features},
        offered=frozenset(feature.name for feature in valid(rules.features)),
        display=_display(rules, valid),
        after_change=rules.restarts.of_release(valid, units, services),
        revocation=rules.revocation.of_release(valid),
    )


def _without_missing(service: Service, units: Container[str], services: Container[str]) -> Service:
    """The service with what the release has: the gate of a unit or a service is said once, in its own row."""
    return msgspec.structs.replace(
        service,
        loads=tuple(unit for unit in service.loads if unit in units),
        trusts=tuple(unit for unit in service.trusts if unit in units),
        needs=tuple(needed for needed in service.needs if needed in services),
    )


def _presenting(row: Listener, units: Container[str]) -> Listener:
    """The listener with the units that the release has."""
    there = (unit for unit in row.presents if unit in units)
    return msgspec.structs.replace(row, presents=tuple(there))


def _trusting(row: Client, units: Container[str]) -> Client:
    """The client with the units that the release has."""
    there = (unit for unit in row.trusts if unit in units)
    return msgspec.structs.replace(row, trusts=tuple(there))


def _lasting(made: IdentityProfile, lifetimes: Mapping[str, Lifetime]) -> IdentityProfile:
    """The profile with the years of its unit, or of every unit that has no row of its own."""
    lifetime = lifetimes.get(made.unit) or lifetimes[""]
    return msgspec.structs.replace(made, years=lifetime.years)


def _display(rules: _Rules, valid: Gate) -> Display:
    """The one layout that holds, with the base of serial numbers."""
    (layout,), (serial,) = valid(rules.displays), valid(rules.serials)
    return msgspec.structs.replace(layout, serial=serial.base)


@lru_cache(maxsize=1)
def _rules() -> _Rules:
    tables: dict[str, object] = {name: _table(name) for name in ("refusals", "timings", "restarts", "revocation")}
    for name in ("unit", "csr", "service", "listener", "client", "feature", "parameter", "default_ca", "alarm"):
        tables[f"{name}s"] = _table(f"{name}s")[name]
    identities, keys = _table("identities"), _table("keys")
    tables |= {"identities": identities["identity"], "lifetimes": identities["lifetime"]}
    tables |= {"keys": keys["key"], "validity": keys["validity"]}
    displays, releases = _table("displays"), _table("releases")
    tables |= {"displays": displays["display"], "serials": displays["serial"]}
    tables |= {"releases": releases["release"], "limits": releases["limits"]}
    return msgspec.convert(tables, _Rules)


def _table(name: str) -> dict[str, object]:
    return tomllib.loads((resources.files("ucmlab.node.rules") / f"{name}.toml").read_text(encoding="utf-8"))
