import ssl
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509

from tests.contract.handshaking import ends, key_pem, shake_hands, verify_code
from tests.unit.node.authorities import Authority, issue, usage
from tests.unit.node.certificate_factory import START
from ucmlab.cluster.simkeys import sim_key
from ucmlab.cluster.tls_contexts import FLAGS, NO_CHECK_TIME, Family, Identity, client_context, server_context
from ucmlab.cluster.tls_peers import Connection, chain_of_peer, hear_chains
from ucmlab.node.handshake import Shown, Standard, date_verdict, judge, sent
from ucmlab.node.instant import DAY, from_datetime

HOST = "pub.lab.test"
SANS = [(x509.SubjectAlternativeName([x509.DNSName(HOST)]), False)]
ROOT = issue("Corp Root CA", 1)
ISSUING = issue("Corp Issuing CA", 2, ROOT)
EC = issue(HOST, 3, ISSUING, ca=False, extensions=SANS)
RSA = issue(HOST, sim_key(1, "rsa-2048"), ISSUING, ca=False, extensions=SANS)
CHAIN = Shown((EC.der, ISSUING.der))


def identity(leaf: Authority, *above: Authority) -> Identity:
    return Identity(chain=(leaf.der, *(each.der for each in above)), key=key_pem(leaf.key))


def connected(client: ssl.SSLContext, server: ssl.SSLContext, name: str = HOST) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    made = ends(client, server, name)
    shake_hands(*made)
    return made


def limited(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.maximum_version = version
    return context


BOTH = (identity(RSA, ISSUING), identity(EC, ISSUING))
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


# -- settings


def test_what_decides_does_not_depend_on_the_version_of_python() -> None:
    for context in (client_context([ROOT.der]).context, server_context(BOTH).context):
        assert context.verify_flags == FLAGS
        assert not context.verify_flags & (ssl.VERIFY_X509_STRICT | 0x80000), "neither strict nor partial chains"
        assert context.verify_flags & NO_CHECK_TIME
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.hostname_checks_common_name
    assert client_context([ROOT.der]).context.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}
    assert client_context([]).context.cert_store_stats()["x509"] == 0


def test_a_trusted_certificate_that_cannot_be_read_keeps_no_other_out() -> None:
    broken = ROOT.der[:-1]
    made = client_context([broken, ROOT.der, b"", ROOT.der])
    assert made.skipped == (broken, b"")
    connected(made.context, server_context(BOTH).context)


# -- identities


def test_a_key_is_given_as_a_file_or_in_memory_and_leaves_no_file_behind(tmp_path: Path) -> None:
    file = tmp_path / "pub.key"
    file.write_bytes(key_pem(EC.key))
    before = {each.name for each in Path("/proc/self/fd").iterdir()}
    in_file = Identity(chain=CHAIN.chain, key=file)
    for given in (in_file, identity(EC, ISSUING)):
        client, _ = connected(client_context([ROOT.der]).context, server_context([given]).context)
        assert chain_of_peer(client) == CHAIN
    del client, _
    assert {each.name for each in Path("/proc/self/fd").iterdir()} == before


def test_a_key_is_not_shown() -> None:
    assert repr(identity(EC, ISSUING)) == "Identity(2 certificates)"


def test_a_key_of_another_certificate_is_an_error() -> None:
    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        server_context([Identity(chain=CHAIN.chain, key=key_pem(ROOT.key))])


@pytest.mark.parametrize(("only", "leaf"), [("rsa", RSA), ("ec", EC), ("", EC)])
def test_a_client_is_presented_the_kind_of_key_that_it_can_verify(only: Family, leaf: Authority) -> None:
    client, _ = connected(client_context([ROOT.der], only=only).context, server_context(BOTH).context)
    assert chain_of_peer(client).chain[0] == leaf.der


def test_a_client_that_knows_ec_alone_has_no_cipher_in_common_with_an_rsa_listener() -> None:
    only_rsa = server_context([identity(RSA, ISSUING)]).context
    with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
        connected(client_context([ROOT.der], only="ec").context, only_rsa)


def test_an_ec_key_that_may_sign_nothing_has_no_cipher_in_tls_1_2() -> None:
    leaf = issue(HOST, 3, ROOT, ca=False, key_usage=usage("key_agreement"), extensions=SANS)
    listening = server_context([identity(leaf)]).context
    connected(client_context([ROOT.der]).context, listening)
    with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
        connected(client_context([ROOT.der], only="ec").context, listening)


# -- what the other end presented


@pytest.mark.parametrize("version", VERSIONS)
def test_both_ends_are_told_what_the_other_presented(version: ssl.TLSVersion) -> None:
    calling = client_context([ROOT.der], identity=identity(RSA, ISSUING)).context
    listening = server_context([identity(EC, ISSUING)], trusted=[ROOT.der], client="required").context
    client, server = connected(limited(calling, version), listening)
    assert client.version() == version.name.replace("_", ".")
    assert chain_of_peer(client) == CHAIN
    assert chain_of_peer(server) == Shown((RSA.der, ISSUING.der))


@pytest.mark.rule("R-004")
@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_peer_presents_is_heard_even_if_it_is_not_trusted(version: ssl.TLSVersion) -> None:
    heard: list[tuple[Connection, Shown]] = []
    calling = client_context([]).context
    hear_chains(calling, lambda connection, shown: heard.append((connection, shown)))
    client, server = ends(limited(calling, version), server_context(BOTH[1:]).context, HOST)
    assert verify_code(client, server, client) == 20
    assert heard == [(client, CHAIN)]
    standard = Standard(trusted=(), usage="server", name=HOST, wall=0)
    assert judge(heard[0][1], standard).reason == "unknown_ca"


@pytest.mark.parametrize(("client", "code"), [("required", -1), ("optional", 0), ("unasked", 0)])
@pytest.mark.rule("R-004")
def test_who_must_present_a_certificate(client: Literal["unasked", "optional", "required"], code: int) -> None:
    heard: list[Shown] = []
    listening = server_context(BOTH, trusted=[ROOT.der], client=client).context
    hear_chains(listening, lambda _, shown: heard.append(shown))
    calling, called = ends(client_context([ROOT.der]).context, listening, HOST)
    assert verify_code(calling, called, called) == code
    assert heard == ([] if client == "unasked" else [Shown()])
    assert code or chain_of_peer(called) == Shown()


def test_a_listener_knows_the_chain_of_a_client_that_resumes_its_session() -> None:
    calling = limited(client_context([ROOT.der], identity=identity(RSA, ISSUING)).context, ssl.TLSVersion.TLSv1_2)
    listening = server_context([identity(EC, ISSUING)], trusted=[ROOT.der], client="required").context
    first, _ = connected(calling, listening)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = calling.wrap_bio(back, there, server_hostname=HOST, session=first.session)
    server = listening.wrap_bio(there, back, server_side=True)
    shake_hands(client, server)
    assert client.session_reused
    assert chain_of_peer(server) == Shown((RSA.der, ISSUING.der))


def test_tickets_are_not_given_out() -> None:
    client, server = connected(client_context([ROOT.der]).context, server_context(BOTH).context)
    server.write(b"x")
    assert client.read(1) == b"x"
    assert client.session is not None
    assert not client.session.has_ticket


@pytest.mark.rule("R-006")
@pytest.mark.parametrize("own", [(EC,), (EC, ISSUING), (EC, ISSUING, ROOT)])
@pytest.mark.parametrize("trusted", [(), (ISSUING,), (ISSUING, ROOT), (ROOT,)])
def test_a_certificate_alone_is_completed_from_its_own_ends_trust(
    own: tuple[Authority, ...], trusted: tuple[Authority, ...]
) -> None:
    own_trust = [each.der for each in trusted]
    listening = server_context([identity(*own)], trusted=own_trust, client="optional").context
    client, _ = connected(client_context([ROOT.der, ISSUING.der]).context, listening)
    assert chain_of_peer(client) == sent(tuple(each.der for each in own), tuple(own_trust))


# -- dates


def test_openssl_looks_at_no_date_and_the_core_does() -> None:
    old = issue(HOST, 3, ROOT, ca=False, extensions=SANS, end=START)
    client, _ = connected(client_context([ROOT.der]).context, server_context([identity(old)]).context)
    wall = from_datetime(START) + DAY
    standard = Standard(trusted=(ROOT.der,), usage="server", name=HOST, wall=wall)
    assert date_verdict(chain_of_peer(client), standard).reason == "expired"
