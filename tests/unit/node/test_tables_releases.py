"""What differs between releases (A.19), how large a cluster may be (B.3), keys (B.4), delays (A.22)."""

import pytest

from tests.unit.node.rule_tables import RELEASES, books, differences, in_release

LIMITS = {"publishers": 1, "call_processing": 8, "subscribers": 20, "imp": 6}
"""Ours: general knowledge, no source in the rule book."""
KEYS = {
    "rsa-1024": "sha256 sha384 sha512",  # B.4: offered still; RSA's hashes are ours
    "rsa-2048": "sha256 sha384 sha512",
    "rsa-3072": "sha256 sha384 sha512",
    "rsa-4096": "sha256 sha384 sha512",
    "ec-256": "sha256 sha384 sha512",  # B.4
    "ec-384": "sha384 sha512",  # B.4
    "ec-521": "sha512",  # ours
}
YEARS = (5, 10, 15, 20)
"""B.4: what is offered for a self-signed certificate."""
VERSIONS = {
    "10.5": "10.5.2.10000-5",
    "11.0": "11.0.1.10000-10",
    "11.5": "11.5.1.10000-6",
    "12.0": "12.0.1.10000-10",
    "12.5": "12.5.1.10000-22",
    "14": "14.0.1.10000-20",
    "14SU1": "14.0.1.11900-132",
    "14SU2": "14.0.1.12900-161",
    "14SU3": "14.0.1.13900-155",
    "15": "15.0.1.10000-32",
}
"""Ours: general knowledge, but for their form (W3.2)."""
HALF_AN_HOUR_S = 1800
INSTANT = {
    "row_replication_s": (0, 0),
    "change_notification_s": (0, 0),
    "service_times": False,
    "resync_s": HALF_AN_HOUR_S,
}
PRODUCT = {
    "row_replication_s": (1, 5),  # A.22, assumed there
    "change_notification_s": (5, 30),  # A.22, assumed there
    "service_times": True,
    "resync_s": HALF_AN_HOUR_S,  # A.22, K1
}


def facts(release: str) -> dict[str, object]:
    return {
        "name": release,
        "version": VERSIONS[release],
        "replication": "faithful" if in_release(release, "11.0..") else "legacy",  # A.19, X-09
        "trust_file_names": "cn_serial" if in_release(release, "14SU1..") else "cn",  # A.19, B.5
        "capf_on_subscribers": in_release(release, "..14"),  # A.19, B.1
        "ou_option": in_release(release, "14SU1.."),  # A.19
    }


@pytest.mark.rule("A.19", "B.5", "X-09")
def test_every_release_differs_as_the_documents_say() -> None:
    for release, profile, book in books():
        assert (book.releases, book.profile) == (RELEASES, profile)
        assert differences({release: book.release}, {release: facts(release)}) == []


def test_a_cluster_may_be_as_large_as_the_product_lets_it_be() -> None:
    for _, _, book in books():
        assert differences({"limits": book.limits}, {"limits": LIMITS}) == []


@pytest.mark.rule("B.4", "R-092")
def test_keys_what_may_sign_with_them_and_how_long_it_lasts_are_as_the_documents_say() -> None:
    expected = {name: {"name": name, "hashes": tuple(hashes.split())} for name, hashes in KEYS.items()}
    for _, _, book in books():
        assert differences(book.keys, expected) == []
        assert book.validity_years == YEARS


@pytest.mark.rule("A.22")
def test_delays_are_as_the_documents_say() -> None:
    for _, _, book in books():
        assert differences(book.timings, {"instant": INSTANT, "product": PRODUCT}) == []
