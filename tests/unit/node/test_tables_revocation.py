"""What follows from a status (domain.md B.16), and which clients ask for one (R-166, R-192)."""

import msgspec
import pytest

from tests.unit.node.rule_tables import books, differences, read

VERDICTS = """
    # status     common criteria  connects  alarm
    good         on               yes       -
    revoked      on               no        certificate_revoked
    unknown      on               no        -
    unreachable  on               no        revocation_status_unavailable  # [ASSUMED]
    good         off              yes       -
    revoked      off              no        certificate_revoked            # [INFERRED]
    unknown      off              yes       -
    unreachable  off              yes       revocation_status_unavailable  # [ASSUMED]
"""
CLIENTS = """
    # name    long-lived
    syslog    no
    filebeat  no
    sip       no
    ils       no
    lbm       no
    cti       yes  # R-192, as the next two
    ipsec     yes
    ldap      yes
"""
LIMITS = {
    "rule": "ours",
    "deadline_s": 10,
    "at_once": 16,
    "waiting": 256,
    "scanned_at_once": 4,
    "skew_s": 300,
    "longest_s": 86_400,
    "crl_every_s": 86_400,
}


@pytest.mark.rule("R-164", "R-170", "B.16")
def test_what_follows_from_a_status() -> None:
    rows = read(VERDICTS, "status mode connects alarm")
    expected = {
        (row["status"], row["mode"] == "on"): {
            "status": row["status"],
            "common_criteria": row["mode"] == "on",
            "connects": row["connects"] == "yes",
            "alarm": row["alarm"],
        }
        for row in rows
    }
    for _, _, book in books():
        there: dict[tuple[str, bool], object] = {(*cell,): row for cell, row in book.revocation.verdicts.items()}
        assert differences(there, expected) == []


@pytest.mark.rule("R-166", "R-192")
def test_who_asks() -> None:
    rows = read(CLIENTS, "name long_lived")
    expected = {row["name"]: {"name": row["name"], "long_lived": row["long_lived"] == "yes"} for row in rows}
    for _, _, book in books():
        assert differences(book.revocation.clients, expected) == []


def test_how_long_is_waited() -> None:
    for _, _, book in books():
        assert msgspec.structs.asdict(book.revocation.limits) == LIMITS
