"""Services and orders to them: each takes effect once, in time, and is reported."""

import pytest

from tests.playbook import TOPICS, LogBook, Playbook, config, row
from ucmlab.broker.messages import Birth, ServiceOrder, ServiceReport
from ucmlab.node.commands import AnyCommand, RecordOrder, SetEnabled
from ucmlab.node.events import DiskImage, IdentityMade, OrderService, ServiceTroubled
from ucmlab.node.instant import HOUR, MINUTE, SECOND

TOMCAT = "Cisco Tomcat"
TFTP = "Cisco Tftp"
AXL = "Cisco AXL Web Service"
SSH = "System SSH"
MESSAGING = "Cisco Certificate Expiry Monitor"


def up(name: str = "sub1", *, timing: str = "instant") -> Playbook:
    image = DiskImage(
        boot=0, installed=True, replica=LogBook().image(), identities={"tomcat": row("tomcat of sub1").der}
    )
    return Playbook(config(name, timing=timing), image=image).up()  # type: ignore[arg-type]  # the tests' literals


def order(
    sub: Playbook, op_id: str, action: str, service: str = TOMCAT, *, not_after: int = MINUTE
) -> list[AnyCommand]:
    """The publisher orders a service of this node about."""
    topic = TOPICS.service_order(sub.config.name, service)
    return sub.hears("pub", topic, ServiceOrder(op_id, service, action, not_after))


def reports(sub: Playbook, commands: list[AnyCommand]) -> list[tuple[str, str, str, str]]:
    found = [said for _, said in sub.published(commands) if isinstance(said, ServiceReport) and said.op_id]
    return [(said.op_id, said.state, said.outcome, said.reason) for said in found]


def state(sub: Playbook, service: str = TOMCAT) -> str:
    return sub.core.services.states()[service]


@pytest.mark.parametrize(
    ("action", "states"),
    [
        ("start", [("started", "done")]),
        ("stop", [("stopping", ""), ("stopped", ""), ("stopped", "done")]),
        ("restart", [("stopping", ""), ("stopped", ""), ("starting", ""), ("started", ""), ("started", "done")]),
        ("enable", [("started", "done")]),
        ("disable", [("started", "done")]),
    ],
)
def test_a_started_service_goes_through_its_states_and_every_one_is_told(
    action: str, states: list[tuple[str, str]]
) -> None:
    sub = up()
    assert [(at, outcome) for _, at, outcome, _ in reports(sub, order(sub, "op-1", action))] == states


@pytest.mark.parametrize(
    ("action", "states"),
    [
        ("start", [("starting", ""), ("started", ""), ("started", "done")]),
        ("stop", [("stopped", "done")]),
        ("restart", [("starting", ""), ("started", ""), ("started", "done")]),
    ],
)
def test_a_stopped_service_does_as_well(action: str, states: list[tuple[str, str]]) -> None:
    sub = up()
    order(sub, "op-0", "stop")
    assert [(at, outcome) for _, at, outcome, _ in reports(sub, order(sub, "op-1", action))] == states


@pytest.mark.rule("S11")
def test_an_order_takes_effect_once_and_a_repetition_gets_the_same_report() -> None:
    sub = up()
    first = order(sub, "op-1", "stop")
    assert [each for each in first if isinstance(each, RecordOrder)] == [RecordOrder("op-1")]
    order(sub, "op-2", "start")
    assert reports(sub, order(sub, "op-1", "stop")) == [("op-1", "stopped", "done", "")]
    assert state(sub) == "started"


@pytest.mark.rule("S11")
def test_an_order_is_durable_before_it_takes_effect() -> None:
    sub = up()
    wanted = order(sub, "op-1", "stop")
    assert isinstance(wanted[0], RecordOrder)


@pytest.mark.rule("S11")
def test_an_order_that_took_effect_before_a_restart_takes_none_after_it() -> None:
    sub = up()
    order(sub, "op-1", "stop")
    sub.restart()
    assert state(sub) == "started"
    assert reports(sub, order(sub, "op-1", "stop")) == []
    assert state(sub) == "started"


@pytest.mark.rule("S11")
def test_an_order_that_comes_too_late_takes_no_effect() -> None:
    sub = up()
    sub.wait(MINUTE + 1)
    assert order(sub, "op-1", "stop", not_after=MINUTE) == []
    assert state(sub) == "started"


def test_an_order_at_its_last_instant_takes_effect() -> None:
    sub = up()
    sub.wait(MINUTE)
    order(sub, "op-1", "stop", not_after=MINUTE)
    assert state(sub) == "stopped"


@pytest.mark.parametrize(
    ("service", "action", "reason"),
    [
        ("Cisco Nonsense", "start", "not_found"),
        (TOMCAT, "explode", "not_found"),
        (SSH, "stop", "permission"),
        (SSH, "disable", "permission"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused(service: str, action: str, reason: str) -> None:
    sub = up()
    wanted = order(sub, "op-1", action, service)
    assert [(outcome, why) for _, _, outcome, why in reports(sub, wanted)] == [("refused", reason)]
    assert [each for each in wanted if isinstance(each, RecordOrder)] == []


def test_a_service_that_cannot_be_stopped_can_be_restarted() -> None:
    sub = up()
    assert reports(sub, order(sub, "op-1", "restart", SSH))[-1] == ("op-1", "started", "done", "")


def test_while_a_service_carries_out_one_order_it_refuses_another() -> None:
    sub = up(timing="product")
    sub.wait(10 * MINUTE)
    order(sub, "op-1", "restart", not_after=20 * MINUTE)
    assert state(sub) == "stopping"
    assert reports(sub, order(sub, "op-2", "stop", not_after=20 * MINUTE)) == [
        ("op-2", "stopping", "refused", "permission")
    ]
    assert reports(sub, sub.wait(4 * MINUTE))[-1] == ("op-1", "started", "done", "")


@pytest.mark.rule("A.22")
def test_under_product_timing_a_start_takes_as_long_as_the_rules_say() -> None:
    sub = up(timing="product")
    assert state(sub) == "starting"
    sub.wait(60 * SECOND - 1)
    assert state(sub) == "starting"
    sub.wait(120 * SECOND + 1)
    assert state(sub) == "started"


def test_a_stop_during_the_start_ends_it_for_good() -> None:
    sub = up(timing="product")
    order(sub, "op-1", "stop")
    sub.wait(10 * MINUTE)
    assert state(sub) == "stopped"


@pytest.mark.rule("C-16")
def test_a_service_keeps_what_it_loaded_until_its_next_start() -> None:
    sub = up()
    before = sub.core.status().services[TOMCAT]
    new = row("tomcat of sub1", days=10)
    sub.does(IdentityMade("tomcat", new.der))
    assert sub.core.status().services[TOMCAT].loaded == before.loaded
    assert (before.pending, sub.core.status().services[TOMCAT].pending) == ((), ("tomcat",))
    order(sub, "op-1", "restart")
    after = sub.core.status().services[TOMCAT]
    assert (after.loaded, after.pending) == ({"tomcat": new.fingerprint}, ())


def test_a_stopped_service_has_nothing_loaded() -> None:
    sub = up()
    order(sub, "op-1", "stop")
    assert (sub.core.status().services[TOMCAT].loaded, sub.core.status().services[TOMCAT].pending) == ({}, ())


def test_a_disabled_service_goes_on_and_is_not_started_at_the_next_boot() -> None:
    sub = up()
    wanted = order(sub, "op-1", "disable", MESSAGING)
    assert [each for each in wanted if isinstance(each, SetEnabled)] == [SetEnabled(MESSAGING, enabled=False)]
    assert state(sub, MESSAGING) == "started"
    sub.restart()
    assert state(sub, MESSAGING) == "stopped"


def test_a_feature_service_that_was_deactivated_is_activated_before_it_is_started() -> None:
    """As a Start in the product's Control Center of what was deactivated in Service Activation (W2.2)."""
    sub = up()
    order(sub, "op-1", "disable", AXL)
    assert state(sub, AXL) == "started", "it goes on until it is stopped"
    order(sub, "op-2", "stop", AXL)
    refused = order(sub, "op-3", "start", AXL)
    assert (state(sub, AXL), reports(sub, refused)) == (
        "not activated",
        [("op-3", "not activated", "refused", "not_activated")],
    )
    order(sub, "op-4", "enable", AXL)
    order(sub, "op-5", "start", AXL)
    assert state(sub, AXL) == "started"


def test_a_service_that_is_not_started_at_boot_is_stopped_since_then() -> None:
    sub = up()
    order(sub, "op-1", "disable", MESSAGING)
    sub.wait(MINUTE)
    sub.restart()
    assert sub.core.services.status()[MESSAGING].since == MINUTE


def test_a_stopped_service_is_started_at_the_next_boot() -> None:
    sub = up()
    order(sub, "op-1", "stop")
    sub.restart()
    assert state(sub) == "started"


def test_a_birth_names_every_service_with_its_state() -> None:
    sub = up()
    order(sub, "op-1", "stop")
    sub.disconnect()
    (birth,) = (said for _, said in sub.published(sub.connect()) if isinstance(said, Birth))
    assert birth.services == sub.core.services.states()
    assert birth.services[TOMCAT] == "stopped"


# -- orders given on a node


@pytest.mark.rule("R-155")
def test_a_node_orders_its_own_services_and_nobody_elses() -> None:
    sub = up()
    sub.does(OrderService("op-1", "sub1", TOMCAT, "restart"))
    sub.does(OrderService("op-2", "sub2", TOMCAT, "restart"))
    assert sub.replies() == [("op-1", "done", ""), ("op-2", "refused", "publisher_only")]


def test_its_own_order_that_the_bus_brings_back_is_no_intruder() -> None:
    sub = up()
    wanted = sub.does(OrderService("op-1", "sub1", TOMCAT, "restart"))
    ((topic, given),) = ((topic, said) for topic, said in sub.published(wanted) if isinstance(said, ServiceOrder))
    assert sub.hears("sub1", topic, given) == []
    assert sub.records("bus_refused") == []


def test_an_order_to_a_service_whose_need_goes_for_good_meanwhile_is_refused() -> None:
    sub = up(timing="product")
    sub.wait(10 * MINUTE)
    order(sub, "op-1", "restart", AXL, not_after=HOUR)
    told = order(sub, "op-2", "stop", not_after=HOUR)
    told += sub.wait(10 * MINUTE)
    assert ("op-1", "stopped", "refused", "dependency") in reports(sub, told)
    assert (state(sub, AXL), sub.core.open_operations()) == ("stopped", 0)


def test_an_order_to_a_service_whose_need_restarts_meanwhile_is_done_with_it() -> None:
    sub = up(timing="product")
    sub.wait(10 * MINUTE)
    order(sub, "op-1", "restart", AXL, not_after=HOUR)
    told = order(sub, "op-2", "restart", not_after=HOUR) + sub.wait(10 * MINUTE)
    assert ("op-1", "started", "done", "") in reports(sub, told)
    assert sub.core.open_operations() == 0


def test_an_order_to_a_service_whose_need_does_not_come_up_again_is_refused() -> None:
    sub = up(timing="product")
    sub.wait(10 * MINUTE)
    sub.does(ServiceTroubled(TOMCAT, "fails", 1))
    order(sub, "op-1", "restart", AXL, not_after=HOUR)
    told = order(sub, "op-2", "restart", not_after=HOUR) + sub.wait(10 * MINUTE)
    assert ("op-1", "stopped", "refused", "dependency") in reports(sub, told)
    assert ("op-2", "stopped", "refused", "service_failed") in reports(sub, told)
    assert sub.core.open_operations() == 0


def test_a_service_that_is_to_stop_has_stopped_when_its_need_goes() -> None:
    sub = up(timing="product")
    sub.wait(10 * MINUTE)
    order(sub, "op-1", "stop", AXL, not_after=HOUR)
    told = order(sub, "op-2", "stop", not_after=HOUR) + sub.wait(10 * MINUTE)
    assert ("op-1", "stopped", "done", "") in reports(sub, told)
    assert sub.core.open_operations() == 0


def test_a_service_that_is_not_started_at_boot_does_not_come_up_with_its_need_at_boot() -> None:
    sub = up()
    order(sub, "op-1", "stop")
    order(sub, "op-2", "disable", AXL)
    sub.core.services.reboot()
    assert (state(sub), state(sub, AXL)) == ("started", "not activated")


def test_a_service_that_waits_for_another_one_and_is_told_to_stop_was_stopped_by_order() -> None:
    sub = up()
    order(sub, "op-1", "stop")
    order(sub, "op-2", "stop", AXL)
    assert sub.core.status().services[AXL].reason == "ordered"
