"""Certificate units, as B.1, B.2 and B.5 have them: where each is, where its files lie, how far a change of it goes."""

from functools import lru_cache

import pytest

from tests.unit.node.rule_tables import books, differences, in_release, read, roles
from ucmlab.node.rulebook import Operation

IDENTITIES = """
    # unit              nodes  folder                   releases  its issuers         listed
    tomcat              PSTI   platform/tomcat          -         tomcat-trust        1     # B.1, B.5
    tomcat-ECDSA        PSTI   platform/tomcat-ECDSA    11.5..    tomcat-trust        2     # R-018; ours: both
    ipsec               PSTI   platform/ipsec           -         ipsec-trust         3     # R-103; ours: folder
    CallManager         PST    cm/CallManager           -         CallManager-trust   6     # B.1, B.5
    CallManager-ECDSA   PST    cm/CallManager-ECDSA     11.0..    CallManager-trust   5     # B.2; ours: release, folder
    CAPF                PS     cm/CAPF                  ..14      CAPF-trust          7     # B.1: there, and not used
    CAPF                P      cm/CAPF                  14..      CAPF-trust          7     # A.19, B.5
    TVS                 PST    cm/TVS                   -         TVS-trust           8     # B.1; ours: folder
    ITLRecovery         PST    cm/ITLRecovery           -         CallManager-trust   4     # B.1; ours: folder, issuers
    cup                 I      sip/cup                  -         cup-trust           9     # B.1; ours: folder
    cup-ECDSA           I      sip/cup-ECDSA            11.5..    cup-trust           10    # B.1; ours: release, folder
    cup-xmpp            I      sip/xmpp                 -         cup-xmpp-trust      11    # B.2; ours: folder
    cup-xmpp-ECDSA      I      sip/xmpp-ECDSA           11.5..    cup-xmpp-trust      12    # B.2; ours: release, folder
    cup-xmpp-s2s        I      sip/xmpp-s2s             -         cup-xmpp-trust      13    # B.2, B.5
    cup-xmpp-s2s-ECDSA  I      sip/xmpp-s2s-ECDSA       11.5..    cup-xmpp-trust      14    # B.2; ours: release, folder
"""
TRUST = """
    # unit             nodes  folder               releases  files go  a delete goes
    tomcat-trust       PSTI   platform/tomcat      -         yes       cluster        # R-022, R-080
    CallManager-trust  PST    cm/CallManager       -         yes       cluster        # R-022, R-080
    Phone-SAST-trust   PST    cm/Phone-SAST        -         yes       cluster        # R-022, R-080; ours: folder
    CAPF-trust         PST    cm/CAPF              -         no        cluster        # R-083, R-080, X-04
    ipsec-trust        PSTI   platform/ipsec       -         no        node           # R-023, R-081; ours: folder
    TVS-trust          PST    cm/TVS               -         no        node           # R-023, R-081; ours: folder
    Phone-VPN-trust    PST    cm/Phone-VPN         -         no        node           # R-023, R-081; ours: folder
    Phone-CTL-trust    PST    cm/Phone-CTL         -         no        node           # R-023, R-081; ours: folder
    Phone-Edge-trust   P      cm/Phone-Edge        14..      no        node           # B.2; ours: release, folder
    directory-trust    PST    platform/directory   ..11.0    yes       node           # B.6; ours: release, folder
    cup-trust          I      sip/cup              -         no        node           # R-023, R-081; ours: folder
    cup-xmpp-trust     I      sip/xmpp             -         no        node           # R-023, R-081; ours: folder
"""
HOMES = {"platform": "usr/local/platform/.security", "cm": "usr/local/cm/.security", "sip": "usr/local/sip/.security"}
AT_THE_PUBLISHER: dict[str, tuple[Operation, ...]] = {
    "CAPF": ("upload", "regenerate", "csr"),  # R-030, B.1
    "ITLRecovery": ("upload", "regenerate"),  # C-08
    "Phone-Edge-trust": ("upload", "delete"),
}
COPIED = {"CAPF-trust": ("CallManager-trust",)}


def folder(short: str) -> str:
    home, _, name = short.partition("/")
    return f"{HOMES[home]}/{name}"


@lru_cache
def units(release: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for row in read(IDENTITIES, "name nodes folder releases verified_by listed"):
        if in_release(release, row["releases"]):
            own = {"verified_by": row["verified_by"], "listed": int(row["listed"])}
            found[row["name"]] = {"kind": "identity"} | own | place(row)
    for row in read(TRUST, "name nodes folder releases files delete"):
        if in_release(release, row["releases"]):
            moved = {"replicated": row["files"] == "yes", "delete_scope": row["delete"]}
            found[row["name"]] = {"kind": "trust", "verified_by": "", "listed": 0} | place(row) | moved
    return found


def place(row: dict[str, str]) -> dict[str, object]:
    """What identities and trust stores have in common; an identity's files stay where they are."""
    return {
        "name": row["name"],
        "roles": roles(row["nodes"]),
        "folder": folder(row["folder"]),
        "replicated": False,
        "delete_scope": "node",
        "publisher_only": AT_THE_PUBLISHER.get(row["name"], ()),
        "copied_to": COPIED.get(row["name"], ()),
    }


@pytest.mark.rule("B.1", "B.2", "B.5", "R-019", "R-022", "R-023", "R-030", "R-072", "R-080", "R-081", "R-082", "X-04")
def test_every_unit_of_every_release_is_as_the_documents_say() -> None:
    for release, _, book in books():
        assert differences(book.units, units(release)) == []
