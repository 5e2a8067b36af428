"""Chains against C2SP/x509-limbo: 208 public cases, and a table of those that are judged otherwise, with the reasons.

The vectors lie beside the checkout, not in it (their README says where they come from).
"""

import contextlib
import json
import lzma
import time
import tomllib
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.rules import ROOT
from ucmlab.node.certificates import Certificate, check_trust_certificate, parse
from ucmlab.node.chains import Chain, complete
from ucmlab.node.errors import Refusal
from ucmlab.node.instant import from_datetime
from ucmlab.node.upload_files import read_upload

VECTORS = ROOT.parent / "shared" / "data" / "x509-limbo.json.xz"
DIFFERENCES = Path(__file__).with_name("limbo_differences.toml")
UNTIMED = datetime.fromisoformat("2026-11-25T00:00:00+00:00")
"""The instant of cases that name none: they hold for centuries, but for those whose fault is something else."""
LIMIT_S = 1.0
"""CPU seconds of one case."""

pytestmark = [
    pytest.mark.skipif(not VECTORS.exists(), reason=f"{VECTORS} is not there: the vectors come beside the checkout"),
    pytest.mark.slow,
]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    trusted_certs: tuple[str, ...]
    untrusted_intermediates: tuple[str, ...]
    peer_certificate: str
    validation_time: datetime | None
    expected_result: str

    @property
    def wall(self) -> int:
        return from_datetime(self.validation_time or UNTIMED)

    def judged(self) -> Chain | None:
        """The peer's chain up to a held root; None when the peer's own certificate cannot be read."""
        peer = read([self.peer_certificate])
        held, brought = read(self.trusted_certs), read(self.untrusted_intermediates)
        return complete(peer[0], brought=brought, held=held, wall=self.wall, roots="held") if peer else None


class Outcome(NamedTuple):
    agrees: bool
    cpu_s: float


class Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    why: str
    cases: tuple[str, ...]
    refused_by: str = ""


@lru_cache(maxsize=1)
def cases() -> dict[str, Case]:
    with lzma.open(VECTORS) as file:
        loaded = json.load(file)["testcases"]
    return {case.id: case for case in msgspec.convert(loaded, list[Case])}


@lru_cache(maxsize=1)
def outcomes() -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for name, case in cases().items():
        begun = time.process_time()
        chain = case.judged()
        good = chain is not None and chain.complete
        found[name] = Outcome(good == (case.expected_result == "SUCCESS"), time.process_time() - begun)
    return found


def differences() -> list[Difference]:
    return msgspec.convert(tomllib.loads(DIFFERENCES.read_text(encoding="utf-8"))["difference"], list[Difference])


def read(files: Iterable[str]) -> list[Certificate]:
    """What can be read; certificates that are refused are in no store and in no chain."""
    found: list[Certificate] = []
    for file in files:
        with contextlib.suppress(Refusal):
            found += read_upload(file.encode())
    return found


def refusals(case: Case) -> set[str]:
    """What the upload checks say to the certificates of a case."""
    words: set[str] = set()
    for certificate in read((*case.trusted_certs, *case.untrusted_intermediates, case.peer_certificate)):
        try:
            check_trust_certificate(certificate, case.wall)
        except Refusal as refusal:
            words.add(refusal.reason)
    return words


@pytest.mark.rule("R-013", "X-12")
def test_every_vector_is_judged_as_expected_or_differs_for_a_reason_that_is_told() -> None:
    listed = {case for difference in differences() for case in difference.cases}
    found = {name for name, outcome in outcomes().items() if not outcome.agrees}
    assert sorted(found - listed) == [], "these differ and are not listed"
    assert sorted(listed - found) == [], "these are listed and agree, or are no cases"


def test_no_case_is_listed_twice() -> None:
    named = [case for difference in differences() for case in difference.cases]
    assert len(named) == len(set(named))


@pytest.mark.rule("B.10", "X-06")
def test_what_the_upload_checks_are_said_to_refuse_they_refuse() -> None:
    for difference in differences():
        for case in difference.cases if difference.refused_by else ():
            assert difference.refused_by in refusals(cases()[case]), case


def test_no_vector_takes_long() -> None:
    assert [name for name, outcome in outcomes().items() if outcome.cpu_s > LIMIT_S] == []


@pytest.mark.rule("R-013")
def test_chains_of_the_public_web_are_told_from_leaf_to_root() -> None:
    for name in (name for name in cases() if name.startswith("online::")):
        chain = cases()[name].judged()
        assert chain is not None
        path = [chain.certificate, *chain.issuers]
        assert all(child.issuer == issuer.subject for child, issuer in pairwise(path))
        assert chain.issuers[-1] in [parse(each.der) for each in read(cases()[name].trusted_certs)]
