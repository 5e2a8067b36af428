"""Certificate signing requests of a node: what may be asked for, and what is there afterwards."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from tests.playbook import WALL, Playbook, config
from ucmlab.node.certificates import parse
from ucmlab.node.commands import DropCsr, MakeCsr, Reply
from ucmlab.node.events import CommandFailed, DeleteCsr, DiskImage, GenerateCsr
from ucmlab.node.instant import Instant

TOMCAT = GenerateCsr("op-1", "tomcat")


def node(name: str = "sub1", *, release: str = "14SU2") -> Playbook:
    made = Playbook(replace(config(name), release=release), image=DiskImage(boot=0))
    made.up()
    return made


def asked(on: Playbook, wanted: GenerateCsr | DeleteCsr = TOMCAT) -> Reply:
    (reply,) = [each for each in on.does(wanted) if isinstance(each, Reply)]
    return reply


def request_of(on: Playbook, unit: str = "tomcat") -> x509.CertificateSigningRequest:
    return x509.load_der_x509_csr(on.disk.csrs[unit])


def names_of(request: x509.CertificateSigningRequest) -> list[str]:
    return [str(name.value) for name in request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value]


@pytest.mark.rule("R-142", "R-143")
def test_a_request_is_done_when_it_is_on_the_disk() -> None:
    sub = node()
    made, reply = sub.does(GenerateCsr("op-1", "tomcat"))
    assert isinstance(made, MakeCsr)
    assert reply == Reply("op-1", "done")
    request = request_of(sub)
    assert request.subject.rfc4514_string().startswith("CN=sub1.lab.test,")
    assert names_of(request) == ["sub1.lab.test"]
    assert request.is_signature_valid


@pytest.mark.rule("R-151")
def test_a_new_request_takes_the_place_of_the_old_one() -> None:
    sub = node()
    asked(sub)
    first = request_of(sub).public_key()
    asked(sub, GenerateCsr("op-2", "tomcat"))
    assert request_of(sub).public_key() != first
    assert set(sub.disk.csrs) == {"tomcat"}


def test_a_request_outlives_the_node() -> None:
    sub = node()
    asked(sub)
    sub.restart()
    assert set(sub.core.csr_requests.made_for) == {"tomcat"}


@pytest.mark.rule("B.4")
def test_ec_units_have_names_and_hashes_of_their_own() -> None:
    sub = node()
    asked(sub, GenerateCsr("op-1", "tomcat-ECDSA"))
    request = request_of(sub, "tomcat-ECDSA")
    assert request.subject.rfc4514_string().startswith("CN=sub1-EC.lab.test,")
    assert request.signature_hash_algorithm is not None
    assert request.signature_hash_algorithm.name == "sha384"
    asked(sub, GenerateCsr("op-2", "tomcat-ECDSA", key="ec-256", digest="sha512"))
    request = request_of(sub, "tomcat-ECDSA")
    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert request.signature_hash_algorithm is not None
    assert request.signature_hash_algorithm.name == "sha512"


@pytest.mark.rule("B.4")
@pytest.mark.parametrize("bits", [1024, 2048, 3072, 4096])
def test_the_operator_chooses_the_length(bits: int) -> None:
    sub = node()
    assert asked(sub, GenerateCsr("op-1", "tomcat", key=f"rsa-{bits}")).outcome == "done"
    key = request_of(sub).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == bits


@pytest.mark.rule("B.8")
def test_further_names_follow_the_nodes_own() -> None:
    sub = node()
    asked(sub, GenerateCsr("op-1", "tomcat", san=("Web.Example.com", "10.1.2.3", "sub1.lab.test")))
    assert names_of(request_of(sub)) == ["sub1.lab.test", "web.example.com", "10.1.2.3"]


def test_a_common_name_of_the_operators_is_among_the_names() -> None:
    sub = node()
    assert asked(sub, GenerateCsr("op-1", "tomcat", common_name="voice.example.com")).outcome == "done"
    csr = request_of(sub)
    assert [each.value for each in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["voice.example.com"]
    assert "voice.example.com" in names_of(csr)


@pytest.mark.rule("R-030", "X-01")
def test_capf_is_requested_on_the_publisher_under_its_own_name() -> None:
    pub = node("pub")
    assert asked(pub, GenerateCsr("op-1", "CAPF")).outcome == "done"
    present = x509.load_der_x509_certificate(pub.disk.identities["CAPF"])
    assert (
        request_of(pub, "CAPF").subject.rfc4514_string().split(",")[0]
        == (present.subject.rfc4514_string().split(",")[0])
    )
    assert asked(node("sub1", release="12.5"), GenerateCsr("op-1", "CAPF")).reason == "publisher_only"


@pytest.mark.rule("A.19")
@pytest.mark.parametrize(
    ("release", "asks", "there"), [("12.5", False, True), ("14SU2", False, False), ("14SU2", True, True)]
)
def test_the_organizational_unit_is_an_option_from_14su1(release: str, *, asks: bool, there: bool) -> None:
    sub = node(release=release)
    wanted = sub.does(GenerateCsr("op-1", "tomcat", include_ou=asks))
    assert [each.form.ou for each in wanted if isinstance(each, MakeCsr)] == [there]
    assert ("OU=Laboratory" in request_of(sub, "tomcat").subject.rfc4514_string()) is there


@pytest.mark.rule("B.4")
@pytest.mark.parametrize(("release", "there"), [("12.5", True), ("14", True), ("14SU1", False), ("14SU2", False)])
def test_what_the_installation_makes_names_the_organizational_unit_up_to_14(release: str, *, there: bool) -> None:
    made = parse(node(release=release).disk.identities["tomcat"])
    assert ("OU=Laboratory" in made.subject) is there


REFUSED = {
    "no such unit": (GenerateCsr("op-1", "cows"), "wrong_purpose"),
    "a trust unit": (GenerateCsr("op-1", "tomcat-trust"), "wrong_purpose"),
    "another role's": (GenerateCsr("op-1", "cup"), "wrong_purpose"),
    "no row in the table": (GenerateCsr("op-1", "ITLRecovery"), "wrong_purpose"),
    "an EC key for an RSA unit": (GenerateCsr("op-1", "tomcat", key="ec-256"), "key_type"),
    "an RSA key for an EC unit": (GenerateCsr("op-1", "tomcat-ECDSA", key="rsa-2048"), "key_type"),
    "a length that there is not": (GenerateCsr("op-1", "tomcat", key="rsa-8192"), "key_length"),
    "no length": (GenerateCsr("op-1", "tomcat", key="rsa-"), "key_length"),
    "a hash that is too short": (GenerateCsr("op-1", "tomcat-ECDSA", digest="sha256"), "hash_algorithm"),
    "a hash that there is not": (GenerateCsr("op-1", "tomcat", digest="md5"), "hash_algorithm"),
    "a wildcard": (GenerateCsr("op-1", "tomcat", san=("*.lab.test",)), "wildcard"),
    "a common name with a blank": (GenerateCsr("op-1", "tomcat", common_name="a b"), "common_name"),
    "a common name too long": (GenerateCsr("op-1", "tomcat", common_name="a." * 31 + "abc"), "common_name"),
    "no name": (GenerateCsr("op-1", "tomcat", san=("",)), "alternative_name"),
    "a name with a blank": (GenerateCsr("op-1", "tomcat", san=("a b",)), "alternative_name"),
    "an address with a zone": (GenerateCsr("op-1", "tomcat", san=("fe80::1%eth0",)), "alternative_name"),
    "a zone and no more of it": (GenerateCsr("op-1", "tomcat", san=("fe80::1%",)), "alternative_name"),
    "a name with a zone": (GenerateCsr("op-1", "tomcat", san=("web.lab.test%eth0",)), "alternative_name"),
    "a name too long": (GenerateCsr("op-1", "tomcat", san=("a." * 127 + "bc",)), "alternative_name"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_may_not_be_asked_for_is_refused_and_changes_nothing(what: str) -> None:
    wanted, reason = REFUSED[what]
    sub = node()
    asked(sub)
    before = sub.disk.image()
    reply = asked(sub, wanted)
    assert (reply.outcome, reply.reason) == ("refused", reason)
    assert sub.disk.image() == before


def test_a_disk_that_does_not_take_it_leaves_the_old_request() -> None:
    sub = node()
    asked(sub)
    before = sub.disk.csrs["tomcat"]
    waiting = sub.core.open_operations()
    # Handed to the core alone: nobody performs what it wants.
    sub.core.handle(GenerateCsr("op-2", "tomcat"), Instant(0, WALL))
    (reply,) = sub.does(CommandFailed("MakeCsr", "op-2", "no space left"))
    assert reply == Reply(
        "op-2", "refused", "permission", "The request could not be changed on the disk: no space left"
    )
    assert sub.disk.csrs["tomcat"] == before
    assert sub.core.open_operations() == waiting


def test_a_request_that_is_deleted_is_gone_from_the_disk_before_that_is_said() -> None:
    sub = node()
    asked(sub)
    waiting = sub.core.open_operations()
    dropped, reply = sub.does(DeleteCsr("op-2", "tomcat"))
    assert (dropped, reply) == (DropCsr("op-2", "tomcat"), Reply("op-2", "done"))
    assert sub.disk.csrs == {}
    assert sub.core.open_operations() == waiting
    sub.restart()
    assert sub.core.csr_requests.made_for == {}


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        ("tomcat", "csr_missing"),
        ("CAPF", "publisher_only"),
        ("tomcat-trust", "wrong_purpose"),
        ("ITLRecovery", "wrong_purpose"),
        ("cows", "wrong_purpose"),
    ],
)
def test_what_does_not_wait_cannot_be_deleted(unit: str, reason: str) -> None:
    sub = node()
    asked(sub, GenerateCsr("op-1", "ipsec"))
    before = sub.disk.image()
    reply = asked(sub, DeleteCsr("op-2", unit))
    assert (reply.outcome, reply.reason) == ("refused", reason)
    assert sub.disk.image() == before


def test_a_request_that_the_disk_keeps_still_waits() -> None:
    sub = node()
    asked(sub)
    waiting = sub.core.open_operations()
    sub.core.handle(DeleteCsr("op-2", "tomcat"), Instant(0, WALL))
    sub.core.handle(DeleteCsr("op-2", "tomcat"), Instant(0, WALL))  # asked for once more meanwhile
    (reply,) = sub.does(CommandFailed("DropCsr", "op-2", "read-only file system"))
    assert isinstance(reply, Reply)
    assert (reply.op_id, reply.outcome, reply.reason) == ("op-2", "refused", "permission")
    assert set(sub.core.csr_requests.made_for) == {"tomcat"}
    assert sub.core.open_operations() == waiting
