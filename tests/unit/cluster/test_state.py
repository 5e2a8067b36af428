"""What outsiders read of a lab: the dump of design 7.2, the digests, and when a cluster has converged."""

import hashlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.node.disk_model import certificate, row
from ucmlab.broker.messages import Row
from ucmlab.cluster.port import LabFacts, NodeLife, NodeView, ServiceView
from ucmlab.cluster.state import Convergence, convergence_of, db_digest, dump_of, files_digest, outline_of
from ucmlab.node.certificates import parse
from ucmlab.node.events import FileImage
from ucmlab.node.instant import HOUR, SECOND, from_rfc3339

FACTS = LabFacts(
    name="lab-1",
    mode="sim",
    release="14SU2",
    profile="seed",
    replication="faithful",
    wall=from_rfc3339("2026-01-05T09:00:00Z"),
    broker={"kind": "embedded"},
    faults=(),
    head=(1, 2),
)
TOMCAT = ServiceView("started", "network", True, 5 * SECOND, {"tomcat": "ab" * 32}, ("tomcat",))
FILE = FileImage("tomcat-trust", "Root_1.pem", certificate(1), "Our root")


def view(name: str = "sub1", *, state: NodeLife = "up", **changes: object) -> NodeView:
    made = NodeView(
        name=name,
        role="sub",
        release="14SU2",
        fqdn=f"{name}.lab.test",
        state=state,
        pid=None,
        home=f"/lab/nodes/{name}",
        addresses={},
        clock_offset=0,
        epoch=1,
        seq=2,
        digest="cd" * 32,
        settings_digest="",
        rows=(row(1), row(2, holders=("sub2",))),
        files=(FILE,),
        paths={("tomcat-trust", "Root_1.pem"): "/lab/Root_1.pem"},
        identities={"tomcat": certificate(3)},
        csrs={},
        services={"Cisco Tomcat": TOMCAT},
        authz=None,
        open_operations=0,
        replication_broken=False,
        files_agree=True,
        change_notification=True,
    )
    return msgspec.structs.replace(made, **changes)


def test_nodes_that_agree_have_converged() -> None:
    assert convergence_of(FACTS, [view("pub"), view("sub1")]) == Convergence(converged=True, exceptions={})


@pytest.mark.parametrize(
    ("changes", "waiting"),
    [
        ({"seq": 1}, "sub1 is behind the publisher"),
        ({"epoch": 2}, "sub1 is behind the publisher"),
        ({"open_operations": 3}, "sub1 has 3 open operations"),
        ({"files_agree": False}, "sub1 has files that differ from its rows"),
        ({"digest": "ef" * 32}, "rows differ at one position"),
    ],
)
def test_one_difference_is_enough_not_to_have_converged(changes: dict[str, object], waiting: str) -> None:
    assert convergence_of(FACTS, [view("pub"), msgspec.structs.replace(view("sub1"), **changes)]) == Convergence(
        converged=False, exceptions={}, waiting_for=(waiting,)
    )


def test_a_node_that_is_starting_is_waited_for() -> None:
    judged = convergence_of(FACTS, [view("pub"), view("sub1", state="starting", change_notification=False)])
    assert judged == Convergence(converged=False, exceptions={}, waiting_for=("sub1 is starting",))


@pytest.mark.parametrize("state", ["down", "paused", "isolated"])
def test_who_does_not_take_part_is_named_and_not_waited_for(state: NodeLife) -> None:
    judged = convergence_of(FACTS, [view("pub"), view("sub1", state=state, seq=0, open_operations=1)])
    assert judged == Convergence(converged=True, exceptions={"sub1": state})


def test_broken_replication_excuses_a_node() -> None:
    judged = convergence_of(FACTS, [view("pub"), view("sub1", replication_broken=True, seq=0)])
    assert judged == Convergence(converged=True, exceptions={"sub1": "replication_broken"})


@pytest.mark.rule("B.6")
def test_stopped_change_notification_excuses_files_but_not_rows() -> None:
    stopped = view("sub1", change_notification=False, files_agree=False)
    assert convergence_of(FACTS, [view("pub"), stopped]) == Convergence(
        converged=True, exceptions={"sub1": "certcn_stopped: files"}
    )
    behind = msgspec.structs.replace(stopped, seq=1)
    assert not convergence_of(FACTS, [view("pub"), behind]).converged


def test_without_the_publisher_the_others_must_agree_among_themselves() -> None:
    facts = msgspec.structs.replace(FACTS, head=None)
    views = [view("pub", state="down"), view("sub1", seq=1), view("sub2", seq=1)]
    assert convergence_of(facts, views) == Convergence(converged=True, exceptions={"pub": "down"})
    views[2] = view("sub2", seq=2)
    assert convergence_of(facts, views).waiting_for == ("positions differ",)


def test_the_digest_is_over_sorted_lines_of_unit_and_fingerprint() -> None:
    rows = (row(1, unit="tomcat-trust"), row(1, unit="CallManager-trust"))
    fingerprint = parse(certificate(1)).fingerprint
    expected = f"CallManager-trust\t{fingerprint}\ntomcat-trust\t{fingerprint}\n".encode()
    assert db_digest(rows) == hashlib.sha256(expected).hexdigest()


@given(
    st.permutations([row(number, unit=unit) for number in range(3) for unit in ("tomcat-trust", "CallManager-trust")])
)
def test_the_digest_knows_no_order_and_files_that_equal_rows_have_the_same(rows: list[Row]) -> None:
    files = [FileImage(each.unit, "any.pem", each.der, "any text") for each in sorted(rows, key=lambda each: each.der)]
    assert db_digest(rows) == db_digest(reversed(rows)) == files_digest(files)


def test_the_dump_says_what_the_contract_says() -> None:
    dump = dump_of(FACTS, [view("sub1")], lab=HOUR)
    assert json.loads(json.dumps(dump)) == dump
    assert list(dump) == [
        "schema", "lab", "release", "profile", "replication", "mode", "now",
        "converged", "converged_except", "broker", "faults", "nodes", "phones",
    ]  # fmt: skip
    assert dump["now"] == "2026-01-05T09:00:00Z"
    assert dump["broker"] == {"kind": "embedded", "url": None, "pid": None}
    assert dump["phones"] == {"total": 0, "registered": 0, "locked": 0, "resets": 0, "by_state": {}}


def node_of(viewed: NodeView) -> dict[str, object]:
    nodes = dump_of(FACTS, [viewed], lab=HOUR)["nodes"]
    assert isinstance(nodes, dict)
    return msgspec.convert(nodes[viewed.name], dict[str, object])


def test_a_node_of_the_dump_has_every_key_of_the_contract() -> None:
    node = node_of(view("sub1"))
    assert list(node) == [
        "role", "release", "state", "pid", "home", "fqdn", "addresses", "clock_offset_s", "db", "files_digest",
        "identities", "trust", "database", "services", "authz", "flags",
    ]  # fmt: skip
    assert node["authz"] == {"signing": None, "encryption": None}
    assert node["services"] == {
        "Cisco Tomcat": {
            "state": "started",
            "kind": "network",
            "enabled": True,
            "since": "2026-01-05T08:00:05Z",
            "loaded": {"tomcat": "ab" * 32},
            "pending": ["tomcat"],
        }
    }


def test_certificates_of_the_dump_are_described_for_machines() -> None:
    node = node_of(view("sub1"))
    identity, trusted = parse(certificate(3)), parse(certificate(1))
    assert node["identities"] == {
        "tomcat": {
            "fingerprint": identity.fingerprint,
            "serial": "4",
            "subject": "CN=Root 3",
            "issuer": "CN=Root 3",
            "key": "ec-256",
            "not_before": "2026-01-01T00:00:00Z",
            "not_after": "2036-01-01T00:00:00Z",
            "origin": "self-signed",
            "csr": False,
            "multi_server": False,
        }
    }
    trust = msgspec.convert(node["trust"], dict[str, list[dict[str, object]]])
    assert trust["tomcat-trust"] == [
        {
            "fingerprint": trusted.fingerprint,
            "serial": "2",
            "subject": "CN=Root 1",
            "issuer": "CN=Root 1",
            "file": "/lab/Root_1.pem",
            "description": "Our root",
            "not_after": "2036-01-01T00:00:00Z",
        }
    ]
    assert trust["CallManager-trust"] == []
    assert "cup-trust" not in trust


@pytest.mark.rule("B.6")
def test_an_outline_says_what_the_dump_says_and_nothing_of_certificates() -> None:
    views = [view("pub"), view("sub1", state="down"), view("sub2", seq=1)]
    whole, told = dump_of(FACTS, views, lab=HOUR), outline_of(FACTS, views, lab=HOUR)
    nodes, outlines = whole.pop("nodes"), told.pop("nodes")
    assert isinstance(nodes, dict)
    assert isinstance(outlines, dict)
    assert {key: whole[key] for key in told} == told
    assert whole.keys() - told.keys() == {"phones"}
    for name, node in outlines.items():
        assert {key: nodes[name][key] for key in node} == node
        left_out = nodes[name].keys() - node.keys()
        assert left_out == {"files_digest", "identities", "trust", "database", "authz", "flags"}


def test_the_database_lists_what_the_node_holds_not_what_it_knows() -> None:
    database = msgspec.convert(node_of(view("sub1"))["database"], dict[str, list[str]])
    assert database["tomcat-trust"] == [parse(certificate(1)).fingerprint]


def test_a_node_that_is_down_runs_nothing() -> None:
    services = msgspec.convert(node_of(view("sub1", state="down"))["services"], dict[str, dict[str, object]])
    tomcat = services["Cisco Tomcat"]
    assert (tomcat["state"], tomcat["loaded"], tomcat["pending"]) == ("stopped", {}, [])
