"""What a real node refuses, by whichever interface, in the product's words (wire-interfaces 1.3, 1.4).

Nothing is changed by what is refused: identity, request and stores are as before.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.admin_surfaces import Rest, Ssh
from tests.integration.authority import Authority
from tests.integration.command_line import CommandLine, Forked, running
from tests.integration.interfaces import FAILED, Api, Door, fingerprint
from tests.openssl import openssl
from tests.unit.node.certificate_factory import START, certificate
from ucmlab.node.certificates import pem

pytestmark = [pytest.mark.slow, pytest.mark.library]
SAN_DIFFERS = "CSR SAN and Certificate SAN does not match"
BY_PAGE_ALONE = "Uploading a multi-SAN certificate from the CLI is not supported"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("refusals"), Forked, nodes="pub,sub1") as made:
        yield made


@pytest.fixture(scope="module")
def authority(lab: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that the publisher trusts."""
    made = Authority(tmp_path_factory.mktemp("authority"), "Refusing")
    Rest(lab).trust("pub", "tomcat", [made.root.read_text(), made.issuing.read_text()])
    return made


def request(lab: CommandLine, folder: Path, **asked: object) -> Path:
    """A new request for the publisher's web certificate."""
    answer = Api(lab, "pub").post("/csr", {"service": "tomcat", **asked})
    assert answer.status_code == 200, answer.text
    file = folder / "tomcat.csr"
    file.write_text(answer.json()["csr"])
    return file


def uploaded(lab: CommandLine, leaf: str) -> tuple[int, str]:
    """By REST: the status, and the text of an error."""
    answer = Api(lab, "pub").post("/identity/certificates", {"service": "tomcat", "certificates": [leaf]})
    return answer.status_code, answer.json().get("message", "")


def imported(lab: CommandLine, node: str, what: str, text: str) -> str:
    """By the command line: what is said of a failure, below what was typed."""
    said = Door(lab, node).spoken(f"set cert import {what}", text + "\r")[-1]
    _, failed, why = said.replace("\r", "").partition(f"{FAILED}\n")
    assert failed, said
    return why


def state(lab: CommandLine) -> object:
    dumped = lab.json("dump")["nodes"]["pub"]
    return dumped["identities"], dumped["trust"]


def test_other_names_than_were_asked_for(lab: CommandLine, authority: Authority, tmp_path: Path) -> None:
    csr, leaf = request(lab, tmp_path, altNames=["one.lab.test"]), tmp_path / "leaf.pem"
    issuer = ("-CA", authority.issuing, "-CAkey", authority.folder / "issuing.key", "-CAcreateserial")
    names, before = tmp_path / "names", state(lab)
    names.write_text(
        "subjectAltName=DNS:two.lab.test,DNS:three.lab.test\nextendedKeyUsage=serverAuth,clientAuth\n"
        "keyUsage=digitalSignature,keyEncipherment,dataEncipherment\n"
    )
    openssl("x509", "-req", "-in", csr, *issuer, "-extfile", names, "-days", "700", "-out", leaf)
    status, text = uploaded(lab, leaf.read_text())
    assert (status, text.partition(";")[0]) == (400, SAN_DIFFERS)
    assert state(lab) == before


@pytest.mark.rule("B.10")
@pytest.mark.parametrize("surface", ["rest", "ssh"])
def test_the_organizational_unit_may_be_left_out_by_the_ca(
    lab: CommandLine, authority: Authority, tmp_path: Path, surface: str
) -> None:
    """What is not refused: the request names it because that was asked for, and the CA does not."""
    if surface == "rest":
        file = request(lab, tmp_path, includeOU=True)
    else:
        (file := tmp_path / "tomcat.csr").write_text(_asked_over_ssh(lab))
    subject = openssl("req", "-in", file, "-noout", "-subject", "-nameopt", "RFC2253").strip().partition("=")[2]
    assert "OU=Laboratory," in subject
    kept = reversed([part for part in subject.split(",") if not part.startswith("OU=")])
    leaf = authority.sign(file, "-subj", "/" + "/".join(kept)).read_text()
    assert uploaded(lab, leaf) == (200, "")


def _asked_over_ssh(lab: CommandLine) -> str:
    said = Door(lab, "pub").spoken("set cli pagination off", "set csr gen tomcat", "yes", "show csr own tomcat")
    return said[-1].replace("\r", "")


@pytest.mark.rule("R-121")
def test_what_names_several_nodes_is_not_for_the_command_line(
    lab: CommandLine, authority: Authority, tmp_path: Path
) -> None:
    leaf = authority.sign(request(lab, tmp_path, distribution="multi-server")).read_text()
    before = state(lab)
    assert imported(lab, "pub", "own tomcat", leaf).startswith(BY_PAGE_ALONE)
    assert state(lab) == before
    assert uploaded(lab, leaf) == (200, "")
    lab.must("wait", "--converged", "--within", "60s")
    everywhere = lab.json("dump")["nodes"].values()
    assert {each["identities"]["tomcat"]["fingerprint"] for each in everywhere} == {fingerprint(leaf)}


@pytest.mark.rule("R-151")
def test_a_request_that_was_replaced_by_the_other_interface(
    lab: CommandLine, authority: Authority, tmp_path: Path
) -> None:
    stale = authority.sign(request(lab, tmp_path)).read_text()
    Ssh(lab).make_csr("pub", "tomcat")
    before, words = state(lab), "CSR Public Key and Certificate Public Key do not match"
    assert uploaded(lab, stale) == (500, words)
    assert imported(lab, "pub", "own tomcat", stale).startswith(words)
    assert state(lab) == before


@pytest.mark.parametrize(
    ("der", "words"),
    [
        (certificate("*.lab.test", ca=True), "Wildcard certificates are not supported"),
        (certificate("Past Root", ca=True, end=START + timedelta(days=1)), "The certificate has expired"),
        (b"", "Certificate is not in PEM format"),
    ],
    ids=["wildcard", "expired", "torn"],
)
def test_what_is_not_trusted(lab: CommandLine, der: bytes, words: str) -> None:
    text, before = pem(der) if der else "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", state(lab)
    answer = Api(lab, "sub1").post("/trust/certificates", {"service": "tomcat", "certificates": [text]})
    assert (answer.status_code, answer.json()["messages"]) == (400, [answer.json()["message"]])
    assert answer.json()["message"].startswith(words)
    assert imported(lab, "sub1", "trust tomcat", text).startswith(words)
    assert state(lab) == before
