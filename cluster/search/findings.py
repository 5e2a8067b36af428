"""Findings over many campaigns, in one file: what is new, what still fails, what is gone, what is rare.

A finding is known by policy, planted bug and signature, not by a seed: what a seed means changes with the search. Each
carries a case that fails, so that the next campaign can tell whether it still does without being lucky.
"""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from ucmlab.broker.codec import UNREADABLE
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.search.aftermath import Found
from ucmlab.cluster.search.campaign import Campaign
from ucmlab.cluster.search.case import Case, case_of
from ucmlab.cluster.search.kept import replay

RARE = 1 / 1000
"""A finding of fewer of the seeds than this is rare: a short search may well miss it."""
Status = Literal["new", "still", "gone"]


class Seen(msgspec.Struct, frozen=True):
    """Where a finding was seen: version, commit (None: an installed wheel) and seed."""

    version: str
    commit: str | None
    seed: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which an invariant is broken."""

    key: str
    status: Status
    rare: bool
    text: str
    """What was seen first."""
    first: Seen
    last: Seen
    """Where it was last reproduced."""
    failed: int
    """Seeds that it broke, of `tried`, in the last campaign that came upon it."""
    tried: int
    steps: int | None
    """Of the shrunk case; None when it is not shrunk."""
    case: Case
    trace: str = ""


class Findings(msgspec.Struct, frozen=True):
    """The file."""

    schema: Literal[1] = 1
    findings: tuple[Finding, ...] = ()


class Change(msgspec.Struct, frozen=True):
    """What a campaign says of one finding."""

    finding: Finding
    why: str


def read(path: Path) -> Findings:
    """Read the file; without one nothing is known yet.

    Raises:
        Unusable: it cannot be read, or is no file of findings.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Findings)
    except FileNotFoundError:
        return Findings()
    except OSError as error:
        raise Unusable(f"cannot read {path}: {error.strerror}") from error
    except UNREADABLE as error:
        raise Unusable(f"{path} is no file of findings: {error}; name another one, or none that exists") from error


def write(path: Path, findings: Findings) -> None:
    """Write the file.

    Raises:
        Unusable: that cannot be done.
    """
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(findings), indent=2) + b"\n")
    except OSError as error:
        raise Unusable(f"cannot write {path}: {error.strerror}; name a file in a folder that exists") from error


def update(
    known: Findings, campaign: Campaign, found: list[Found], *, tried: int, version: str, commit: str | None
) -> tuple[Findings, list[Change]]:
    """What is known after a campaign, in the order of the keys, and what it says of each finding.

    A finding that it did not come upon is played again: it is gone only if it does not fail any more.
    """
    before = {finding.key: finding for finding in known.findings}
    changes: list[Change] = []
    for each in found:
        key = key_of(campaign, each.signature)
        seen = Seen(version, commit, each.seeds[0])
        changes.append(_met(before.pop(key, None), key, campaign, each, seen, tried))
    changes += [_missed(finding, version, commit) for finding in before.values()]
    changes.sort(key=lambda change: change.finding.key)
    return Findings(findings=tuple(change.finding for change in changes)), changes


def key_of(campaign: Campaign, signature: str) -> str:
    """What a finding is known by."""
    where = campaign.replication + (f" with {campaign.plant}" if campaign.plant else "")
    return f"{where}: {signature}"


def _met(old: Finding | None, key: str, campaign: Campaign, found: Found, seen: Seen, tried: int) -> Change:
    density = len(found.seeds) / tried
    shrunk = found.shrunk
    new = Finding(
        key=key,
        status="new" if old is None or old.status == "gone" else "still",
        rare=density < RARE,
        text=found.violation.text if old is None else old.text,
        first=seen if old is None else old.first,
        last=seen,
        failed=len(found.seeds),
        tried=tried,
        steps=None if shrunk is None else len(shrunk.case.acts),
        case=case_of(campaign, seen.seed) if shrunk is None else shrunk.case,
        trace="" if shrunk is None else shrunk.trace,
    )
    if shrunk is None and old is not None and old.steps is not None:
        new = replace(new, steps=old.steps, case=old.case, trace=old.trace)
    again = ", which was gone" if old is not None and old.status == "gone" else ""
    return Change(new, f"{len(found.seeds)} of {tried} seeds{again}")


def _missed(finding: Finding, version: str, commit: str | None) -> Change:
    """The campaign did not come upon it."""
    try:
        played = replay(finding.case, finding.key.partition(": ")[2], finding.trace)
    except Unusable as error:
        return Change(finding, f"not judged, it cannot be played: {error}")
    if played.ended == "still":
        return Change(
            replace(finding, status="still", last=Seen(version, commit, finding.last.seed)),
            "no seed, but its case fails",
        )
    last = f"last seen at {finding.last.commit or finding.last.version}"
    return Change(replace(finding, status="gone"), f"its case does not fail any more; {last}")
