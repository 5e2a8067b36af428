"""Cisco DirSync: when it connects, to whom, and what is told of it (R-024, R-192)."""

import pytest

from tests.playbook import Playbook, publisher, row
from ucmlab.node.commands import AnyCommand, CloseLink, GiveUp, OpenTls, Reply
from ucmlab.node.directory_sync import SERVICE
from ucmlab.node.events import LinkEnded, OrderService, SetParameter, TlsOpened
from ucmlab.node.instant import HOUR, SECOND

LDAP = "ldap.corp.test"
TRUSTED = row(LDAP)
LEAF = TRUSTED.der
WEEK = 168 * HOUR


def node(**settings: str) -> Playbook:
    """A publisher with these parameters, its DirSync activated and not started."""
    pub = publisher([TRUSTED], files=[TRUSTED])
    pub.up()
    order(pub, "enable")
    for name, value in settings.items():
        change(pub, name.replace("_", " "), value)
    return pub


def order(pub: Playbook, action: str) -> list[AnyCommand]:
    return pub.does(OrderService(f"{action}-{pub.lab}-{len(pub.commands)}", "pub", SERVICE, action))  # type: ignore[arg-type]


def change(pub: Playbook, name: str, value: str) -> None:
    pub.does(SetParameter(f"set-{len(pub.commands)}", "cluster", name, value))


def opened(pub: Playbook) -> list[str]:
    """Where it has connected to so far."""
    return [each.address for each in pub.all(OpenTls)]


def answer(pub: Playbook, outcome: str = "open", chain: tuple[bytes, ...] = (LEAF,)) -> None:
    """The directory answers the last connection."""
    pub.does(TlsOpened(pub.all(OpenTls)[-1].token, outcome, chain))  # type: ignore[arg-type]


def runs(pub: Playbook) -> list[tuple[float, object, object]]:
    """Hour, outcome and reason of each run that is over."""
    told = [(at / HOUR, each.fields) for at, each in pub.journal if each.name == "directory_sync"]
    return [(at, fields["outcome"], fields["reason"]) for at, fields in told]


def alarms(pub: Playbook) -> list[object]:
    return [each.fields["alarm"] for each in pub.records("alarm")]


def linked() -> Playbook:
    """A publisher whose DirSync is connected."""
    pub = node(LDAP_Server=LDAP, Use_TLS="true")
    order(pub, "start")
    answer(pub)
    assert [link.to for link in pub.core.link_keeping.standing()] == [LDAP]
    return pub


@pytest.mark.parametrize("settings", [{}, {"Use_TLS": "true"}, {"LDAP_Server": ""}])
def test_with_no_server_nothing_runs(settings: dict[str, str]) -> None:
    pub = node(**settings)
    order(pub, "start")
    pub.wait(2 * WEEK)
    assert (opened(pub), runs(pub), "directory:sync" in pub.timers) == ([], [], False)


@pytest.mark.rule("R-024")
def test_a_server_that_is_set_is_nobodys_affair_until_the_service_starts() -> None:
    pub = node(LDAP_Server=LDAP, Use_TLS="true")
    pub.wait(2 * WEEK)
    assert opened(pub) == []
    order(pub, "start")
    command = pub.all(OpenTls)[-1]
    assert (command.address, command.name, command.checks_name, command.lasting) == (f"{LDAP}:636", LDAP, True, True)
    assert pub.core.open_operations() == 1
    answer(pub)
    assert (runs(pub)[0][1:], pub.core.open_operations()) == (("done", ""), 0)
    assert "directory-pub-1-1" not in [each.op_id for each in pub.all(Reply)]  # nobody had asked


@pytest.mark.parametrize(
    ("server", "address"), [("10.0.0.7:3269", "10.0.0.7:3269"), (LDAP, f"{LDAP}:636"), ("x:y", "x:y")]
)
def test_the_port_is_that_of_ldaps_where_none_is_said(server: str, address: str) -> None:
    pub = node(LDAP_Server=server, Use_TLS="true")
    order(pub, "start")
    assert opened(pub) == [address] or runs(pub) == [(0.0, "failed", "not_found")]


@pytest.mark.rule("R-024")
def test_without_tls_no_connection_is_opened_and_that_is_told() -> None:
    pub = node(LDAP_Server=LDAP)
    order(pub, "start")
    pub.wait(WEEK)
    assert (opened(pub), runs(pub)) == ([], [(0.0, "unsecured", ""), (168.0, "unsecured", "")])
    assert alarms(pub) == []


@pytest.mark.parametrize(
    ("outcome", "chain", "reason"),
    [
        ("failed", (row("Other").der,), "unknown_ca"),
        ("unreachable", (), "unreachable"),
        ("rejected", (LEAF,), "rejected"),
    ],
)
@pytest.mark.rule("R-024")
def test_a_run_that_comes_to_nothing_is_an_alarm_and_the_next_comes_at_its_time(
    outcome: str, chain: tuple[bytes, ...], reason: str
) -> None:
    pub = node(LDAP_Server=LDAP, Use_TLS="true", **{"Perform_a_Re-sync_Every": "6"})
    order(pub, "start")
    answer(pub, outcome, chain)
    assert (runs(pub), alarms(pub)) == ([(0.0, "failed", reason)], ["directory_sync_failed"])
    pub.wait(6 * HOUR)
    answer(pub)
    assert runs(pub)[1:] == [(6.0, "done", "")]


def test_a_directory_that_says_nothing_is_given_up_and_holds_up_nothing() -> None:
    pub = node(LDAP_Server=LDAP, Use_TLS="true")
    order(pub, "start")
    pub.wait(29 * SECOND)
    assert runs(pub) == []
    assert GiveUp in map(type, pub.wait(2 * SECOND))
    assert ([each[1:] for each in runs(pub)], pub.core.open_operations()) == ([("failed", "unreachable")], 0)


@pytest.mark.rule("R-192")
def test_a_connection_that_stands_is_used_again() -> None:
    pub = linked()
    pub.wait(WEEK)
    assert (len(opened(pub)), runs(pub)) == (1, [(0.0, "done", ""), (168.0, "done", "")])


@pytest.mark.rule("R-192")
def test_a_connection_that_ended_is_made_anew() -> None:
    pub = linked()
    pub.does(LinkEnded("", pub.all(OpenTls)[-1].token))
    pub.wait(WEEK)
    assert len(opened(pub)) == 2


@pytest.mark.parametrize(("name", "value"), [("LDAP Server", "other.corp.test"), ("Use TLS", "false")])
def test_another_agreement_ends_the_old_connection_at_the_next_run(name: str, value: str) -> None:
    pub = linked()
    change(pub, name, value)
    assert [link.to for link in pub.core.link_keeping.standing()] == [LDAP]
    wanted = pub.wait(WEEK)
    assert CloseLink in map(type, wanted)
    assert pub.core.link_keeping.standing() == ()
    assert len(opened(pub)) == (2 if name == "LDAP Server" else 1)


def test_another_interval_counts_from_when_it_is_set() -> None:
    pub = linked()
    pub.wait(2 * HOUR)
    change(pub, "Perform a Re-sync Every", "10")
    pub.wait(10 * HOUR)
    assert [at for at, *_ in runs(pub)] == [0.0, 12.0]


def test_the_service_ends_its_connection_and_its_runs() -> None:
    pub = linked()
    assert CloseLink in map(type, order(pub, "stop"))
    pub.wait(2 * WEEK)
    assert (len(runs(pub)), pub.core.link_keeping.standing()) == (1, ())


def test_a_restart_in_the_middle_of_a_run_begins_another_and_the_first_one_counts_for_nothing() -> None:
    pub = node(LDAP_Server=LDAP, Use_TLS="true")
    order(pub, "start")
    order(pub, "restart")
    first, second = pub.all(OpenTls)
    pub.does(TlsOpened(first.token, "open", (LEAF,)))
    pub.does(TlsOpened(second.token, "open", (LEAF,)))
    assert [link.to for link in pub.core.link_keeping.standing()] == [LDAP]
    assert [outcome for _, outcome, _ in runs(pub)] == ["done"]
    assert CloseLink(f"close:{first.token}", first.token) in pub.all(CloseLink)


def test_a_run_that_outlasts_its_service_leaves_nothing_behind() -> None:
    pub = node(LDAP_Server=LDAP, Use_TLS="true")
    order(pub, "start")
    order(pub, "stop")
    answer(pub)
    assert (runs(pub), pub.core.link_keeping.standing(), pub.core.open_operations()) == ([], (), 0)
