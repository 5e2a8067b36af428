"""A partition, and an operator on either side of it."""

from ucmlab.scenarios import Lab, scenario


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="replication network")
async def partition_with_writes_on_both_sides(lab: Lab) -> None:
    """sub2 is cut off, and certificates are uploaded on both sides: nothing that was acknowledged is lost.

    The bus and the publisher stand on one side. There an upload is done. On the other side the file is written and
    the publisher's database neither takes nor refuses it: no answer in a minute, `indefinite`. After the cut is
    healed sub2 pulls the row that it missed, and its comparison proposes the file that no row names, under the id of
    that upload: both certificates are everywhere, each from one operation (R-022, B.6).
    """
    pub, sub1, sub2 = lab.nodes
    here, there = await lab.ca("Main Site CA"), await lab.ca("Branch Site CA")
    unit = "tomcat-trust"
    await lab.partition("pub sub1", "sub2")

    async with lab.step("A CA is uploaded on the publisher's side", expect="done; sub1 gets it, sub2 does not"):
        (await pub.upload(unit, here.pem)).must_be("done")
        await lab.wait("5m")
        lab.check(here.fingerprint in sub1.files(unit), "sub1 has the file")
        lab.check(here.fingerprint not in sub2.database(unit), "sub2's replica has no row")

    async with lab.step("Another is uploaded on sub2", expect="no answer; the file is there"):
        (await sub2.upload(unit, there.pem)).must_be("indefinite", "publisher_unreachable")
        lab.check(there.fingerprint in sub2.files(unit), "sub2 wrote its own file")
        await lab.holds(
            lambda: there.fingerprint not in pub.database(unit) | sub1.database(unit) | pub.files(unit),
            during="31m",
            text="the other side hears nothing while the cut lasts",
        )

    async with lab.step(
        "The network is healed", expect="rows soon, files within one cycle, both certificates everywhere"
    ):
        await lab.heal()
        await lab.wait_until(
            lambda: all({here.fingerprint, there.fingerprint} <= node.files(unit) for node in lab.nodes),
            within="61m",
            text="every node has both files",
        )
        await lab.converged(within="31m")
