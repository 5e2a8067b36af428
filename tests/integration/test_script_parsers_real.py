"""What scripts read out of a real node's command line, with the patterns that they use (wire-interfaces 3.2, 3.3 = W3).

Each cuts its own way: what is printed must suit all of them at once, on nodes of an older release too.
"""

import re
import ssl
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import paramiko
import pytest
from cryptography import x509

from tests.integration.authority import Authority
from tests.integration.command_line import CommandLine, Forked
from tests.integration.interfaces import END, FAILED, OF_PUB, PATIENCE_S, Door, fingerprint

pytestmark = [pytest.mark.slow, pytest.mark.library]
NODES = ("pub", "sub1")


@pytest.fixture(scope="module", params=["14SU1", "15"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    made = Forked(tmp_path_factory.mktemp("parsers"))
    made.must("up", "--detach", "--nodes", ",".join(NODES), "--release", request.param)
    try:
        yield made
    finally:
        made.run("down")


def spoken(lab: CommandLine, node: str, *lines: str) -> list[str]:
    answers = Door(lab, node).spoken("set cli pagination off", *lines)
    return [answer.replace("\r", "") for answer in answers[1:]]


def release(lab: CommandLine) -> str:
    return str(lab.json("dump")["nodes"]["pub"]["release"])


def test_everything_that_is_listed_can_be_shown_and_read(lab: CommandLine) -> None:
    """Two scripts take what is before the first colon of every line for a name, and what begins with BEGIN for PEM."""
    dumped = lab.json("dump")["nodes"]["pub"]
    own, trust = spoken(lab, "pub", "show cert list own", "show cert list trust")
    for kind, listed in (("own", own), ("trust", trust)):
        names = [line.partition(":")[0] for line in listed.splitlines() if line]
        texts = spoken(lab, "pub", *(f"show cert {kind} {name}" for name in names))
        blocks = [text[text.index("-----BEGIN CERTIFICATE-----") :] for text in texts]
        assert all(block.endswith("-----END CERTIFICATE-----\n") for block in blocks), "the last before the prompt"
        stores = [dumped["identities"].values()] if kind == "own" else dumped["trust"].values()
        there = {row["fingerprint"] for rows in stores for row in rows if kind == "own" or row["file"]}
        assert set(map(fingerprint, blocks)) == there


def test_the_end_of_validity_as_scripts_of_older_releases_find_it(lab: CommandLine) -> None:
    """The layout changed with 14SU2 (W3.2): before, `To:` and a date with its zone; after, a label that they miss."""
    units = ("tomcat", "ipsec", "CallManager", "CAPF", "TVS")
    for shown in spoken(lab, "pub", *(f"show cert own {unit}" for unit in units)):
        made = x509.load_der_x509_certificate(ssl.PEM_cert_to_DER_cert(shown[shown.index("-----BEGIN") :]))
        found = re.search(r"To:\s+(\w{3} \w{3} \d{2} \d{2}:\d{2}:\d{2}) (\w{3}) (\d{4})", shown)
        if release(lab) == "14SU1":
            assert found is not None
            told = datetime.strptime(f"{found[1]} {found[3]}", "%a %b %d %H:%M:%S %Y")  # noqa: DTZ007  its zone is next
            assert (told, found[2]) == (made.not_valid_after_utc.replace(tzinfo=None), "UTC")
            serial = re.search(r"Serial Number: ([0-9A-F]+)", shown)
            assert serial is not None
            assert int(serial[1], 16) == made.serial_number
        else:
            assert found is None
            assert "Final Date: " in shown


def test_services_as_one_script_wants_them_and_as_another(lab: CommandLine) -> None:
    (told,) = spoken(lab, "pub", "utils service list")
    close = re.findall(r"^(\S[^\[\n]*\S)\[(STARTED|STOPPED)\](.*)$", told, re.MULTILINE)
    apart = re.findall(r"^(\S[^\[\n]*?)\s+\[(\w+)\]$", told, re.MULTILINE)
    assert ("System SSH", "STARTED") in apart
    assert ("Cisco Tomcat", "STARTED", "") in close
    assert {detail.strip() for _, state, detail in close if state == "STOPPED"} == {"Service Not Activated"}
    dumped = lab.json("dump")["nodes"]["pub"]["services"]
    assert {name for name, *_ in (*close, *apart)} >= {name for name in dumped if name.startswith("Cisco ")}

    stopped, told, _ = spoken(
        lab, "pub", "utils service stop Cisco Tftp", "utils service list", "utils service start Cisco Tftp"
    )
    assert "Cisco Tftp[STOPPED]  " in stopped
    assert "\nCisco Tftp[STOPPED]  Commanded Out of Service\n" in told


def test_the_cluster_and_its_replication(lab: CommandLine) -> None:
    env = lab.json("env")
    for node in NODES:
        cluster, replication = spoken(lab, node, "show network cluster", "utils dbreplication runtimestate")
        lines = [line.split() for line in cluster.splitlines() if "authenticated" in line.split()]
        assert [tuple(words[:3]) for words in lines] == [
            (env[f"UCMLAB_{each.upper()}_ADDRESS"], f"{each}.lab.test", each) for each in NODES
        ]
        assert [words[2] for words in lines if words[-1] == "authenticated"] == [node], "itself"
        rows = re.findall(
            r"^(\S+)\s+([\d.]+)\s+[\d.]+\s+Y/Y/Y\s+\d+\s+\(.*?\)\s+\((\d)\) Setup", replication, re.MULTILINE
        )
        assert [name for name, _, state in rows if state == "2"] == list(NODES)


def test_a_pager_that_goes_on_at_a_blank(lab: CommandLine) -> None:
    """At 80 columns and 24 lines; the mark is gone from what is kept, and every line is there once."""
    client = Door(lab, "pub").paramiko()
    channel = client.invoke_shell(term="vt100", width=80, height=24)
    channel.settimeout(PATIENCE_S)
    _until(channel, (END,))
    channel.send(b"show cert list trust\n")
    said, marks = "", 0
    while not (piece := _until(channel, (END, "--More--"))).endswith(END):
        said, marks = said + piece.removesuffix("--More--"), marks + 1
        channel.send(b" ")
    client.close()
    (whole,) = spoken(lab, "pub", "show cert list trust")
    # Whatever wipes the mark stands before the line that comes in its place.
    kept = [re.split(r"[\r\b]", line.rstrip("\r"))[-1].strip() for line in (said + piece).split("\n")[1:-1]]
    assert kept == whole.splitlines()
    assert marks >= 1


def _until(channel: paramiko.Channel, ends: tuple[str, ...]) -> str:
    said = ""
    while not said.endswith(ends):
        piece = channel.recv(4096).decode()
        assert piece, said
        said += piece
    return said


def test_what_a_session_is_asked_and_other_forms_of_commands(lab: CommandLine) -> None:
    # The question has no blank behind it, and the answer is there before it is asked.
    asked, listed, ipsec = Door(lab, "pub").spoken(
        "set cli session timeout 60\ny", "show cert list type own", "utils ipsec restart"
    )
    assert "Continue (y/n)?y" in asked
    assert FAILED not in asked
    assert [line.partition("/")[0] for line in listed.splitlines()] == OF_PUB
    assert ipsec.splitlines()[-1] == "Successfully Restarted IPsec Service"


def test_a_certificate_whose_ca_is_named(lab: CommandLine, tmp_path: Path) -> None:
    """`set cert import own UNIT CACERT`, after a request that is named by its file."""
    authority = Authority(tmp_path, f"Named {release(lab)}")
    generated = Door(lab, "sub1").spoken("set csr gen ipsec", "no")
    assert "Successfully Generated CSR for ipsec" in "".join(generated)
    (csr,) = spoken(lab, "sub1", "show csr own ipsec/ipsec.csr")
    (tmp_path / "own.csr").write_text(csr)
    leaf = authority.sign(tmp_path / "own.csr").read_text()
    for ca in (authority.root, authority.issuing):
        spoken(lab, "sub1", "set cert import trust ipsec", ca.read_text() + "\r")
    (trusted,) = spoken(lab, "sub1", "show cert list trust")
    (file,) = re.findall(r"^ipsec-trust/(Named_\S+_Issuing\S*?\.pem):", trusted, re.MULTILINE)
    refused = spoken(lab, "sub1", "set cert import own ipsec nothing.pem", leaf + "\r")
    assert FAILED in "".join(refused)
    done = spoken(lab, "sub1", f"set cert import own ipsec {file}", leaf + "\r")
    assert "Successfully imported certificate for ipsec." in done[-1]
    assert lab.json("dump")["nodes"]["sub1"]["identities"]["ipsec"]["fingerprint"] == fingerprint(leaf)
