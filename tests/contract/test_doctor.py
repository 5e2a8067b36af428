"""What the doctor finds of brokers whose defects are known, and of brokers that have none."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from ucmlab.broker.access import ALLOW_ALL, AccessRule, Accounts, allow_everyone, allow_everything
from ucmlab.broker.bus import BusEndpoint
from ucmlab.broker.core import BrokerCore
from ucmlab.broker.limits import Limits
from ucmlab.broker.server import EmbeddedBroker
from ucmlab.cluster.doctor import checks as asked
from ucmlab.cluster.doctor import client
from ucmlab.cluster.doctor.checks import BROKER_CHECKS, Finding, examine
from ucmlab.cluster.doctor.examination import Examination, examine_broker
from ucmlab.cluster.sim.personalities import PERSONALITIES, personality

BY_NAME = {check.name: check for check in BROKER_CHECKS}
URL = "mqtt://127.0.0.1:1"
Serve = Callable[[BrokerCore], AbstractAsyncContextManager[BusEndpoint]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker in this process needs no patience."""
    monkeypatch.setattr(client, "SILENCE_S", 0.05)
    monkeypatch.setattr(client, "PATIENCE_S", 0.6)
    monkeypatch.setattr(asked, "PATIENCE_S", 0.6)


@asynccontextmanager
async def served(core: BrokerCore) -> AsyncIterator[BusEndpoint]:
    broker = EmbeddedBroker(core)
    await broker.start()
    try:
        yield BusEndpoint("127.0.0.1", broker.port, "doctor", "", "")
        # Whatever was found: nothing is left behind.
        stats = core.stats()
        assert (stats.connections, stats.retained, dict(stats.clients)) == (0, 0, {})
    finally:
        await broker.stop()


async def found(core: BrokerCore, check: str) -> Finding:
    async with served(core) as endpoint:
        return await examine(BY_NAME[check], endpoint)


@pytest.mark.parametrize(
    ("kind", "check", "seen"),
    [
        ("rumqttd-retained-100", "retained messages", "100 of 1000 reach a fresh subscriber"),
        ("rumqttd-empty-deletes", "empty message", "deletes what is retained"),
        ("amqtt-retained-leak", "retained for others", "1 messages for others"),
        ("no-will", "will", "none comes when a connection is lost"),
        ("no-offline-queue", "offline queue", "0 of 200 wait for who is away"),
        ("offline-queue-overflow", "offline queue", "5 of 200 wait for who is away"),
        ("duplicate-qos1", "copies", "2 copies of a message"),
        ("will-late", "will", "none comes when a connection is lost"),
    ],
    ids=PERSONALITIES,
)
async def test_a_known_defect_is_found_and_said_what_it_means(kind: str, check: str, seen: str) -> None:
    finding = await found(personality(kind)(allow_everyone, allow_everything), check)
    assert (finding.level, finding.found) == ("but", seen)
    assert finding.meaning


@pytest.mark.parametrize(
    "check", ["access", "empty message", "retained for others", "offline queue", "copies", "will", "session takeover"]
)
async def test_a_broker_without_the_defect_is_found_well(check: str) -> None:
    finding = await found(BrokerCore(allow_everyone, allow_everything), check)
    assert (finding.level, finding.meaning) == ("ok", ""), finding.found


async def test_who_may_not_read_gets_no_further() -> None:
    denied = AccessRule("subscribe", "cucm/#", allow=False)
    accounts = Accounts(anonymous=(*ALLOW_ALL, denied))
    async with served(BrokerCore(accounts.authenticate, accounts.authorize)) as endpoint:
        result = await examine_broker(URL, endpoint)
    assert [finding.check for finding in result.findings] == ["access"]
    assert result.findings[0].found.endswith("is refused")
    assert result.verdict == "cannot carry a lab: access"


async def test_what_is_published_and_never_delivered_is_found_out() -> None:
    denied = AccessRule("receive", "cucm/#", allow=False)
    accounts = Accounts(anonymous=(*ALLOW_ALL, denied))
    finding = await found(BrokerCore(accounts.authenticate, accounts.authorize), "access")
    assert (finding.level, finding.found) == ("cannot", "a message is acknowledged and not delivered")


@pytest.mark.parametrize(
    ("limits", "check", "level", "seen"),
    [
        (Limits(max_packet_size=10_000), "large messages", "cannot", "takes packets of 10000 bytes and no more"),
        (Limits(max_connections=3), "connections", "cannot", "3 of 30 clients at once"),
        (Limits(max_connections=12), "connections", "but", "12 of 30 clients at once"),
        (Limits(max_retained=0), "retained messages", "cannot", "0 of 1000 reach a fresh subscriber"),
    ],
)
async def test_a_broker_that_is_too_small_is_found_out(limits: Limits, check: str, level: str, seen: str) -> None:
    finding = await found(BrokerCore(allow_everyone, allow_everything, limits), check)
    assert (finding.level, finding.found) == (level, seen)


def test_the_verdict_is_the_worst_finding_and_names_it() -> None:
    findings = (Finding("a", "ok", "", ""), Finding("b", "but", "", ""), Finding("c", "but", "", ""))
    assert Examination(URL, findings[:1]).verdict == "can carry a lab"
    assert Examination(URL, findings).verdict == "can, but: b, c"
    assert Examination(URL, (*findings, Finding("d", "cannot", "", ""))).verdict == "cannot carry a lab: d"


def test_every_check_says_what_it_means() -> None:
    assert all(check.meaning or check.name == "shared subscriptions" for check in BROKER_CHECKS)
    assert len(BY_NAME) == len(BROKER_CHECKS)


@pytest.mark.slow
@pytest.mark.library
async def test_the_embedded_broker_can_carry_a_lab() -> None:
    async with served(BrokerCore(allow_everyone, allow_everything)) as endpoint:
        result = await examine_broker(URL, endpoint)
    assert result.verdict == "can carry a lab", result.findings
