"""Identities of a whole cluster in virtual time: uploaded, regenerated, self-signed."""

import pytest

from tests.simulation.stories import told
from ucmlab.node.certificates import parse
from ucmlab.scenarios import Lab

STORES = {
    "tomcat": {"tomcat-trust"},
    "tomcat-ECDSA": {"tomcat-trust"},
    "CallManager": {"CallManager-trust", "Phone-SAST-trust"},
    "CallManager-ECDSA": {"CallManager-trust"},
    "TVS": {"TVS-trust"},
    "ipsec": {"ipsec-trust"},
    "cup": {"cup-trust"},
    "cup-ECDSA": {"cup-trust"},
    "cup-xmpp": {"cup-xmpp-trust"},
    "cup-xmpp-s2s": set(),
    "CAPF": {"CAPF-trust", "CallManager-trust"},
}
"""Where the copies of an identity are (B.2)."""
UNITS = {
    "pub": ("tomcat", "tomcat-ECDSA", "CallManager", "CallManager-ECDSA", "TVS", "ipsec", "CAPF"),
    "imp1": ("cup", "cup-ECDSA", "cup-xmpp", "cup-xmpp-s2s", "tomcat"),
}
TRUST = {
    "tomcat": "tomcat-trust",
    "tomcat-ECDSA": "tomcat-trust",
    "TVS": "TVS-trust",
    "ipsec": "ipsec-trust",
    "CAPF": "CAPF-trust",
    "cup": "cup-trust",
    "cup-ECDSA": "cup-trust",
    "cup-xmpp": "cup-xmpp-trust",
    "cup-xmpp-s2s": "cup-xmpp-trust",
    "CallManager": "CallManager-trust",
    "CallManager-ECDSA": "CallManager-trust",
}


def copies(lab: Lab, node: str, fingerprint: str) -> set[str]:
    """The trust stores of a node that hold a certificate, in files and database."""
    stores = {store for stores in STORES.values() for store in stores}
    at = lab.node(node)
    held = {store for store in stores if fingerprint in at.files(store)}
    assert held <= {store for store in stores if fingerprint in at.database(store)}
    return held


@pytest.mark.rule("R-001", "R-012", "R-017", "R-020", "R-021", "R-025", "R-029", "R-142", "X-11", "B.2", "B.7", "B.10")
def test_every_identity_of_every_role_takes_a_leaf_of_a_ca() -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA")
        for name, units in UNITS.items():
            node = lab.node(name)
            for unit in units:
                before = node.identity(unit)
                leaf = await root.sign((await node.generate_csr(unit)).pem)
                if root.fingerprint not in node.files(TRUST[unit]):
                    (await node.upload(unit, leaf.pem)).must_be("refused", "chain_incomplete")
                    lab.check(node.identity(unit) == before, "nothing changed")
                    (await node.upload(TRUST[unit], root.pem)).must_be("done")
                (await node.upload(unit, leaf.pem)).must_be("done")
                lab.check(node.identity(unit) == leaf.fingerprint, f"{unit} on {name} is the leaf")
                (await node.upload(unit, leaf.pem)).must_be("refused", "csr_missing")
                await lab.converged("5m")
                lab.check(before not in node.database(unit), "and the old one is no row of this node")
                # What a CA signed is trusted by its chain; copies of the self-signed one wait for somebody to tidy up.
                left, new = copies(lab, name, before), copies(lab, name, leaf.fingerprint)
                wanted = (set(), STORES[unit]) if unit == "CAPF" else (STORES[unit], set())
                lab.check((left, new) == wanted, f"{unit} on {name}: copies are {left} and {new}")

    told(story)


@pytest.mark.rule("R-089", "R-090", "R-086", "B.6")
def test_a_regenerated_identity_takes_its_copies_along_on_every_node() -> None:
    async def story(lab: Lab) -> None:
        sub = lab.node("sub1")
        before = sub.identity("tomcat")
        lab.check(before in lab.node("imp1").files("tomcat-trust"), "everybody trusts the one from the installation")
        (await sub.regenerate("tomcat")).must_be("done")
        after = sub.identity("tomcat")
        lab.check(after != before, "it is another one")
        await lab.converged("5m")
        for node in ("pub", "sub1", "imp1"):
            lab.check(after in lab.node(node).files("tomcat-trust"), f"{node} trusts it")
            lab.check(before not in lab.node(node).files("tomcat-trust"), f"{node} has forgotten the old one")
        lab.check(parse(await sub.download("tomcat", after, "der")).key == "rsa-2048", "the same length of key")

    told(story)
