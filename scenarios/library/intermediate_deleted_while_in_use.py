"""C-48, without its peers."""

from ucmlab.scenarios import Lab, scenario

UNIT = "tomcat-trust"


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="chains C-48")
async def intermediate_deleted_while_in_use(lab: Lab) -> None:
    """An intermediate CA is deleted while certificates below it are in use: their chains break on every node.

    A certificate can be deleted that others depend on; the operator is warned (R-075, R-076), and that is all. A delete
    from tomcat-trust reaches all servers (R-080), so chains break on each as the delete arrives there, and each tells
    it as `chain_broken`: the publisher of its own tomcat certificate, and all of a certificate of somebody outside.
    There is no undo (R-078): the intermediate is uploaded again.

    Left to a later issue: peers that rely on the cluster's store and reject the publisher now.
    """
    pub, sub1, _ = lab.nodes
    root = await lab.ca("Corp Root CA")
    issuing = await lab.ca("Corp Issuing CA", parent=root)
    outside = await issuing.issue("sbc.partner.test")
    other = await root.issue("mail.partner.test")

    async with lab.step("Chain and leaves are uploaded, one for the publisher itself", expect="all chains are whole"):
        (await pub.upload(UNIT, root.pem + issuing.pem)).must_be("done")
        (await pub.upload(UNIT, outside.pem)).must_be("done")
        (await pub.upload(UNIT, other.pem)).must_be("done")
        tomcat = await issuing.sign((await pub.generate_csr("tomcat")).pem)
        (await pub.upload("tomcat", tomcat.pem)).must_be("done")
        await lab.converged(within="31m")
        lab.check(not lab.events("chain_broken"), "nobody misses anything")

    async with lab.step("The intermediate is deleted on sub1", expect="gone everywhere, and chains break everywhere"):
        (await sub1.delete(UNIT, issuing.fingerprint)).must_be("done")
        await lab.converged(within="31m")
        for node in lab.nodes:
            files = node.files(UNIT)
            lab.check(issuing.fingerprint not in files, f"{node.name} does not have it any more")
            lab.check({outside.fingerprint, other.fingerprint} <= files, f"{node.name} still has what is below it")
            own = [("tomcat", tomcat.fingerprint)] if node.name == pub.name else []
            broken = [(each["unit"], each["fingerprint"]) for each in lab.events("chain_broken", node=node)]
            lab.check(
                broken == [(UNIT, outside.fingerprint), *own], f"{node.name} tells whose chain broke", seen=broken
            )

    async with lab.step("An hour passes", expect="there is no undo"):
        await lab.holds(
            lambda: not any(issuing.fingerprint in node.files(UNIT) | node.database(UNIT) for node in lab.nodes),
            during="61m",
            text="two comparisons later it has not come back",
        )

    async with lab.step("The intermediate is uploaded again, and an unused CA is deleted", expect="whole again"):
        unused = await lab.ca("Unused CA")
        (await pub.upload(UNIT, issuing.pem + unused.pem)).must_be("done")
        await lab.converged(within="31m")
        lab.check(all(issuing.fingerprint in node.files(UNIT) for node in lab.nodes), "every node has it again")
        (await pub.delete(UNIT, unused.fingerprint)).must_be("done")
        await lab.converged(within="31m")
        told = [each["node"] for each in lab.events("chain_broken")]
        lab.check(len(told) == len(lab.nodes) + 1, "no further chain broke", seen=told)
