"""Whether a broker that is not ours has noticed a death: known by the birth topic of who died."""

import asyncio

from ucmlab.broker.bus import BusEndpoint
from ucmlab.broker.codec import BusCodec
from ucmlab.broker.messages import Birth
from ucmlab.broker.signing import KeyedHashSigner, KeyedHashVerifier
from ucmlab.broker.topics import Topics
from ucmlab.cluster.carriers import observer as module
from ucmlab.cluster.carriers.observer import Observer

TOPICS = Topics("lab-1")
SECRET = b"of the test"


def codec(sender: str) -> BusCodec:
    return BusCodec(
        cluster="lab-1",
        sender=sender,
        boot=1,
        signer=KeyedHashSigner(sender, SECRET),
        verifier=KeyedHashVerifier({"pub": None, "sub1": None}, SECRET),
    )


class Bench:
    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        endpoint = BusEndpoint("127.0.0.1", 1, "observer-1", "observer", "")
        self.observer = Observer(
            endpoint,
            cluster="lab-1",
            codec=codec("observer"),
            connected=lambda: None,
            published=self.published.extend,
        )

    def says(self, state: str, *, sender: str = "sub1", of: str = "sub1") -> None:
        topic = TOPICS.birth(of)
        birth = Birth(state, 1, {}, {})  # type: ignore[arg-type]  # the tests' literals
        self.observer.message(topic, codec(sender).seal(topic, birth))


async def test_a_death_is_noticed_when_the_will_is_heard() -> None:
    bench = Bench()
    bench.says("up")
    assert not bench.observer.noticed(["sub1"])
    bench.says("lost")
    assert bench.observer.noticed(["sub1"])


async def test_who_stopped_in_order_leaves_no_will_to_wait_for() -> None:
    bench = Bench()
    bench.says("up")
    bench.says("stopped")
    assert bench.observer.noticed(["sub1"])


async def test_who_never_was_up_and_who_lives_are_not_waited_for() -> None:
    bench = Bench()
    bench.says("up")
    assert bench.observer.noticed(["pub"])
    assert bench.observer.noticed([])


async def test_a_will_of_somebody_elses_making_counts_for_nothing() -> None:
    bench = Bench()
    bench.says("up")
    bench.says("lost", sender="pub")
    bench.observer.message(TOPICS.birth("sub1"), b"noise")
    assert not bench.observer.noticed(["sub1"])


async def test_a_broker_without_wills_is_not_waited_for_for_ever() -> None:
    bench = Bench()
    bench.says("up")
    loop = asyncio.get_running_loop()
    began, now = loop.time(), loop.time
    assert not bench.observer.noticed(["sub1"])
    loop.time = lambda: began + module.WILL_PATIENCE_S + 1  # type: ignore[method-assign]  # nobody waits for real
    try:
        assert not bench.observer.noticed(["sub1"])
    finally:
        loop.time = now  # type: ignore[method-assign]
    assert bench.observer.noticed(["sub1"])


async def test_everything_is_told_on_with_the_births_as_well() -> None:
    bench = Bench()
    bench.says("up")
    bench.observer.message("cucm/v1/lab-1/head", b"head")
    assert [topic for topic, _ in bench.published] == [TOPICS.birth("sub1"), "cucm/v1/lab-1/head"]
