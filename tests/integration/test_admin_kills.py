"""What an admin interface has acknowledged is there after the node was killed at that very moment (design 5).

The node is killed by its pid, right after the answer was read; what it said is then looked for after its boot, and on
the other node.
"""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.integration.authority import Authority
from tests.integration.command_line import CommandLine, Forked, identity, running
from tests.integration.interfaces import Api, Door, control, fingerprint, post, sign, url
from tests.integration.test_soap_real import session

__all__ = ["session"]
pytestmark = [pytest.mark.slow, pytest.mark.library]
NODE = "sub1"
Kill = Callable[[], None]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("kills"), Forked, nodes="pub,sub1") as made:
        yield made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, tmp_path.name)


@pytest.fixture
def kill(lab: CommandLine) -> Iterator[Kill]:
    """Kills the node without a word to the lab; a test that fails before its own boot leaves it running too."""
    pid = lab.json("dump")["nodes"][NODE]["pid"]
    yield lambda: os.kill(pid, signal.SIGKILL)
    reboot(lab)


def reboot(lab: CommandLine) -> None:
    lab.must("fault", "start", NODE)  # nothing, if it is up
    lab.must("wait", "--converged")


def trusted(lab: CommandLine, node: str, service: str) -> set[str]:
    found = Api(lab, node).get("/trust/certificate", service=service)["certificates"]
    return {fingerprint(each["certificate"]) for each in found}


def test_a_request_made_by_the_api(lab: CommandLine, kill: Kill) -> None:
    made = Api(lab, NODE).post("/csr", {"service": "tomcat"}).json()["csr"]
    kill()
    reboot(lab)
    assert Api(lab, NODE).get("/csr", service="tomcat")["csr"] == made


def test_certificates_uploaded_by_the_api(lab: CommandLine, authority: Authority, tmp_path: Path, kill: Kill) -> None:
    """The trust certificates reach the other node although their own died; the identity is in its place."""
    api = Api(lab, NODE)
    cas = [authority.root.read_text(), authority.issuing.read_text()]
    leaf = sign(authority, tmp_path, api.post("/csr", {"service": "tomcat"}).json()["csr"])
    assert api.post("/trust/certificates", {"service": ["tomcat"], "certificates": cas}).status_code == 200
    assert api.post("/identity/certificates", {"service": "tomcat", "certificates": [leaf, *cas]}).status_code == 200
    kill()
    reboot(lab)
    assert identity(lab, NODE)["fingerprint"] == fingerprint(leaf)
    for node in ("pub", NODE):
        assert {fingerprint(ca) for ca in cas} <= trusted(lab, node, "tomcat"), node


def test_what_was_pasted_over_ssh(lab: CommandLine, authority: Authority, kill: Kill) -> None:
    pasted = authority.root.read_text() + "\r"
    said = Door(lab, NODE).spoken("set cli pagination off", "set cert import trust CallManager", pasted)
    assert "Successfully imported certificate for CallManager-trust." in said[-1]
    kill()
    reboot(lab)
    assert fingerprint(authority.root.read_text()) in trusted(lab, "pub", "CallManager")


@pytest.mark.parametrize("kind", ["UnDeploy", "Deploy"])
def test_whether_a_service_is_activated(lab: CommandLine, session: requests.Session, kill: Kill, kind: str) -> None:
    """By SOAP: it is a matter of what starts at boot, so of the disk."""
    body = control(kind, "Cisco Tftp").replace("soapDoControlServices", "soapDoServiceDeployment")
    body = body.replace("ControlServiceRequest", "DeploymentServiceRequest").replace("ControlType", "DeployType")
    assert "<ns1:ReturnCode>0<" in post(session, url(lab, NODE), body).text
    kill()
    reboot(lab)
    services = {each["service"]: each["state"] for each in Api(lab, NODE).get("/services")["services"]}
    assert services["Cisco Tftp"] == {"UnDeploy": "not activated", "Deploy": "started"}[kind]
