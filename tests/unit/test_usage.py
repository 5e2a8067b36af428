"""The judgment of the load test finds a leak, and takes what goes up and down for none."""

from random import Random

import pytest

from tests.integration.usage import Sample, growth, last_two_thirds

BASE = 40_000_000


def samples(leak_a_second: float, *, noise: int = 200_000, seconds: int = 80) -> list[Sample]:
    random = Random(1)
    return [
        Sample(at, 1, BASE + int(leak_a_second * at) + random.randint(-noise, noise), 13 + at % 2, 2)
        for at in range(seconds)
    ]


def test_a_leak_is_as_large_as_it_is() -> None:
    assert growth(samples(50_000), "rss") == pytest.approx(79 * 50_000, rel=0.05)


def test_what_goes_up_and_down_does_not_grow() -> None:
    flat = samples(0)
    assert abs(growth(flat, "rss")) < 200_000
    assert abs(growth(flat, "descriptors")) < 0.5


def test_what_is_taken_once_at_the_beginning_is_left_out() -> None:
    kept = last_two_thirds(samples(0), 0, 90)
    assert kept[0].at == 30
