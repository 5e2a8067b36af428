"""Every story of the library in virtual time: it holds whatever the seed, and one seed tells it in one way."""

from pathlib import Path

import pytest

from ucmlab.scenarios.labs import run_story
from ucmlab.scenarios.loading import library_names, library_story
from ucmlab.scenarios.result import Options, Result
from ucmlab.scenarios.telling import Check

PROVES = {
    "broker_killed_mid_replication": ("R-022",),
    "ca_changed_the_san": ("C-43", "B.10"),
    "callmanager_restarts_in_14": ("C-20", "R-106"),
    "callmanager_restarts_in_14su1": ("C-20", "R-107", "R-108", "X-07"),
    "capf_trust_delete_reaches_publisher": ("C-11", "R-080", "R-083", "X-04"),
    "capf_trust_stays_local": ("C-10", "R-083", "R-019", "X-04"),
    "chain_out_of_order": ("C-42", "R-012", "R-013", "R-014", "R-064", "X-12"),
    "change_notification_stopped": ("C-05", "B.6"),
    "client_authentication_withdrawn": ("C-52",),
    "csr_regenerated_after_it_was_sent": ("C-40", "R-151"),
    "database_replication_broken": ("C-06", "B.6"),
    "deleted_certificate_comes_back": ("C-01", "X-09", "B.6"),
    "deleted_while_a_node_was_down": ("X-09", "R-078", "B.6"),
    "deleting_what_may_not_be_deleted": ("C-47", "R-073", "R-074", "R-086", "X-11"),
    "demo": ("R-022", "R-080"),
    "ec_ciphers_one_node_forgotten": ("C-21", "R-008", "R-009", "R-010"),
    "edited_and_not_saved": ("R-206",),
    "expiry_monitoring_cadence": ("C-54", "R-085", "R-181", "R-182", "R-183", "R-184"),
    "four_bad_files": ("C-45", "B.10"),
    "intermediate_deleted_while_in_use": ("C-48", "R-075", "R-076", "R-078", "R-080"),
    "ipsec_trust_is_local": ("C-15", "R-023", "R-081", "R-104"),
    "killed_between_file_and_database": ("B.6",),
    "partial_restart_after_multi_server": ("C-19",),
    "partition_with_writes_on_both_sides": ("R-022", "B.6"),
    "killed_while_an_identity_is_installed": ("R-020", "R-021", "B.6"),
    "leaf_without_a_csr": ("C-41", "R-020", "R-029"),
    "link_outlives_its_certificate": ("C-59", "R-192", "R-193"),
    "mic_roots_leave_callmanager_trust": ("B.2", "R-080"),
    "multi_san_by_command_line": ("C-49", "R-121"),
    "node_misses_the_multi_server_request": ("C-50", "B.8"),
    "older_ca_of_the_same_name": ("C-46", "B.10"),
    "one_certificate_for_the_cluster": ("R-044", "B.8"),
    "paused_node": ("R-022",),
    "publisher_down": ("C-08", "R-072", "R-130", "B.6"),
    "publisher_killed_after_append": ("R-022",),
    "responder_down_in_common_criteria_mode": ("C-57", "R-164", "R-166", "R-170"),
    "restart_takes_a_while": ("R-150", "R-155", "R-157"),
    "revoked_on_upload": ("R-159", "R-168", "R-186"),
    "scheduled_check_without_a_responder": ("R-164", "R-190", "R-191"),
    "secure_directory_sync": ("R-024",),
    "service_stopped_over_the_bus": (),
    "subscriber_down_during_upload": ("C-04", "R-022"),
    "tftp_serves_the_old_certificate": ("C-18", "R-071"),
    "trunk_fails_from_one_node": ("C-05",),
    "upgrade_drops_expired_trust": ("C-60", "B.19", "A.19"),
    "upload_without_restart": ("C-16", "R-141"),
}
"""The library, and what of the rule book each story proves."""
ZOMBIES = {"deleted_while_a_node_was_down", "deleted_certificate_comes_back"}
"""What the ideal policy does not do."""
SEEDS = (1, 2, 3)

stories = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.rule(rule) for rule in rules]) for name, rules in PROVES.items()]
)


def run(name: str, *, seed: int = 1, replication: str | None = None, report: Path | None = None) -> Result:
    options = Options(seed=seed, replication=replication, report=str(report) if report else None)
    return run_story(library_story(name), options, lambda _entry, _began: None)


def failures(result: Result) -> list[str]:
    return [entry.text for entry in result.entries if isinstance(entry, Check) and not entry.held]


def test_every_story_says_what_it_proves() -> None:
    assert sorted(PROVES) == library_names()


@stories
def test_it_holds_whatever_the_seed_and_ends_in_the_same_state(name: str) -> None:
    results = [run(name, seed=seed) for seed in SEEDS]
    assert [(result.verdict, result.trouble, failures(result)) for result in results] == [("held", None, [])] * len(
        SEEDS
    )
    assert len({result.digest for result in results}) == 1


@stories
def test_the_same_seed_tells_it_byte_for_byte(name: str, tmp_path: Path) -> None:
    first, second = (run(name, report=tmp_path / turn) for turn in ("first", "second"))
    journals = [(tmp_path / turn / name / "journal.jsonl").read_bytes() for turn in ("first", "second")]
    assert journals[0] == journals[1]
    assert first.json() == second.json()


@pytest.mark.rule("X-09")
def test_a_cluster_that_remembers_deletions_has_no_zombie() -> None:
    result = run("deleted_while_a_node_was_down", replication="modern")
    assert result.verdict == "failed"
    assert failures(result) == ["the deleted certificate is on every node again"]


@pytest.mark.rule("X-09")
def test_before_11_a_delete_does_not_reach_everyone() -> None:
    assert run("demo", replication="legacy").verdict == "failed"


@pytest.mark.rule("B.6")
@pytest.mark.parametrize("name", sorted(PROVES.keys() - ZOMBIES))
def test_the_other_stories_hold_in_the_ideal_policy_as_well(name: str) -> None:
    assert run(name, replication="modern").verdict == "held"
