"""C-15."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication ipsec C-15")
async def ipsec_trust_is_local(lab: Lab) -> None:
    """ipsec-trust is each node's own: neither an upload nor a delete leaves the node.

    The CA of a secure MGCP gateway is uploaded on the publisher, and the gateway is homed on sub1. Only tomcat-trust,
    CallManager-trust and Phone-SAST-trust are replicated (R-022, R-023), and the cluster-wide delete does not name
    ipsec-trust (R-081). The CA must be uploaded on each node (C-15).

    Left to a later issue: IPsec itself, up with the publisher and down with sub1, and `utils ipsec restart` (R-104).
    """
    pub, sub1, sub2 = lab.nodes
    root = await lab.ca("MGCP Gateway CA")
    fingerprint, unit = root.fingerprint, "ipsec-trust"

    async with lab.step("The gateway's CA is uploaded on the publisher", expect="the publisher alone has it"):
        (await pub.upload(unit, root.pem)).must_be("done")
        lab.check(fingerprint in pub.files(unit), "the publisher has it")
        await lab.holds(
            lambda: fingerprint not in sub1.files(unit) | sub2.files(unit),
            during="90m",
            text="ninety minutes later no subscriber has it",
        )

    async with lab.step("It is uploaded on sub1 as well, and deleted on the publisher", expect="sub1 keeps it"):
        (await sub1.upload(unit, root.pem)).must_be("done")
        (await pub.delete(unit, fingerprint)).must_be("done")
        lab.check(fingerprint not in pub.files(unit), "the publisher does not have it any more")
        await lab.holds(lambda: fingerprint in sub1.files(unit), during="61m", text="sub1 keeps its own")
        lab.check(fingerprint in sub1.database(unit), "and the row names sub1")
        lab.check(fingerprint not in pub.database(unit), "but not the publisher")
