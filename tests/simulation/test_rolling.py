"""A service restarted on one node after the other, in virtual time."""

import pytest

from tests.rolling_restarts import one_node_after_the_other
from tests.simulation.stories import told
from ucmlab.cluster.topology import Settings


@pytest.mark.rule("C-19", "R-155")
def test_the_publisher_is_first_and_what_fails_there_does_not_reach_the_next() -> None:
    told(one_node_after_the_other, Settings(nodes="pub,sub1"))
