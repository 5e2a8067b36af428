"""Who depends on a certificate of a trust store, and whose chain breaks without it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.node.authorities import Authority, issue, usage, version_1
from tests.unit.node.certificate_factory import END, START
from ucmlab.node.certificates import Certificate
from ucmlab.node.chains import complete
from ucmlab.node.dependants import Held, broken_without, concerned, dependants
from ucmlab.node.instant import SECOND, from_datetime
from ucmlab.node.rulebook import RuleBook

NOW = from_datetime(START) + SECOND
STORE = "tomcat-trust"
RULES = RuleBook.load("14SU2")

ROOT = issue("Corp Root CA", 1)
POLICY = issue("Corp Policy CA", 2, ROOT)
ISSUING = issue("Corp Issuing CA", 3, POLICY)
LEAF = issue("pub.lab.test", 4, ISSUING, ca=False)
OTHER = issue("Other Root CA", 5)
NAMESAKE = issue("Corp Issuing CA", 6, POLICY)
"""Of the same name and issuer, with another key."""


def held(*authorities: Authority, unit: str = STORE) -> list[Held]:
    return [Held(unit, each.certificate) for each in authorities]


def names(found: tuple[Held, ...]) -> list[tuple[str, str]]:
    return [(each.unit, each.name) for each in found]


def below(gone: Authority, *there: Held) -> list[tuple[str, str]]:
    return names(dependants([gone.certificate], STORE, concerned(RULES, STORE, there)))


def broken(gone: Authority, *there: Held, wall: int = NOW) -> list[tuple[str, str]]:
    return names(broken_without([gone.certificate], STORE, concerned(RULES, STORE, there), wall=wall))


CHAIN = held(ROOT, POLICY, ISSUING, LEAF, OTHER)
TOMCAT = Held("tomcat", LEAF.certificate)


@pytest.mark.rule("R-076")
def test_all_that_is_below_depends_on_it_nearest_first() -> None:
    trust = [(STORE, name) for name in ("Corp Policy CA", "Corp Issuing CA", "pub.lab.test")]
    assert below(ROOT, *CHAIN) == trust
    assert below(ISSUING, *CHAIN) == trust[2:]
    assert below(LEAF, *CHAIN) == below(OTHER, *CHAIN) == []


@pytest.mark.rule("R-076")
def test_identities_that_the_store_verifies_depend_on_it_and_others_do_not() -> None:
    there = [*held(ROOT, POLICY, ISSUING), TOMCAT, *held(LEAF, unit="CallManager"), *held(LEAF, unit="ipsec-trust")]
    assert below(ISSUING, *there) == broken(ISSUING, *there) == [("tomcat", "pub.lab.test")]


def test_every_identity_is_sought_where_its_unit_says() -> None:
    for unit in [unit for unit in RULES.units.values() if unit.kind == "identity"]:
        there = concerned(RULES, unit.verified_by, [*held(LEAF, unit=unit.name), *held(ROOT, unit="Phone-Edge-trust")])
        assert [each.unit for each in there] == [unit.name]


def test_a_namesake_with_another_key_is_nobodys_issuer() -> None:
    assert below(NAMESAKE, *CHAIN, *held(NAMESAKE)) == []
    nameless = issue("Corp Issuing CA", 6, POLICY, key_ids=False)
    orphan = issue("pub.lab.test", 4, ISSUING, ca=False, key_ids=False)
    assert below(nameless, *held(nameless, orphan)) == []  # by the signature alone


def test_who_may_not_issue_has_nobody_below() -> None:
    no_ca = issue("Corp Root CA", 1, ca=False)
    may_not_sign = issue("Corp Root CA", 1, key_usage=usage("crl_sign"))
    assert below(no_ca, *held(POLICY)) == below(may_not_sign, *held(POLICY)) == []
    assert below(version_1("Corp Root CA", 1), *held(POLICY)) == [(STORE, "Corp Policy CA")]


def test_the_copy_of_an_identity_is_not_below_itself() -> None:
    own = issue("pub.lab.test", 7, ca=False)
    there = [*held(own), *held(own, unit="tomcat")]
    assert below(own, *there) == broken(own, *there) == []


def test_an_identity_that_is_a_ca_passes_its_place_in_a_chain_on_to_nobody() -> None:
    capf = issue("CAPF-01234567", 8, ISSUING)
    phone = issue("SEP0123456789AB", 9, capf, ca=False)
    there = concerned(RULES, "CAPF-trust", [*held(ISSUING, phone, unit="CAPF-trust"), *held(capf, unit="CAPF")])
    found = dependants([ISSUING.certificate], "CAPF-trust", there)
    assert names(found) == [("CAPF", "CAPF-01234567")]


def test_cas_that_sign_each_other_are_told_once() -> None:
    first, second = issue("First CA", 10), issue("Second CA", 11)
    circle = [issue("First CA", 10, second, serial=8), issue("Second CA", 11, first, serial=9)]
    assert sorted(below(first, *held(first, *circle))) == [(STORE, "First CA"), (STORE, "Second CA")]


# -- whose chain breaks


@pytest.mark.rule("R-076", "C-48")
def test_a_chain_breaks_without_any_of_its_issuers() -> None:
    assert broken(ISSUING, *CHAIN, TOMCAT) == [(STORE, "pub.lab.test"), ("tomcat", "pub.lab.test")]
    assert len(broken(ROOT, *CHAIN)) == 3
    assert broken(OTHER, *CHAIN) == []


def test_another_way_to_a_root_keeps_a_chain_whole() -> None:
    crossed = issue("Corp Policy CA", 2, OTHER, serial=12)
    there = [*CHAIN, *held(crossed)]
    assert below(POLICY, *there) == [(STORE, "Corp Issuing CA"), (STORE, "pub.lab.test")]
    assert broken(POLICY, *there) == []
    assert broken(ROOT, *there) == [(STORE, "Corp Policy CA")]  # the one that only this root has signed
    renewed = issue("Corp Issuing CA", 3, POLICY, serial=13)
    assert broken(ISSUING, *CHAIN, *held(renewed)) == []


def test_a_chain_that_was_broken_before_does_not_break() -> None:
    there = held(ISSUING, LEAF, ROOT)
    assert below(ISSUING, *there) == [(STORE, "pub.lab.test")]
    assert broken(ISSUING, *there) == []
    assert broken(ISSUING, *CHAIN, wall=from_datetime(END + timedelta(days=1))) == []


def test_several_that_go_together_are_judged_together() -> None:
    gone = [ROOT.certificate, POLICY.certificate]
    left = concerned(RULES, STORE, held(ISSUING, LEAF))
    expected = [(STORE, "Corp Issuing CA"), (STORE, "pub.lab.test")]
    assert names(broken_without(gone, STORE, left, wall=NOW)) == expected
    assert names(broken_without(gone[:1], STORE, left, wall=NOW)) == []
    assert broken_without([], STORE, left, wall=NOW) == ()


POOL = [ROOT, POLICY, ISSUING, LEAF, OTHER, NAMESAKE, issue("Corp Policy CA", 2, OTHER, serial=12)]


@given(st.sets(st.sampled_from(range(len(POOL)))), st.sampled_from(range(len(POOL))))
def test_whoever_lost_a_whole_chain_is_told_and_nobody_else(chosen: set[int], gone: int) -> None:
    there = [POOL[at].certificate for at in sorted(chosen | {gone})]
    left = [each for each in there if each != POOL[gone].certificate]

    def whole(certificate: Certificate, trusted: list[Certificate]) -> bool:
        return complete(certificate, held=trusted, wall=NOW).complete

    lost = {each.fingerprint for each in left if whole(each, there) and not whole(each, left)}
    found = broken_without([POOL[gone].certificate], STORE, [Held(STORE, each) for each in there], wall=NOW)
    assert {each.certificate.fingerprint for each in found} == lost
