"""Stand-ins for the product's default CAs: chains, what they may do, and whose they are."""

from datetime import UTC, datetime, time, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.unit.node.rule_tables import RELEASES
from ucmlab.cluster.ca.authority import Authority, der_of
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.ca.requests import Request
from ucmlab.cluster.ca.terms import Terms, Validity
from ucmlab.cluster.default_cas import MadeCa, kept_cas, make_default_cas, shipped, simulated_default_cas
from ucmlab.cluster.simkeys import is_simulation_key, sim_rsa
from ucmlab.node.certificates import parse
from ucmlab.node.issuing import kind_of, public_key, standing
from ucmlab.node.rulebook import RuleBook

ROOT, ISSUING = "Cisco Root CA M2", "Cisco Manufacturing CA SHA2"
PHONE = x509.Name.from_rfc4514_string("CN=CP-8865-SEP00A0B1C2D3E4,O=Cisco Systems Inc.")


def made(release: str) -> dict[str, MadeCa]:
    return make_default_cas(RuleBook.load(release), simulation_keys(), len)


@pytest.mark.rule("B.2")
@pytest.mark.parametrize("release", RELEASES)
def test_each_looks_as_its_row_says_and_is_signed_by_the_one_above(release: str) -> None:
    rows, found = RuleBook.load(release).default_cas, made(release)
    assert list(found) == list(rows)
    for name, row in rows.items():
        certificate = found[name].certificate
        certificate.verify_directly_issued_by(found[row.issuer or name].certificate)
        assert certificate.subject.rfc4514_string() == row.subject
        assert certificate.not_valid_before_utc == datetime.combine(row.not_before, time(tzinfo=UTC))
        assert certificate.not_valid_after_utc == datetime.combine(row.not_after, time(23, 59, 59, tzinfo=UTC))


@pytest.mark.rule("B.2")
@pytest.mark.parametrize("release", RELEASES)
def test_each_may_issue_those_below_a_root_to_devices_alone(release: str) -> None:
    rows = RuleBook.load(release).default_cas
    for name, authority in made(release).items():
        read = parse(der_of(authority.certificate))
        below = bool(rows[name].issuer)
        assert (read.key, kind_of(read)) == (rows[name].key, "intermediate" if below else "root")
        assert standing(read.der).path_length == (0 if below else None)
        usage = authority.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)


@pytest.mark.rule("B.2", "B.4")
def test_they_issue_what_a_phone_has_from_its_factory() -> None:
    found = made("14SU2")
    factory = Authority(*found[ISSUING], above=[found[ROOT].certificate])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    request = Request(subject=PHONE, public_key=sim_rsa(1).public_key())
    phone = factory.sign(request, Terms(), serial=1, validity=Validity(start, start + timedelta(days=3650)))
    phone.verify_directly_issued_by(factory.certificate)
    factory.certificate.verify_directly_issued_by(factory.chain[-1])


def test_what_is_kept_are_pairs_that_show_no_key_by_accident() -> None:
    found = made("12.5")
    kept = kept_cas(found)
    assert [each.name for each in kept] == list(found)
    for each in kept:
        certificate = x509.load_pem_x509_certificate(each.certificate.encode())
        assert certificate == found[each.name].certificate
        key = load_pem_private_key(each.key.encode(), None, unsafe_skip_rsa_key_validation=True)
        assert key.public_key() == certificate.public_key()
        assert each.key.splitlines()[1] not in repr(each)


@pytest.mark.rule("B.2")
def test_nodes_are_told_those_that_lie_in_stores() -> None:
    found = made("12.5")
    issuer = "VeriSign Class 3 Public Primary Certification Authority - G5"
    told = [parse(der).common_name for der in shipped(RuleBook.load("12.5"), found)]
    assert told == [name for name in found if name != issuer]


def test_keys_may_be_asked_for_from_several_threads_at_once() -> None:
    keys = [sim_rsa(number) for number in range(9)]
    found = make_default_cas(RuleBook.load("12.5"), lambda _kind: keys.pop(), len)
    assert len({public_key(parse(der_of(authority.certificate))) for authority in found.values()}) == 9


def test_simulated_labs_have_the_same_ones_always_with_keys_that_are_worthless() -> None:
    once = simulated_default_cas("14SU2", "seed")
    simulated_default_cas.cache_clear()
    assert simulated_default_cas("14SU2", "seed") == once == simulated_default_cas("14SU2", "tac")
    assert len({parse(der).serial for der in once}) == len(once) == 5
    keys = [x509.load_der_x509_certificate(der).public_key() for der in once]
    assert all(is_simulation_key(key) for key in keys)  # type: ignore[arg-type]  # RSA keys are among those it takes
