"""One fault in an otherwise good chain, at every place: its reason is known beforehand, and OpenSSL finds it too."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.handshake_cases import weak_key
from tests.contract.handshaking import openssl_says
from tests.unit.node.authorities import Authority, PrivateKey, issue, spelling_out, usage
from tests.unit.node.certificate_factory import START
from ucmlab.cluster.simkeys import sim_key
from ucmlab.node.handshake import Shown, Standard, judge, undated_verdict
from ucmlab.node.handshake_reasons import EKU_MISSING, Reason, Usage, reasons
from ucmlab.node.instant import from_datetime

NOW = START + timedelta(days=100)
HOST = "pub.lab.test"
DAY = timedelta(days=1)
Options = dict[str, object]


class Place(NamedTuple):
    """Where a fault is: `depth` counts from the leaf (0) to the root (`top`)."""

    depth: int
    top: int
    role: Usage

    @property
    def is_root(self) -> bool:
        return self.depth == self.top


class Fault(NamedTuple):
    """What is done to one certificate, and what comes of it; empty, nothing does."""

    options: Options
    reason: Callable[[Place], Reason]


def anywhere(reason: Reason) -> Callable[[Place], Reason]:
    return lambda place: reason


def extension(value: x509.ExtensionType, *, critical: bool = False) -> Options:
    return {"extensions": [(value, critical)]}


OTHER_EKU = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
EXCLUDED = x509.NameConstraints(None, [x509.DNSName("lab.test")])
FAULTS: Mapping[str, Fault] = {
    "none": Fault({}, anywhere("")),
    "expired": Fault({"end": NOW - DAY}, anywhere("expired")),
    "of tomorrow": Fault({"start": NOW + DAY}, anywhere("not_yet_valid")),
    "no CA": Fault({"ca": False}, lambda at: "not_a_ca" if at.depth else ""),
    "signs lists alone": Fault({"key_usage": usage("crl_sign")}, anywhere("key_usage")),
    "signs code alone": Fault(extension(OTHER_EKU), lambda at: EKU_MISSING[at.role]),
    "odd extension": Fault(extension(UNKNOWN), anywhere("")),
    "odd critical extension": Fault(extension(UNKNOWN, critical=True), anywhere("critical_extension")),
    "forbids the name": Fault(extension(EXCLUDED, critical=True), lambda at: "name_constraint" if at.depth else ""),
    "no CA below": Fault({"path_length": 0}, lambda at: "path_length" if at.depth > 1 else ""),
    "forged": Fault({"forged": True}, lambda at: "" if at.is_root else "bad_signature"),
    "short key": Fault({"key": "weak"}, anywhere("weak_key")),
    "missing": Fault({"missing": True}, lambda at: "unknown_ca" if at.depth else ""),
    "curve spelled out": Fault({"spelled": True}, lambda at: "" if at.depth else "explicit_curve"),
}
cases = st.builds(
    lambda top, depth, role: Place(min(depth, top), top, role),
    st.integers(1, 4),
    st.integers(0, 4),
    st.sampled_from(("server", "client")),
)


class Line(NamedTuple):
    """Leaf first, and whether a certificate is left out."""

    certificates: tuple[Authority, ...]
    missing: int = -1


@lru_cache(maxsize=64)
def line(place: Place, name: str) -> Line:
    """A chain of `place.top` issuers with the fault at its place."""
    options = FAULTS[name].options
    made: list[Authority] = []
    for depth in range(place.top, -1, -1):
        made.insert(0, certificate(depth, made[0] if made else None, dict(options) if depth == place.depth else {}))
    return Line(tuple(made), place.depth if "missing" in options and place.depth else -1)


def certificate(depth: int, issuer: Authority | None, options: Options) -> Authority:
    common_name = f"CA {depth}" if depth else HOST
    if options.pop("spelled", False) and not depth:
        assert issuer is not None
        return spelling_out(common_name, depth, issuer)
    options.pop("missing", None)
    forged = options.pop("forged", False) and issuer is not None
    if forged and issuer is not None:
        issuer = Authority(issuer.certificate, sim_key(9, "ec-256"))
    key: PrivateKey = weak_key() if options.pop("key", "") else sim_key(depth, "ec-256")
    how: Options = {"ca": bool(depth), "key_ids": not forged} | options
    if not depth:
        how.pop("path_length", None)
        how["extensions"] = [*how.get("extensions", ()), (x509.SubjectAlternativeName([x509.DNSName(HOST)]), False)]  # type: ignore[misc]
    return issue(common_name, key, issuer, **how)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.rule("R-004", "R-006", "C-52")
@settings(max_examples=120, deadline=None, derandomize=True)
@given(place=cases, name=st.sampled_from(sorted(FAULTS)), held_whole=st.booleans())
def test_one_fault_has_one_reason_and_openssl_finds_it_too(*, place: Place, name: str, held_whole: bool) -> None:
    made = line(place, name)
    there = [each for depth, each in enumerate(made.certificates) if depth != made.missing]
    chain = tuple(each.der for each in (there[:1] if held_whole else there))
    root = made.certificates[-1:] if made.missing != place.top else ()
    held = tuple(each.der for each in (there[1:] if held_whole else root))
    wall = from_datetime(NOW)
    standard = Standard(trusted=held, usage=place.role, name=HOST if place.role == "server" else "", wall=wall)
    expected = FAULTS[name].reason(place)
    assert judge(Shown(chain), standard).reason == expected
    undated = undated_verdict(Shown(chain), standard)
    assert undated.reason == ("" if expected in {"expired", "not_yet_valid"} else expected)
    code = openssl_says(chain, made.certificates[0].key, standard)
    assert code in (reasons()[undated.reason].openssl if undated.reason else (0,))
    elsewhere = msgspec.structs.replace(standard, name="other.lab.test")
    if undated.trusted and place.role == "server":
        assert undated_verdict(Shown(chain), elsewhere).reason == "name_mismatch"
        assert openssl_says(chain, made.certificates[0].key, elsewhere) in reasons()["name_mismatch"].openssl
