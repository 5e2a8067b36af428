"""What the search has found and is mended, by the acts to which it was shrunk: its seed may draw others by now."""

import pytest

from ucmlab.cluster.search.case import Case, play
from ucmlab.cluster.search.material import material
from ucmlab.cluster.search.tape import Tape
from ucmlab.cluster.search.workload import Act
from ucmlab.node.instant import SECOND

FOUND = {
    # The log that had the delete is lost, and the delete is refused by the new one: the judge took that for a lie.
    "seed 11708, S6": (
        Act(60 * SECOND, "upload", "pub", "tomcat-trust", 0),
        Act(120 * SECOND, "inject", "pub", number=226 * SECOND, nodes=("after=12",), text="torn"),
        Act(180 * SECOND, "upload", "sub1", "tomcat-trust", 1),
        Act(240 * SECOND, "delete", "sub1", "tomcat-trust", text=material()[0].fingerprint),
        Act(286 * SECOND, "inject", "pub", text="restore-publisher"),
    ),
    # A refused delete put back a file whose row another node holds.
    "seed 12950, S8": (
        Act(60 * SECOND, "upload", "pub", "ipsec-trust", 0),
        Act(120 * SECOND, "inject", "sub1,sub2", number=227 * SECOND, text="partition"),
        Act(180 * SECOND, "inject", "pub", text="restore-publisher"),
        Act(240 * SECOND, "upload", "sub2", "ipsec-trust", 0),
        Act(300 * SECOND, "delete", "sub2", "ipsec-trust", text=material()[0].fingerprint),
    ),
    # A rogue with the publisher's own key said what nobody could have told from the truth.
    "seed 104499, S4": (
        Act(60 * SECOND, "upload", "pub", "tomcat-trust", 0),
        Act(120 * SECOND, "inject", "pub", text="restore-publisher"),
        Act(180 * SECOND, "inject", "pub", number=120 * SECOND, text="partition"),
        Act(240 * SECOND, "inject", "pub", text="restore-publisher"),
        Act(300 * SECOND, "inject", "pub", text="lower-epoch"),
    ),
}


@pytest.mark.rule("S4", "S6", "S8")
@pytest.mark.parametrize("found", FOUND)
@pytest.mark.parametrize("tape", [None, Tape()], ids=["as drawn", "the simplest draws"])
def test_what_was_found_is_gone(found: str, tape: Tape | None) -> None:
    acts = FOUND[found]
    case = Case(
        nodes=("pub", "sub1", "sub2"),
        release="14SU2",
        replication="modern",
        seed=1,
        acts=acts,
        span=acts[-1].at + 60 * SECOND,
        tape=tape,
        spare=True,
    )
    assert play(case).result.violations == ()
