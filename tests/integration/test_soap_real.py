"""Control Center Services of a real node, as programs written against the product use it (wire-interfaces 2).

zeep reads the WSDL that the node serves; plain requests are written as other clients write them.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import zeep

from tests.integration.command_line import CommandLine, Forked, running
from tests.integration.interfaces import client, control, logged_in, post, states, url
from tests.integration.test_tls_real import presented

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("soap"), Forked, nodes="pub,imp1") as made:
        yield made


@pytest.fixture
def session(lab: CommandLine) -> Iterator[requests.Session]:
    with logged_in(lab) as made:
        yield made


@pytest.mark.rule("R-155", "R-156")
def test_zeep_asks_for_states_and_orders_services(lab: CommandLine, session: requests.Session) -> None:
    service = client(lab, session)
    asked = ["Cisco Tftp", "Cisco CallManager"]
    assert states(service.soapGetServiceStatus(asked)) == dict.fromkeys(asked, "Started")
    everything = service.soapGetServiceStatus("")
    assert set(states(everything)) > {"Cisco Tomcat", "Cisco DirSync", "A Cisco DB"}
    dirsync = next(each for each in everything.ServiceInfoList.item if each.ServiceName == "Cisco DirSync")
    assert (dirsync.ServiceStatus, dirsync.ReasonCode) == ("Stopped", -1068)

    def control(kind: str) -> dict[str, str]:
        request = {"NodeName": None, "ControlType": kind, "ServiceList": {"item": ["Cisco Tftp"]}}
        return states(service.soapDoControlServices(request))

    tftp = f"{lab.json('env')['UCMLAB_PUB_ADDRESS']}:6971"
    assert presented(tftp) != ""
    assert control("Stop") == {"Cisco Tftp": "Stopped"}
    assert presented(tftp) == ""
    assert lab.json("dump")["nodes"]["pub"]["services"]["Cisco Tftp"]["state"] == "stopped"
    assert control("Start") == {"Cisco Tftp": "Started"}
    assert presented(tftp) != ""
    assert control("Restart") == {"Cisco Tftp": "Started"}

    def deploy(kind: str) -> Any:  # noqa: ANN401
        request = {"NodeName": "pub.lab.test", "DeployType": kind, "ServiceList": {"item": ["Cisco DirSync"]}}
        return service.soapDoServiceDeployment(request)

    assert states(deploy("Deploy")) == {"Cisco DirSync": "Started"}
    assert states(deploy("UnDeploy")) == {"Cisco DirSync": "Stopped"}
    assert lab.json("dump")["nodes"]["pub"]["services"]["Cisco DirSync"]["enabled"] is False


def test_lists_and_the_product(lab: CommandLine, session: requests.Session) -> None:
    service = client(lab, session)
    listed = {each.ServiceName: each for each in service.soapGetStaticServiceList("").item}
    assert listed["Cisco AXL Web Service"].DependentServices.Service == ["Cisco Tomcat"]
    assert (listed["Cisco Tftp"].Deployable, listed["Cisco Tomcat"].Deployable) == (True, False)
    product = service.getProductInformationList("")
    assert product.ActiveServerVersion == "14.0.1.12900-161"
    assert product.Products.item[0].ProductID == "CallManager"
    extended = client(lab, session, "ControlCenterServicesEx")
    found = extended.getStaticServiceListExtended("")
    assert found.PrimaryNode is True
    assert {each.ServiceName for each in found.Services.item} == set(listed)
    files = extended.getFileDirectoryList("/usr/local/platform/.security/tomcat/certs")
    assert "tomcat.pem" in files
    with pytest.raises(zeep.exceptions.Fault, match="there is no folder"):
        extended.getFileDirectoryList("/../../../..")
    for nowhere in ("/private", "/usr/local/nothing", "/" + "a" * 300, "/a\N{REPLACEMENT CHARACTER}"):
        with pytest.raises(zeep.exceptions.Fault, match="there is no folder"):
            extended.getFileDirectoryList(nowhere)


def test_the_web_server_is_not_stopped_by_who_it_serves(lab: CommandLine, session: requests.Session) -> None:
    request = {"ControlType": "Restart", "ServiceList": {"item": ["Cisco Tomcat"]}}
    with pytest.raises(zeep.exceptions.Fault, match="Cisco Tomcat serves this interface"):
        client(lab, session).soapDoControlServices(request)


def test_requests_as_other_clients_write_them(lab: CommandLine, session: requests.Session) -> None:
    where = url(lab)
    items = "<soapGetServiceStatus><ServiceStatus><item>Cisco Tftp</item></ServiceStatus></soapGetServiceStatus>"
    answer = post(session, where, items)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    assert re.findall(r"<ns1:ServiceName>(.*?)</ns1:ServiceName>", answer.text) == ["Cisco Tftp"]

    # One of them replays the whole text of the cookie, and sends an empty header where the password was.
    cookie = answer.headers["Set-Cookie"]
    with requests.Session() as other:
        other.verify = other.trust_env = False
        again = post(other, where, items, Cookie=cookie, Authorization="")
        assert again.status_code == 200
        assert "Set-Cookie" not in again.headers
        assert post(other, where, items).status_code == 401
        lab.must("service", "restart", "pub", "Cisco Tomcat")
        assert post(other, where, items, Cookie=cookie).status_code == 401, "a session ends with its web server"

    extended = url(lab, service="ControlCenterServicesEx")
    renamed = control("Restart", "Cisco Tftp").replace("soapDoControlServices", "soapDoControlServicesEx")
    renamed = renamed.replace("ControlServiceRequest", "ControlServiceExRequest")
    assert "<ns1:ServiceStatus>Started<" in post(session, extended, renamed).text


@pytest.mark.parametrize("said", ["PUB", "pub.LAB.test", "ADDRESS"])
@pytest.mark.library
def test_a_node_is_named_as_its_clients_know_it(lab: CommandLine, session: requests.Session, said: str) -> None:
    node = said.replace("ADDRESS", lab.json("env")["UCMLAB_PUB_ADDRESS"])
    assert "<ns1:ReturnCode>0<" in post(session, url(lab), control("Start", "Cisco Tftp", node=node)).text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<soapNothing/>", "has no operation soapNothing; there are"),
        ("<soapDoControlServices/>", "there are Start, Stop, Restart"),
        (control("Shoot", "Cisco Tftp"), "there are Start, Stop, Restart"),
        (control("Start", "Cows"), "pub has no Cows"),
        (control("Start"), "ServiceList: it is empty"),
        (control("Start", "Cisco Tftp", node="imp1"), "this is pub.lab.test; ask imp1 itself"),
    ],
)
def test_a_fault_has_status_500_and_says_what_would_work(
    lab: CommandLine, session: requests.Session, body: str, words: str
) -> None:
    answer = post(session, url(lab), body)
    assert answer.status_code == 500
    assert words in answer.text
    assert "<faultstring>" in answer.text


def test_the_platforms_account_is_another(lab: CommandLine, session: requests.Session) -> None:
    env = lab.json("env")
    session.auth = (env["UCMLAB_OS_USER"], env["UCMLAB_OS_PASSWORD"])
    assert session.get(url(lab) + "?wsdl", timeout=30).status_code == 401


def test_an_im_and_presence_node_lists_its_own(lab: CommandLine, session: requests.Session) -> None:
    answer = post(session, url(lab, "imp1"), "<getProductInformationList><ServiceInfo/></getProductInformationList>")
    assert "Cisco XCP Router" in answer.text
    assert "Cisco CallManager<" not in answer.text
