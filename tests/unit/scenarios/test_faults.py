"""Faults of the catalogue in a story's hands."""

import pytest

from tests.unit.scenarios.told import told
from ucmlab.cluster.errors import Unusable
from ucmlab.scenarios import Lab


def test_a_fault_that_took_effect_is_no_trouble() -> None:
    async def story(lab: Lab) -> None:
        await lab.inject("isolate", lab.node("sub1"))
        await lab.end_fault("isolate", "sub1")
        lab.check(True, "done")

    assert told(story).verdict == "held"


def test_a_declared_fault_that_never_fired_makes_the_run_unknown() -> None:
    async def story(lab: Lab) -> None:
        await lab.inject("kill", "sub1", at="AppendLog", until="5m")
        lab.check(True, "nothing happened")

    result = told(story)
    assert result.verdict == "unknown"
    assert result.trouble is not None
    assert result.trouble.line == "a declared fault never fired: kill of sub1 never took effect"


def test_what_cannot_be_injected_makes_the_story_unusable() -> None:
    async def story(lab: Lab) -> None:
        await lab.inject("gremlins", "sub1")

    with pytest.raises(Unusable, match=r"^there is no fault 'gremlins'; .* \(test_faults\.py:"):
        told(story)
