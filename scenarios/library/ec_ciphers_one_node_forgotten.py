"""C-21."""

from ucmlab.scenarios import Lab, scenario

TOMCAT = "Cisco Tomcat"


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="certificates services parameters C-21")
async def ec_ciphers_one_node_forgotten(lab: Lab) -> None:
    """EC ciphers are turned on for the cluster, and Tomcat is not restarted on sub2: an EC-only client fails there.

    By default Tomcat offers RSA alone (R-008). The enterprise parameter HTTPS Ciphers turns EC on for all nodes
    (R-009), but Tomcat reads it when it starts, so it must be restarted on all of them (R-010). Clients that know RSA
    notice nothing of a node that was forgotten; one that can do EC alone has no cipher in common with it (C-21).
    """
    pub, sub1, sub2 = lab.nodes

    async with lab.step("EC ciphers are turned on", expect="nothing changes on the wire yet"):
        for node in lab.nodes:
            lab.check((await node.tls(TOMCAT)).key == "rsa-2048", f"{node.name} presents RSA by default")
        (await lab.set_parameter("HTTPS Ciphers", "All Supported EC and RSA Ciphers")).must_be("done")
        await lab.converged(within="31m")
        for node in lab.nodes:
            seen = await node.tls(TOMCAT, ec_only=True)
            lab.check(seen.reason == "no_shared_cipher", f"{node.name} offers no EC", seen)
            lab.check("HTTPS Ciphers" in node.pending().get(TOMCAT, []), f"a restart is pending on {node.name}")

    async with lab.step("Tomcat is restarted on pub and sub1", expect="an EC-only client fails against sub2 alone"):
        for node in (pub, sub1):
            (await node.restart(TOMCAT)).must_be("done")
            seen = await node.tls(TOMCAT, ec_only=True)
            lab.check(seen.fingerprint == node.identity("tomcat-ECDSA"), f"{node.name} presents tomcat-ECDSA", seen)
        seen = await sub2.tls(TOMCAT, ec_only=True)
        lab.check((seen.verdict, seen.reason) == ("terminated", "no_shared_cipher"), "sub2 has nothing for it", seen)
        lab.check((await sub2.tls(TOMCAT)).key == "rsa-2048", "whoever knows RSA notices nothing")

    async with lab.step("Tomcat is restarted on sub2 as well", expect="all offer EC"):
        (await sub2.restart(TOMCAT)).must_be("done")
        seen = await sub2.tls(TOMCAT, ec_only=True)
        lab.check(seen.fingerprint == sub2.identity("tomcat-ECDSA"), "sub2 presents tomcat-ECDSA", seen)
        lab.check(all(TOMCAT not in node.pending() for node in lab.nodes), "nothing is pending")
        await lab.services_up(within="10m")
