"""`ucmlab parameter` against a home on disk and a fake lab."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cluster.cli_lab import Bench, FakeLink, make_home, refused
from ucmlab.broker.messages import Setting
from ucmlab.cluster.provision import LabHome
from ucmlab.node.commands import ApplyEntry
from ucmlab.node.disk import NodeDisk
from ucmlab.node.events import SetParameter

CIPHERS, ALL = "HTTPS Ciphers", "All Supported EC and RSA Ciphers"
START = "Notification Start Time"


def put_settings(home: LabHome, node: str, *settings: Setting) -> None:
    disk = NodeDisk(home.node_home(node), home.topology.rulebook, publisher=False)
    disk.load()
    disk.perform(ApplyEntry(1, 1, b"h", "op-1", (), (), (), settings))
    disk.close()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    home = make_home(tmp_path / "lab", nodes="pub,sub1,imp1")
    put_settings(home, "pub", Setting("cucm", CIPHERS, ALL), Setting("imp", START, "20"))
    put_settings(home, "imp1", Setting("imp", START, "20"))
    return Bench(home, FakeLink(home), monkeypatch)


def told(lab: Bench, *arguments: str) -> list[tuple[str, str]]:
    found: Any = lab.json("parameter", "list", *arguments)
    return [(each["place"], each["value"]) for each in found["parameters"] if each["name"] == START]


# -- reading


def test_a_nodes_list_is_what_its_own_replica_says_whether_it_runs_or_not(lab: Bench) -> None:
    lab.running = False
    assert told(lab, "pub") == [("cucm", "30")]
    assert told(lab, "imp1") == [("imp", "20")]
    assert told(lab, "sub1") == [("cucm", "30")]  # never started: it has nothing but defaults


@pytest.mark.rule("R-174", "R-187")
def test_the_clusters_list_has_each_place_as_the_publisher_has_it(lab: Bench) -> None:
    assert told(lab) == told(lab, "cluster") == [("cucm", "30"), ("imp", "20")]
    lines = lab.run("parameter", "list").stdout.splitlines()
    assert lines[0].split() == ["PARAMETER", "PLACE", "VALUE", "PAGE"]
    assert [line.split()[2:4] for line in lines if line.startswith(CIPHERS)] == [["cucm", "All"], ["imp", "RSA"]]
    assert [line.split()[2] for line in lines if line.startswith("FIPS Mode")] == ["pub", "sub1", "imp1"]


def test_a_list_of_one_page_whatever_its_case_and_a_page_that_there_is_not_names_those_that_there_are(
    lab: Bench,
) -> None:
    found: Any = lab.json("parameter", "list", "pub", "--page", "certificate monitor")
    assert {each["page"] for each in found["parameters"]} == {"Certificate Monitor"}
    other = lab.run("parameter", "list", "--page", "Certificates")
    assert other.exit_code == 2
    assert "Enterprise Parameters, Platform, Certificate Monitor" in other.stderr


def test_get_prints_the_value_and_nothing_else(lab: Bench) -> None:
    result = lab.run("parameter", "get", "pub", "https ciphers")
    assert (result.exit_code, result.stdout) == (0, f"{ALL}\n")
    found: Any = lab.json("parameter", "get", "imp1", START)
    assert (found["name"], found["place"], found["value"], found["default"], found["unit"]) == (
        START, "imp", "20", "30", "days",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["get", "pub", "HTTPS Cipher"], 1, "refused not_found: There is no parameter 'HTTPS Cipher'; there is"),
        (["get", "cluster", START], 1, f"refused parameter_place: {START}: Unified CM and IM and Presence have each"),
        (["get", "cluster", "FIPS Mode"], 1, "refused parameter_place: FIPS Mode is each node's own; name a node"),
        (
            ["get", "pub", "Enable CRL"],
            1,
            "refused release: Release 14SU2 does not have this: the parameter Enable CRL",
        ),
        (["list", "sub9"], 2, "there is no node 'sub9' in this lab; there are pub, sub1, imp1"),
        (["get", "sub9", START], 2, "there is no node 'sub9' in this lab; there are pub, sub1, imp1"),
        (["set", "sub9", START, "1"], 2, "there is no node 'sub9' in this lab; there are pub, sub1, imp1"),
        (["set", "pub", START, "0"], 1, "refused parameter_value: Notification Start Time takes an integer from 1 to"),
        (["set", "pub", START, "9", "E-mail IDs"], 2, "'E-mail IDs' has no value; say NAME VALUE of each parameter"),
        (["set", "pub", START, "9", "Notification Frequency", "x"], 1, "refused parameter_value: Notification Freq"),
        (["set", "pub", START, "9", "Use TLS", "true"], 1, f"refused parameter_place: {START} is on the page"),
        (["set", "pub", START, "9", START, "8"], 1, f"refused parameter_value: {START} is given twice"),
        (["set", "pub", "\udcff", "0"], 1, "refused not_found: There is no parameter '\\udcff'; there is none that is"),
        (["set", "pub", "E-mail IDs", "\udcff"], 1, "refused parameter_value: E-mail IDs takes a text of one line"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(lab: Bench, arguments: list[str], status: int, text: str) -> None:
    result = lab.run("parameter", *arguments)
    assert (result.exit_code, lab.link.operations, result.stdout) == (status, [], "")
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_database_that_cannot_be_read_is_no_default(lab: Bench) -> None:
    (lab.home.node_home("pub") / "db" / "replica.sqlite").write_bytes(b"no database")
    result = lab.run("parameter", "get", "pub", START)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the database of this node cannot be read" in result.stderr


# -- setting


@pytest.mark.parametrize(("target", "asked"), [("cluster", "pub"), ("pub", "pub"), ("sub1", "sub1")])
def test_set_goes_through_the_node_that_is_named_and_for_the_cluster_through_the_publisher(
    lab: Bench, target: str, asked: str
) -> None:
    result = lab.run("parameter", "set", target, "use tls", "TRUE")
    [(node, operation)] = lab.link.operations
    assert isinstance(operation, SetParameter)
    assert (node, operation.place, operation.name, operation.value) == (asked, target, "Use TLS", "true")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, f"done: Use TLS of {target} is 'true'")


@pytest.mark.rule("R-206")
def test_several_of_a_page_are_one_operation(lab: Bench) -> None:
    result = lab.run("parameter", "set", "pub", "enable ocsp", "TRUE", "Check Every", "06")
    [(node, operation)] = lab.link.operations
    assert isinstance(operation, SetParameter)
    assert (node, operation.values) == ("pub", (("Enable OCSP", "true"), ("Check Every", "6")))
    told = "done: Enable OCSP of pub is 'true', Check Every of pub is '6'"
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, told)


def test_a_text_may_be_empty_and_a_refusal_is_told_with_its_reason(lab: Bench) -> None:
    assert lab.run("parameter", "set", "pub", "E-mail IDs", "").exit_code == 0
    lab.link.reply = refused("publisher_unreachable")
    result = lab.run("parameter", "set", "sub1", "E-mail IDs", "a@x.lab")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (1, "refused publisher_unreachable: why")
    told: Any = lab.json("parameter", "set", "sub1", "E-mail IDs", "a@x.lab")
    assert (told["outcome"], told["reason"]) == ("refused", "publisher_unreachable")


def test_without_a_lab_that_runs_nothing_is_set(lab: Bench) -> None:
    lab.running = False
    result = lab.run("parameter", "set", "pub", START, "9")
    assert (result.exit_code, "does not run" in result.stderr) == (2, True)
