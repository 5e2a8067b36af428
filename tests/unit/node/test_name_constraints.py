import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.unit.node.authorities import issue
from tests.unit.node.certificate_factory import name
from ucmlab.node.name_constraints import constrained_names, limits, why_forbidden

ROOT = issue("Corp Root CA", 1)


def dns(value: str) -> x509.GeneralName:
    return x509.DNSName(value)


def mail(value: str) -> x509.GeneralName:
    """The library takes no malformed ones, of its own accord."""
    return x509.RFC822Name._init_without_validation(value)


def uri(value: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(value)


def address(value: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(value))


def network(value: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_network(value))


def directory(**parts: str) -> x509.GeneralName:
    kinds = {"c": NameOID.COUNTRY_NAME, "o": NameOID.ORGANIZATION_NAME, "cn": NameOID.COMMON_NAME}
    return x509.DirectoryName(x509.Name([x509.NameAttribute(kinds[kind], part) for kind, part in parts.items()]))


def other(kind: str) -> x509.GeneralName:
    return x509.OtherName(x509.ObjectIdentifier(kind), b"\x05\x00")


def judged(constraints: x509.NameConstraints, *sans: x509.GeneralName, common_name: str = "leaf") -> str:
    """What a CA with those constraints says about a leaf."""
    ca = issue("Corp Issuing CA", 2, ROOT, extensions=[(constraints, True)])
    extensions = [(x509.SubjectAlternativeName(sans), False)] if sans else []
    leaf = issue(common_name, 3, ca, ca=False, extensions=extensions)
    return why_forbidden(limits(ca.der), constrained_names(leaf.certificate, leaf=True))


def permits(limit: x509.GeneralName, san: x509.GeneralName) -> bool:
    """Whether it is let through as permitted, and stopped as excluded: the two are one question."""
    permitted = not judged(x509.NameConstraints([limit], None), san)
    excluded = bool(judged(x509.NameConstraints(None, [limit]), san))
    assert permitted == excluded
    return permitted


@pytest.mark.parametrize(
    ("limit", "inside", "outside"),
    [
        (dns("lab.example"), ["lab.example", "PUB.Lab.Example", "a.b.lab.example"], ["example", "xlab.example"]),
        (dns(".lab.example"), ["pub.lab.example"], ["lab.example"]),
        (dns(""), ["anything.example"], []),
    ],
)
def test_host_names(limit: x509.GeneralName, inside: list[str], outside: list[str]) -> None:
    assert [permits(limit, dns(each)) for each in inside] == [True] * len(inside)
    assert [permits(limit, dns(each)) for each in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("limit", "inside", "outside"),
    [
        ("admin@lab.example", ["admin@LAB.example"], ["Admin@lab.example", "x@lab.example"]),
        ("lab.example", ["x@Lab.example"], ["x@sub.lab.example"]),
        (".lab.example", ["x@sub.lab.example"], ["x@lab.example"]),
    ],
)
def test_mail_addresses(limit: str, inside: list[str], outside: list[str]) -> None:
    assert all(permits(mail(limit), mail(each)) for each in inside)
    assert not any(permits(mail(limit), mail(each)) for each in outside)


def test_addresses_and_networks() -> None:
    assert permits(network("10.0.0.0/8"), address("10.1.2.3"))
    assert not permits(network("10.0.0.0/8"), address("11.1.2.3"))
    assert not permits(network("10.0.0.0/8"), address("fe80::1"))
    assert permits(network("fe80::/16"), address("fe80::1"))


def test_uris_by_their_host() -> None:
    assert permits(uri("lab.example"), uri("https://user@LAB.example:8443/page"))
    assert not permits(uri("lab.example"), uri("https://pub.lab.example/page"))
    assert permits(uri(".lab.example"), uri("https://pub.lab.example"))


def test_directory_names_by_how_they_begin() -> None:
    limit = directory(c="US", o="lab,  INC.")
    assert permits(limit, x509.DirectoryName(name("pub")))
    assert not permits(directory(c="US", o="Other"), directory(c="US", o="Lab"))


def test_kinds_that_have_no_order_are_neither_permitted_nor_let_through() -> None:
    assert judged(x509.NameConstraints([other("1.2.3")], None), other("1.2.3"))
    assert judged(x509.NameConstraints(None, [other("1.2.3")]), other("1.2.3"))
    assert not judged(x509.NameConstraints(None, [other("1.2.4")]), other("1.2.3"))
    registered = x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))
    assert judged(x509.NameConstraints(None, [registered]), registered)


def test_a_kind_that_is_not_spoken_of_is_free() -> None:
    assert not judged(x509.NameConstraints([dns("lab.example")], None), address("10.0.0.1"))


def test_a_ca_without_constraints_forbids_nothing() -> None:
    assert limits(ROOT.der).count == 0
    assert why_forbidden(limits(ROOT.der), constrained_names(ROOT.certificate, leaf=True)) == ""


def test_the_common_name_of_a_leaf_counts_where_no_dns_name_is() -> None:
    only_lab = x509.NameConstraints([dns("lab.example")], None)
    assert judged(only_lab, common_name="pub.other.example") == "does not permit the name pub.other.example"
    assert not judged(only_lab, common_name="Pub of the Lab")
    assert not judged(only_lab, dns("pub.lab.example"), common_name="pub.other.example")
    ca = issue("sub.other.example", 2, ROOT)
    assert [each.kind for each in constrained_names(ca.certificate, leaf=False)] == ["directory"]


def test_the_subject_and_the_mail_addresses_in_it_count() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "Admin@Lab.Example")])
    leaf = issue(subject, 3, ROOT, ca=False)
    named = constrained_names(leaf.certificate, leaf=True)
    assert [(each.kind, each.text) for each in named[1:]] == [("mail", "Admin@Lab.Example")]
    assert constrained_names(issue(x509.Name([]), 3, ROOT, ca=False).certificate, leaf=True) == ()


def test_what_is_excluded_is_said() -> None:
    said = judged(x509.NameConstraints([dns("lab.example")], [dns("pub.lab.example")]), dns("pub.lab.example"))
    assert said == "excludes the name pub.lab.example"


@pytest.mark.parametrize("san", [mail("lab.example"), uri("lab.example"), uri("urn:lab:x"), uri("http:///page")])
def test_a_name_without_a_host_is_not_let_through_where_its_kind_is_spoken_of(san: x509.GeneralName) -> None:
    limit = uri(".lab.example") if isinstance(san, x509.UniformResourceIdentifier) else mail(".lab.example")
    assert judged(x509.NameConstraints(None, [limit]), san).endswith("which cannot be compared,")
    assert judged(x509.NameConstraints([limit], None), san).endswith("which cannot be compared,")
    assert not judged(x509.NameConstraints(None, [dns("other.example")]), san)


def test_an_empty_limit_is_all_host_names_but_no_mail_address_and_no_uri() -> None:
    assert not permits(uri(""), uri("https://lab.example"))
    assert not permits(mail(""), mail("x@lab.example"))


@pytest.mark.parametrize(
    ("common_name", "is_host"), [("a_b.lab.other", True), ("-a.lab.other", False), ("a-.lab", False)]
)
def test_which_common_names_are_host_names(common_name: str, *, is_host: bool) -> None:
    assert bool(judged(x509.NameConstraints([dns("lab.example")], None), common_name=common_name)) == is_host
