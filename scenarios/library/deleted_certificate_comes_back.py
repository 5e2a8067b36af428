"""C-01."""

from ucmlab.scenarios import Lab, scenario

NOTIFICATION = "Cisco Certificate Change Notification"


@scenario(nodes="pub sub1 sub2", release="10.5", tags="replication zombie C-01", replication="legacy")
async def deleted_certificate_comes_back(lab: Lab) -> None:
    """Before 11.0: a CA is deleted on the publisher and is back within half an hour.

    A delete takes away this node's file and its place among the holders; the row lives on through the others, and the
    next comparison puts the file back (B.6.2). The fix is to stop Change Notification on every node, delete on every
    node, and start it again. From 11.0 one delete is enough (X-09).
    """
    unit = "tomcat-trust"
    pub = lab.nodes[0]
    old = await lab.ca("Old Root CA")
    (await pub.upload(unit, old.pem)).must_be("done")
    await lab.converged(within="31m")

    async with lab.step(
        "It is deleted on the publisher", expect="gone there for a while, and back after the comparison"
    ):
        (await pub.delete(unit, old.fingerprint)).must_be("done")
        lab.check(old.fingerprint not in pub.files(unit), "the publisher's file is gone")
        await lab.wait_until(
            lambda: old.fingerprint in pub.files(unit), within="31m", text="the publisher has it again"
        )

    async with lab.step("Change Notification is stopped everywhere, and it is deleted on each node"):
        for node in lab.nodes:
            (await node.stop_service(NOTIFICATION)).must_be("done")
        for node in lab.nodes:
            (await node.delete(unit, old.fingerprint)).must_be("done")
        for node in lab.nodes:
            (await node.start_service(NOTIFICATION)).must_be("done")

    async with lab.step("Two comparisons go by", expect="it stays away"):
        await lab.wait("61m")
        held = [node.name for node in lab.nodes if old.fingerprint in node.files(unit) | node.database(unit)]
        lab.check(not held, "no node has it, in files or database", held)
