"""The CA certificates that come with the product (B.2): which there are, where they lie, and what they look like."""

import msgspec
import pytest

from tests.unit.node.rule_tables import books, differences, in_release, read
from ucmlab.node.rulebook import DefaultCa

DEFAULT_CAS = """
    # name                        issuer              owner            releases  first day   last day
    CAP-RTP-001                   -                   O=Cisco Systems  ..14      2003-02-06  2023-02-06
    CAP-RTP-002                   -                   O=Cisco Systems  ..14      2003-10-10  2023-10-10
    Cisco Root CA 2048            -                   O=Cisco Systems  -         2004-05-14  2029-05-14
    Cisco Manufacturing CA        Cisco Root CA 2048  O=Cisco Systems  -         2005-06-10  2029-05-14
    ACT2 SUDI CA                  Cisco Root CA 2048  O=Cisco          -         2011-06-30  2029-05-14
    Cisco Root CA M2              -                   O=Cisco          -         2012-11-12  2037-11-12
    Cisco Manufacturing CA SHA2   Cisco Root CA M2    O=Cisco          -         2012-11-12  2037-11-12
"""
"""Names and units: B.2. Releases: ours, as B.2 says "later". All else is generally known, without a source there."""
ENABLED_ONLY = ("CAP-RTP-001", "CAP-RTP-002")
"""In no store of a new installation from 12.5 on, as its release notes say."""
VERISIGN = "VeriSign Class 3 Public Primary Certification Authority - G5"
OF_VERISIGN = r"OU=VeriSign Trust Network,O=VeriSign\, Inc.,C=US"
OLDER: dict[
    str, dict[str, object]
] = {  # B.2: the second in tomcat-trust on older releases; ours: which, and that the first is in no store
    VERISIGN: {
        "name": VERISIGN,
        "issuer": "",
        "owner": rf"OU=(c) 2006 VeriSign\, Inc. - For authorized use only,{OF_VERISIGN}",
        "units": (),
        "first": "2006-11-08",
        "last": "2036-07-16",
    },
    "VeriSign Class 3 Secure Server CA - G3": {
        "name": "VeriSign Class 3 Secure Server CA - G3",
        "issuer": VERISIGN,
        "owner": f"OU=Terms of use at https://www.verisign.com/rpa (c)10,{OF_VERISIGN}",
        "units": ("tomcat-trust",),
        "first": "2010-02-08",
        "last": "2020-02-07",
    },
}


class Seen(msgspec.Struct):
    """A row with its days as the table above writes them."""

    name: str
    issuer: str
    owner: str
    units: tuple[str, ...]
    installed: bool
    key: str
    first: str
    last: str


def seen(row: DefaultCa) -> Seen:
    first, last = row.not_before.isoformat(), row.not_after.isoformat()
    return Seen(row.name, row.issuer, row.owner, row.units, row.installed, row.key, first, last)


def expected(release: str) -> dict[str, dict[str, object]]:
    rows = read(DEFAULT_CAS, "name issuer owner releases first last")
    found: dict[str, dict[str, object]] = {
        row["name"]: {key: row[key] for key in ("name", "issuer", "owner", "first", "last")}
        | {"units": ("CAPF-trust", "CallManager-trust")}
        for row in rows
        if in_release(release, row["releases"])
    }
    if in_release(release, "..14"):
        found |= OLDER
    left_out = ENABLED_ONLY if in_release(release, "12.5..") else ()
    return {name: row | {"key": "rsa-2048", "installed": name not in left_out} for name, row in found.items()}


@pytest.mark.rule("B.2")
def test_every_release_ships_the_ca_certificates_that_the_documents_name() -> None:
    for release, _, book in books():
        assert differences({name: seen(row) for name, row in book.default_cas.items()}, expected(release)) == []


def test_a_subject_begins_with_the_name_and_whoever_issues_stands_before() -> None:
    for _, _, book in books():
        known: list[str] = []
        for name, row in book.default_cas.items():
            assert row.subject == f"CN={name},{row.owner}"
            assert not row.issuer or row.issuer in known
            assert set(row.units) <= set(book.units)
            known.append(name)
