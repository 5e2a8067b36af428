"""C-08."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication publisher C-08")
async def publisher_down(lab: Lab) -> None:
    """The publisher is off: its own work is refused, an ordinary upload on a subscriber succeeds by half.

    Phone-Edge-trust is the publisher's alone (R-072). Any other upload writes this node's file and then its row in
    the publisher's database, which is not there: the file system part succeeds, the database part fails, no other
    node hears of it (B.6.5). When the publisher is back, the comparison every 30 minutes finds a file without a row
    and proposes it under the operation's own id (C-08).

    There is no CTL here, whose update is refused on a subscriber as well.
    """
    pub, sub1, sub2 = lab.nodes
    edge, root = await lab.ca("Edge Root CA"), await lab.ca("Corp Root CA")
    await pub.stop()

    async with lab.step(
        "A Phone-Edge-trust upload and three regenerations on sub1", expect="refused, and nothing changes"
    ):
        before = [(node.files("Phone-Edge-trust"), node.database("Phone-Edge-trust")) for node in lab.nodes]
        (await sub1.upload("Phone-Edge-trust", edge.pem)).must_be("refused", "publisher_only")
        for unit in ("CAPF", "ITLRecovery"):
            (await sub1.regenerate(unit)).must_be("refused", "publisher_only")
        (await sub1.regenerate_authz("signing")).must_be("refused", "publisher_only")
        after = [(node.files("Phone-Edge-trust"), node.database("Phone-Edge-trust")) for node in lab.nodes]
        lab.check(before == after, "no node's files or rows changed")

    async with lab.step("A tomcat-trust upload on sub1", expect="partial: the file is there, no row is"):
        (await sub1.upload("tomcat-trust", root.pem)).must_be("partial", "publisher_unreachable")
        lab.check(root.fingerprint in sub1.files("tomcat-trust"), "sub1 has its file")
        lab.check(root.fingerprint not in sub1.database("tomcat-trust"), "sub1's replica has no row")
        await lab.holds(
            lambda: root.fingerprint not in sub2.files("tomcat-trust") | sub2.database("tomcat-trust"),
            during="35m",
            text="sub2 hears nothing of it, whatever time passes",
        )

    async with lab.step(
        "The publisher comes back", expect="the row follows at sub1's next comparison, and all nodes get it"
    ):
        await pub.start()
        await lab.wait_until(
            lambda: all(root.fingerprint in node.files("tomcat-trust") for node in lab.nodes),
            within="31m",
            text="every node has the file within one cycle",
        )
        await lab.converged(within="31m")
