"""Servers outside the cluster at real sockets: nodes and OpenSSL judge as in virtual time (R-004, R-005, B.20)."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.integration.real_lab import make_home, opened
from tests.old_identities import identities_of_an_old_ca
from tests.peers import links_that_end, servers_outside
from tests.rolling_restarts import one_node_after_the_other
from tests.unit.scenarios.told import as_story
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.node.rule_rows import Profile
from ucmlab.scenarios import Lab
from ucmlab.scenarios.result import Options
from ucmlab.scenarios.runner import tell
from ucmlab.scenarios.telling import Check


async def holds(
    script: Callable[[Lab], Awaitable[None]], folder: Path, nodes: str = "pub,sub1", profile: Profile = "seed"
) -> None:
    async with opened(make_home(folder, nodes, profile=profile)) as lab:
        result = await tell(as_story(script), Options(), port=lab, keys=simulation_keys(), listener=lambda *_: None)
    failed = [each.text for each in result.entries if isinstance(each, Check) and not each.held]
    assert (result.verdict, result.trouble, failed) == ("held", None, [])


@pytest.mark.slow
@pytest.mark.rule("R-004", "B.20")
@pytest.mark.library
async def test_a_server_outside_behaves_as_in_virtual_time(tmp_path: Path) -> None:
    await holds(servers_outside, tmp_path)


@pytest.mark.slow
@pytest.mark.rule("R-141", "B.4")
@pytest.mark.library
async def test_what_an_old_ca_signed_is_presented_and_refused_for_it(tmp_path: Path) -> None:
    await holds(identities_of_an_old_ca, tmp_path)


@pytest.mark.slow
@pytest.mark.rule("R-192")
@pytest.mark.library
async def test_a_long_lived_link_ends_with_its_peer_its_service_and_its_node(tmp_path: Path) -> None:
    await holds(links_that_end, tmp_path)


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("C-19", "R-155")
async def test_a_service_is_restarted_on_one_node_after_the_other(tmp_path: Path) -> None:
    await holds(one_node_after_the_other, tmp_path)
