"""The decision of a handshake, reason by reason; that OpenSSL decides alike is a test of its own (`tests.contract`)."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.node.authorities import Authority, issue, numbered_key, spelling_out, usage, version_1
from tests.unit.node.certificate_factory import END, START
from ucmlab.node.handshake import Shown, Standard, Verdict, date_verdict, judge, refused_verdict, sent, undated_verdict
from ucmlab.node.handshake_certificates import see
from ucmlab.node.handshake_paths import store_of
from ucmlab.node.handshake_reasons import Usage
from ucmlab.node.instant import SECOND, from_datetime

NOW = from_datetime(START) + SECOND
DAY = timedelta(days=1)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH

ROOT = issue("Corp Root CA", 1)
ISSUING = issue("Corp Issuing CA", 2, ROOT)
SANS = (x509.SubjectAlternativeName([x509.DNSName("pub.lab.test")]), False)
LEAF = issue("pub.lab.test", 3, ISSUING, ca=False, extensions=[SANS])


def verdict(
    *chain: Authority, held: tuple[Authority, ...] = (ROOT,), role: Usage = "server", name: str = "", wall: int = NOW
) -> Verdict:
    standard = Standard(trusted=tuple(each.der for each in held), usage=role, name=name, wall=wall)
    return judge(Shown(tuple(each.der for each in chain)), standard)


def below(ca: Authority, key: int = 3, **how: object) -> Authority:
    """A leaf of a CA."""
    return issue("pub.lab.test", key, ca, ca=False, **how)  # type: ignore[arg-type]


def extended(*usages: x509.ObjectIdentifier) -> list[tuple[x509.ExtensionType, bool]]:
    return [(x509.ExtendedKeyUsage(usages), False)]


def path_of(*chain: Authority) -> tuple[str, ...]:
    return tuple(each.certificate.fingerprint for each in chain)


# -- who is trusted


@pytest.mark.rule("R-004")
def test_a_self_signed_certificate_is_trusted_where_it_is_installed() -> None:
    own = issue("pub.lab.test", 9, ca=False)
    assert verdict(own, held=(ROOT, own)) == Verdict(path=path_of(own))
    assert verdict(own, held=(ROOT,)).reason == "unknown_ca"
    assert verdict(own, held=()).text == f"The issuer is not trusted: {own.certificate.subject} is not held"


@pytest.mark.rule("R-004")
def test_it_is_trusted_whatever_was_forgotten_meanwhile() -> None:
    own = issue("pub.lab.test", 9, ca=False)
    standard = Standard(trusted=(own.der,), usage="server", wall=NOW)
    store_of(standard.trusted)
    see.cache_clear()
    assert judge(Shown((own.der,)), standard).trusted


@pytest.mark.rule("R-004", "R-005")
def test_a_leaf_is_trusted_only_once_its_root_is() -> None:
    assert verdict(LEAF, ISSUING) == Verdict(path=path_of(LEAF, ISSUING, ROOT))
    for held in ((), (issue("Other Root CA", 8),), (ISSUING,), (LEAF,)):
        assert verdict(LEAF, ISSUING, held=held).reason == "unknown_ca"
    assert verdict(LEAF, ISSUING, ROOT, held=()).detail == f"{ROOT.certificate.subject} is not held"


@pytest.mark.rule("R-006")
def test_an_intermediate_must_be_held_or_presented() -> None:
    alone = verdict(LEAF, held=(ROOT,))
    assert (alone.reason, alone.path) == ("unknown_ca", path_of(LEAF))
    assert alone.detail == f"the issuer of {LEAF.certificate.subject} is missing"
    assert verdict(LEAF, held=(ROOT, ISSUING)).trusted
    assert verdict(LEAF, ISSUING, held=(ROOT,)).trusted
    assert verdict(LEAF, ISSUING, ROOT, held=(ROOT,)).path == path_of(LEAF, ISSUING, ROOT)


def test_the_order_of_what_comes_with_a_leaf_does_not_count() -> None:
    policy = issue("Corp Policy CA", 4, ISSUING)
    leaf = below(policy)
    assert verdict(leaf, ROOT, ISSUING, policy).path == path_of(leaf, policy, ISSUING, ROOT)
    assert verdict(leaf, policy, policy, ISSUING).trusted


@pytest.mark.rule("R-004")
def test_nothing_presented_is_no_certificate() -> None:
    assert verdict() == Verdict(reason="no_certificate")


def test_what_is_no_certificate_is_told_from_what_is_not_trusted() -> None:
    standard = Standard(trusted=(b"\x30\x00", ROOT.der), usage="server", wall=NOW)
    assert judge(Shown((b"\x30\x00",)), standard).reason == "malformed"
    assert judge(Shown((LEAF.der, ISSUING.der)), standard).trusted


def test_cas_that_sign_each_other_lead_nowhere() -> None:
    one = issue("CA one", 11)
    other = issue("CA two", 12, one)
    back = issue("CA one", 11, other)
    assert verdict(below(other), held=(back, other)).reason == "chain_too_long"


# -- what is wrong with a certificate


@pytest.mark.rule("R-070")
def test_a_certificate_is_for_the_name_by_which_its_holder_was_called() -> None:
    assert verdict(LEAF, ISSUING, name="pub.lab.test").trusted
    by_address = verdict(LEAF, ISSUING, name="10.1.2.3")
    assert by_address.reason == "name_mismatch"
    assert by_address.detail == f"{LEAF.certificate.subject} is not for 10.1.2.3"
    assert verdict(LEAF, ISSUING, name="sub1.lab.test").reason == "name_mismatch"


@pytest.mark.rule("C-52")
def test_a_public_ca_that_stops_client_authentication_ends_handshakes_of_clients_alone() -> None:
    renewed = below(ISSUING, extensions=extended(SERVER))
    assert verdict(renewed, ISSUING, role="server").trusted
    assert verdict(renewed, ISSUING, role="client").reason == "eku_client_missing"
    of_both = below(ISSUING, extensions=extended(SERVER, CLIENT))
    assert verdict(of_both, ISSUING, role="client").trusted


@pytest.mark.rule("C-52")
def test_extended_key_usages_of_a_ca_bind_what_is_below_it() -> None:
    ca = issue("Servers CA", 5, ROOT, extensions=extended(SERVER))
    assert verdict(below(ca), ca, role="server").trusted
    refused = verdict(below(ca), ca, role="client")
    assert (refused.reason, refused.detail) == ("eku_client_missing", ca.certificate.subject)
    any_usage = below(ISSUING, extensions=extended(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE))
    assert verdict(any_usage, ISSUING).reason == "eku_server_missing"


@pytest.mark.parametrize(
    ("bits", "server", "client"),
    [
        (("digital_signature",), "", ""),
        (("key_agreement",), "", ""),
        (("key_encipherment",), "", "key_usage"),
        (("key_cert_sign",), "key_usage", "key_usage"),
    ],
)
def test_a_key_must_be_for_handshakes(bits: tuple[str, ...], server: str, client: str) -> None:
    leaf = below(ISSUING, key_usage=usage(*bits))
    assert verdict(leaf, ISSUING, role="server").reason == server
    assert verdict(leaf, ISSUING, role="client").reason == client


@pytest.mark.rule("X-12")
def test_an_issuer_must_be_a_ca_by_its_own_word() -> None:
    for ca in (False, None):
        issuer = issue("No CA", 6, ROOT, ca=ca)
        assert verdict(below(issuer), issuer).reason == "not_a_ca"
    without_sign = issue("No CA", 6, ROOT, key_usage=usage("crl_sign"))
    assert verdict(below(without_sign), without_sign).reason == "key_usage"
    by_usage = issue("Old CA", 6, ROOT, ca=None, key_usage=usage("key_cert_sign"))
    assert verdict(below(by_usage), by_usage).reason == "not_a_ca"


def test_the_last_of_a_chain_may_leave_open_whether_it_is_a_ca() -> None:
    old = issue("Old Root CA", 6, ca=None, key_usage=usage("key_cert_sign"))
    assert verdict(below(old), held=(old,)).trusted
    older = version_1("VeriSign", 6)
    assert verdict(issue("pub.lab.test", 3, older, ca=False, key_ids=False), held=(older,)).trusted
    mute = issue("Mute Root CA", 6, ca=None)
    assert verdict(below(mute), held=(mute,)).reason == "not_a_ca"


@pytest.mark.rule("X-12")
def test_a_ca_limits_how_many_are_below_it() -> None:
    strict = issue("Strict CA", 6, ROOT, path_length=0)
    assert verdict(below(strict), strict).trusted
    between = issue("CA between", 7, strict)
    assert verdict(below(between), between, strict).reason == "path_length"


@pytest.mark.rule("X-12")
def test_a_ca_limits_the_names_below_it() -> None:
    limits = x509.NameConstraints([x509.DNSName("corp.test")], None)
    ca = issue("Corp CA", 6, ROOT, extensions=[(limits, True)])
    refused = verdict(below(ca, extensions=[SANS]), ca)
    assert (refused.reason, refused.detail.partition(" does ")[0]) == ("name_constraint", ca.certificate.subject)


def test_a_critical_extension_must_be_understood() -> None:
    odd = [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]
    refused = verdict(below(ISSUING, extensions=odd), ISSUING)
    assert (refused.reason, refused.detail) == ("critical_extension", f"1.2.3.4 of {LEAF.certificate.subject}")


def test_a_curve_must_be_named() -> None:
    leaf = spelling_out("pub.lab.test", 3, ISSUING)
    assert verdict(leaf, ISSUING).reason == "explicit_curve"


def test_a_signature_must_be_its_issuers() -> None:
    forger = Authority(ISSUING.certificate, numbered_key(77))
    forged = issue("pub.lab.test", 3, forger, ca=False, key_ids=False)
    assert verdict(forged, ISSUING).reason == "bad_signature"


# -- one way, and never back


def test_of_cas_that_look_the_same_the_first_that_is_held_is_taken() -> None:
    other = issue("Corp Root CA", 8, key_ids=False)
    mute = issue("Corp Root CA", 1, key_ids=False)
    leaf = below(mute, key_ids=False)
    assert verdict(leaf, held=(mute, other)).trusted
    assert verdict(leaf, held=(other, mute)).reason == "bad_signature"
    assert verdict(below(ROOT), held=(issue("Corp Root CA", 8), ROOT)).trusted, "their key identifiers differ"


def test_what_is_held_goes_before_what_is_presented() -> None:
    renewed = issue("Corp Issuing CA", 2, ROOT, serial=8)
    assert verdict(LEAF, ISSUING, held=(renewed, ROOT)).path == path_of(LEAF, renewed, ROOT)


# -- dates


def at(instant: timedelta, *chain: Authority, held: tuple[Authority, ...] = (ROOT,)) -> str:
    return verdict(*chain, held=held, wall=from_datetime(START + instant)).reason


@pytest.mark.parametrize("late", range(3))
def test_every_certificate_of_a_chain_must_be_valid(late: int) -> None:
    ends = [START + DAY if each == late else END for each in range(3)]
    root = issue("Corp Root CA", 1, end=ends[0])
    ca = issue("Corp Issuing CA", 2, root, end=ends[1])
    leaf = below(ca, end=ends[2])
    assert at(DAY, leaf, ca, held=(root,)) == "", "the last second counts"
    assert at(2 * DAY, leaf, ca, held=(root,)) == "expired"
    assert at(-DAY, leaf, ca, held=(root,)) == "not_yet_valid"


def test_both_ends_judge_dates_by_their_own_clocks() -> None:
    leaf = below(ISSUING, start=START + 2 * DAY)
    standard = Standard(trusted=(ROOT.der,), usage="server", wall=from_datetime(START + DAY))
    shown = Shown((leaf.der, ISSUING.der))
    assert undated_verdict(shown, standard).trusted
    refused = date_verdict(shown, standard)
    assert refused.detail == f"{leaf.certificate.subject}, not before 2026-01-03T00:00:00Z"


def test_a_ca_that_was_renewed_with_its_key_does_no_harm() -> None:
    old = issue("Corp Root CA", 1, end=START + DAY, serial=1)
    for held in ((old, ROOT), (ROOT, old)):
        assert verdict(below(ROOT), held=held, wall=from_datetime(START + 2 * DAY)).path[1:] == path_of(ROOT)
    assert at(2 * DAY, below(ROOT), held=(old,)) == "expired"


def test_a_crooked_ca_hides_a_good_one_even_if_it_is_expired() -> None:
    crooked = issue("Corp Root CA", 1, end=START + DAY, key_usage=usage("crl_sign"), serial=1)
    assert at(2 * DAY, below(ROOT), held=(crooked, ROOT)) == "key_usage"
    assert at(2 * DAY, below(ROOT), held=(ROOT, crooked)) == ""


# -- what OpenSSL ended


@pytest.mark.rule("C-52")
def test_a_refusal_of_openssl_is_told_by_what_was_presented() -> None:
    leaf = below(ISSUING, key_usage=usage("key_encipherment"))
    standard = Standard(trusted=(ROOT.der,), usage="client", wall=NOW)
    shown = Shown((leaf.der, ISSUING.der))
    assert refused_verdict(26, shown, standard) == undated_verdict(shown, standard)
    assert refused_verdict(26, shown, standard).reason == "key_usage"
    assert refused_verdict(26, None, standard).reason == "eku_client_missing"
    for presented in (shown, Shown((LEAF.der, ISSUING.der))):
        assert refused_verdict(20, presented, standard) == Verdict(
            reason="unknown_ca", detail="OpenSSL's verify code is 20"
        )


# -- what is presented


@pytest.mark.rule("R-006")
def test_a_certificate_alone_is_completed_from_what_its_own_end_trusts() -> None:
    assert sent((LEAF.der,), (ROOT.der, ISSUING.der)) == Shown((LEAF.der, ISSUING.der, ROOT.der))
    assert sent((LEAF.der,), (ISSUING.der,)) == Shown((LEAF.der, ISSUING.der))
    assert sent((LEAF.der, ISSUING.der), (ROOT.der, ISSUING.der)) == Shown((LEAF.der, ISSUING.der))
    assert sent((ROOT.der,), (ROOT.der,)) == Shown((ROOT.der,))
    assert sent((), (ROOT.der,)) == Shown()
