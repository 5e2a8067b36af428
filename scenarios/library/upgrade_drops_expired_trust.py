"""C-60."""

from datetime import timedelta

from ucmlab.scenarios import Lab, scenario

CALLMANAGER, CALLS, TUNNELS = "Cisco CallManager", "CallManager-trust", "ipsec-trust"


@scenario(nodes="pub sub1", release="12.5", tags="upgrade tls C-60")
async def upgrade_drops_expired_trust(lab: Lab) -> None:
    """A partner's CA has expired, the IPsec tunnel of its trunk still stands, and the cluster is upgraded to 14SU2.

    What stands is not asked for dates again, so nobody misses the CA until the boot into the new release. From 14SU2 on
    an upgrade does not import expired trust certificates: afterwards the CA is nowhere, and the partner is a stranger.
    A valid CA, installed before the upgrade, is carried over (C-60).
    """
    pub, sub1 = lab.nodes
    old = await lab.ca("Partner Root CA", not_after=lab.now + timedelta(days=30))
    other = await lab.ca("Carrier Root CA")
    partner = await lab.peer("gw.partner.test", await old.issue("gw.partner.test"))
    carrier = await lab.peer("sbc.carrier.test", await other.issue("sbc.carrier.test"))
    for unit in (CALLS, TUNNELS):
        for root in (old, other):
            (await pub.upload(unit, root.pem)).must_be("done")
    await lab.converged(within="31m")
    for node, service in ((pub, CALLMANAGER), (sub1, CALLMANAGER), (pub, "IPsec")):
        (await node.restart(service)).must_be("done")

    def linked() -> list[str]:
        return [link.to for link in pub.links()]

    async with lab.step("Calls and a tunnel go to the partner, and its CA expires", expect="the tunnel stays"):
        lab.check((await sub1.connect(partner, "sip")).verdict == "trusted", "a call arrives")
        lab.check((await pub.connect(partner, "ipsec")).verdict == "trusted", "the tunnel comes up")
        await lab.wait("31d")
        lab.check(linked() == [partner.fqdn], "a month later it stands", linked())
        call = await sub1.connect(partner, "sip")
        lab.check(call.reason == "expired", "a new connection is refused", call)

    async with lab.step("The publisher is upgraded to 14SU2", expect="the tunnel is gone; sub1 notices nothing"):
        refused = await sub1.upgrade("14SU2")
        refused.must_be("refused", "publisher_first")
        (await pub.upgrade("14SU2")).must_be("done")
        await lab.converged(within="31m")
        lab.check(linked() == [], "no tunnel survives the boot", linked())
        tunnel = await pub.connect(partner, "ipsec")
        lab.check(tunnel.reason == "unknown_ca", "and none comes up: the CA is not there any more", tunnel)
        lab.check(old.fingerprint in sub1.files(CALLS) & sub1.database(CALLS), "sub1, of the old release, has it still")

    async with lab.step("The subscriber follows", expect="what has expired is on no node, what is valid on all"):
        (await lab.upgrade("14SU2")).must_be("done")
        await lab.converged(within="31m")
        for node in lab.nodes:
            there = node.files(CALLS) | node.database(CALLS) | node.files(TUNNELS) | node.database(TUNNELS)
            lab.check(old.fingerprint not in there, f"{node.name} has neither file nor row of the expired CA")
            lab.check(other.fingerprint in node.files(CALLS) & node.database(CALLS), f"{node.name} has the valid one")
            lab.check((await node.connect(carrier, "sip")).verdict == "trusted", f"{node.name} calls the carrier")
        call = await sub1.connect(partner, "sip")
        lab.check(call.reason == "unknown_ca", "the partner is a stranger", call)

    async with lab.step("The partner's new CA is installed, then comes the next release", expect="nothing is missed"):
        new = await lab.ca("Partner Root CA")
        moved = await lab.peer("gw2.partner.test", await new.issue("gw2.partner.test"))
        for unit in (CALLS, TUNNELS):
            (await pub.upload(unit, new.pem)).must_be("done")
        await lab.converged(within="31m")
        (await lab.upgrade("15")).must_be("done")
        await lab.converged(within="31m")
        for node in lab.nodes:
            call = await node.connect(moved, "sip")
            lab.check(call.verdict == "trusted", f"{node.name} calls the partner in the new release", call)
        lab.check((await pub.connect(moved, "ipsec")).verdict == "trusted", "the tunnel comes up")
