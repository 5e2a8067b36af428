"""Several administrators of one node at once, over several interfaces (wire-interfaces 5.5; design 5: one core).

What they ask for about one unit is done one after the other, and each is told what became of theirs; who asks for
something else waits for nobody, also while an operation waits for a publisher that is away.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.authority import Authority
from tests.integration.command_line import CommandLine, Forked, running
from tests.integration.interfaces import Api, Door, events, sign

pytestmark = [
    pytest.mark.slow,
    # `Api` silences it by filters, which are not a thread's own.
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]
GENERATED = "Successfully Generated CSR for tomcat"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("together"), Forked, nodes="pub,sub1") as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "Together")


@pytest.mark.rule("R-151")
def test_requests_that_many_make_at_once_are_made_one_after_the_other(lab: CommandLine, tmp_path: Path) -> None:
    """Each is told that it was made, and one waits at the end, the same for everybody."""
    api, door = Api(lab, "pub"), Door(lab, "pub")
    with ThreadPoolExecutor(6) as people:
        by_rest = [people.submit(api.post, "/csr", {"service": "tomcat"}) for _ in range(4)]
        by_ssh = people.submit(door.spoken, "set cli pagination off", "set csr gen tomcat", "no")
        by_command = people.submit(lab.must, "cert", "csr", "pub", "tomcat", "-o", tmp_path / "made.csr")
        assert [each.result().status_code for each in by_rest] == [200] * 4
        assert GENERATED in by_ssh.result()[-1]
        by_command.result()
    waits = api.get("/csr", service="tomcat")["csr"]
    assert door.spoken("set cli pagination off", "show csr own tomcat")[-1].replace("\r", "").strip() == waits.strip()
    asked, answered = _orders_of(lab, "pub", "tomcat", "generatecsr")
    assert len(asked) == len(answered) == 5  # four by REST, one over SSH; the command line has no audit lines
    assert {each["outcome"] for each in answered} == {"done"}


def test_of_two_who_upload_one_certificate_one_is_late(lab: CommandLine, authority: Authority, tmp_path: Path) -> None:
    """The request was used up by the other one (W1.3)."""
    api = Api(lab, "pub")
    csr = api.post("/csr", {"service": "ipsec"}).json()["csr"]
    body = {"service": "ipsec", "certificates": [sign(authority, tmp_path, csr)]}
    for ca in (authority.root, authority.issuing):
        trusted = api.post("/trust/certificates", {"service": ["ipsec"], "certificates": [ca.read_text()]})
        assert trusted.status_code == 200, trusted.text
    with ThreadPoolExecutor(2) as people:
        first, second = people.map(lambda _: api.post("/identity/certificates", body), range(2))
    late, done = sorted((first, second), key=lambda answer: -answer.status_code)
    assert (done.status_code, late.status_code) == (200, 500), late.text
    assert late.json()["reason"] == "csr_missing"


@pytest.mark.library
def test_who_waits_for_the_publisher_keeps_nobody_else_waiting(lab: CommandLine, authority: Authority) -> None:
    """An upload on a subscriber is the publisher's to judge; meanwhile its other administrators go on."""
    api, door = Api(lab, "sub1"), Door(lab, "sub1")
    upload = {"service": ["CallManager"], "certificates": [authority.root.read_text()]}
    lab.must("fault", "pause", "pub")  # frozen: sub1 hears neither an answer nor that nobody is there
    try:
        with ThreadPoolExecutor(1) as people:
            waiting = people.submit(api.post, "/trust/certificates", upload)
            assert api.post("/csr", {"service": "tomcat"}).status_code == 200
            assert "Cisco Tomcat[STARTED]" in door.spoken("set cli pagination off", "utils service list")[-1]
            assert api.get("/trust/certificate", service="tomcat")["certificates"]
            assert not waiting.done()
            lab.must("time", "advance", "2m")  # the product gives up after a minute
            answer = waiting.result()
    finally:
        lab.must("fault", "resume", "pub")
    assert (answer.status_code, answer.json()["outcome"]) == (503, "indefinite")
    assert answer.json()["reason"] == "publisher_unreachable"


def _orders_of(
    lab: CommandLine, node: str, unit: str, kind: str
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """What was asked for of one kind about one unit of a node, and what that was answered, as the audit has it."""
    audit = events(lab, "audit")
    asked = [each for each in audit if (each["node"], each.get("unit"), each["kind"]) == (node, unit, kind)]
    ids = {each["operation_id"] for each in asked}
    return asked, [each for each in audit if each["phase"] == "answered" and each["operation_id"] in ids]
