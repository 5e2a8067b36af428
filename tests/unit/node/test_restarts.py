"""Table 3 of the guide (domain.md A.10) and its rulings, release by release and profile by profile."""

from collections.abc import Collection

import pytest

from ucmlab.node import rulebook
from ucmlab.node.restarts import AUTHZ, Condition, Reload, Restart, Verb, to_restart
from ucmlab.node.rulebook import PROFILES, Role, RuleBook

RELEASES = RuleBook.load("15").releases
FROM_14 = ("14", "14SU1", "14SU2", "14SU3", "15")
FROM_14SU1 = FROM_14[1:]
BEFORE_14 = tuple(release for release in RELEASES if release not in FROM_14)
DRF = {"Cisco DRF Local", "Cisco DRF Master"}
TOMCATS = {"Cisco Tomcat", "Cisco UDS Tomcat", "Cisco AXL Tomcat", "Cisco AXL Web Service"}
TVS, TFTP, HAPROXY = "Cisco Trust Verification Service", "Cisco Tftp", "Cisco HAProxy"
CAPF_SERVICE = "Cisco Certificate Authority Proxy Function"


def listed(
    rules: RuleBook,
    unit: str,
    verb: Verb = "regenerate",
    *,
    role: Role = "pub",
    changed: bool = True,
    conditions: Collection[Condition] = (),
) -> set[str]:
    """What one node has to restart."""
    named = to_restart(
        rules.restarts(unit, verb),
        services=[service.name for service in rules.services_of(role)],
        changed=changed,
        publisher=role == "pub",
        conditions=conditions,
    )
    assert len(named) == len(set(named))
    return set(named)


def places(rules: RuleBook, unit: str) -> set[str]:
    return {row.nodes for row in rules.restarts(unit, "regenerate")}


def advisories(rules: RuleBook, unit: str, verb: Verb = "regenerate") -> dict[str, Condition | None]:
    return {row.name: row.when for row in rules.advisories(unit, verb)}


# -- the rows themselves


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("release", RELEASES)
def test_every_row_names_units_and_services_that_the_release_has(release: str, profile: str) -> None:
    rules = RuleBook.load(release, profile)
    table = rules.after_change
    for row in (*table.restart, *table.reload, *table.advisory):
        assert set(row.units) <= {*rules.units, AUTHZ}, row
        assert row.when is None or row.when in table.conditions, row
    serving: list[Restart | Reload] = [*table.restart, *table.reload]
    for each in serving:
        assert set(each.services) <= rules.services.keys(), each
    assert all(row.services for row in table.restart)


def test_no_row_names_a_service_or_a_unit_that_no_release_has() -> None:
    books = [RuleBook.load(release, profile) for release in RELEASES for profile in PROFILES]
    services = {service for book in books for service in book.services}
    units = {AUTHZ, *(unit for book in books for unit in book.units)}
    written = rulebook._rules().restarts
    serving: list[Restart | Reload] = [*written.restart, *written.reload]
    for row in serving:
        assert set(row.services) <= services, row
        assert set(row.units) <= units, row


@pytest.mark.rule("R-094", "R-118")
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("release", RELEASES)
def test_every_identity_has_restarts_or_starts_its_service_anew(release: str, profile: str) -> None:
    rules = RuleBook.load(release, profile)
    for unit in [unit.name for unit in rules.units.values() if unit.kind == "identity"]:
        for verb in ("upload", "regenerate"):
            assert rules.restarts(unit, verb) or rules.reloads(unit, verb), (unit, verb)


# -- tomcat


@pytest.mark.rule("R-100", "R-102", "X-14")
@pytest.mark.parametrize("unit", ["tomcat", "tomcat-ECDSA"])
@pytest.mark.parametrize("release", FROM_14)
def test_tomcat_in_the_seed(release: str, unit: str) -> None:
    rules = RuleBook.load(release)
    tftp = {TFTP} if unit == "tomcat" else set()
    assert listed(rules, unit) == TOMCATS | DRF | tftp
    assert listed(rules, unit, role="sub") == (TOMCATS | DRF | tftp) - {"Cisco DRF Master"}
    assert places(rules, unit) == {"changed"}
    assert listed(rules, unit, changed=False) == set()


@pytest.mark.rule("X-14", "A.19")
@pytest.mark.parametrize("release", FROM_14)
def test_tomcat_in_the_english_guide(release: str) -> None:
    rules = RuleBook.load(release, "english")
    lookup = {"Cisco Intercluster Lookup Service", "Cisco Location Bandwidth Manager", "Cisco Extension Mobility"}
    rsa = {"Cisco Tomcat", "Cisco AXL Web Service", TFTP, *lookup}
    assert listed(rules, "tomcat") == (rsa | DRF if release in ("14", "14SU1") else rsa)
    assert listed(rules, "tomcat-ECDSA") == {"Cisco Tomcat", "Cisco UDS Tomcat", "Cisco AXL Web Service", *DRF}


@pytest.mark.rule("X-14")
def test_support_adds_ssosp_where_sso_or_oauth_is_in_use() -> None:
    seed, tac = RuleBook.load("14SU2"), RuleBook.load("14SU2", "tac")
    for unit in ("tomcat", "tomcat-ECDSA"):
        assert listed(tac, unit) == listed(seed, unit)
        assert listed(tac, unit, conditions=["sso_or_oauth"]) == listed(seed, unit) | {"Cisco SSOSP Tomcat"}
        assert listed(seed, unit, conditions=["sso_or_oauth"]) == listed(seed, unit)


@pytest.mark.rule("R-071", "X-14")
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("release", RELEASES)
def test_tftp_is_always_restarted_for_a_tomcat_upload(release: str, profile: str) -> None:
    rules = RuleBook.load(release, profile)
    assert TFTP in listed(rules, "tomcat", "upload")


@pytest.mark.rule("R-150", "R-141")
@pytest.mark.parametrize("release", BEFORE_14)
def test_tomcat_before_14(release: str) -> None:
    rules = RuleBook.load(release)
    assert listed(rules, "tomcat") == {"Cisco Tomcat", TFTP}
    assert listed(rules, "tomcat", role="imp") == {"Cisco Tomcat"}


@pytest.mark.rule("R-099")
@pytest.mark.parametrize("profile", PROFILES)
def test_callmanager_uses_the_tomcat_certificate_with_sip_oauth_only(profile: str) -> None:
    rules = RuleBook.load("14SU2", profile)
    assert "Cisco CallManager" not in listed(rules, "tomcat")
    assert "Cisco CallManager" in listed(rules, "tomcat", conditions=["sip_oauth"])


# -- ipsec


@pytest.mark.rule("R-104")
@pytest.mark.parametrize("release", RELEASES)
def test_ipsec_is_restarted_by_a_command(release: str) -> None:
    rules = RuleBook.load(release)
    assert [row.command for row in rules.restarts("ipsec", "regenerate")] == ["utils ipsec restart"]
    assert listed(rules, "ipsec") == {"IPsec"}


@pytest.mark.rule("B.18")
def test_support_restarts_the_disaster_recovery_after_ipsec_on_all_nodes() -> None:
    rules = RuleBook.load("14SU2", "tac")
    assert listed(rules, "ipsec") == {"IPsec", *DRF}
    assert listed(rules, "ipsec", role="imp", changed=False) == {"Cisco DRF Local"}


# -- CallManager


@pytest.mark.rule("R-106")
@pytest.mark.parametrize("unit", ["CallManager", "CallManager-ECDSA"])
@pytest.mark.parametrize("profile", ["seed", "english"])
def test_callmanager_in_14(profile: str, unit: str) -> None:
    rules = RuleBook.load("14", profile)
    assert listed(rules, unit) == {"Cisco CallManager", "Cisco CTIManager", HAPROXY}


@pytest.mark.rule("R-107", "R-108", "X-07")
@pytest.mark.parametrize("profile", ["seed", "english"])
@pytest.mark.parametrize("release", FROM_14SU1)
def test_callmanager_from_14su1(release: str, profile: str) -> None:
    rules = RuleBook.load(release, profile)
    assert listed(rules, "CallManager") == {HAPROXY}
    assert listed(rules, "CallManager-ECDSA") == {"Cisco CallManager", HAPROXY}


@pytest.mark.rule("X-07")
@pytest.mark.parametrize("release", RELEASES)
def test_support_restarts_more_after_callmanager_and_on_all_nodes(release: str) -> None:
    rules = RuleBook.load(release, "tac")
    expected = {"Cisco CallManager", "Cisco CTIManager", TVS, TFTP, HAPROXY} & rules.services.keys()
    assert listed(rules, "CallManager") == listed(rules, "CallManager", role="sub", changed=False) == expected


@pytest.mark.rule("R-106")
def test_a_release_restarts_nothing_that_it_does_not_have() -> None:
    rules = RuleBook.load("12.0")
    assert HAPROXY not in rules.services
    assert listed(rules, "CallManager") == {"Cisco CallManager", "Cisco CTIManager"}


# -- CAPF, TVS, ITLRecovery


@pytest.mark.rule("R-112", "R-114", "R-120", "X-16")
@pytest.mark.parametrize("profile", ["seed", "english"])
@pytest.mark.parametrize(("unit", "service"), [("TVS", TVS), ("CAPF", CAPF_SERVICE), ("ITLRecovery", TFTP)])
def test_three_start_anew_by_themselves(unit: str, service: str, profile: str) -> None:
    rules = RuleBook.load("14SU2", profile)
    assert listed(rules, unit) == set()
    reloads = [row for row in rules.reloads(unit, "regenerate") if row.what == "certificate"]
    assert [row.services for row in reloads] == [(service,)]


@pytest.mark.rule("R-110")
@pytest.mark.parametrize("profile", ["seed", "english"])
def test_capf_with_sip_oauth_concerns_haproxy(profile: str) -> None:
    rules = RuleBook.load("14SU2", profile)
    assert listed(rules, "CAPF", conditions=["sip_oauth"]) == {HAPROXY}
    assert listed(rules, "CAPF", role="sub", changed=False, conditions=["sip_oauth"]) == {HAPROXY}


@pytest.mark.rule("X-16")
def test_support_restarts_the_three_and_tftp() -> None:
    rules = RuleBook.load("14SU2", "tac")
    assert listed(rules, "CAPF") == {CAPF_SERVICE, TVS, TFTP}
    assert listed(rules, "CAPF", role="sub", changed=False) == {TVS, TFTP}
    assert listed(rules, "TVS") == listed(rules, "ITLRecovery") == {TVS, TFTP}
    assert [row for row in rules.reloads("TVS", "regenerate") if row.what == "certificate"] == []


@pytest.mark.rule("X-16", "B.11")
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("unit", ["CallManager", "TVS", "CAPF", "ITLRecovery"])
def test_tftp_builds_the_itl_anew_in_every_profile(unit: str, profile: str) -> None:
    rules = RuleBook.load("14SU2", profile)
    for verb in ("upload", "regenerate"):
        assert [row.services for row in rules.reloads(unit, verb) if row.what == "itl"] == [(TFTP,)]
    assert rules.reloads("tomcat", "regenerate") == ()


# -- IM and Presence


@pytest.mark.rule("B.7")
def test_im_and_presence() -> None:
    rules = RuleBook.load("14SU2")
    federation = "Cisco XCP XMPP Federation Connection Manager"
    assert listed(rules, "tomcat", role="imp") == {"Cisco Tomcat", "Cisco DRF Local"}
    assert listed(rules, "cup-xmpp", role="imp") == {"Cisco XCP Router"}
    assert listed(rules, "cup-xmpp", role="imp", changed=False) == {"Cisco XCP Router"}
    assert listed(rules, "cup-xmpp-s2s", role="imp") == {federation}
    assert listed(rules, "cup", role="imp") == {"Cisco SIP Proxy", "Cisco Presence Engine"}
    assert listed(rules, "cup-trust", "upload", role="imp") == {"Cisco SIP Proxy"}


# -- the OAuth keys


@pytest.mark.rule("R-137", "X-19")
def test_the_oauth_keys() -> None:
    xcp = {"Cisco XCP Authentication Service"}
    for profile in PROFILES:
        for release in RELEASES:
            assert listed(RuleBook.load(release, profile), AUTHZ, role="imp", changed=False) >= xcp
    assert listed(RuleBook.load("12.5", "english"), AUTHZ, role="sub") == {"Cisco CallManager"}
    assert listed(RuleBook.load("14", "english"), AUTHZ, role="sub") == set()
    tac = RuleBook.load("14SU2", "tac")
    assert listed(tac, AUTHZ, role="sub") == set()
    assert listed(tac, AUTHZ, role="sub", conditions=["key_mismatch"]) == {"Cisco Tomcat"}


# -- trust stores


@pytest.mark.rule("R-118", "R-024", "R-104", "R-201", "R-204")
@pytest.mark.parametrize("verb", ["upload", "delete"])
def test_a_change_of_a_trust_store_concerns_who_reads_it(verb: Verb) -> None:
    rules = RuleBook.load("14SU2")
    assert listed(rules, "tomcat-trust", verb) == {"Cisco Tomcat", "Cisco DirSync"}
    assert listed(rules, "tomcat-trust", verb, role="imp") == {"Cisco Tomcat"}
    assert listed(rules, "CallManager-trust", verb) == {"Cisco CallManager", TFTP, HAPROXY}
    assert listed(rules, "CAPF-trust", verb) == {CAPF_SERVICE}
    assert listed(rules, "ipsec-trust", verb) == {"IPsec", *DRF}
    assert [row.command for row in rules.restarts("ipsec-trust", verb) if row.command] == ["utils ipsec restart"]
    assert rules.restarts("TVS-trust", verb) == rules.restarts("Phone-Edge-trust", verb) == ()


# -- what else is out of date


@pytest.mark.rule("R-095", "R-106", "R-107", "R-108", "R-148")
def test_the_ctl_file_in_mixed_mode() -> None:
    old, new = RuleBook.load("14"), RuleBook.load("14SU1")
    for unit in ("CAPF", "ITLRecovery", "CallManager"):
        assert advisories(old, unit)["ctl_stale"] == advisories(new, unit)["ctl_stale"] == "mixed_mode"
    assert "ctl_stale" in advisories(old, "CallManager-ECDSA")
    assert "ctl_stale" not in advisories(new, "CallManager-ECDSA")
    assert "ctl_stale" not in advisories(new, "TVS")


@pytest.mark.rule("R-101", "R-115", "X-08")
def test_sso_metadata_is_out_of_date_when_the_certificate_that_sso_uses_changes() -> None:
    rules = RuleBook.load("14SU2")
    assert advisories(rules, "tomcat")["sso_metadata_stale"] == "sso_tomcat"
    assert advisories(rules, "ITLRecovery")["sso_metadata_stale"] == "sso_system"
    assert "sso_metadata_stale" not in advisories(rules, "CallManager")


@pytest.mark.rule("R-096")
def test_the_backup_is_out_of_date_after_every_identity() -> None:
    rules = RuleBook.load("14SU2")
    identities = [unit.name for unit in rules.units.values() if unit.kind == "identity"]
    assert all("backup_stale" in advisories(rules, unit) for unit in identities)
    assert advisories(rules, "tomcat-trust", "delete") == {}


@pytest.mark.rule("R-098", "X-20")
def test_phones_are_reset_when_their_itl_changes() -> None:
    rules = RuleBook.load("14SU2")
    resets = {unit: advisories(rules, unit).get("phones_reset", "no") for unit in rules.identities}
    assert {unit for unit, when in resets.items() if when != "no"} == {"TVS", "CAPF", "CallManager"}
    assert resets["CallManager"] == "tftp"


# -- what is said


@pytest.mark.rule("B.9")
def test_an_operator_is_told_in_the_products_words_and_who_is_concerned() -> None:
    rules = RuleBook.load("14SU1")
    assert rules.advise("CallManager", "regenerate") == (
        "You must restart services related to CallManager for the regenerated certificates to become active.",
        "Cisco HAProxy on each node where it changed",
    )
    assert rules.advise("tomcat", "upload")[0] == (
        "Please restart services related to tomcat for the new certificate to become active."
    )
    assert rules.advise("tomcat", "upload")[-1] == (
        "Cisco CallManager on each node where it changed, if SIP OAuth mode is on"
    )
    assert rules.advise("ipsec-trust", "delete")[1:] == (
        "utils ipsec restart on each node where it changed",
        "Cisco DRF Master, Cisco DRF Local on each node where it changed",
    )
    assert RuleBook.load("14SU2", "tac").advise("CAPF", "upload")[2:] == (
        "Cisco Certificate Authority Proxy Function on the publisher",
        "Cisco Trust Verification Service, Cisco Tftp on all nodes",
    )


@pytest.mark.rule("R-112")
def test_nothing_is_said_where_nothing_has_to_be_restarted() -> None:
    rules = RuleBook.load("14SU2")
    assert rules.advise("TVS", "regenerate") == rules.advise("Phone-Edge-trust", "delete") == ()
    assert rules.advise("nothing", "upload") == ()


def test_a_service_is_named_once_however_many_rows_have_it() -> None:
    rows = (
        Restart(rule="ours", units=("a",), services=("X", "Y")),
        Restart(rule="ours", units=("a",), services=("Y", "Z"), nodes="all"),
    )
    assert to_restart(rows, services=["X", "Y", "Z"], changed=True, publisher=False) == ("X", "Y", "Z")
    assert to_restart(rows, services=["Z", "Y"], changed=False, publisher=False) == ("Y", "Z")
