"""What the search has found and is mended, by the acts to which it was shrunk: its seed may draw others by now."""

import pytest

from ucmlab.cluster.search.case import Case, play
from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.search.material import material
from ucmlab.cluster.search.tape import Tape
from ucmlab.cluster.search.workload import Act
from ucmlab.node.certificates import parse
from ucmlab.node.instant import SECOND

PUBLISHERS_OWN = next(
    row.fingerprint
    for row in cluster_image(("pub", "sub1", "sub2"), "14SU2", "modern").table.in_order()
    if row.unit == "tomcat-trust" and parse(row.der).common_name == "pub-EC.lab.test"
)
"""Fingerprint of a certificate that the installation made."""
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


@pytest.mark.rule("S3", "S4", "S6", "S8")
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


def found(nodes: str, seed: int, span: int, acts: tuple[Act, ...], tape: Tape) -> Case:
    """A case that needs its own draws, and its own end."""
    return Case(
        nodes=tuple(nodes.split()),
        release="14SU2",
        replication="modern",
        seed=seed,
        acts=acts,
        span=span,
        tape=tape,
        spare=True,
    )


EXACTLY = {
    # A log that was lost had as many entries as the new one: what was acknowledged of it counted for deletes of this.
    "S3, by another log's acknowledgement": found(
        "pub sub1 sub2",
        62039,
        2220 * SECOND,
        (
            Act(60 * SECOND, "upload", "pub", "tomcat-trust", 0),
            Act(120 * SECOND, "inject", "pub", "partition", 2040 * SECOND, text="isolate"),
            Act(1980 * SECOND, "inject", "pub", text="restore-publisher"),
            Act(2040 * SECOND, "upload", "sub2", "tomcat-trust", 1),
            Act(2100 * SECOND, "inject", "sub2", number=120 * SECOND, text="stop"),
            Act(2100 * SECOND, "delete", "pub", "tomcat-trust", text=PUBLISHERS_OWN),
        ),
        Tape(),
    ),
    # A power cut took a row and the note that its upload was done; a backup of that moment asked for the answer again.
    "S3, by an old answer": found(
        "pub sub1",
        75035,
        2220 * SECOND,
        (
            Act(60 * SECOND, "upload", "pub", "tomcat-trust", 0),
            Act(120 * SECOND, "upload", "pub", "tomcat-trust", 1),
            Act(180 * SECOND, "upload", "sub1", "tomcat-trust", 2),
            Act(240 * SECOND, "inject", "sub1", "power", 60 * SECOND, text="power-cut"),
            Act(360 * SECOND, "delete", "pub", "tomcat-trust", text=material()[2].fingerprint),
            Act(2220 * SECOND, "inject", "sub1", "restore", text="restore-backup"),
        ),
        Tape(faults=(3, 3, 0, 0, 1)),
    ),
}


@pytest.mark.rule("S3")
@pytest.mark.parametrize("what", EXACTLY)
def test_what_was_found_with_its_own_draws_is_gone(what: str) -> None:
    assert play(EXACTLY[what]).result.violations == ()
