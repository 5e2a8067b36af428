"""The product's rules, typed: which units, identities, services and delays a release has.

The rules are rows of the files in `rules/`, each with the number of its rule. A row may be gated by `since` (first
release with it) and `until` (first release without it); a `RuleBook` holds the rows of one release, so whoever asks
it never compares releases. What a rule means for an operation is decided elsewhere; here it is only said.
"""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from importlib import resources
from typing import Literal, TypeVar, get_args

import msgspec

from ucmlab.node.instant import SECOND

Role = Literal["pub", "sub", "tftp", "imp"]
Profile = Literal["seed", "english", "tac"]
Policy = Literal["faithful", "modern", "legacy"]
Scope = Literal["cluster", "node"]
Operation = Literal["upload", "delete", "regenerate", "csr"]
TrustFileNames = Literal["cn", "cn_serial"]
ExtendedKeyUsage = Literal["server", "client", "ipsec"]
Mark = Literal["Y", "N", "."]
PROFILES: tuple[str, ...] = get_args(Profile)
EXTENDED_KEY_USAGES: tuple[ExtendedKeyUsage, ...] = get_args(ExtendedKeyUsage)
KEY_USAGE = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
"""RFC 5280, 4.2.1.3, in the order of the bits, as cryptography spells them."""
CSR_KEY_USAGES = ("digital_signature", "key_encipherment", "data_encipherment", "key_cert_sign", "key_agreement")
CSR_COLUMNS = ("multi_server", *EXTENDED_KEY_USAGES, *CSR_KEY_USAGES)
"""Columns of tables T-1 and T-2, in their order."""


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rule: str
    """The rule or rules that the row comes from; `ours` where the product's behaviour is not public."""
    since: str = ""
    until: str = ""
    profiles: tuple[Profile, ...] = ()
    """Profiles that read the rule so; empty: all."""


class Unit(_Row, frozen=True, kw_only=True):
    """A place for certificates: an identity (`tomcat`) or a trust store (`tomcat-trust`)."""

    name: str
    kind: Literal["identity", "trust"]
    roles: tuple[Role, ...]
    folder: str
    """Below the node's home, `/` between parts. A trust unit shares it with its identity (B.5)."""
    replicated: bool = False
    """Cisco Certificate Change Notification moves its files (R-022); else files stay where they were put."""
    delete_scope: Scope = "node"
    """What R-080 and R-081 say; ask `delete_reach`, which knows the replication policy."""
    publisher_only: tuple[Operation, ...] = ()
    copied_to: tuple[str, ...] = ()
    """Units that an upload on the publisher also goes to (R-019)."""
    verified_by: str = ""
    """Of an identity: the trust unit in which its issuers must be."""

    def delete_reach(self, policy: Policy) -> Scope:
        """How far a delete reaches: below 11.0, and so under `legacy`, it is one node's affair (X-09)."""
        return "node" if policy == "legacy" else self.delete_scope

    @property
    def certificate_file(self) -> str:
        """Path of an identity's certificate, below the node's home (B.5)."""
        return f"{self.folder}/certs/{self.name}.pem"

    @property
    def key_file(self) -> str:
        """Path of an identity's private key, below the node's home. [ASSUMED] the name; B.5 gives the folder."""
        return f"{self.folder}/keys/{self.name}_priv.pem"

    @property
    def csr_file(self) -> str:
        """Path of an identity's certificate signing request, below the node's home (B.10)."""
        return f"{self.folder}/keys/{self.name}.csr"

    @property
    def trust_folder(self) -> str:
        """Folder of a trust unit's certificates, below the node's home (B.5)."""
        return f"{self.folder}/trust-certs"


class TrustCopy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trust row that is made together with an identity."""

    unit: str
    holders: Literal["all", "cucm", "self"]
    """`all` nodes that have the unit, all `cucm` nodes (no IM&P), or the node it`self`."""
    roles: tuple[Role, ...] = ()
    """Only for certificates made on nodes of these roles; empty: wherever the profile makes one."""


class IdentityProfile(_Row, frozen=True, kw_only=True):
    """How an identity certificate is made: at installation, and whenever the product makes one itself."""

    unit: str
    roles: tuple[Role, ...]
    key: str
    """`rsa-2048`, `ec-384`: as in `Certificate.key`."""
    cn: str
    """With `{fqdn}`, `{host}`, `{domain}`, and `{hex}` (eight digits of the serial number)."""
    dns: tuple[str, ...]
    """DNS names of the certificate, with the same fields."""
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[ExtendedKeyUsage, ...]
    ca: bool = False
    """Whether it signs others: then basic constraints CA:TRUE, path length 0 (X-01)."""
    years: int = 5
    scope: Scope = "node"
    """`cluster`: the publisher makes the only one."""
    distributed_to: tuple[Role, ...] = ()
    """Roles whose nodes get the publisher's certificate and key."""
    copies: tuple[TrustCopy, ...] = ()

    def copies_made_on(self, role: Role) -> tuple[TrustCopy, ...]:
        """The trust rows that a certificate made on a node of `role` brings along."""
        return tuple(copy for copy in self.copies if not copy.roles or role in copy.roles)


class CsrProfile(_Row, frozen=True, kw_only=True):
    """One row of T-1 or T-2: what a certificate signing request for these units asks for."""

    units: tuple[str, ...]
    roles: tuple[Role, ...]
    cells: str
    """A `Mark` for each of `CSR_COLUMNS`, blanks between."""
    multi_server: bool | None = None
    """Whether a multi-server request may be made; None: what the table's cell says (X-13)."""

    @property
    def marks(self) -> dict[str, Mark]:
        """The row as the guide prints it: column to mark."""
        return dict(zip(CSR_COLUMNS, msgspec.convert(self.cells.split(), tuple[Mark, ...]), strict=True))

    @property
    def extended_key_usage(self) -> tuple[ExtendedKeyUsage, ...]:
        """The extended key usages that are asked for."""
        marks = self.marks
        return tuple(usage for usage in EXTENDED_KEY_USAGES if marks[usage] == "Y")

    @property
    def key_usage(self) -> tuple[str, ...]:
        """The key usage bits that are asked for."""
        marks = self.marks
        return tuple(usage for usage in CSR_KEY_USAGES if marks[usage] == "Y")

    @property
    def offers_multi_server(self) -> bool:
        """Whether one request may serve several nodes."""
        return self.marks["multi_server"] == "Y" if self.multi_server is None else self.multi_server


class KeyKind(_Row, frozen=True, kw_only=True):
    """A kind of key that an operator may ask for."""

    name: str
    """As in `Certificate.key`."""
    hashes: tuple[Literal["sha256", "sha384", "sha512"], ...]
    """What may sign with it, the default first."""

    @property
    def family(self) -> str:
        """`rsa` or `ec`: a unit takes keys of one family (B.1)."""
        return self.name.partition("-")[0]


class Service(_Row, frozen=True, kw_only=True):
    """A service of a node, as Control Center lists it."""

    name: str
    kind: Literal["feature", "network"]
    roles: tuple[Role, ...]
    start_s: tuple[int, int]
    """How long a start takes under `--timing product`: least and most seconds."""
    activated: tuple[Role, ...] = ()
    activation: Literal["", "tftp"] = ""
    loads: tuple[str, ...] = ()
    """Identity units whose certificate it loads at its start and keeps until the next (R-155)."""
    can_stop: bool = True


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release, and the facts about it that are no row of another table."""

    rule: str
    name: str
    replication: Policy
    """What `--replication auto` means."""
    trust_file_names: TrustFileNames
    capf_on_subscribers: bool
    ou_option: bool
    """Whether an operator chooses if the organizational unit is in a request; else it always is."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large the product lets a cluster grow."""

    rule: str
    publishers: int
    call_processing: int
    subscribers: int
    imp: int


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Delays of one `--timing`. Ranges are least and most seconds of lab time."""

    rule: str
    row_replication_s: tuple[int, int]
    change_notification_s: tuple[int, int]
    service_start: bool
    """Whether services take as long to start as their row says."""
    resync_s: int

    @property
    def row_replication(self) -> tuple[int, int]:
        """From the publisher's append until a replica applies, in microseconds."""
        return _microseconds(self.row_replication_s)

    @property
    def change_notification(self) -> tuple[int, int]:
        """From an applied row until its file is written, in microseconds."""
        return _microseconds(self.change_notification_s)

    @property
    def resync(self) -> int:
        """Between two comparisons of files and rows, in microseconds."""
        return self.resync_s * SECOND

    def start(self, service: Service) -> tuple[int, int]:
        """How long `service` takes to start, in microseconds."""
        return _microseconds(service.start_s) if self.service_start else (0, 0)


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
    csrs: tuple[CsrProfile, ...]
    keys: tuple[KeyKind, ...]
    validity: _Validity
    services: tuple[Service, ...]
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
    identities: dict[str, IdentityProfile]
    """By unit."""
    csrs: dict[tuple[Role, str], CsrProfile]
    """By role and identity unit; a unit without a row has no requests (ITLRecovery)."""
    keys: dict[str, KeyKind]
    validity_years: tuple[int, ...]
    """How long a self-signed certificate may be valid, where an operator says it."""
    services: dict[str, Service]
    timings: dict[str, Timing]
    """`instant` and `product`."""
    limits: Limits
    refusals: dict[str, str]
    """The product's text for each reason word, with fields in braces."""

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

    def units_of(self, role: Role) -> tuple[Unit, ...]:
        """The units that exist on nodes of `role`."""
        return self._of_role[role][0]

    def identity_profiles(self, role: Role) -> tuple[IdentityProfile, ...]:
        """The identities that the installation of a node of `role` makes."""
        return tuple(profile for profile in self.identities.values() if role in profile.roles)

    def services_of(self, role: Role) -> tuple[Service, ...]:
        """The services that nodes of `role` have, activated or not."""
        return self._of_role[role][1]

    def activated(self, node: str, roles: Mapping[str, Role]) -> frozenset[str]:
        """The services that a new cluster runs on `node`; `roles` are those of all nodes, in the cluster's order."""
        return frozenset(
            service.name
            for service in self.services_of(roles[node])
            if service.kind == "network"
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
        """Whether a certificate request names the organizational unit (A.19)."""
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
    valid = _Gate(at, names, profile)
    units = {unit.name: unit for unit in valid(rules.units)}
    services = (_without_missing(service, units) for service in valid(rules.services))
    csrs = ((role, unit, row) for row in valid(rules.csrs) for role in row.roles for unit in row.units)
    return RuleBook(
        release=rules.releases[at],
        profile=msgspec.convert(profile, Profile),
        releases=names,
        units=units,
        identities={made.unit: made for made in valid(rules.identities) if made.unit in units},
        csrs={(role, unit): row for role, unit, row in csrs if unit in units and role in units[unit].roles},
        keys={kind.name: kind for kind in valid(rules.keys)},
        validity_years=rules.validity.years,
        services={service.name: service for service in services},
        timings=rules.timings,
        limits=rules.limits,
        refusals={reason: refusal.text for reason, refusal in rules.refusals.items()},
    )


_AnyRow = TypeVar("_AnyRow", bound=_Row)


class _Gate(msgspec.Struct, frozen=True):
    """Lets rows pass that hold in the release at position `at`, as `profile` reads them."""

    at: int
    names: tuple[str, ...]
    profile: str

    def __call__(self, rows: Iterable[_AnyRow]) -> tuple[_AnyRow, ...]:
        return tuple(row for row in rows if self._holds(row))

    def _holds(self, row: _Row) -> bool:
        begun = not row.since or self.at >= self.names.index(row.since)
        over = bool(row.until) and self.at >= self.names.index(row.until)
        return begun and not over and (not row.profiles or self.profile in row.profiles)


def _without_missing(service: Service, units: Mapping[str, Unit]) -> Service:
    """The service, loading only what the release has: the gate of a unit is said once, in `units.toml`."""
    return msgspec.structs.replace(service, loads=tuple(unit for unit in service.loads if unit in units))


@lru_cache(maxsize=1)
def _rules() -> _Rules:
    tables: dict[str, object] = {"refusals": _table("refusals"), "timings": _table("timings")}
    tables["units"] = _table("units")["unit"]
    tables["identities"] = _table("identities")["identity"]
    tables["csrs"] = _table("csrs")["csr"]
    keys = _table("keys")
    tables["keys"], tables["validity"] = keys["key"], keys["validity"]
    tables["services"] = _table("services")["service"]
    releases = _table("releases")
    return msgspec.convert({**tables, "releases": releases["release"], "limits": releases["limits"]}, _Rules)


def _table(name: str) -> dict[str, object]:
    return tomllib.loads((resources.files("ucmlab.node.rules") / f"{name}.toml").read_text(encoding="utf-8"))


def _microseconds(seconds: tuple[int, int]) -> tuple[int, int]:
    return seconds[0] * SECOND, seconds[1] * SECOND
