"""Cisco's own advice on the CA certificates that it ships (domain.md B.2)."""

from ucmlab.scenarios import Lab, scenario

ISSUING = ("Cisco Manufacturing CA", "Cisco Manufacturing CA SHA2", "ACT2 SUDI CA")
ROOTS = ("Cisco Root CA 2048", "Cisco Root CA M2")
TRUST, CAPF = "CallManager-trust", "CAPF-trust"


@scenario(nodes="pub sub1 imp1", release="14SU2", tags="certificates default-ca CAPF")
async def mic_roots_leave_callmanager_trust(lab: Lab) -> None:
    """The CAs of manufacturer-installed certificates are deleted from CallManager-trust; CAPF-trust keeps them.

    Every node has them from its installation. As long as they are in CallManager-trust, any phone that was ever made
    is let in with the certificate of its factory, which cannot be revoked; so Cisco recommends to take them out, and to
    leave them where CAPF needs them to issue a phone its own certificate. A delete reaches all nodes (R-080), of one
    unit alone; whoever issues goes before the root above, so that nobody's chain breaks.

    Phones take no part: neither the one that is refused with its MIC, nor the LSC that it gets nevertheless.
    """
    pub, sub1, imp1 = lab.nodes
    shipped = {entry.name: entry.certificate.fingerprint for entry in sub1.certificates(CAPF)}
    factory = {name: shipped[name] for name in (*ISSUING, *ROOTS)}

    async with lab.step("Nobody has done anything yet", expect="they are there, on CUCM nodes alone"):
        for node in (pub, sub1):
            for unit in (TRUST, CAPF):
                held = node.files(unit) & node.database(unit)
                lab.check(held >= {*factory.values()}, f"{node.name} has all five in {unit}, as files and as rows")
        lab.check(not imp1.files(TRUST) | imp1.files(CAPF), "an IM and Presence node has neither unit")

    async with lab.step("Cisco Manufacturing CA is deleted from CallManager-trust", expect="CAPF-trust keeps it"):
        (await sub1.delete(TRUST, factory[ISSUING[0]])).must_be("done")
        await lab.converged(within="31m")
        for node in (pub, sub1):
            lab.check(factory[ISSUING[0]] not in node.files(TRUST) | node.database(TRUST), f"gone on {node.name}")
            lab.check(factory[ISSUING[0]] in node.files(CAPF) & node.database(CAPF), f"{node.name} trusts it for CAPF")

    async with lab.step("The others follow, roots last", expect="an hour later none is back, and no chain broke"):
        for name in (*ISSUING[1:], *ROOTS):
            (await pub.delete(TRUST, factory[name])).must_be("done")
        await lab.converged(within="31m")
        await lab.holds(
            lambda: not any(node.files(TRUST) & {*factory.values()} for node in (pub, sub1)),
            during="61m",
            text="none comes back with a comparison",
        )
        lab.check(all(node.files(CAPF) >= {*factory.values()} for node in (pub, sub1)), "all are in CAPF-trust still")
        lab.check(not lab.events("chain_broken"), "nobody's chain broke")
