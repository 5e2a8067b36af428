"""Restarts that are pending in a cluster that works as support recommends (`tac`), in both modes."""

from ucmlab.scenarios import Lab

TOMCAT, DRF = "Cisco Tomcat", "Cisco DRF Local"


async def what_a_restart_would_change(lab: Lab) -> None:
    """A change that was undone, and one on another node while this one was off (R-118, B.18)."""
    pub, sub1, sub2 = lab.nodes
    root = await lab.ca("Corp Root CA")
    async with lab.step("A CA is uploaded, and deleted again"):
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        await lab.converged(within="31m")
        waiting = [node.pending().get(TOMCAT) for node in lab.nodes]
        lab.check(waiting == [["tomcat-trust"]] * 3, "Tomcat is to be restarted for it on each node", waiting)
        (await sub1.delete("tomcat-trust", root.fingerprint)).must_be("done")
        await lab.converged(within="31m")
        waiting = [node.pending().get(TOMCAT) for node in lab.nodes]
        lab.check(waiting == [None] * 3, "and is no longer", waiting)
    async with lab.step("sub2's ipsec is regenerated while sub1 is off"):
        await sub1.stop()
        (await sub2.regenerate("ipsec")).must_be("done")
        await lab.wait("5m")
        await sub1.start()
        await lab.converged(within="31m")
        lab.check("ipsec" in pub.pending().get(DRF, []), "who was there is to restart DRF", pub.pending())
        lab.check(sub1.pending() == {}, "who started afterwards is not", sub1.pending())
    async with lab.step("It is regenerated once more, and sub1 is told"):
        (await sub2.regenerate("ipsec")).must_be("done")
        await lab.converged(within="31m")
        lab.check(sub1.pending() == {DRF: ["ipsec"]}, "now it is as well", sub1.pending())
        (await sub1.restart(DRF)).must_be("done")
        lab.check(sub1.pending() == {}, "until it was", sub1.pending())
