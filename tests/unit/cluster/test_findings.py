"""The file of findings over campaigns: new, still, gone and rare, by what failed and not by seed."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.search.aftermath import Found, take_down
from ucmlab.cluster.search.campaign import Campaign, run_campaign
from ucmlab.cluster.search.findings import Findings, read, update, write

CAMPAIGN = Campaign(seeds=3, nodes=("pub", "sub1", "sub2"), operations=20, replication="legacy")


@pytest.fixture(scope="module")
def found() -> list[Found]:
    return take_down(CAMPAIGN, run_campaign(CAMPAIGN).failed, None)


def after(known: Findings, found: list[Found], *, tried: int = 3, commit: str = "b") -> tuple[Findings, dict[str, str]]:
    findings, changes = update(known, CAMPAIGN, found, tried=tried, version="1", commit=commit)
    return findings, {change.finding.key: change.finding.status for change in changes}


def test_what_is_found_first_is_new_and_then_still_there(found: list[Found]) -> None:
    once, statuses = after(Findings(), found, commit="a")
    assert set(statuses.values()) == {"new"}
    twice, statuses = after(once, found)
    assert set(statuses.values()) == {"still"}
    assert {(each.first.commit, each.last.commit) for each in twice.findings} == {("a", "b")}


def test_what_no_seed_meets_is_played_again_before_it_is_called_gone(found: list[Found]) -> None:
    known, _ = after(Findings(), found, commit="a")
    missed, statuses = after(known, [])
    assert (set(statuses.values()), {each.last.commit for each in missed.findings}) == ({"still"}, {"b"})
    mended = Findings(
        findings=tuple(replace(each, case=replace(each.case, replication="modern")) for each in known.findings)
    )
    gone, statuses = after(mended, [])
    assert (set(statuses.values()), {each.last.commit for each in gone.findings}) == ({"gone"}, {"a"})
    _, statuses = after(gone, found)
    assert set(statuses.values()) == {"new"}


def test_few_of_many_seeds_are_rare(found: list[Found]) -> None:
    findings, _ = after(Findings(), found, tried=100_000)
    assert all(each.rare for each in findings.findings)
    assert not any(each.rare for each in after(Findings(), found)[0].findings)


def test_the_file_is_read_back_and_the_same_again(found: list[Found], tmp_path: Path) -> None:
    path = tmp_path / "findings.json"
    assert read(path) == Findings()
    findings, _ = after(Findings(), found)
    write(path, findings)
    assert read(path) == findings
    before = path.read_bytes()
    write(path, read(path))
    assert path.read_bytes() == before


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "findings.json"
    for content in (b'{"schema": 7}', b'{"schema": "\xff"}'):
        path.write_bytes(content)
        with pytest.raises(Unusable, match="is no file of findings"):
            read(path)
    with pytest.raises(Unusable, match="cannot write"):
        write(tmp_path / "no" / "folder", Findings())
