"""C-20, the newer list."""

from ucmlab.scenarios import Lab, Node, scenario

CALLMANAGER, CTI, HAPROXY = "Cisco CallManager", "Cisco CTIManager", "Cisco HAProxy"


def _waiting(node: Node, unit: str) -> list[str]:
    return sorted(name for name, units in node.pending().items() if unit in units)


@scenario(nodes="pub sub1", release="14SU1", profile="seed", tags="certificates services C-20")
async def callmanager_restarts_in_14su1(lab: Lab) -> None:
    """Release 14SU1: CallManager is regenerated and HAProxy restarted, and that is all.

    From 14SU1 the guide names HAProxy alone (R-107); Cisco CallManager and CTIManager take the new certificate up by
    themselves (X-07). After a new CallManager-ECDSA Cisco CallManager has to be restarted as well (R-108). In 14 the
    same restart is too little: see `callmanager_restarts_in_14` (C-20).
    """
    pub, sub1 = lab.nodes
    old = sub1.identity("CallManager")

    async with lab.step("CallManager is regenerated on sub1", expect="HAProxy alone waits for a restart"):
        (await sub1.regenerate("CallManager")).must_be("done")
        await lab.converged(within="31m")
        new = sub1.identity("CallManager")
        lab.check(_waiting(sub1, "CallManager") == [HAPROXY], "the list of 14SU1 is pending", dict(sub1.pending()))
        loaded = {name: sub1.loaded(name)["CallManager"] for name in (HAPROXY, CALLMANAGER, CTI)}
        lab.check(loaded == {HAPROXY: old, CALLMANAGER: new, CTI: new}, "the others have it already", loaded)
        lab.check((await sub1.tls(CTI)).fingerprint == new, "CTIManager presents it without a restart")
        (await pub.restart(CALLMANAGER)).must_be("done")

    async with lab.step("HAProxy is restarted", expect="nothing is pending, and trunks are up"):
        (await sub1.restart(HAPROXY)).must_be("done")
        lab.check(sub1.loaded(HAPROXY)["CallManager"] == new, "HAProxy has the new one")
        lab.check(not _waiting(sub1, "CallManager"), "nothing of it is pending", dict(sub1.pending()))
        trunk = await sub1.connect(pub, "sip")
        lab.check(trunk.verdict == "trusted", "the trunk to the publisher is up", trunk)

    async with lab.step("CallManager-ECDSA is regenerated", expect="Cisco CallManager and HAProxy wait"):
        before = sub1.identity("CallManager-ECDSA")
        (await sub1.regenerate("CallManager-ECDSA")).must_be("done")
        waiting = _waiting(sub1, "CallManager-ECDSA")
        lab.check(waiting == [CALLMANAGER, HAPROXY], "both are pending", waiting)
        for name in (CALLMANAGER, HAPROXY):
            lab.check((await sub1.tls(name, ec_only=True)).fingerprint == before, f"{name} presents the old one")
            (await sub1.restart(name)).must_be("done")
            seen = await sub1.tls(name, ec_only=True)
            lab.check(seen.fingerprint == sub1.identity("CallManager-ECDSA"), f"{name} presents the new one", seen)
        await lab.services_up(within="10m")
