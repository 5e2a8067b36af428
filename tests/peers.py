"""A story of servers outside, for both modes."""

from datetime import timedelta

from ucmlab.cluster.errors import Unusable
from ucmlab.scenarios import Lab


async def servers_outside(lab: Lab) -> None:
    """Whom a client trusts, and whom a server outside lets in."""
    pub, sub1 = lab.nodes
    root, other = await lab.ca("Corp Root CA"), await lab.ca("Other Root CA")
    leaf = await root.issue("sip.corp.test")
    for unit in ("CallManager-trust", "tomcat-trust"):
        (await pub.upload(unit, root.pem)).must_be("done")
    await lab.converged(within="31m")
    for service in ("Cisco CallManager", "Cisco Tomcat"):
        (await pub.restart(service)).must_be("done")
    await lab.wait("5m")

    open_to_all = await lab.peer("sip.corp.test", leaf)
    seen = await pub.connect(open_to_all)
    lab.check((seen.verdict, seen.fingerprint) == ("trusted", leaf.fingerprint), "who has the CA trusts it", seen)
    seen = await sub1.connect(open_to_all)
    lab.check(seen.reason == "unknown_ca", "who has loaded nothing new does not", seen)
    named = await lab.peer("ldap.corp.test", leaf)
    lab.check((await pub.connect(named)).verdict == "trusted", "a trunk checks no name")
    seen = await pub.connect(named, "ldap_authentication")
    lab.check(seen.reason == "name_mismatch", "an LDAP client does", seen)
    seen = await pub.connect(open_to_all, "ldap_authentication")
    lab.check(seen.verdict == "trusted", "and finds it by the right one", seen)
    seen = await pub.connect(open_to_all, ec_only=True)
    lab.check(seen.reason == "no_shared_cipher", "who can EC only gets nothing", seen)

    strict = await lab.peer("strict.corp.test", leaf, trusts=[other])
    lab.check((await pub.connect(strict)).reason == "rejected", "a stranger's certificate is not let in")
    seen = await pub.connect(strict, "ldap_authentication", name="sip.corp.test")
    lab.check(seen.reason == "rejected", "nor is nobody's", seen)
    signed = await other.sign((await pub.generate_csr("CallManager")).pem, not_after=lab.now + timedelta(days=1))
    (await pub.upload("CallManager-trust", other.pem)).must_be("done")
    (await pub.upload("CallManager", signed.pem)).must_be("done")
    (await pub.restart("Cisco CallManager")).must_be("done")
    await lab.wait("5m")
    lab.check((await pub.connect(strict)).verdict == "trusted", "one of its own CA's is")
    await lab.wait("2d")
    lab.check((await pub.connect(strict)).reason == "rejected", "until it has expired, by the lab's clock")

    await open_to_all.stop()
    lab.check((await pub.connect(open_to_all)).reason == "unreachable", "a server that is stopped is not there")
    await open_to_all.start()
    lab.check((await pub.connect(open_to_all)).verdict == "trusted", "started again, it is where it was")
    acts = [(each["target"], each["fault"]) for each in lab.events("fault")]
    lab.check(acts == [("sip.corp.test", "stop"), ("sip.corp.test", "start")], "the journal tells both", acts)


async def what_cannot_be_presented(lab: Lab) -> None:
    """A second one of a name, and a certificate without its key."""
    root = await lab.ca("Corp Root CA")
    leaf = await root.issue("sip.corp.test")
    await lab.peer("sip.corp.test", leaf)
    signed = await root.sign((await lab.node("pub").generate_csr("tomcat")).pem)
    for name, given, text in (
        ("sip.corp.test", leaf, "there is a server sip.corp.test already"),
        ("ldap.corp.test", signed, "nobody can present it; `CA.issue` makes one with its key"),
    ):
        try:
            await lab.peer(name, given)
        except Unusable as error:
            lab.check(text in error.text, text, error.text)
        else:
            lab.check(False, f"{text}: it was opened")


async def links_that_end(lab: Lab) -> None:
    """A long-lived link ends with its service, its node and its peer, and stands through everything else."""
    pub, sub1 = lab.nodes
    root = await lab.ca("Corp Root CA")
    ldap = await lab.peer("ldap.corp.test", await root.issue("ldap.corp.test"))
    expired = await lab.peer("old.corp.test", await root.issue("old.corp.test", not_after=lab.now + timedelta(days=1)))
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    await lab.converged(within="31m")
    (await pub.enable_service("Cisco DirSync")).must_be("done")
    (await pub.start_service("Cisco DirSync")).must_be("done")

    def ended() -> list[object]:
        return [each["reason"] for each in lab.events("link_closed")]

    async def connects() -> bool:
        return (await pub.connect(ldap, "ldap")).verdict == "trusted"

    lab.check(pub.links() == (), "none at first")
    lab.check(await connects() and await connects(), "it connects twice")
    lab.check([(link.client, link.to) for link in pub.links()] == [("ldap", ldap.fqdn)] * 2, "two links", pub.links())
    lab.check(sub1.links() == (), "the other node has none")
    await lab.wait("2d")
    seen = await pub.connect(expired, "ldap")
    lab.check(seen.reason == "expired" and len(pub.links()) == 2, "what is refused does not stay", seen)
    await pub.connect(ldap, "ldap_authentication")
    (await pub.restart("Cisco Tomcat")).must_be("done")
    lab.check(len(pub.links()) == 2, "other kinds do not stay, other services are no matter")
    await ldap.stop()
    lab.check((pub.links(), ended()) == ((), ["peer"] * 2), "they end when the peer stops", ended())
    await ldap.start()
    lab.check(await connects(), "it connects again")
    (await pub.restart("Cisco DirSync")).must_be("done")
    lab.check((pub.links(), ended()[2:]) == ((), ["service_stopped"]), "it ends when its service restarts", ended())
    lab.check(await connects(), "and again")
    await pub.kill()
    lab.check(pub.links() == (), "a dead node has no links")
    await pub.start()
    await ldap.stop()
    await ldap.start()
    await lab.converged(within="31m")
    lab.check((pub.links(), len(ended())) == ((), 3), "nor when it is back", ended())
