"""A lab of real processes and its responder: served in the lab's own process, at an address of the lab's."""

import sys
from pathlib import Path

from tests.integration.real_lab import make_home, opened
from tests.unit.node.responders import World
from ucmlab.cluster.outside.lazily import LazilyAsking
from ucmlab.node.commands import AskOcsp, FetchCrl
from ucmlab.node.events import CrlFetched, OcspAnswered
from ucmlab.node.ocsp import request_for


async def test_a_responder_is_up_and_down_with_the_lab_and_gone_after_it(tmp_path: Path) -> None:
    world = World()
    performers = LazilyAsking("nobody").performers
    async with opened(make_home(tmp_path, "pub")) as lab:
        served = await lab.serve_responder("ocsp1", world.responder)
        assert served.crl_url == f"{served.url}/crl"
        if sys.platform == "linux":
            assert served.url.startswith("http://127.")
            assert not served.url.startswith("http://127.0.0.1")
        asked, fetched = AskOcsp("t", served.url, request_for(world.leaf(), world.root)), FetchCrl("c", served.crl_url)
        await served.stop()
        refused = OcspAnswered("t", trouble="refused"), CrlFetched("c", trouble="refused")
        assert (await performers[AskOcsp](asked), await performers[FetchCrl](fetched)) == refused
        await served.start()
        answered = await performers[AskOcsp](asked), await performers[FetchCrl](fetched)
        assert answered == (
            OcspAnswered("t", world.responder.answer(asked.request)),
            CrlFetched("c", world.responder.crl()),
        )
        acts = [(each["target"], each["fault"]) for each in lab.events("fault")]
        assert acts == [("ocsp1", "stop"), ("ocsp1", "start")]
    assert (await performers[AskOcsp](asked)).trouble == "refused"  # type: ignore[union-attr]  # it answers so
