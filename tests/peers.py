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
