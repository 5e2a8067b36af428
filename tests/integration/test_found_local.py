"""What the search shrank in virtual time happens to real processes as well: the zombies of two policies."""

from pathlib import Path

import pytest

from ucmlab.cluster.search.aftermath import take_down
from ucmlab.cluster.search.campaign import Campaign, run_campaign
from ucmlab.node.config import Policy
from ucmlab.scenarios.labs import run_story
from ucmlab.scenarios.loading import load
from ucmlab.scenarios.result import Options
from ucmlab.scenarios.telling import Check

NODES = ("pub", "sub1", "sub2", "imp1")


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("R-078")
@pytest.mark.parametrize("policy", ["legacy", "faithful"])
def test_a_zombie_that_was_found_by_search_comes_back_in_a_real_lab(policy: Policy, tmp_path: Path) -> None:
    campaign = Campaign(seeds=50, nodes=NODES, replication=policy)
    (found,) = take_down(campaign, run_campaign(campaign, stop_after=3).failed, tmp_path)
    assert found.story is not None
    (story,) = load(found.story)
    result = run_story(story, Options(mode="local"), lambda _entry, _began: None)
    failed = [entry.text for entry in result.entries if isinstance(entry, Check) and not entry.held]
    assert (result.verdict, result.trouble) == ("failed", None)
    assert failed[0] == "what was deleted has not come back on pub"
