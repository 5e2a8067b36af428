"""Lab time: stepped, flowing, and never back."""

import msgspec
import pytest

from ucmlab.node.clock import ClockSetting, LabClock
from ucmlab.node.instant import HOUR, SECOND, Instant

WALL = 1_767_600_000 * SECOND
STEPPED = ClockSetting(stepped=True, lab=5 * SECOND, machine=0, speed=1.0, wall_zero=WALL)


class Machine:
    """A machine's clock that stands until it is moved."""

    def __init__(self) -> None:
        self.ns = 1_000_000_000_000


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr("ucmlab.node.clock.machine_ns", lambda: machine.ns)
    return machine


def flowing(machine: Machine, *, lab: int = 0, speed: float = 1.0) -> ClockSetting:
    return ClockSetting(stepped=False, lab=lab, machine=machine.ns, speed=speed, wall_zero=WALL)


def test_stepped_time_stands_until_it_is_told(machine: Machine) -> None:
    clock = LabClock(STEPPED)
    machine.ns += 10**12

    assert clock.now() == Instant(5 * SECOND, WALL + 5 * SECOND)
    clock.advance(7 * SECOND)
    assert clock.lab() == 7 * SECOND


def test_it_never_goes_back(machine: Machine) -> None:
    clock = LabClock(STEPPED)
    clock.advance(3 * SECOND)
    assert clock.lab() == 5 * SECOND

    clock.set(flowing(machine, lab=SECOND))
    assert clock.lab() == 5 * SECOND


def test_flowing_time_goes_with_the_machine_at_its_speed(machine: Machine) -> None:
    clock = LabClock(flowing(machine, speed=60.0))
    machine.ns += 1_500_000_000

    assert clock.lab() == 90 * SECOND
    assert clock.machine_seconds(150 * SECOND) == pytest.approx(1.0)
    assert clock.machine_seconds(SECOND) == 0.0


def test_a_wrong_wall_clock_leaves_lab_time_alone() -> None:
    clock = LabClock(msgspec.structs.replace(STEPPED, offset=48 * HOUR))

    assert clock.now() == Instant(5 * SECOND, WALL + 5 * SECOND + 48 * HOUR)
