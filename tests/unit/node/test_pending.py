"""What services run on after a change: by release and profile, until each is restarted (A.10, X-07, C-16, C-20)."""

import pytest

from tests.playbook import LogBook, Playbook, config, row
from tests.unit.node.rule_tables import books
from tests.unit.node.test_services import order, up
from ucmlab.broker.messages import ServiceReport
from ucmlab.node.commands import LayDown, TakeUp
from ucmlab.node.events import DiskImage, IdentityMade, Upload
from ucmlab.node.loading import EC_CIPHERS
from ucmlab.node.rule_rows import Profile

TFTP, CALLMANAGER, CTI = "Cisco Tftp", "Cisco CallManager", "Cisco CTIManager"
TOMCAT, AXL, UXL, HAPROXY = "Cisco Tomcat", "Cisco AXL Web Service", "Cisco UXL Web Service", "Cisco HAProxy"
TVS = "Cisco Trust Verification Service"
UNITS = ("tomcat", "tomcat-ECDSA", "CallManager", "CallManager-ECDSA", "TVS", "ipsec", "ITLRecovery")


def node(release: str = "14SU2", profile: Profile = "seed", *, name: str = "sub1") -> Playbook:
    identities = {unit: row(f"{unit} of {name}").der for unit in UNITS}
    image = DiskImage(boot=0, installed=True, replica=LogBook().image(), identities=identities)
    return Playbook(config(name, release=release, profile=profile), image=image).up()


def renew(book: Playbook, unit: str) -> str:
    """Regenerate; the new fingerprint."""
    new = row(f"{unit} of sub1", days=10)
    book.does(IdentityMade(unit, new.der, "op-renew"))
    return new.fingerprint


def pending(book: Playbook) -> dict[str, tuple[str, ...]]:
    return {name: each.pending for name, each in book.core.status().services.items() if each.pending}


def loaded(book: Playbook, service: str) -> dict[str, str]:
    return book.core.status().services[service].loaded


@pytest.mark.rule("R-106", "R-107", "R-108", "X-07", "C-20")
@pytest.mark.parametrize(
    ("release", "profile", "unit", "services"),
    [
        ("14", "seed", "CallManager", {CALLMANAGER, CTI, HAPROXY}),
        ("14SU1", "seed", "CallManager", {HAPROXY}),
        ("14SU1", "seed", "CallManager-ECDSA", {HAPROXY, CALLMANAGER}),
        ("14SU1", "tac", "CallManager", {CALLMANAGER, CTI, HAPROXY, TVS, TFTP}),
    ],
)
def test_who_is_to_be_restarted_for_callmanager(release: str, profile: Profile, unit: str, services: set[str]) -> None:
    sub = node(release, profile)
    renew(sub, unit)
    assert pending(sub) == dict.fromkeys(services, (unit,))


@pytest.mark.rule("X-07", "C-20")
def test_who_uses_it_and_is_not_in_the_table_takes_it_up_at_once() -> None:
    sub = node("14SU1")
    new = renew(sub, "CallManager")
    assert {loaded(sub, name)["CallManager"] for name in (CALLMANAGER, CTI, TFTP)} == {new}
    assert loaded(sub, HAPROXY)["CallManager"] != new


@pytest.mark.rule("R-100", "R-102", "R-118")
@pytest.mark.parametrize(
    ("release", "profile", "unit"),
    [
        (release, profile, unit)
        for release, profile, book in books()
        for unit in ("tomcat", "tomcat-ECDSA", "CallManager", "TVS", "ipsec")
        if unit in book.units  # the others: test_restart_evidence.py
    ],
)
def test_each_of_the_table_stays_on_the_old_one_until_it_is_restarted(
    release: str, profile: Profile, unit: str
) -> None:
    sub = node(release, profile)
    old = {name: loaded(sub, name).get(unit) for name in sub.core.services.states()}
    new = renew(sub, unit)
    for number, name in enumerate(pending(sub)):
        if name not in pending(sub):
            continue  # it stands on one that was restarted, and was taken along
        assert loaded(sub, name).get(unit) == old[name]
        order(sub, f"op-{number}", "restart", name)
        assert name not in pending(sub)
        assert loaded(sub, name).get(unit) in (new, None)
    assert pending(sub) == {}
    assert {found for name in old if (found := loaded(sub, name).get(unit)) is not None} == {new}


@pytest.mark.rule("R-112", "R-120", "X-16")
def test_tvs_takes_up_its_certificate_by_itself_and_says_so() -> None:
    sub = node()
    new = renew(sub, "TVS")
    assert (loaded(sub, TVS), pending(sub)) == ({"TVS": new}, {})
    assert [(fact.fields["service"], fact.fields["unit"]) for fact in sub.records("auto_restart")] == [(TVS, "TVS")]


@pytest.mark.rule("X-16")
def test_support_has_it_restarted_all_the_same() -> None:
    sub = node("14SU2", "tac")
    new = renew(sub, "TVS")
    assert pending(sub) == {TVS: ("TVS",), TFTP: ("TVS",)}
    assert loaded(sub, TVS) != {"TVS": new}


@pytest.mark.rule("R-071", "C-18")
def test_tftp_keeps_the_tomcat_certificate_that_it_has_cached() -> None:
    sub = node()
    new = renew(sub, "tomcat")
    order(sub, "op-1", "restart", TOMCAT)
    assert (loaded(sub, TOMCAT)["tomcat"], loaded(sub, TFTP)["tomcat"]) == (new, row("tomcat of sub1").fingerprint)
    order(sub, "op-2", "restart", TFTP)
    assert loaded(sub, TFTP)["tomcat"] == new


@pytest.mark.rule("R-118")
@pytest.mark.parametrize("unit", ["tomcat-trust", "CallManager-trust"])
def test_a_trust_certificate_that_comes_or_goes_is_pending_for_who_reads_the_store(unit: str) -> None:
    sub = node()
    readers = {"tomcat-trust": {TOMCAT}, "CallManager-trust": {CALLMANAGER, TFTP, HAPROXY}}[unit]
    sub.does(Upload("op-1", unit, row("Corp Root CA").der))
    assert pending(sub) == dict.fromkeys(readers, (unit,))
    order(sub, "op-2", "restart", TOMCAT)
    assert set(pending(sub)) == readers - {TOMCAT}


@pytest.mark.rule("R-010", "R-009")
def test_https_ciphers_changes_nothing_until_tomcat_is_restarted() -> None:
    sub = node()
    order(sub, "op-0", "restart", TOMCAT)

    def shown() -> set[str]:
        taken = [each for each in sub.all(TakeUp) if each.service == TOMCAT][-1]
        return set(taken.loaded.endpoints()[0].chains)

    assert shown() == {"tomcat"}
    sub.core.context.set_parameters["cucm", "HTTPS Ciphers"] = EC_CIPHERS
    sub.core.services.parameter_changed("HTTPS Ciphers")
    assert (pending(sub), shown()) == ({TOMCAT: ("HTTPS Ciphers",)}, {"tomcat"})
    order(sub, "op-1", "restart", TOMCAT)
    assert (pending(sub), shown()) == ({}, {"tomcat", "tomcat-ECDSA"})


@pytest.mark.rule("R-099", "R-110", "B.14")
def test_sip_oauth_makes_callmanager_use_the_tomcat_certificate() -> None:
    sub = node()
    renew(sub, "tomcat")
    assert CALLMANAGER not in pending(sub)
    sub.core.context.set_parameters["cluster", "SIP OAuth Mode"] = "true"
    sub.core.services.parameter_changed("SIP OAuth Mode")
    order(sub, "op-1", "restart", CALLMANAGER)
    taken = [each for each in sub.all(TakeUp) if each.service == CALLMANAGER][-1]
    assert {each.port: set(each.chains) for each in taken.loaded.endpoints()} == {
        5061: {"CallManager", "CallManager-ECDSA"},
        5090: {"tomcat"},
        5091: {"tomcat"},
    }
    sub.does(IdentityMade("tomcat", row("tomcat of sub1", days=20).der, "op-again"))
    assert pending(sub)[CALLMANAGER] == ("tomcat",)


@pytest.mark.rule("R-156")
def test_a_feature_service_that_is_not_activated_cannot_be_started() -> None:
    sub = up()
    service = "Cisco Extension Mobility"
    assert sub.core.services.states()[service] == "not activated"
    order(sub, "op-1", "start", service)
    assert sub.core.services.states()[service] == "not activated"
    assert sub.said(ServiceReport)[-1].text == f"Service Not Activated: enable {service} first"
    order(sub, "op-2", "enable", service)
    assert sub.core.services.states()[service] == "stopped"
    order(sub, "op-3", "start", service)
    assert sub.core.services.states()[service] == "started"


def test_what_stands_on_a_service_goes_down_and_comes_up_with_it() -> None:
    sub = up()
    order(sub, "op-1", "stop", TOMCAT)
    found = sub.core.status().services
    assert {(found[name].state, found[name].reason) for name in (AXL, UXL)} == {("stopped", "dependency")}
    assert (found[TOMCAT].state, found[TOMCAT].reason) == ("stopped", "ordered")
    order(sub, "op-2", "start", AXL)
    assert sub.said(ServiceReport)[-1].text.endswith("Cisco AXL Web Service needs Cisco Tomcat, which is not started")
    order(sub, "op-3", "start", TOMCAT)
    assert {sub.core.services.states()[name] for name in (TOMCAT, AXL, UXL)} == {"started"}


def test_what_was_stopped_before_does_not_come_up_with_it() -> None:
    sub = up()
    order(sub, "op-1", "stop", AXL)
    order(sub, "op-2", "restart", TOMCAT)
    assert (sub.core.services.states()[AXL], sub.core.services.states()[UXL]) == ("stopped", "started")


def test_a_service_that_goes_down_without_an_order_is_told_to_who_watches() -> None:
    sub = up()
    order(sub, "op-1", "restart", TOMCAT)
    assert [each.state for each in sub.said(ServiceReport) if each.service == AXL] == ["stopped", "starting", "started"]


@pytest.mark.rule("R-155")
def test_a_service_that_stops_closes_its_listeners_and_opens_them_with_what_it_loads_then() -> None:
    sub = node()
    new = row("tomcat of sub1", days=10)
    sub.does(IdentityMade("tomcat", new.der, "op-renew"))
    sub.commands.clear()
    order(sub, "op-1", "restart", TOMCAT)
    wanted = [each for each in sub.commands if isinstance(each, (LayDown, TakeUp)) and each.service == TOMCAT]
    assert [type(each) for each in wanted] == [LayDown, TakeUp]
    taken = wanted[1]
    assert isinstance(taken, TakeUp)
    assert [(each.port, each.chains) for each in taken.loaded.endpoints()] == [
        (443, {"tomcat": (new.der,)}),
        (8443, {"tomcat": (new.der,)}),
    ]


@pytest.mark.rule("R-118", "R-104")
def test_what_a_boot_itself_puts_in_place_is_what_the_services_load() -> None:
    partner = row("Partner CA", "ipsec-trust", holders=("sub1",))
    identities = {unit: row(f"{unit} of sub1").der for unit in UNITS}
    image = DiskImage(boot=0, installed=True, replica=LogBook(rows=(partner,)).image(), identities=identities)
    sub = Playbook(config("sub1"), image=image).up()
    assert sub.files("ipsec-trust") == [partner.fingerprint]
    assert pending(sub) == {}
    loaded_copy = sub.core.services.loaded("IPsec")
    assert loaded_copy is not None
    assert loaded_copy.trusted["ipsec-trust"] == (partner.der,)
