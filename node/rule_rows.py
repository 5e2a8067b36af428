"""The rows of the rule book's tables, typed, and the gate that lets through those of one release and profile.

`rulebook` reads the files and asks the gate. Rows about what follows a change of certificates are in `restarts`, those
about the page that shows one in `displays`.
"""

from collections.abc import Iterable
from datetime import date
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


class RuleRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every row has: the rule that it is, and where that holds."""

    rule: str
    """The rule or rules that the row comes from; `ours` where the product's behaviour is not public."""
    since: str = ""
    """The first release with it; empty: all before `until`."""
    until: str = ""
    """The first release without it; empty: none."""
    profiles: tuple[Profile, ...] = ()
    """Profiles that read the rule so; empty: all."""


class Unit(RuleRow, frozen=True, kw_only=True):
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
    listed: int = 0
    """Of an identity: its place in the product's lists."""

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


class IdentityProfile(RuleRow, frozen=True, kw_only=True):
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
    years: int = 0
    """How long it is valid where nobody says it; from the `Lifetime` rows."""
    scope: Scope = "node"
    """`cluster`: the publisher makes the only one."""
    distributed_to: tuple[Role, ...] = ()
    """Roles whose nodes get the publisher's certificate and key."""
    copies: tuple[TrustCopy, ...] = ()
    reuses: str = ""
    """The identity whose multi-server certificate may stand in for this one (B.3: Reuse Certificate)."""

    @property
    def family(self) -> str:
        """The kind of key that it takes, `rsa` or `ec`."""
        return self.key.partition("-")[0]

    def copies_made_on(self, role: Role) -> tuple[TrustCopy, ...]:
        """The trust rows that a certificate made on a node of `role` brings along."""
        return tuple(copy for copy in self.copies if not copy.roles or role in copy.roles)


class Lifetime(RuleRow, frozen=True, kw_only=True):
    """How long certificates last that the product signs itself."""

    unit: str = ""
    """Empty: every unit that has no row of its own."""
    years: int


class DefaultCa(RuleRow, frozen=True, kw_only=True):
    """A CA certificate that comes with the product (B.2)."""

    name: str
    """Its common name."""
    owner: str
    """The rest of its subject, RFC 4514."""
    issuer: str = ""
    """The name of the CA above; empty: it is a root."""
    units: tuple[str, ...]
    """Trust units in which it lies; none: it only issues another one."""
    installed: bool = True
    """Whether it lies there from the installation on; if not, an administrator may enable it (B.9)."""
    key: str
    """As in `Certificate.key`."""
    not_before: date
    not_after: date

    @property
    def subject(self) -> str:
        """Its whole subject, RFC 4514."""
        return f"CN={self.name},{self.owner}"


class CsrProfile(RuleRow, frozen=True, kw_only=True):
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


class KeyKind(RuleRow, frozen=True, kw_only=True):
    """A kind of key that an operator may ask for."""

    name: str
    """As in `Certificate.key`."""
    hashes: tuple[Literal["sha256", "sha384", "sha512"], ...]
    """What may sign with it, the default first."""

    @property
    def family(self) -> str:
        """`rsa` or `ec`: a unit takes keys of one family (B.1)."""
        return self.name.partition("-")[0]


class Service(RuleRow, frozen=True, kw_only=True):
    """A service of a node, as Control Center lists it."""

    name: str
    kind: Literal["feature", "network", "platform"]
    roles: tuple[Role, ...]
    start_s: tuple[int, int]
    """How long a start takes under `--timing product`: least and most seconds."""
    stop_s: tuple[int, int] = (1, 5)
    """How long a stop does."""
    activated: tuple[Role, ...] = ()
    activation: Literal["", "tftp"] = ""
    loads: tuple[str, ...] = ()
    """Identity units whose certificate it loads at its start and keeps until the next (R-155)."""
    trusts: tuple[str, ...] = ()
    """Trust units whose certificates it loads likewise."""
    needs: tuple[str, ...] = ()
    """Services without which it does not run."""
    command: str = ""
    """What the platform's command line restarts it with, where Control Center does not list it (R-104)."""
    multi_server: bool = False
    """Whether requests and certificates of several nodes come to a node through it, while it is started (B.8)."""
    can_stop: bool = True


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release, and the facts about it that are no row of another table."""

    rule: str
    name: str
    version: str
    """The product's own number."""
    replication: Policy
    """What `--replication auto` means."""
    trust_file_names: TrustFileNames
    capf_on_subscribers: bool
    ou_option: bool
    """Whether an operator chooses if the organizational unit is in a request; else it always is."""


class Feature(RuleRow, frozen=True, kw_only=True):
    """Something that some releases offer and others do not (A.19)."""

    name: str
    text: str
    """What is said where the release does not offer it."""


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
    service_times: bool
    """Whether services take as long to start and to stop as their row says."""
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
        return _microseconds(service.start_s) if self.service_times else (0, 0)

    def stop(self, service: Service) -> tuple[int, int]:
        """How long it takes to stop."""
        return _microseconds(service.stop_s) if self.service_times else (0, 0)


AnyRow = TypeVar("AnyRow", bound=RuleRow)


class Gate(msgspec.Struct, frozen=True):
    """Lets rows pass that hold in the release at position `at`, as `profile` reads them."""

    at: int
    names: tuple[str, ...]
    profile: str

    def __call__(self, rows: Iterable[AnyRow]) -> tuple[AnyRow, ...]:
        """Those that hold, in their order."""
        return tuple(row for row in rows if self._holds(row))

    def is_over(self, row: RuleRow) -> bool:
        """Whether only earlier releases have it."""
        return bool(row.until) and self.at >= self.names.index(row.until)

    def _holds(self, row: RuleRow) -> bool:
        begun = not row.since or self.at >= self.names.index(row.since)
        return begun and not self.is_over(row) and (not row.profiles or self.profile in row.profiles)


def _microseconds(seconds: tuple[int, int]) -> tuple[int, int]:
    return seconds[0] * SECOND, seconds[1] * SECOND
