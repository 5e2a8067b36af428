"""`ucmlab bench` measures what it says; how fast anything is, is no test's business."""

import json
import shutil
import subprocess
import sys

import pytest

from ucmlab.cluster.bench.brokers import measure_broker
from ucmlab.cluster.bench.interfaces import measure_interfaces
from ucmlab.cluster.bench.laws import LAWS, exponent, measure_laws
from ucmlab.cluster.bench.logins import measure_ssh
from ucmlab.cluster.bench.measuring import Aim, Figure, percentile, spread
from ucmlab.cluster.bench.memory import measure_idle, measure_memory
from ucmlab.cluster.bench.search import measure_search
from ucmlab.cluster.bench.start import measure_start
from ucmlab.cluster.bench.upload import measure_bulk, measure_upload
from ucmlab.cluster.bench.web import measure_web
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


@pytest.mark.library
@pytest.mark.slow
def test_requests_are_told_beside_a_bare_server() -> None:
    figure = measure_web(silent, lists=20, uploads=5)
    assert [aim.what for aim in figure.aims] == ["list, p50", "list, p99", "upload, p50", "upload, p99"]
    assert all(aim.measured > 0 for aim in figure.aims)
    assert {"list", "bare_list", "upload", "bare_upload"} <= figure.measured.keys()


@pytest.mark.library
@pytest.mark.slow
def test_log_ins_are_told_beside_a_bare_server_and_the_first_apart() -> None:
    figure = measure_ssh(silent, logins=3)
    assert [aim.what for aim in figure.aims] == ["log-in, p50", "log-in, p99"]
    assert all(aim.measured > 0 for aim in figure.aims)
    assert all_positive(figure, "first_ms")
    assert {"login", "bare_login"} <= figure.measured.keys()


@pytest.mark.library
@pytest.mark.slow
def test_interfaces_are_told_beside_nodes_without_them_and_imports_without_a_node() -> None:
    figure = measure_interfaces(silent, seconds=1.0, settling=0.1)
    for name in ("first_client_mib", "first_client_ms", "import_mib", "import_ms"):
        told = figure.measured[name]
        assert isinstance(told, dict)
        assert set(told) == {"rest", "ssh"}
        assert all(value > 0 for value in told.values())
    assert [aim.unit for aim in figure.aims] == ["MiB", *4 * ["imports"], *3 * ["times quiet"]]


@pytest.mark.library
@pytest.mark.slow
def test_the_start_is_told_in_cold_imports() -> None:
    figure = measure_start(silent, sizes=(3,), runs=1)
    labs = figure.measured["nodes"]
    assert isinstance(labs, dict)
    assert list(labs) == ["3"]
    assert set(labs["3"]["filled"]) == {"seconds", "times_cold", "runs"}
    assert set(labs["3"]["empty"]) == {"seconds", "times_cold", "runs", "keys", "rsa_seconds_by_cores"}
    assert all_positive(figure, "cold_seconds", "rsa_seconds_a_key")


@pytest.mark.library
@pytest.mark.slow
def test_an_upload_is_told_in_rounds_of_bare_clients() -> None:
    figure = measure_upload(silent, uploads=3, size=3, batch=2, pace=0.05)
    assert (figure.measured["nodes"], figure.measured["uploads"]) == (3, 3)
    assert all_positive(figure, "payload_bytes", "times_bare_p50", "times_bare_p99")
    for name in ("answered_to_filed", "bare", "asked_to_answered"):
        told = figure.measured[name]
        assert isinstance(told, dict)
        assert 0 < told["least_ms"] <= told["p50_ms"] <= told["p99_ms"] <= told["most_ms"]


@pytest.mark.library
@pytest.mark.slow
def test_a_bulk_is_told_beside_the_same_bytes_bare() -> None:
    figure = measure_bulk(silent, uploads=5, size=3, at_once=2)
    assert (figure.measured["nodes"], figure.measured["uploads"]) == (3, 5)
    assert all_positive(figure, "seconds", "bare_seconds", "payload_bytes", "times_bare")


@pytest.mark.library
@pytest.mark.slow
def test_a_further_node_is_the_difference_between_two_labs() -> None:
    figure = measure_memory(silent, sizes=(2, 3), settling=0.1)
    held = figure.measured["mib"]
    assert isinstance(held, dict)
    assert figure.measured["mib_a_further_node"] == pytest.approx(held["3"] - held["2"], abs=0.1)
    parts = figure.measured["parts_mib"]
    assert isinstance(parts, dict)
    assert all(part > 0 for part in parts["3"].values())


@pytest.mark.library
@pytest.mark.slow
def test_idleness_is_told_of_a_virtual_day_and_of_a_real_lab() -> None:
    figure = measure_idle(silent, size=3, seconds=0.5, settling=0.1)
    assert all_positive(figure, "virtual_day_seconds", "virtual_day_events", "virtual_year_seconds")
    used = figure.measured["real_percent_of_a_core"]
    assert isinstance(used, float)
    assert 0 <= used < 100


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mosquitto") is None, reason="Mosquitto is not installed")
def test_the_generator_counts_what_both_brokers_deliver_and_could_count_more() -> None:
    figure = measure_broker(silent, fan_outs=(2,), deliveries=2_000, rounds=1)
    receivers = figure.measured["receivers"]
    assert isinstance(receivers, dict)
    for name in ("embedded", "mosquitto"):
        told = receivers["2"][name]
        assert 0 < told["deliveries_a_second"] < told["generator_ceiling"]


def test_without_mosquitto_the_brokers_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    figure = measure_broker(silent)
    assert figure.aims == ()
    assert "no mosquitto" in str(figure.measured["skipped"])


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_power_of_a_law_is_found(power: float) -> None:
    assert exponent([(moved, 3 * moved**power) for moved in (5, 21, 200)]) == pytest.approx(power)


def test_one_amount_tells_no_power() -> None:
    with pytest.raises(ValueError, match=r"^one amount tells nothing of growth$"):
        exponent([(5, 1.0), (5, 2.0)])


@pytest.mark.library
@pytest.mark.slow
def test_every_law_is_measured_in_both_worlds() -> None:
    figure = measure_laws(silent, real=(2,), simulated=(2, 4, 6), settling=0.3)
    assert list(figure.measured) == [f"{where} {law}" for where in ("simulated", "real") for law in LAWS]
    assert len(figure.aims) == len(LAWS)  # a single size has no power
    for law in figure.measured.values():
        assert isinstance(law, dict)
        assert all(point["moved"] > 0 and point["seconds"] > 0 for point in law["nodes"].values())


def test_the_json_says_what_was_measured_where_and_when(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = Figure("search", {"seeds": 1}, (Aim("seeds a minute", 6000.0, 5000.0, "", at_most=False),))
    monkeypatch.setattr("ucmlab.cluster.bench.search.measure_search", lambda _say: figure)
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
    assert (
        "'start', 'memory', 'upload', 'bulk', 'broker', 'search', 'web', 'ssh', 'interfaces', 'idle', 'laws'"
        in done.stderr
    )


def all_positive(figure: Figure, *names: str) -> bool:
    values = [figure.measured[name] for name in names]
    return all(isinstance(value, (int, float)) and value > 0 for value in values)
