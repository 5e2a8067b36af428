"""The certificate management API of a real lab, as scripts written against the product use it (wire-interfaces 1).

The client is `requests`, which knows nothing of ucmlab; what a change came to is read by OpenSSL, by the command line
and from the other node.
"""

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509

from tests.integration.authority import Authority
from tests.integration.command_line import CommandLine, Forked, running
from tests.integration.interfaces import OF_PUB, Api, fingerprint, leaf_of, presented, sign
from ucmlab.cluster.admin.accounts import FAILURES
from ucmlab.cluster.admin.rest import BASE, BODY_LIMIT, CertificateApi

pytestmark = pytest.mark.slow
# The order is the command line's (wire-interfaces 0).


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("rest"), Forked, nodes="pub,sub1") as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "Rest")


@pytest.mark.rule("R-029", "R-141", "R-142", "R-145", "R-147")
def test_a_renewal_as_scripts_do_it(lab: CommandLine, authority: Authority, tmp_path: Path) -> None:
    api = Api(lab, "sub1")
    before = presented(api)
    asked = {
        "service": "tomcat",
        "distribution": "this-server",
        "commonName": "sub1.lab.test",
        "altNames": ["a.lab.test"],
    }
    made = api.post("/csr", {**asked, "keyType": "rsa", "keyLength": 2048, "hashAlgorithm": "sha256"})
    assert (made.status_code, made.reason) == (200, "")
    csr = made.json()["csr"]
    assert csr.rstrip().endswith("END CERTIFICATE REQUEST-----")
    assert lab.json("cert", "csr", "sub1", "tomcat", "--show")["csr"] == csr, "one truth, whoever asks"

    leaf = sign(authority, tmp_path, csr)
    early = api.post("/identity/certificates", {"service": "tomcat", "certificates": [leaf]})
    with pytest.raises(requests.HTTPError, match=r"^400 Client Error:  for url"):
        early.raise_for_status()
    assert early.json()["reason"] == "chain_incomplete"

    cas = [authority.issuing.read_text(), authority.root.read_text()]
    trust = {"service": ["tomcat"], "certificates": cas, "description": "Trust Certificate"}
    for _ in range(2):  # scripts do it each time
        uploaded = api.post("/trust/certificates", trust)
        assert uploaded.status_code == 200, uploaded.text
    there = [each["certificate"].strip() for each in api.get("/trust/certificate", service="tomcat")["certificates"]]
    assert {ca.strip() for ca in cas} <= set(there)

    done = api.post("/identity/certificates", {"service": "tomcat", "certificates": [leaf, *cas]})
    assert done.status_code == 200, done.text
    assert "error" not in done.json()
    assert api.get("/identity/certificate", service="tomcat") == {
        "service": "tomcat",
        "certificate": leaf_of(leaf),
        "csr": "",
    }
    assert presented(api) == before, "not before the restart"
    lab.must("service", "restart", "sub1", "Cisco Tomcat")
    lab.must("wait", "--presents", "sub1", "Cisco Tomcat", fingerprint(leaf), "--within", "60s")
    assert presented(api) == fingerprint(leaf)

    lab.must("wait", "--converged", "--within", "60s")
    elsewhere = lab.json("dump")["nodes"]["pub"]["trust"]["tomcat-trust"]
    assert {fingerprint(ca) for ca in cas} <= {each["fingerprint"] for each in elsewhere}


@pytest.mark.rule("R-151")
def test_a_leaf_of_a_request_that_was_replaced_is_a_servers_error(
    lab: CommandLine, authority: Authority, tmp_path: Path
) -> None:
    api = Api(lab, "pub")
    cas = [authority.root.read_text(), authority.issuing.read_text()]
    first = api.post("/csr", {"service": "tomcat"}).json()["csr"]
    assert api.post("/csr", {"service": "tomcat", "certificate": "tomcat"}).json()["csr"] != first
    answer = api.post(
        "/identity/certificates", {"service": ["tomcat"], "certificates": [sign(authority, tmp_path, first), *cas]}
    )
    assert (answer.status_code, answer.json()["message"]) == (
        500,
        "CSR Public Key and Certificate Public Key do not match",
    )


def test_the_snapshot_has_every_certificate_of_the_node(lab: CommandLine) -> None:
    for node, units in (("pub", OF_PUB), ("sub1", [unit for unit in OF_PUB if unit != "CAPF"])):
        found = Api(lab, node).get("/snapshot/server")
        assert (found["server"], found["revokedCertificates"]) == (node, [])
        assert [each["service"] for each in found["identities"]] == units
        dumped = lab.json("dump")["nodes"][node]
        for each in found["identities"]:
            x509.load_pem_x509_certificate(each["certificate"].encode())
            assert fingerprint(each["certificate"]) == dumped["identities"][each["service"]]["fingerprint"]
        shown = {
            f"{each['service']}-trust": {fingerprint(one["certificate"]) for one in each["certificate_data"]}
            for each in found["trusts"]
        }
        assert shown == {
            unit: {each["fingerprint"] for each in rows if each["file"]} for unit, rows in dumped["trust"].items()
        }


@pytest.mark.rule("R-128", "R-129", "R-130")
def test_own_operations(lab: CommandLine) -> None:
    api = Api(lab, "pub")
    before = api.get("/identity/certificate", service="CallManager")["certificate"]
    assert api.post("/identity/regenerate", {"service": "CallManager"}).status_code == 200
    after = api.get("/identity/certificate", service="CallManager")["certificate"]
    assert before != after
    form = {"service": "CallManager", "keyLength": 3072, "validityPeriod": 10}
    assert api.post("/identity/selfsigned", form).status_code == 200
    made = x509.load_pem_x509_certificate(
        api.get("/identity/certificate", service="CallManager")["certificate"].encode()
    )
    assert made.public_key().key_size == 3072  # type: ignore[union-attr]  # it is RSA

    store = api.get("/trust/certificate", service="CallManager")["certificates"]
    name = next(each["filename"] for each in store if each["filename"].startswith("Cisco_Root_CA_2048"))
    gone = api.call("DELETE", "/trust/certificate", params={"service": "CallManager", "filename": name})
    assert gone.status_code == 200, gone.text
    assert name not in {
        each["filename"] for each in api.get("/trust/certificate", service="CallManager")["certificates"]
    }
    again = api.call("DELETE", "/trust/certificate", params={"service": "CallManager", "filename": name})
    assert again.status_code == 404

    keys = lab.json("dump")["nodes"]["sub1"]["authz"]
    assert Api(lab, "sub1").get("/keys/authz") == {"keys": keys}
    made = api.post("/keys/authz", {"key": "signing"}).json()["keys"]
    assert (made["signing"] != keys["signing"], made["encryption"]) == (True, keys["encryption"])
    assert api.post("/keys/authz", {"key": "encryption"}).status_code == 400, "R-128"
    assert Api(lab, "sub1").post("/keys/authz", {}).json()["reason"] == "publisher_only"
    assert api.post("/services", {"service": "Cisco Tftp", "action": "restart"}).status_code == 200
    lab.must("wait", "--event", "service_state", "--within", "30s")
    own = api.post("/services", {"service": "Cisco Tomcat", "action": "restart"})
    assert (own.status_code, own.json()["reason"]) == (400, "dependency")


def test_paths_may_end_with_a_slash_and_what_can_be_read_has_a_head(lab: CommandLine) -> None:
    """HEAD: what GET would say, without its body (RFC 9110, 9.3.2)."""
    api = Api(lab, "pub")
    assert api.get("/identity/certificate/", service="tomcat") == api.get("/identity/certificate", service="tomcat")
    head, got = (api.call(method, "/trust/certificate", params={"service": "tomcat"}) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]
    assert api.call("HEAD", "/identity/certificate", params={"service": "cup"}).status_code == 404
    reader = Api(lab, "pub", user="READER")
    assert reader.call("HEAD", "/snapshot/server").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/certificate"),
        ("GET", "/certificate/store"),
        ("GET", "/identity/certificate?service=nothing"),
        ("GET", "/trust/certificate"),
        ("GET", "/csr?service=TVS"),
    ],
)
def test_what_there_is_not_is_not_found(lab: CommandLine, method: str, path: str) -> None:
    assert Api(lab, "pub").call(method, path).status_code == 404


@pytest.mark.parametrize("path", ["service/restart", "services/restart", "utils/service/restart"])
def test_there_is_no_restart_where_scripts_look_for_one(lab: CommandLine, path: str) -> None:
    assert Api(lab, "pub").call("POST", path, base="/platformcom/api/v1/", json={}).status_code == 404


def test_both_ports_show_the_same(lab: CommandLine) -> None:
    api = Api(lab, "pub")
    assert api.call("GET", "/options", port=api.soap).json() == api.get("/options") == api.get("/snapshot/options")


def test_who_has_no_password_is_told_the_realm_and_nothing_else(lab: CommandLine) -> None:
    api = Api(lab, "pub")
    application = Api(lab, "pub", user="APP").account
    for auth in (None, application):  # a wrong password takes a second
        answer = api.call("GET", "/snapshot/server", auth=auth)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="CMPlatform Realm"')
        assert "Server" not in answer.headers


def test_an_account_of_privilege_0_only_reads(lab: CommandLine) -> None:
    reader = Api(lab, "pub", user="READER")
    assert reader.get("/snapshot/server")["server"] == "pub"
    answer = reader.post("/csr", {"service": "tomcat"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "permission")
    assert reader.call("GET", "/keys/authz").status_code == 403, "as on the command line"


@pytest.mark.library
def test_who_guesses_is_locked_out_until_lab_time_has_passed(lab: CommandLine) -> None:
    reader = Api(lab, "sub1", user="READER")
    for _ in range(FAILURES):
        assert reader.call("GET", "/options", auth=(reader.account[0], "guess")).status_code == 401
    assert reader.call("GET", "/options").status_code == 401
    assert Api(lab, "sub1").call("GET", "/options").status_code == 200
    lab.must("time", "advance", "5m")
    assert reader.call("GET", "/options").status_code == 200
    failed = [line for line in events(lab) if line["event"] == "login_failed" and line["user"] == "reader"]
    assert [line["locked"] for line in failed] == [False] * FAILURES + [True]


def test_every_change_has_its_audit_line_and_nothing_secret_in_it(lab: CommandLine) -> None:
    api = Api(lab, "pub")
    tracked = api.post("/csr", {"service": "ipsec"}).json()["trackingId"]
    asked, answered = (line for line in events(lab) if line["event"] == "audit" and line["operation_id"] == tracked)
    assert (asked["phase"], asked["user"], asked["interface"], asked["kind"], asked["unit"]) == (
        "asked",
        "administrator",
        "rest",
        "generatecsr",
        "ipsec",
    )
    assert (answered["phase"], answered["outcome"]) == ("answered", "done")
    caused = [line for line in events(lab) if line["cause"] == asked["id"]]
    assert {line["event"] for line in caused} >= {"operation"}
    assert api.account[1] not in json.dumps(events(lab))


def events(lab: CommandLine) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lab.must("events", "--json").splitlines()]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"service": 1}', b'{"service": "nothing", "certificates": "x"}', b"\0" * 100]
)
@pytest.mark.parametrize(
    "path", ["/csr", "/identity/certificates", "/trust/certificates", "/identity/regenerate", "/services"]
)
def test_malformed_bodies_are_refused_in_one_line(lab: CommandLine, path: str, body: bytes) -> None:
    answer = Api(lab, "pub").call("POST", path, data=body)
    assert answer.status_code in (400, 404)
    assert "\n" not in answer.json()["message"]


def test_a_body_that_is_too_large(lab: CommandLine) -> None:
    answer = Api(lab, "pub").call("POST", "/csr", data=b" " * (BODY_LIMIT + 1))
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")


def test_half_a_request_and_none_keep_nobody_out(lab: CommandLine) -> None:
    api = Api(lab, "pub")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((api.address, api.https)) as raw, context.wrap_socket(raw) as half:
        half.sendall(f"POST {BASE}/csr HTTP/1.1\r\nHost: pub\r\nContent-Length: 10\r\n\r\n{{".encode())
        with socket.create_connection((api.address, api.https)) as other, context.wrap_socket(other) as garbage:
            garbage.sendall(b"\0\1\2\r\n\r\n")
            assert garbage.recv(1 << 16).startswith(b"HTTP/1.")
        assert api.get("/snapshot/server")["server"] == "pub"


def test_the_openapi_file_names_every_operation(lab: CommandLine) -> None:
    document = Api(lab, "pub").get("/openapi.json")
    named = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    served = {(method, path) for method, path, _ in CertificateApi._routes(_Nobody())}
    assert named == served


class _Nobody(CertificateApi):
    """Only its routes are asked for."""

    def __init__(self) -> None:
        pass


def test_the_request_that_waits_is_deleted(lab: CommandLine) -> None:
    """W1.6: made over REST, deleted over REST, seen from the command line."""
    api = Api(lab, "sub1")
    assert api.post("/csr", {"service": "ipsec"}).status_code == 200
    gone = api.call("DELETE", "/csr", params={"service": "ipsec"})
    assert (gone.status_code, gone.json()["service"]) == (200, "ipsec")
    assert lab.json("dump")["nodes"]["sub1"]["identities"]["ipsec"]["csr"] is False
    for method in ("GET", "DELETE"):
        missing = api.call(method, "/csr", params={"service": "ipsec"})
        assert (missing.status_code, missing.json()["reason"]) == (404, "csr_missing")
    assert api.call("DELETE", "/csr", params={"service": "cows"}).status_code == 404
    reader = Api(lab, "sub1", user="READER").call("DELETE", "/csr", params={"service": "ipsec"})
    assert (reader.status_code, reader.json()["reason"]) == (403, "permission")


RAW = {
    "no method": (b"\0\r\n\r\n", 400),
    "no HTTP": (b"hello\r\n\r\n", 400),
    "no version": (b"GET / HTTP/9.9\r\n\r\n", 400),
    "a length that is none": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    "a field too long": (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 9_000 + b"\r\n\r\n", 400),
    "chunks that are none": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400),
    "what there is not": (b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    "nobody": (f"GET {BASE}/options HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(), 401),
    "no such method": (f"PUT {BASE}/csr HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(), 401),
    "to be told to go on": (
        f"POST {BASE}/csr HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n"
        "Connection: close\r\n\r\n".encode(),
        100,
    ),
    "to be told something": (
        f"POST {BASE}/csr HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\nConnection: close\r\n\r\n".encode(),
        417,
    ),
    "something where nothing is": (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\nConnection: close\r\n\r\n", 417),
}


@pytest.mark.parametrize("said", RAW)
def test_every_answer_has_an_empty_reason_and_tells_of_no_software(lab: CommandLine, said: str) -> None:
    """W1.7, whether an application answers, the server in front of them, or what reads HTTP."""
    request, status = RAW[said]
    api = Api(lab, "pub")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((api.address, api.https), 30) as raw,
        context.wrap_socket(raw, suppress_ragged_eofs=True) as wire,
    ):
        wire.sendall(request)
        answer = b"".join(iter(lambda: wire.recv(4096), b"")).decode()
    heads = [each for each in answer.split("\r\n\r\n") if each.startswith("HTTP/")]
    assert heads[0].partition("\r\n")[0] == f"HTTP/1.1 {status} "
    for head in heads:
        assert head.partition("\r\n")[0].endswith(" ")
        assert "\nserver:" not in head.lower()
