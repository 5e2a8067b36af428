"""The table of what shows a service's restart, held against the rules: no row of any restart table is left out."""

import pytest

from tests.restart_evidence import Evidence, Kind, absent, evidence, pairs
from tests.unit.node.rule_tables import PROFILES, RELEASES, books
from ucmlab.node.restarts import AUTHZ, Restart
from ucmlab.node.rulebook import RuleBook


def by_the_rules(book: RuleBook, row: Restart, unit: str, service: str) -> Evidence:
    """What there is to see of a pair, as listeners, services and conditions say."""
    condition = book.after_change.conditions[row.when] if row.when else None
    if condition is not None and not (condition.parameter or condition.service):
        return Evidence("never")
    listeners = book.listeners_of.get(service, ())
    kinds: dict[Kind, frozenset[int]] = {
        "wire": frozenset(each.port for each in listeners if unit in each.presents),
        "peers": frozenset(each.port for each in listeners if unit in each.trusts),
    }
    shown = next((kind for kind, ports in kinds.items() if ports), None)
    if shown is not None:
        return Evidence(shown, kinds[shown])
    return Evidence("loaded" if unit in book.services[service].loads else "pending")


@pytest.mark.rule("R-118", "R-100", "R-102", "R-106", "R-107", "R-108", "X-07", "X-14")
def test_every_row_of_every_restart_table_says_how_its_restart_is_seen() -> None:
    used: set[tuple[str, str]] = set()
    for release, profile, book in books():
        known = evidence(release)
        for row in book.after_change.restart:
            named = [(unit, service) for unit in row.units for service in row.services]
            expected = {pair: by_the_rules(book, row, *pair) for pair in named}
            assert {pair: known.get(pair) for pair in named} == expected, (release, profile, row)
            used.update(named)
    assert used == {pair for release in RELEASES for pair in evidence(release)}


@pytest.mark.rule("R-007", "R-024", "R-100", "X-14")
@pytest.mark.parametrize("release", RELEASES)
def test_what_a_release_has_no_rows_for_it_does_not_have(release: str) -> None:
    book = RuleBook.load(release)
    there = {*book.units, *book.services, AUTHZ}
    everywhere = {name for each in RELEASES for pair in evidence(each) for name in pair}
    assert everywhere - there == absent(release)
    for profile in PROFILES:
        rows = RuleBook.load(release, profile).after_change.restart
        assert absent(release).isdisjoint(name for row in rows for name in (*row.units, *row.services))


@pytest.mark.parametrize("release", RELEASES)
def test_no_pair_is_seen_in_two_ways(release: str) -> None:
    assert len(list(pairs(release))) == len(evidence(release))
