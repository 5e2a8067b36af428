"""One run of the search, wholly as data: played again at will, kept in a file, and made smaller."""

import re
from collections.abc import Sequence

import msgspec

from ucmlab.cluster.search.campaign import Campaign
from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.search.invariants import Judge, Violation
from ucmlab.cluster.search.run import SeedRun
from ucmlab.cluster.search.tape import Deck, Tape
from ucmlab.cluster.search.workload import SPAN, Act, draw_schedule
from ucmlab.node.config import Policy

_SIGNATURE = (
    (re.compile(r"\b[0-9a-f]{12,}\b"), "CERTIFICATE"),
    (re.compile(r"\b(?:op|fault)-\d+"), "OPERATION"),
    (re.compile(r"\b([a-z]+)-\S+?-\d+-\d+"), r"\1-N"),
    (re.compile(r"\S+-trust\b"), "UNIT"),
)
_NUMBER = re.compile(r"\d+")
"""What differs between two violations that are the same, and what stands for it."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster, what happens in it, and what is drawn."""

    nodes: tuple[str, ...]
    release: str
    replication: Policy
    seed: int
    plant: str | None = None
    judge: Judge = "all"
    acts: tuple[Act, ...]
    span: int = SPAN
    """When all faults end, lab microseconds."""
    tape: Tape | None = None
    """None: what the seed draws."""
    spare: bool = False
    """Whether a service is started at the end only where it is not; see `SeedRun.play_to_first`."""

    def deck(self) -> Deck:
        """What a play of it draws from."""
        return Deck(self.tape)


def case_of(campaign: Campaign, seed: int) -> Case:
    """A seed of a campaign as a case."""
    image = cluster_image(campaign.nodes, campaign.release, campaign.replication)
    acts = draw_schedule(image.configs, seed, operations=campaign.operations, families=campaign.families)
    return Case(
        nodes=tuple(config.name for config in image.configs),
        release=campaign.release,
        replication=campaign.replication,
        seed=seed,
        plant=campaign.plant,
        judge=campaign.judge,
        acts=tuple(acts),
    )


def play(case: Case, deck: Deck | None = None) -> SeedRun:
    """Play it to its first violation, or to its end; `deck` is there afterwards for what was drawn.

    Raises:
        Unusable: there can be no such cluster, or a fault cannot be injected there.
    """
    image = cluster_image(case.nodes, case.release, case.replication)
    run = SeedRun(image, case.seed, plant=case.plant, judge=case.judge, deck=deck or case.deck())
    run.play_to_first(case.acts, span=case.span, spare=case.spare)
    return run


def signature(violation: Violation, nodes: Sequence[str]) -> str:
    """What a violation has in common with others of its kind: which invariant, and how it was broken.

    Nodes, units, certificates, operations and numbers are left out: whoever else they happen to, it is the same bug.
    """
    text = violation.text
    for pattern, stands_for in _SIGNATURE:
        text = pattern.sub(stands_for, text)
    for node in sorted(nodes, key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(node)}\b", "NODE", text)
    return f"{violation.invariant} {_NUMBER.sub('N', text)}"
