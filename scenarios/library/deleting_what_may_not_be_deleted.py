"""C-47."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1", release="14SU2", tags="certificates C-47")
async def deleting_what_may_not_be_deleted(lab: Lab) -> None:
    """sub1's tomcat certificate has expired, and somebody tries to delete it.

    Only trust certificates can be deleted (R-073, R-074); an identity is regenerated, expired or not (R-086). Its copy
    in tomcat-trust is a trust certificate and can go (X-11). Regenerating brings a copy of the new one to every node.
    """
    pub, sub1 = lab.nodes
    unit, identity = "tomcat-trust", sub1.identity("tomcat")
    await lab.inject("clock", "sub1", offset=f"+{6 * 365}d")

    async with lab.step("The expired identity is deleted on sub1", expect="refused, on every node nothing changes"):
        before = [(node.files(unit), node.identity("tomcat")) for node in lab.nodes]
        (await sub1.delete("tomcat", identity)).must_be("refused", "not_deletable")
        lab.check([(node.files(unit), node.identity("tomcat")) for node in lab.nodes] == before, "no node changed")

    async with lab.step("Its copy in tomcat-trust is deleted", expect="that is a trust certificate, gone everywhere"):
        (await pub.delete(unit, identity)).must_be("done")
        await lab.converged(within="31m")
        lab.check(not any(identity in node.files(unit) for node in lab.nodes), "no node has the copy")
        lab.check(sub1.identity("tomcat") == identity, "the identity itself is still there")

    async with lab.step("It is regenerated", expect="a new one, and every node trusts it"):
        await lab.end_fault("clock", "sub1")
        (await sub1.regenerate("tomcat")).must_be("done")
        new = sub1.identity("tomcat")
        lab.check(new != identity, "sub1 has another certificate")
        await lab.converged(within="31m")
        lab.check(all(new in node.files(unit) for node in lab.nodes), "every node has its copy")
