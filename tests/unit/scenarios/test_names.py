"""Certificates by origin, and the digest over them."""

import hashlib
import json

import msgspec
import pytest

from tests.fakes import FakeLab
from tests.unit.node.certificate_factory import certificate
from tests.unit.scenarios.told import told
from ucmlab.node.events import FileImage
from ucmlab.scenarios import Lab
from ucmlab.scenarios.names import Names, fingerprint


def test_a_certificate_is_named_by_where_it_came_from_and_keeps_its_first_name() -> None:
    names = Names()
    names.identities("pub", {"tomcat": b"one", "CAPF": b"two"})
    names.identities("pub", {"tomcat": b"three", "CAPF": b"two"})
    names.made("ca:Root", b"two")
    assert [names.of(fingerprint(der)) for der in (b"one", b"two", b"three")] == [
        "pub/tomcat#1",
        "pub/CAPF#1",
        "pub/tomcat#2",
    ]


def test_what_nobody_made_came_from_a_file() -> None:
    assert Names().of("ab12") == "file:ab12"


@pytest.mark.rule("B.2")
def test_what_the_installation_left_in_stores_is_named_by_its_common_name_and_copies_of_identities_are_not() -> None:
    lab, root, tomcat = FakeLab(), certificate("Cisco Root CA M2", ca=True), certificate("pub.lab.test")
    files = [FileImage("tomcat-trust", f"{at}.pem", der) for at, der in enumerate((root, tomcat))]
    names = Names()
    names.identities("pub", {"tomcat": tomcat})
    names.installed(msgspec.structs.replace(lab.view("pub"), files=tuple(files)))
    assert names.of(fingerprint(root)) == "default:Cisco Root CA M2#1"
    assert names.of(fingerprint(tomcat)) == "pub/tomcat#1"


async def upload_one(lab: Lab) -> None:
    """Upload a CA and wait for it."""
    root = await lab.ca("Corp Root CA")
    (await lab.node("pub").upload("tomcat-trust", root.der)).must_be("done")
    await lab.wait("1m")


def test_a_result_names_stores_rows_loaded_copies_and_outcomes() -> None:
    result = told(upload_one)
    assert result.stores["sub1"] == {"tomcat": ["sub1/tomcat#1"], "tomcat-trust": ["ca:Corp Root CA#1"]}
    assert result.rows["sub1"] == {"tomcat-trust": ["ca:Corp Root CA#1"]}
    assert result.loaded["sub1"] == {"Cisco Tftp": {"tomcat": "sub1/tomcat#1"}}
    assert result.outcomes == [["pub", "upload to tomcat-trust on pub", "done", ""]]


def test_the_digest_can_be_computed_from_the_result_file() -> None:
    written = json.loads(json.dumps(told(upload_one).json()))
    covered = {key: written[key] for key in ("loaded", "outcomes", "rows", "stores")}
    canonical = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert written["digest"] == hashlib.sha256(canonical).hexdigest()


def test_the_digest_knows_no_serials_and_no_instants_but_every_store() -> None:
    later = FakeLab()
    later._now += 999  # a lab that began at another instant
    assert told(upload_one).digest == told(upload_one, seed=2, port=later).digest

    async def upload_elsewhere(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA")
        (await lab.node("pub").upload("CallManager-trust", root.der)).must_be("done")
        await lab.wait("1m")

    assert told(upload_one).digest != told(upload_elsewhere).digest
