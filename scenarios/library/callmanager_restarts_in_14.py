"""C-20, the older list."""

from ucmlab.scenarios import Lab, Node, scenario

CALLMANAGER, CTI, HAPROXY = "Cisco CallManager", "Cisco CTIManager", "Cisco HAProxy"


def _waiting(node: Node) -> list[str]:
    return sorted(name for name, units in node.pending().items() if "CallManager" in units)


@scenario(nodes="pub sub1", release="14", profile="seed", tags="certificates services C-20")
async def callmanager_restarts_in_14(lab: Lab) -> None:
    """Release 14: CallManager is regenerated, and only HAProxy is restarted; trunks and CTI go on with the old one.

    After a new CallManager certificate release 14 has Cisco CallManager restarted, and services such as CTIManager and
    HAProxy (R-106). Who goes by the list of 14SU1, which names HAProxy alone (R-107), leaves the first two with what
    they loaded: a trunk's other end, which holds the new certificate, does not let them in (C-20). The story
    `callmanager_restarts_in_14su1` does the same where that list holds.
    """
    pub, sub1 = lab.nodes
    old = sub1.identity("CallManager")

    async with lab.step("CallManager is regenerated on sub1", expect="three services wait for a restart"):
        (await sub1.regenerate("CallManager")).must_be("done")
        await lab.converged(within="31m")
        new = sub1.identity("CallManager")
        lab.check(_waiting(sub1) == [CTI, CALLMANAGER, HAPROXY], "the list of 14 is pending", _waiting(sub1))
        lab.check(new in pub.files("CallManager-trust"), "the publisher, a trunk's other end, has the new one")
        lab.check(old not in pub.files("CallManager-trust"), "and the old one no more")
        (await pub.restart(CALLMANAGER)).must_be("done")

    async with lab.step("HAProxy alone is restarted", expect="trunks and CTI present the old certificate"):
        (await sub1.restart(HAPROXY)).must_be("done")
        loaded = {name: sub1.loaded(name)["CallManager"] for name in (HAPROXY, CALLMANAGER, CTI)}
        lab.check(loaded == {HAPROXY: new, CALLMANAGER: old, CTI: old}, "HAProxy has the new one, nobody else", loaded)
        lab.check((await sub1.tls(CTI)).fingerprint == old, "CTIManager presents the old one")
        trunk = await sub1.connect(pub, "sip")
        lab.check(trunk.reason == "rejected", "the trunk to the publisher fails", trunk)
        lab.check(_waiting(sub1) == [CTI, CALLMANAGER], "two are still pending", _waiting(sub1))

    async with lab.step("The others are restarted as well", expect="all present the new certificate"):
        for name in (CALLMANAGER, CTI):
            (await sub1.restart(name)).must_be("done")
        lab.check((await sub1.tls(CTI)).fingerprint == new, "CTIManager presents the new one")
        trunk = await sub1.connect(pub, "sip")
        lab.check(trunk.verdict == "trusted", "the trunk to the publisher is up", trunk)
        lab.check(not _waiting(sub1), "nothing of it is pending", _waiting(sub1))
        await lab.services_up(within="10m")
