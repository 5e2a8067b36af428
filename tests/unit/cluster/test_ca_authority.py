"""What an authority makes of a request: honoured, ignored, distorted; dates; cross-signs; PKCS#7; CRLs."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.openssl import EC, RSA, new_request, openssl, verify
from tests.unit.node.certificate_factory import name
from ucmlab.cluster.ca.authority import der_of, pem_of, pkcs7_of
from ucmlab.cluster.ca.differences import differences
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.ca.office import Books, Office, open_root
from ucmlab.cluster.ca.requests import REQUEST_LIMIT, Request, common_name, read_request, server_request
from ucmlab.cluster.ca.terms import CLOCK_MARGIN, LEAF_LIFETIME, Terms
from ucmlab.cluster.ca.usages import key_usage_extension
from ucmlab.cluster.errors import Unusable
from ucmlab.node.certificates import parse
from ucmlab.node.errors import Refusal
from ucmlab.node.usages import usages_of

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
BESIDES = "keyUsage has besides"
DAY = timedelta(days=1)
TOMCAT = ("digitalSignature", "dataEncipherment")


@lru_cache(maxsize=1)
def customer() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(0xBEEF, ec.SECP256R1())


class Clock:
    """An office's clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def serials(count: int) -> int:
    return 0x1000 + count


def office(
    title: str = "Corp Root CA", *, clock: Clock | None = None, honours: bool = True, key: str = "ec-256"
) -> Office:
    return open_root(
        title,
        simulation_keys()(key),
        Books(),
        now=clock or Clock(),
        serials=serials,
        honours_request=honours,
    )


def below(root: Office, title: str = "Corp Issuing CA", *, key_number: int = 2) -> Office:
    keys = simulation_keys()
    key = [keys("ec-256") for _ in range(key_number)][-1]
    return Office(root.subordinate(title, key), Books(), now=Clock(), serials=serials)


def csr(*extensions: tuple[x509.ExtensionType, bool]) -> bytes:
    """A request as the product makes one: PEM, all names of a subject, extensions asked for."""
    builder = x509.CertificateSigningRequestBuilder(name("pub.lab.test"))
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(customer(), SHA256()).public_bytes(Encoding.PEM)


def tomcat() -> bytes:
    return csr(
        (key_usage_extension(frozenset(TOMCAT)), True),
        (x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH, x509.OID_CLIENT_AUTH]), False),
        (x509.SubjectAlternativeName([x509.DNSName("pub.lab.test"), x509.DNSName("lab.test")]), False),
    )


def extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.ExtensionType | None:
    return next((each.value for each in certificate.extensions if isinstance(each.value, kind)), None)


def usages(certificate: x509.Certificate) -> frozenset[str]:
    value = extension(certificate, x509.KeyUsage)
    return usages_of(value) if isinstance(value, x509.KeyUsage) else frozenset()


def test_what_a_request_asks_for_is_given() -> None:
    request = read_request(tomcat())
    made = office().sign(request, Terms())
    assert made.subject == name("pub.lab.test")
    assert made.public_key() == customer().public_key()
    asked = {each.oid: (each.critical, each.value) for each in request.extensions}
    given = {each.oid: (each.critical, each.value) for each in made.extensions}
    assert asked.items() <= given.items()
    assert differences(request, made) == []


@pytest.mark.rule("R-032", "R-031")
def test_who_does_not_honour_extension_requests_leaves_them_all_out_and_that_shows() -> None:
    request = read_request(tomcat())
    made = office(honours=False).sign(request, Terms(honours_request=False))
    kinds = [type(each.value) for each in made.extensions]
    assert kinds == [x509.BasicConstraints, x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier]
    assert differences(request, made) == [
        "keyUsage lacks digitalSignature, dataEncipherment",
        "extendedKeyUsage lacks serverAuth, clientAuth",
        "subjectAltName lacks pub.lab.test, lab.test",
    ]


@pytest.mark.rule("R-032")
def test_what_is_not_honoured_can_be_enabled_by_hand() -> None:
    terms = Terms.of(
        honours_request=False, add_key_usage=TOMCAT, eku=["serverAuth", "clientAuth"], san=["pub.lab.test"]
    )
    request = read_request(tomcat())
    assert differences(request, office().sign(request, terms)) == ["subjectAltName lacks lab.test"]


@pytest.mark.rule("R-031")
@pytest.mark.parametrize(
    ("terms", "differs"),
    [
        (Terms.of(drop_key_usage=["dataEncipherment"]), ["keyUsage lacks dataEncipherment"]),
        (Terms.of(drop_key_usage=["data_encipherment"]), ["keyUsage lacks dataEncipherment"]),
        (Terms.of(drop_key_usage=TOMCAT), ["keyUsage lacks digitalSignature, dataEncipherment"]),
        (Terms.of(add_key_usage=["key-agreement", "encipherOnly"]), [f"{BESIDES} keyAgreement, encipherOnly"]),
        (Terms.of(eku=["serverAuth"]), ["extendedKeyUsage lacks clientAuth"]),
        (Terms.of(eku=[]), ["extendedKeyUsage lacks serverAuth, clientAuth"]),
        (
            Terms.of(eku=["1.3.6.1.5.5.7.3.5", "1.2.3", "clientAuth"]),
            ["extendedKeyUsage lacks serverAuth", "extendedKeyUsage has besides ipsecEndSystem, 1.2.3"],
        ),
        (Terms.of(san=["pub.lab.test", "lab.test", "www.lab.test"]), ["subjectAltName has besides www.lab.test"]),
        (Terms.of(san=["lab.test", "pub.lab.test"]), []),
        (Terms.of(san=[]), ["subjectAltName lacks pub.lab.test, lab.test"]),
        (Terms.of(san=["127.0.0.1", "fe80::1", "a@lab.test", "*.lab.test"]), [
            "subjectAltName lacks pub.lab.test, lab.test",
            "subjectAltName has besides 127.0.0.1, fe80::1, a@lab.test, *.lab.test",
        ]),
    ],
)  # fmt: skip
def test_a_request_is_distorted_as_the_terms_say(terms: Terms, differs: list[str]) -> None:
    request = read_request(tomcat())
    assert differences(request, office().sign(request, terms)) == differs


@pytest.mark.rule("X-01")
def test_a_request_for_an_authority_keeps_its_constraints() -> None:
    # As the product's CAPF asks.
    capf = csr(
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (key_usage_extension(frozenset({"digitalSignature", "keyCertSign"})), True),
    )
    made = office().sign(read_request(capf), Terms())
    assert extension(made, x509.BasicConstraints) == x509.BasicConstraints(ca=True, path_length=0)
    assert usages(made) == {"digitalSignature", "keyCertSign"}
    ignored = office().sign(read_request(capf), Terms(honours_request=False))
    assert extension(ignored, x509.BasicConstraints) == x509.BasicConstraints(ca=False, path_length=None)
    assert differences(read_request(capf), ignored)[-2:] == [
        "basicConstraints lacks CA:TRUE pathlen 0",
        "basicConstraints has besides CA:FALSE",
    ]


def test_key_identifiers_are_the_authoritys_own_and_others_are_copied() -> None:
    other = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    another = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.5"), b"\x05\x00")
    asked = read_request(csr((x509.SubjectKeyIdentifier(b"mine"), False), (other, False), (another, True)))
    made = office().sign(asked, Terms())
    assert extension(made, x509.SubjectKeyIdentifier) == x509.SubjectKeyIdentifier.from_public_key(
        customer().public_key()
    )
    assert [each.value for each in made.extensions if each.oid.dotted_string.startswith("1.2.3.")] == [other, another]
    assert differences(asked, office().sign(asked, Terms(honours_request=False))) == [
        "1.2.3.4 is missing",
        "1.2.3.5 is missing",
    ]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: Terms.of(add_key_usage=["dataEncoding"]),
            "there is no key usage 'dataEncoding'; there are digitalSig",
        ),
        (
            lambda: Terms.of(eku=["server"]),
            "there is no extended key usage 'server'; there are serverAuth, clientAuth, ",
        ),
        (lambda: Terms.of(san=["a b"]), "'a b' is no DNS name, IP address or mail address: "),
        (lambda: Terms.of(san=[""]), "'' is no DNS name, IP address or mail address: "),
        (lambda: Terms.of(san=["bücher.test"]), "'bücher.test' is no DNS name, IP address or mail address: "),
        (lambda: Terms.of(digest="sha0"), "no signatures with 'sha0'; there are sha224, "),
        (
            lambda: office().sign(read_request(tomcat()), Terms.of(add_key_usage=["encipherOnly"])),
            "no key usage has dataEncipherment, digitalSignature, encipherOnly: ",
        ),
        (lambda: common_name("x" * 65), f"'{'x' * 65}' can be no common name; one has from 1 to 64 characters"),
        (lambda: common_name(""), "'' can be no common name; one has from 1 to 64 characters"),
        (lambda: pkcs7_of([], "pfx"), "there is no encoding 'pfx'; there are pem, der"),
    ],
)
def test_words_that_mean_nothing_are_said(make: object, text: str) -> None:
    assert callable(make)
    with pytest.raises(Unusable) as refused:
        make()
    assert refused.value.text.startswith(text)


# -- requests


def test_a_request_of_openssl_is_read_in_pem_and_der_and_with_text_around(tmp_path: Path) -> None:
    pem = new_request(tmp_path, "-addext", "subjectAltName=DNS:pub.lab.test", "-addext", "keyUsage=dataEncipherment")
    der = x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER)
    text = openssl("req", "-text", stdin=pem).encode()
    for data in (pem, der, text):
        request = read_request(data)
        assert request.subject.rfc4514_string() == "CN=pub.lab.test,O=Lab,C=US"
        assert [type(each.value) for each in request.extensions] == [x509.SubjectAlternativeName, x509.KeyUsage]


@pytest.mark.parametrize(
    ("key", "options"),
    [(EC, ["-sha1"]), (EC, ["-sha512"]), (RSA, ["-sha1"]), (RSA, ["-md5"]), (RSA, ["-sigopt", "rsa_padding_mode:pss"])],
)
def test_a_request_may_be_signed_in_any_way(key: Sequence[str], options: list[str], tmp_path: Path) -> None:
    pem = new_request(tmp_path, *options, key=key)
    assert read_request(pem).extensions == ()
    changed = bytearray(x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER))
    changed[changed.index(b"lab.test") + 1] = ord("o")
    with pytest.raises(Refusal, match=r"^signature: the request is not signed with the key that it holds"):
        read_request(bytes(changed))


def forged() -> bytes:
    """Signed by another key than the one in it."""
    der = bytearray(x509.load_pem_x509_csr(tomcat()).public_bytes(Encoding.DER))
    at = der.index(b"lab.test")
    der[at : at + 3] = b"lob"
    return bytes(der)


def private_key() -> bytes:
    return customer().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"x" * (REQUEST_LIMIT + 1), "too_large"),
        (b"garbage", "format"),
        (b"\x30\x03\x02\x01\x01", "format"),
        (tomcat()[:-100], "format"),
        (pem_of(office().authority.chain), "format"),
        (tomcat() + private_key(), "private_key"),
        (forged(), "signature"),
    ],
)
def test_what_is_no_request_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_request(data)
    assert refused.value.reason == reason


def test_an_extension_that_is_malformed_is_no_format() -> None:
    broken = x509.UnrecognizedExtension(x509.KeyUsage.oid, b"\x05\x00")
    with pytest.raises(Refusal, match=r"^format: the extensions that the request asks for are malformed"):
        read_request(csr((broken, False)))


def with_subject(before: bytes, after: bytes) -> bytes:
    """A request with some bytes of its subject changed, signed anew by its own key."""
    made = x509.load_pem_x509_csr(tomcat())
    content = made.tbs_certrequest_bytes.replace(before, after, 1)
    signature = customer().sign(content, ec.ECDSA(SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    bits = b"\x03" + bytes([len(signature) + 1]) + b"\0" + signature
    length = len(content) + len(algorithm) + len(bits)
    return b"\x30\x82" + length.to_bytes(2) + content + algorithm + bits


def test_a_request_signed_anew_is_a_request() -> None:
    assert read_request(with_subject(b"Lab, Inc.", b"Lob, Inc.")).subject != name("pub.lab.test")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Lab, Inc.", b"Lab, \xff\xfe\xfd."),
        (b"\x0c\x09Lab, Inc.", "\x13\x09Löb, Inc".encode()),  # PrintableString has no such letters
        (b"\x55\x04\x0a", b"\x55\x04\x8a"),
    ],
    ids=["no UTF-8", "no ASCII", "no identifier"],
)
def test_a_subject_that_nobody_can_read_is_refused(before: bytes, after: bytes) -> None:
    with pytest.raises(Refusal, match=r"^format: "):
        read_request(with_subject(before, after))


def test_a_subject_with_a_long_country_is_signed_as_it_is() -> None:
    asked = read_request(with_subject(b"\x55\x04\x0a", b"\x55\x04\x06"))
    made = office().sign(asked, Terms())
    assert parse(der_of(made)).subject == "CN=pub.lab.test,C=Lab\\, Inc.,C=US"


@settings(max_examples=300, deadline=None, derandomize=True)
@given(at=st.integers(0, 1023), byte=st.integers(0, 255))
def test_a_request_with_a_byte_changed_is_refused_and_never_more(at: int, byte: int) -> None:
    der = bytearray(x509.load_pem_x509_csr(tomcat()).public_bytes(Encoding.DER))
    before = bytes(der)
    der[at % len(der)] = byte
    if bytes(der) != before:
        with pytest.raises(Refusal):
            read_request(bytes(der))


# -- dates


def dates(root: Office, **given: datetime) -> tuple[datetime, datetime]:
    made = root.sign(read_request(tomcat()), Terms(), **given)
    return made.not_valid_before_utc, made.not_valid_after_utc


def test_dates_follow_from_now_unless_they_are_given() -> None:
    root = office()
    early, late = NOW - 900 * DAY, NOW + 9000 * DAY
    assert dates(root) == (NOW - CLOCK_MARGIN, NOW + LEAF_LIFETIME)
    assert dates(root, not_before=NOW + DAY) == (NOW + DAY, NOW + DAY + LEAF_LIFETIME)
    assert dates(root, not_before=early, not_after=late) == (early, late)
    assert dates(root, not_after=(NOW + DAY).replace(tzinfo=None)) == (NOW - CLOCK_MARGIN, NOW + DAY)


def test_a_certificate_that_has_expired_began_before_it_ended() -> None:
    start, end = dates(office(), not_after=NOW - 30 * DAY)
    assert (start, end) == (NOW - 30 * DAY - LEAF_LIFETIME, NOW - 30 * DAY)


def test_no_certificate_outlives_its_issuer_unless_it_is_told_to() -> None:
    clock = Clock()
    root = office(clock=clock)
    end = root.authority.certificate.not_valid_after_utc
    clock.now = end - DAY
    assert dates(root) == (end - DAY - CLOCK_MARGIN, end)
    assert dates(root, not_after=end + DAY)[1] == end + DAY
    # One that has expired limits nothing.
    clock.now = end + 9 * DAY
    assert dates(root)[1] == end + 9 * DAY + LEAF_LIFETIME


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"not_before": NOW, "not_after": NOW - DAY},
            r"^a certificate cannot end \(2026-01-04 08:00:00\) before it begins",
        ),
        ({"not_before": datetime(1949, 12, 31, tzinfo=UTC)}, r"^a certificate cannot begin before 1950$"),
    ],
)
def test_dates_that_cannot_be_are_said(given: dict[str, datetime], text: str) -> None:
    root = office()
    with pytest.raises(Unusable, match=text):
        root.sign(read_request(tomcat()), Terms(), **given)
    assert len(root.books.issued) == 1


# -- chains


def test_a_chain_and_a_cross_sign_are_two_ways_up_for_one_leaf(tmp_path: Path) -> None:
    root, partner = office(), below_other()
    issuing = below(root)
    leaf = issuing.sign(server_request("pub.lab.test", customer().public_key()), Terms())
    crossed = partner.cross_sign(root.authority)
    assert crossed.certificate.subject == root.authority.certificate.subject
    assert crossed.certificate.public_key() == root.authority.certificate.public_key()
    above = pem_of([issuing.authority.certificate])
    own, other = pem_of(root.authority.chain), pem_of(partner.authority.chain)
    assert verify(tmp_path, pem_of([leaf]), roots=own, above=above, at=NOW).endswith(": OK\n")
    by_partner = above + pem_of([crossed.certificate])
    assert verify(tmp_path, pem_of([leaf]), roots=other, above=by_partner, at=NOW).endswith(": OK\n")
    assert [each.subject for each in crossed.chain] == [
        each.subject for each in (*root.authority.chain, *partner.authority.chain)
    ]


def below_other() -> Office:
    keys = simulation_keys()
    key = [keys("ec-256") for _ in range(3)][-1]
    return open_root("Partner Root CA", key, Books(), now=Clock(), serials=serials)


def test_an_authority_does_not_vouch_for_itself() -> None:
    root = office()
    with pytest.raises(Unusable, match=r"^an authority cannot cross-sign itself; name another one$"):
        root.cross_sign(root.authority)


@pytest.mark.rule("R-025", "R-014")
@pytest.mark.parametrize("encoding", ["pem", "der"])
def test_openssl_prints_the_certificates_of_a_pkcs7(encoding: str) -> None:
    issuing = below(office())
    leaf = issuing.sign(server_request("pub.lab.test", customer().public_key()), Terms())
    made = pkcs7_of([leaf, *issuing.authority.chain], encoding)
    printed = openssl("pkcs7", "-inform", encoding.upper(), "-print_certs", stdin=made).encode()
    assert set(x509.load_pem_x509_certificates(printed)) == {leaf, *issuing.authority.chain}


def test_a_server_gets_what_servers_get() -> None:
    made = office().sign(server_request("ldap.corp.test", customer().public_key()), Terms())
    assert usages(made) == {"digitalSignature", "keyEncipherment"}
    assert extension(made, x509.SubjectAlternativeName) == x509.SubjectAlternativeName([x509.DNSName("ldap.corp.test")])
    bare = office().sign(server_request("A Server", customer().public_key(), key_usage=(), eku=()), Terms())
    assert [type(each.value) for each in bare.extensions] == [
        x509.BasicConstraints,
        x509.SubjectKeyIdentifier,
        x509.AuthorityKeyIdentifier,
    ]


# -- revocation


def revoked(desk: Office) -> dict[int, object]:
    reasons: dict[int, object] = {}
    for each in desk.crl():
        reason = next((found.value for found in each.extensions), None)
        reasons[each.serial_number] = reason.reason if isinstance(reason, x509.CRLReason) else None
    return reasons


def leaf_of(desk: Office, request: Request | None = None) -> str:
    made = desk.sign(request or server_request("pub.lab.test", customer().public_key()), Terms())
    return f"{made.serial_number:x}"


def test_openssl_refuses_what_the_list_has(tmp_path: Path) -> None:
    root = office()
    made = [root.sign(server_request(f"{each}.lab.test", customer().public_key()), Terms()) for each in ("good", "bad")]
    root.revoke(f"{made[1].serial_number:x}", "keyCompromise")
    (roots, crls) = (pem_of(root.authority.chain), root.crl().public_bytes(Encoding.PEM))
    assert verify(tmp_path, pem_of(made[:1]), roots=roots, crls=crls, at=NOW).endswith(": OK\n")
    with pytest.raises(AssertionError, match="certificate revoked"):
        verify(tmp_path, pem_of(made[1:]), roots=roots, crls=crls, at=NOW)


def test_only_a_hold_can_be_lifted_or_be_made_final() -> None:
    clock = Clock()
    root = office(clock=clock)
    held, gone = leaf_of(root), leaf_of(root)
    root.revoke(held, "certificateHold")
    root.revoke(gone, "unspecified")
    assert revoked(root) == {int(held, 16): x509.ReasonFlags.certificate_hold, int(gone, 16): None}
    root.unhold(held)
    assert revoked(root) == {int(gone, 16): None}
    first = root.revoke(held, "certificate-hold")
    clock.now += DAY
    assert root.revoke(held, "keyCompromise").at == first.at
    for serial, reason in ((gone, "superseded"), (held, "certificateHold")):
        with pytest.raises(Unusable, match=rf"^{serial} is revoked already, for "):
            root.revoke(serial, reason)
    with pytest.raises(Unusable, match=rf"^{held} is revoked for keyCompromise; only certificateHold can be lifted$"):
        root.unhold(held)


def test_what_was_never_issued_or_revoked_is_said() -> None:
    root = office()
    with pytest.raises(Unusable, match=r"^Corp Root CA issued no certificate abc, so it cannot revoke or release it$"):
        root.revoke("abc", "superseded")
    with pytest.raises(Unusable, match=r"is not revoked, so no hold can be lifted$"):
        root.unhold(leaf_of(root))
    with pytest.raises(Unusable, match=r"^there is no reason 'boredom' to revoke for; there are unspecified, "):
        root.revoke(leaf_of(root), "boredom")


def test_lists_are_numbered_upwards_and_the_same_moment_gives_the_same_list() -> None:
    clock = Clock()
    root = office(clock=clock)

    def number() -> int:
        return root.crl().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    numbers = [number()]
    assert root.crl() == root.crl()
    serial = leaf_of(root)
    root.revoke(serial, "certificateHold")
    numbers.append(number())
    root.unhold(serial)
    numbers.append(number())
    clock.now += DAY
    numbers.append(number())
    assert numbers == sorted(set(numbers))


def test_an_authority_below_another_stands_in_that_ones_books() -> None:
    root = office()
    issuing = below(root)
    assert [each.common_name for each in root.books.issued.values()] == ["Corp Root CA", "Corp Issuing CA"]
    assert [each.fingerprint for each in issuing.books.issued.values()] == []
    assert der_of(issuing.authority.chain[1]) == der_of(root.authority.certificate)
