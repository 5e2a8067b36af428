"""TLS connections in the simulation: what is presented, who is trusted, who is let in (A.1, A.2, R-166, B.14, B.20)."""

from datetime import timedelta

import pytest

from tests.simulation.stories import told
from ucmlab.cluster.topology import Settings
from ucmlab.scenarios import Lab

THREE = Settings(nodes="pub,sub1,sub2")
TOMCAT = "Cisco Tomcat"


@pytest.mark.rule("R-008", "R-007")
def test_by_default_tomcat_presents_the_rsa_certificate() -> None:
    async def story(lab: Lab) -> None:
        pub = lab.node("pub")
        seen = await pub.tls(8443)
        lab.check((seen.fingerprint, seen.key) == (pub.identity("tomcat"), "rsa-2048"), "RSA", seen)
        lab.check((await pub.tls(8443, ec_only=True)).reason == "no_shared_cipher", "who can EC only gets nothing")
        last = lab.events("handshake", node="pub")[-1]
        lab.check(last["reason"] == "handshake_failed", "the server tells it too, as in a real lab", last)

    told(story, THREE)


@pytest.mark.rule("R-004", "R-002")
def test_a_self_signed_certificate_is_trusted_by_who_has_it_and_by_nobody_else() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.node("pub"), lab.node("sub1")
        outside = await pub.tls(TOMCAT)
        lab.check((outside.verdict, outside.reason) == ("terminated", "unknown_ca"), "nobody outside knows it", outside)
        inside = await pub.tls(TOMCAT, peer=sub1)
        lab.check(inside.verdict == "trusted", "sub1 has it in tomcat-trust", inside)
        (await sub1.delete("tomcat-trust", pub.identity("tomcat"))).must_be("done")
        lab.check((await pub.tls(TOMCAT, peer=sub1)).verdict == "trusted", "sub1's Tomcat goes on with what it loaded")
        await sub1.restart(TOMCAT)
        after = await pub.tls(TOMCAT, peer=sub1)
        lab.check((after.verdict, after.reason) == ("terminated", "unknown_ca"), "after its restart it does not", after)
        both = [event for event in lab.events("handshake") if event["operation_id"]][-1]
        lab.check(
            both["peer"] == pub.identity("tomcat") and bool(both["presented"]), "both ends are in the event", both
        )

    told(story, THREE)


@pytest.mark.rule("R-070")
def test_by_address_the_name_does_not_match() -> None:
    async def story(lab: Lab) -> None:
        pub = lab.node("pub")
        root = await lab.ca("Corp Root CA")
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        leaf = await root.sign((await pub.generate_csr("tomcat")).pem)
        (await pub.upload("tomcat", leaf.pem)).must_be("done")
        await pub.restart(TOMCAT)
        lab.check((await pub.tls(TOMCAT)).verdict == "trusted", "by FQDN")
        lab.check((await pub.tls(TOMCAT, name="127.0.0.1")).reason == "name_mismatch", "by address")

    told(story, THREE)


@pytest.mark.rule("C-52")
def test_without_client_authentication_a_certificate_serves_and_does_not_call() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.node("pub"), lab.node("sub1")
        root = await lab.ca("Public CA")
        (await pub.upload("CallManager-trust", root.pem)).must_be("done")
        leaf = await root.sign((await pub.generate_csr("CallManager")).pem, eku=["serverAuth"])
        (await pub.upload("CallManager", leaf.pem)).must_be("done")
        for node in (pub, sub1):
            await node.restart("Cisco CallManager")
            await node.restart("Cisco HAProxy")
        lab.check((await sub1.connect(pub)).verdict == "trusted", "as a server it is accepted")
        outcome = await pub.connect(sub1)
        lab.check(outcome.reason == "rejected", "as a client it is not", outcome)
        told = [event["reason"] for event in lab.events("handshake", node="sub1")]
        lab.check(told[-1] == "eku_client_missing", "and sub1 says why", told)

    told(story, THREE)


@pytest.mark.rule("R-104", "C-15")
def test_ipsec_is_up_between_nodes_that_trust_each_other_after_its_restart() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.node("pub"), lab.node("sub1")
        lab.check((await sub1.connect(pub, "ipsec")).reason in ("unknown_ca", "rejected"), "not at first")
        for one, other in ((pub, sub1), (sub1, pub)):
            pem = await other.download("ipsec", other.identity("ipsec"))
            await one.upload("ipsec-trust", pem)
            await one.restart("IPsec")
        lab.check((await sub1.connect(pub, "ipsec")).verdict == "trusted", "then it is")

    told(story, THREE)


def test_who_cannot_be_reached_is_given_up() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.node("pub"), lab.node("sub1")
        before = lab.now
        await lab.isolate(sub1)
        lab.check((await pub.connect(sub1)).reason == "unreachable", "cut off")
        lab.check(lab.now - before == timedelta(seconds=30), "as in a real lab it was waited for", lab.now)
        await lab.heal()
        await sub1.pause()
        lab.check((await pub.connect(sub1)).reason == "unreachable", "frozen")
        lab.check(lab.now - before == timedelta(seconds=60), "likewise", lab.now)
        await sub1.resume()
        await sub1.stop_service("Cisco CallManager")
        lab.check((await pub.connect(sub1)).reason == "unreachable", "not started")
        lab.check((await sub1.connect(pub)).reason == "service_stopped", "and its own end needs it as well")

    told(story, THREE)


@pytest.mark.rule("R-009", "R-010", "C-21")
def test_with_ec_ciphers_a_node_offers_ec_once_its_tomcat_was_restarted() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1, sub2 = lab.nodes
        await lab.set_parameter("HTTPS Ciphers", "All Supported EC and RSA Ciphers")
        lab.check(
            (await sub1.tls(TOMCAT, ec_only=True)).reason == "no_shared_cipher", "the parameter alone does nothing"
        )
        waiting = [node.pending().get(TOMCAT) for node in lab.nodes]
        lab.check(waiting == [["HTTPS Ciphers"]] * 3, "a restart is pending", waiting)
        for node in (pub, sub1):
            await node.restart(TOMCAT)
        keys = {node.name: (await node.tls(TOMCAT, ec_only=True)).key for node in (pub, sub1, sub2)}
        lab.check(keys == {"pub": "ec-384", "sub1": "ec-384", "sub2": ""}, "who was restarted offers EC", keys)
        lab.check((await sub2.tls(TOMCAT)).key == "rsa-2048", "who was not has RSA")

    told(story, THREE)


@pytest.mark.rule("R-166", "R-168", "R-170")
def test_a_trunk_asks_whether_the_server_was_revoked_each_time() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.node("pub"), lab.node("sub1")
        root = await lab.ca("Corp Root CA", key="ec-384")
        responder = await root.responder()
        await responder.start()
        (await pub.upload("CallManager-trust", root.pem)).must_be("done")
        leaf = await root.sign((await pub.generate_csr("CallManager-ECDSA")).pem, ocsp=responder.url)
        (await pub.upload("CallManager-ECDSA", leaf.pem)).must_be("done")
        for node in (pub, sub1):
            await node.restart("Cisco CallManager")
        lab.check((await sub1.connect(pub)).verdict == "trusted", "nobody is asked while OCSP is off")
        lab.check(len(responder.queries) == 0, "not once")
        await lab.set_parameter("Enable OCSP", True)
        lab.check((await sub1.connect(pub)).verdict == "trusted", "good")
        lab.check(len(responder.queries) == 1, "one query for one handshake", responder.queries)
        await root.revoke(leaf, "keyCompromise")
        outcome = await sub1.connect(pub)
        lab.check((outcome.verdict, outcome.reason) == ("terminated", "revoked"), "revoked", outcome)
        await responder.stop()
        lab.check((await sub1.connect(pub)).verdict == "trusted", "without an answer it goes on, with an alarm")

    told(story, THREE)
