"""The hands of a story: what it can do to a lab and see of it."""

# `check` takes its condition first, as design 7.3 spells it

import ssl
from hashlib import sha256

import pytest

from tests.fakes import TFTP, FakeLab
from tests.fuzz.der import integer
from tests.fuzz.raw import certificate
from tests.unit.scenarios.told import told
from ucmlab.scenarios import Lab


def test_reads_look_at_the_state_now() -> None:
    seen: list[object] = []

    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA")
        pub, sub1, _ = lab.nodes
        await pub.upload("tomcat-trust", root.der)
        seen.append((root.fingerprint in pub.files("tomcat-trust"), root.fingerprint in sub1.database("tomcat-trust")))
        await lab.wait("3s")
        seen.append((root.fingerprint in sub1.database("tomcat-trust"), root.fingerprint in sub1.files("tomcat-trust")))
        await lab.wait("10s")
        seen.append(sub1.files("tomcat-trust") == sub1.database("tomcat-trust") == frozenset({root.fingerprint}))

    told(story)
    assert seen == [(True, False), (True, False), True]


def test_a_node_that_is_down_shows_its_disk_and_refuses_operations() -> None:
    async def story(lab: Lab) -> None:
        sub1 = lab.node("sub1")
        await sub1.stop()
        lab.check(sub1.state == "down", "down")
        lab.check(set(sub1.services.values()) == {"stopped"}, "services stopped")
        lab.check(not sub1.loaded(TFTP), "nothing loaded")
        lab.check(bool(sub1.identity("tomcat")), "the identity is on disk")
        (await sub1.upload("tomcat-trust", b"x")).must_be("refused", "node_down")

    assert told(story).verdict == "held"


def test_services_are_ordered_from_the_publishers_control_center_while_it_is_up() -> None:
    port = FakeLab()

    async def story(lab: Lab) -> None:
        pub, sub1, _ = lab.nodes
        (await sub1.stop_service(TFTP)).must_be("done")
        lab.check(sub1.services[TFTP] == "stopped", "stopped")
        await pub.stop()
        (await sub1.start_service(TFTP)).must_be("done")

    told(story, port=port)
    asked = [(event["node"], event["operation_id"]) for event in port.events("operation")]
    assert asked == [("pub", "story-1"), ("sub1", "story-2")]


def test_groups_are_names_or_nodes() -> None:
    port = FakeLab(["pub", "sub1", "sub2", "sub3"])
    cuts: list[object] = []

    async def story(lab: Lab) -> None:
        await lab.partition([lab.node("sub2")])
        cuts.append(port.groups)
        await lab.partition("pub, sub1", "sub2 sub3")
        cuts.append(port.groups)
        await lab.heal()
        await lab.isolate("sub1")
        await lab.isolate(lab.node("sub2"))
        cuts.append(port.groups)
        lab.check(True, "done")

    assert told(story, port=port).verdict == "held"
    assert cuts == [[["sub2"]], [["pub", "sub1"], ["sub2", "sub3"]], [["sub1"], ["sub2"]]]


def test_a_certificate_is_downloaded_by_name_or_fingerprint_in_either_encoding() -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA", key="ec-256")
        pub = lab.node("pub")
        await pub.upload("tomcat-trust", root.der)
        name = f"{root.fingerprint[:8]}.pem"
        lab.check(await pub.download("tomcat-trust", name) == root.pem, "PEM by name")
        lab.check(await pub.download("tomcat-trust", root.fingerprint, "der") == root.der, "DER by fingerprint")
        await pub.download("tomcat-trust", "Absent.pem")

    result = told(story)
    assert result.trouble is not None
    assert result.trouble.line.startswith("LookupError: pub has no 'Absent.pem' in tomcat-trust")


@pytest.mark.parametrize("serial", [0, -129])
def test_a_certificate_with_an_odd_serial_number_is_downloaded_as_it_is_and_in_silence(serial: int) -> None:
    der = certificate(serial=integer(serial))

    async def story(lab: Lab) -> None:
        pub = lab.node("pub")
        await pub.upload("tomcat-trust", der)
        fingerprint = sha256(der).hexdigest()
        lab.check(await pub.download("tomcat-trust", fingerprint, "der") == der, "byte for byte")
        text = await pub.download("tomcat-trust", fingerprint)
        lab.check(ssl.PEM_cert_to_DER_cert(text.decode()) == der, "in PEM too")

    assert told(story).verdict == "held"  # what the library warns of would end the story


@pytest.mark.parametrize("key", ["rsa-2048", "ec-256", "ec-384"])
def test_a_simulated_ca_is_the_same_in_every_run_of_a_seed(key: str) -> None:
    made: list[bytes] = []

    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA", key=key)
        made.append((await lab.ca("Corp Issuing CA", parent=root, key=key)).der)

    told(story)
    told(story)
    told(story, seed=2)
    assert made[0] == made[1] != made[2]
