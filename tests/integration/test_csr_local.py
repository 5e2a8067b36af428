"""Certificate signing requests of a real lab, from the command line, with keys that OpenSSL reads."""

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command_line import CommandLine, Forked, running

FOLDER = "usr/local/platform/.security/tomcat/keys"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("requests"), Forked) as made:
        yield made


def keys(lab: CommandLine) -> list[Path]:
    home = Path(lab.json("dump")["nodes"]["sub1"]["home"])
    return sorted((home / FOLDER).glob("tomcat_csr_*_priv.pem"))


def public_key(*command: str | Path, stdin: str = "") -> str:
    return subprocess.run(["openssl", *command], input=stdin, capture_output=True, text=True, check=True).stdout


@pytest.mark.rule("R-142", "R-143", "R-027", "R-151", "R-153")
def test_a_request_comes_with_its_key_and_a_new_one_takes_its_place(lab: CommandLine, tmp_path: Path) -> None:
    first = lab.must("cert", "csr", "sub1", "tomcat", "--san", "web.lab.test")
    assert first.startswith("-----BEGIN CERTIFICATE REQUEST-----")
    assert lab.must("cert", "csr", "sub1", "tomcat", "--show") == first
    (key,) = keys(lab)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert public_key("req", "-pubkey", "-noout", stdin=first) == public_key("pkey", "-in", key, "-pubout")
    assert lab.json("dump")["nodes"]["sub1"]["identities"]["tomcat"]["csr"] is True
    assert lab.json("dump")["nodes"]["pub"]["identities"]["tomcat"]["csr"] is False

    file = tmp_path / "tomcat.csr"
    lab.must("cert", "csr", "sub1", "tomcat", "--key", "rsa-3072", "--hash", "sha512", "-o", file)
    text = public_key("req", "-in", file, "-noout", "-text", "-verify")
    assert "(3072 bit)" in text
    assert "sha512WithRSAEncryption" in text
    (other,) = keys(lab)
    assert other != key
    assert lab.json("cert", "csr", "sub1", "tomcat", "--show")["csr"] == file.read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (["sub1", "tomcat", "--key", "ec-256"], 1, "key_type"),
        (["sub1", "CAPF"], 1, "publisher_only"),
        (["sub1", "tomcat-trust"], 1, "wrong_purpose"),
        (["pub", "ipsec", "--show"], 1, "csr_missing"),
        (["nobody", "tomcat"], 2, "nobody"),
        (["sub1", "cows", "--show"], 2, "cows"),
        (["pub", "ipsec", "-o", "/nonexistent/file"], 2, "/nonexistent/file"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line(lab: CommandLine, arguments: list[str], status: int, word: str) -> None:
    done = lab.run("cert", "csr", *arguments)
    assert done.returncode == status
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert word in line


@pytest.mark.rule("R-151")
def test_a_request_that_is_deleted_leaves_neither_file_nor_key(lab: CommandLine) -> None:
    lab.must("cert", "csr", "sub1", "tomcat")
    deleted = lab.json("cert", "csr", "sub1", "tomcat", "--delete")
    assert (deleted["outcome"], keys(lab)) == ("done", [])
    assert lab.json("dump")["nodes"]["sub1"]["identities"]["tomcat"]["csr"] is False
    again = lab.run("cert", "csr", "sub1", "tomcat", "--delete")
    assert (again.returncode, again.stderr.count(b"\n")) == (1, 1)
    assert b"csr_missing" in again.stderr
    both = lab.run("cert", "csr", "sub1", "tomcat", "--delete", "--show")
    assert (both.returncode, both.stderr.count(b"\n")) == (2, 1)
    assert [event["unit"] for event in events(lab, "csr_deleted")] == ["tomcat"]


def events(lab: CommandLine, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in lab.must("events", "--json", "--name", name).splitlines()]
