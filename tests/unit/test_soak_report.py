"""The report of `make soak`: stable lines, in which every figure that a test tells is found again."""

from pathlib import Path

import pytest

from tests.soak import Listener, Origin, Told, lines, sizes
from tests.soak_sizes import TIMEOUT_S

ORIGIN = Origin("2026-01-02T03:04:05+00:00", "0123456789ab", "2 cores")
SUITE = """
    import pytest

    @pytest.mark.soak
    def test_counts(record_property):
        record_property("seeds", 2000)

    @pytest.mark.soak
    def test_breaks():
        raise AssertionError
"""


def test_a_report_says_what_was_run_on_what_and_how_it_ended() -> None:
    told = [
        Told("simulation/test_soak.py::test_holds", "held", 12.34, (("seeds", 2000), ("share", 0.5))),
        Told("integration/test_kills.py::test_kills", "FAILED", 1.0, ()),
    ]
    assert list(lines(ORIGIN, {"SEEDS": 100_000, "LOAD_MINUTES": 2.0}, told)) == [
        "ucmlab soak, short sizes",
        "date     2026-01-02T03:04:05+00:00",
        "commit   0123456789ab",
        "machine  2 cores",
        "sizes    seeds 100,000, load_minutes 2",
        "",
        "held        12.3 s  simulation/test_soak.py::test_holds",
        "                    seeds: 2,000",
        "                    share: 0.5",
        "FAILED       1.0 s  integration/test_kills.py::test_kills",
        "",
        "1 held, 1 FAILED, 0 skipped; 13 s",
    ]


def test_the_listener_hears_what_a_test_tells_and_what_fails(tmp_path: Path) -> None:
    suite = tmp_path / "test_suite.py"
    suite.write_text("\n".join(line[4:] for line in SUITE.splitlines()))
    listener = Listener()
    plain = ["-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:asyncio", "-c", "/dev/null", "-W", "ignore"]
    assert pytest.main([*plain, "--rootdir", str(tmp_path), str(suite)], [listener]) == pytest.ExitCode.TESTS_FAILED
    assert [(each.name, each.outcome, each.figures) for each in listener.told] == [
        ("test_suite.py::test_counts", "held", (("seeds", 2000),)),
        ("test_suite.py::test_breaks", "FAILED", ()),
    ]


@pytest.mark.soak
def test_a_soak_test_has_hours_where_others_have_minutes(request: pytest.FixtureRequest) -> None:
    marker = request.node.get_closest_marker("timeout")
    assert marker is not None
    assert marker.args == (TIMEOUT_S,)


def test_every_size_is_in_the_report() -> None:
    assert {"SEEDS", "KILLS", "MUTATED_PACKETS", "MUTATED_MESSAGES", "LOAD_MINUTES", "REPLAYS"} <= sizes().keys()
