"""Identities of a real lab, from the command line: keys and certificates on disk, signed and judged by OpenSSL."""

import json
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.authority import Authority
from tests.integration.command_line import CommandLine, Forked, home, identity, running
from tests.openssl import openssl, verify

PLACES = ("platform/.security/tomcat-ECDSA", "cm/.security/CallManager-ECDSA")
FOLDER = "usr/local/platform/.security/tomcat"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("identities"), Forked) as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "OpenSSL")


def public_key(path: Path, *kind: str) -> str:
    return subprocess.run(["openssl", *kind, "-in", path], capture_output=True, text=True, check=True).stdout


@pytest.mark.rule("R-012", "R-017", "R-020", "R-021", "R-028", "R-039", "R-142")
def test_openssl_signs_a_request_and_its_leaf_takes_the_identitys_place(
    lab: CommandLine, authority: Authority, tmp_path: Path
) -> None:
    csr = tmp_path / "tomcat.csr"
    lab.must("cert", "csr", "sub1", "tomcat", "--san", "web.lab.test", "-o", csr)
    leaf = authority.sign(csr)
    refused = lab.run("cert", "upload", "sub1", "tomcat", leaf)
    assert (refused.returncode, refused.stdout) == (1, b"")
    warning, line, *_ = refused.stderr.decode().splitlines()
    assert "CN=OpenSSL Issuing is missing" in warning
    assert line == "refused chain_incomplete: CA certificate is not available in the trust-store"

    chain = tmp_path / "chain.p7b"
    openssl("crl2pkcs7", "-nocrl", "-certfile", authority.issuing, "-certfile", authority.root, "-out", chain)
    lab.must("cert", "upload", "pub", "tomcat-trust", chain, "--wait")
    lab.must("cert", "upload", "sub1", "tomcat", leaf, "--wait")
    told = identity(lab, "sub1")
    assert (told["origin"], told["csr"], told["issuer"]) == ("ca-signed", False, "CN=OpenSSL Issuing")

    files = home(lab, "sub1") / FOLDER
    key = files / "keys" / "tomcat_priv.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert public_key(key, "pkey", "-pubout") == public_key(files / "certs" / "tomcat.pem", "x509", "-noout", "-pubkey")
    assert not list(files.glob("keys/tomcat*csr*"))

    served = lab.must("cert", "download", "sub1", "tomcat").encode()
    assert openssl("x509", "-outform", "DER", stdin=served) == openssl("x509", "-outform", "DER", "-in", leaf)
    roots, above = authority.root.read_bytes(), authority.issuing.read_bytes()
    assert verify(tmp_path, served, roots=roots, above=above, at=datetime.now(UTC)).endswith(": OK\n")
    again = lab.run("cert", "upload", "sub1", "tomcat", leaf)
    assert b"csr_missing" in again.stderr


@pytest.mark.rule("R-089", "R-090", "R-092", "B.4", "B.6")
def test_a_regenerated_identity_is_trusted_by_every_node(lab: CommandLine, tmp_path: Path) -> None:
    before = identity(lab, "pub")
    assert lab.run("cert", "regenerate", "pub", "tomcat").returncode == 1  # nobody said yes
    assert identity(lab, "pub") == before
    lab.must("cert", "regenerate", "pub", "tomcat", "--yes")
    lab.must("wait", "--converged")
    after = identity(lab, "pub")
    assert after["fingerprint"] != before["fingerprint"]
    assert (after["key"], after["origin"]) == (before["key"], "self-signed")
    for node in lab.json("dump")["nodes"].values():
        held = {each["fingerprint"] for each in node["trust"]["tomcat-trust"]}
        assert after["fingerprint"] in held
        assert before["fingerprint"] not in held
    lab.must(
        "cert", "selfsigned", "pub", "CallManager", "--key", "rsa-3072", "--years", "10", "--hash", "sha512", "--yes"
    )
    served = lab.must("cert", "download", "pub", "CallManager").encode()
    text = openssl("x509", "-noout", "-text", stdin=served)
    assert "(3072 bit)" in text
    assert "sha512WithRSAEncryption" in text
    assert verify(tmp_path, served, roots=served, at=datetime.now(UTC)).endswith(": OK\n")


@pytest.mark.rule("R-041", "B.8")
def test_a_multi_server_certificate_has_one_key_on_every_node(
    lab: CommandLine, authority: Authority, tmp_path: Path
) -> None:
    csr = tmp_path / "ms.csr"
    lab.must("cert", "csr", "pub", "CallManager", "--multi-server", "-o", csr)
    text = openssl("req", "-in", csr, "-noout", "-text", "-verify")
    assert "pub-ms.lab.test" in text or "CN = pub-ms." in text.replace("CN=", "CN = ")
    leaf = authority.sign(csr)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(leaf.read_bytes() + authority.issuing.read_bytes() + authority.root.read_bytes())
    done = lab.json("cert", "upload", "pub", "CallManager", chain)
    assert (done["outcome"], set(done["nodes"].values())) == ("done", {"done"})
    assert set(done["nodes"]) == set(lab.json("dump")["nodes"])
    folders = [home(lab, node) / "usr/local/cm/.security/CallManager" for node in done["nodes"]]
    keys = [folder / "keys" / "CallManager_priv.pem" for folder in folders]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert len({key.read_bytes() for key in keys}) == 1
    assert len({(folder / "certs" / "CallManager.pem").read_bytes() for folder in folders}) == 1
    assert {identity(lab, node, "CallManager")["multi_server"] for node in done["nodes"]} == {True}
    assert not [left for folder in folders for left in folder.glob("keys/CallManager*csr*")]


@pytest.mark.rule("A.19", "B.8")
def test_a_self_signed_certificate_for_all_comes_with_its_key(lab: CommandLine) -> None:
    done = lab.json("cert", "selfsigned", "sub1", "TVS", "--multi-server", "--yes")
    assert (done["outcome"], set(done["nodes"].values())) == ("done", {"done"})
    folders = [home(lab, node) / "usr/local/cm/.security/TVS" for node in done["nodes"]]
    keys = [folder / "keys" / "TVS_priv.pem" for folder in folders]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert len({key.read_bytes() for key in keys}) == 1
    certificates = [folder / "certs" / "TVS.pem" for folder in folders]
    assert len({each.read_bytes() for each in certificates}) == 1
    assert public_key(keys[0], "pkey", "-pubout") == public_key(certificates[0], "x509", "-noout", "-pubkey")


@pytest.mark.rule("B.3", "A.19")
def test_tomcats_certificate_for_all_stands_in_for_callmanagers(lab: CommandLine) -> None:
    lab.must("cert", "selfsigned", "pub", "tomcat-ECDSA", "--multi-server", "--yes")
    done = lab.json("cert", "reuse", "pub", "CallManager-ECDSA", "--yes")
    assert (done["outcome"], set(done["nodes"].values())) == ("done", {"done"})
    for node in done["nodes"]:
        tomcat, call_manager = (home(lab, node) / "usr/local" / place for place in PLACES)
        assert (tomcat / "certs/tomcat-ECDSA.pem").read_bytes() == (
            call_manager / "certs/CallManager-ECDSA.pem"
        ).read_bytes()
        key = call_manager / "keys/CallManager-ECDSA_priv.pem"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert key.read_bytes() == (tomcat / "keys/tomcat-ECDSA_priv.pem").read_bytes()


def test_a_state_is_set_up_past_the_rules_and_told_in_the_journal(lab: CommandLine, authority: Authority) -> None:
    lab.must("age", "sub1", "ipsec", "--expires-in", "3d")
    ends = datetime.fromisoformat(str(identity(lab, "sub1", "ipsec")["not_after"]))
    assert timedelta(days=2) < ends - datetime.now(UTC) < timedelta(days=4)
    lab.must("age", "sub1", "TVS", "--expired", "12h")
    assert datetime.fromisoformat(str(identity(lab, "sub1", "TVS")["not_after"])) < datetime.now(UTC)
    lab.must("plant", "sub1", "ipsec-trust", authority.root, "--only", "database")
    state = lab.json("dump")["nodes"]["sub1"]
    fingerprint = openssl("x509", "-in", authority.root, "-noout", "-fingerprint", "-sha256").strip()
    planted = fingerprint.rpartition("=")[2].replace(":", "").lower()
    assert planted in state["database"]["ipsec-trust"]
    told = lab.must("events", "--name", "planted", "--json").splitlines()
    assert [json.loads(line)["unit"] for line in told] == ["ipsec", "TVS", "ipsec-trust"]
    done = lab.run("age", "sub1", "ipsec")
    assert (done.returncode, done.stderr.decode().count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["regenerate", "sub1", "tomcat-trust"], "not_regenerable"),
        (["regenerate", "sub1", "ITLRecovery"], "publisher_only"),
        (["regenerate", "sub1", "cows"], "wrong_purpose"),
        (["selfsigned", "sub1", "tomcat", "--key", "ec-256"], "key_type"),
        (["selfsigned", "sub1", "tomcat", "--key", "rsa-512"], "key_length"),
        (["selfsigned", "sub1", "tomcat", "--years", "7"], "validity"),
        (["selfsigned", "sub1", "tomcat-ECDSA", "--hash", "sha256"], "hash_algorithm"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(lab: CommandLine, arguments: list[str], word: str) -> None:
    done = lab.run("cert", *arguments, "--yes")
    assert (done.returncode, done.stdout) == (1, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"refused {word}: ")
