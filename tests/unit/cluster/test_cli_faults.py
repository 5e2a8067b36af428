"""`ucmlab fault inject|end|lose|delay|clock` at a lab that keeps the rules of the catalogue."""

import shlex
from pathlib import Path

import pytest

from tests.unit.cluster.cli_lab import Bench, FakeLink, make_home
from ucmlab.cluster.faults.catalogue import catalogue
from ucmlab.node.instant import HOUR, MINUTE

TYPED = [row for row in catalogue().values() if row.example.startswith("ucmlab fault inject ")]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    home = make_home(tmp_path / "lab")
    return Bench(home, FakeLink(home), monkeypatch)


@pytest.mark.parametrize("name", [row.name for row in TYPED])
def test_the_example_of_a_fault_works_as_it_stands(lab: Bench, name: str) -> None:
    result = lab.run(*shlex.split(catalogue()[name].example)[1:])
    assert (result.exit_code, result.stderr) == (0, "")
    assert [injected.row.name for injected in lab.link.ledger.declared] == [name]


def test_every_fault_of_real_labs_is_typed_and_no_other() -> None:
    local = {row.name for row in catalogue().values() if "local" in row.where}
    assert {row.name for row in catalogue().values() if row.example.startswith("ucmlab ")} == local


@pytest.mark.parametrize(
    ("words", "fault", "values"),
    [
        ("delay sub1 low=1s high=2s", "latency", {"low": 1_000_000, "high": 2_000_000}),
        ("lose sub1 share=0.5 way=up", "lose", {"share": 0.5, "way": "up"}),
        ("clock sub1 +48h", "clock", {"offset": 48 * HOUR}),
        ("clock sub1 -48h", "clock", {"offset": -48 * HOUR}),
        ("clock sub1 -10m", "clock", {"offset": -10 * MINUTE}),
        ("clock --json sub1 -48h", "clock", {"offset": -48 * HOUR}),
        ("inject clock sub1 offset=-48h", "clock", {"offset": -48 * HOUR}),
    ],
)
def test_a_short_way_injects_its_fault(lab: Bench, words: str, fault: str, values: dict[str, object]) -> None:
    assert lab.run("fault", *words.split()).exit_code == 0
    [injected] = lab.link.ledger.declared
    assert (injected.row.name, injected.target) == (fault, "sub1")
    assert injected.values.items() >= values.items()


def test_a_fault_may_end_after_so_many_uses_or_so_much_lab_time(lab: Bench) -> None:
    assert lab.run("fault", "lose", "sub1", "--count", "2").exit_code == 0
    assert lab.run("fault", "inject", "stall", "sub1", "--until", "5m").exit_code == 0
    lose, stall = lab.link.ledger.declared
    assert (lose.left, lose.until, stall.left, stall.until) == (2, None, None, 5 * MINUTE)


def test_what_stands_is_told_until_it_is_ended(lab: Bench) -> None:
    assert lab.run("fault", "inject", "latency", "sub1", "low=1s").stdout == "latency sub1 low=1s\n"
    assert lab.run("fault", "end", "latency", "sub1").stdout == "nothing is broken\n"
    assert lab.run("fault", "clock", "sub2", "+1h").stdout == "clock sub2 offset=+1h\n"
    assert lab.run("fault", "clock", "sub2", "reset").stdout == "nothing is broken\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("inject gremlins sub1", "there is no fault 'gremlins'"),
        ("inject power-cut sub1", "power-cut is performed in mode sim only"),
        ("inject latency sub9", "latency cannot befall 'sub9'"),
        ("inject latency sub1 size=2", "latency has no parameter 'size'"),
        ("inject latency sub1 low=quick", "low=quick of latency is no duration"),
        ("inject latency sub1 low", "'low' is no parameter"),
        ("inject latency sub1 low=1s low=2s", "low is given twice"),
        ("inject latency sub1 --until later", "later"),
        ("inject stall sub1 --count 2", "stall has no uses to count"),
        ("inject reset sub1 --until 5m", "reset happens once"),
        ("end latency sub1", "there is no latency of sub1 to end"),
        ("clock sub1 tomorrow", "offset=tomorrow of clock is no offset"),
        ("clock sub1 reset", "there is no clock of sub1 to end"),
    ],
)
def test_what_cannot_be_injected_is_one_line_and_changes_nothing(lab: Bench, words: str, why: str) -> None:
    result = lab.run("fault", *words.split())
    assert (result.exit_code, result.stdout, lab.link.ledger.declared) == (2, "", [])
    assert why in result.stderr
    assert result.stderr.count("\n") == 1
