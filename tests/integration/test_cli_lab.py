"""The command line against a lab of real processes, as a person or a pipeline uses it."""

import contextlib
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.integration.command_line import (
    PATIENCE_S,
    CommandLine,
    Forked,
    new_root,
    openssl_fingerprint,
    running,
    wait_until_gone,
)
from tests.openssl import new_request, verify
from tests.unit.node.certificate_factory import certificate, ec_key
from ucmlab.node.certificates import pem
from ucmlab.node.clock import machine_wall
from ucmlab.node.instant import rfc3339

pytestmark = pytest.mark.slow
NODES = ("pub", "sub1", "sub2")
ADVANCED = timedelta(minutes=31)
OPERATION = {"schema", "outcome", "reason", "text", "warnings", "operation_id", "nodes"}
LONG_KEY = rsa.RSAPublicNumbers(65537, (1 << 4400) + 1).public_key()
"""Nobody has the private half, and nobody needs it: the length is what counts."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A lab for tests that leave it as it was."""
    with running(tmp_path_factory.mktemp("shared"), Forked) as made:
        yield made


@pytest.mark.rule("R-022")
@pytest.mark.library
def test_a_users_own_ca_reaches_every_node_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with running(tmp_path) as lab:
        root = new_root(tmp_path)
        fingerprint = openssl_fingerprint(str(root))
        reply = lab.json("cert", "upload", "pub", "tomcat-trust", root, "--wait")
        assert set(reply) == OPERATION
        assert (reply["outcome"], reply["nodes"]) == ("done", dict.fromkeys(NODES, "done"))
        state = lab.json("dump")
        for node in NODES:
            [held] = [
                each for each in state["nodes"][node]["trust"]["tomcat-trust"] if each["fingerprint"] == fingerprint
            ]
            assert openssl_fingerprint(held["file"]) == fingerprint
            assert fingerprint in state["nodes"][node]["database"]["tomcat-trust"]
        pids = lab.pids()
        assert len(set(pids)) == 4
        assert all(psutil.pid_exists(pid) for pid in pids)
        lab.must("down")
        assert wait_until_gone(pids) == []
        after = lab.json("dump")
        assert {node["state"] for node in after["nodes"].values()} == {"down"}
        assert fingerprint in {each["fingerprint"] for each in after["nodes"]["sub2"]["trust"]["tomcat-trust"]}


@pytest.mark.rule("R-145")
def test_a_ca_of_the_labs_own_goes_by_the_labs_clock(lab: CommandLine, tmp_path: Path) -> None:
    lab.must("time", "advance", "2d")
    root = tmp_path / "root.pem"
    made = lab.json("ca", "new", "Lab Root CA", "--key", "ec-256", "--days", "30", "-o", root)
    assert made["not_before"] > rfc3339(machine_wall())
    leaf = lab.run("ca", "sign", "-", stdin=new_request(tmp_path)).stdout
    now = datetime.fromisoformat(lab.json("time", "now")["now"])
    assert verify(tmp_path, leaf, roots=root.read_bytes(), at=now).endswith(": OK\n")
    reply = lab.json("cert", "upload", "sub1", "tomcat-trust", root, "--wait")
    assert (reply["outcome"], reply["nodes"]) == ("done", dict.fromkeys(NODES, "done"))
    lab.must("cert", "delete", "sub1", "tomcat-trust", "Lab Root CA", "--yes", "--wait")


def private_key() -> bytes:
    return ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


GOOD = certificate("Some Root")
BAD = {
    "empty": ("empty", b""),
    "text": ("format", b"this is no certificate\n"),
    "truncated PEM": ("format", pem(GOOD).encode()[:300]),
    "a private key": ("private_key", private_key()),
    "DER with trailing bytes": ("trailing_data", GOOD + b"more"),
    "5 MB": ("too_large", b"x" * 5_000_000),
    "a key over 4096 bits": ("key_over_4096", certificate("Long Key", public=LONG_KEY)),
    "a wildcard": ("wildcard", certificate("Wild", sans=[x509.DNSName("*.lab.test")])),
    "expired": ("expired", certificate("Old", end=datetime(2026, 1, 2, tzinfo=UTC))),
}


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        pytest.param(*bad, id=name, marks=() if name in ("text", "expired") else pytest.mark.library)
        for name, bad in BAD.items()
    ],
)
def test_a_bad_upload_is_refused_in_one_line_and_changes_nothing(
    lab: CommandLine, tmp_path: Path, reason: str, data: bytes
) -> None:
    file = tmp_path / "bad"
    file.write_bytes(data)
    before = stored(lab)
    done = lab.run("cert", "upload", "pub", "tomcat-trust", file)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"refused %b: " % reason.encode())
    assert done.stderr.count(b"\n") == 1
    assert lab.json("cert", "upload", "sub1", "tomcat-trust", "-", stdin=data)["reason"] == reason
    assert stored(lab) == before


def stored(lab: CommandLine) -> object:
    nodes = lab.json("dump")["nodes"]
    return {name: (node["db"], node["files_digest"]) for name, node in nodes.items()}


WRONG = {
    "no such node": ["cert", "upload", "sub9", "tomcat-trust", "-"],
    "an unreadable file": ["cert", "upload", "pub", "tomcat-trust", "/nonexistent/root.pem"],
    "a folder": ["cert", "upload", "pub", "tomcat-trust", "/"],
    "no such service": ["service", "restart", "sub1", "Cisco Nothing"],
    "a fault of no node": ["fault", "kill", "sub9"],
    "a fault that the broker has not": ["fault", "pause", "broker"],
    "a group of nobody": ["fault", "partition", "pub / sub9"],
    "no groups": ["fault", "partition", "/"],
    "no such fault": ["fault", "inject", "gremlins", "sub1"],
    "a fault of the simulation": ["fault", "inject", "power-cut", "sub1"],
    "a fault that befalls others": ["fault", "inject", "latency", "broker"],
    "a fault without such a parameter": ["fault", "inject", "latency", "sub1", "size=2"],
    "a parameter that is no duration": ["fault", "delay", "sub1", "low=quick"],
    "no parameter": ["fault", "lose", "sub1", "half"],
    "a count of what has no uses": ["fault", "inject", "stall", "sub1", "--count", "2"],
    "until when": ["fault", "lose", "sub1", "--until", "later"],
    "no offset": ["fault", "clock", "sub1", "tomorrow"],
    "a fault that does not stand": ["fault", "end", "latency", "sub1"],
    "started already": ["up", "--detach"],
    "another lab": ["up", "--detach", "--nodes", "pub"],
    "made already": ["init"],
    "discarding what runs": ["up", "--fresh", "--detach"],
    "nothing to wait for": ["wait"],
    "no such unit": ["wait", "--file", "pub", "nothing-trust", "0" * 64],
    "no duration": ["time", "advance", "a while"],
    "not below the lab's root": ["bus", "--topic", "$SYS/#"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_what_cannot_be_done_as_asked_ends_with_2_and_one_line(lab: CommandLine, arguments: list[str]) -> None:
    done = lab.run(*arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"ucmlab: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.library
def test_faults_come_and_go(lab: CommandLine) -> None:
    lab.must("fault", "kill", "sub2")
    assert lab.json("status")["converged_except"] == {"sub2": "down"}
    refused = lab.run("cert", "delete", "sub2", "tomcat-trust", "0" * 64, "--yes")
    assert (refused.returncode, refused.stderr) == (1, b"refused node_down: sub2 is down\n")
    lab.must("fault", "start", "sub2")
    lab.must("fault", "partition", "pub,sub1 / sub2")
    assert lab.json("dump")["nodes"]["sub2"]["state"] == "isolated"
    lab.must("fault", "heal")
    lab.must("fault", "kill", "broker")
    assert lab.json("dump")["broker"]["pid"] is None
    lab.must("fault", "start", "broker")
    lab.must("wait", "--converged")
    assert lab.must("fault", "list", "--now") == "nothing is broken\n"


@pytest.mark.library
def test_faults_of_the_catalogue_come_and_go(lab: CommandLine) -> None:
    assert lab.must("fault", "delay", "sub1", "low=1ms", "high=5ms") == "latency sub1 low=1ms high=5ms\n"
    told = lab.must("fault", "clock", "sub2", "-48h")
    assert sorted(told.splitlines()) == ["clock sub2", "latency sub1 low=1ms high=5ms"]
    assert lab.json("dump")["nodes"]["sub2"]["clock_offset_s"] == -48 * 3600
    lab.must("fault", "lose", "sub1", "--until", "10m")
    lab.must("time", "advance", "11m")
    assert sorted(each["fault"] for each in lab.json("dump")["faults"]) == ["clock", "latency"]
    lab.must("fault", "end", "latency", "sub1")
    lab.must("fault", "clock", "sub2", "reset")
    lab.must("wait", "--converged")
    assert lab.must("fault", "list", "--now") == "nothing is broken\n"


@contextlib.contextmanager
def followed(lab: CommandLine) -> Iterator[Iterator[Any]]:
    """What `bus --follow` prints, from its first line on; cut off if it says nothing for too long."""
    with subprocess.Popen(lab.command("bus", "--follow"), stdout=subprocess.PIPE, env=lab.environment) as watch:
        assert watch.stdout is not None
        guard = threading.Timer(PATIENCE_S, watch.kill)
        guard.start()
        try:
            yield (json.loads(line) for line in watch.stdout)
            watch.send_signal(signal.SIGINT)
            assert watch.wait(PATIENCE_S) == 130
        finally:
            guard.cancel()
            watch.kill()


@pytest.mark.library
def test_a_service_is_ordered_about_over_the_bus(lab: CommandLine) -> None:
    with followed(lab) as messages:
        assert next(messages)["retained"]
        lab.must("service", "stop", "sub1", "Cisco", "Tftp")
        order = next(each for each in messages if each["topic"].endswith("svc/sub1/Cisco_Tftp/cmd"))
        assert (order["kind"], order["message"]["action"]) == ("ServiceOrder", "stop")
        reports = (each["message"] for each in messages if each["topic"].endswith("svc/sub1/Cisco_Tftp/state"))
        assert next(each for each in reports if each["state"] == "stopped")["service"] == "Cisco Tftp"
    assert lab.json("service", "list", "sub1")["services"]["Cisco Tftp"]["state"] == "stopped"
    lab.must("service", "start", "sub1", "Cisco Tftp")
    lab.must("wait", "--event", "service_state")


def test_time_jumps_over_a_comparison_of_files_and_rows(lab: CommandLine) -> None:
    before = lab.must("time", "now")
    after = lab.must("time", "advance", "31m")
    assert datetime.fromisoformat(after.strip()) - datetime.fromisoformat(before.strip()) >= ADVANCED
    resyncs = lab.must("events", "--name", "resync", "--node", "sub1", "--json").splitlines()
    assert len(resyncs) >= 2


@pytest.mark.library
def test_a_lab_starts_again_as_it_was_and_fresh_discards_it(tmp_path: Path) -> None:
    lab = CommandLine(tmp_path)
    lab.must("up", "--detach", "--nodes", "pub,sub1")
    first = lab.json("dump")["nodes"]["pub"]["identities"]
    lab.must("down")
    try:
        again = lab.json("up", "--detach")
        assert list(again["nodes"]) == ["pub", "sub1"]
        assert lab.json("dump")["nodes"]["pub"]["identities"] == first
        lab.must("down")
        lab.must("up", "--detach", "--fresh", "--nodes", "pub")
        assert lab.json("dump")["nodes"]["pub"]["identities"] != first
    finally:
        lab.must("down")


@pytest.mark.library
def test_a_lab_in_the_foreground_ends_with_ctrl_c(tmp_path: Path) -> None:
    lab = CommandLine(tmp_path)
    with subprocess.Popen(lab.command("up", "--nodes", "pub,sub1"), stdout=subprocess.PIPE, env=lab.environment) as up:
        assert up.stdout is not None
        lines = iter(up.stdout.readline, b"")
        assert any(b"Ctrl-C ends it" in line for line in lines)
        pids = lab.pids()
        up.send_signal(signal.SIGINT)
        up.wait(PATIENCE_S)
    assert wait_until_gone(pids) == []


@pytest.mark.library
def test_a_lab_that_does_not_become_ready_ends_with_1_and_leaves_nothing(tmp_path: Path) -> None:
    lab = CommandLine(tmp_path)
    done = lab.run("up", "--detach", "--timeout", "10ms")
    assert done.returncode == 1
    assert b"did not become ready within 0.01 s" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert (
        b"does not run" in lab.run("fault", "list", "--now", "--json").stdout or lab.json("status")["running"] is False
    )
