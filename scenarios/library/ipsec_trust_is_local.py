"""C-15."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2 sub3", release="14SU2", tags="replication ipsec C-15")
async def ipsec_trust_is_local(lab: Lab) -> None:
    """ipsec-trust is each node's own: neither an upload nor a delete leaves the node.

    The CA of a secure MGCP gateway is uploaded on the publisher, and the gateway is homed on sub1. Only tomcat-trust,
    CallManager-trust and Phone-SAST-trust are replicated (R-022, R-023), and the cluster-wide delete does not name
    ipsec-trust (R-081). So IPsec comes up with the publisher and not with sub1, until the CA is uploaded there too and
    the service restarted, as `utils ipsec restart` does (R-104, C-15). sub3 plays the gateway.
    """
    pub, sub1, sub2, gateway = lab.nodes
    root = await lab.ca("MGCP Gateway CA")
    fingerprint, unit = root.fingerprint, "ipsec-trust"

    async with lab.step("The gateway has a certificate of its CA, and trusts its two peers"):
        (await gateway.upload(unit, root.pem)).must_be("done")
        leaf = await root.sign((await gateway.generate_csr("ipsec")).pem)
        (await gateway.upload("ipsec", leaf.pem)).must_be("done")
        for peer in (pub, sub1):
            (await gateway.upload(unit, await peer.download("ipsec", peer.identity("ipsec")))).must_be("done")
        (await gateway.restart("IPsec")).must_be("done")

    async with lab.step("The gateway's CA is uploaded on the publisher", expect="the publisher alone has it"):
        (await pub.upload(unit, root.pem)).must_be("done")
        lab.check(fingerprint in pub.files(unit), "the publisher has it")
        await lab.holds(
            lambda: fingerprint not in sub1.files(unit) | sub2.files(unit),
            during="90m",
            text="ninety minutes later no subscriber has it",
        )

    async with lab.step("IPsec is restarted on both", expect="it is up with the publisher, down with sub1"):
        for node in (pub, sub1):
            (await node.restart("IPsec")).must_be("done")
        tunnel = await pub.connect(gateway, "ipsec")
        lab.check(
            (tunnel.verdict, tunnel.fingerprint) == ("trusted", leaf.fingerprint), "up with the publisher", tunnel
        )
        tunnel = await sub1.connect(gateway, "ipsec")
        lab.check((tunnel.verdict, tunnel.reason) == ("terminated", "unknown_ca"), "down with sub1", tunnel)

    async with lab.step("The CA is uploaded on sub1 as well", expect="IPsec comes up there with the service's restart"):
        (await sub1.upload(unit, root.pem)).must_be("done")
        lab.check((await sub1.connect(gateway, "ipsec")).reason == "unknown_ca", "not before the restart")
        (await sub1.restart("IPsec")).must_be("done")
        tunnel = await sub1.connect(gateway, "ipsec")
        lab.check(tunnel.verdict == "trusted", "up with sub1", tunnel)

    async with lab.step("It is deleted on the publisher", expect="sub1 keeps it"):
        (await pub.delete(unit, fingerprint)).must_be("done")
        lab.check(fingerprint not in pub.files(unit), "the publisher does not have it any more")
        await lab.holds(lambda: fingerprint in sub1.files(unit), during="61m", text="sub1 keeps its own")
        lab.check(fingerprint in sub1.database(unit), "and the row names sub1")
        lab.check(fingerprint not in pub.database(unit), "but not the publisher")
