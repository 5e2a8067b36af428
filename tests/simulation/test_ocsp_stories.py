"""OCSP in a simulated cluster: the responder is down, slow, stale, wrong; uploads and scheduled checks meet it."""

from collections.abc import Awaitable, Callable

import pytest

from tests.simulation.stories import told
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.cluster.topology import Settings
from ucmlab.node.certificates import parse
from ucmlab.node.instant import Instant
from ucmlab.scenarios import CA, Lab, Node, Ocsp

EVERY_SIX = {"Enable OCSP": "true", "Enable Revocation Check": "true", "Check Every": "6"}


def tell(script: Callable[[Lab], Awaitable[None]], *, release: str = "14SU2") -> None:
    told(script, Settings(nodes="pub,sub1", release=release))


def set_everywhere(lab: Lab, values: dict[str, str]) -> None:
    """As an administrator would; what replicates it is no matter of these tests."""
    port = lab._port
    assert isinstance(port, SimLab)
    world = port.world
    for node in world.nodes.values():
        assert node.core is not None
        context, rows = node.core.context, world.rulebook.parameters
        for name, value in values.items():
            context.set_parameters[rows[name].place(node.name, node.config.role), name] = rows[name].judge(value)
        context.begin(Instant(world.now, world.wall_start + world.now), "")
        node.core.parameters_changed()
        for command in context.commands:
            world._perform[type(command)](node, command)


async def begun(lab: Lab, signer: str = "ca", **values: str) -> tuple[Node, CA, Ocsp]:
    """The publisher trusts a CA, whose responder is up; then OCSP is enabled."""
    pub, root = lab.node("pub"), await lab.ca("Corp Root CA")
    ocsp = await root.responder(signer)
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    await lab.converged(within="31m")
    set_everywhere(lab, {"Enable OCSP": "true"} | values)
    return pub, root, ocsp


def alarms(lab: Lab, node: str = "pub") -> list[tuple[object, object]]:
    return [(each["alarm"], each.get("detail")) for each in lab.events("alarm", node=node)]


@pytest.mark.rule("R-159", "R-168")
def test_an_upload_of_what_was_revoked_is_refused_until_the_hold_is_lifted() -> None:
    async def story(lab: Lab) -> None:
        pub, root, ocsp = await begun(lab)
        leaf = await root.issue("ldap.corp.test")
        await root.revoke(leaf, "certificateHold")
        (await pub.upload("tomcat-trust", leaf.pem)).must_be("refused", "revoked")
        lab.check(leaf.fingerprint not in pub.files("tomcat-trust"), "nothing was written")
        await root.unhold(leaf)
        (await pub.upload("tomcat-trust", leaf.pem)).must_be("done")
        await lab.converged(within="31m")
        lab.check(leaf.fingerprint in lab.node("sub1").files("tomcat-trust"), "it is everywhere")
        lab.check([query.status for query in ocsp.queries] == ["revoked", "good"], "one query an upload")
        lab.check(len(lab.events("ocsp_query")) == 2, "asked by the node of the upload alone")

    tell(story)


@pytest.mark.rule("R-159", "B.10")
def test_an_identity_is_asked_about_before_it_is_installed() -> None:
    async def story(lab: Lab) -> None:
        pub, root, ocsp = await begun(lab)
        leaf = await root.sign((await pub.generate_csr("tomcat")).pem)
        await root.revoke(leaf, "superseded")
        before = pub.identity("tomcat")
        (await pub.upload("tomcat", leaf.pem)).must_be("refused", "revoked")
        lab.check(pub.identity("tomcat") == before, "nothing was installed")
        other = await root.sign((await pub.generate_csr("tomcat")).pem)
        (await pub.upload("tomcat", other.pem)).must_be("done")
        lab.check(pub.identity("tomcat") == other.fingerprint, "it is installed")
        lab.check([query.serial for query in ocsp.queries] == [parse(each.der).serial for each in (leaf, other)], "")

    tell(story)


@pytest.mark.rule("R-164")
@pytest.mark.parametrize("cc", [True, False])
def test_a_scheduled_check_without_a_responder_raises_an_alarm_and_the_rest_goes_on(cc: bool) -> None:  # noqa: FBT001
    async def story(lab: Lab) -> None:
        pub, root, ocsp = await begun(lab, **{"Common Criteria Mode": str(cc).lower()})
        leaf = await root.issue("ldap.corp.test")
        (await pub.upload("tomcat-trust", leaf.pem)).must_be("done")
        await lab.converged(within="31m")
        set_everywhere(lab, EVERY_SIX)
        await ocsp.stop()
        await lab.wait("6h1m")
        for name in ("pub", "sub1"):
            lab.check(alarms(lab, name) == [("revocation_status_unavailable", "refused")], f"{name} raised one alarm")
        await ocsp.slow(None)
        await ocsp.start()
        await ocsp.slow(None)
        await lab.wait("5h59m55s")
        reply = await pub.delete("tomcat-trust", leaf.fingerprint)
        reply.must_be("done")
        await lab.wait("1m")
        lab.check(alarms(lab)[1:] == [("revocation_status_unavailable", "timeout")], "one more for the one that hangs")
        await lab.converged(within="31m")

    tell(story)


@pytest.mark.rule("R-163")
def test_after_a_wrong_signer_the_designated_certificate_is_enough() -> None:
    async def story(lab: Lab) -> None:
        pub, root, ocsp = await begun(lab, "unrelated", **{"Common Criteria Mode": "true"})
        leaf = await root.issue("ldap.corp.test")
        reply = await pub.upload("tomcat-trust", leaf.pem)
        reply.must_be("refused", "revocation_unavailable")
        lab.check("untrusted_signer" in reply.text, "it says why", reply.text)
        (await pub.upload("tomcat-trust", ocsp.signer_pem)).must_be("done")
        (await pub.upload("tomcat-trust", leaf.pem)).must_be("done")
        lab.check(len(lab.events("dtm_failed")) == 2, "delegated trust was tried first both times")

    tell(story)


def test_every_trouble_of_a_responder_has_its_word() -> None:
    async def story(lab: Lab) -> None:
        pub, root, ocsp = await begun(lab, **{"Common Criteria Mode": "true"})
        leaf = await root.issue("ldap.corp.test")

        async def refused(word: str) -> None:
            reply = await pub.upload("tomcat-trust", leaf.pem)
            reply.must_be("refused", "revocation_unavailable")
            lab.check(word in reply.text, f"{word}: {reply.text}")

        await ocsp.stop()
        await refused("refused")
        await ocsp.start()
        await ocsp.slow("30s")
        began = lab.now
        await refused("timeout")
        lab.check((lab.now - began).total_seconds() == 10, "after the deadline")
        await ocsp.start()
        await ocsp.stale()
        await refused("stale")
        await ocsp.start()
        await ocsp.refuse()
        await refused("unauthorized")
        await ocsp.start()
        await ocsp.slow("9s")
        (await pub.upload("tomcat-trust", leaf.pem)).must_be("done")

    tell(story)


def test_who_waits_while_the_responder_stops_is_broken_off() -> None:
    async def story(lab: Lab) -> None:
        _, root, ocsp = await begun(lab)
        leaf = await root.issue("ldap.corp.test")
        (await lab.node("pub").upload("tomcat-trust", leaf.pem)).must_be("done")
        await lab.converged(within="31m")
        set_everywhere(lab, EVERY_SIX)
        await ocsp.slow(None)
        await lab.wait("6h1s")
        await ocsp.stop()
        lab.check(alarms(lab) == [("revocation_status_unavailable", "reset")], str(alarms(lab)))

    tell(story)


@pytest.mark.rule("R-168")
def test_a_node_that_dies_while_it_asks_asks_no_more() -> None:
    async def story(lab: Lab) -> None:
        pub, root, ocsp = await begun(lab)
        leaf = await root.issue("ldap.corp.test")
        (await pub.upload("tomcat-trust", leaf.pem)).must_be("done")
        set_everywhere(lab, EVERY_SIX)
        await ocsp.slow("5s")
        await lab.wait("6h1s")
        await pub.kill()
        await lab.wait("1m")
        await pub.start()
        await lab.converged(within="31m")
        lab.check(alarms(lab) == [], "nobody misses the answer")

    tell(story)


@pytest.mark.rule("A.19", "B.16")
def test_a_changed_crl_is_told_and_heeded() -> None:
    async def story(lab: Lab) -> None:
        pub, root, ocsp = await begun(lab)
        leaf = await root.issue("ldap.corp.test", ocsp="")
        set_everywhere(lab, {"Enable OCSP": "false", "Enable CRL": "true", "CRL Distribution Point URI": ocsp.crl_url})
        await lab.wait("1m")
        await root.revoke(leaf, "keyCompromise")
        await lab.wait("24h")
        lab.check([alarm for alarm, _ in alarms(lab)] == ["CRLChanged"], str(alarms(lab)))
        reply = await pub.upload("tomcat-trust", leaf.pem)
        reply.must_be("refused", "revoked")

    tell(story, release="14SU3")


@pytest.mark.rule("R-159")
def test_a_certificate_for_several_nodes_is_asked_about_on_each() -> None:
    async def story(lab: Lab) -> None:
        pub, root, ocsp = await begun(lab)
        await ocsp.slow("9s")
        csr = (await pub.generate_csr("tomcat", distribution="multi-server")).pem
        leaf = await root.sign(csr)
        reply = await pub.upload("tomcat", leaf.pem)
        reply.must_be("done")
        await lab.converged(within="31m")
        lab.check({node.identity("tomcat") for node in lab.nodes} == {leaf.fingerprint}, "everybody has it")
        lab.check(len(ocsp.queries) == 2, f"{len(ocsp.queries)} queries")

    tell(story)


def test_the_same_seed_tells_the_same_journal() -> None:
    journals: list[list[dict[str, object]]] = []

    async def story(lab: Lab) -> None:
        pub, root, ocsp = await begun(lab, "delegated")
        leaf = await root.issue("ldap.corp.test", key="ec-256")
        (await pub.upload("tomcat-trust", leaf.pem)).must_be("done")
        set_everywhere(lab, EVERY_SIX)
        await ocsp.slow("3s")
        await lab.wait("13h")
        journals.append(lab.events())
        lab.check(len(lab.events("ocsp_query")) > 1, "something happened")

    tell(story)
    tell(story)
    assert journals[0] == journals[1]


@pytest.mark.rule("R-186", "R-187")
def test_who_enables_ocsp_is_warned_where_nothing_could_sign_answers() -> None:
    async def story(lab: Lab) -> None:
        pub, root = lab.node("pub"), await lab.ca("Corp Root CA")
        ocsp = await root.responder("unrelated")
        reply = await pub.set_parameter("Enable OCSP", True)
        reply.must_be("done")
        lab.check(len(reply.warnings) == 1 and "tomcat-trust" in reply.warnings[0], str(reply.warnings))
        (await pub.set_parameter("Enable OCSP", False)).must_be("done")
        (await pub.upload("tomcat-trust", ocsp.signer_pem)).must_be("done")
        lab.check((await pub.set_parameter("Enable OCSP", True)).warnings == (), "now there is one")
        lab.check((await pub.set_parameter("Enable Revocation Check", True)).warnings == (), "that is no matter here")

    tell(story)


@pytest.mark.rule("R-190", "R-191")
def test_a_schedule_that_is_set_holds_on_every_node_and_after_a_restart() -> None:
    async def story(lab: Lab) -> None:
        pub, root, ocsp = await begun(lab)
        leaf = await root.issue("ldap.corp.test")
        (await pub.upload("tomcat-trust", leaf.pem)).must_be("done")
        (await pub.set_parameter("Enable OCSP", True)).must_be("done")
        (await pub.set_parameter("Enable Revocation Check", True)).must_be("done")
        (await pub.set_parameter("Check Every", 6)).must_be("done")
        before = len(ocsp.queries)
        await lab.wait("6h1m")
        lab.check(len(ocsp.queries) == before + 2, "both nodes asked")
        await lab.node("sub1").stop()
        await lab.node("sub1").start()
        await lab.wait("6h1m")
        lab.check(len(ocsp.queries) == before + 4, "and both again")
        (await pub.set_parameter("Enable Revocation Check", False)).must_be("done")
        await lab.wait("3d")
        lab.check(len(ocsp.queries) == before + 4, "and then no more")

    tell(story)
