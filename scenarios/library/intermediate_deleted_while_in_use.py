"""C-48."""

from ucmlab.scenarios import Lab, Peer, scenario

UNIT, TOMCAT, LDAP = "tomcat-trust", "Cisco Tomcat", "ldap_authentication"


async def _restarted(lab: Lab) -> None:
    for node in lab.nodes:
        (await node.restart(TOMCAT)).must_be("done")


async def _all_see(lab: Lab, ldap: Peer, reason: str) -> None:
    """Why each of those who rely on the store rejects; empty, they trust."""
    pub, sub1, _ = lab.nodes
    how = "rejects" if reason else "trusts"
    for node in lab.nodes:
        seen = await node.connect(ldap, LDAP)
        lab.check(seen.reason == reason, f"{node.name} {how} a directory that sends no issuers", seen)
    page = await pub.tls(TOMCAT)
    lab.check(page.reason == reason, f"a browser that has the root {how} the publisher", page)
    page = await pub.tls(TOMCAT, peer=sub1)
    lab.check(page.reason == reason, f"sub1, which opens a page of it, {how} it", page)


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="chains tls C-48")
async def intermediate_deleted_while_in_use(lab: Lab) -> None:
    """An intermediate CA is deleted while certificates below it are in use: their chains break on every node.

    A certificate can be deleted that others depend on; the operator is warned (R-075, R-076), and that is all. A delete
    from tomcat-trust reaches all servers (R-080), so chains break on each as the delete arrives there, and each tells
    it as `chain_broken`: the publisher of its own tomcat certificate, and all of a certificate of somebody outside.

    Whoever relies on the cluster's store feels it at the next start of Cisco Tomcat. A directory that sends its own
    certificate and no issuers is rejected by every node; and the publisher has no issuer to send with its own, so
    those who have the root alone reject the publisher. There is no undo (R-078): the intermediate is uploaded again.
    """
    pub, sub1, _ = lab.nodes
    root = await lab.ca("Corp Root CA")
    issuing = await lab.ca("Corp Issuing CA", parent=root)
    outside = await issuing.issue("sbc.partner.test")
    other = await root.issue("mail.partner.test")
    ldap = await lab.peer("ldap.partner.test", (await issuing.issue("ldap.partner.test")).alone())

    async with lab.step("Chain and leaves are uploaded, one for the publisher itself", expect="all chains are whole"):
        for file in (root.pem + issuing.pem, outside.pem, other.pem):
            (await pub.upload(UNIT, file)).must_be("done")
        tomcat = await issuing.sign((await pub.generate_csr("tomcat")).pem)
        (await pub.upload("tomcat", tomcat.pem)).must_be("done")
        await lab.converged(within="31m")
        below = {node.name: [(UNIT, outside.fingerprint)] for node in lab.nodes}
        below[pub.name].append(("tomcat", tomcat.fingerprint))
        lab.check(not lab.events("chain_broken"), "nobody misses anything")
        await _restarted(lab)
        await _all_see(lab, ldap, "")

    async with lab.step("Somebody is about to delete the intermediate", expect="whatever depends on it is named"):
        for node in lab.nodes:
            named = node.dependants(UNIT, issuing.fingerprint)
            lab.check(named == set(below[node.name]), f"{node.name} names what it has", named)

    async with lab.step("It is deleted on sub1 all the same", expect="gone everywhere, and chains break everywhere"):
        (await sub1.delete(UNIT, issuing.fingerprint)).must_be("done")
        await lab.converged(within="31m")
        for node in lab.nodes:
            kept = node.files(UNIT) & {issuing.fingerprint, outside.fingerprint, other.fingerprint}
            lab.check(kept == {outside.fingerprint, other.fingerprint}, f"{node.name} has what is below it, and not it")
            broken = [(each["unit"], each["fingerprint"]) for each in lab.events("chain_broken", node=node)]
            lab.check(broken == below[node.name], f"{node.name} tells whose chain broke", broken)
        await _all_see(lab, ldap, "")

    async with lab.step("Tomcat is restarted everywhere", expect="now it is felt: nobody finds the issuer"):
        await _restarted(lab)
        await _all_see(lab, ldap, "unknown_ca")

    async with lab.step("An hour passes", expect="there is no undo"):
        await lab.holds(
            lambda: not any(issuing.fingerprint in node.files(UNIT) | node.database(UNIT) for node in lab.nodes),
            during="61m",
            text="two comparisons later it has not come back",
        )

    async with lab.step("The intermediate is uploaded again, and Tomcat restarted", expect="whole again"):
        (await pub.upload(UNIT, issuing.pem)).must_be("done")
        await lab.converged(within="31m")
        lab.check(all(issuing.fingerprint in node.files(UNIT) for node in lab.nodes), "every node has it again")
        await _all_see(lab, ldap, "unknown_ca")
        await _restarted(lab)
        await _all_see(lab, ldap, "")

    async with lab.step("A CA on which nothing depends is deleted", expect="nothing is named, and no chain breaks"):
        unused = await lab.ca("Unused CA")
        (await pub.upload(UNIT, unused.pem)).must_be("done")
        await lab.converged(within="31m")
        lab.check(not pub.dependants(UNIT, unused.fingerprint), "nothing depends on it")
        (await pub.delete(UNIT, unused.fingerprint)).must_be("done")
        await lab.converged(within="31m")
        lab.check(len(lab.events("chain_broken")) == sum(map(len, below.values())), "no further chain broke")
        await lab.services_up(within="10m")
