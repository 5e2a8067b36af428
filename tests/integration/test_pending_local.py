"""Restarts that are pending in a real cluster are those of virtual time."""

from pathlib import Path

import pytest

from tests.integration.test_peers_local import holds
from tests.pending_restarts import what_a_restart_would_change


@pytest.mark.slow
@pytest.mark.rule("R-118", "B.18")
async def test_what_a_restart_would_change_is_pending_and_nothing_else(tmp_path: Path) -> None:
    await holds(what_a_restart_would_change, tmp_path, "pub,sub1,sub2", "tac")
