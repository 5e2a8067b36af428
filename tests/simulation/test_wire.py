"""What a suffering link does to packets, and what it never does."""

from random import Random

from ucmlab.cluster.faults.effects import log_normal
from ucmlab.cluster.faults.lanes import Lane, Parcel, Way
from ucmlab.cluster.sim.timeline import Timeline
from ucmlab.node.instant import MILLISECOND, SECOND


class Delays:
    """Gives each packet the next of some delays."""

    way: Way = "both"

    def __init__(self, *delays: int) -> None:
        self._delays = list(delays)

    def treat(self, parcel: Parcel, now: int) -> None:  # noqa: ARG002
        parcel.delay += self._delays.pop(0) if self._delays else 0

    def ended(self) -> None:
        """It keeps nothing."""


def carried(*delays: int, every: int = 0) -> list[tuple[int, int]]:
    """(number, arrival) of packets that set out `every` so often."""
    timeline = Timeline()
    lane = Lane(timeline)
    lane.effects.append(Delays(*delays))
    arrived: list[tuple[int, int]] = []
    for number in range(len(delays)):
        lane.carry(Parcel("t", lambda number=number: arrived.append((number, timeline.now))))  # type: ignore[misc]
        timeline.run_until(timeline.now + every)
    timeline.run_until(timeline.now + SECOND)
    assert lane.empty()
    return arrived


def test_a_lane_is_first_in_first_out_whatever_each_packet_takes() -> None:
    assert carried(50, 10, 30) == [(0, 50), (1, 50), (2, 50)]
    assert carried(50, 10, 0, every=20) == [(0, 50), (1, 50), (2, 50)]
    assert carried(0, 0) == [(0, 0), (1, 0)]


def test_a_log_normal_delay_has_its_median_and_its_rare_tail() -> None:
    chance = Random("delays")
    drawn = sorted(log_normal(chance, 20 * MILLISECOND, 500 * MILLISECOND) for _ in range(4000))
    assert 18 * MILLISECOND < drawn[2000] < 22 * MILLISECOND
    assert 5 < sum(delay > 500 * MILLISECOND for delay in drawn) < 80
    assert drawn[-1] > 700 * MILLISECOND


def test_a_log_normal_delay_is_the_same_on_every_machine() -> None:
    chance = Random("same")
    assert [log_normal(chance, 1000, 9000) for _ in range(4)] == [853, 234, 700, 1823]
