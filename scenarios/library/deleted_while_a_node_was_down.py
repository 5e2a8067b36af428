"""The zombie."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication zombie", replication="faithful")
async def deleted_while_a_node_was_down(lab: Lab) -> None:
    """A CA is deleted while sub2 is off; sub2 brings it back to the whole cluster.

    From 11.0 a delete reaches all nodes (R-080, X-09), all that are up. sub2 keeps its file. When it boots, the
    delete arrives by replication and gives no notice; the comparison then finds a file without a row, and the file
    system wins over the database: the row is put in again, and spreads (B.6.3, CSCto86463). Deleted again with every
    node up, it stays away: that is the fix. `--replication modern` shows a cluster that remembers deletions, and this
    story failing there.
    """
    pub, sub1, sub2 = lab.nodes
    root = await lab.ca("Old Root CA")
    fingerprint, unit = root.fingerprint, "tomcat-trust"
    (await pub.upload(unit, root.pem)).must_be("done")
    await lab.converged(within="31m")

    async with lab.step("sub2 is off, and the CA is deleted on the publisher", expect="gone on pub and sub1"):
        await sub2.stop()
        (await pub.delete(unit, fingerprint)).must_be("done")
        await lab.wait("2m")
        lab.check(fingerprint not in pub.files(unit) | sub1.files(unit), "pub and sub1 do not have it any more")
        lab.check(fingerprint in sub2.files(unit), "sub2's disk still has it")

    async with lab.step("sub2 boots", expect="the certificate is back, on every node"):
        await sub2.start()
        await lab.wait_until(
            lambda: all(fingerprint in node.files(unit) for node in lab.nodes),
            within="31m",
            text="the deleted certificate is on every node again",
        )
        await lab.converged(within="31m")

    async with lab.step("It is deleted again, with every node up", expect="now it stays away"):
        (await pub.delete(unit, fingerprint)).must_be("done")
        await lab.converged(within="31m")
        await lab.holds(
            lambda: not any(fingerprint in node.files(unit) | node.database(unit) for node in lab.nodes),
            during="61m",
            text="two comparisons later it has not come back",
        )
