"""A service that fails, hangs, is slow or crashes says so, and is well again when the trouble is over."""

from tests.playbook import Playbook
from tests.unit.node.test_services import TOMCAT, order, reports, state, up
from ucmlab.node.events import ServiceTroubled
from ucmlab.node.instant import MINUTE, SECOND


def alarms(sub: Playbook) -> list[tuple[object, object]]:
    records = sub.records("alarm")
    return [(record.fields["alarm"], record.fields.get("trouble", "")) for record in records]


def test_a_start_that_fails_is_refused_and_leaves_the_service_stopped_as_often_as_was_said() -> None:
    sub = up()
    sub.does(ServiceTroubled(TOMCAT, "fails", 2))
    for op_id in ("op-1", "op-2"):
        assert reports(sub, order(sub, op_id, "restart"))[-1] == (op_id, "stopped", "refused", "service_failed")
    assert alarms(sub) == [("service_trouble", "fails")] * 2
    assert reports(sub, order(sub, "op-3", "start"))[-1] == ("op-3", "started", "done", "")


def test_a_failed_start_is_reported_once_however_often_the_order_comes() -> None:
    sub = up()
    sub.does(ServiceTroubled(TOMCAT, "fails", 1))
    told = reports(sub, order(sub, "op-1", "restart"))[-1]
    assert reports(sub, order(sub, "op-1", "restart")) == [told]
    assert state(sub) == "stopped"


def test_a_service_that_hangs_comes_up_when_the_trouble_is_over() -> None:
    sub = up()
    sub.does(ServiceTroubled(TOMCAT, "hangs"))
    order(sub, "op-1", "restart")
    sub.wait(10 * MINUTE)
    assert (state(sub), sub.core.open_operations()) == ("starting", 1)
    assert reports(sub, sub.does(ServiceTroubled(TOMCAT, "")))[-1] == ("op-1", "started", "done", "")


def test_a_slow_start_takes_its_time() -> None:
    sub = up()
    sub.does(ServiceTroubled(TOMCAT, "slow", delay=5 * MINUTE))
    order(sub, "op-1", "restart")
    sub.wait(5 * MINUTE - SECOND)
    assert state(sub) == "starting"
    sub.wait(SECOND)
    assert state(sub) == "started"


def test_a_service_that_runs_crashes_after_its_time_and_again_after_every_start() -> None:
    sub = up()
    sub.does(ServiceTroubled(TOMCAT, "crashes", delay=10 * SECOND))
    sub.wait(9 * SECOND)
    assert state(sub) == "started"
    sub.wait(SECOND)
    assert (state(sub), alarms(sub)[-1][0]) == ("stopped", "service_crashed")
    order(sub, "op-1", "start")
    sub.wait(10 * SECOND)
    assert state(sub) == "stopped"


def test_a_crash_that_is_called_off_does_not_come() -> None:
    sub = up()
    sub.does(ServiceTroubled(TOMCAT, "crashes", delay=10 * SECOND))
    sub.does(ServiceTroubled(TOMCAT, ""))
    sub.wait(MINUTE)
    assert state(sub) == "started"


def test_a_service_that_hangs_is_not_brought_up_by_the_timer_of_a_crash() -> None:
    sub = up()
    sub.does(ServiceTroubled(TOMCAT, "crashes", delay=10 * SECOND))
    sub.does(ServiceTroubled(TOMCAT, "hangs"))
    order(sub, "op-1", "restart")
    sub.wait(MINUTE)
    assert state(sub) == "starting"


def test_a_service_that_is_to_hang_twice_hangs() -> None:
    sub = up()
    sub.does(ServiceTroubled(TOMCAT, "hangs"))
    order(sub, "op-1", "restart")
    sub.does(ServiceTroubled(TOMCAT, "hangs"))
    assert state(sub) == "starting"
