"""What an operator of a lab chooses about uploads, as each node is told it."""

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from tests.playbook import LogBook, Playbook, config, root
from tests.unit.node.test_identity_uploads import ThirdParty, ask, identity, request
from ucmlab.cluster.ca.authority import der_of, pkcs7_of
from ucmlab.cluster.ca.requests import read_request
from ucmlab.cluster.ca.terms import Terms
from ucmlab.node.certificates import parse
from ucmlab.node.config import NodeConfig
from ucmlab.node.events import DiskImage, Upload

CHAIN = [root("Corp Root CA"), root("Corp Issuing CA")]
DER_CHAIN = pkcs7.serialize_certificates([x509.load_der_x509_certificate(der) for der in CHAIN], Encoding.DER)


def node(*, der_pkcs7: bool) -> Playbook:
    told = msgspec.structs.replace(config(), der_pkcs7=der_pkcs7)
    return Playbook(told, image=DiskImage(boot=0, installed=True, replica=LogBook().image())).up()


@pytest.mark.rule("X-15", "R-014")
def test_a_pkcs7_chain_in_der_is_accepted_where_the_lab_says_so() -> None:
    sub = node(der_pkcs7=True)
    sub.does(Upload("op-1", "tomcat-trust", DER_CHAIN))
    assert sub.files() == sorted(parse(der).fingerprint for der in CHAIN)


@pytest.mark.rule("X-15")
def test_by_default_it_is_refused() -> None:
    sub = node(der_pkcs7=False)
    sub.does(Upload("op-1", "tomcat-trust", DER_CHAIN))
    assert (sub.replies(), sub.files()) == ([("op-1", "refused", "format")], [])
    assert (config().der_pkcs7, config().strict_uploads) == (False, False)


@pytest.mark.rule("X-15", "R-025")
@pytest.mark.parametrize(("der_pkcs7", "outcome"), [(True, ("done", "")), (False, ("refused", "format"))])
def test_an_identity_with_its_chain_is_an_upload_like_others(der_pkcs7: bool, outcome: tuple[str, str]) -> None:  # noqa: FBT001
    pub = Playbook(msgspec.structs.replace(config("pub"), der_pkcs7=der_pkcs7), image=DiskImage(boot=0)).up()
    office = ThirdParty().issuing
    made = office.sign(read_request(request(pub)), Terms.of())
    reply = ask(pub, Upload("op-1", "tomcat", pkcs7_of((made, *office.authority.chain), "der")))
    assert (reply.outcome, reply.reason) == outcome
    assert (identity(pub) == parse(der_of(made)).fingerprint) == der_pkcs7


def test_the_settings_of_a_home_that_is_older_than_they_are_the_defaults() -> None:
    older = msgspec.json.decode(msgspec.json.encode(config()), type=dict[str, msgspec.Raw])
    del older["der_pkcs7"], older["strict_uploads"]
    assert msgspec.json.decode(msgspec.json.encode(older), type=NodeConfig) == config()
