"""Servers outside the cluster in virtual time: what they present, and whom they let in (R-004, R-005, B.20)."""

import pytest

from tests.old_identities import identities_of_an_old_ca
from tests.peers import links_that_end, servers_outside, what_cannot_be_presented
from tests.simulation.stories import told
from ucmlab.cluster.topology import Settings

TWO = Settings(nodes="pub,sub1")


@pytest.mark.rule("R-004", "B.20")
def test_both_ends_judge_as_they_would_with_openssl() -> None:
    told(servers_outside, TWO)


@pytest.mark.rule("R-141", "B.4")
def test_what_an_old_ca_signed_is_presented_and_refused_for_it() -> None:
    told(identities_of_an_old_ca, TWO)


def test_what_cannot_be_presented_is_refused_in_one_line() -> None:
    told(what_cannot_be_presented, TWO)


@pytest.mark.rule("R-192")
def test_a_long_lived_link_ends_with_its_peer_its_service_and_its_node() -> None:
    told(links_that_end, TWO)
