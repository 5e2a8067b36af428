"""R-155 and R-157."""

from asyncio import TaskGroup
from datetime import timedelta

from ucmlab.scenarios import Lab, scenario

TOMCAT = "Cisco Tomcat"
STANDING_ON_IT = {"Cisco AXL Web Service", "Cisco UXL Web Service"}
IDENTITIES = ("tomcat", "tomcat-ECDSA")


def _loaded(lab: Lab) -> dict[tuple[str, str], dict[str, str]]:
    """What every service of every node holds."""
    return {(node.name, name): dict(node.loaded(name)) for node in lab.nodes for name in node.services}


@scenario(nodes="pub sub1 sub2", release="14SU2", tags="services certificates")
async def restart_takes_a_while(lab: Lab) -> None:
    """Cisco Tomcat is restarted on sub1: nobody answers there for minutes, and nothing changes anywhere else.

    Control Center restarts one service of one server (R-155), and warns that it will take a while (R-157): the pages of
    that node cannot be reached meanwhile. Its Cisco Tomcat, and the web services that stand on it, then hold the new
    certificates; other services there, and the same service of other nodes, go on with what they loaded, and their
    restart stays pending (R-150).
    """
    pub, sub1, sub2 = lab.nodes

    async with lab.step("Both tomcat identities are renewed on the subscribers", expect="Tomcat has to be restarted"):
        old = {node.name: node.identity("tomcat") for node in lab.nodes}
        for node in (sub1, sub2):
            for unit in IDENTITIES:
                (await node.regenerate(unit)).must_be("done")
        await lab.converged(within="31m")
        for node in (sub1, sub2):
            waiting = node.pending().get(TOMCAT, [])
            lab.check(set(IDENTITIES) <= set(waiting), f"a restart is pending on {node.name}, for both", waiting)
        before = _loaded(lab)

    async with lab.step("Tomcat is being restarted on sub1", expect="nobody answers there; sub2 serves what it had"):
        began = lab.now
        async with TaskGroup() as tasks:
            restart = tasks.create_task(sub1.restart(TOMCAT))
            await lab.wait("5s")
            state = sub1.services[TOMCAT]
            lab.check(state in ("stopping", "starting"), "it is neither up nor at rest", state)
            page = await pub.connect(sub1, "web")
            lab.check(page.reason == "unreachable", "no page of sub1 can be opened", page)
            page = await sub2.tls(TOMCAT)
            lab.check(page.fingerprint == old["sub2"], "pages of sub2 can, with its old certificate", page)
        restart.result().must_be("done")
        took = lab.now - began
        lab.check(took > timedelta(minutes=1), "it took more than a minute", took)

    async with lab.step("It is up again", expect="new there, old everywhere else"):
        await lab.services_up(within="10m")
        after = _loaded(lab)
        changed = {place for place, held in before.items() if held != after[place]}
        expected = {("sub1", name) for name in (TOMCAT, *STANDING_ON_IT)}
        lab.check(changed == expected, "these services of sub1 hold something new, and no others", changed)
        for node, fingerprint in ((sub1, sub1.identity("tomcat")), (sub2, old["sub2"]), (pub, old["pub"])):
            page = await node.tls(TOMCAT)
            lab.check(page.fingerprint == fingerprint, f"{node.name} presents what it should", page)
        lab.check(TOMCAT not in sub1.pending(), "nothing is pending for it on sub1", dict(sub1.pending()))
        waiting = sub2.pending().get(TOMCAT, [])
        lab.check(set(IDENTITIES) <= set(waiting), "on sub2 it is, for both", waiting)
