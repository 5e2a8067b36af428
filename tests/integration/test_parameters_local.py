"""Parameters in a lab of real processes: set on one node, read on all, kept through a kill."""

import json

import pytest

from tests.integration.command_line import CommandLine

pytestmark = pytest.mark.slow

CIPHERS, ALL = "HTTPS Ciphers", "All Supported EC and RSA Ciphers"


def read(lab: CommandLine, name: str) -> list[str]:
    return [str(lab.json("parameter", "get", node, name)["value"]) for node in ("pub", "sub1", "sub2")]


@pytest.mark.rule("R-009", "S1")
def test_what_is_set_on_sub1_is_read_on_all_and_after_a_kill_and_a_restart(lab: CommandLine) -> None:
    lab.must("up", "--detach", "--nodes", "pub,sub1,sub2")
    lab.must("parameter", "set", "sub1", CIPHERS, ALL)
    lab.must("wait", "--converged")
    assert read(lab, CIPHERS) == [ALL] * 3
    told = [json.loads(line) for line in lab.must("events", "--name", "parameter_set", "--json").splitlines()]
    assert {(each["node"], each["old"], each["new"]) for each in told} == {
        (node, "RSA Ciphers Only", ALL) for node in ("pub", "sub1", "sub2")
    }
    lab.must("fault", "kill", "sub2")
    lab.must("parameter", "set", "cluster", "Certificate Validity Check", "true")
    assert read(lab, CIPHERS) == [ALL] * 3
    assert read(lab, "Certificate Validity Check")[2] == "false"
    lab.must("fault", "start", "sub2")
    lab.must("wait", "--converged")
    assert read(lab, "Certificate Validity Check") == ["true"] * 3
    lab.must("fault", "stop", "pub")
    refused = lab.run("parameter", "set", "sub1", "Use TLS", "true")
    assert (refused.returncode, b"refused publisher_unreachable" in refused.stderr) == (1, True)
    lab.must("down")
    lab.must("up", "--detach")
    assert (read(lab, CIPHERS), read(lab, "Use TLS")) == ([ALL] * 3, ["false"] * 3)


@pytest.mark.rule("B.16")
def test_a_real_node_is_put_into_fips_mode_and_boots(lab: CommandLine) -> None:
    lab.must("up", "--detach", "--nodes", "pub,sub1")
    before = lab.json("dump")["nodes"]["sub1"]["identities"]
    lab.must("parameter", "set", "sub1", "FIPS Mode", "true")
    lab.must("wait", "--event", "rebooted")
    lab.must("wait", "--converged")
    node = lab.json("dump")["nodes"]["sub1"]
    new = {unit for unit, each in node["identities"].items() if each["fingerprint"] != before[unit]["fingerprint"]}
    assert new == {"CallManager", "tomcat", "ipsec", "TVS"}
    assert [each["pending"] for each in node["services"].values() if each["pending"]] == []
    lab.must("fault", "kill", "sub1")
    lab.must("fault", "start", "sub1")
    lab.must("wait", "--converged")
    assert lab.json("dump")["nodes"]["sub1"]["identities"] == node["identities"]
    lab.must("parameter", "set", "sub1", "Common Criteria Mode", "true")
    refused = lab.run("parameter", "set", "sub1", "FIPS Mode", "false")
    assert (refused.returncode, b"Common Criteria Mode needs FIPS Mode" in refused.stderr) == (1, True)
