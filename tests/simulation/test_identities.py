"""Identities of a whole cluster in virtual time: uploaded, regenerated, self-signed."""

from datetime import timedelta

import pytest

from tests.simulation.stories import told
from ucmlab.cluster.ca.requests import read_request
from ucmlab.cluster.topology import Settings
from ucmlab.node.certificates import parse
from ucmlab.node.instant import DAY, from_datetime
from ucmlab.scenarios import CA, Lab, Leaf

STORES = {
    "tomcat": {"tomcat-trust"},
    "tomcat-ECDSA": {"tomcat-trust"},
    "CallManager": {"CallManager-trust", "Phone-SAST-trust"},
    "CallManager-ECDSA": {"CallManager-trust"},
    "TVS": {"TVS-trust"},
    "ipsec": {"ipsec-trust"},
    "cup": {"cup-trust"},
    "cup-ECDSA": {"cup-trust"},
    "cup-xmpp": {"cup-xmpp-trust"},
    "cup-xmpp-s2s": set(),
    "CAPF": {"CAPF-trust", "CallManager-trust"},
}
"""Where the copies of an identity are (B.2)."""
UNITS = {
    "pub": ("tomcat", "tomcat-ECDSA", "CallManager", "CallManager-ECDSA", "TVS", "ipsec", "CAPF"),
    "imp1": ("cup", "cup-ECDSA", "cup-xmpp", "cup-xmpp-s2s", "tomcat"),
}
TRUST = {
    "tomcat": "tomcat-trust",
    "tomcat-ECDSA": "tomcat-trust",
    "TVS": "TVS-trust",
    "ipsec": "ipsec-trust",
    "CAPF": "CAPF-trust",
    "cup": "cup-trust",
    "cup-ECDSA": "cup-trust",
    "cup-xmpp": "cup-xmpp-trust",
    "cup-xmpp-s2s": "cup-xmpp-trust",
    "CallManager": "CallManager-trust",
    "CallManager-ECDSA": "CallManager-trust",
}


def copies(lab: Lab, node: str, fingerprint: str) -> set[str]:
    """The trust stores of a node that hold a certificate, in files and database."""
    stores = {store for stores in STORES.values() for store in stores}
    at = lab.node(node)
    held = {store for store in stores if fingerprint in at.files(store)}
    assert held <= {store for store in stores if fingerprint in at.database(store)}
    return held


@pytest.mark.rule("R-020", "R-151")
def test_a_request_that_was_deleted_takes_no_certificate_any_more() -> None:
    async def story(lab: Lab) -> None:
        root, sub1 = await lab.ca("Corp Root CA"), lab.node("sub1")
        (await sub1.upload("tomcat-trust", root.pem)).must_be("done")
        leaf = await root.sign((await sub1.generate_csr("tomcat")).pem)
        (await sub1.delete_csr("tomcat")).must_be("done")
        (await sub1.delete_csr("tomcat")).must_be("refused", "csr_missing")
        (await sub1.upload("tomcat", leaf.pem)).must_be("refused", "csr_missing")
        new = await root.sign((await sub1.generate_csr("tomcat")).pem)
        lab.check(new.fingerprint != leaf.fingerprint, "the next request has a key of its own")
        (await sub1.upload("tomcat", new.pem)).must_be("done")

    told(story)


@pytest.mark.rule("R-001", "R-012", "R-017", "R-020", "R-021", "R-025", "R-029", "R-142", "R-147")
@pytest.mark.rule("X-11", "B.2", "B.7", "B.10")
def test_every_identity_of_every_role_takes_a_leaf_of_a_ca() -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA")
        for name, units in UNITS.items():
            node = lab.node(name)
            for unit in units:
                before = node.identity(unit)
                leaf = await root.sign((await node.generate_csr(unit)).pem)
                if root.fingerprint not in node.files(TRUST[unit]):
                    (await node.upload(unit, leaf.pem)).must_be("refused", "chain_incomplete")
                    lab.check(node.identity(unit) == before, "nothing changed")
                    (await node.upload(TRUST[unit], root.pem)).must_be("done")
                (await node.upload(unit, leaf.pem)).must_be("done")
                lab.check(node.identity(unit) == leaf.fingerprint, f"{unit} on {name} is the leaf")
                (await node.upload(unit, leaf.pem)).must_be("refused", "csr_missing")
                await lab.converged("5m")
                lab.check(before not in node.database(unit), "and the old one is no row of this node")
                # What a CA signed is trusted by its chain; copies of the self-signed one wait for somebody to tidy up.
                left, new = copies(lab, name, before), copies(lab, name, leaf.fingerprint)
                wanted = (set(), STORES[unit]) if unit == "CAPF" else (STORES[unit], set())
                lab.check((left, new) == wanted, f"{unit} on {name}: copies are {left} and {new}")

    told(story)


@pytest.mark.rule("R-089", "R-090", "R-086", "B.6")
def test_a_regenerated_identity_takes_its_copies_along_on_every_node() -> None:
    async def story(lab: Lab) -> None:
        sub = lab.node("sub1")
        before = sub.identity("tomcat")
        lab.check(before in lab.node("imp1").files("tomcat-trust"), "everybody trusts the one from the installation")
        (await sub.regenerate("tomcat")).must_be("done")
        after = sub.identity("tomcat")
        lab.check(after != before, "it is another one")
        await lab.converged("5m")
        for node in ("pub", "sub1", "imp1"):
            lab.check(after in lab.node(node).files("tomcat-trust"), f"{node} trusts it")
            lab.check(before not in lab.node(node).files("tomcat-trust"), f"{node} has forgotten the old one")
        lab.check(parse(await sub.download("tomcat", after, "der")).key == "rsa-2048", "the same length of key")

    told(story)


MULTI_SERVER = {
    ("pub", "tomcat"): ("pub", "sub1", "imp1"),
    ("pub", "tomcat-ECDSA"): ("pub", "sub1", "imp1"),
    ("pub", "CallManager"): ("pub", "sub1"),
    ("sub1", "TVS"): ("pub", "sub1"),
    ("imp1", "cup-xmpp"): ("imp1",),
}
"""Where it is asked for, and whom it is for (B.8: CallManager lists CUCM nodes only)."""


@pytest.mark.rule("R-041", "R-044", "R-047", "X-13", "B.4", "B.8")
def test_one_request_and_one_certificate_serve_all_nodes_that_have_the_unit() -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA")
        for (name, unit), everybody in MULTI_SERVER.items():
            node = lab.node(name)
            made = await node.generate_csr(unit, distribution="multi-server", san=("ucm.lab.test",))
            made.must_be("done")
            lab.check(made.nodes == dict.fromkeys(everybody, "done"), f"{unit} reached {made.nodes}", made.warnings)
            request = read_request(made.pem)
            host = f"{name}-EC-ms" if unit.endswith("ECDSA") else f"{name}-ms"
            lab.check(f"CN={host}.lab.test" in request.subject.rfc4514_string(), "named for several nodes")
            leaf = await root.sign(made.pem)
            names = {*(f"{each}.lab.test" for each in everybody), "lab.test", "ucm.lab.test"}
            lab.check(set(parse(leaf.der).sans) == names, f"all nodes, the domain, and more: {parse(leaf.der).sans}")
            for each in everybody:
                if root.fingerprint not in lab.node(each).files(TRUST[unit]):
                    (await lab.node(each).upload(TRUST[unit], root.pem)).must_be("done")
                    await lab.converged("5m")
            done = await node.upload(unit, leaf.pem)
            done.must_be("done")
            lab.check(done.nodes == dict.fromkeys(everybody, "done"), f"{unit} is on {done.nodes}", done.warnings)
            await lab.converged("5m")
            for each in everybody:
                lab.check(lab.node(each).identity(unit) == leaf.fingerprint, f"{each} has it")
                lab.check(lab.node(each).database(unit) == {leaf.fingerprint}, f"{each} has one row of {unit}")

    told(story)


@pytest.mark.rule("R-042", "B.8")
@pytest.mark.parametrize("unit", ["CAPF", "ipsec"])
def test_not_every_unit_has_multi_server_certificates(unit: str) -> None:
    async def story(lab: Lab) -> None:
        (await lab.node("pub").generate_csr(unit, distribution="multi-server")).must_be("refused", "wrong_purpose")
        made = await lab.node("pub").generate_csr("tomcat", distribution="multi-server", san=("10.1.2.3",))
        made.must_be("refused", "alternative_name")

    told(story)


async def for_several(lab: Lab, unit: str) -> tuple[Leaf, CA]:
    """A CA-signed certificate for all nodes that have the unit; its CA, which is where it belongs."""
    pub, root = lab.node("pub"), await lab.ca("Corp Root CA")
    (await pub.upload(f"{unit}-trust", root.pem)).must_be("done")
    await lab.converged("5m")
    return await root.sign((await pub.generate_csr(unit, distribution="multi-server")).pem), root


@pytest.mark.rule("B.8")
def test_who_is_away_misses_it_and_the_reply_says_so() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1, _ = lab.nodes
        before = sub1.identity("CallManager")
        leaf, _ = await for_several(lab, "CallManager")
        await sub1.stop()
        done = await pub.upload("CallManager", leaf.pem)
        done.must_be("done")
        lab.check(done.nodes == {"pub": "done", "sub1": "unreachable"}, f"told of each node: {done.nodes}")
        lab.check("sub1" in " ".join(done.warnings), "and what to do")
        await sub1.start()
        await lab.converged("31m")
        lab.check(sub1.identity("CallManager") == before, "sub1 has the old one")
        (await sub1.upload("CallManager", leaf.pem)).must_be("done")
        await lab.converged("5m")
        lab.check(sub1.identity("CallManager") == leaf.fingerprint, "its request was waiting")
        holders = {node.name for node in lab.nodes if leaf.fingerprint in node.database("CallManager")}
        lab.check(holders == {"pub", "sub1"}, f"both are holders of one row: {holders}")

    told(story)


def test_a_paused_node_holds_nobody_up_for_long() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1, _ = lab.nodes
        await sub1.pause()
        began = lab.now
        made = await pub.generate_csr("CallManager", distribution="multi-server")
        made.must_be("done")
        lab.check(made.nodes["sub1"] == "unreachable", "sub1 did not answer")
        lab.check((lab.now - began).total_seconds() <= 31, "and was waited for for half a minute")
        await sub1.resume()

    told(story)


@pytest.mark.rule("B.8", "S11")
def test_what_a_paused_node_missed_it_does_not_take_when_it_goes_on() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1, _ = lab.nodes
        before = sub1.identity("CallManager")
        leaf, root = await for_several(lab, "CallManager")
        await sub1.pause()
        done = await pub.upload("CallManager", leaf.pem)
        made = await pub.generate_csr("tomcat", distribution="multi-server")
        for reply in (done, made):
            reply.must_be("done")
            lab.check(reply.nodes["sub1"] == "unreachable", f"the operator is told: {reply.nodes}")
        await lab.wait("2h")
        await sub1.resume()
        await lab.converged("31m")
        # Both lie in its connection still.
        late = {each["unit"] for each in lab.events("shared", node="sub1") if each["outcome"] == "expired"}
        lab.check(late == {"CallManager", "tomcat"}, f"sub1 hears of both: {late}")
        lab.check(sub1.identity("CallManager") == before, "a certificate of then is none of now")
        leaf = await root.sign(made.pem)
        (await sub1.upload("tomcat", leaf.pem)).must_be("refused", "csr_missing")

    told(story)


@pytest.mark.rule("B.1", "R-114")
def test_a_regenerated_itlrecovery_reaches_whoever_was_down() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1, _ = lab.nodes
        before = sub1.identity("ITLRecovery")
        await sub1.stop()
        (await pub.regenerate("ITLRecovery")).must_be("done")
        lab.check(sub1.identity("ITLRecovery") == before, "sub1 is down and has the old one")
        await sub1.start()
        await lab.converged("31m")
        lab.check(sub1.identity("ITLRecovery") == pub.identity("ITLRecovery") != before, "there is one in the cluster")

    told(story)


@pytest.mark.rule("R-086", "C-47")
def test_an_expired_identity_can_be_regenerated() -> None:
    async def story(lab: Lab) -> None:
        sub1 = lab.node("sub1")
        (await sub1.age("tomcat", "-10d")).must_be("done")
        old = parse(await sub1.download("tomcat", "tomcat", "der"))
        lab.check(old.validity(from_datetime(lab.now)) == "expired", "it ended ten days ago")
        lab.check(from_datetime(lab.now) - old.not_after < 11 * DAY, "and not earlier")
        await lab.converged("5m")
        lab.check(old.fingerprint in lab.node("pub").files("tomcat-trust"), "its copy is everywhere")
        (await sub1.regenerate("tomcat")).must_be("done")
        new = parse(await sub1.download("tomcat", "tomcat", "der"))
        lab.check(new.validity(from_datetime(lab.now)) == "valid", "the new one is valid")
        await lab.converged("5m")
        lab.check(old.fingerprint not in lab.node("pub").files("tomcat-trust"), "the old copy is gone")

    told(story)


def test_what_is_planted_is_there_past_all_rules_and_told_so() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1, _ = lab.nodes
        ended = lab.now - timedelta(days=30)
        old = await lab.ca("Old CA", not_before=ended - timedelta(days=300), not_after=ended)
        (await pub.upload("tomcat-trust", old.pem)).must_be("refused", "expired")
        (await pub.plant("tomcat-trust", old.pem)).must_be("done")
        await lab.converged("5m")
        lab.check(old.fingerprint in sub1.files("tomcat-trust"), "it spreads as anything else")
        lab.check(bool(lab.events("planted", "pub")), "the journal says what it is")

        stray = await lab.ca("Stray CA")
        (await sub1.plant("tomcat-trust", stray.pem, database=False)).must_be("done")
        lab.check(stray.fingerprint in sub1.files("tomcat-trust"), "a file")
        lab.check(stray.fingerprint not in sub1.database("tomcat-trust"), "and no row, until the next comparison")
        await lab.wait("31m")
        lab.check(stray.fingerprint in pub.files("tomcat-trust"), "which puts it forward")

        (await sub1.stop_service("Cisco Certificate Change Notification")).must_be("done")
        row = await lab.ca("Row CA")
        (await sub1.plant("tomcat-trust", row.pem, files=False)).must_be("done")
        lab.check(row.fingerprint in sub1.database("tomcat-trust") - sub1.files("tomcat-trust"), "a row, and no file")
        (await sub1.plant("ipsec-trust", row.pem)).must_be("done")
        lab.check(row.fingerprint not in pub.files("ipsec-trust"), "what is not listed stays where it is")
        (await sub1.plant("tomcat", row.pem)).must_be("refused", "wrong_purpose")
        (await sub1.age("tomcat-trust", "3d")).must_be("refused", "not_regenerable")

    told(story)


@pytest.mark.rule("R-023", "C-65", "B.6")
def test_a_regenerated_ipsec_identity_is_carried_to_the_others_by_hand() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1, _ = lab.nodes
        before = pub.identity("ipsec")
        lab.check(before in sub1.files("ipsec-trust"), "the installation set the trust up (B.18)")
        (await pub.regenerate("ipsec")).must_be("done")
        await lab.wait("61m")
        after = pub.identity("ipsec")
        lab.check(after in pub.files("ipsec-trust") and before not in pub.files("ipsec-trust"), "pub's own copy")
        lab.check(before in sub1.files("ipsec-trust"), "sub1 has the old one")
        lab.check(after not in sub1.files("ipsec-trust"), "and nothing brings the new one")

    told(story)


@pytest.mark.rule("B.8", "X-13")
def test_a_multi_server_certificate_brings_its_chain_to_stores_that_are_not_replicated() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1, _ = lab.nodes
        root = await lab.ca("Corp Root CA")
        issuing = await lab.ca("Corp Issuing CA", parent=root)
        for each in (root, issuing):
            (await pub.upload("TVS-trust", each.pem)).must_be("done")
        made = await pub.generate_csr("TVS", distribution="multi-server")
        leaf = await issuing.sign(made.pem)
        done = await pub.upload("TVS", leaf.pem)
        done.must_be("done")
        lab.check(done.nodes == {"pub": "done", "sub1": "done"}, "sub1 had neither of the two", done.warnings)
        lab.check({root.fingerprint, issuing.fingerprint} <= sub1.files("TVS-trust"), "now it has both")

    told(story)


@pytest.mark.rule("A.19", "B.4", "B.8")
def test_a_self_signed_certificate_serves_several_nodes_from_release_14() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1, _ = lab.nodes
        before = {node.name: node.identity("tomcat") for node in lab.nodes}
        made = await pub.generate_self_signed("tomcat", distribution="multi-server", years=10)
        made.must_be("done")
        lab.check(made.nodes == dict.fromkeys(before, "done"), "all nodes have it", made.warnings)
        await lab.converged("5m")
        shared = pub.identity("tomcat")
        certificate = parse(await pub.download("tomcat", shared, "der"))
        lab.check(certificate.common_name == "pub-ms.lab.test", "named for several nodes")
        names = {"pub.lab.test", "sub1.lab.test", "imp1.lab.test", "lab.test"}
        lab.check(set(certificate.sans) == names, "and it names them")
        for node in lab.nodes:
            lab.check(node.identity("tomcat") == shared != before[node.name], f"{node.name} has it")
            lab.check(node.database("tomcat") == {shared}, f"one row names {node.name}'s")
            lab.check(shared in node.files("tomcat-trust"), f"{node.name} trusts it")
        (await sub1.regenerate("tomcat")).must_be("done")
        await lab.converged("5m")
        left = [node.name for node in lab.nodes if node.identity("tomcat") != shared]
        lab.check(left == ["sub1"], "sub1 has one of its own again", left)
        lab.check(shared in sub1.files("tomcat-trust"), "and the others' copy stays")

    async def refused(lab: Lab) -> None:
        for unit in ("CAPF", "ipsec"):
            made = await lab.node("pub").generate_self_signed(unit, distribution="multi-server")
            made.must_be("refused", "wrong_purpose")

    async def too_early(lab: Lab) -> None:
        made = await lab.node("pub").generate_self_signed("tomcat", distribution="multi-server")
        made.must_be("refused", "release")

    told(story)
    told(refused)
    told(too_early, Settings(nodes="pub,sub1", release="12.5"))


@pytest.mark.rule("B.3", "A.19")
def test_a_multi_server_tomcat_certificate_stands_in_for_callmanager() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1, _ = lab.nodes
        root = await lab.ca("Corp Root CA")
        (await pub.upload("tomcat-trust", root.pem)).must_be("done")
        await lab.converged("5m")
        (await pub.reuse_certificate("CallManager")).must_be("refused", "wrong_purpose")  # it is one node's own
        leaf = await root.sign((await pub.generate_csr("tomcat", distribution="multi-server")).pem)
        (await pub.upload("tomcat", leaf.pem)).must_be("done")
        (await pub.reuse_certificate("CallManager")).must_be("refused", "chain_incomplete")
        (await pub.upload("CallManager-trust", root.pem)).must_be("done")
        await lab.converged("5m")
        before = sub1.identity("CallManager")
        done = await pub.reuse_certificate("CallManager")
        done.must_be("done")
        lab.check(done.nodes == {"pub": "done", "sub1": "done"}, "all CUCM nodes", done.warnings)
        await lab.converged("5m")
        for node in (pub, sub1):
            lab.check(
                node.identity("CallManager") == node.identity("tomcat") == leaf.fingerprint, f"{node.name} reuses it"
            )
            lab.check(node.database("CallManager") == {leaf.fingerprint}, f"one row for {node.name}")
        (await pub.reuse_certificate("TVS")).must_be("refused", "wrong_purpose")
        (await sub1.regenerate("CallManager")).must_be("done")
        lab.check(sub1.identity("CallManager") not in (before, leaf.fingerprint), "regenerating ends it")

    async def too_early(lab: Lab) -> None:
        (await lab.node("pub").reuse_certificate("CallManager")).must_be("refused", "release")

    told(story)
    told(too_early, Settings(nodes="pub,sub1", release="12.5"))
