"""Rows of `revocation.toml`: verdicts, clients that ask, limits. The machines that heed them are in `revocation`."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from ucmlab.node.instant import SECOND
from ucmlab.node.rule_rows import Gate, RuleRow

Status = Literal["good", "revoked", "unknown", "unreachable"]


class VerdictRow(RuleRow, frozen=True, kw_only=True):
    """A cell of B.16."""

    status: Status
    common_criteria: bool
    connects: bool
    alarm: str = ""


class RevocationClient(RuleRow, frozen=True, kw_only=True):
    """A client that asks for the status of the server's certificate at each handshake."""

    name: str
    long_lived: bool = False


class RevocationLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long is waited, and for how many at once."""

    rule: str
    deadline_s: int
    at_once: int
    waiting: int
    scanned_at_once: int
    skew_s: int
    longest_s: int
    crl_every_s: int

    @property
    def deadline(self) -> int:
        """Of one query, in lab microseconds."""
        return self.deadline_s * SECOND

    @property
    def skew(self) -> int:
        """By which clocks may differ, in microseconds."""
        return self.skew_s * SECOND

    @property
    def longest(self) -> int:
        """How old an answer may be that does not say until when it counts, in microseconds."""
        return self.longest_s * SECOND

    @property
    def crl_every(self) -> int:
        """Between two fetches of the CRL where no scheduled check says it, in microseconds."""
        return self.crl_every_s * SECOND


class RevocationTable(msgspec.Struct, frozen=True):
    """The file, as it stands."""

    verdict: tuple[VerdictRow, ...]
    client: tuple[RevocationClient, ...]
    limits: RevocationLimits

    def of_release(self, valid: Gate) -> "RevocationRules":
        """Those that hold in one release."""
        return RevocationRules(
            _by_cell(valid(self.verdict)), {row.name: row for row in valid(self.client)}, self.limits
        )


class RevocationRules(msgspec.Struct, frozen=True):
    """The rules of one release."""

    verdicts: dict[tuple[Status, bool], VerdictRow]
    """By status, and whether Common Criteria Mode is on."""
    clients: dict[str, RevocationClient]
    limits: RevocationLimits


def _by_cell(rows: Iterable[VerdictRow]) -> dict[tuple[Status, bool], VerdictRow]:
    return {(row.status, row.common_criteria): row for row in rows}
