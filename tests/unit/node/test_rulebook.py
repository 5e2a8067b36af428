import re
from itertools import pairwise

import pytest

from ucmlab.node.errors import Refusal
from ucmlab.node.instant import MINUTE, SECOND
from ucmlab.node.rulebook import Role, RuleBook, TrustCopy
from ucmlab.node.trust_rules import product_text

ROLES: tuple[Role, ...] = ("pub", "sub", "tftp", "imp")
RELEASES = RuleBook.load("15").releases
RULE = re.compile(r"ours|([RXC]-\d+|[ABTW]\.?\d+(\.\d+)?|K\d+)")


def roles(**nodes: Role) -> dict[str, Role]:
    return nodes


@pytest.fixture
def rules() -> RuleBook:
    return RuleBook.load("14SU2")


def test_releases_are_in_order() -> None:
    assert RELEASES == ("10.5", "11.0", "11.5", "12.0", "12.5", "14", "14SU1", "14SU2", "14SU3", "15")


def test_a_release_is_at_least_itself_and_its_predecessors(rules: RuleBook) -> None:
    assert rules.release_at_least("14SU2")
    assert rules.release_at_least("14SU1")
    assert not rules.release_at_least("14SU3")


@pytest.mark.parametrize(("release", "profile"), [("9.1", "seed"), ("14", "cisco")])
def test_an_unknown_release_or_profile_names_those_that_there_are(release: str, profile: str) -> None:
    with pytest.raises(ValueError, match=r"is no known (release|profile); there are .*(14SU1|english)"):
        RuleBook.load(release, profile)


@pytest.mark.parametrize("release", RELEASES)
def test_every_row_names_its_rule_and_refers_to_what_exists(release: str) -> None:
    rules = RuleBook.load(release)
    rows = [*rules.units.values(), *rules.identities.values(), *rules.services.values(), *rules.features.values()]
    table = rules.after_change
    rows += [rules.display, *table.advice, *table.restart, *table.reload, *table.advisory]
    assert [row.rule for row in rows if not all(RULE.fullmatch(part) for part in row.rule.split())] == []
    for unit in rules.units.values():
        assert {*unit.copied_to, *filter(None, [unit.verified_by])} <= rules.units.keys()
    for profile in rules.identities.values():
        assert {profile.unit, *(copy.unit for copy in profile.copies)} <= rules.units.keys()
        assert {*profile.roles, *profile.distributed_to} == set(rules.units[profile.unit].roles)


@pytest.mark.parametrize("release", RELEASES)
def test_every_identity_unit_has_a_profile(release: str) -> None:
    rules = RuleBook.load(release)
    assert {unit.name for unit in rules.units.values() if unit.kind == "identity"} == rules.identities.keys()


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("role", ROLES)
def test_services_load_identities_that_their_nodes_may_have(release: str, role: Role) -> None:
    rules = RuleBook.load(release)
    known = {unit.name for unit in rules.units_of(role)}
    for service in rules.services_of(role):
        assert set(service.loads) <= known


@pytest.mark.parametrize("release", RELEASES)
def test_no_two_units_share_a_path(release: str) -> None:
    units = RuleBook.load(release).units.values()
    paths = [unit.certificate_file if unit.kind == "identity" else unit.trust_folder for unit in units]
    paths += [unit.key_file for unit in units if unit.kind == "identity"]
    assert len(paths) == len(set(paths))


@pytest.mark.rule("B.5")
def test_paths_are_those_of_the_product(rules: RuleBook) -> None:
    assert rules.units["tomcat"].certificate_file == "usr/local/platform/.security/tomcat/certs/tomcat.pem"
    assert rules.units["CallManager-trust"].trust_folder == "usr/local/cm/.security/CallManager/trust-certs"
    assert rules.units["cup-xmpp-s2s"].certificate_file == "usr/local/sip/.security/xmpp-s2s/certs/cup-xmpp-s2s.pem"


@pytest.mark.rule("R-022", "R-023")
def test_exactly_three_units_replicate(rules: RuleBook) -> None:
    replicated = {unit.name for unit in rules.units.values() if unit.replicated}
    assert replicated == {"tomcat-trust", "CallManager-trust", "Phone-SAST-trust"}
    assert {unit.name for unit in rules.units_of("imp") if unit.replicated} == {"tomcat-trust"}


@pytest.mark.rule("R-080", "R-081", "X-04")
def test_four_units_are_deleted_in_the_whole_cluster(rules: RuleBook) -> None:
    reach = {unit.name for unit in rules.units.values() if unit.delete_reach("faithful") == "cluster"}
    assert reach == {"CAPF-trust", "tomcat-trust", "CallManager-trust", "Phone-SAST-trust"}


@pytest.mark.rule("X-09")
def test_a_delete_reaches_one_node_below_release_11(rules: RuleBook) -> None:
    assert RuleBook.load("10.5").release.replication == "legacy"
    assert RuleBook.load("11.0").release.replication == "faithful"
    assert {unit.delete_reach("legacy") for unit in rules.units.values()} == {"node"}


@pytest.mark.rule("R-030", "R-072", "R-082")
def test_capf_and_phone_edge_trust_are_the_publishers(rules: RuleBook) -> None:
    assert "upload" in rules.units["CAPF"].publisher_only
    assert rules.units["Phone-Edge-trust"].publisher_only == ("upload", "delete")
    assert rules.units["tomcat-trust"].publisher_only == ()


@pytest.mark.rule("R-019")
def test_a_capf_root_is_copied_to_callmanager_trust(rules: RuleBook) -> None:
    assert rules.units["CAPF-trust"].copied_to == ("CallManager-trust",)


@pytest.mark.rule("B.1")
@pytest.mark.parametrize(("role", "number"), [("pub", 8), ("sub", 6), ("tftp", 6), ("imp", 9)])
def test_identities_made_by_role(rules: RuleBook, role: Role, number: int) -> None:
    # 8 + 7 + 7 were seen on a live cluster: a subscriber's seventh is its copy of ITLRecovery.
    assert len(rules.identity_profiles(role)) == number
    copies = [profile.unit for profile in rules.identities.values() if role in profile.distributed_to]
    assert copies == (["ITLRecovery"] if role in ("sub", "tftp") else [])


@pytest.mark.rule("A.19")
@pytest.mark.parametrize("release", RELEASES)
def test_capf_is_on_subscribers_below_release_14(release: str) -> None:
    rules = RuleBook.load(release)
    assert (
        ("sub" in rules.units["CAPF"].roles) == rules.release.capf_on_subscribers == (not rules.release_at_least("14"))
    )


@pytest.mark.rule("X-01")
def test_capf_authenticates_clients_from_release_14_and_is_always_a_ca() -> None:
    before, after = RuleBook.load("12.5").identities["CAPF"], RuleBook.load("14").identities["CAPF"]
    assert (before.extended_key_usage, after.extended_key_usage) == (("server",), ("server", "client"))
    assert before.ca
    assert after.ca


@pytest.mark.rule("B.18")
def test_the_publishers_ipsec_certificate_is_trusted_by_all_cucm_nodes(rules: RuleBook) -> None:
    ipsec = rules.identities["ipsec"]
    assert ipsec.copies_made_on("pub") == (TrustCopy("ipsec-trust", "cucm", ("pub",)),)
    assert [copy.holders for copy in ipsec.copies_made_on("sub")] == ["self"]


@pytest.mark.rule("B.4", "A.22")
@pytest.mark.parametrize("release", RELEASES)
def test_certificates_last_five_years_and_itlrecovery_twenty_in_one_release(release: str) -> None:
    years = {name: profile.years for name, profile in RuleBook.load(release).identities.items()}
    assert years.pop("ITLRecovery") == (20 if release == "12.5" else 5)
    assert set(years.values()) == {5}


@pytest.mark.rule("A.19", "R-053", "R-121")
@pytest.mark.parametrize(
    ("feature", "offering"),
    [
        ("usage_filter", RELEASES[5:]),
        ("multi_san_by_cli", RELEASES[:7]),
        ("multi_server_self_signed", RELEASES[5:]),
        ("reuse_certificate", RELEASES[5:]),
        ("itl_signed_by_itlrecovery", RELEASES[3:]),
        ("ctl_client", RELEASES[:5]),
        ("ctl_tokens", RELEASES[:8]),
        ("crl_download", RELEASES[8:]),
        ("expired_trust_dropped_at_upgrade", RELEASES[7:]),
    ],
)
def test_what_a_release_offers(feature: str, offering: tuple[str, ...]) -> None:
    assert tuple(release for release in RELEASES if RuleBook.load(release).offers(feature)) == offering


def test_every_feature_is_looked_at_above(rules: RuleBook) -> None:
    assert len(rules.features) == 9
    with pytest.raises(KeyError, match="teapots"):
        rules.offers("teapots")


@pytest.mark.rule("R-053")
def test_what_a_release_does_not_offer_is_refused(rules: RuleBook) -> None:
    rules.require("usage_filter")
    with pytest.raises(Refusal, match=r"^release: the filter Usage comes with release 14$"):
        RuleBook.load("12.5").require("usage_filter")


@pytest.mark.rule("R-056", "X-18", "B.5")
@pytest.mark.parametrize("release", RELEASES)
def test_how_a_certificate_is_shown(release: str) -> None:
    rules = RuleBook.load(release)
    new, old = rules.release_at_least("14SU2"), not rules.release_at_least("11.0")
    assert rules.display.layout == ("bcfips" if new else "jdk")
    assert rules.display.serial == ("decimal" if new or old else "hex")
    assert rules.display.shows_identifiers is new


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (roles(pub="pub"), {"pub"}),
        (roles(pub="pub", sub1="sub", sub2="sub", imp1="imp"), {"pub", "sub1"}),
        (roles(pub="pub", sub1="sub", tftp1="tftp", tftp2="tftp"), {"pub", "tftp1", "tftp2"}),
    ],
)
def test_tftp_runs_on_publisher_and_tftp_nodes_or_the_first_subscriber(
    rules: RuleBook, cluster: dict[str, Role], expected: set[str]
) -> None:
    assert {node for node in cluster if "Cisco Tftp" in rules.activated(node, cluster)} == expected


def test_network_services_always_run(rules: RuleBook) -> None:
    cluster = roles(pub="pub", sub1="sub", imp1="imp")
    for node, role in cluster.items():
        network = {service.name for service in rules.services_of(role) if service.kind == "network"}
        assert network <= rules.activated(node, cluster)
    assert "Cisco CallManager" in rules.activated("sub1", cluster)
    assert "Cisco CallManager" not in rules.activated("imp1", cluster)


@pytest.mark.rule("B.12", "B.18")
def test_some_services_are_on_the_publisher_alone(rules: RuleBook) -> None:
    for name in ("Cisco DRF Master", "Cisco Certificate Authority Proxy Function"):
        assert rules.services[name].roles == ("pub",)


@pytest.mark.rule("R-071")
def test_tftp_keeps_a_tomcat_certificate_of_its_own(rules: RuleBook) -> None:
    assert "tomcat" in rules.services["Cisco Tftp"].loads


def test_services_that_carry_the_node_cannot_be_stopped(rules: RuleBook) -> None:
    assert not rules.services["A Cisco DB"].can_stop
    assert rules.services["Cisco Tomcat"].can_stop


@pytest.mark.rule("B.10")
def test_refusals_speak_as_the_product_does(rules: RuleBook) -> None:
    missing = rules.refusal_text("csr_missing", folder=rules.units["tomcat"].folder, unit="tomcat")
    assert missing == "File /usr/local/platform/.security/tomcat/keys/tomcat.csr does not exist"
    assert rules.refusal_text("chain_incomplete") == "CA certificate is not available in the trust-store"


def test_an_unknown_reason_is_our_mistake(rules: RuleBook) -> None:
    with pytest.raises(KeyError, match="bad_luck"):
        rules.refusal_text("bad_luck")


@pytest.mark.parametrize("reason", sorted(RuleBook.load("14SU2").refusals.keys() - {"node_down"}))
def test_a_node_has_words_for_every_refusal(rules: RuleBook, reason: str) -> None:
    assert product_text(rules, reason, "tomcat", "what exactly").strip()


def test_every_reason_word_of_the_contract_has_a_text(rules: RuleBook) -> None:
    words = """empty format private_key trailing_data too_large key_over_4096 key_type key_length wildcard expired
        not_yet_valid signature_algorithm wrong_purpose csr_missing key_mismatch san_mismatch chain_incomplete
        same_cn_older_start already_present not_found not_a_default_ca not_deletable not_regenerable publisher_only
        publisher_unreachable node_down multi_san_by_cli release not_confirmed permission
        service_failed hash_algorithm alternative_name common_name extension_missing validity parameter_value signature
        not_activated dependency service_stopped parameter_place
        revoked revocation_unknown revocation_unavailable
        release_unknown release_not_later release_mismatch publisher_first upgrade_needs_publisher"""
    assert rules.refusals.keys() == set(words.split())


@pytest.mark.rule("A.22")
def test_delays(rules: RuleBook) -> None:
    instant, product = rules.timings["instant"], rules.timings["product"]
    tomcat = rules.services["Cisco Tomcat"]
    assert (instant.row_replication, instant.change_notification, instant.start(tomcat)) == ((0, 0), (0, 0), (0, 0))
    assert product.row_replication == (SECOND, 5 * SECOND)
    assert product.change_notification == (5 * SECOND, 30 * SECOND)
    assert product.start(tomcat) == (tomcat.start_s[0] * SECOND, tomcat.start_s[1] * SECOND)
    assert instant.resync == product.resync == 30 * MINUTE


@pytest.mark.rule("B.5")
def test_trust_files_carry_serials_from_14su1() -> None:
    styles = [RuleBook.load(release).release.trust_file_names for release in RELEASES]
    assert styles == sorted(styles)
    assert RuleBook.load("14").release.trust_file_names == "cn"
    assert RuleBook.load("14SU1").release.trust_file_names == "cn_serial"


def test_a_gate_never_leaves_a_gap_in_the_services() -> None:
    for earlier, later in pairwise(RELEASES):
        assert RuleBook.load(earlier).services.keys() <= RuleBook.load(later).services.keys()
