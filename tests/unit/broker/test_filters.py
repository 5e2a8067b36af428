"""Topic names and filters: MQTT 4.7, with the standard's own examples."""
# ruff: noqa: FBT001  packets and verdicts stand in tables

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucmlab.broker.filters import (
    InvalidTopic,
    filter_covers,
    filter_matches,
    validate_filter,
    validate_topic,
)

MATCHES = [
    ("a/b", "a/b", True),
    ("a/b", "a/c", False),
    ("a/b", "a", False),
    ("a", "a/b", False),
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/tennis/player1/#", "sport/tennis/player2", False),
    ("#", "a/b/c", True),
    ("#", "/", True),
    ("+", "a", True),
    ("+", "a/b", False),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("a/+/c", "a/b/c", True),
    ("a/+/c", "a/b/d", False),
    ("a/+/#", "a/b", True),
    ("a/+/#", "a", False),
    ("#", "$SYS/x", False),
    ("+/x", "$SYS/x", False),
    ("$SYS/#", "$SYS/x", True),
    ("$SYS/+", "$SYS/x", True),
    ("a/#", "a/$b", True),
    ("a//b", "a//b", True),
    ("a/+/b", "a//b", True),
]


@pytest.mark.parametrize(("filter_", "topic", "expected"), MATCHES)
def test_a_filter_matches_what_the_standard_says(filter_: str, topic: str, expected: bool) -> None:
    assert filter_matches(filter_, topic) is expected


COVERS = [
    ("a/#", "a/b", True),
    ("a/#", "a/+/c", True),
    ("a/#", "a/#", True),
    ("a/#", "a", True),
    ("a/#", "#", False),
    ("a/+", "a/b", True),
    ("a/+", "a/+", True),
    ("a/+", "a/#", False),
    ("a/+", "a/b/c", False),
    ("a/+", "a", False),
    ("a/b", "a/+", False),
    ("#", "#", True),
    ("#", "$SYS/#", False),
    ("+/x", "$SYS/x", False),
    ("$SYS/#", "$SYS/x/y", True),
    ("a/b/#", "a/b", True),
    ("a/b/c", "a/b", False),
]


@pytest.mark.parametrize(("allowed", "requested", "expected"), COVERS)
def test_a_filter_covers_another_if_it_matches_all_that_the_other_can(
    allowed: str, requested: str, expected: bool
) -> None:
    assert filter_covers(allowed, requested) is expected


@pytest.mark.parametrize("text", ["", "a\0b", "a/#/b", "a#", "a/b#", "+a", "a/+b/c", "x" * 65_536, "/" * 200, "##"])
def test_a_malformed_filter_is_refused(text: str) -> None:
    with pytest.raises(InvalidTopic) as caught:
        validate_filter(text)
    assert caught.value.text == text


@pytest.mark.parametrize("text", ["", "a/+", "#", "a\0b", "ü" * 40_000, "/" * 200])
def test_a_malformed_topic_is_refused(text: str) -> None:
    with pytest.raises(InvalidTopic):
        validate_topic(text)


@pytest.mark.parametrize("text", ["a", "/", "a/b c/ü", "$SYS/x", "x" * 65_535, "/" * 199])
def test_a_well_formed_topic_is_accepted_and_is_a_filter_too(text: str) -> None:
    validate_topic(text)
    validate_filter(text)


names = st.sampled_from(["a", "b", "", "$s"])
topics = st.lists(names, min_size=1, max_size=4).map("/".join).filter(bool)
filters = (
    st.tuples(st.lists(names | st.just("+"), max_size=3), st.sampled_from(["a", "b", "+", "#", ""]))
    .map(lambda parts: "/".join([*parts[0], parts[1]]))
    .filter(bool)
)


@given(allowed=filters, requested=filters, topic=topics)
def test_what_a_covered_filter_matches_its_cover_matches(allowed: str, requested: str, topic: str) -> None:
    if filter_covers(allowed, requested) and filter_matches(requested, topic):
        assert filter_matches(allowed, topic)
