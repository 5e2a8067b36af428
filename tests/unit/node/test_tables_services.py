"""A node's services, spelled as SOAP and the CLI spell them (W2.2, W3.2), and what each loads at its start."""

from functools import lru_cache

import pytest

from tests.unit.node.rule_tables import books, differences, in_release, read, roles

NETWORK = """
    # name                                 nodes  start   releases  loads
    IPsec                                  PSTI   1-3     -         ipsec                           # R-104; name ours
    System SSH                             PSTI   1-3     -         -                               # W2.2
    Cluster Manager                        PSTI   2-5     -         -                               # W2.2
    A Cisco DB                             PSTI   20-60   -         -                               # W2.2
    A Cisco DB Replicator                  PSTI   5-15    -         -                               # W2.2
    Cisco Tomcat                           PSTI   60-180  -         tomcat tomcat-ECDSA             # R-100, R-141
    Cisco Platform Administrative Web Service  PSTI  5-15  -        -                               # B.8
    Cisco Certificate Change Notification  PSTI   3-10    -         -                               # B.6
    Cisco Certificate Expiry Monitor       PSTI   3-10    -         -                               # R-173
    Cisco Database Layer Monitor           PSTI   3-10    -         -                               # W2.2
    Cisco DRF Local                        PSTI   5-15    ..14      ipsec                           # B.18
    Cisco DRF Local                        PSTI   5-15    14..      tomcat tomcat-ECDSA ipsec       # R-099, R-100
    Cisco DRF Master                       P      5-15    ..14      ipsec                           # B.18
    Cisco DRF Master                       P      5-15    14..      tomcat tomcat-ECDSA ipsec       # R-099, R-100
    Cisco AMC Service                      PSTI   3-10    -         -                               # W3.2
    Cisco Audit Event Service              PSTI   2-5     -         -                               # ours
    Cisco Log Partition Monitoring Tool    PSTI   2-5     -         -                               # ours
    Cisco RIS Data Collector               PSTI   5-15    -         -                               # W2.2
    Cisco Syslog Agent                     PSTI   2-5     -         -                               # ours
    SNMP Master Agent                      PSTI   2-5     -         -                               # ours
    Cisco Trust Verification Service       PST    5-15    -         TVS                             # R-111
    Cisco HAProxy                          PST    3-10    12.5..    CallManager CallManager-ECDSA   # R-106..R-108
    Cisco UDS Tomcat                       PST    30-90   14..      tomcat tomcat-ECDSA             # R-100
    Cisco AXL Tomcat                       PST    30-90   14..      tomcat tomcat-ECDSA             # R-100
    Cisco SSOSP Tomcat                     PST    30-90   14..      -                               # X-14
    Cisco CDR Agent                        PST    3-10    -         -                               # W2.2
    Cisco CAR DB                           P      5-15    -         -                               # W3.2
    Cisco Intercluster Lookup Service      P      5-15    -         tomcat                          # X-14
    Cisco Intercluster Sync Agent          I      10-30   -         tomcat                          # B.7
    Cisco Sync Agent                       I      10-30   -         tomcat                          # ours
    Cisco Login Datastore                  I      5-15    -         -                               # ours
    Cisco Presence Datastore               I      5-15    -         -                               # ours
    Cisco XCP Config Manager               I      5-15    -         -                               # ours
    Cisco XCP Router                       I      20-60   -         cup-xmpp cup-xmpp-ECDSA         # B.1, B.7
"""
FEATURE = """
    # name                                        nodes  activated  start   releases  loads
    Cisco CallManager                             PST    PS         60-180  -         CallManager CallManager-ECDSA
    Cisco Tftp                                    PST    tftp       10-40   ..12.0    CallManager tomcat
    Cisco Tftp                                    PST    tftp       10-40   12.0..    CallManager tomcat ITLRecovery
    Cisco CTIManager                              PST    PS         20-60   -         CallManager
    Cisco Certificate Authority Proxy Function    P      P          5-15    -         CAPF
    Cisco CTL Provider                            PST    PS         5-15    -         -
    Cisco AXL Web Service                         PST    PS         20-60   -         tomcat tomcat-ECDSA
    Cisco UXL Web Service                         PST    PS         20-60   -         tomcat tomcat-ECDSA
    Cisco Extension Mobility                      PST    -          5-15    -         -
    Cisco Location Bandwidth Manager              PST    PS         5-15    -         tomcat
    Cisco DirSync                                 P      -          5-15    -         -
    Cisco SIP Proxy                               I      I          10-30   -         cup cup-ECDSA
    Cisco Presence Engine                         I      I          20-60   -         cup cup-ECDSA
    Cisco XCP Authentication Service              I      I          5-15    -         -
    Cisco XCP Connection Manager                  I      I          5-15    -         cup-xmpp cup-xmpp-ECDSA
    Cisco XCP Web Connection Manager              I      -          5-15    -         cup-xmpp cup-xmpp-ECDSA
    Cisco XCP Directory Service                   I      -          5-15    -         cup-xmpp cup-xmpp-ECDSA
    Cisco XCP XMPP Federation Connection Manager  I      -          5-15    -         cup-xmpp-s2s cup-xmpp-s2s-ECDSA
"""
"""CallManager, CTIManager: R-105, R-106. Tftp: R-105, R-071; it signs with ITLRecovery from 12.0. CAPF: B.12.

Web services: R-100. IM and Presence: B.1, who uses it, and B.7. Ours in both tables: how long starts take; which nodes
a service is on and where it is activated, when no source says it; the releases of HAProxy and of the Tomcats.
"""
TRUSTS = """
    # name                                        trusts
    Cisco Tomcat                                  tomcat-trust                  # R-201, R-204
    IPsec                                         ipsec-trust                   # C-15
    Cisco DRF Local                               ipsec-trust                   # B.18
    Cisco DRF Master                              ipsec-trust                   # B.18
    Cisco CallManager                             CallManager-trust             # C-05
    Cisco Tftp                                    CallManager-trust             # C-53
    Cisco HAProxy                                 CallManager-trust             # C-53
    Cisco CTIManager                              CallManager-trust             # ours
    Cisco Certificate Authority Proxy Function    CAPF-trust                    # B.12
    Cisco Trust Verification Service              TVS-trust                     # ours
    Cisco DirSync                                 tomcat-trust directory-trust  # R-024
    Cisco Syslog Agent                            tomcat-trust                  # ours
    Cisco Intercluster Lookup Service             tomcat-trust                  # X-14
    Cisco Location Bandwidth Manager              tomcat-trust                  # X-14
    Cisco Intercluster Sync Agent                 tomcat-trust                  # R-201
    Cisco Sync Agent                              tomcat-trust                  # ours
    Cisco SIP Proxy                               cup-trust                     # B.7
    Cisco Presence Engine                         cup-trust                     # ours
    Cisco XCP Router                              cup-xmpp-trust                # B.2, B.7
    Cisco XCP Connection Manager                  cup-xmpp-trust                # B.2
    Cisco XCP Web Connection Manager              cup-xmpp-trust                # B.2
    Cisco XCP XMPP Federation Connection Manager  cup-xmpp-trust                # B.2
"""
NEEDS = {
    "Cisco AXL Web Service": ("Cisco Tomcat",),  # R-100 has both: it runs in it
    "Cisco UXL Web Service": ("Cisco Tomcat",),
    "Cisco Extension Mobility": ("Cisco Tomcat",),
    "Cisco Platform Administrative Web Service": ("Cisco Tomcat",),
    "A Cisco DB Replicator": ("A Cisco DB",),  # ours
    **{  # B.7: restarted, the Router takes them along
        f"Cisco XCP {name}": ("Cisco XCP Router",)
        for name in (
            "Authentication Service",
            "Connection Manager",
            "Web Connection Manager",
            "Directory Service",
            "XMPP Federation Connection Manager",
        )
    },
}
STOPS = {  # ours; 1 to 5 seconds for the rest
    "Cisco Tomcat": (10, 30),
    "Cisco CallManager": (10, 30),
    "A Cisco DB": (5, 20),
    "Cisco UDS Tomcat": (5, 20),
    "Cisco AXL Tomcat": (5, 20),
    "Cisco SSOSP Tomcat": (5, 20),
    "Cisco XCP Router": (5, 20),
}
PLATFORM = {"IPsec": "utils ipsec restart"}
"""Services of no list of the product's, and what restarts them (R-104)."""
MULTI_SERVER = ("Cisco Tomcat", "Cisco Platform Administrative Web Service")
"""What must run on all nodes that are to have a part (B.8, C-50)."""
KEPT_RUNNING = ("System SSH", "Cluster Manager", "A Cisco DB", "A Cisco DB Replicator")
"""Not to be stopped; ours."""


def service(row: dict[str, str], kind: str, units: frozenset[str]) -> dict[str, object]:
    least, _, most = row["start"].partition("-")
    activated, name = row.get("activated", ""), row["name"]
    trusts = next((each["trusts"] for each in read(TRUSTS, "name trusts") if each["name"] == name), "")
    return {
        "name": name,
        "kind": "platform" if name in PLATFORM else kind,
        "command": PLATFORM.get(name, ""),
        "trusts": tuple(unit for unit in trusts.split() if unit in units),
        "needs": NEEDS.get(name, ()),
        "stop_s": STOPS.get(name, (1, 5)),
        "roles": roles(row["nodes"]),
        "start_s": (int(least), int(most)),
        "activated": () if activated == "tftp" else roles(activated),
        "activation": "tftp" if activated == "tftp" else "",
        "loads": tuple(unit for unit in row["loads"].split() if unit in units),
        "multi_server": name in MULTI_SERVER,
        "can_stop": name not in KEPT_RUNNING,
    }


@lru_cache
def services(release: str, units: frozenset[str]) -> dict[str, dict[str, object]]:
    """What a release has; nothing loads a unit that the release does not have."""
    rows = [("network", row) for row in read(NETWORK, "name nodes start releases loads")]
    rows += [("feature", row) for row in read(FEATURE, "name nodes activated start releases loads")]
    return {row["name"]: service(row, kind, units) for kind, row in rows if in_release(release, row["releases"])}


@pytest.mark.rule("R-071", "R-156", "B.1", "B.8", "B.12", "B.18", "X-14")
def test_every_service_of_every_release_is_as_the_documents_say() -> None:
    for release, _, book in books():
        assert differences(book.services, services(release, frozenset(book.units))) == []
