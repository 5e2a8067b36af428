"""Every order of deliveries and every moment of death of a small cluster: S1 to S4 without chance."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from tests.soak_sizes import EXHAUSTIVE_DEPARTURES, EXHAUSTIVE_DEPTH
from ucmlab.cluster.cli.exhaust import command
from ucmlab.cluster.search.exhaustive import exhaust, sequences


def test_sequences_are_those_that_differ_by_more_than_the_subscribers_names() -> None:
    assert [[f"{each.kind} {each.node}" for each in sequence] for sequence in sequences(1)] == [
        ["upload pub"],
        ["upload sub1"],
    ]
    assert len(set(sequences(4))) == len([*sequences(4)]) == (3**4 + 1) // 2


@pytest.mark.slow
@pytest.mark.rule("S1", "S2", "S3", "S4")
def test_every_schedule_of_one_operation_holds() -> None:
    tried = exhaust(1, 1)
    assert (tried.sequences, tried.found) == (2, ())
    assert tried.schedules > 100 < tried.states


@pytest.mark.slow
@pytest.mark.parametrize(("plant", "invariant"), [("out-of-order", "S1"), ("ack-before-append", "S4")])
@pytest.mark.library
def test_a_planted_bug_is_found_with_the_schedule_that_shows_it(plant: str, invariant: str) -> None:
    [found] = exhaust(2, 1, plant=plant, stop_at_first=True).found
    assert invariant in {each.invariant for each in found.violations}
    assert found.operations[0].startswith("upload on ")


@pytest.mark.soak
@pytest.mark.rule("S1", "S2", "S3", "S4")
def test_every_schedule_holds(record_property: Callable[[str, object], None]) -> None:
    tried = exhaust(EXHAUSTIVE_DEPTH, EXHAUSTIVE_DEPARTURES)
    for name in ("sequences", "schedules", "states"):
        record_property(name, getattr(tried, name))
    assert tried.found == ()


@pytest.mark.slow
def test_the_command_tells_what_was_tried_and_ends_with_what_came_of_it() -> None:
    held = CliRunner().invoke(command, ["--operations", "1"], standalone_mode=False)
    assert (held.return_value, held.output.partition(":")[0]) == (0, "held")
    arguments = ["--operations", "1", "--plant", "ack-before-append", "--stop-at-first", "--json"]
    failed = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert (failed.return_value, len(json.loads(failed.output)["tried"]["found"])) == (1, 1)
