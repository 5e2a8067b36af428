"""The pytest plugin without a lab: what its marker says, how names are made, and how little it imports."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.node.certificate_factory import certificate
from ucmlab.cluster.cli.up import up
from ucmlab.cluster.pytesting.lab import LabNode, RunningLab, fingerprint
from ucmlab.cluster.pytesting.options import OPTIONS, command_line
from ucmlab.cluster.pytesting.reports import folder_name
from ucmlab.node.certificates import parse, pem

OURS = {"directory", "detach", "as_json", "fresh", "phones"}
"""Options of `up` that are not a test's to say."""
ENV = {
    "UCMLAB_SUB_1_ADDRESS": "127.9.9.12",
    "UCMLAB_SUB_1_FQDN": "sub-1.lab.test",
    "UCMLAB_SUB_1_HTTPS_PORT": "10443",
    "UCMLAB_SUB_1_SOAP_PORT": "8443",
    "UCMLAB_OS_USER": "administrator",
    "UCMLAB_OS_PASSWORD": "secret",
    "UCMLAB_CA_BUNDLE": "/lab/ca-bundle.pem",
}


@pytest.fixture
def lab() -> RunningLab:
    """A lab that was asked already."""
    made = RunningLab(Path("/nowhere"))
    made.__dict__ |= {"env": ENV, "nodes": ("sub-1",)}
    return made


def test_the_marker_takes_the_options_of_up() -> None:
    known = {re.sub("^--", "", each.opts[0]).replace("-", "_") for each in up.params if each.name not in OURS}
    assert known == OPTIONS


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({}, []),
        ({"nodes": "pub,sub1", "speed": 60}, ["--nodes", "pub,sub1", "--speed", "60"]),
        ({"nodes": ["pub", "sub1"]}, ["--nodes", "pub,sub1"]),
        ({"strict_uploads": True, "beyond_product": False}, ["--strict-uploads"]),
    ],
)
def test_keywords_become_options(keywords: dict[str, object], words: list[str]) -> None:
    assert command_line(keywords) == words


def test_a_node_is_where_the_environment_says(lab: RunningLab) -> None:
    assert lab.node("sub-1") == LabNode("sub-1", "127.9.9.12", "sub-1.lab.test", 10443, 8443, None)
    assert lab.node("sub-1").url == "https://sub-1.lab.test:10443"
    assert (lab.os_account, lab.ca_bundle) == (("administrator", "secret"), "/lab/ca-bundle.pem")
    with pytest.raises(LookupError, match=r"^there is no node 'sub1' in this lab; there are sub-1$"):
        lab.node("sub1")


def test_full_names_lead_to_the_nodes_for_a_while(lab: RunningLab) -> None:
    before = socket.getaddrinfo
    with lab.resolving():
        found = socket.getaddrinfo("sub-1.lab.test", 8443, type=socket.SOCK_STREAM)
        assert [place for *_, place in found] == [("127.9.9.12", 8443)]
        assert socket.getaddrinfo("127.0.0.1", 1, type=socket.SOCK_STREAM)
        assert socket.getaddrinfo(None, 1, type=socket.SOCK_STREAM)
    assert socket.getaddrinfo is before


def test_a_certificate_is_named_by_pem_or_fingerprint() -> None:
    der = certificate("leaf")
    assert fingerprint(pem(der) + pem(certificate("issuer"))) == fingerprint(parse(der).fingerprint)
    assert fingerprint(pem(der)) == parse(der).fingerprint


def test_a_tests_name_becomes_one_folders() -> None:
    assert folder_name("tests/test_a.py::Test::test_b[x/../y z]") == "tests-test_a.py-Test-test_b-x-..-y-z"
    assert len(folder_name("x" * 1000)) == 150


def test_until_a_lab_is_asked_for_nothing_of_it_is_imported() -> None:
    asked = "import sys, ucmlab.cluster.pytesting.plugin; print(*sorted(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60).stdout
    assert not {"aiohttp", "aiomqtt", "click", "cryptography", "msgspec", "psutil", "rich"} & set(told.split())
