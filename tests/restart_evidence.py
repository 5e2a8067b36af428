"""How it is seen that a service of the restart tables goes on with what it has until it is restarted (A.10, R-118).

Every pair of a unit and a service of those tables, in whatever release and profile, stands in `EVIDENCE`, with what
shows the service's restart to who looks at its node. What shows more is used first:

    5061        the listener on that port presents the unit's certificate: it is read from the wire
    peers 5061  the listener on that port lets in whom the unit vouches for: it is called
    loaded      no listener shows it, but the service loads it: `services.*.loaded` of `dump` tells which one
    pending     the service holds nothing of the unit: that it is to be restarted, and then no more, is all there is
    never       the row's condition is of something that is not built: nobody is told to restart it yet

`ABSENT` says which units and services a release does not have, and so no row for them. `test_restart_evidence.py`
holds both against the rules, `test_restarts_on_the_wire.py` goes by them.
"""

from collections.abc import Iterator
from itertools import product
from typing import Literal

import msgspec

from tests.unit.node.rule_tables import in_release, read
from tests.unit.node.test_tables_restarts import COMMANDED

Kind = Literal["wire", "peers", "loaded", "pending", "never"]
EVIDENCE = """
    # units                          services                           seen             releases
    tomcat tomcat-ECDSA              Tomcat                             443 8443         -
    tomcat                           Tftp                               6971             -
    tomcat tomcat-ECDSA              CallManager                        5090 5091        -
    tomcat tomcat-ECDSA              DRF Local, DRF Master, UDS Tomcat  loaded           -
    tomcat tomcat-ECDSA              AXL Tomcat, AXL Web Service        loaded           -
    tomcat                           Intercluster Lookup Service        loaded           -
    tomcat                           Location Bandwidth Manager         loaded           -
    tomcat                           Extension Mobility                 pending          -
    tomcat tomcat-ECDSA              SSOSP Tomcat                       never            -
    ipsec                            $ utils ipsec restart              4500             -
    ipsec                            DRF Local, DRF Master              loaded           -
    CallManager CallManager-ECDSA    CallManager                        5061             -
    CallManager CallManager-ECDSA    HAProxy                            6972 9443        -
    CallManager                      CTIManager                         2749             -
    CallManager-ECDSA                CTIManager                         pending          -
    CallManager                      Tftp                               loaded           -
    CallManager-ECDSA                Tftp                               pending          -
    CallManager CallManager-ECDSA    TVS                                pending          -
    CAPF                             CAPF                               3804             -
    CAPF                             HAProxy, TVS, Tftp                 pending          -
    TVS                              TVS                                2445             -
    TVS                              Tftp                               pending          -
    ITLRecovery                      TVS                                pending          -
    ITLRecovery                      Tftp                               pending          ..12.0
    ITLRecovery                      Tftp                               loaded           12.0..
    cup cup-ECDSA                    SIP Proxy, Presence Engine         loaded           -
    cup-xmpp cup-xmpp-ECDSA          XCP Router                         loaded           -
    cup-xmpp-s2s cup-xmpp-s2s-ECDSA  FEDERATION                         loaded           -
    AUTHZ                            XCP Authentication Service         pending          -
    AUTHZ                            CallManager                        pending          -
    AUTHZ                            Tomcat                             never            -
    tomcat-trust                     Tomcat, DirSync                    pending          -
    directory-trust                  DirSync                            pending          -
    CallManager-trust                CallManager                        peers 5061       -
    CallManager-trust                HAProxy                            peers 6972 9443  -
    CallManager-trust                Tftp                               pending          -
    CAPF-trust                       CAPF                               pending          -
    ipsec-trust                      $ utils ipsec restart              peers 4500       -
    ipsec-trust                      DRF Local, DRF Master              pending          -
    cup-trust                        SIP Proxy                          pending          -
    cup-xmpp-trust                   XCP Router, FEDERATION             pending          -
"""
"""Ports: design 6, B.14. TFTP signs the ITL file with ITLRecovery from 12.0, and so loads it (R-113)."""
ABSENT = """
    # units and services                                         releases
    tomcat-ECDSA, cup-ECDSA, cup-xmpp-ECDSA, cup-xmpp-s2s-ECDSA  ..11.5    # R-007, B.1
    CallManager-ECDSA                                            ..11.0    # B.1, B.2
    directory-trust                                              11.0..    # R-024
    Cisco HAProxy                                                ..12.5    # B.14
    Cisco UDS Tomcat, Cisco AXL Tomcat, Cisco SSOSP Tomcat       ..14      # R-100, X-14
"""
SHORT = {"TVS": "Trust Verification Service", "CAPF": "Certificate Authority Proxy Function"}
SHORT["FEDERATION"] = "XCP XMPP Federation Connection Manager"


class Evidence(msgspec.Struct, frozen=True):
    """How the restart of one service for one unit is seen."""

    kind: Kind
    ports: frozenset[int] = frozenset()
    """Of the listeners, by their rules' numbers; empty where there is none."""


def evidence(release: str) -> dict[tuple[str, str], Evidence]:
    """By unit and service: of every pair that a table may have in a release."""
    return dict(pairs(release))


def pairs(release: str) -> Iterator[tuple[tuple[str, str], Evidence]]:
    """The same, one at a time."""
    gone = absent(release)
    for row in read(EVIDENCE, "units services seen releases"):
        if in_release(release, row["releases"]):
            for pair in product(row["units"].split(), _services(row["services"])):
                if gone.isdisjoint(pair):
                    yield pair, _seen(row["seen"])


def absent(release: str) -> set[str]:
    """The units and services that other releases have, and this one has not."""
    rows = read(ABSENT, "names releases")
    return {name for row in rows if in_release(release, row["releases"]) for name in row["names"].split(", ")}


def _services(cell: str) -> tuple[str, ...]:
    if cell in COMMANDED:
        return COMMANDED[cell]
    return tuple(f"Cisco {SHORT.get(name, name)}" for name in cell.split(", "))


def _seen(cell: str) -> Evidence:
    match cell.split():
        case ["peers", *ports]:
            return Evidence("peers", frozenset(map(int, ports)))
        case ["loaded" | "pending" | "never" as kind]:
            return Evidence(kind)
        case ports:
            return Evidence("wire", frozenset(map(int, ports)))
