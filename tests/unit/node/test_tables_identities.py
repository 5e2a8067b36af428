"""What a node's installation makes (B.1, B.2, B.4): self-signed identities, and the trust rows that come with them."""

from functools import lru_cache

import msgspec
import pytest

from tests.unit.node.rule_tables import books, differences, in_release, read, roles
from ucmlab.node.rulebook import TrustCopy

IDENTITIES = """
    # unit              nodes  releases  key       extended key usage   copies: unit, who holds it, made on which nodes
    tomcat              PSTI   -         rsa-2048  server client        tomcat-trust all
    tomcat-ECDSA        PSTI   -         ec-384    server client        tomcat-trust all
    ipsec               PSTI   -         rsa-2048  server client ipsec  ipsec-trust cucm P, ipsec-trust self STI
    CallManager         PST    -         rsa-2048  server client        CallManager-trust all, Phone-SAST-trust all
    CallManager-ECDSA   PST    -         ec-384    server client        CallManager-trust all
    CAPF                PS     ..14      rsa-2048  server               CAPF-trust self P, CallManager-trust all P
    CAPF                P      14..      rsa-2048  server client        CAPF-trust self, CallManager-trust all
    TVS                 PST    -         rsa-2048  server client        TVS-trust self
    ITLRecovery         P      -         rsa-2048  server client        CallManager-trust all, Phone-SAST-trust all
    cup                 I      -         rsa-2048  server client ipsec  cup-trust self
    cup-ECDSA           I      -         ec-384    server client ipsec  cup-trust self
    cup-xmpp            I      -         rsa-2048  server client ipsec  cup-xmpp-trust self
    cup-xmpp-ECDSA      I      -         ec-384    server client ipsec  cup-xmpp-trust self
    cup-xmpp-s2s        I      -         rsa-2048  server client ipsec  -
    cup-xmpp-s2s-ECDSA  I      -         ec-384    server client ipsec  -
"""
"""Nodes: B.1. Keys: ours, of those that B.4 names. Extended key usage: the unit's row in T-1 or T-2.

Copies: B.2 tells where CAPF, CallManager and ipsec certificates were seen, B.6 that tomcat's come with the identity; of
the others a node holds its own. Ours: ITLRecovery's row, and that nobody trusts a subscriber's CAPF or an s2s identity.
"""
COMMON_NAMES = {
    "CAPF": "CAPF-{hex}",  # B.4
    "ITLRecovery": "ITLRECOVERY_{fqdn}",  # ours
    "rsa": "{fqdn}",
    "ec": "{host}-EC.{domain}",  # B.4: it differs from the host's name
}
KEY_USAGES = {
    "CAPF": ("digital_signature", "key_cert_sign"),
    "rsa": ("digital_signature", "key_encipherment", "data_encipherment"),  # ours
    "ec": ("digital_signature", "key_agreement"),  # ours
}
OF_THE_CLUSTER = {"CAPF": "14..", "ITLRecovery": ""}
"""B.1, scope: one for the cluster, and since when."""

TWENTY_YEARS = "12.5..14"
"""B.4, A.22: ITLRecovery was raised from 5 to 20 years (the guide of 12.5), and is 5 by default in that of 14."""


def copy(text: str) -> TrustCopy:
    unit, holders, *nodes = text.split()
    return msgspec.convert({"unit": unit, "holders": holders, "roles": roles("".join(nodes))}, TrustCopy)


def identity(row: dict[str, str], release: str) -> dict[str, object]:
    unit, family = row["unit"], row["key"].partition("-")[0]
    cluster = unit in OF_THE_CLUSTER and in_release(release, OF_THE_CLUSTER[unit])
    return {
        "unit": unit,
        "roles": roles(row["nodes"]),
        "key": row["key"],
        "cn": COMMON_NAMES.get(unit, COMMON_NAMES[family]),
        "dns": ("{fqdn}",),  # ours: no source tells what the product's own have
        "key_usage": KEY_USAGES.get(unit, KEY_USAGES[family]),
        "extended_key_usage": tuple(row["usage"].split()),
        "ca": unit == "CAPF",
        "years": 20 if unit == "ITLRecovery" and in_release(release, TWENTY_YEARS) else 5,
        "scope": "cluster" if cluster else "node",
        "distributed_to": roles("ST") if unit == "ITLRecovery" else (),  # B.1: made on the publisher, copied
        "reuses": {"CallManager": "tomcat", "CallManager-ECDSA": "tomcat-ECDSA"}.get(unit, ""),  # B.3
        "copies": tuple(copy(text) for text in row["copies"].split(", ") if text),
    }


@lru_cache
def identities(release: str) -> dict[str, dict[str, object]]:
    rows = read(IDENTITIES, "unit nodes releases key usage copies")
    return {row["unit"]: identity(row, release) for row in rows if in_release(release, row["releases"])}


@pytest.mark.rule("B.1", "B.2", "B.4", "X-01", "R-103")
def test_every_identity_of_every_release_is_made_as_the_documents_say() -> None:
    for release, _, book in books():
        expected = {unit: row for unit, row in identities(release).items() if unit in book.units}
        assert differences(book.identities, expected) == []
