"""The lab's mail server and syslog collector in virtual time: what stories do to them, and what nodes make of it."""

import pytest

from tests.simulation.stories import told
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.cluster.topology import Settings
from ucmlab.scenarios import Lab, Node

ONE = Settings(nodes="pub,sub1")
MONITOR = "Cisco Certificate Expiry Monitor"


def port_of(lab: Lab) -> SimLab:
    assert isinstance(lab._port, SimLab)
    return lab._port


def sets(lab: Lab, node: Node, name: str, value: str) -> None:
    """Set a parameter of the place that is a node's."""
    core = port_of(lab).world.nodes[node.name].core
    assert core is not None
    row = core.context.rulebook.parameters[name]
    core.context.set_parameters[row.place(node.name, core.config.role), name] = value


def mails(lab: Lab, node: Node, ids: str = "admin@lab.test") -> None:
    """Have a node mail every hour."""
    settings = {"Enable E-mail Notification": "true", "E-mail IDs": ids}
    settings |= {"Notification Frequency": "1", "Notification Frequency Unit": "hours"}
    for name, value in settings.items():
        sets(lab, node, name, value)


def alarms(lab: Lab, node: Node) -> list[object]:
    """What is wrong with what carries alarms."""
    return [event["alarm"] for event in lab.events("alarm", node) if str(event["alarm"]).startswith(("mail", "syslog"))]


def names(lab: Lab, node: Node) -> list[str]:
    return [each.message_id for each in lab.syslog() if each.node == node.name]


async def urgent(lab: Lab, *, protocol: str = "udp", ids: str = "") -> Node:
    """sub1, whose monitor has begun to look every hour."""
    _, sub1 = lab.nodes
    sets(lab, sub1, "Remote Syslog Protocol", protocol)
    if ids:
        mails(lab, sub1, ids)
    (await sub1.age("tomcat", "12h")).must_be("done")
    await lab.wait("24h")
    return sub1


@pytest.mark.rule("R-085", "R-178", "R-180")
def test_mail_and_syslog_arrive_and_are_what_the_rules_say() -> None:
    async def story(lab: Lab) -> None:
        sub1 = await urgent(lab, ids="a@lab.test;b@lab.test")
        assert names(lab, sub1)[-1] == "CertExpired"
        mail = lab.mail()[-1]
        assert (mail.node, mail.recipients) == ("sub1", ("a@lab.test", "b@lab.test"))
        assert mail.at[:16] == mail.written[:16]
        assert "Type:own-cert" in mail.text
        assert lab.events("mail", sub1)[-1]["recipients"] == "a@lab.test; b@lab.test"

    told(story, ONE)


@pytest.mark.rule("R-180")
def test_a_comma_is_one_bad_address_and_an_alarm() -> None:
    async def story(lab: Lab) -> None:
        sub1 = await urgent(lab, ids="a@lab.test,b@lab.test")
        assert lab.mail() == []
        assert set(alarms(lab, sub1)) == {"mail_refused"}
        assert lab.events("alarm", sub1)[-1]["recipients"] == "a@lab.test,b@lab.test"

    told(story, ONE)


@pytest.mark.parametrize(("place", "ids"), [("mail", "admin@lab.test"), ("syslog", "")])
def test_a_dead_server_is_one_alarm_and_the_node_goes_on(place: str, ids: str) -> None:
    async def story(lab: Lab) -> None:
        sub1 = await urgent(lab, protocol="tcp", ids=ids)
        taken = len(lab.mail() if place == "mail" else lab.syslog())
        await lab.outside(place).stop()
        assert lab.dump()["faults"] == [{"fault": "outside", "target": place, "state": "stopped"}]
        await lab.wait("6h")
        assert len(lab.mail() if place == "mail" else lab.syslog()) == taken
        assert alarms(lab, sub1) == [f"{place}_unreachable", f"{place}_lost"]
        (await sub1.restart("Cisco Tftp")).must_be("done")
        await lab.converged(within="31m")
        await lab.outside(place).start()
        await lab.wait("2h")
        assert len(lab.mail() if place == "mail" else lab.syslog()) > taken
        assert lab.dump()["faults"] == []

    told(story, ONE)


@pytest.mark.parametrize(("place", "ids"), [("mail", "admin@lab.test"), ("syslog", "")])
def test_a_slow_server_takes_it_late_and_one_that_hangs_is_given_up(place: str, ids: str) -> None:
    async def story(lab: Lab) -> None:
        sub1 = await urgent(lab, protocol="tcp", ids=ids)
        await lab.outside(place).slow("5s")
        await lab.wait("2h")
        assert alarms(lab, sub1) == []
        last = lab.mail()[-1] if place == "mail" else [each for each in lab.syslog() if each.node == "sub1"][-1]
        # A run has two alarms: the second waits for the answer to the first.
        assert (int(last.at[17:19]) - int(last.written[17:19])) % 60 == (5 if place == "mail" else 10)
        await lab.outside(place).slow(None)
        await lab.wait("70m")
        assert alarms(lab, sub1)[0] == f"{place}_unreachable"
        error = next(event["error"] for event in lab.events("alarm", sub1) if event["alarm"] == f"{place}_unreachable")
        assert error == f"no answer within {60 if place == 'mail' else 10} s"

    told(story, ONE)


def test_who_waits_when_a_server_stops_is_broken_off() -> None:
    async def story(lab: Lab) -> None:
        sub1 = await urgent(lab, protocol="tcp")
        await lab.outside("syslog").slow(None)
        looked = len(lab.events("monitor_run", sub1))
        await lab.wait_until(lambda: len(lab.events("monitor_run", sub1)) > looked, within="2h")
        await lab.outside("syslog").stop()
        assert lab.events("alarm", sub1)[-1]["error"] == "Connection lost"

    told(story, ONE)


def test_a_node_that_dies_while_it_is_held_back_has_brought_nothing() -> None:
    async def story(lab: Lab) -> None:
        sub1 = await urgent(lab, protocol="tcp")
        await lab.outside("syslog").slow("5s")
        looked, heard = len(lab.events("monitor_run", sub1)), names(lab, sub1)
        await lab.wait_until(lambda: len(lab.events("monitor_run", sub1)) > looked, within="2h")
        await sub1.kill()
        await sub1.start()
        sets(lab, sub1, "Remote Syslog Protocol", "tcp")
        await lab.wait("1m")
        # What is there is what its next life said at its boot: as many as a run says.
        assert len(names(lab, sub1)) - len(heard) == 2

    told(story, ONE)


def test_datagrams_to_a_collector_that_is_down_are_lost_and_one_that_is_slow_has_them_at_once() -> None:
    async def story(lab: Lab) -> None:
        sub1 = await urgent(lab)
        await lab.outside("syslog").stop()
        heard = names(lab, sub1)
        await lab.wait("3h")
        assert (names(lab, sub1), alarms(lab, sub1)) == (heard, [])
        await lab.outside("syslog").start()
        await lab.outside("syslog").slow(None)
        await lab.wait("1h")
        assert len(names(lab, sub1)) > len(heard)

    told(story, ONE)


def test_a_server_that_nobody_knows_cannot_be_reached() -> None:
    async def story(lab: Lab) -> None:
        sub1 = await urgent(lab)
        sets(lab, sub1, "Remote Syslog Server Name 1", "syslog.example.com")
        await lab.wait("90m")
        servers = [event["server"] for event in lab.events("alarm", sub1) if event["alarm"] == "syslog_unreachable"]
        assert servers == ["syslog.example.com"]
        mails(lab, sub1)
        sets(lab, sub1, "SMTP Host", "mail.example.com:2525")
        await lab.wait("90m")
        assert "mail_unreachable" in alarms(lab, sub1)

    told(story, ONE)


def test_a_place_that_there_is_not_is_no_place() -> None:
    async def story(lab: Lab) -> None:
        for act in (lab.outside("fax").stop, lab.outside("fax").start):
            with pytest.raises(Unusable, match="there is no place 'fax' outside the cluster; there are mail, syslog"):
                await act()
        with pytest.raises(Unusable, match="mail, syslog"):
            await lab.outside("fax").slow("1s")
        lab.check(condition=True, text="all three were refused")

    told(story, ONE)
