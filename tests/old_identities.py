"""What a CA signed with SHA-1 is served and presented, in both modes: who connects says what becomes of it."""

from ucmlab.scenarios import CA, Lab
from ucmlab.scenarios.node import Node

TOMCAT = "Cisco Tomcat"
CTI, SIP = "cti_tls", "sip_tls"
SERVICES = {"tomcat": (TOMCAT,), "CallManager": ("Cisco HAProxy",)}


async def identities_of_an_old_ca(lab: Lab) -> None:
    pub, sub1 = lab.nodes
    root = await lab.ca("Old Root CA")
    for unit in ("tomcat-trust", "CallManager-trust"):
        (await pub.upload(unit, root.pem)).must_be("done")
    await lab.converged(within="31m")
    for node in (pub, sub1):
        for service in (TOMCAT, "Cisco CallManager"):
            (await node.restart(service)).must_be("done")
    async with lab.step("sub1 has its identities from the old CA"):
        for unit in SERVICES:
            await _renewed(sub1, unit, root)
        own = sub1.identity("tomcat")
        for peer in (None, pub):
            seen = await sub1.tls(TOMCAT, peer=peer)
            told = seen.verdict, seen.reason, seen.fingerprint
            lab.check(told == ("terminated", "weak_signature", own), "Tomcat presents it, and is refused for it", told)
    async with lab.step("Nodes connect to each other"):
        seen = await pub.connect(sub1, listener=CTI)
        lab.check(seen.reason == "weak_signature", "pub refuses sub1", seen)
        for listener in (CTI, SIP):
            seen = await sub1.connect(pub, listener=listener)
            lab.check(seen.reason == "rejected", f"sub1 is refused by {listener} of pub", seen)
    async with lab.step("pub has one from the old CA as well"):
        await _renewed(pub, "CallManager", root)
        for one, other in ((pub, sub1), (sub1, pub)):
            seen = await one.connect(other, listener=CTI)
            lab.check(seen.reason == "weak_signature", f"{one.name} refuses {other.name}", seen)
            seen = await one.connect(other, listener=SIP)
            lab.check(seen.reason == "rejected", f"{one.name} is refused by {other.name}, which shows an EC key", seen)
    refused = [(each["listener"], each["reason"]) for each in lab.events("handshake", "pub") if each["client"] == ""]
    weak = (SIP, "weak_signature")
    lab.check(refused.count(weak) == 2, "pub tells why it let sub1 not in", refused)
    lab.check(not lab.events(name="alarm"), "nothing is amiss", lab.events(name="alarm"))


async def _renewed(node: Node, unit: str, ca: CA) -> None:
    """It takes a leaf of the CA, signed with SHA-1, and its services load it."""
    csr = await node.generate_csr(unit)
    (await node.upload(unit, (await ca.sign(csr.pem, hash="sha1")).pem)).must_be("done")
    for service in SERVICES[unit]:
        (await node.restart(service)).must_be("done")
