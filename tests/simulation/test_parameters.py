"""Parameters in a simulated cluster: set on one node, read on all, whatever befalls them meanwhile."""

from typing import Any

import pytest

from tests.simulation.stories import told
from ucmlab.cluster.topology import Settings
from ucmlab.node.errors import Refusal
from ucmlab.scenarios import Lab

CIPHERS = "HTTPS Ciphers"
ALL, RSA = "All Supported EC and RSA Ciphers", "RSA Ciphers Only"
CHECK, START = "Certificate Validity Check", "Notification Start Time"
FIPS, COMMON_CRITERIA = "FIPS Mode", "Common Criteria Mode"


def read(lab: Lab, name: str) -> dict[str, str]:
    return {node.name: node.parameter(name) for node in lab.nodes}


@pytest.mark.rule("R-009", "R-116", "R-117")
def test_what_is_set_on_one_node_is_read_on_all_and_told_with_the_old_value_and_the_new() -> None:
    async def story(lab: Lab) -> None:
        before = dict(lab.dump())
        lab.check(lab.parameter("Phone Interaction on Certificate Update") == "auto", "a fresh cluster resets phones")
        (await lab.node("sub1").set_parameter(CHECK, True)).must_be("done")
        (await lab.set_parameter("Phone Interaction on Certificate Update", "manual")).must_be("done")
        await lab.converged(within="1m")
        lab.check(set(read(lab, CHECK).values()) == {"true"}, "everybody has it")
        lab.check(lab.parameter("Phone Interaction on Certificate Update") == "manual", "that too")
        told_by = {
            (each["node"], each["place"], each["parameter"], each["old"], each["new"])
            for each in lab.events("parameter_set")
            if each["parameter"] == CHECK
        }
        expected = {(node.name, "cluster", CHECK, "false", "true") for node in lab.nodes}
        lab.check(told_by == expected, "each node tells it once", str(told_by))
        nodes = (before["nodes"], lab.dump()["nodes"])
        digests = [[node["db"]["digest"] for node in each.values()] for each in nodes]  # type: ignore[attr-defined]  # a dump is JSON
        lab.check(digests[0] == digests[1], "db.digest is that of rows (design 7.2)")

    told(story)


@pytest.mark.rule("R-174", "R-187")
def test_call_processing_and_im_and_presence_are_set_apart() -> None:
    async def story(lab: Lab) -> None:
        sub1, imp1 = lab.node("sub1"), lab.node("imp1")
        (await sub1.set_parameter(START, 10)).must_be("done")
        (await imp1.set_parameter(START, 20)).must_be("done")
        (await lab.set_parameter(START, 5)).must_be("refused", "parameter_place")
        await lab.converged(within="1m")
        lab.check(read(lab, START) == {"pub": "10", "sub1": "10", "imp1": "20"}, "two places")
        with pytest.raises(Refusal, match=r"^parameter_place: Notification Start Time: Unified CM and IM and Presence"):
            lab.parameter(START)

    told(story)


@pytest.mark.rule("R-189")
def test_where_ocsp_is_asked_is_one_of_two() -> None:
    async def story(lab: Lab) -> None:
        pub, source = lab.node("pub"), "OCSP URI Source"
        (await pub.set_parameter(source, "Use Configured OCSP URI")).must_be("done")
        lab.check(pub.parameter(source) == "Use Configured OCSP URI", "the one")
        (await pub.set_parameter(source, "Use OCSP URI from Certificate")).must_be("done")
        lab.check(pub.parameter(source) == "Use OCSP URI from Certificate", "or the other")
        (await pub.set_parameter(source, "both")).must_be("refused", "parameter_value")

    told(story)


def test_what_cannot_be_set_is_refused_in_one_line_and_nothing_changes() -> None:
    async def story(lab: Lab) -> None:
        sub1 = lab.node("sub1")
        for name, value, reason, text in (
            ("HTTPS Cipher", ALL, "not_found", "There is no parameter 'HTTPS Cipher'; there is 'HTTPS Ciphers'"),
            (CIPHERS, "EC", "parameter_value", f"HTTPS Ciphers takes '{RSA}' or '{ALL}', not 'EC'"),
            (
                "enable crl",
                "true",
                "release",
                "Release 14SU2 does not have this: the parameter enable crl, which 14SU3",
            ),
        ):
            reply = await sub1.set_parameter(name, value)
            reply.must_be("refused", reason)
            lab.check(reply.text.startswith(text), f"{name}: it says so", reply.text)
        (await lab.set_parameter(FIPS, True)).must_be("refused", "parameter_place")
        lab.check(not lab.events("parameter_set"), "nothing was set")

    told(story)


@pytest.mark.rule("B.16")
def test_common_criteria_mode_needs_fips_mode_on_that_node() -> None:
    async def story(lab: Lab) -> None:
        sub1 = lab.node("sub1")
        reply = await sub1.set_parameter(COMMON_CRITERIA, True)
        reply.must_be("refused", "parameter_value")
        text = "Common Criteria Mode needs FIPS Mode; set FIPS Mode of sub1 to true first"
        lab.check(reply.text == text, "it says what would work", reply.text)
        (await sub1.set_parameter(FIPS, True)).must_be("done")
        (await sub1.set_parameter(COMMON_CRITERIA, True)).must_be("done")
        (await sub1.set_parameter(FIPS, False)).must_be("refused", "parameter_value")
        (await sub1.set_parameter(COMMON_CRITERIA, False)).must_be("done")
        (await sub1.set_parameter(FIPS, False)).must_be("done")
        await lab.converged(within="31m")
        lab.check(read(lab, FIPS) == {"pub": "false", "sub1": "false", "imp1": "false"}, "and back")

    told(story)


@pytest.mark.rule("B.6")
def test_without_the_publisher_nothing_is_set() -> None:
    async def story(lab: Lab) -> None:
        sub1 = lab.node("sub1")
        await lab.node("pub").stop()
        reply = await sub1.set_parameter(CHECK, True)
        reply.must_be("refused", "publisher_unreachable")
        lab.check(reply.text.endswith("cannot be reached; nothing was changed"), "and it says so", reply.text)
        (await lab.set_parameter(CHECK, True)).must_be("refused", "node_down")
        await lab.node("pub").start()
        await lab.converged(within="31m")
        lab.check(set(read(lab, CHECK).values()) == {"false"}, "nor later")

    told(story)


@pytest.mark.rule("B.6")
def test_a_set_whose_answer_never_comes_is_indefinite_and_asked_again_under_its_id() -> None:
    async def story(lab: Lab) -> None:
        sub1 = lab.node("sub1")
        await lab.isolate("sub1")
        reply = await sub1.set_parameter(CHECK, True)
        reply.must_be("indefinite", "publisher_unreachable")
        lab.check("whether Certificate Validity Check was set is not known" in reply.text, "it says so", reply.text)

    told(story)


@pytest.mark.rule("S1")
@pytest.mark.parametrize("policy", ["faithful", "modern", "legacy"])
def test_a_node_that_was_away_or_broken_learns_what_was_set_and_keeps_it(policy: str) -> None:
    async def story(lab: Lab) -> None:
        sub1, imp1 = lab.node("sub1"), lab.node("imp1")
        await sub1.kill()
        await lab.break_replication("imp1")
        (await lab.set_parameter(CHECK, True)).must_be("done")
        (await imp1.set_parameter(START, 9)).must_be("done")
        lab.check(read(lab, CHECK) == {"pub": "true", "sub1": "false", "imp1": "false"}, "they have the old value")
        await sub1.start()
        await lab.repair_replication("imp1")
        await lab.converged(within="31m")
        await sub1.kill()
        lab.check(set(read(lab, CHECK).values()) == {"true"}, "now all have it, on their disks")
        await sub1.start()
        await lab.converged(within="31m")
        lab.check((sub1.parameter(CHECK), imp1.parameter(START)) == ("true", "9"), "and keep it")

    told(story, Settings(nodes="pub,sub1,imp1", replication=policy))  # type: ignore[arg-type]  # the three policies


@pytest.mark.rule("S1")
def test_what_a_restored_publisher_does_not_know_is_lost_for_all_as_rows_are() -> None:
    async def story(lab: Lab) -> None:
        pub = lab.node("pub")
        (await lab.set_parameter(CHECK, True)).must_be("done")
        await pub.stop()
        await pub.start()
        (await lab.set_parameter("Validity Check Frequency", 48)).must_be("done")
        await lab.converged(within="31m")
        await lab.inject("restore-backup", "pub", of="last-start")
        await lab.converged(within="31m")
        lab.check(set(read(lab, CHECK).values()) == {"true"}, "the backup has it")
        lab.check(set(read(lab, "Validity Check Frequency").values()) == {"24"}, "the backup does not")
        lab.check(bool(lab.events("epoch_begun")), "a new epoch says so")

    told(story)


# -- FIPS mode

MADE_ANEW = {
    "pub": {"CallManager", "tomcat", "ipsec", "TVS", "CAPF", "ITLRecovery"},
    "sub1": {"CallManager", "tomcat", "ipsec", "TVS"},
    "imp1": {"tomcat", "ipsec"},
}
"""CAPF and ITLRecovery are the publisher's."""


def identities(lab: Lab, node: str) -> dict[str, str]:
    told: Any = lab.dump()
    return {unit: each["fingerprint"] for unit, each in told["nodes"][node]["identities"].items()}


@pytest.mark.rule("B.16")
@pytest.mark.parametrize("node", MADE_ANEW)
def test_a_node_that_is_put_into_fips_mode_makes_its_identities_anew_and_boots(node: str) -> None:
    async def story(lab: Lab) -> None:
        it, others = lab.node(node), [each.name for each in lab.nodes if each.name != node]
        before = {each.name: identities(lab, each.name) for each in lab.nodes}
        (await it.set_parameter(FIPS, True)).must_be("done")
        await lab.converged(within="31m")
        after = identities(lab, node)
        changed = {unit for unit, fingerprint in after.items() if fingerprint != before[node][unit]}
        lab.check(changed == MADE_ANEW[node], "these are new, and no others", str(changed))
        lab.check(not it.pending(), "and loaded, as every service was started after that")
        lab.check(
            set(it.services.values()) <= {"started", "stopped", "not activated"}, "they came up again", str(it.services)
        )
        handed_out = {"ITLRecovery"} if node == "pub" else set[str]()
        for name in others:
            new = {unit for unit, each in identities(lab, name).items() if each != before[name][unit]}
            lab.check(new <= handed_out, f"{name} keeps its own", str(new))
        booted = [each["node"] for each in lab.events("rebooted")]
        lab.check(booted == [node], "this node booted, once", str(booted))
        await it.kill()
        await it.start()
        await lab.converged(within="31m")
        lab.check(identities(lab, node) == after, "at its next start nothing is left to do")
        (await it.set_parameter(FIPS, False)).must_be("done")
        await lab.converged(within="31m")
        lab.check(identities(lab, node) == after, "turned off it boots, and keeps them")

    told(story)


@pytest.mark.rule("B.16")
def test_a_kill_in_between_leaves_it_to_be_done_at_the_next_start() -> None:
    async def story(lab: Lab) -> None:
        sub1, before = lab.node("sub1"), identities(lab, "sub1")
        await sub1.kill(at="MakeIdentity")
        (await sub1.set_parameter(FIPS, True)).must_be("indefinite", "node_down")
        lab.check(not lab.events("rebooted"), "it did not come to its end")
        await sub1.start()
        await lab.converged(within="31m")
        changed = {unit for unit, each in identities(lab, "sub1").items() if each != before[unit]}
        lab.check(changed == MADE_ANEW["sub1"], "all of them are new", str(changed))
        lab.check(len(lab.events("rebooted")) == 1, "and it booted")

    told(story)


@pytest.mark.rule("B.4")
def test_a_node_in_fips_mode_takes_nothing_that_was_signed_with_sha1() -> None:
    async def story(lab: Lab) -> None:
        pub, sub1 = lab.node("pub"), lab.node("sub1")
        old = await lab.ca("Old Root", hash="sha1")
        (await sub1.set_parameter(FIPS, True)).must_be("done")
        await lab.converged(within="31m")
        reply = await sub1.upload("tomcat-trust", old.pem)
        reply.must_be("refused", "hash_algorithm")
        text = "The hash algorithm is not allowed: Old Root was signed with sha1, which FIPS mode forbids"
        lab.check(reply.text == text, "it says why", reply.text)
        csr = await sub1.generate_csr("tomcat")
        leaf = await old.sign(csr.pem, hash="sha1")
        (await sub1.upload("tomcat", leaf.chain_pem)).must_be("refused", "hash_algorithm")
        (await pub.upload("tomcat-trust", old.pem)).must_be("done")

    told(story)


@pytest.mark.rule("B.16")
def test_what_a_ca_signed_gives_way_and_the_administrator_is_told_so() -> None:
    async def story(lab: Lab) -> None:
        sub1, root = lab.node("sub1"), await lab.ca("Corp Root CA")
        (await sub1.upload("tomcat-trust", root.pem)).must_be("done")
        leaf = await root.sign((await sub1.generate_csr("tomcat")).pem)
        (await sub1.upload("tomcat", leaf.pem)).must_be("done")
        await lab.converged(within="31m")
        reply = await sub1.set_parameter(FIPS, True)
        reply.must_be("done")
        text = "tomcat: a CA signed its certificate, which gives way to a self-signed one; upload it again"
        lab.check(tuple(reply.warnings) == (text,), "it is said", str(reply.warnings))
        await lab.converged(within="31m")
        told: Any = lab.dump()
        lab.check(told["nodes"]["sub1"]["identities"]["tomcat"]["origin"] == "self-signed", "so it is")

    told(story)
