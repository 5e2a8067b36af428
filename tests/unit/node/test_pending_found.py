"""What is pending by what a service found when it started, whenever news of a change came and whatever became of it."""

import pytest

from tests.playbook import WALL, LogBook, Playbook, config, file_of, row
from tests.unit.node.test_pending import CALLMANAGER, TFTP, TOMCAT, UNITS, loaded, pending, renew
from tests.unit.node.test_pending import node as sub1
from tests.unit.node.test_services import order
from ucmlab.broker.messages import CatchUp, LogEntry, Row
from ucmlab.node.events import DiskImage, IdentityMade, KeysOpened
from ucmlab.node.instant import HOUR, MINUTE
from ucmlab.node.loading import EC_CIPHERS
from ucmlab.node.rule_rows import Profile

DRF, CTI, TVS = "Cisco DRF Local", "Cisco CTIManager", "Cisco Trust Verification Service"
ROUTER, XCP_AUTH = "Cisco XCP Router", "Cisco XCP Authentication Service"
CA = row("Corp Root CA")
IPSEC = row("ipsec of sub2", "ipsec", days=10, holders=("sub2",))
"""What becomes of an ipsec identity is nobody's but its node's: `ipsec-trust` goes nowhere (R-023)."""
CALLMANAGER_OF_PUB = row("CallManager of pub", "CallManager", days=10, holders=("pub",))
ITS_COPY = row("CallManager of pub", "CallManager-trust", days=10)


# -- changes undone


@pytest.mark.rule("R-118")
def test_a_trust_certificate_uploaded_and_deleted_again_is_pending_for_nobody() -> None:
    sub = sub1()
    sub.uploads("op-1", CA.der)
    assert set(pending(sub)) == {TOMCAT}
    sub.hears_answer("op-1")
    sub.core.filing.remove(*CA.key)
    sub.handled(sub.core.service_changes.look)
    assert pending(sub) == {}


@pytest.mark.rule("R-118")
def test_a_trust_certificate_deleted_and_uploaded_again_is_pending_for_nobody() -> None:
    sub = sub1()
    sub.uploads("op-1", CA.der)
    sub.uploads("op-2", row("Other Root CA").der)
    order(sub, "op-3", "restart", TOMCAT)
    sub.handled(lambda: sub.core.filing.remove(*CA.key))
    sub.handled(sub.core.service_changes.look)
    assert pending(sub) == {TOMCAT: ("tomcat-trust",)}
    sub.handled(lambda: sub.core.filing.write(CA))  # it is the last one now
    sub.handled(sub.core.service_changes.look)
    assert pending(sub) == {}


@pytest.mark.rule("R-118", "R-071")
@pytest.mark.parametrize("unit", ["tomcat", "CallManager", "ipsec"])
def test_an_identity_that_is_back_is_pending_for_nobody(unit: str) -> None:
    sub = sub1("14SU2", "tac")
    old = sub.disk.identities[unit]
    new = renew(sub, unit)
    waiting = pending(sub)
    assert waiting
    sub.does(IdentityMade(unit, old, "op-back"))
    assert pending(sub) == {}
    sub.does(IdentityMade(unit, row(f"{unit} of sub1", days=10).der, "op-again"))
    assert pending(sub) == waiting
    assert new not in {loaded(sub, name).get(unit) for name in waiting}


@pytest.mark.rule("R-010")
def test_a_parameter_that_was_set_back_is_pending_all_the_same() -> None:
    sub = sub1()
    for value in (EC_CIPHERS, "RSA Ciphers Only"):
        sub.core.context.set_parameters["cucm", "HTTPS Ciphers"] = value
        sub.core.services.parameter_changed("HTTPS Ciphers")
    assert pending(sub) == {TOMCAT: ("HTTPS Ciphers",)}


@pytest.mark.rule("B.18")
def test_what_another_node_undid_is_pending_here_all_the_same() -> None:
    sub, log = behind("tac")
    before = row("ipsec of sub2", "ipsec", holders=("sub2",))
    for entry in (changed(log, IPSEC, at=HOUR), changed(log, before, at=2 * HOUR)):
        sub.does(log.told(entry.seq))
    assert pending(sub) == {DRF: ("ipsec",)}


@pytest.mark.rule("R-137", "X-19")
def test_other_oauth_keys_are_pending_until_the_restart() -> None:
    imp = Playbook(config("imp1", nodes=("pub", "imp1")), image=DiskImage(boot=0, installed=True, keys={"authz": 1}))
    imp.up()
    imp.does(KeysOpened("authz", 2, ok=True))
    assert pending(imp) == {XCP_AUTH: ("AUTHZ",)}
    order(imp, "op-1", "restart", XCP_AUTH)
    assert pending(imp) == {}


@pytest.mark.rule("R-118", "B.6")
def test_a_file_that_somebody_put_there_or_took_away_is_pending_once_it_is_seen() -> None:
    sub = sub1()
    sub.does(LogBook().head())
    sub.disk.files["tomcat-trust", "by-hand.pem"] = file_of(CA, name="by-hand.pem")
    sub.wait(31 * MINUTE)
    assert pending(sub) == {TOMCAT: ("tomcat-trust",)}
    del sub.disk.files["tomcat-trust", "by-hand.pem"]
    sub.wait(31 * MINUTE)
    assert pending(sub) == {}


# -- news that comes late


def behind(profile: Profile, name: str = "sub1") -> tuple[Playbook, LogBook]:
    """A node that is up, and a log that will go on."""
    log = LogBook()
    nodes = ("pub", "sub1", "sub2") if name == "sub1" else ("pub", "imp1", "imp2")
    identities = {unit: row(f"{unit} of {name}").der for unit in UNITS}
    image = DiskImage(boot=0, installed=True, replica=log.image(), identities=identities)
    return Playbook(config(name, nodes=nodes, profile=profile), image=image).up(), log


def changed(log: LogBook, *adds: Row, at: int) -> LogEntry:
    """An identity is changed on its node at a lab instant."""
    origin = (adds[0].holders or ("pub",))[0]
    return log.add(*adds, origin=origin, kind="identity", at=WALL + at)


def catch_up(node: Playbook, log: LogBook) -> None:
    """It hears how far the log is, and pulls what it lacks."""
    node.does(log.head())
    node.wait(MINUTE)
    node.does(log.after(node.said(CatchUp)[-1], node.config.name))


@pytest.mark.rule("B.18", "R-104")
def test_who_started_after_the_change_is_not_to_be_restarted_for_it() -> None:
    sub, log = behind("tac")
    sub.disconnect()
    changed(log, IPSEC, at=HOUR)
    sub.wait(2 * HOUR)
    sub.restart()
    catch_up(sub, log)
    assert sub.core.replica.seq == 1
    assert pending(sub) == {}


@pytest.mark.rule("B.18", "R-104")
def test_who_started_before_the_change_is_however_late_the_news_is() -> None:
    sub, log = behind("tac")
    sub.disconnect()
    changed(log, IPSEC, at=HOUR)
    sub.wait(2 * HOUR)
    sub.connect()
    catch_up(sub, log)
    assert pending(sub) == {DRF: ("ipsec",)}


@pytest.mark.rule("B.18")
def test_who_was_restarted_while_the_node_was_cut_off_is_not() -> None:
    sub, log = behind("tac")
    sub.disconnect()
    changed(log, IPSEC, at=HOUR)
    sub.wait(2 * HOUR)
    order(sub, "op-1", "restart", DRF, not_after=3 * HOUR)
    sub.connect()
    catch_up(sub, log)
    assert pending(sub) == {}


@pytest.mark.rule("B.18")
def test_what_has_just_happened_is_pending_whatever_the_publishers_clock_says() -> None:
    sub, log = behind("tac")
    sub.wait(HOUR)
    order(sub, "op-1", "restart", DRF, not_after=3 * HOUR)
    sub.does(log.told(changed(log, IPSEC, at=-48 * HOUR).seq))
    assert pending(sub) == {DRF: ("ipsec",)}


@pytest.mark.rule("B.18")
def test_the_nodes_own_clock_may_be_wrong() -> None:
    sub, log = behind("tac")
    sub.wall_offset = 48 * HOUR
    sub.disconnect()
    changed(log, IPSEC, at=HOUR)
    sub.wait(2 * HOUR)
    sub.connect()
    sub.wall_offset = 0
    catch_up(sub, log)
    assert pending(sub) == {DRF: ("ipsec",)}


@pytest.mark.rule("X-07", "C-04")
def test_who_started_after_the_change_and_before_its_file_is_to_be_restarted() -> None:
    sub, log = behind("tac")
    changed(log, CALLMANAGER_OF_PUB, ITS_COPY, at=HOUR)
    sub.wait(2 * HOUR)
    sub.restart()
    catch_up(sub, log)
    sub.wait(31 * MINUTE)
    assert sub.files("CallManager-trust") == [ITS_COPY.fingerprint]
    assert {name for name, units in pending(sub).items() if "CallManager" in units} == {
        CALLMANAGER, CTI, TVS, TFTP, "Cisco HAProxy",
    }  # fmt: skip


@pytest.mark.rule("X-07", "C-04")
def test_who_found_the_file_when_it_started_is_not() -> None:
    sub, log = behind("tac")
    sub.handled(lambda: sub.core.filing.write(ITS_COPY))
    changed(log, CALLMANAGER_OF_PUB, ITS_COPY, at=HOUR)
    sub.restart()  # before the change, by the clocks
    catch_up(sub, log)
    assert pending(sub) == {}


@pytest.mark.rule("B.7")
def test_the_xcp_router_of_a_node_that_was_off_has_what_it_needs() -> None:
    imp, log = behind("seed", "imp1")
    changed(log, row("cup-xmpp of imp2", "cup-xmpp", days=10, holders=("imp2",)), at=HOUR)
    imp.wait(2 * HOUR)
    imp.restart()
    catch_up(imp, log)
    assert pending(imp) == {}


@pytest.mark.rule("B.7")
def test_the_xcp_router_of_a_node_that_listens_is_to_be_restarted() -> None:
    imp, log = behind("seed", "imp1")
    imp.does(log.told(changed(log, row("cup-xmpp of imp2", "cup-xmpp", days=10, holders=("imp2",)), at=HOUR).seq))
    assert pending(imp) == {ROUTER: ("cup-xmpp",)}


# -- a cluster that is being installed


def newly_installed() -> tuple[Playbook, LogBook]:
    """A subscriber whose installation is in the log; sub2's is not."""
    log = LogBook()
    sub = Playbook(config("sub1"), image=DiskImage(boot=0)).up()
    log.add(row("tomcat of pub"), origin="pub", kind="install")
    sub.does(log.head())
    sub.wait(MINUTE)
    for part in log.snapshot(sub.said(CatchUp)[-1]):
        sub.does(part)
    own = log.add(*sub.core.installation._rows(), origin="sub1", kind="install", op_id="install-sub1")
    sub.does(log.told(own.seq))
    sub.hears_answer("install-sub1", seq=own.seq)
    sub.does(log.head())
    sub.wait(MINUTE)
    return sub, log


def trusted(sub: Playbook, service: str = TOMCAT, unit: str = "tomcat-trust") -> tuple[bytes, ...]:
    held = sub.core.services.loaded(service)
    assert held is not None
    return held.trusted[unit]


@pytest.mark.rule("R-118", "R-141")
def test_a_member_that_is_never_installed_makes_no_other_take_up_a_change() -> None:
    sub, log = newly_installed()
    assert pending(sub) == {}
    before = trusted(sub)
    assert row("tomcat of pub").der in before
    sub.does(log.told(log.add(CA).seq))
    assert CA.fingerprint in sub.files()
    assert (pending(sub), trusted(sub)) == ({TOMCAT: ("tomcat-trust",)}, before)


@pytest.mark.rule("R-118")
@pytest.mark.parametrize("late", [False, True])
def test_what_its_installation_brings_at_last_is_taken_up_and_nothing_else(late: bool) -> None:  # noqa: FBT001
    sub, log = newly_installed()
    sub.does(log.told(log.add(CA).seq))
    before, its = trusted(sub), row("tomcat of sub2")
    if late:
        sub.disconnect()
    entry = log.add(its, origin="sub2", kind="install")
    if late:
        sub.connect()
        catch_up(sub, log)
        sub.wait(31 * MINUTE)
    else:
        sub.does(log.told(entry.seq))
    assert trusted(sub) == (*before, its.der)
    assert pending(sub) == {TOMCAT: ("tomcat-trust",)}
    order(sub, "op-1", "restart", TOMCAT, not_after=HOUR)
    assert (set(trusted(sub)), pending(sub)) == ({*before, its.der, CA.der}, {})


@pytest.mark.rule("R-118")
def test_what_an_installation_brought_and_an_operator_deletes_is_pending() -> None:
    sub, log = newly_installed()
    its = row("tomcat of sub2")
    sub.does(log.told(log.add(its, origin="sub2", kind="install").seq))
    assert pending(sub) == {}
    sub.does(log.told(log.delete(its).seq))
    assert (pending(sub), its.der in trusted(sub)) == ({TOMCAT: ("tomcat-trust",)}, True)
