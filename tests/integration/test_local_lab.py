"""The lab of real processes behind its port: what every act does, and that it is settled when it returns."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.processes import is_alive
from tests.integration.real_lab import Item, converged, item, make_home, opened
from ucmlab.broker.topics import Topics
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.local import LocalLab
from ucmlab.node.commands import Reply
from ucmlab.node.events import Delete, OrderService, Upload
from ucmlab.node.instant import MINUTE, SECOND, from_rfc3339
from ucmlab.node.services import CHANGE_NOTIFICATION

pytestmark = pytest.mark.slow

NAMES = ("pub", "sub1", "sub2")
ROOT = item(1)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[LocalLab]:
    async with opened(make_home(tmp_path)) as lab:
        yield lab


async def upload(lab: LocalLab, node: str, what: Item = ROOT, op_id: str = "") -> Reply:
    return await lab.operate(node, Upload(op_id or f"up-{node}-{what.fingerprint[:8]}", what.unit, what.pem))


def holders(lab: LocalLab, what: Item = ROOT) -> set[str]:
    return {name for name in NAMES if any(file.der == what.der for file in lab.view(name).files)}


async def test_an_upload_on_a_subscriber_is_on_every_node_when_the_reply_is_there(lab: LocalLab) -> None:
    reply = await upload(lab, "sub1")

    assert (reply.outcome, reply.reason) == ("done", "")
    assert holders(lab) == set(NAMES)
    assert converged(lab)


@pytest.mark.library
async def test_waiting_moves_lab_time_by_exactly_what_was_asked_whatever_the_machine_does(lab: LocalLab) -> None:
    before = lab.now()
    started = asyncio.get_running_loop().time()

    await lab.wait(90 * MINUTE)

    assert lab.now() == before + 90 * MINUTE
    assert asyncio.get_running_loop().time() - started < 10


async def test_a_node_that_is_down_refuses_at_once_and_catches_up_when_it_is_started(lab: LocalLab) -> None:
    await lab.stop_node("sub2")
    before = lab.now()

    refused = await upload(lab, "sub2", op_id="refused")
    assert (refused.outcome, refused.reason, lab.now()) == ("refused", "node_down", before)
    assert (await upload(lab, "pub")).outcome == "done"
    assert lab.view("sub2").state == "down"
    assert holders(lab) == {"pub", "sub1"}

    await lab.start_node("sub2")
    assert await lab.wait_until(lambda: converged(lab), 31 * MINUTE)
    assert holders(lab) == set(NAMES)


@pytest.mark.library
@pytest.mark.rule("B.5")
async def test_a_file_that_is_no_certificate_is_left_alone_and_told_in_the_journal(lab: LocalLab) -> None:
    await lab.stop_node("sub1")
    stray = next(Path(path).with_name("stray.pem") for path in lab.view("sub1").paths.values())
    stray.write_text("no certificate", encoding="ascii")
    await lab.start_node("sub1")
    assert [str(stray) in str(event["text"]) for event in lab.events("disk_warning", "sub1")] == [True]
    assert stray.read_text(encoding="ascii") == "no certificate"


@pytest.mark.library
async def test_a_frozen_node_answers_nothing_for_a_minute_and_goes_on_where_it_was(lab: LocalLab) -> None:
    await lab.pause_node("sub1")
    before = lab.now()

    missed = item(2)
    assert (await upload(lab, "pub", missed)).outcome == "done"
    indefinite = await upload(lab, "sub1")
    assert (indefinite.outcome, lab.now() - before) == ("indefinite", 60 * SECOND)
    assert lab.view("sub1").state == "paused"

    await lab.resume_node("sub1")
    assert await lab.wait_until(lambda: converged(lab), MINUTE)
    assert holders(lab, missed) == set(NAMES)


@pytest.mark.library
async def test_a_node_killed_by_the_command_that_was_armed_leaves_what_it_had_performed(lab: LocalLab) -> None:
    await lab.kill_node("pub", at="AppendLog")
    assert lab.view("pub").state == "up"

    reply = await upload(lab, "pub")

    assert reply.outcome == "indefinite"
    assert lab.view("pub").state == "down"
    assert holders(lab) == {"pub"}
    await lab.start_node("pub")
    assert await lab.wait_until(lambda: converged(lab), 31 * MINUTE)
    assert holders(lab) == set(NAMES)


@pytest.mark.library
async def test_a_node_on_the_other_side_is_isolated_and_gets_what_it_missed_when_healed(lab: LocalLab) -> None:
    await lab.partition([["pub", "sub1"], ["sub2"]])

    assert (await upload(lab, "pub")).outcome == "done"
    assert [lab.view(name).state for name in NAMES] == ["up", "up", "isolated"]
    assert holders(lab) == {"pub", "sub1"}
    assert lab.facts().faults == ({"fault": "partition", "groups": "pub,sub1,broker / sub2"},)

    await lab.heal()
    assert await lab.wait_until(lambda: converged(lab), MINUTE)
    assert holders(lab) == set(NAMES)
    assert lab.facts().faults == ()


@pytest.mark.library
async def test_the_bus_notices_the_death_of_an_isolated_node_when_the_network_heals(lab: LocalLab) -> None:
    def births() -> int:
        return len(lab.messages(Topics(lab.home.lab.cluster).birth("sub2")))

    before = births()
    await lab.isolate("sub2")
    await lab.kill_node("sub2")
    assert births() == before

    await lab.heal()

    assert births() == before + 1


@pytest.mark.library
async def test_without_a_broker_nodes_live_on_and_with_a_new_one_they_agree_again(lab: LocalLab) -> None:
    await lab.kill_broker()
    assert lab.facts().broker["pid"] is None
    assert all(lab.view(name).state == "up" for name in NAMES)
    assert (await upload(lab, "sub1")).outcome in {"partial", "indefinite"}

    await lab.start_broker()
    assert await lab.wait_until(lambda: converged(lab), 31 * MINUTE)
    assert holders(lab) == set(NAMES)


@pytest.mark.library
async def test_the_broker_can_be_stopped_in_order_too(lab: LocalLab) -> None:
    await lab.stop_broker()
    assert lab.facts().broker["pid"] is None

    await lab.start_broker()

    assert await lab.wait_until(lambda: converged(lab), MINUTE)


@pytest.mark.library
async def test_broken_replication_lasts_over_a_restart_of_the_node(lab: LocalLab) -> None:
    await lab.set_replication("sub2", broken=True)
    await lab.kill_node("sub2")
    await lab.start_node("sub2")
    assert (await upload(lab, "pub")).outcome == "done"
    await lab.wait(MINUTE)

    assert lab.view("sub2").replication_broken
    assert holders(lab) == {"pub", "sub1"}

    await lab.set_replication("sub2", broken=False)
    assert await lab.wait_until(lambda: converged(lab), 31 * MINUTE)
    assert holders(lab) == set(NAMES)


@pytest.mark.library
async def test_a_wrong_wall_clock_is_the_nodes_own(lab: LocalLab) -> None:
    await lab.set_clock_offset("sub1", 48 * 60 * MINUTE)
    await lab.operate("sub1", OrderService("restart", "sub1", CHANGE_NOTIFICATION, "restart"))

    skewed = [event["at"] for event in lab.events(node="sub1")][-1]
    assert from_rfc3339(str(skewed)) - lab.wall() == 48 * 60 * MINUTE
    assert lab.view("sub1").clock_offset == 48 * 60 * MINUTE


@pytest.mark.library
async def test_operations_at_the_same_time_are_all_answered(lab: LocalLab) -> None:
    items = [item(number) for number in range(10, 16)]

    async with asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(upload(lab, NAMES[number % 3], what), name=f"upload-{number}")
            for number, what in enumerate(items)
        ]

    assert {task.result().outcome for task in asked} == {"done"}
    assert all(holders(lab, what) == set(NAMES) for what in items)


async def test_every_event_names_what_led_to_it_and_stands_after_it(lab: LocalLab) -> None:
    await upload(lab, "sub1", op_id="the-upload")
    await lab.operate("pub", Delete("the-delete", ROOT.unit, ROOT.fingerprint))

    events = lab.events()
    places = {event["id"]: place for place, event in enumerate(events)}
    assert len(places) == len(events)
    assert all(places[event["cause"]] < place for place, event in enumerate(events) if event["cause"])
    asked = next(event for event in lab.events("operation", "lab") if event["operation_id"] == "the-upload")
    led_to = {asked["id"]}
    for event in events:
        if event["cause"] in led_to:
            led_to.add(event["id"])
    written = [event for event in lab.events("file_written") if event["id"] in led_to]
    assert {event["node"] for event in written} == set(NAMES)


async def test_what_was_published_can_be_looked_at(lab: LocalLab) -> None:
    topic = Topics(lab.home.lab.cluster).log(ROOT.unit)
    assert lab.messages(topic) == []

    await upload(lab, "pub")

    assert [name for name, _ in lab.messages(f"{Topics(lab.home.lab.cluster).root}/log/+")][-1] == topic


@pytest.mark.library
async def test_watchers_look_at_settled_moments_only(lab: LocalLab) -> None:
    seen: list[tuple[int, int]] = []
    end = lab.watch(lambda: seen.append((lab.now(), lab.view("pub").open_operations)))

    await lab.wait(31 * MINUTE)
    end()
    await lab.wait(31 * MINUTE)

    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1][0] <= lab.now() - 31 * MINUTE


@pytest.mark.library
async def test_a_node_that_there_is_not_is_named_with_those_that_there_are(lab: LocalLab) -> None:
    with pytest.raises(Unusable, match=r"^there is no node 'sub9'; there are pub, sub1, sub2$"):
        await lab.kill_node("sub9")


@pytest.mark.library
async def test_labs_run_side_by_side_and_leave_nothing(tmp_path: Path) -> None:
    pids: list[int] = []
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    homes = [make_home(tmp_path / folder, "pub,sub1") for folder in ("one", "other")]

    async with opened(homes[0]) as one, opened(homes[1], tls=True) as other:
        assert one.facts().broker["url"] != other.facts().broker["url"]
        assert str(other.facts().broker["url"]).startswith("mqtts://127.")
        pids = [pid for lab in (one, other) for name in lab.names if (pid := lab.view(name).pid) is not None]
        assert len(pids) == 4
        assert (await one.operate("sub1", Upload("op", ROOT.unit, ROOT.pem))).outcome == "done"
        assert other.events("operation", "lab") == []

    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.library
async def test_flowing_time_jumps_and_flows_on(tmp_path: Path) -> None:
    async with opened(make_home(tmp_path), stepped=False, speed=10) as lab:
        assert (await upload(lab, "sub1")).outcome == "done"
        assert await lab.wait_until(lambda: holders(lab) == set(NAMES), MINUTE)
        resyncs = len(lab.events("resync"))
        before = lab.now()

        await lab.advance(31 * MINUTE)

        assert 31 * MINUTE <= lab.now() - before < 40 * MINUTE
        assert len(lab.events("resync")) >= resyncs + 3
        now = lab.now()
        await lab.wait(SECOND)
        assert lab.now() >= now + SECOND


@pytest.mark.library
async def test_a_lab_that_is_started_again_goes_on_where_it_was(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    async with opened(home, stepped=False) as lab:
        assert (await upload(lab, "sub1")).outcome == "done"
        await lab.advance(5 * MINUTE)
        before, acts = lab.now(), {event["id"] for event in lab.events()}

    async with opened(home, stepped=False) as lab:
        assert lab.now() >= before
        assert holders(lab) == set(NAMES)
        again = [event["id"] for event in lab.events()]
        assert acts < set(again)
        assert len(set(again)) == len(again)
