"""Identities below OpenSSL's security level: a node presents them, and both ends judge them as virtual time does."""

import ssl
from collections.abc import Callable, Mapping
from functools import lru_cache

import pytest

from tests.contract.handshake_cases import weak_key
from tests.contract.handshaking import ends, identity, presenter, shake_hands, verify_code
from tests.unit.node.authorities import Authority, issue
from ucmlab.cluster.ca.signatures import resigned
from ucmlab.cluster.simkeys import sim_key
from ucmlab.cluster.tls_contexts import client_context, server_context
from ucmlab.cluster.tls_peers import chain_of_peer
from ucmlab.node.certificates import parse
from ucmlab.node.connections import reason_of
from ucmlab.node.events import TlsOpened
from ucmlab.node.handshake import Shown, Standard, date_verdict, is_weak, sent, undated_verdict
from ucmlab.node.handshake_reasons import Reason, reasons

ROOT = issue("Corp Root CA", sim_key(1, "rsa-2048"))
EC_ROOT = issue("Corp EC Root CA", 1)
ISSUING = issue("Corp Issuing CA", sim_key(2, "rsa-2048"), ROOT)
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
Presented = tuple[Authority, ...]
"""Leaf first, the root last, which is what the other end trusts."""


def signed_with(digest: str, authority: Authority, above: Authority) -> Authority:
    return Authority(parse(resigned(authority.der, above.key, digest)), authority.key)


def leaf(above: Authority, kind: str = "rsa-2048") -> Authority:
    return issue("pub.lab.test", sim_key(4, kind), above, ca=False)


def old_root() -> Presented:
    root = signed_with("sha1", ROOT, ROOT)
    return leaf(root), root


def old_issuing() -> Presented:
    issuing = signed_with("sha1", ISSUING, ROOT)
    return leaf(issuing), issuing, ROOT


def short_issuing() -> Presented:
    issuing = issue("Corp Issuing CA", weak_key(), ROOT)
    return leaf(issuing), issuing, ROOT


def old_self_signed() -> Presented:
    own = issue("pub.lab.test", sim_key(4, "rsa-2048"), ca=False)
    return (signed_with("sha1", own, own),)


CASES: Mapping[str, tuple[Callable[[], Presented], Reason]] = {
    "SHA-1": (lambda: (signed_with("sha1", leaf(ROOT), ROOT), ROOT), "weak_signature"),
    "MD5": (lambda: (signed_with("md5", leaf(ROOT), ROOT), ROOT), "weak_signature"),
    "SHA-1 with EC": (lambda: (signed_with("sha1", leaf(EC_ROOT, "ec-256"), EC_ROOT), EC_ROOT), "weak_signature"),
    "SHA-1 of an issuer": (old_issuing, "weak_signature"),
    "SHA-1 of a root": (old_root, ""),
    "SHA-1, self-signed": (old_self_signed, ""),
    "RSA 1024": (lambda: (leaf(ROOT, "rsa-1024"), ROOT), ""),
    "RSA 768": (lambda: (issue("pub.lab.test", weak_key(), ROOT, ca=False), ROOT), "weak_key"),
    "RSA 768 of an issuer": (short_issuing, "weak_key"),
}


@lru_cache(maxsize=len(CASES))
def case(name: str) -> Presented:
    return CASES[name][0]()


def own_of(name: str) -> tuple[bytes, ...]:
    presented = case(name)
    return tuple(each.der for each in (presented[:-1] or presented))


def limited(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.maximum_version = version
    return context


@pytest.mark.rule("R-141", "B.4")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CASES)
def test_a_listener_presents_it_and_a_nodes_client_says_what_it_thinks_of_it(
    name: str, version: ssl.TLSVersion
) -> None:
    own, held = own_of(name), (case(name)[-1].der,)
    calling = limited(client_context(held, check_name=False).context, version)
    client, server = ends(calling, server_context([identity(own, case(name)[0].key)]).context)
    verdict = undated_verdict(Shown(own), Standard(trusted=held, usage="server", wall=0))
    assert verdict.reason == CASES[name][1]
    code = verify_code(client, server, client)
    assert code in reasons()[verdict.reason].openssl if verdict.reason else code == 0


@pytest.mark.rule("R-141")
@pytest.mark.parametrize("name", CASES)
def test_who_asks_nothing_of_it_is_served(name: str) -> None:
    own = own_of(name)
    calling = limited(presenter(ssl.PROTOCOL_TLS_CLIENT, (), case(name)[0].key), ssl.TLSVersion.TLSv1_2)
    client, server = ends(calling, server_context([identity(own, case(name)[0].key)]).context)
    shake_hands(client, server)
    assert client.getpeercert(binary_form=True) == own[0]


@pytest.mark.rule("R-004", "B.4")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CASES)
def test_a_client_presents_it_and_a_nodes_listener_says_what_it_thinks_of_it(
    name: str, version: ssl.TLSVersion
) -> None:
    own, held, strong = own_of(name), (case(name)[-1].der,), leaf(ROOT)
    listening = server_context([identity([strong.der], strong.key)], trusted=held, client="required").context
    mine = identity(own, case(name)[0].key)
    calling = limited(client_context([ROOT.der], identity=mine, check_name=False).context, version)
    client, server = ends(calling, listening)
    verdict = undated_verdict(Shown(own), Standard(trusted=held, usage="client", wall=0))
    assert verdict.reason == CASES[name][1]
    code = verify_code(client, server, server)
    assert code in reasons()[verdict.reason].openssl if verdict.reason else code == 0


@pytest.mark.rule("B.4")
def test_an_issuer_that_is_found_in_the_own_trust_store_counts_with_it() -> None:
    presented = case("SHA-1 of an issuer")
    own, trusted = (presented[0].der,), (presented[1].der, ROOT.der)
    assert (is_weak(own, ()), is_weak(own, trusted)) == (False, True)
    listening = server_context([identity(own, presented[0].key)], trusted=trusted, client="optional").context
    calling = limited(presenter(ssl.PROTOCOL_TLS_CLIENT, (), presented[0].key), ssl.TLSVersion.TLSv1_2)
    client, server = ends(calling, listening)
    shake_hands(client, server)
    assert sent(own, trusted).chain == (*own, *trusted)


@pytest.mark.rule("R-004", "B.4")
def test_whom_a_weak_end_lets_through_the_handshake_its_core_refuses() -> None:
    own, weak = case("SHA-1"), case("SHA-1 of an issuer")
    listening = server_context([identity(own_of("SHA-1"), own[0].key)], trusted=[ROOT.der], client="required").context
    calling = limited(presenter(ssl.PROTOCOL_TLS_CLIENT, own_of("SHA-1 of an issuer"), weak[0].key), VERSIONS[0])
    client, server = ends(calling, listening)
    shake_hands(client, server)
    shown = chain_of_peer(server)
    standard = Standard(trusted=(ROOT.der,), usage="client", wall=0)
    assert shown.chain == own_of("SHA-1 of an issuer")
    assert date_verdict(shown, standard).reason == "weak_signature"
    # As a client, it would have said so before the server did.
    rejected = TlsOpened("t", "rejected", shown.chain)
    assert reason_of(shown, Standard(trusted=(ROOT.der,), usage="server", wall=0), rejected)[0] == "weak_signature"
