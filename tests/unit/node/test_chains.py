import contextlib
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.node.authorities import Authority, issue, usage, version_1
from tests.unit.node.certificate_factory import END, START, name
from ucmlab.node.certificates import Certificate, parse, pem
from ucmlab.node.chains import LONGEST, Chain, complete
from ucmlab.node.errors import Refusal
from ucmlab.node.instant import SECOND, from_datetime
from ucmlab.node.issuing import only_authorities
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.upload_files import read_upload

NOW = from_datetime(START) + SECOND
CPU_LIMIT_S = 5.0
DAY = timedelta(days=1)

ROOT = issue("Corp Root CA", 1)
POLICY = issue("Corp Policy CA", 2, ROOT)
ISSUING = issue("Corp Issuing CA", 3, POLICY)
LEAF = issue("pub.lab.example", 4, ISSUING, ca=False)
CAS = (ISSUING, POLICY, ROOT)
ROOT_NAME = "CN=Corp Root CA,O=Lab\\, Inc.,C=US"
POLICY_NAME = ROOT_NAME.replace("Root", "Policy")
LEAF_NAME = ROOT_NAME.replace("Corp Root CA", "pub.lab.example")


def certificates(authorities: Sequence[Authority]) -> list[Certificate]:
    return [each.certificate for each in authorities]


def chain(leaf: Authority, brought: Sequence[Authority] = (), held: Sequence[Authority] = (), **how: object) -> Chain:
    wall, roots = how.get("wall", NOW), how.get("roots", "any")
    assert isinstance(wall, int)
    assert roots in ("any", "held")
    return complete(leaf.certificate, brought=certificates(brought), held=certificates(held), wall=wall, roots=roots)


def issuers(leaf: Authority, brought: Sequence[Authority] = (), held: Sequence[Authority] = ()) -> list[Certificate]:
    return list(chain(leaf, brought, held).require())


def broken(leaf: Authority, brought: Sequence[Authority] = (), held: Sequence[Authority] = (), **how: object) -> str:
    """What is wrong with a chain."""
    found = chain(leaf, brought, held, **how)
    assert (found.complete, found.reason, found.issuers) == (False, "chain_incomplete", ())
    return found.text


# -- what is there, what is missing


@pytest.mark.rule("R-013", "X-12")
@pytest.mark.parametrize("brought", range(4))
def test_issuers_come_from_the_file_and_from_the_store(brought: int) -> None:
    assert issuers(LEAF, CAS[:brought], CAS[brought:]) == certificates(CAS)
    assert issuers(LEAF, CAS[brought:], CAS[:brought]) == certificates(CAS)


@pytest.mark.rule("R-065")
def test_a_leaf_that_the_root_signed_needs_nothing_between() -> None:
    leaf = issue("sub1.lab.example", 5, ROOT, ca=False)
    assert issuers(leaf, held=[ROOT]) == [ROOT.certificate]


def test_a_root_needs_nobody() -> None:
    assert issuers(ROOT) == []
    assert issuers(version_1("VeriSign", 6)) == []
    assert issuers(issue("self-signed server", 6, ca=False)) == []


@pytest.mark.rule("R-012", "R-013", "R-064", "X-12")
@pytest.mark.parametrize(
    ("held", "missing", "of"),
    [
        ((), "Corp Issuing CA", "pub.lab.example"),
        ((ROOT,), "Corp Issuing CA", "pub.lab.example"),
        ((ROOT, POLICY), "Corp Issuing CA", "pub.lab.example"),
        ((ROOT, ISSUING), "Corp Policy CA", "Corp Issuing CA"),
        ((POLICY, ISSUING), "Corp Root CA", "Corp Policy CA"),
        ((ISSUING,), "Corp Policy CA", "Corp Issuing CA"),
    ],
)
def test_the_missing_link_is_named(held: tuple[Authority, ...], missing: str, of: str) -> None:
    found = chain(LEAF, held=held)
    missing_name, of_name = (ROOT_NAME.replace("Corp Root CA", each) for each in (missing, of))
    assert (found.missing, found.text) == (missing_name, f"{missing_name} is missing, the issuer of {of_name}")


@pytest.mark.rule("R-064", "B.10")
def test_what_lacks_its_issuer_is_refused_in_the_products_words() -> None:
    with pytest.raises(Refusal) as refusal:
        chain(POLICY).require()
    assert refusal.value.reason == "chain_incomplete"
    assert refusal.value.text == f"{ROOT_NAME} is missing, the issuer of {POLICY_NAME}"
    said = RuleBook.load("14SU2").refusal_text(refusal.value.reason, detail=refusal.value.text)
    assert said == "CA certificate is not available in the trust-store"


def test_a_peer_brings_no_roots() -> None:
    assert chain(LEAF, CAS, [ROOT], roots="held").complete
    found = chain(LEAF, CAS, [POLICY], roots="held")
    assert (found.text, found.missing) == (f"the root {ROOT_NAME} is not in the trust-store", ROOT_NAME)
    assert broken(ROOT, roots="held") == f"the root {ROOT_NAME} is not in the trust-store"


def test_whoever_stands_in_the_file_twice_does_no_harm() -> None:
    assert issuers(LEAF, [LEAF, *CAS, LEAF, *CAS], CAS) == certificates(CAS)


@given(st.permutations([LEAF, *CAS, issue("Corp Root CA", 7), issue("Corp Policy CA", 8, ROOT)]), st.integers(0, 6))
def test_any_order_of_the_file_gives_the_same_chain_in_the_same_bytes(order: list[Authority], held: int) -> None:
    file = "".join(pem(each.der) for each in order).encode()
    stored = sorted(order[:held], key=lambda each: each.certificate.fingerprint)
    found = complete(LEAF.certificate, brought=read_upload(file), held=certificates(stored), wall=NOW)
    assert [each.der for each in found.issuers] == [each.der for each in CAS]


Mutation = tuple[int, bytes]


@settings(deadline=None)  # CPU time is what it measures
@given(
    st.sampled_from([[LEAF, *CAS], [issue("leaf", 5, ROOT, ca=False), version_1("Corp Root CA", 1), ROOT]]),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=2)), min_size=1, max_size=4),
)
def test_a_mutated_file_is_refused_or_judged_and_nothing_else(file: list[Authority], mutations: list[Mutation]) -> None:
    whole = bytearray(b"".join(each.der for each in file))
    for at, replacement in mutations:
        whole[at : at + len(replacement)] = replacement
    read: list[Certificate] = []
    begun = time.process_time()
    for each in file:
        der = bytes(whole[: len(each.der)])
        del whole[: len(each.der)]
        # A Refusal is an answer; whatever else is raised fails the test.
        with contextlib.suppress(Refusal):
            read += read_upload(der)
    for certificate in read:
        only_authorities([certificate])
        complete(certificate, brought=read, wall=NOW)
        complete(certificate, held=read, wall=NOW, roots="held")
    assert time.process_time() - begun < CPU_LIMIT_S


# -- who is an issuer


def test_a_signature_decides_between_cas_of_one_name() -> None:
    keys = [issue("Corp Root CA", 10 + number, key_ids=False) for number in range(5)]
    leaf = issue("leaf", 20, keys[3], ca=False, key_ids=False)
    assert issuers(leaf, held=keys) == [keys[3].certificate]
    assert broken(leaf, held=keys[:3]).startswith(f"{ROOT_NAME} has another key than the one that signed")


def test_a_damaged_signature_is_nobodys() -> None:
    damaged = Authority(parse(LEAF.der[:-1] + bytes((LEAF.der[-1] ^ 1,))), LEAF.key)
    assert "has another key than the one that signed" in broken(damaged, held=CAS)


def test_names_that_differ_in_case_blanks_and_encoding_are_one() -> None:
    written = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "LAB,  inc.", x509.name._ASN1Type.PrintableString),
            x509.NameAttribute(NameOID.COMMON_NAME, "corp root ca"),
        ]
    )
    leaf = issue("leaf", 20, ROOT, ca=False, issuer_name=written)
    assert issuers(leaf, held=[ROOT]) == [ROOT.certificate]


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


@pytest.mark.parametrize(
    ("issuer", "why"),
    [
        (issue("Corp Root CA", 1, ca=False), "is no CA certificate by its basic constraints"),
        (issue("Corp Root CA", 1, ca=None), "is no CA certificate by its basic constraints"),
        (issue("Corp Root CA", 1, key_usage=usage("crl_sign")), "may not sign certificates by its key usage"),
        (issue("Corp Root CA", 1, end=START), "is expired (not after 2026-01-01T00:00:00Z)"),
        (issue("Corp Root CA", 1, start=END - DAY), "is not yet valid (not before 2030-12-31T00:00:00Z)"),
        (
            issue("Corp Root CA", 1, extensions=[(UNKNOWN, True)]),
            "has a critical extension that is not understood (1.2.3.4)",
        ),
    ],
)
def test_an_issuer_that_may_not_be_one_is_told_with_the_reason(issuer: Authority, why: str) -> None:
    leaf = issue("pub.lab.example", 20, issuer, ca=False)
    found = chain(leaf, held=[issuer])
    assert (found.text, found.missing) == (f"{ROOT_NAME} {why}; it is the issuer of {LEAF_NAME}", ROOT_NAME)


def test_a_root_of_version_1_is_one() -> None:
    old = version_1("VeriSign", 6)
    assert issuers(issue("leaf", 20, old, ca=False), held=[old]) == [old.certificate]
    between = version_1("between", 7, old)
    assert "is no CA certificate" in broken(issue("leaf", 20, between, ca=False), held=[old, between])


@pytest.mark.parametrize(
    ("leaf", "reason", "text"),
    [
        (issue("x", 20, ROOT, ca=False, end=START), "expired", "not after 2026-01-01T00:00:00Z"),
        (issue("x", 20, ROOT, ca=False, start=END), "not_yet_valid", "not before 2031-01-01T00:00:00Z"),
        (
            issue("x", 20, ROOT, ca=False, extensions=[(UNKNOWN, True)]),
            "format",
            "a critical extension is not understood (1.2.3.4)",
        ),
    ],
)
def test_what_is_wrong_with_the_certificate_itself_has_its_own_word(leaf: Authority, reason: str, text: str) -> None:
    found = chain(leaf, held=[ROOT])
    assert (found.reason, found.text, found.missing) == (reason, text, "")


def test_both_ends_of_the_validity_count() -> None:
    first, last = from_datetime(START), from_datetime(END)
    assert chain(LEAF, CAS, wall=first).complete
    assert chain(LEAF, CAS, wall=last).complete
    assert not chain(LEAF, CAS, wall=first - 1).complete
    assert not chain(LEAF, CAS, wall=last + 1).complete


# -- limits from above


@pytest.mark.parametrize(("permitted", "between", "good"), [(0, 0, True), (0, 1, False), (1, 1, True), (1, 2, False)])
def test_a_path_length_is_kept(permitted: int, between: int, good: bool) -> None:  # noqa: FBT001  # a table's column
    root = issue("Strict Root CA", 30, path_length=permitted)
    line = [root]
    for number in range(between):
        line.append(issue(f"CA {number}", 31 + number, line[-1]))
    leaf = issue("leaf", 40, line[-1], ca=False)
    if good:
        assert issuers(leaf, line) == certificates(line[::-1])
    else:
        assert broken(leaf, line).endswith(f"permits {permitted} CA certificates below it, there are {between}")


def test_a_cas_change_of_keys_is_not_counted() -> None:
    root = issue("Strict Root CA", 30, path_length=0)
    renewed = issue("Strict Root CA", 31, root)
    assert issuers(issue("leaf", 40, renewed, ca=False), [renewed, root]) == [renewed.certificate, root.certificate]


def constrained(common_name: str, key: int, issuer: Authority | None, *permitted: x509.GeneralName) -> Authority:
    return issue(common_name, key, issuer, extensions=[(x509.NameConstraints(permitted, None), True)])


def test_name_constraints_are_kept_and_another_way_is_taken() -> None:
    lab, corp = (constrained("Corp Sub CA", 50, ROOT, x509.DNSName(domain)) for domain in ("lab.test", "corp.test"))
    host = x509.SubjectAlternativeName([x509.DNSName("pub.corp.test")])
    leaf = issue("leaf", 51, lab, ca=False, extensions=[(host, False)])
    assert issuers(leaf, held=[lab, corp, ROOT]) == [corp.certificate, ROOT.certificate]
    text = broken(leaf, held=[lab, ROOT])
    assert text.startswith("CN=Corp Sub CA") and "does not permit the name pub.corp.test of CN=leaf" in text  # noqa: PT018


def test_name_constraints_reach_the_names_of_cas_but_for_changes_of_keys() -> None:
    root = constrained("Corp Root CA", 52, None, x509.DirectoryName(name("Corp Root CA")))
    assert "does not permit the name CN=Corp Policy CA" in broken(issue("Corp Policy CA", 53, root), [root])
    renewed = issue("Corp Root CA", 54, root)
    below = x509.Name([*name("Corp Root CA"), x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "below")])
    assert issuers(issue(below, 55, renewed, ca=False), [renewed, root])[-1] == root.certificate


# -- cross-signed CAs, circles, crowds


OLD_ROOT = issue("Old Root CA", 60, end=END)
NEW_ROOT = issue("New Root CA", 61)
CROSS = issue("New Root CA", 61, OLD_ROOT, serial=8)
BELOW = issue("Sub CA of New", 62, NEW_ROOT)
CROSS_LEAF = issue("leaf", 63, BELOW, ca=False)


def test_of_cross_signed_cas_the_shortest_way_is_taken_that_there_is() -> None:
    assert issuers(CROSS_LEAF, [BELOW, CROSS, NEW_ROOT, OLD_ROOT]) == certificates([BELOW, NEW_ROOT])
    assert issuers(CROSS_LEAF, [BELOW, CROSS, OLD_ROOT]) == certificates([BELOW, CROSS, OLD_ROOT])
    assert issuers(CROSS_LEAF, [BELOW, CROSS, NEW_ROOT]) == certificates([BELOW, NEW_ROOT])
    assert "Old Root CA" in chain(CROSS_LEAF, [BELOW, CROSS]).missing


def test_what_the_store_holds_is_preferred_as_openssl_does() -> None:
    held = issuers(CROSS_LEAF, [BELOW, NEW_ROOT], [CROSS, OLD_ROOT])
    assert held == certificates([BELOW, CROSS, OLD_ROOT])
    assert issuers(CROSS_LEAF, [BELOW, CROSS, OLD_ROOT], [NEW_ROOT]) == certificates([BELOW, NEW_ROOT])


def test_an_expired_root_gives_way_to_its_cross_signed_twin() -> None:
    expired = issue("New Root CA", 61, end=START)
    assert issuers(CROSS_LEAF, [BELOW, expired, CROSS], [OLD_ROOT]) == certificates([BELOW, CROSS, OLD_ROOT])


def test_of_two_certificates_of_one_ca_the_one_that_lasts_longer_is_taken() -> None:
    longer = issue("Corp Root CA", 1, end=END + DAY)
    assert issuers(POLICY, held=[ROOT, longer]) == [longer.certificate]


def test_cas_that_sign_each_other_and_no_root_are_a_circle() -> None:
    a, b = issue("A", 70), issue("B", 71)
    a_by_b, b_by_a = issue("A", 70, b), issue("B", 71, a)
    leaf = issue("leaf", 72, a, ca=False)
    text = "the issuers sign each other in a circle, and none of them is a root"
    assert broken(leaf, [a_by_b, b_by_a]) == text
    assert issuers(leaf, [a_by_b, b_by_a, b]) == certificates([a_by_b, b])


@lru_cache(maxsize=1)
def line() -> list[Authority]:
    made = [issue("CA 0", 100)]
    for number in range(1, LONGEST + 1):
        made.append(issue(f"CA {number}", 100 + number, made[-1]))
    return made


def test_a_chain_may_be_ten_issuers_long_and_no_longer() -> None:
    *shorter, last = line()
    assert len(issuers(last, shorter)) == LONGEST
    assert broken(issue("leaf", 120, last, ca=False), line()) == "there is no root within 10 issuers"


def test_a_way_that_is_too_long_is_left_for_a_shorter_one() -> None:
    preferred = issue("Corp Sub CA", 121, line()[9], end=END + DAY)
    shorter = issue("Corp Sub CA", 121, line()[1])
    leaf = issue("leaf", 122, shorter, ca=False)
    assert issuers(leaf, [preferred, shorter, *line()]) == certificates([shorter, line()[1], line()[0]])
    assert "within 10 issuers" in broken(leaf, [preferred, *line()])


@pytest.mark.slow
def test_a_crowd_of_one_name_ends_after_a_hundred_signatures() -> None:
    crowd = [issue("Corp Root CA", 200 + number, key_ids=False) for number in range(120)]
    leaf = issue("leaf", 20, issue("Corp Root CA", 199, key_ids=False), ca=False, key_ids=False)
    begun = time.process_time()
    text = broken(leaf, crowd)
    assert time.process_time() - begun < CPU_LIMIT_S
    assert text == "the certificates are entangled: more than 100 signatures had to be checked"


@pytest.mark.slow
@pytest.mark.parametrize("issuer", ["Corp Root CA", "Nobody"])
def test_a_crowd_that_shares_name_and_key_ends_as_soon(issuer: str) -> None:
    above = issue(issuer, 198)
    crowd = [issue("Corp Root CA", 199, above, serial=1 + number) for number in range(250)]
    expired = [issue(issuer, 198, end=START, serial=1 + number) for number in range(250)]
    leaf = issue("leaf", 20, crowd[0], ca=False)
    begun = time.process_time()
    text = broken(leaf, [*crowd, *expired])
    assert time.process_time() - begun < CPU_LIMIT_S
    assert "is expired" in text


@pytest.mark.slow
def test_ways_without_number_end_after_a_thousand_steps() -> None:
    root = issue("Strict Root CA", 30, path_length=0)
    layers: list[list[Authority]] = [[root]]
    for depth in range(8):
        above = layers[-1][0]
        layers.append([issue(f"Layer {depth}", 300 + depth, above, serial=number) for number in range(1, 5)])
    leaf = issue("leaf", 20, layers[-1][0], ca=False)
    begun = time.process_time()
    text = broken(leaf, [each for layer in layers for each in layer])
    assert time.process_time() - begun < CPU_LIMIT_S
    assert text == "the certificates are entangled: more than 1000 ways had to be tried"


@pytest.mark.slow
def test_names_without_number_end_with_a_refusal() -> None:
    many = [x509.DNSName(f"{number}.example") for number in range(600)]
    root = issue("Corp Root CA", 1, extensions=[(x509.NameConstraints(None, many), True)])
    hosts = x509.SubjectAlternativeName([x509.DNSName(f"{number}.test") for number in range(600)])
    leaf = issue("leaf", 20, root, ca=False, extensions=[(hosts, False)])
    begun = time.process_time()
    text = broken(leaf, [root])
    assert time.process_time() - begun < CPU_LIMIT_S
    assert text.endswith("more than 200000 names had to be compared with name constraints")


SIZE = 5
EDGES = st.sets(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=12)


@lru_cache(maxsize=SIZE * SIZE)
def signed_by(subject: int, issuer: int) -> Authority:
    """CA `subject`, certified by CA `issuer`; by itself, it is a root."""
    if subject == issuer:
        return issue(f"CA {subject}", 400 + subject)
    return issue(f"CA {subject}", 400 + subject, signed_by(issuer, issuer), serial=issuer + 1)


def reaches_root(edges: set[tuple[int, int]], start: int) -> bool:
    """The same question, asked plainly: who signed whom, and is there a way to somebody who signed himself?"""
    reached, before = {start}, set[int]()
    while reached != before:
        before = set(reached)
        reached |= {issuer for subject, issuer in edges if subject in reached}
    return any((each, each) in edges for each in reached)


@pytest.mark.slow
@given(EDGES)
def test_whoever_signs_whom_a_way_to_a_root_is_found_if_there_is_one(edges: set[tuple[int, int]]) -> None:
    leaf = issue("leaf", 420, signed_by(0, 0), ca=False)
    found = chain(leaf, [signed_by(*edge) for edge in edges])
    assert found.complete == reaches_root(edges, 0)
    path = [found.certificate, *found.issuers]
    assert all(child.issuer == above.subject for child, above in pairwise(path))
    assert len({each.fingerprint for each in path}) == len(path)
    assert chain(leaf, [signed_by(*edge) for edge in sorted(edges)]) == found


@pytest.mark.slow
def test_a_chain_full_of_names_ends_before_they_are_all_read() -> None:
    root = issue("Corp Root CA", 1, extensions=[(x509.NameConstraints(None, [x509.DNSName("no.test")]), True)])
    crowd = x509.SubjectAlternativeName([x509.DirectoryName(x509.Name([]))] * 15_000)
    below = [root]
    for number in range(5):
        below.append(issue(f"Crowded CA {number}", 400 + number, below[-1], extensions=[(crowd, False)]))
    begun = time.process_time()
    text = broken(below[-1], below[:-1])
    assert time.process_time() - begun < CPU_LIMIT_S
    assert text == "the certificates are entangled: more than 20000 names are under name constraints"
