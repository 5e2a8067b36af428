"""Which broker a lab uses, what its home keeps of it, and what a Mosquitto is told."""

import stat
from pathlib import Path

import pytest

from ucmlab.broker.access import AccessRule
from ucmlab.broker.topics import Topics, echo_topic
from ucmlab.cluster.access_rules import member_rules, observer_rules
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.carriers import mosquitto
from ucmlab.cluster.carriers.choice import Carrier, SharedAccount, read_carrier
from ucmlab.cluster.cli.env import bus_account
from ucmlab.cluster.cli.snapshot import Broker
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.provision import LabHome, open_lab, provision
from ucmlab.cluster.topology import Settings, topology

SMALL = topology(Settings(nodes="pub,sub1"))
SECRET = "s3cr:t@pw"  # noqa: S105  nobody's
WITH_ACCOUNT = "mqtts://lab:s3cr%3At%40pw@broker.example:8884"


@pytest.mark.parametrize(
    ("text", "carrier"),
    [
        ("embedded", Carrier("embedded")),
        ("mosquitto", Carrier("mosquitto")),
        ("mqtt://127.0.0.1", Carrier("url", "127.0.0.1", 1883)),
        ("mqtts://broker/", Carrier("url", "broker", 8883, tls=True)),
        ("mqtt://[::1]:1884", Carrier("url", "::1", 1884)),
        (WITH_ACCOUNT, Carrier("url", "broker.example", 8884, tls=True, account=SharedAccount("lab", SECRET))),
    ],
)
def test_what_the_option_says(text: str, carrier: Carrier) -> None:
    assert read_carrier(text) == carrier


def test_what_is_shown_has_no_password_and_reads_as_the_same_broker() -> None:
    carrier = read_carrier(WITH_ACCOUNT)
    assert carrier.text == "mqtts://broker.example:8884"
    assert "s3cr" not in repr(carrier)
    assert read_carrier(read_carrier("mqtt://[::1]:1884").text).host == "::1"


@pytest.mark.parametrize(
    "text",
    ["pigeon", "lab:s3cr@host", "http://lab:s3cr@host", "mqtt://lab:s3cr@host:port", "mqtt://lab:s3cr@", "mqtts://"],
)
def test_what_is_no_broker_is_refused_without_repeating_a_password(text: str) -> None:
    with pytest.raises(Unusable) as refused:
        read_carrier(text)
    assert "s3cr" not in refused.value.text
    assert "mqtt://" in refused.value.text


# -- what a home keeps


def made(folder: Path, text: str, authority: bytes | None = None) -> LabHome:
    carrier = read_carrier(text)
    provision(folder, SMALL, wall_start=0, carrier=carrier, broker_ca=authority, keys=simulation_keys())
    return open_lab(folder)


def test_the_password_of_somebody_elses_broker_is_in_a_file_of_its_own(tmp_path: Path) -> None:
    home = made(tmp_path / "lab", WITH_ACCOUNT)
    assert home.carrier == read_carrier(WITH_ACCOUNT)
    holding = [path for path in home.path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert holding == [home.path / "bus" / "broker-account.json"]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600


def test_members_share_the_account_and_have_ids_that_no_other_lab_has(tmp_path: Path) -> None:
    home = made(tmp_path / "lab", WITH_ACCOUNT, b"-----BEGIN CERTIFICATE-----\n")
    endpoint = home.endpoint("sub1", host="unused", port=1, tls=True)
    assert (endpoint.host, endpoint.port, endpoint.username, endpoint.password) == (
        "broker.example", 8884, "lab", SECRET,
    )  # fmt: skip
    assert endpoint.client_id == f"{home.lab.cluster}-sub1"
    assert endpoint.ca_file == str(home.path / "bus" / "broker-ca.pem")
    observer = home.observer_endpoint("watching", host="unused", port=1, tls=True)
    assert (observer.username, observer.client_id) == ("lab", f"{home.lab.cluster}-watching")


def test_a_broker_without_an_account_is_taken_for_one_that_knows_the_labs(tmp_path: Path) -> None:
    home = made(tmp_path / "lab", "mqtts://broker:8883")
    endpoint = home.endpoint("sub1", host="broker", port=8883, tls=True)
    assert (endpoint.username, endpoint.client_id, endpoint.ca_file) == ("sub1", "sub1", str(home.bus_ca))
    assert not (home.path / "bus" / "broker-account.json").exists()


# -- what a Mosquitto is told


def test_a_password_is_hashed_as_mosquitto_does() -> None:
    # Made with mosquitto_passwd 2.0.11 (-b), whose salt is in the line.
    made_by_it = mosquitto.hashed("secret", b"0123456789ab")
    kind, algorithm, rounds, salt, digest = made_by_it.split("$")
    assert (kind, algorithm, rounds, salt) == ("", "7", "101", "MDEyMzQ1Njc4OWFi")
    assert len(digest) == 88
    assert mosquitto.hashed("secret") != mosquitto.hashed("secret")


def test_access_rules_in_mosquittos_words() -> None:
    text = mosquitto.access_text(
        {
            "pub": (AccessRule("publish", "a/+"), AccessRule("subscribe", "b"), AccessRule("receive", "b")),
            "sub1": (AccessRule("publish", "own/%c"), AccessRule("receive", "own/%c")),
        }
    )
    assert text.splitlines() == [
        "user pub",
        "topic write a/+",
        "topic read b",
        "user sub1",
        "pattern write own/%c",
        "pattern read own/%c",
    ]


def test_every_rule_of_the_lab_can_be_said_in_mosquittos_words() -> None:
    rules = {name: member_rules("lab-1", name, publisher="pub") for name in SMALL.names}
    text = mosquitto.access_text(rules | {"observer": observer_rules("lab-1")})
    said = text.splitlines()
    assert f"topic read {Topics('lab-1').root}/#" in said
    assert said.count(f"pattern write {echo_topic('lab-1', '%c')}") == 1
    assert not any("subscribe" in line or "deny" in line for line in said)


def test_all_files_of_a_mosquitto_are_its_owners_alone(tmp_path: Path) -> None:
    configuration = mosquitto.write_configuration(
        tmp_path / "mosquitto",
        host="127.0.0.1",
        port=1883,
        certificate=tmp_path / "broker.pem",
        passwords={"pub": SECRET},
        rules={"pub": ()},
    )
    files = sorted(configuration.parent.iterdir())
    assert [path.name for path in files] == ["access", "mosquitto.conf", "passwords"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert all(SECRET not in path.read_text() for path in files)
    settings = dict(line.split(" ", 1) for line in configuration.read_text().splitlines())
    assert settings["listener"] == "1883 127.0.0.1"
    assert settings["allow_anonymous"] == "false"
    assert settings["persistence"] == "false"


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"^--listen 192\.0\.2\.1: ucmlab runs Mosquitto on loopback only; .*$"):
        mosquitto.write_configuration(
            tmp_path, host="192.0.2.1", port=1883, certificate=tmp_path, passwords={}, rules={}
        )


def test_without_mosquitto_the_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mosquitto, "_PLACES", ())
    with pytest.raises(Unusable, match=r"^--broker mosquitto: Mosquitto is not installed; run `make extras`, .*$"):
        mosquitto.find_mosquitto()


def test_why_it_ended_is_its_last_word(tmp_path: Path) -> None:
    log = tmp_path / "broker.log"
    assert mosquitto.last_words(log) == ""
    log.write_text("1763950000: mosquitto version 2.0.11 starting\n1763950000: Error: Address already in use\n")
    assert mosquitto.last_words(log) == "Error: Address already in use"


# -- what is shown of it


@pytest.mark.parametrize(
    ("kind", "pid", "seen"), [("embedded", 7, "up"), ("mosquitto", None, "down"), ("url", None, "up")]
)
def test_somebody_elses_broker_is_not_called_down_for_having_no_process_here(
    kind: str, pid: int | None, seen: str
) -> None:
    assert Broker(kind, "mqtt://127.0.0.1:1883", pid).down is (seen == "down")


def test_programs_get_the_account_that_the_broker_knows(tmp_path: Path) -> None:
    shared, own = made(tmp_path / "shared", WITH_ACCOUNT), made(tmp_path / "own", "embedded")
    assert bus_account(shared) == ("lab", SECRET)
    assert bus_account(own) == ("observer", own.credentials().observer_password)
