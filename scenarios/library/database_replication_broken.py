"""C-06."""

from ucmlab.scenarios import Lab, scenario

CERTCN = "Cisco Certificate Change Notification"


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication C-06")
async def database_replication_broken(lab: Lab) -> None:
    """Database replication to sub2 is broken for four hours: nothing that is done to certificates there helps.

    The network is whole and every service runs; only the rows do not arrive. Change Notification compares files with
    the node's own replica, so restarting it changes nothing. Repairing the replication does: the rows are pulled, and
    the files follow at the next comparison (C-06, B.6).

    Left to a later issue: regenerating Tomcat on the publisher (here a second upload stands in its place) and the
    page of the publisher that sub2 then cannot open (R-194).
    """
    pub, sub1, sub2 = lab.nodes
    first, second = await lab.ca("Corp Root CA"), await lab.ca("Corp Root CA G2")
    both, unit = {first.fingerprint, second.fingerprint}, "tomcat-trust"
    await lab.break_replication(sub2)

    async with lab.step("Two CAs are uploaded on the publisher", expect="sub1 gets both, sub2 neither row nor file"):
        (await pub.upload(unit, first.pem)).must_be("done")
        (await pub.upload(unit, second.pem)).must_be("done")
        await lab.wait("5m")
        lab.check(both <= sub1.files(unit), "sub1 has both files")
        await lab.holds(
            lambda: not both & (sub2.database(unit) | sub2.files(unit)),
            during="4h",
            text="sub2 has neither row nor file for four hours",
        )

    async with lab.step("Change Notification is restarted on sub2", expect="no help: its replica has no row"):
        (await sub2.restart(CERTCN)).must_be("done")
        await lab.wait("31m")
        lab.check(not both & sub2.files(unit), "a cycle later sub2 still has no file")

    async with lab.step("The replication is repaired", expect="rows at once, files within one cycle"):
        await lab.repair_replication(sub2)
        await lab.wait_until(
            lambda: both <= sub2.database(unit), within="5m", text="sub2 has the rows within five minutes"
        )
        await lab.wait_until(lambda: both <= sub2.files(unit), within="31m", text="sub2 has the files within one cycle")
        await lab.converged(within="31m")
