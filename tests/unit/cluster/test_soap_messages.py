"""SOAP envelopes as clients write them, odd habits included, and as no client should (wire-interfaces 2)."""

import msgspec
import pytest
from lxml import etree

from tests.playbook import config
from ucmlab.cluster.admin import control_center as center
from ucmlab.cluster.admin import soap_messages as messages
from ucmlab.cluster.admin.soap_messages import NAMESPACE, Asked, SoapFault
from ucmlab.node.instant import SECOND, Instant, from_rfc3339
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.status import ServiceStatus

HEAD = f'<soapenv:Envelope xmlns:soapenv="{messages.ENVELOPE}" xmlns:ns="{NAMESPACE}">'


def enveloped(body: str) -> bytes:
    return f"{HEAD}<soapenv:Header/><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>".encode()


def asked(body: str) -> Asked:
    return messages.read_envelope(enveloped(body))


@pytest.mark.parametrize(
    "inner",
    [
        "<ns:ServiceStatus>A B</ns:ServiceStatus><ns:ServiceStatus>C</ns:ServiceStatus>",
        "<ServiceStatus> A B </ServiceStatus><!-- --><ServiceStatus>C</ServiceStatus>",
        "<ns:ServiceStatus><ns:item>A B</ns:item><ns:item>C</ns:item></ns:ServiceStatus>",
    ],
)
def test_names_stand_alone_or_in_items_with_a_namespace_or_without(inner: str) -> None:
    found = asked(f"<ns:soapGetServiceStatus>{inner}</ns:soapGetServiceStatus>")
    assert (found.name, found.items("ServiceStatus")) == ("soapGetServiceStatus", ["A B", "C"])


@pytest.mark.parametrize(
    "node",
    [
        "",
        "<NodeName/>",
        '<NodeName xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>',
        '<NodeName xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="1">x</NodeName>',
    ],
)
def test_what_is_absent_empty_or_nil_says_nothing(node: str) -> None:
    assert asked(f"<soapDoControlServices>{node}</soapDoControlServices>").said("NodeName") == ""


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    f"{HEAD}<soapenv:Body><x>&c;</x></soapenv:Body></soapenv:Envelope>"
)
OUTSIDE = (
    '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    f"{HEAD}<soapenv:Body><x>&a;</x></soapenv:Body></soapenv:Envelope>"
)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no XML"),
        (b"\x00\xff", "no XML"),
        (b"<a>", "no XML"),
        (b"<a/>", "no SOAP envelope"),
        (enveloped(""), "no SOAP envelope"),
        (BOMB.encode(), "document type"),
        (OUTSIDE.encode(), "document type"),
        (enveloped("<a>" * 40 + "</a>" * 40), "too deep"),
        (b"<a>" * 100_000, "no XML"),
    ],
)
def test_what_is_no_request(data: bytes, words: str) -> None:
    with pytest.raises(SoapFault, match=words) as caught:
        messages.read_envelope(data)
    etree.fromstring(messages.fault(caught.value))


def test_a_fault_says_whose_it_is_and_survives_any_text() -> None:
    made = etree.fromstring(messages.fault(SoapFault("no \x01 <such> thing", by_client=False)))
    assert made.findtext(".//faultcode") == "soapenv:Server"
    assert made.findtext(".//faultstring") == "no \N{REPLACEMENT CHARACTER} <such> thing"


def test_an_answer_has_qualified_elements_in_order_and_one_for_each_of_a_list() -> None:
    data = messages.response("op", {"opReturn": {"A": True, "Items": {"item": ["x", "y"]}, "B": -1}})
    made = etree.fromstring(data)
    (answer,) = made.iter(f"{{{NAMESPACE}}}opReturn")
    assert [(etree.QName(each).localname, each.text) for each in answer.iter()][1:] == [
        ("A", "true"),
        ("Items", None),
        ("item", "x"),
        ("item", "y"),
        ("B", "-1"),
    ]


def status(state: str, since: int = 0) -> ServiceStatus:
    return ServiceStatus(state=state, kind="feature", enabled=True, since=since, loaded={}, pending=())  # type: ignore[arg-type]


NOW = Instant(100 * SECOND, from_rfc3339("2026-11-26T08:00:00Z"))


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (status("started", 40 * SECOND), ("Started", -1, " ", "Thu Nov 26 07:59:00 2026", 60)),
        (status("starting"), ("Starting", -1, " ", " ", -1)),
        (status("stopping"), ("Stopping", -1, " ", " ", -1)),
        (status("stopped"), ("Stopped", -1, "Commanded Out of Service", " ", -1)),
        (status("not activated"), ("Stopped", -1068, "Service Not Activated ", " ", -1)),
        (None, ("Unknown", -1, "Service is not known", " ", -1)),
    ],
)
def test_how_a_service_is_shown(found: ServiceStatus | None, shown: tuple[object, ...]) -> None:
    made = center.information("X", found, NOW)
    assert tuple(made.values()) == ("X", *shown)


def test_every_service_has_one_group_and_every_release_a_version() -> None:
    for release in RuleBook.load("15").releases:
        assert RuleBook.load(release).release.version.count(".") == 3
        for service in RuleBook.load(release).services.values():
            assert (center.group_of(service.name) != "") == (service.kind != "platform"), service.name
    names = [name for group in center._listed().groups.values() for name in group]
    assert len(names) == len(set(names))


def test_the_lists_are_of_the_nodes_own_services() -> None:
    book = RuleBook.load("14SU2")
    publisher = config("pub")
    listed = center.listed(book, publisher)
    assert "IPsec" not in {each.name for each in listed}
    extended = center.extended_list(listed, publisher)["Services"]
    found = msgspec.convert(extended, dict[str, list[dict[str, object]]])
    by_name = {each["ServiceName"]: each for each in found["item"]}
    assert by_name["Cisco Certificate Authority Proxy Function"]["Restrict"] == "PrimaryNode"
    assert by_name["Cluster Manager"]["Restrict"] == "DoNotStop"
    assert by_name["Cisco AXL Web Service"]["DependentServices"] == {"item": ["Cisco Tomcat"]}
