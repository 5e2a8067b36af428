"""C-52."""

from ucmlab.scenarios import Lab, scenario

CALLMANAGER, TOMCAT = "Cisco CallManager", "Cisco Tomcat"


@scenario(nodes="pub sub1", release="14SU2", tags="certificates handshakes C-52")
async def client_authentication_withdrawn(lab: Lab) -> None:
    """A public CA no longer puts client authentication into what it signs: the node serves, and cannot call.

    The upload is accepted, and everything that only serves goes on: browsers, and calls that come in. On a SIP trunk
    with TLS both ends show a certificate, and one whose extended key usage says server authentication alone is refused
    where its node is the client (C-52). A private CA gives both.
    """
    pub, sub1 = lab.nodes
    root = await lab.ca("Public CA")
    for unit in ("tomcat-trust", "CallManager-trust"):
        (await pub.upload(unit, root.pem)).must_be("done")
    await lab.converged(within="31m")

    async def renewed(unit: str, usages: list[str]) -> None:
        leaf = await root.sign((await pub.generate_csr(unit)).pem, eku=usages)
        (await pub.upload(unit, leaf.pem)).must_be("done")

    async def restarted() -> None:
        (await pub.restart(TOMCAT)).must_be("done")
        for node in lab.nodes:
            (await node.restart(CALLMANAGER)).must_be("done")

    async with lab.step("The publisher has certificates with both usages", expect="calls go both ways"):
        for unit in ("tomcat", "CallManager", "CallManager-ECDSA"):
            await renewed(unit, ["serverAuth", "clientAuth"])
        await restarted()
        for one, other in ((pub, sub1), (sub1, pub)):
            call = await one.connect(other, "sip")
            lab.check(call.verdict == "trusted", f"{one.name} calls {other.name}", call)

    async with lab.step("They are renewed with server authentication alone", expect="the publisher cannot call"):
        for unit in ("tomcat", "CallManager", "CallManager-ECDSA"):
            await renewed(unit, ["serverAuth"])
        await restarted()
        lab.check((await pub.tls(TOMCAT)).verdict == "trusted", "browsers are content")
        lab.check((await sub1.connect(pub, "sip")).verdict == "trusted", "sub1 calls the publisher")
        call = await pub.connect(sub1, "sip")
        lab.check((call.verdict, call.reason) == ("terminated", "rejected"), "the publisher does not get through", call)
        told = [event["reason"] for event in lab.events("handshake", node=sub1)]
        lab.check(told[-1:] == ["eku_client_missing"], "sub1 says why", told[-1:])

    async with lab.step("A private CA signs it with both", expect="calls go both ways again"):
        await renewed("CallManager", ["serverAuth", "clientAuth"])
        await restarted()
        call = await pub.connect(sub1, "sip")
        lab.check(call.verdict == "trusted", "the publisher calls sub1 again", call)
        await lab.wait_until(
            lambda: all("starting" not in node.services.values() for node in lab.nodes),
            within="10m",
            text="what needs those services runs again too",
        )
