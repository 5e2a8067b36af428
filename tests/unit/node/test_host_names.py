import ipaddress
from collections.abc import Sequence

import pytest
from cryptography import x509

from tests.unit.node.authorities import issue
from ucmlab.node.certificates import Certificate
from ucmlab.node.host_names import is_for


def called(*names: str, addresses: Sequence[str] = (), common_name: str = "Pub of the Lab") -> Certificate:
    """A certificate with those names."""
    general: list[x509.GeneralName] = [*map(x509.DNSName, names)]
    general += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    extensions = [(x509.SubjectAlternativeName(general), False)] if general else []
    return issue(common_name, 1, ca=False, extensions=extensions).certificate


@pytest.mark.rule("R-070")
def test_by_its_address_a_host_is_known_by_an_address_alone() -> None:
    by_name = called("pub.lab.test", common_name="10.1.2.3")
    assert is_for(by_name, "pub.lab.test")
    assert not is_for(by_name, "10.1.2.3")
    assert not is_for(called("10.1.2.3"), "10.1.2.3")
    assert is_for(called("pub.lab.test", addresses=["10.1.2.3", "fe80::1"]), "10.1.2.3")
    assert is_for(called(addresses=["fe80::1"]), "FE80:0::1")
    assert not is_for(called(addresses=["10.1.2.3"]), "10.1.2.4")


def test_letters_have_no_case() -> None:
    assert is_for(called("PUB.Lab.test"), "pub.lab.TEST")
    assert not is_for(called("pub.lab.test"), "sub1.lab.test")
    assert not is_for(called("pub.lab.test"), "pub.lab.test.")


def test_a_common_name_counts_where_no_dns_name_is() -> None:
    assert is_for(called(common_name="pub.lab.test"), "pub.lab.test")
    assert is_for(called(addresses=["10.1.2.3"], common_name="pub.lab.test"), "pub.lab.test")
    assert not is_for(called("sub1.lab.test", common_name="pub.lab.test"), "pub.lab.test")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*.lab.test", "pub.lab.test", True),
        ("*.lab.test", "PUB-1.LAB.test", True),
        ("*.lab.test", "lab.test", False),
        ("*.lab.test", ".lab.test", False),
        ("*.lab.test", "a.b.lab.test", False),
        ("*.lab.test", "a_b.lab.test", False),
        ("*.lab.test", "*.lab.test", True),
        ("*.test", "lab.test", False),
        ("*", "lab", False),
        ("p*.lab.test", "pub.lab.test", False),
        ("pub.*.test", "pub.lab.test", False),
        ("*.*.test", "pub.lab.test", False),
        ("*.-lab.test", "pub.-lab.test", False),
        ("*.-lab.test", "*.-lab.test", True),
        ("", "pub", False),
    ],
)
def test_an_asterisk_is_one_whole_first_label(pattern: str, name: str, *, expected: bool) -> None:
    assert is_for(called(pattern), name) is expected
    assert is_for(called(common_name=pattern or " "), name) is expected
