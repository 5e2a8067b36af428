"""A story of one service that is restarted on all nodes, told in both modes (C-19, R-010)."""

from ucmlab.scenarios import Lab

TFTP = "Cisco Tftp"


async def one_node_after_the_other(lab: Lab) -> None:
    """pub and sub1 run TFTP; on sub1 its next start fails once."""
    pub, sub1 = lab.nodes
    (await pub.regenerate("tomcat")).must_be("done")
    (await sub1.regenerate("tomcat")).must_be("done")
    await lab.converged(within="31m")
    old = {node.name: node.loaded(TFTP)["tomcat"] for node in lab.nodes}

    await lab.inject("service-start-fails", "pub", count=1, service=TFTP)
    failed = await lab.restart(TFTP)
    failed.must_be("refused", "service_failed")
    lab.check(failed.nodes == {"pub": "refused", "sub1": "pending"}, "sub1's turn did not come", failed.nodes)
    lab.check(sub1.loaded(TFTP)["tomcat"] == old["sub1"], "it runs on with what it had")

    done = await lab.restart(TFTP)
    done.must_be("done")
    lab.check(done.nodes == {"pub": "done", "sub1": "done"}, "both had their turn", done.nodes)
    for node in lab.nodes:
        lab.check(node.loaded(TFTP)["tomcat"] == node.identity("tomcat"), f"{node.name} has loaded the new one")
