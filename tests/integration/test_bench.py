"""`ucmlab bench` measures what it says; how fast anything is, is no test's business."""

import json
import subprocess
import sys

import pytest

from ucmlab.cluster.bench.measuring import Aim, Figure, percentile, spread
from ucmlab.cluster.bench.search import measure_search
from ucmlab.cluster.bench.start import measure_start
from ucmlab.cluster.bench.upload import measure_upload
from ucmlab.cluster.cli import bench as command
from ucmlab.cluster.cli.root import root


def silent(_text: str) -> None:
    pass


@pytest.mark.parametrize(("percent", "value"), [(50, 2.0), (75, 3.0), (99, 4.0), (100, 4.0)])
def test_a_percentile_is_a_measured_value(percent: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == value


def test_without_values_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match=r"^no values, no percentile$"):
        percentile([], 50)


def test_a_spread_tells_both_ends() -> None:
    assert spread([2.0, 1.0]) == {"p50_ms": 1.0, "p99_ms": 2.0, "least_ms": 1.0, "most_ms": 2.0}


@pytest.mark.parametrize(("at_most", "met"), [(True, False), (False, True)])
def test_an_aim_has_a_direction(*, at_most: bool, met: bool) -> None:
    assert Aim("seeds", 7.0, 6.0, "", at_most=at_most).met == met


@pytest.mark.slow
def test_the_search_is_measured_by_seeds_and_events() -> None:
    figure = measure_search(silent, seeds=4, rounds=2)
    assert (figure.name, figure.measured["seeds"], figure.measured["nodes"], figure.measured["operations"]) == (
        "search",
        8,
        6,
        40,
    )
    assert all_positive(figure, "seeds_a_minute", "seeds_a_minute_by_the_wall", "events_a_seed", "us_an_event")


@pytest.mark.slow
def test_the_start_is_told_in_cold_imports() -> None:
    figure = measure_start(silent, sizes=(3,), runs=1)
    labs = figure.measured["nodes"]
    assert isinstance(labs, dict)
    assert list(labs) == ["3"]
    assert set(labs["3"]["filled"]) == {"seconds", "times_cold", "runs"}
    assert set(labs["3"]["empty"]) == {"seconds", "times_cold", "runs", "keys", "rsa_seconds_by_cores"}
    assert all_positive(figure, "cold_seconds", "rsa_seconds_a_key")


@pytest.mark.slow
def test_an_upload_is_told_in_rounds_of_bare_clients() -> None:
    figure = measure_upload(silent, uploads=3, size=3, batch=2, pace=0.05)
    assert (figure.measured["nodes"], figure.measured["uploads"]) == (3, 3)
    assert all_positive(figure, "payload_bytes", "times_bare_p50", "times_bare_p99")
    for name in ("answered_to_filed", "bare", "asked_to_answered"):
        told = figure.measured[name]
        assert isinstance(told, dict)
        assert 0 < told["least_ms"] <= told["p50_ms"] <= told["p99_ms"] <= told["most_ms"]


def test_the_json_says_what_was_measured_where_and_when(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = Figure("search", {"seeds": 1}, (Aim("seeds a minute", 6000.0, 5000.0, "", at_most=False),))
    monkeypatch.setattr(command, "FIGURES", {"search": lambda _say: figure})
    with pytest.raises(SystemExit) as ended:
        root().main(["bench", "search", "--json"], prog_name="ucmlab")
    told = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    assert list(told) == ["schema", "commit", "date", "machine", "figures"]
    assert told["figures"]["search"]["seeds"] == 1
    assert {"cores", "python", "processor", "file_made_us", "file_synced_us"} <= set(told["machine"])


def test_a_figure_that_there_is_not_is_unusable() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ucmlab.scenarios", "bench", "speed"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "'start', 'upload', 'search'" in done.stderr


def all_positive(figure: Figure, *names: str) -> bool:
    values = [figure.measured[name] for name in names]
    return all(isinstance(value, (int, float)) and value > 0 for value in values)
