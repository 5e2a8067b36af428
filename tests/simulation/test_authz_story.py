"""R-133 in virtual time: what `dump` and `view` show of the authz keys of a node that was down."""

import pytest

from tests.simulation.test_sim_lab import told
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.node.events import RegenerateAuthz
from ucmlab.node.instant import MINUTE


@pytest.mark.rule("R-123", "R-133")
def test_each_key_is_made_anew_by_itself_and_everywhere() -> None:
    async def story(lab: SimLab) -> list[set[str]]:
        before, changed = lab.view("pub").authz, list[set[str]]()
        for key in ("signing", "encryption"):
            await lab.operate("pub", RegenerateAuthz(key, key))
            await lab.wait(MINUTE)
            assert before is not None
            after = lab.view("pub").authz
            assert after is not None
            assert all(lab.view(name).authz == after for name in lab.names)
            changed.append({name for name in after if after[name] != before[name]})
            before = after
        return changed

    assert told(story) == [{"signing"}, {"encryption"}]


@pytest.mark.rule("R-133")
@pytest.mark.rule("R-125")
@pytest.mark.rule("C-62")
def test_a_node_that_was_down_during_a_regeneration_shows_other_authz_keys_than_the_rest_until_the_next() -> None:
    async def story(lab: SimLab) -> list[tuple[bool, bool]]:
        seen: list[tuple[bool, bool]] = []

        def look() -> None:
            pub, sub1, sub2 = (lab.view(name).authz for name in lab.names)
            assert pub is not None
            assert set(pub) == {"signing", "encryption"}
            seen.append((sub1 == pub, sub2 == pub))

        look()
        await lab.stop_node("sub2")
        (await lab.operate("pub", RegenerateAuthz("op-1")))
        await lab.start_node("sub2")
        await lab.wait(31 * MINUTE)
        look()
        await lab.operate("pub", RegenerateAuthz("op-2"))
        await lab.wait(MINUTE)
        look()
        return seen

    assert told(story) == [(True, True), (True, False), (True, True)]
