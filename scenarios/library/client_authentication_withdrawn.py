"""C-52."""

from ucmlab.scenarios import CA, Lab, Peer, scenario

CALLMANAGER, TOMCAT = "Cisco CallManager", "Cisco Tomcat"


async def _partner_says(lab: Lab, partner: Peer, reason: str, text: str) -> None:
    for client in ("sip", "web"):
        seen = await lab.node("pub").connect(partner, client)
        lab.check(seen.reason == reason, f"{client}: {text}", seen)


@scenario(nodes="pub sub1", release="14SU2", tags="certificates handshakes C-52")
async def client_authentication_withdrawn(lab: Lab) -> None:
    """A public CA no longer puts client authentication into what it signs: the node serves, and cannot call.

    The upload is accepted, and everything that only serves goes on: browsers, and calls that come in. On a SIP trunk
    with TLS both ends show a certificate, and one whose extended key usage says server authentication alone is refused
    where its node is the client, by other nodes and by partners; so is tomcat's where a server outside asks for a
    certificate, as an Expressway does (C-52). A private CA gives both.
    """
    pub, sub1 = lab.nodes
    public, private = await lab.ca("Public CA"), await lab.ca("Corp Root CA")
    partner = await lab.peer("edge.partner.test", await public.issue("edge.partner.test"), trusts=[public, private])
    for unit in ("tomcat-trust", "CallManager-trust"):
        (await pub.upload(unit, public.pem + private.pem)).must_be("done")
    await lab.converged(within="31m")

    async def renewed(ca: CA, unit: str, usages: list[str]) -> None:
        leaf = await ca.sign((await pub.generate_csr(unit)).pem, eku=usages)
        (await pub.upload(unit, leaf.pem)).must_be("done")

    async def restarted() -> None:
        (await pub.restart(TOMCAT)).must_be("done")
        for node in lab.nodes:
            (await node.restart(CALLMANAGER)).must_be("done")

    async with lab.step("The publisher has certificates with both usages", expect="calls go both ways"):
        for unit in ("tomcat", "CallManager", "CallManager-ECDSA"):
            await renewed(public, unit, ["serverAuth", "clientAuth"])
        await restarted()
        for one, other in ((pub, sub1), (sub1, pub)):
            call = await one.connect(other, "sip")
            lab.check(call.verdict == "trusted", f"{one.name} calls {other.name}", call)
        await _partner_says(lab, partner, "", "a partner lets the publisher in")

    async with lab.step("They are renewed with server authentication alone", expect="the publisher cannot call"):
        for unit in ("tomcat", "CallManager", "CallManager-ECDSA"):
            await renewed(public, unit, ["serverAuth"])
        await restarted()
        lab.check((await pub.tls(TOMCAT)).verdict == "trusted", "browsers are content")
        lab.check((await sub1.connect(pub, "sip")).verdict == "trusted", "sub1 calls the publisher")
        call = await pub.connect(sub1, "sip")
        lab.check((call.verdict, call.reason) == ("terminated", "rejected"), "the publisher does not get through", call)
        told = [event["reason"] for event in lab.events("handshake", node=sub1)]
        lab.check(told[-1:] == ["eku_client_missing"], "sub1 says why", told[-1:])
        await _partner_says(lab, partner, "rejected", "a partner does not let the publisher in")

    async with lab.step("A private CA signs them with both", expect="calls go both ways again"):
        for unit in ("tomcat", "CallManager"):
            await renewed(private, unit, ["serverAuth", "clientAuth"])
        await restarted()
        call = await pub.connect(sub1, "sip")
        lab.check(call.verdict == "trusted", "the publisher calls sub1 again", call)
        await _partner_says(lab, partner, "", "a partner lets the publisher in again")
        await lab.services_up(within="10m")
