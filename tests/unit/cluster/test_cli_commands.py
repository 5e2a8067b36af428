"""The commands around a lab, against a home on disk and a fake lab."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cluster.cli_lab import Bench, FakeLink, certificate, make_home, put_identity, put_trust, refused, run
from ucmlab.cluster import homeview
from ucmlab.cluster.cli import waiting
from ucmlab.cluster.cli.fault import read_groups
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import open_lab
from ucmlab.node.certificates import parse, pem
from ucmlab.node.events import OrderService
from ucmlab.node.instant import MINUTE

ROOT = certificate("Corp Root CA")
FP = parse(ROOT).fingerprint
TFTP = {
    "Cisco Tftp": {
        "state": "started",
        "kind": "feature",
        "enabled": True,
        "since": "2026-01-05T08:00:00Z",
        "loaded": {"tomcat": FP},
        "pending": ["tomcat"],
    }
}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    home = make_home(tmp_path / "lab")
    put_identity(home, "pub", "tomcat", ROOT)
    put_trust(home, "pub", "tomcat-trust", file="Corp_Root_CA_0123.pem", der=ROOT)
    put_trust(home, "sub1", "tomcat-trust", file="Corp_Root_CA_0123.pem", der=ROOT)
    monkeypatch.setattr(waiting, "LOOK_EVERY_S", 0.0)
    return Bench(home, FakeLink(home), monkeypatch)


# -- init


def test_init_makes_a_home_and_a_second_one_is_refused(tmp_path: Path) -> None:
    folder = str(tmp_path / "lab")
    made: Any = json.loads(run("init", "--dir", folder, "--nodes", "pub, sub1", "--release", "12.5", "--json").stdout)
    assert (made["nodes"], made["release"], made["home"]) == (["pub", "sub1"], "12.5", folder)
    assert run("init", "--dir", folder).exit_code == 2
    assert run("init", "--dir", folder, "--fresh").exit_code == 0
    assert open_lab(tmp_path / "lab").topology.names == ("pub", "sub1", "sub2")


def test_what_cannot_be_made_discards_nothing(tmp_path: Path) -> None:
    folder = str(tmp_path / "lab")
    run("init", "--dir", folder, "--nodes", "pub,sub1")
    for wrong in (
        ["--nodes", "pub,pub"],
        ["--at", "tomorrow"],
        ["--release", "1"],
        ["--replication", "faithful", "--release", "10.5"],
    ):
        assert run("init", "--dir", folder, "--fresh", *wrong).exit_code == 2
    assert open_lab(tmp_path / "lab").topology.names == ("pub", "sub1")


def test_more_nodes_than_the_product_has_are_made_when_that_is_said(tmp_path: Path) -> None:
    folder, many = str(tmp_path / "lab"), ",".join(["pub", *(f"sub{number}" for number in range(9))])
    result = run("init", "--dir", folder, "--nodes", many)
    assert result.exit_code == 2
    assert "9 subscribers are more than the product's 8; name fewer, or say --beyond-product" in result.stderr
    assert run("init", "--dir", folder, "--nodes", many, "--beyond-product").exit_code == 0
    assert len(open_lab(tmp_path / "lab").topology.names) == 10


def test_how_to_start_it_is_said_as_it_is_to_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "my labs"
    assert f"`ucmlab up --dir '{elsewhere}'`" in run("init", "--dir", str(elsewhere)).stdout
    monkeypatch.setenv("UCMLAB_DIR", str(tmp_path / "here"))
    assert "start it with `ucmlab up`\n" in run("init").stdout


def test_help_lists_what_is_asked_for_most_first() -> None:
    text = run("up", "--help").stdout.partition("Options:")[2]
    assert text.index("--nodes") < text.index("--release") < text.index("--fresh") < text.index("--detach")


def test_init_takes_a_configuration_file_and_options_over_it(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text('nodes = "pub,sub1"\nrelease = "12.5"\ndomain = "corp.test"\n')
    run("init", "--dir", str(tmp_path / "lab"), "--config", str(tmp_path / "lab.toml"), "--release", "14")
    topology = open_lab(tmp_path / "lab").topology
    assert (topology.names, topology.release, topology.domain) == (("pub", "sub1"), "14", "corp.test")


def test_the_clock_and_the_brokers_url_are_kept(tmp_path: Path) -> None:
    url = "mqtts://broker:8883"
    run("init", "--dir", str(tmp_path / "lab"), "--at", "2027-01-31", "--broker", url, "--speed", "60")
    lab = open_lab(tmp_path / "lab").lab
    assert lab.options == {"broker": url, "speed": "60"}
    assert lab.wall_start == 1_801_353_600_000_000


def test_the_home_comes_from_the_environment(lab: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UCMLAB_DIR", str(lab.home.path))
    assert json.loads(run("dump").stdout)["lab"] == "test"


# -- looking


def test_dump_of_a_lab_that_does_not_run_shows_its_disk(lab: Bench) -> None:
    lab.running = False
    told: Any = lab.json("dump")
    assert {node["state"] for node in told["nodes"].values()} == {"down"}
    assert told["nodes"]["sub1"]["trust"]["tomcat-trust"][0]["fingerprint"] == FP
    assert Path(told["nodes"]["sub1"]["trust"]["tomcat-trust"][0]["file"]).read_text() == pem(ROOT)


def test_status_fits_on_a_screen(lab: Bench) -> None:
    lab.link.states["sub2"] = "paused"
    lab.link.extra["sub1"] = {"services": TFTP}
    text = lab.run("status").stdout
    assert "converged" in text
    assert "Cisco Tftp" in text
    assert len(text.splitlines()) < 12
    told: Any = lab.json("status")
    assert (told["running"], told["nodes"]["sub2"]["state"], told["nodes"]["sub1"]["pending"]) == (
        True,
        "paused",
        ["Cisco Tftp"],
    )
    lab.running = False
    assert "not running; start it with `ucmlab up" in lab.run("status").stdout


class Unread:
    """Stands in the place of a node's certificate files."""

    def __init__(self, folders: object) -> None:
        raise AssertionError(f"read {folders}")


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize(
    "words",
    ["status", "status --json", "time now", "fault list", "fault list --now --json", "service list sub1", "ca list"],
)
def test_what_is_about_no_certificate_reads_none(
    lab: Bench, monkeypatch: pytest.MonkeyPatch, words: str, *, running: bool
) -> None:
    lab.running = running
    monkeypatch.setattr(homeview, "TrustFiles", Unread)
    assert lab.run(*words.split()).exit_code == 0
    assert lab.run("dump").exit_code != 0  # which reads them


@pytest.mark.parametrize(
    "words", ["hosts", "env", "time advance 1m", "fault kill sub1", "service stop sub1 Cisco Tftp"]
)
def test_what_asks_a_running_lab_for_no_certificate_reads_none(
    lab: Bench, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(homeview, "TrustFiles", Unread)
    assert lab.run(*words.split()).exit_code == 0


def test_stores_shows_each_certificate_on_each_node(lab: Bench) -> None:
    told: Any = lab.json("stores", "tomcat-trust")
    [line] = told["stores"]
    assert line["fingerprint"] == FP
    assert {node: place["file"] for node, place in line["nodes"].items()} == {"pub": True, "sub1": True, "sub2": False}
    row = lab.run("stores", "tomcat-trust").stdout.splitlines()[-1]
    assert row.startswith("tomcat-trust")
    assert row.split()[-5:] == ["file", "only", "file", "only", "-"]


def test_events_are_lines_and_can_be_chosen(lab: Bench) -> None:
    journal = [
        {
            "id": "pub.1",
            "at": "t1",
            "node": "pub",
            "event": "file_written",
            "lab_us": 1,
            "machine_us": 1,
            "unit": "tomcat-trust",
        },
        {"id": "sub1.1", "at": "t2", "node": "sub1", "event": "file_written", "lab_us": 2, "machine_us": 2},
        {"id": "pub.2", "at": "t3", "node": "pub", "event": "resync", "lab_us": 3, "machine_us": 3},
    ]
    for event in journal:
        with (lab.home.logs / f"{event['node']}.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\n")
    found = [json.loads(line)["id"] for line in lab.run("events", "--json").stdout.splitlines()]
    assert found == ["pub.1", "sub1.1", "pub.2"]
    assert lab.run("events", "--node", "pub", "--name", "resync").stdout == "t3  pub    resync\n"
    assert "unit=tomcat-trust" in lab.run("events").stdout
    assert lab.run("events", "--node", "nobody").exit_code == 2


@pytest.mark.parametrize(
    ("style", "line"),
    [
        ("sh", "export UCMLAB_PUB_ADDRESS=127.9.9.11"),
        ("dotenv", 'UCMLAB_PUB_ADDRESS="127.9.9.11"'),
        ("github", "UCMLAB_PUB_ADDRESS=127.9.9.11"),
        ("json", '  "UCMLAB_PUB_ADDRESS": "127.9.9.11",'),
    ],
)
def test_env_speaks_four_languages(lab: Bench, style: str, line: str) -> None:
    assert line in lab.run("env", "--format", style).stdout.splitlines()


def test_env_names_what_programs_need(lab: Bench) -> None:
    lab.link.extra["sub1"] = {
        "addresses": {"https": "127.9.9.12:443", "https_alt": "127.9.9.12:18443", "ssh": "127.9.9.12:10022"}
    }
    told: Any = lab.json("env")
    secret = lab.home.credentials()
    assert told["UCMLAB_OS_PASSWORD"] == secret.os_password
    assert told["UCMLAB_MQTT_URL"] == "mqtt://127.9.9.1:1883"
    assert (told["UCMLAB_MQTT_USER"], told["UCMLAB_MQTT_PASSWORD"]) == ("observer", secret.observer_password)
    assert told["UCMLAB_MQTT_TOPIC"] == f"cucm/v1/{lab.home.lab.cluster}/#"
    assert (told["UCMLAB_SUB1_HTTPS_PORT"], told["UCMLAB_SUB1_SSH_PORT"]) == ("443", "10022")
    assert told["UCMLAB_SUB1_SOAP_PORT"] == "18443"
    assert (told["UCMLAB_SUB1_FQDN"], "UCMLAB_PUB_SSH_PORT" in told) == ("sub1.lab.test", False)
    assert pem(ROOT) in Path(told["UCMLAB_CA_BUNDLE"]).read_text()


def test_a_broker_elsewhere_hides_no_state(lab: Bench) -> None:
    lab.link.broker_url = "mqtts://192.0.2.7:8883"
    told: Any = lab.json("env")
    assert (told["UCMLAB_PUB_FQDN"], "UCMLAB_PUB_ADDRESS" in told) == ("pub.lab.test", False)
    assert lab.run("status").exit_code == 0
    assert (lab.run("hosts").exit_code, "192.0.2.7" in lab.run("hosts").stderr) == (2, True)


@pytest.mark.parametrize("command", [["bus", "--topic"], ["broker", "--anonymous", "--deny-subscribe"]])
def test_what_is_no_filter_is_refused(lab: Bench, command: list[str]) -> None:
    result = lab.run(*command, "log/#/unit")
    assert result.exit_code == 2
    assert "'log/#/unit': # is allowed as the last level only" in result.stderr


def test_no_other_command_prints_a_password(lab: Bench) -> None:
    secret = lab.home.credentials()
    words = (secret.os_password, secret.app_password, secret.observer_password)
    for command in (["dump"], ["status", "--json"], ["stores"], ["hosts"], ["cert", "list", "pub", "--json"]):
        assert not any(word in lab.run(*command).output for word in words)


def test_hosts_are_lines_for_etc_hosts(lab: Bench) -> None:
    assert lab.run("hosts").stdout.splitlines()[0] == "127.9.9.11\tpub.lab.test pub"
    lab.running = False
    assert lab.run("hosts").exit_code == 2


# -- services


def test_a_service_is_listed_with_what_it_loaded(lab: Bench) -> None:
    lab.link.extra["pub"] = {"services": TFTP}
    row = lab.run("service", "list", "pub").stdout.splitlines()[1]
    assert row.split()[:5] == ["Cisco", "Tftp", "started", "feature", "yes"]
    assert f"tomcat:{FP[:8]}" in row


@pytest.mark.parametrize("name", [["Cisco Tftp"], ["Cisco", "Tftp"], ["tftp"], ["CISCO TFTP"]])
def test_an_order_goes_through_the_publishers_control_center(lab: Bench, name: list[str]) -> None:
    result = lab.run("service", "restart", "sub1", *name)
    [(asked, operation)] = lab.link.operations
    assert result.exit_code == 0
    assert isinstance(operation, OrderService)
    assert (asked, operation.node, operation.service, operation.action) == ("pub", "sub1", "Cisco Tftp", "restart")


@pytest.mark.parametrize(("down", "asked"), [("pub", "sub1"), ("sub1", "sub1")])
def test_without_the_publisher_or_for_a_node_that_is_down_the_node_itself_is_asked(
    lab: Bench, down: str, asked: str
) -> None:
    lab.link.states[down] = "down"
    lab.link.reply = refused("node_down")
    result = lab.run("service", "stop", "sub1", "Cisco Tftp")
    assert lab.link.operations[0][0] == asked
    assert result.exit_code == 1


def test_the_cluster_is_restarted_node_by_node(lab: Bench) -> None:
    for node in ("pub", "sub1"):
        lab.link.extra[node] = {"services": TFTP}
    result = lab.run("service", "restart", "cluster", "tftp")
    asked = [(at, each.node, each.action) for at, each in lab.link.operations if isinstance(each, OrderService)]
    assert result.exit_code == 0
    assert asked[:2] == [("pub", "pub", "restart"), ("pub", "sub1", "restart")]
    assert len({each.op_id for _, each in lab.link.operations}) == len(asked)
    assert lab.run("service", "restart", "cluster", "Cisco Nothing").exit_code == 2
    assert lab.run("service", "stop", "cluster", "tftp").exit_code == 2


@pytest.mark.parametrize(
    "arguments", [["start", "sub1", "Cisco Nothing"], ["stop", "sub9", "Cisco Tftp"], ["list", "sub9"]]
)
def test_a_service_or_node_that_there_is_not_is_named(lab: Bench, arguments: list[str]) -> None:
    result = lab.run("service", *arguments)
    assert (result.exit_code, lab.link.operations) == (2, [])


# -- faults


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["kill", "sub1"], ("kill", "sub1")),
        (["stop", "sub1"], ("stop", "sub1")),
        (["start", "sub1"], ("start", "sub1")),
        (["pause", "sub1"], ("pause", "sub1")),
        (["resume", "sub1"], ("resume", "sub1")),
        (["kill", "broker"], ("kill", "broker")),
        (["isolate", "sub1"], ("isolate", "sub1")),
        (["heal"], ("heal", None)),
        (["heal", "sub1"], ("heal", "sub1")),
        (["replication", "break", "sub1"], ("break", "sub1")),
        (["replication", "repair", "sub1"], ("repair", "sub1")),
    ],
)
def test_a_fault_goes_to_the_lab(lab: Bench, arguments: list[str], expected: tuple[str, str | None]) -> None:
    assert lab.run("fault", *arguments).exit_code == 0
    assert lab.link.faults == [expected]


def test_a_fault_of_a_node_that_there_is_not_is_none(lab: Bench) -> None:
    assert lab.run("fault", "kill", "sub9").exit_code == 2
    assert lab.link.faults == []


def test_what_is_broken_is_listed_the_broker_too(lab: Bench) -> None:
    assert lab.run("fault", "list", "--now").stdout == "nothing is broken\n"
    lab.link.states["sub2"] = "down"
    lab.link.broken = [{"fault": "partition", "groups": "pub,broker / sub1,sub2"}]
    lab.link.broker_url = None
    assert lab.run("fault", "list", "--now").stdout.splitlines() == [
        "partition pub,broker / sub1,sub2",
        "broker: down  sub2: down",
    ]
    assert "fault: partition pub,broker / sub1,sub2" in lab.run("status").stdout


def test_replication_comes_from_the_publisher_and_not_to_it(lab: Bench) -> None:
    result = lab.run("fault", "replication", "break", "pub")
    assert (result.exit_code, lab.link.faults) == (2, [])
    assert "pub is where replication comes from" in result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pub,sub1 / sub2", ([["pub", "sub1"], ["sub2"]], None)),
        ("pub sub1/sub2 broker=2", ([["pub", "sub1"], ["sub2"]], 1)),
        ("pub / sub1,sub2 broker=sub2", ([["pub"], ["sub1", "sub2"]], 1)),
        ("broker=sub1,sub2 pub / sub1,sub2", ([["pub"], ["sub1", "sub2"]], 1)),
    ],
)
def test_groups_are_read_as_the_contract_spells_them(text: str, expected: object) -> None:
    assert read_groups(tuple(text.split())) == expected


@pytest.mark.parametrize("text", ["pub /", "/", "pub / sub1 broker=3", "pub / sub1 broker=", "pub broker=1 broker=1"])
def test_what_are_no_groups_is_unusable(text: str) -> None:
    with pytest.raises(Unusable):
        read_groups(tuple(text.split()))


def test_a_partition_goes_to_the_lab(lab: Bench) -> None:
    assert lab.run("fault", "partition", "pub,sub1 / sub2", "broker=2").exit_code == 0
    assert lab.link.groups == ([["pub", "sub1"], ["sub2"]], 1)


# -- waiting, time, the end


@pytest.mark.parametrize(
    "condition",
    [
        ["--converged"],
        ["--file", "sub1", "tomcat-trust", FP],
        ["--file", "sub1", "tomcat-trust", FP[:12].upper()],
        ["--absent", "sub2", "tomcat-trust", FP],
        ["--presents", "pub", "Cisco Tftp", FP],
        ["--presents", "pub", "tftp", FP],
    ],
)
def test_what_is_so_is_met_at_once(lab: Bench, condition: list[str]) -> None:
    lab.link.extra["pub"] = {"services": TFTP}
    assert lab.run("wait", *condition).exit_code == 0


@pytest.mark.parametrize(
    "condition",
    [["--absent", "sub1", "tomcat-trust", FP], ["--file", "sub2", "tomcat-trust", FP], ["--event", "never"]],
)
def test_what_does_not_come_is_not_met_after_lab_time(lab: Bench, condition: list[str]) -> None:
    result = lab.run("wait", *condition, "--within", "5s")
    assert result.exit_code == 1
    assert result.stderr.startswith("not met within 5s: ")
    told: Any = lab.json("wait", *condition, "--within", "5s")
    assert told["met"] is False


def test_an_event_of_this_run_counts_and_one_of_an_earlier_does_not(lab: Bench) -> None:
    names = ["resync", "lab_started", "alarm"]
    lines = [
        json.dumps({"event": name, "lab_us": at, "machine_us": at, "node": "lab"}) for at, name in enumerate(names)
    ]
    (lab.home.logs / "lab.jsonl").write_text("\n".join(lines) + "\n")
    assert lab.run("wait", "--event", "alarm", "--within", "2s").exit_code == 0
    assert lab.run("wait", "--event", "resync", "--within", "2s").exit_code == 1


@pytest.mark.parametrize(
    "condition",
    [
        [],
        ["--converged", "--event", "x"],
        ["--converged", "--within", "soon"],
        ["--file", "sub9", "tomcat-trust", FP],
        ["--file", "sub1", "no-trust", FP],
        ["--file", "sub1", "tomcat-trust", "xyz"],
        ["--presents", "pub", "Nothing", FP],
    ],
)
def test_what_cannot_be_waited_for_is_unusable(lab: Bench, condition: list[str]) -> None:
    assert lab.run("wait", *condition).exit_code == 2


def test_time_moves(lab: Bench) -> None:
    assert lab.run("time", "now").stdout == "2026-01-05T08:00:01Z\n"
    lab.run("time", "advance", "31m")
    assert lab.link.lab > 31 * MINUTE
    lab.run("time", "speed", "60")
    assert lab.link.faults == [("speed 60", None)]
    assert lab.run("time", "advance", "soon").exit_code == 2
    assert lab.run("time", "speed", "0").exit_code == 2


def test_down_ends_the_lab_and_again_is_no_error(lab: Bench) -> None:
    assert lab.run("down").exit_code == 0
    assert lab.link.ended
    lab.running = False
    assert lab.run("down").exit_code == 0
    assert (lab.home.path / "lab.json").exists()


def test_a_lab_that_runs_is_not_discarded(lab: Bench) -> None:
    result = lab.run("init", "--fresh")
    assert result.exit_code == 2
    assert "ucmlab down" in result.stderr
    assert (lab.home.path / "lab.json").exists()
