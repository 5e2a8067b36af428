"""What clients of the certificate API write, odd habits included, and what is understood (wire-interfaces 1)."""

import json
import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from tests.unit.node.certificate_factory import certificate
from ucmlab.cluster.admin import rest_answers as answers
from ucmlab.cluster.admin import rest_requests as requests
from ucmlab.cluster.admin.rest_requests import Wrong
from ucmlab.node.certificates import parse, pem
from ucmlab.node.commands import Reply
from ucmlab.node.events import FileImage, GenerateCsr, GenerateSelfSigned, OrderService
from ucmlab.node.rulebook import RuleBook

BOOK = RuleBook.load("14SU2")
FQDN = "pub.lab.test"
CA = certificate("Some CA", ca=True)
TABLE = Path(str(resources.files("ucmlab.cluster.admin"))) / "rest_statuses.toml"
WIRE_RULE = re.compile(r"W1\.[2-7]")
REFUSED = re.compile(r'(?:Refusal\(\s*|"(?:refused|partial|indefinite)",\s*(?:reason=)?)"([a-z_0-9]+)"')


def test_a_request_as_scripts_send_it() -> None:
    body = {
        "service": "tomcat",
        "distribution": "this-server",
        "commonName": FQDN,
        "keyType": "rsa",
        "keyLength": 2048,
        "hashAlgorithm": "sha256",
        "altNames": ["www.lab.test"],
    }
    expected = GenerateCsr("", "tomcat", "rsa-2048", "sha256", ("www.lab.test",), common_name=FQDN)
    assert requests.csr_of(BOOK, body, role="pub", fqdn=FQDN) == expected


@pytest.mark.parametrize("name", ["certificate", "certName", "name"])
def test_keys_that_nobody_reads_are_passed_over(name: str) -> None:
    assert requests.csr_of(BOOK, {"service": "tomcat", name: "tomcat"}, role="pub", fqdn=FQDN) == GenerateCsr(
        "", "tomcat"
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"distribution": "Multi-server(SAN)"}, GenerateCsr("", "tomcat", multi_server=True)),
        ({"distribution": "MULTI-SERVER"}, GenerateCsr("", "tomcat", multi_server=True)),
        ({"distribution": "PUB.lab.test"}, GenerateCsr("", "tomcat")),
        ({"distribution": None, "altNames": None}, GenerateCsr("", "tomcat")),
        ({"service": ["Tomcat"]}, GenerateCsr("", "tomcat")),
        ({"keyLength": "4096"}, GenerateCsr("", "tomcat", "rsa-4096")),
        ({"keyType": "RSA"}, GenerateCsr("", "tomcat", "rsa-2048")),
        ({"service": "tomcat-ecdsa", "keyType": "ECDSA", "keyLength": 256}, GenerateCsr("", "tomcat-ECDSA", "ec-256")),
        ({"keyType": "ec"}, GenerateCsr("", "tomcat", "ec-")),
        ({"hashAlgorithm": "SHA-384"}, GenerateCsr("", "tomcat", "", "sha384")),
        ({"altNames": "one.lab.test"}, GenerateCsr("", "tomcat", san=("one.lab.test",))),
        ({"includeOU": "true"}, GenerateCsr("", "tomcat", include_ou=True)),
    ],
)
def test_what_is_liberally_understood(said: dict[str, object], meant: GenerateCsr) -> None:
    assert requests.csr_of(BOOK, {"service": "tomcat", **said}, role="pub", fqdn=FQDN) == meant


@pytest.mark.parametrize(
    ("said", "reason", "words"),
    [
        ({"service": "cups"}, "not_found", "service: 'cups'; there are tomcat, "),
        ({"service": None}, "not_found", "service: it is missing; there are"),
        ({"service": "cup"}, "not_found", "service: 'cup'; there are tomcat, .*ITLRecovery$"),
        ({"service": ["tomcat", "CAPF"]}, "not_found", "there are tomcat"),
        ({"service": {"a": 1}}, "format", "is no list of texts"),
        ({"distribution": "everywhere"}, "format", "there are this-server and multi-server"),
        ({"keyType": "dsa"}, "key_type", "there are rsa and ec"),
        ({"keyLength": "long"}, "format", "keyLength: 'long' is no number"),
        ({"keyLength": True}, "format", "keyLength: True is no number"),
        ({"keyLength": -1}, "format", "is no number"),
        ({"altNames": [1]}, "format", "altNames: .* is no list of texts"),
        ({"commonName": 7}, "format", "commonName: 7 is no text"),
        ({"includeOU": "perhaps"}, "format", "say true or false"),
        ({"hashAlgorithm": []}, "format", "hashAlgorithm: .* is no text"),
    ],
)
def test_what_is_not_understood_is_told_with_the_key_and_what_would_do(
    said: dict[str, object], reason: str, words: str
) -> None:
    with pytest.raises(Wrong, match=words) as caught:
        requests.csr_of(BOOK, {"service": "tomcat", **said}, role="pub", fqdn=FQDN)
    assert (caught.value.answer.status, caught.value.answer.body["reason"]) == (400, reason)


def test_a_byte_order_mark_before_the_body_is_passed_over() -> None:
    assert requests.read_body(b'\xef\xbb\xbf{"service": "tomcat"}') == {"service": "tomcat"}


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_object(data: bytes) -> None:
    with pytest.raises(Wrong, match="the body is no JSON object") as caught:
        requests.read_body(data)
    assert caught.value.answer.status == 400


@pytest.mark.parametrize(
    ("said", "units"),
    [
        ("tomcat", ("tomcat-trust",)),
        (["tomcat"], ("tomcat-trust",)),
        (["tomcat-trust", "TOMCAT", "callmanager"], ("tomcat-trust", "CallManager-trust")),
    ],
)
def test_trust_stores_with_and_without_their_ending(said: object, units: tuple[str, ...]) -> None:
    assert requests.trust_units(BOOK, said, role="pub") == units


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, "^service: it is missing; there are tomcat, "),
        ([], r"^service: \[\]; there are tomcat, "),
        ("", "^service: '' is no trust store; there are tomcat, "),
        ("nothing", "^service: 'nothing' is no trust store; there are tomcat, "),
        (["tomcat", "nothing"], "^service: 'nothing' is no trust store; there are tomcat, "),
    ],
)
def test_no_trust_store(said: object, words: str) -> None:
    with pytest.raises(Wrong, match=words) as caught:
        requests.trust_units(BOOK, said, role="pub", status=404)
    assert caught.value.answer.status == 404


def test_pasted_certificates_are_taken_apart() -> None:
    text = pem(CA)
    given = requests.certificates({"certificates": [f"# a bundle\n{text}\n{text}", text.replace("\n", "\r\n")]})
    assert [each.count(b"BEGIN CERTIFICATE") for each in given] == [1, 1, 1]


@pytest.mark.timeout(20)
def test_a_text_of_beginnings_is_gone_through_once() -> None:
    assert len(requests.certificates({"certificates": "-----BEGIN A-----" * 60_000})) == 1


def test_what_is_no_pem_is_left_to_the_core() -> None:
    assert requests.certificates({"certificates": "nonsense"}) == (b"nonsense",)
    with pytest.raises(Wrong, match="the list is empty"):
        requests.certificates({"certificates": []})


@pytest.mark.parametrize("name", ["Some_CA_1.pem", "Some_CA_1", "tomcat-trust/Some_CA_1.pem"])
def test_a_file_is_named_as_lists_show_it(name: str) -> None:
    files = [FileImage("CallManager-trust", "Some_CA_1.pem", b""), FileImage("tomcat-trust", "Some_CA_1.pem", CA)]
    asked = requests.delete_of("tomcat-trust", name, files)
    assert (asked.unit, asked.fingerprint) == ("tomcat-trust", parse(CA).fingerprint)
    with pytest.raises(Wrong) as caught:
        requests.delete_of("tomcat-trust", "other.pem", files)
    assert caught.value.answer.status == 404


def test_a_file_that_is_not_named_is_told_with_what_lists_them() -> None:
    words = r"^filename: it is missing; GET /trust/certificate\?service=tomcat lists them$"
    with pytest.raises(Wrong, match=words) as caught:
        requests.delete_of("tomcat-trust", "", [FileImage("tomcat-trust", "a.pem", CA)])
    assert caught.value.answer.status == 404


def test_an_order_to_a_service() -> None:
    asked = requests.order_of({"service": "cisco tftp", "action": "Restart"}, node="pub", services=["Cisco Tftp"])
    assert asked == OrderService("", "pub", "Cisco Tftp", "restart")
    for body, status, words in (
        ({"service": "x", "action": "stop"}, 404, "^service: pub has no 'x'; GET /services lists them$"),
        ({"action": "stop"}, 404, "^service: it is missing; GET /services lists them$"),
        ({"service": None}, 404, "^service: it is missing; GET /services lists them$"),
        ({"service": "Cisco Tftp"}, 400, "^action: it is missing; there are start, stop, restart$"),
        ({"service": "Cisco Tftp", "action": None}, 400, "^action: it is missing; there are start, stop, restart$"),
        ({"service": "Cisco Tftp", "action": "shoot"}, 400, "^action: 'shoot'; there are start, stop, restart$"),
    ):
        with pytest.raises(Wrong, match=words) as caught:
            requests.order_of(body, node="pub", services=["Cisco Tftp"])
        assert caught.value.answer.status == status


def test_a_self_signed_certificate() -> None:
    body = {"service": "tomcat", "keyLength": 3072, "validityPeriod": 10, "distribution": "multi-server"}
    expected = GenerateSelfSigned("", "tomcat", "rsa-3072", years=10, multi_server=True)
    assert requests.self_signed_of(BOOK, body, role="pub", fqdn=FQDN) == expected


NULLABLE = (
    *("keyType", "keyLength", "hashAlgorithm", "altNames", "commonName", "includeOU", "distribution"),
    "validityPeriod",
)


@pytest.mark.parametrize("key", NULLABLE)
def test_null_is_what_is_not_there(key: str) -> None:
    body = {"service": "tomcat", key: None}
    assert requests.csr_of(BOOK, body, role="pub", fqdn=FQDN) == GenerateCsr("", "tomcat")
    assert requests.self_signed_of(BOOK, body, role="pub", fqdn=FQDN) == GenerateSelfSigned("", "tomcat")


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply("1", "done"), 200),
        (Reply("1", "refused", "chain_incomplete", "CA certificate is not available in the trust-store"), 400),
        (Reply("1", "refused", "key_mismatch", "CSR Public Key and Certificate Public Key do not match"), 500),
        (Reply("1", "refused", "csr_missing", "File does not exist"), 500),
        (Reply("1", "refused", "not_found", "No such certificate"), 404),
        (Reply("1", "partial", "publisher_unreachable", "changed on this node only"), 503),
        (Reply("1", "indefinite", "", "nothing is known"), 503),
    ],
)
def test_a_status_says_what_came_of_it(reply: Reply, status: int) -> None:
    answer = answers.answered(reply, {"service": "tomcat"})
    assert answer.status == status
    assert "error" not in answer.body, "clients take that for a failure"
    assert ("messages" in answer.body) == (status != 200)
    json.dumps(answer.body)


def test_every_reason_word_has_one_status() -> None:
    assert answers.statuses().keys() == BOOK.refusals.keys()
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["status"]
    listed = [reason for row in rows for reason in row["reasons"]]
    assert len(listed) == len(set(listed))
    assert all(row["rule"] == "ours" or WIRE_RULE.fullmatch(row["rule"]) for row in rows)


@pytest.mark.parametrize("place", ["node", "publisher"])
def test_every_word_that_a_core_refuses_with_has_a_status(place: str) -> None:
    """As their sources say it: `Refusal("word", …)`, `Reply(…, "refused", "word", …)`, `reason="word"` of a reply."""
    sources = Path(str(resources.files(f"ucmlab.{place}"))).glob("*.py")
    words = {word for file in sources for word in REFUSED.findall(file.read_text(encoding="utf-8"))}
    assert words != set()
    assert words <= answers.statuses().keys()


def test_uploading_again_what_is_there_is_no_error_and_every_refusal_is_told() -> None:
    there = Reply("1", "refused", "already_present", "The certificate already exists in tomcat-trust")
    bad = Reply("2", "refused", "expired", "The certificate has expired")
    assert answers.several([there, Reply("3", "done")], {}).status == 200
    answer = answers.several([there, bad, Reply("3", "refused", "format", "no PEM")], {})
    assert (answer.status, answer.body["messages"]) == (400, ["The certificate has expired", "no PEM"])


def test_the_snapshot_has_one_identity_for_each_unit_and_empty_texts_for_what_is_not_there() -> None:
    units = BOOK.units_of("pub")
    made = answers.snapshot("pub", units, {"tomcat": CA}, {}, [FileImage("tomcat-trust", "a.pem", CA)])
    identities = made["identities"]
    assert isinstance(identities, list)
    assert {each["service"] for each in identities} == {unit.name for unit in units if unit.kind == "identity"}
    assert {each["service"]: each["certificate"] for each in identities}["CAPF"] == ""
    trusts = made["trusts"]
    assert isinstance(trusts, list)
    assert {"service": "tomcat", "certificate_data": [{"filename": "a.pem", "certificate": pem(CA)}]} in trusts


def test_options_say_what_the_tables_say() -> None:
    listed = answers.options(BOOK, BOOK.units_of("pub"), "pub")["options"]
    assert isinstance(listed, list)
    tomcat = next(each for each in listed if each["service"] == "tomcat")
    assert tomcat["keyLengths"] == [1024, 2048, 3072, 4096]
    assert tomcat["distributions"] == ["this-server", "multi-server"]
    assert "ITLRecovery" not in {each["service"] for each in listed}
