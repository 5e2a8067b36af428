"""A story's own certification authorities."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.fakes import FakeLab
from tests.openssl import openssl, verify
from tests.unit.node.certificate_factory import name
from tests.unit.scenarios.told import Script, told
from ucmlab.cluster.ca.keys import KINDS
from ucmlab.cluster.ca.usages import key_usage_extension
from ucmlab.cluster.errors import Unusable
from ucmlab.node.usages import usages_of
from ucmlab.scenarios import Lab
from ucmlab.scenarios.ca import Chained

NAMES = ("pub.lab.test", "lab.test")


def csr() -> bytes:
    """As a node's Tomcat would ask."""
    usage = key_usage_extension(frozenset({"digitalSignature", "dataEncipherment"}))
    return (
        x509.CertificateSigningRequestBuilder(name("pub.lab.test"))
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH, x509.OID_CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, NAMES))), critical=False)
        .sign(ec.derive_private_key(99, ec.SECP256R1()), hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def extensions(leaf: Chained) -> dict[type[x509.ExtensionType], x509.ExtensionType]:
    return {type(each.value): each.value for each in x509.load_pem_x509_certificate(leaf.pem).extensions}


def names_in(leaf: Chained) -> list[str]:
    value = extensions(leaf).get(x509.SubjectAlternativeName)
    return [str(each.value) for each in value] if isinstance(value, x509.SubjectAlternativeName) else []


def bits_of(leaf: Chained) -> frozenset[str]:
    value = extensions(leaf).get(x509.KeyUsage)
    return usages_of(value) if isinstance(value, x509.KeyUsage) else frozenset()


def tell(script: Script, *, seed: int = 1) -> None:
    """Tell a story that must come to its end."""

    async def whole(lab: Lab) -> None:
        await script(lab)
        lab.check(True, "it came to its end")

    result = told(whole, seed=seed)
    assert (result.verdict, result.trouble) == ("held", None)


@pytest.mark.rule("R-145")
def test_a_request_is_signed_and_the_chain_verifies_at_lab_time(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA")
        issuing = await lab.ca("Corp Issuing CA", parent=root, key="ec-256")
        leaf = await issuing.sign(csr())
        assert verify(tmp_path, leaf.pem, roots=root.pem, above=leaf.chain_pem, at=lab.now).endswith(": OK\n")
        whole = [each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(leaf.chain_pem)]
        assert whole == [leaf.der, issuing.der, root.der]
        assert issuing.chain_pem == issuing.pem + root.pem
        assert (leaf.alone().chain_pem, leaf.alone().fingerprint) == (leaf.pem, leaf.fingerprint)
        assert names_in(leaf) == list(NAMES)
        assert repr(leaf) == f"<Leaf pub.lab.test {leaf.fingerprint[:12]}>"
        assert repr(root) == f"<CA Corp Root CA {root.fingerprint[:12]}>"

    tell(story)


@pytest.mark.rule("R-032")
def test_a_ca_that_does_not_honour_requests_gives_only_what_it_is_told_to() -> None:
    async def story(lab: Lab) -> None:
        strict = await lab.ca("Strict CA", key="ec-256", honours_extension_request=False)
        bare = await strict.sign(csr())
        assert not {x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName} & set(extensions(bare))
        by_hand = await strict.sign(csr(), add_key_usage=["digitalSignature"], eku=["serverAuth"], san=["pub.lab.test"])
        assert bits_of(by_hand) == {"digitalSignature"}
        assert names_in(by_hand) == ["pub.lab.test"]

    tell(story)


def test_a_ca_distorts_what_it_signs() -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA", key="ec-384")
        changed = await root.sign(
            csr(),
            drop_key_usage=["dataEncipherment"],
            add_key_usage=["keyAgreement"],
            eku=["serverAuth"],
            san=[*NAMES, "www.lab.test"],
            hash="sha1",
            not_before=lab.now - timedelta(days=60),
            not_after=lab.now - timedelta(days=1),
        )
        read = x509.load_pem_x509_certificate(changed.pem)
        assert bits_of(changed) == {"digitalSignature", "keyAgreement"}
        assert names_in(changed) == [*NAMES, "www.lab.test"]
        assert extensions(changed)[x509.ExtendedKeyUsage] == x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH])
        assert isinstance(read.signature_hash_algorithm, hashes.SHA1)
        assert read.not_valid_after_utc == (lab.now - timedelta(days=1)).replace(microsecond=0)

    tell(story)


def test_a_server_outside_gets_a_key_and_a_certificate() -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA", key="ec-256")
        ldap = await root.issue("ldap.corp.test", key="ec-256")
        assert names_in(ldap) == ["ldap.corp.test"]
        assert bits_of(ldap) == {"digitalSignature", "keyEncipherment"}
        sip = await root.issue("sip.corp.test", key="ed25519", eku=["clientAuth"], san=["10.0.0.1"])
        assert names_in(sip) == ["10.0.0.1"]

    tell(story)


@pytest.mark.rule("R-025")
def test_certificates_come_as_pkcs7() -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA", key="ec-256")
        issuing = await lab.ca("Corp Issuing CA", parent=root, key="ec-256")
        leaf = await issuing.sign(csr())

        def printed(made: bytes, form: str) -> set[bytes]:
            text = openssl("pkcs7", "-inform", form, "-print_certs", stdin=made).encode()
            return {each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(text)}

        assert printed(issuing.pkcs7(), "PEM") == {issuing.der, root.der}
        assert printed(issuing.pkcs7(leaf, root, encoding="der"), "DER") == {leaf.der, root.der}

    tell(story)


def test_a_cross_signed_ca_is_the_same_ca_below_another(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        root, partner = await lab.ca("Corp Root CA", key="ec-256"), await lab.ca("Partner Root CA", key="ec-256")
        crossed = await partner.cross_sign(root)
        leaf = await crossed.sign(csr())
        assert verify(tmp_path, leaf.pem, roots=partner.pem, above=leaf.chain_pem, at=lab.now).endswith(": OK\n")
        assert verify(tmp_path, leaf.pem, roots=root.pem, at=lab.now).endswith(": OK\n")
        # One name and one key, so one list of what is revoked.
        await root.revoke(leaf, "superseded")
        assert len(x509.load_pem_x509_crl(crossed.crl())) == 1
        await partner.revoke(crossed, "cACompromise")
        assert len(x509.load_der_x509_crl(partner.crl(encoding="der"))) == 1

    tell(story)


def test_what_is_revoked_is_on_the_list_of_that_instant(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA", key="ec-256")
        leaf, other = await root.sign(csr()), await root.sign(csr())
        assert root.crl() == root.crl()
        await lab.wait("1h")
        await root.revoke(leaf, "certificateHold")
        listed = x509.load_pem_x509_crl(root.crl())
        assert [each.revocation_date_utc for each in listed] == [lab.now.replace(microsecond=0)]
        crl = root.crl()
        assert verify(tmp_path, other.pem, roots=root.pem, crls=crl, at=lab.now).endswith(": OK\n")
        with pytest.raises(AssertionError, match="certificate revoked"):
            verify(tmp_path, leaf.pem, roots=root.pem, crls=crl, at=lab.now)
        await root.unhold(leaf)
        assert len(x509.load_pem_x509_crl(root.crl())) == 0
        stranger = await (await lab.ca("Corp Root CA", key="ec-256")).sign(csr())
        for wrong in (root.revoke(stranger), root.unhold(stranger), root.revoke(await lab.ca("Other", key="ec-256"))):
            with pytest.raises(Unusable, match=r"so it cannot revoke or release it$"):
                await wrong

    tell(story)


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulated_ca_issues_the_same_in_every_run_of_a_seed(kind: str) -> None:
    made: list[tuple[bytes, bytes, bytes]] = []

    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA", key=kind)
        leaf = await (await lab.ca("Corp Issuing CA", parent=root, key=kind)).sign(request)
        await root.revoke(await root.sign(request), "superseded")
        made.append((leaf.chain_pem, root.crl(), root.pkcs7(leaf)))

    request = csr()
    tell(story)
    tell(story)
    tell(story, seed=2)
    assert made[0] == made[1]
    assert not set(made[1]) & set(made[2])


def test_a_leaf_is_named_by_its_ca() -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA", key="ec-256")
        await lab.node("pub").upload("tomcat-trust", (await root.issue("ldap.corp.test", key="ec-256")).der)
        await lab.node("pub").upload("tomcat-trust", (await (await lab.ca("P", key="ec-256")).cross_sign(root)).der)
        await lab.wait("1m")
        lab.check(True, "uploaded")

    stores = told(story, port=FakeLab()).stores
    assert stores["pub"]["tomcat-trust"] == ["ca:Corp Root CA/ldap.corp.test#1", "ca:P/Corp Root CA#1"]


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda lab, root: lab.ca("x", key="rsa-1024"), "no CA with a key 'rsa-1024'; there are rsa-2048, "),
        (lambda lab, root: lab.ca("x", hash="sha3"), "no signatures with 'sha3'; there are sha224, "),
        (lambda lab, root: root.sign(b"x"), "Corp Root CA does not sign this, format: it is no certificate signing"),
        (lambda lab, root: root.sign(csr(), eku=["web"]), "there is no extended key usage 'web'; "),
        (lambda lab, root: root.issue("x", key="dsa"), "no CA with a key 'dsa'; "),
        (lambda lab, root: root.cross_sign(root), "an authority cannot cross-sign itself; "),
    ],
)
def test_what_cannot_be_asked_of_a_ca_is_unusable(ask: object, text: str) -> None:
    async def story(lab: Lab) -> None:
        assert callable(ask)
        await ask(lab, await lab.ca("Corp Root CA", key="ec-256"))

    with pytest.raises(Unusable) as refused:
        told(story)
    assert refused.value.text.startswith(text)


def responders_in(leaf: Chained) -> list[str]:
    value = extensions(leaf).get(x509.AuthorityInformationAccess)
    return [each.access_location.value for each in value] if isinstance(value, x509.AuthorityInformationAccess) else []


def test_certificates_name_the_responder_that_the_ca_has_or_another_or_none() -> None:
    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA")
        lab.check(responders_in(await root.sign(csr())) == [], "it has none yet")
        ocsp = await root.responder("delegated")
        lab.check(responders_in(await root.sign(csr())) == [ocsp.url], "its own")
        lab.check(responders_in(await root.issue("x", ocsp="http://va.test")) == ["http://va.test"], "another")
        lab.check(responders_in(await root.issue("x", ocsp="")) == [], "none")
        lab.check(b"BEGIN CERTIFICATE" in ocsp.signer_pem, "its signer can be uploaded")
        lab.check(list(ocsp.queries) == [], "nobody has asked")
        for act in (ocsp.stop(), ocsp.start(), ocsp.slow("30s"), ocsp.slow(None), ocsp.stale(), ocsp.refuse()):
            await act
        with pytest.raises(Unusable, match="no responder refuses with 'never'; there are"):
            await ocsp.refuse("never")
        with pytest.raises(Unusable, match="no responder whose answers 'root' signs"):
            await root.responder("root")

    tell(story)


def test_what_a_request_says_about_a_responder_is_kept_unless_the_ca_says_another() -> None:
    def asking(uri: str) -> bytes:
        where = x509.UniformResourceIdentifier(uri)
        access = x509.AccessDescription(x509.oid.AuthorityInformationAccessOID.OCSP, where)
        return (
            x509.CertificateSigningRequestBuilder(name("pub.lab.test"))
            .add_extension(x509.AuthorityInformationAccess([access]), critical=False)
            .sign(ec.derive_private_key(99, ec.SECP256R1()), hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )

    async def story(lab: Lab) -> None:
        root = await lab.ca("Corp Root CA")
        lab.check(responders_in(await root.sign(asking("http://a.test"))) == ["http://a.test"], "as asked")
        made = await root.sign(asking("http://a.test"), ocsp="http://b.test")
        lab.check(responders_in(made) == ["http://b.test"], "as said")

    tell(story)
