"""What a real lab accepts in an upload: chosen when it is made, kept when it is started again."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from tests.integration.command_line import CommandLine
from tests.unit.node.certificate_factory import certificate

pytestmark = pytest.mark.slow


def der_chain(folder: Path, name: str) -> Path:
    loaded = x509.load_der_x509_certificate(certificate(name, ca=True))
    file = folder / f"{name.replace(' ', '_')}.p7b"
    file.write_bytes(pkcs7.serialize_certificates([loaded], Encoding.DER))
    return file


@pytest.mark.rule("X-15")
def test_a_lab_that_accepts_pkcs7_in_der_accepts_it_when_it_is_started_again(lab: CommandLine, tmp_path: Path) -> None:
    config = tmp_path / "lab.toml"
    config.write_text('nodes = ["pub", "sub1"]\nder_pkcs7 = true\n')
    lab.must("up", "--detach", "--config", config)
    lab.must("cert", "upload", "sub1", "tomcat-trust", der_chain(tmp_path, "First Root"), "--wait")
    lab.must("down")
    other = lab.run("up", "--detach", "--strict-uploads")
    assert other.returncode == 2
    assert b"strict_uploads: the lab has false, asked for is true" in other.stderr
    lab.must("up", "--detach")
    lab.must("cert", "upload", "pub", "tomcat-trust", der_chain(tmp_path, "Second Root"), "--wait")
    names = {each["common_name"] for each in lab.json("cert", "list", "sub1", "tomcat-trust")["certificates"]}
    assert names >= {"First Root", "Second Root"}


@pytest.mark.rule("X-15")
def test_a_lab_refuses_it_unless_it_was_asked_to_accept_it(lab: CommandLine, tmp_path: Path) -> None:
    lab.must("up", "--detach", "--nodes", "pub")
    done = lab.run("cert", "upload", "pub", "tomcat-trust", der_chain(tmp_path, "First Root"))
    assert done.returncode == 1
    assert b"a PKCS#7 chain in DER" in done.stderr
