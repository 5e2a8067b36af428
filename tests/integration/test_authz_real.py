"""The OAuth keys in real processes: made on the publisher, sealed to each node; who was down keeps the old ones."""

from pathlib import Path
from typing import cast

import msgspec
import pytest

from tests.integration.real_lab import converge, dumped, make_home, opened
from ucmlab.broker.messages import AnyMessage, Envelope, SealedKeys
from ucmlab.cluster.local import LocalLab
from ucmlab.node.errors import SealBroken
from ucmlab.node.events import RegenerateAuthz
from ucmlab.node.keyring import KeyRing
from ucmlab.node.sealing import sealing_info, unseal

NODES = "pub,sub1,sub2,imp1"
_envelope = msgspec.msgpack.Decoder(Envelope).decode
_body = msgspec.msgpack.Decoder(AnyMessage).decode


def keys(lab: LocalLab) -> dict[str, dict[str, str]]:
    """What `dump` shows of each node's keys."""
    nodes = cast("dict[str, dict[str, dict[str, str]]]", dumped(lab)["nodes"])
    return {name: node["authz"] for name, node in nodes.items()}


def sealed(lab: LocalLab, node: str) -> list[SealedKeys]:
    """The OAuth keys that were sent to a node."""
    told = [_body(_envelope(payload).body) for _, payload in lab.messages(f"cucm/v1/+/keys/{node}")]
    return [each for each in told if isinstance(each, SealedKeys) and each.kind == "authz"]


@pytest.mark.slow
@pytest.mark.rule("R-125", "R-133", "C-62")
async def test_every_node_has_the_publishers_keys_and_one_that_was_down_keeps_the_old(tmp_path: Path) -> None:
    async with opened(make_home(tmp_path, NODES)) as lab:
        await converge(lab)
        first = keys(lab)
        assert first.keys() == {"pub", "sub1", "sub2", "imp1"}
        assert all(each == first["pub"] and all(each.values()) for each in first.values())
        assert {event["node"] for event in lab.events("authz_made")} == {"pub"}

        await lab.stop_node("sub2")
        reply = await lab.operate("pub", RegenerateAuthz("again"))
        assert (reply.outcome, reply.nodes["sub2"]) == ("done", "unreachable")
        await lab.start_node("sub2")
        await converge(lab)
        second = keys(lab)
        assert second["sub2"] == first["sub2"]
        assert second["pub"] == second["sub1"] == second["imp1"]
        assert all(second["pub"][kind] != first["pub"][kind] for kind in ("signing", "encryption"))

        reply = await lab.operate("pub", RegenerateAuthz("once more", "signing"))
        assert reply.nodes == {"pub": "done", "sub1": "pending", "sub2": "pending", "imp1": "pending"}
        await converge(lab)
        third = keys(lab)
        assert all(each == third["pub"] for each in third.values())
        assert third["pub"]["signing"] != second["pub"]["signing"]
        assert third["pub"]["encryption"] == second["pub"]["encryption"], "R-123"


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("R-133", "S12")
async def test_only_the_publisher_makes_keys_and_only_the_addressee_opens_them(tmp_path: Path) -> None:
    home = make_home(tmp_path, NODES)
    async with opened(home) as lab:
        refused = await lab.operate("sub1", RegenerateAuthz("here"))
        assert (refused.outcome, refused.reason) == ("refused", "publisher_only")

        blobs = {node: sealed(lab, node)[0] for node in ("sub1", "sub2", "imp1")}
        assert len({keys.blob for keys in blobs.values()}) == 3
        assert sealed(lab, "pub") == []
        for addressee, told in blobs.items():
            info = sealing_info(
                cluster=home.lab.cluster, operation=f"authz/{told.generation}", sender="pub", recipient=addressee
            )
            for reader in home.topology.names:
                private = KeyRing(home.node_home(reader)).bus.sealing_private
                if reader == addressee:
                    assert b"signing" in unseal(private, told.blob, info=info)
                else:
                    with pytest.raises(SealBroken):
                        unseal(private, told.blob, info=info)


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("R-133")
async def test_keys_survive_the_kill_of_whoever_holds_them(tmp_path: Path) -> None:
    async with opened(make_home(tmp_path)) as lab:
        before = keys(lab)
        for node in ("pub", "sub1"):
            await lab.kill_node(node)
            assert keys(lab) == before, "what a dead node's disk holds is shown"
            await lab.start_node(node)
        await converge(lab)
        assert keys(lab) == before
        assert len(lab.events("authz_made")) == 1
