"""The decision function against OpenSSL: both judge the same made-up handshakes, good ones and crooked ones.

A slice in every run, the rest as a soak. Each seed is a case: `case_of(seed)` gives it again.
"""

import shutil
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.contract.handshake_cases import Case, case_of
from tests.contract.handshaking import openssl_says, openssl_says_at
from tests.soak_sizes import DATED_HANDSHAKES, HANDSHAKES
from ucmlab.cluster.tls_contexts import Family
from ucmlab.node.handshake import Shown, Standard, Verdict, date_verdict, undated_verdict
from ucmlab.node.handshake_certificates import see
from ucmlab.node.handshake_reasons import Reason, reasons

SLICE = 240
DATED_SLICE = 60
STRIDE = 5
"""Seeds that are neighbours have the same CAs."""
SOAK_SEEDS = 1_000_000
"""Where the soak's seeds begin: none of them is in the slice."""
UNTIMELY = 0.15
"""Of the certificates in cases with dates, as many are expired and as many not yet valid."""
OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to ask")
OFTEN: tuple[Reason, ...] = ("", "unknown_ca", "name_mismatch", "bad_signature", "path_length", "critical_extension")
BEYOND: frozenset[Reason] = frozenset(
    {"no_shared_cipher", "no_certificate", "malformed", "explicit_curve", "expired", "not_yet_valid"}
)
"""Reasons that no case without dates has: unit tests give them."""


def agree(verdict: Verdict, code: int) -> bool:
    return verdict.trusted == (code == 0) and (verdict.trusted or code in reasons()[verdict.reason].openssl)


def compared(seeds: Iterable[int], *, own: bool = False) -> tuple[Counter[Reason], list[str]]:
    """How often each reason was given, and what OpenSSL said otherwise; `own` as in `openssl_says`."""
    seen, differences = Counter[Reason](), list[str]()
    for seed in seeds:
        case = case_of(seed)
        verdict = undated_verdict(Shown(case.chain), case.standard)
        code = openssl_says(case.chain, case.key, case.standard, own=own)
        seen[verdict.reason] += 1
        if not agree(verdict, code):
            differences.append(told(seed, verdict, code))
    return seen, differences


def compared_with_dates(folder: Path, seeds: Iterable[int]) -> tuple[Counter[Reason], list[str]]:
    seen, differences = Counter[Reason](), list[str]()
    for seed in seeds:
        case = case_of(seed, untimely=UNTIMELY)
        standard = unnamed(case)
        verdict = date_verdict(Shown(case.chain), standard)
        code = openssl_says_at(folder, case.chain, standard)
        seen[verdict.reason] += 1
        if not agree(verdict, code):
            differences.append(told(seed, verdict, code))
    return seen, differences


def unnamed(case: Case) -> Standard:
    """The command line compares names by other rules for wildcards than Python's settings."""
    return msgspec.structs.replace(case.standard, name="")


def told(seed: int, verdict: Verdict, code: int) -> str:
    return f"seed {seed}: {verdict.reason or 'trusted'} ({verdict.detail}), OpenSSL says {code}"


@pytest.mark.slow
@pytest.mark.rule("R-004", "R-006", "R-070", "C-52", "S9")
def test_handshakes_are_judged_as_openssl_judges_them() -> None:
    seen, differences = compared(range(0, SLICE * STRIDE, STRIDE))
    assert differences == [], ssl.OPENSSL_VERSION
    assert min(seen[reason] for reason in OFTEN) > 0, "it is worth nothing unless each occurs"


@pytest.mark.slow
@pytest.mark.rule("R-141", "B.4", "S9")
def test_what_a_node_presents_is_judged_alike_however_crooked_or_weak_it_is() -> None:
    seen, differences = compared(range(2, SLICE * STRIDE, STRIDE), own=True)
    assert differences == [], ssl.OPENSSL_VERSION
    assert min(seen[reason] for reason in (*OFTEN, "weak_signature", "weak_key")) > 0


@pytest.mark.slow
def test_a_client_of_one_kind_of_key_judges_no_otherwise() -> None:
    """Such a client speaks TLS 1.2, where an EC key that may sign nothing has no suite: it is not even presented."""
    compared_ones = 0
    for seed in range(0, SLICE * STRIDE, 3 * STRIDE):
        case = case_of(seed)
        usages = see(case.chain[0]).usages
        only: Family = "rsa" if isinstance(case.key, rsa.RSAPrivateKey) else "ec"
        if case.standard.usage == "client" or (only == "ec" and usages and "digitalSignature" not in usages):
            continue
        verdict = undated_verdict(Shown(case.chain), case.standard)
        code = openssl_says(case.chain, case.key, case.standard, only)
        assert agree(verdict, code), told(seed, verdict, code)
        compared_ones += 1
    assert compared_ones > SLICE // 6


@OPENSSL
@pytest.mark.slow
def test_dates_are_judged_as_openssl_judges_them_on_the_way_that_it_prefers_then(tmp_path: Path) -> None:
    seen, differences = compared_with_dates(tmp_path, range(0, DATED_SLICE * STRIDE, STRIDE))
    assert differences == [], ssl.OPENSSL_VERSION
    assert min(seen["expired"], seen["not_yet_valid"], seen[""]) > 0


@pytest.mark.soak
def test_a_hundred_thousand_handshakes_are_judged_as_openssl_judges_them(
    record_property: Callable[[str, object], None],
) -> None:
    seen, differences = compared(range(SOAK_SEEDS, SOAK_SEEDS + HANDSHAKES))
    record_property("compared with", ssl.OPENSSL_VERSION)
    record_property("handshakes", seen.total())
    for reason, number in seen.most_common():
        record_property(reason or "trusted", number)
    assert differences == []
    assert reasons().keys() - BEYOND - seen.keys() == set()


@OPENSSL
@pytest.mark.soak
def test_dates_are_judged_as_openssl_judges_them_at_length(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seen, differences = compared_with_dates(tmp_path, range(SOAK_SEEDS, SOAK_SEEDS + DATED_HANDSHAKES))
    record_property("chains", seen.total())
    for reason, number in seen.most_common():
        record_property(reason or "trusted", number)
    assert differences == []
