"""The search shrinks what it finds: the zombies of two policies to stories that fail in themselves, and any plant."""

import dataclasses
from functools import cache
from pathlib import Path

import pytest
from msgspec.structs import replace

from ucmlab.cluster.search.campaign import Campaign, run_campaign, run_one
from ucmlab.cluster.search.case import case_of, play, signature
from ucmlab.cluster.search.invariants import Violation
from ucmlab.cluster.search.kept import Kept, keep, read, replay, write
from ucmlab.cluster.search.shrinking import Shrinker, Shrunk
from ucmlab.cluster.search.tape import Deck, Tape
from ucmlab.cluster.search.telling.checks import seen_from_outside
from ucmlab.cluster.search.telling.script import script
from ucmlab.node.config import Policy
from ucmlab.scenarios.labs import run_story
from ucmlab.scenarios.loading import load
from ucmlab.scenarios.result import Options
from ucmlab.scenarios.telling import Check

STEPS = 5
"""What a story may have at most that a reader is to grasp at once."""


SMALL = ("pub", "sub1", "sub2", "imp1")


@cache
def first_failure(campaign: Campaign) -> tuple[Shrunk, Kept]:
    (failed,) = run_campaign(campaign, stop_after=1).failed
    shrunk = Shrinker(case_of(campaign, failed.seed), failed.violations[0]).shrink()
    assert shrunk is not None
    return shrunk, keep(campaign, failed, shrunk)


@pytest.mark.rule("R-078")
@pytest.mark.parametrize("policy", ["legacy", "faithful"])
def test_the_zombie_is_found_by_search_and_its_story_fails_by_itself(policy: Policy, tmp_path: Path) -> None:
    shrunk, kept = first_failure(Campaign(seeds=50, nodes=SMALL, replication=policy))
    assert (shrunk.violation.invariant, len(shrunk.case.acts) <= STEPS) == ("S3", True)
    file = tmp_path / f"{kept.name}.py"
    file.write_text(script(kept, shrunk))
    (story,) = load(str(file))
    result = run_story(story, Options(), lambda _entry, _began: None)
    assert (result.verdict, result.trouble) == ("failed", None)
    assert run_story(story, Options(replication="modern"), lambda _entry, _began: None).verdict == "held"


@pytest.mark.parametrize(
    ("plant", "family", "invariant", "judged"),
    [
        ("chain-unchecked", "rogue", "S4", "nobody believes it"),
        ("topic-believed", "rogue", "S15", "nobody believes it"),
        ("hot-reload", "kill", "S10", "services keep what they loaded"),
        ("reload-forgotten", "kill", "S10", "the service has loaded what is there now"),
        ("orders-repeated", "partition", "S11", "every order took effect once"),
        ("files-believed", "decay", "L2", "every row has its file on "),
        ("never-gives-up", "kill", "L3", "the cluster converged within 65m"),
    ],
)
def test_what_shows_from_outside_is_judged_by_the_story_itself(
    plant: str, family: str, invariant: str, judged: str, tmp_path: Path
) -> None:
    shrunk, kept = first_failure(Campaign(seeds=200, nodes=SMALL, plant=plant, families=(family,)))
    assert shrunk.violation.invariant == invariant
    assert seen_from_outside(shrunk.case, shrunk.violation)
    file = tmp_path / f"{kept.name}.py"
    file.write_text(script(kept, shrunk))
    (story,) = load(str(file))
    result = run_story(story, Options(), lambda _entry, _began: None)
    (broken,) = {entry.text for entry in result.entries if isinstance(entry, Check) and not entry.held}
    assert broken.startswith(judged)
    sound = run_story(dataclasses.replace(story, plant=None), Options(), lambda _entry, _began: None)
    assert sound.verdict == "held"


@pytest.mark.parametrize("plant", ["out-of-order", "tombstone-by-time", "ack-before-append", "settings-stick"])
def test_what_a_planted_bug_does_is_shrunk_to_a_few_steps(plant: str) -> None:
    shrunk, kept = first_failure(Campaign(seeds=200, nodes=SMALL, plant=plant))
    assert len(shrunk.case.acts) <= STEPS
    assert len(shrunk.case.nodes) <= 3
    assert signature(shrunk.violation, shrunk.case.nodes) == kept.signature
    with_the_bug_taken_out = play(replace(shrunk.case, plant=None))
    assert with_the_bug_taken_out.result.violations == ()


def test_shrinking_is_the_same_every_time() -> None:
    campaign = Campaign(seeds=50, nodes=SMALL, replication="faithful")
    assert first_failure.__wrapped__(campaign) == first_failure(campaign)


def test_what_does_not_fail_is_not_shrunk() -> None:
    case = case_of(Campaign(seeds=1, operations=3), 0)
    assert Shrinker(case, Violation("S3", 0, "pub", "nothing of the kind")).shrink() is None


@pytest.mark.rule("S17")
def test_a_tape_plays_what_the_seed_drew_and_recording_changes_nothing() -> None:
    campaign, seed = Campaign(seeds=1), 7
    case, deck = case_of(campaign, seed), Deck()
    recorded = play(case, deck)
    assert recorded.trace() == run_one(campaign, seed).trace()
    tape = deck.drawn()
    assert tape.choices > 100
    again = Deck(tape)
    assert play(replace(case, seed=seed + 1, tape=tape), again).trace() == recorded.trace()
    assert again.drawn() == tape


def test_a_tape_that_is_over_draws_what_is_simplest() -> None:
    deck = Deck(Tape(schedule=(1 << 52, 5)))
    stream = deck.stream("schedule 1")
    assert (stream.random(), stream.randint(0, 7), stream.random(), stream.choice("abc")) == (0.5, 5, 0.0, "a")
    assert deck.drawn() == Tape(schedule=(1 << 52, 5))


def test_a_kept_seed_is_read_back_and_fails_with_the_same_trace(tmp_path: Path) -> None:
    shrunk, kept = first_failure(Campaign(seeds=50, nodes=SMALL, replication="faithful"))
    assert read(write(tmp_path, kept)) == kept
    for case, trace in ((kept.case, kept.trace), (shrunk.case, shrunk.trace)):
        played = replay(case, kept.signature, trace)
        assert (played.ended, played.same_trace) == ("still", True)
    assert replay(replace(shrunk.case, replication="modern"), kept.signature, shrunk.trace).ended == "gone"
