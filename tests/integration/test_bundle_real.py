"""A client that verifies: `UCMLAB_CA_BUNDLE` is right before, between and after, and nobody asks for it again."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.integration.authority import Authority
from tests.integration.command_line import CommandLine
from tests.integration.interfaces import fingerprint

pytestmark = pytest.mark.slow
NAME = "sub1.lab.test"
URL = f"https://{NAME}:8443/"


@pytest.fixture
def bundle(lab: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The bundle of a lab of two nodes; its name leads to sub1."""
    lab.must("up", "--detach", "--nodes", "pub,sub1")
    env = lab.json("env")
    ask = socket.getaddrinfo

    def resolve(host: str, *rest: int) -> object:
        return ask(env["UCMLAB_SUB1_ADDRESS"] if host == NAME else host, *rest)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield env["UCMLAB_CA_BUNDLE"]
    lab.run("down")


def reached(bundle: str) -> int:
    """The status of an answer that came over a connection of its own, verified."""
    return requests.get(URL, verify=bundle, timeout=30).status_code


@pytest.mark.library
@pytest.mark.rule("R-155")
def test_what_is_presented_is_verified_by_the_bundle_all_along(lab: CommandLine, bundle: str, tmp_path: Path) -> None:
    assert reached(bundle) == 404
    self_signed = Path(bundle).read_text()
    authority = Authority(tmp_path, "Bundle")
    lab.must("cert", "csr", "sub1", "tomcat", "-o", tmp_path / "sub1.csr")
    leaf = authority.sign(tmp_path / "sub1.csr")
    for ca in (authority.root, authority.issuing):
        lab.must("cert", "upload", "sub1", "tomcat-trust", ca, "--wait")
    lab.must("cert", "upload", "sub1", "tomcat", leaf)
    assert Path(bundle).read_text() == self_signed, "nothing new is presented yet"
    assert reached(bundle) == 404

    lab.must("service", "restart", "sub1", "Cisco Tomcat")
    lab.must("wait", "--presents", "sub1", "Cisco Tomcat", fingerprint(leaf.read_text()))
    assert authority.root.read_text().strip() in Path(bundle).read_text()
    assert reached(bundle) == 404

    lab.must("down")
    Path(bundle).unlink()
    lab.must("up", "--detach")
    assert reached(bundle) == 404

    lab.must("cert", "regenerate", "sub1", "tomcat", "--yes")
    lab.must("service", "restart", "sub1", "Cisco Tomcat")
    made = lab.json("dump")["nodes"]["sub1"]["identities"]["tomcat"]["fingerprint"]
    lab.must("wait", "--presents", "sub1", "Cisco Tomcat", made)
    assert reached(bundle) == 404
