"""What is to be done when a certificate was changed: table 3 (A.10), its rulings, and IM and Presence (B.7)."""

from collections.abc import Collection

import pytest

from tests.unit.node.rule_tables import books, in_release, read
from ucmlab.node.rulebook import RuleBook

LISTS = {
    "SEED": "Tomcat, DRF Local, DRF Master, UDS Tomcat, AXL Tomcat, AXL Web Service",
    "LOOKUP": "Tomcat, Intercluster Lookup Service, Location Bandwidth Manager",  # X-14, the first half
    "DRF": "DRF Local, DRF Master",
    "EM": "Extension Mobility, AXL Web Service",  # X-14, the second half
    "ECDSA": "Tomcat, DRF Local, DRF Master, UDS Tomcat, AXL Web Service",
    "CALLS": "CallManager, CTIManager, HAProxy",
    "SUPPORT": "CallManager, CTIManager, Trust Verification Service, Tftp, HAProxy",
    "CAPF": "Certificate Authority Proxy Function",
    "TVS TFTP": "Trust Verification Service, Tftp",
    "FEDERATION": "XCP XMPP Federation Connection Manager",  # B.7
}
RESTARTS = """
    # units                          releases   profiles  verbs  services                    nodes      when
    tomcat tomcat-ECDSA              ..14       -         -      Tomcat                      -          -
    tomcat tomcat-ECDSA              14..       seed tac  -      SEED                        -          -
    tomcat                           14..14SU2  english   -      LOOKUP, DRF, EM             -          -
    tomcat                           14SU2..    english   -      LOOKUP, EM                  -          -
    tomcat-ECDSA                     14..       english   -      ECDSA                       -          -
    tomcat                           -          -         ur     Tftp                        -          -
    tomcat tomcat-ECDSA              -          -         -      CallManager                 -          sip_oauth
    tomcat tomcat-ECDSA              -          tac       -      SSOSP Tomcat                -          sso_or_oauth
    ipsec                            -          -         -      $ utils ipsec restart       -          -
    ipsec                            -          tac       -      DRF Master, DRF Local       all        -
    CallManager CallManager-ECDSA    ..14SU1    guide     -      CALLS                       -          -
    CallManager                      14SU1..    guide     -      HAProxy                     -          -
    CallManager-ECDSA                14SU1..    guide     -      CallManager, HAProxy        -          -
    CallManager CallManager-ECDSA    -          tac       -      SUPPORT                     all        -
    CAPF                             -          -         -      HAProxy                     all        sip_oauth
    CAPF                             -          tac       -      CAPF                        publisher  -
    CAPF TVS ITLRecovery             -          tac       -      TVS TFTP                    all        -
    cup cup-ECDSA                    -          -         -      SIP Proxy, Presence Engine  -          -
    cup-xmpp cup-xmpp-ECDSA          -          -         -      XCP Router                  all        -
    cup-xmpp-s2s cup-xmpp-s2s-ECDSA  -          -         -      FEDERATION                  -          -
    AUTHZ                            -          -         r      XCP Authentication Service  all        -
    AUTHZ                            ..14       english   r      CallManager                 all        -
    AUTHZ                            -          tac       r      Tomcat                      all        key_mismatch
    tomcat-trust                     -          -         -      Tomcat                      -          -
    tomcat-trust directory-trust     -          -         -      DirSync                     -          -
    CallManager-trust                -          -         -      CallManager, Tftp, HAProxy  -          -
    CAPF-trust                       -          -         -      CAPF                        -          -
    ipsec-trust                      -          -         -      $ utils ipsec restart       -          -
    ipsec-trust                      -          -         -      DRF Master, DRF Local       -          -
    cup-trust                        -          -         -      SIP Proxy                   -          -
    cup-xmpp-trust                   -          -         -      XCP Router, FEDERATION      all        -
"""
"""tomcat: R-141, R-150, R-100, R-102, X-14, A.19, R-071, R-099. ipsec: R-104, B.18. CallManager: R-106..R-108, X-07.

CAPF, TVS, ITLRecovery: R-110, X-16. IM and Presence: B.1, B.7. AUTHZ: R-137, X-19. Trust stores: R-118 says that
deletes need restarts as well; who reads them, R-024, R-201, R-204, B.7, B.12, B.18, C-05, C-15, C-53, C-65. Ours: that
a release before 14 restarts after CallManager what 14 does.
"""
RELOADS = """
    # units                           releases  profiles  verbs  services                    what
    TVS                               -         guide     -      Trust Verification Service  certificate
    CAPF                              -         guide     -      CAPF                        certificate
    ITLRecovery                       12.0..    guide     r      Tftp                        certificate
    CallManager TVS CAPF ITLRecovery  -         -         -      Tftp                        itl
"""
"""R-112, R-120, R-114, R-113; X-16 and B.11: TFTP builds the ITL file anew in every profile."""
CTL, METADATA = "update the CTL file", "provision the metadata of the service provider again at the identity provider"
BACKUP, RESET = (
    "take a backup, so that the newest one holds the new certificates",
    "phones are reset, to fetch the new ITL file",
)
ADVISORIES = """
    # name              units                         releases  verbs  when
    ctl_stale           CAPF ITLRecovery CallManager  -         -      mixed_mode
    ctl_stale           CallManager-ECDSA             ..14SU1   -      mixed_mode
    sso_metadata_stale  tomcat                        -         -      sso_tomcat
    sso_metadata_stale  ITLRecovery                   -         -      sso_system
    backup_stale        *                             -         ur     -
    phones_reset        CAPF TVS                      -         -      -
    phones_reset        CallManager                   -         -      tftp
"""
"""R-095, R-106..R-108; R-101, X-08; R-096 (every identity); R-098, R-116, R-117, X-20."""
TEXTS = {"ctl_stale": CTL, "sso_metadata_stale": METADATA, "backup_stale": BACKUP, "phones_reset": RESET}
CONDITIONS = {
    "sip_oauth": "SIP OAuth mode is on",
    "mixed_mode": "the cluster is in mixed mode",
    "sso_tomcat": "SAML SSO uses the Tomcat certificate",
    "sso_system": "SAML SSO uses the system-generated certificate",
    "sso_or_oauth": "SAML SSO or OAuth is in use",
    "tftp": "TFTP runs on the node",
    "key_mismatch": "nodes have different keys, and that was mended",
}
DECIDED = {"sip_oauth": ("SIP OAuth Mode", ""), "tftp": ("", "Cisco Tftp")}  # A.21, X-20
"""By a parameter, or by a service that runs."""
ADVICE = {
    "regenerate": "You must restart services related to {unit} for the regenerated certificates to become active.",
    "upload": "Please restart services related to {unit} for the new certificate to become active.",
    "delete": "Please restart services related to {unit} for the deletion to become active.",
}
"""B.9; the last is ours."""
VERBS = {"u": "upload", "r": "regenerate", "d": "delete"}


def units(cell: str, book: RuleBook) -> tuple[str, ...]:
    """Of the units that a row names, those that the release has."""
    if cell == "*":
        return tuple(unit.name for unit in book.units.values() if unit.kind == "identity")
    return tuple(unit for unit in cell.split() if unit in book.units or unit == "AUTHZ")


COMMANDED = {"$ utils ipsec restart": ("IPsec",)}  # R-104; the name of what it restarts is ours


def services(cell: str, there: Collection[str]) -> tuple[str, ...]:
    if cell.startswith("$"):
        return COMMANDED[cell]
    named = [name for part in cell.split(", ") for name in LISTS.get(part, part).split(", ")]
    return tuple(f"Cisco {name}" for name in named if f"Cisco {name}" in there)


def holding(table: str, columns: str, release: str, profile: str) -> list[dict[str, str]]:
    rows = [{"profiles": ""} | row for row in read(table, columns)]
    return [
        row
        for row in rows
        if in_release(release, row["releases"]) and (not row["profiles"] or profile in profiles(row["profiles"]))
    ]


def profiles(cell: str) -> list[str]:
    """`guide` is the seed and its English original."""
    return cell.replace("guide", "seed english").split()


def verbs(cell: str) -> tuple[str, ...]:
    return tuple(VERBS[letter] for letter in cell or VERBS)


@pytest.mark.rule("R-100", "R-102", "R-104", "R-106", "R-107", "R-108", "R-110", "R-118", "R-137", "X-07", "X-14")
@pytest.mark.rule("X-16", "X-19", "B.7")
def test_what_is_restarted_in_every_release_and_profile_is_as_the_documents_say() -> None:
    for release, profile, book in books():
        rows = holding(RESTARTS, "units releases profiles verbs services nodes when", release, profile)
        expected = [
            (
                units(row["units"], book),
                verbs(row["verbs"]),
                services(row["services"], book.services),
                row["services"].removeprefix("$ ") if row["services"].startswith("$") else "",
                row["nodes"] or "changed",
                row["when"] or None,
            )
            for row in rows
        ]
        told = [
            (row.units, row.verbs, row.services, row.command, row.nodes, row.when) for row in book.after_change.restart
        ]
        assert told == [row for row in expected if row[0] and (row[2] or row[3])]


@pytest.mark.rule("R-112", "R-114", "R-120", "X-16", "B.11")
def test_what_starts_anew_by_itself_is_as_the_documents_say() -> None:
    for release, profile, book in books():
        rows = holding(RELOADS, "units releases profiles verbs services what", release, profile)
        expected = [
            (units(row["units"], book), verbs(row["verbs"]), services(row["services"], book.services), row["what"])
            for row in rows
        ]
        found = book.after_change.reload
        assert [(row.units, row.verbs, row.services, row.what) for row in found] == expected
        assert {(row.command, row.when) for row in found} <= {("", None)}


@pytest.mark.rule("R-095", "R-096", "R-098", "R-101", "X-08", "X-20")
def test_what_is_out_of_date_then_is_as_the_documents_say() -> None:
    for release, profile, book in books():
        rows = holding(ADVISORIES, "name units releases verbs when", release, profile)
        expected = [
            (row["name"], units(row["units"], book), verbs(row["verbs"]), row["when"] or None, TEXTS[row["name"]])
            for row in rows
        ]
        found = [(row.name, row.units, row.verbs, row.when, row.text) for row in book.after_change.advisory]
        assert found == [row for row in expected if row[1]]


@pytest.mark.rule("B.9")
def test_what_is_said_is_as_the_documents_say() -> None:
    for _, _, book in books():
        assert {name: row.text for name, row in book.after_change.conditions.items()} == CONDITIONS
        deciding = {name: (row.parameter, row.service) for name, row in book.after_change.conditions.items()}
        assert {name: by for name, by in deciding.items() if any(by)} == DECIDED
        told = [(verb, row.text) for row in book.after_change.advice for verb in row.verbs]
        assert sorted(told) == sorted(ADVICE.items())
