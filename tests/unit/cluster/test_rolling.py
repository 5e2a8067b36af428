"""A service restarted on one node after the other: whose turn it is, and what came of the whole."""

import pytest

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.rolling import summed, turns
from ucmlab.node.commands import Reply

STATES = {
    "pub": {"Cisco Tomcat": "started", "Cisco DirSync": "started"},
    "sub1": {"Cisco Tomcat": "stopped", "Cisco DirSync": "not activated"},
    "imp1": {},
}


def test_the_publisher_is_first_and_who_does_not_run_it_has_no_turn() -> None:
    assert turns("Cisco Tomcat", STATES) == ("pub", "sub1")
    assert turns("Cisco DirSync", STATES) == ("pub",)
    with pytest.raises(Unusable, match="no node of this lab runs 'Cows'"):
        turns("Cows", STATES)


@pytest.mark.parametrize(
    ("replies", "outcome", "words"),
    [
        ([Reply("", "done"), Reply("", "done")], "done", {"pub": "done", "sub1": "done"}),
        ([Reply("", "done"), Reply("", "refused", "r", "t")], "partial", {"pub": "done", "sub1": "refused"}),
        ([Reply("", "refused", "r", "t")], "refused", {"pub": "refused", "sub1": "pending"}),
        ([Reply("", "indefinite", "r", "t")], "indefinite", {"pub": "indefinite", "sub1": "pending"}),
    ],
)
def test_the_first_that_fails_ends_it(replies: list[Reply], outcome: str, words: dict[str, str]) -> None:
    told = summed("op", ("pub", "sub1"), replies)
    assert (told.outcome, told.nodes) == (outcome, words)
    assert (told.reason, told.text) == (("", "") if outcome == "done" else ("r", "t"))
