"""What a story's judgments come to."""

# `check` takes its condition first, as design 7.3 spells it

import asyncio
import re
import warnings

import pytest

from tests.unit.scenarios.told import told
from ucmlab.cluster.errors import Unusable
from ucmlab.scenarios import Lab
from ucmlab.scenarios.telling import Check


def checks(result_entries: list[object]) -> list[tuple[str, bool]]:
    return [(entry.text, entry.held) for entry in result_entries if isinstance(entry, Check)]


def test_a_story_whose_checks_hold_has_held() -> None:
    async def story(lab: Lab) -> None:
        lab.check(True, "one is one")
        (await lab.node("pub").upload("tomcat-trust", b"x")).must_be("done")

    result = told(story)
    assert result.verdict == "held"
    assert checks([*result.entries]) == [("one is one", True), ("upload to tomcat-trust on pub ends done", True)]


def test_a_check_that_fails_is_recorded_and_the_story_goes_on() -> None:
    async def story(lab: Lab) -> None:
        lab.check(False, "pigs fly", seen="pigs walking")
        lab.check(True, "birds fly")

    result = told(story)
    assert result.verdict == "failed"
    assert checks([*result.entries]) == [("pigs fly", False), ("birds fly", True)]
    assert result.trouble is None


def test_an_outcome_that_must_be_ends_the_story_when_it_is_not() -> None:
    async def story(lab: Lab) -> None:
        (await lab.node("pub").upload("tomcat-trust", b"")).must_be("done")
        lab.check(True, "never reached")

    result = told(story)
    assert result.verdict == "failed"
    [failed] = [entry for entry in result.entries if isinstance(entry, Check)]
    assert (failed.expected, failed.seen) == ("done", "refused empty: there is nothing in it")


def test_a_reason_that_must_be_is_judged_too() -> None:
    async def story(lab: Lab) -> None:
        (await lab.node("pub").upload("tomcat-trust", b"")).must_be("refused", "empty")
        (await lab.node("pub").upload("tomcat-trust", b"")).must_be("refused", "format")

    assert [held for _, held in checks([*told(story).entries])] == [True, False]


def test_a_wait_that_is_in_vain_ends_the_story() -> None:
    async def story(lab: Lab) -> None:
        await lab.wait_until(lambda: False, within="5m", text="the pope converts")
        lab.check(True, "never reached")

    result = told(story)
    assert checks([*result.entries]) == [("the pope converts", False)]
    assert result.ended - result.began == 5 * 60 * 1_000_000


def test_what_must_hold_all_the_while_is_judged_after_every_event() -> None:
    async def story(lab: Lab) -> None:
        sub1 = lab.node("sub1")
        await lab.node("pub").upload("tomcat-trust", b"x")
        await lab.holds(lambda: not sub1.files("tomcat-trust"), during="9s", text="no file for nine seconds")
        await lab.holds(lambda: not sub1.files("tomcat-trust"), during="9s", text="no file for nine more")

    result = told(story)
    assert checks([*result.entries]) == [("no file for nine seconds", True), ("no file for nine more", False)]
    failed = [entry for entry in result.entries if isinstance(entry, Check) and not entry.held]
    assert failed[0].at - result.began == 10_000_000


def test_an_error_in_what_must_hold_is_the_storys_own() -> None:
    async def story(lab: Lab) -> None:
        await lab.node("pub").upload("tomcat-trust", b"x")
        await lab.holds(lambda: bool(1 // len(lab.node("sub1").files("tomcat-trust"))), during="1m", text="nonsense")

    result = told(story)
    assert result.verdict == "failed"
    assert result.trouble is not None
    assert result.trouble.line.startswith("ZeroDivisionError")


def test_an_exception_of_the_storys_own_is_one_line_with_its_place_and_a_trace_apart() -> None:
    async def story(lab: Lab) -> None:
        lab.check(True, "so far, so good")
        raise RuntimeError("the author\nslipped")

    result = told(story)
    assert result.verdict == "failed"
    assert result.trouble is not None
    line = story.__code__.co_firstlineno + 2
    assert result.trouble.line == f"RuntimeError: the author slipped (test_verdicts.py:{line})"
    assert "Traceback (most recent call last)" in result.trouble.trace


def test_a_node_that_there_is_not_makes_the_story_unusable() -> None:
    async def story(lab: Lab) -> None:
        lab.node("sub9")

    with pytest.raises(Unusable, match=r"^there is no node 'sub9'; there are pub, sub1, sub2 \(test_verdicts\.py:"):
        told(story)


def test_a_failure_in_a_task_group_is_the_failure_and_nothing_else() -> None:
    async def story(lab: Lab) -> None:
        async def one() -> None:
            (await lab.node("pub").upload("tomcat-trust", b"")).must_be("done")

        async with asyncio.TaskGroup() as group:
            group.create_task(one())

    result = told(story)
    assert (result.verdict, result.trouble) == ("failed", None)


def test_asking_for_what_is_not_built_is_unusable() -> None:
    async def story(lab: Lab) -> None:
        await lab.node("pub").open_page("pub", "Service Activation")  # type: ignore[attr-defined]  # which is the point

    with pytest.raises(
        Unusable, match=r"^the story asks for Node\.open_page, which is not built in this version \(test_verdicts\.py:"
    ):
        told(story)


def test_a_story_that_judges_nothing_is_unknown() -> None:
    async def story(lab: Lab) -> None:
        await lab.wait("1m")

    result = told(story)
    assert result.verdict == "unknown"
    assert result.trouble is not None
    assert result.trouble.line == "the story judged nothing"


def test_a_death_that_never_came_makes_the_run_unknown() -> None:
    async def story(lab: Lab) -> None:
        await lab.node("sub1").kill(at="WriteFile")
        lab.check(True, "nothing happened")

    result = told(story)
    assert result.verdict == "unknown"
    assert result.trouble is not None
    assert result.trouble.line == "a declared fault never fired: sub1 was to die after its next WriteFile"


def test_a_death_that_came_is_no_trouble_even_if_the_node_lives_again() -> None:
    async def story(lab: Lab) -> None:
        sub1 = lab.node("sub1")
        await sub1.kill(at="WriteFile")
        (await sub1.upload("tomcat-trust", b"x")).must_be("indefinite")
        await sub1.start()

    assert told(story).verdict == "held"


def test_stopping_the_node_is_not_the_death_that_was_declared() -> None:
    async def story(lab: Lab) -> None:
        await lab.node("sub1").kill(at="WriteFile")
        await lab.node("sub1").stop()
        lab.check(True, "sub1 is stopped")

    assert told(story).verdict == "unknown"


def test_a_death_after_a_command_that_there_is_not_is_refused() -> None:
    async def story(lab: Lab) -> None:
        await lab.node("sub1").kill(at="WritFile")

    trouble = told(story).trouble
    assert trouble is not None
    assert "a node performs no command 'WritFile'" in trouble.line


def test_what_failed_counts_more_than_a_fault_that_never_fired() -> None:
    async def story(lab: Lab) -> None:
        await lab.node("sub1").kill(at="WriteFile")
        lab.check(False, "no")

    assert told(story).verdict == "failed"


def test_what_a_story_forgot_to_await_fails_it() -> None:
    async def story(lab: Lab) -> None:
        lab.node("sub1").stop()  # type: ignore[unused-coroutine]  # the author's mistake
        lab.check(True, "all is well")

    result = told(story)
    assert result.verdict == "failed"
    assert result.trouble is not None
    assert re.fullmatch(
        r"coroutine 'Node\.stop' was never awaited; write `await` before it \(test_verdicts\.py:\d+\)",
        result.trouble.line,
    )


def test_other_warnings_of_a_story_stay_warnings() -> None:
    async def story(lab: Lab) -> None:
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        lab.check(True, "all is well")

    with pytest.warns(DeprecationWarning, match="old"):
        assert told(story).verdict == "held"
