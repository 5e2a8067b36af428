"""Uploads to identities on one node: each check of B.10 stops at its place, and what a kill leaves is finished."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from msgspec.structs import replace

from tests.fuzz.test_found import FOUND
from tests.playbook import Playbook, config
from tests.unit.node.certificate_factory import END, START, ec_key, name
from ucmlab.cluster.ca.authority import der_of, pem_of, pkcs7_of
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.ca.office import Books, Office, open_root
from ucmlab.cluster.ca.requests import read_request
from ucmlab.cluster.ca.terms import Terms
from ucmlab.node.certificates import parse
from ucmlab.node.commands import InstallIdentity, MakeIdentity, Reply
from ucmlab.node.events import (
    Delete,
    DiskImage,
    GenerateCsr,
    GenerateSelfSigned,
    Regenerate,
    Upload,
)
from ucmlab.node.instant import DAY, SECOND
from ucmlab.node.leaf_rules import told_of
from ucmlab.node.upload_files import read_upload
from ucmlab.node.usages import OF_THE_TABLES

NOW = datetime(2026, 1, 31, tzinfo=UTC)


class ThirdParty:
    """A root with an issuing CA below it, and what it makes of a request."""

    def __init__(self, *, key: str = "rsa-2048") -> None:
        keys = simulation_keys()
        self.root = open_root("Corp Root CA", keys(key), Books(), now=lambda: NOW, serials=lambda count: 100 + count)
        below = self.root.subordinate("Corp Issuing CA", keys(key))
        self.issuing = Office(below, Books(), now=lambda: NOW, serials=lambda count: 200 + count)

    @property
    def root_pem(self) -> bytes:
        return pem_of([self.root.authority.certificate])

    @property
    def issuing_pem(self) -> bytes:
        return pem_of([self.issuing.authority.certificate])

    def leaf(self, csr: bytes, *, by_root: bool = False, **terms: object) -> bytes:
        dates = {name: terms.pop(name) for name in ("not_before", "not_after") if name in terms}
        office = self.root if by_root else self.issuing
        return pem_of([office.sign(read_request(csr), Terms.of(**terms), **dates)])  # type: ignore[arg-type]  # of both


def node(name: str = "pub", *, release: str = "14SU2", strict: bool = False) -> Playbook:
    """The publisher, which answers itself; up and installed."""
    settings = replace(config(name), release=release, strict_uploads=strict)
    made = Playbook(settings, image=DiskImage(boot=0))
    made.up()
    return made


def ask(on: Playbook, wanted: Upload | Delete | GenerateCsr | Regenerate | GenerateSelfSigned) -> Reply:
    (reply,) = [each for each in on.does(wanted) if isinstance(each, Reply)]
    return reply


def request(on: Playbook, unit: str = "tomcat", **wanted: object) -> bytes:
    assert ask(on, GenerateCsr(f"csr-{len(on.disk.csrs)}-{unit}", unit, **wanted)).outcome == "done"  # type: ignore[arg-type]
    return on.disk.csrs[unit]


def prepared() -> tuple[Playbook, ThirdParty]:
    """A publisher that trusts root and issuing CA."""
    pub, ca = node(), ThirdParty()
    assert ask(pub, Upload("root", "tomcat-trust", ca.root_pem)).outcome == "done"
    assert ask(pub, Upload("issuing", "tomcat-trust", ca.issuing_pem)).outcome == "done"
    return pub, ca


def fingerprint(pem: bytes) -> str:
    return parse(der_of(x509.load_pem_x509_certificate(pem))).fingerprint


def identity(on: Playbook, unit: str = "tomcat") -> str:
    return parse(on.disk.identities[unit]).fingerprint


def in_database(on: Playbook, unit: str) -> set[str]:
    return set(on.core.replica.of_unit(unit))


@pytest.mark.rule("R-017", "R-020", "R-021", "R-142")
def test_a_leaf_takes_the_place_of_the_identity_and_consumes_its_request() -> None:
    pub, ca = prepared()
    before = identity(pub)
    leaf = ca.leaf(request(pub))
    away = dict.fromkeys(("sub1", "sub2"), "unreachable")
    assert ask(pub, Upload("op-1", "tomcat", leaf)) == Reply("op-1", "done", nodes={"pub": "done"} | away)
    assert identity(pub) == fingerprint(leaf) != before
    assert pub.disk.csrs == {}
    assert in_database(pub, "tomcat") == {fingerprint(leaf)}
    assert fingerprint(leaf) not in in_database(pub, "tomcat-trust")
    assert before in in_database(pub, "tomcat-trust")  # until somebody deletes it (B.7, X-11)
    assert ask(pub, Upload("op-2", "tomcat", leaf)).reason == "csr_missing"


@pytest.mark.rule("R-014", "R-017", "R-025", "R-028")
@pytest.mark.parametrize("form", ["PEM", "PKCS#7"])
def test_a_leaf_may_bring_its_chain(form: str) -> None:
    pub, ca = node(), ThirdParty()
    office = ca.issuing
    made = office.sign(read_request(request(pub)), Terms.of())
    chain = (made, *office.authority.chain)
    data = pem_of(chain) if form == "PEM" else pkcs7_of(chain, "pem")
    assert ask(pub, Upload("op-1", "tomcat", data)).outcome == "done"
    assert identity(pub) == parse(der_of(made)).fingerprint
    assert {fingerprint(ca.root_pem), fingerprint(ca.issuing_pem)} <= in_database(pub, "tomcat-trust")
    assert all(not file.op_id for file in pub.disk.files.values())


def refused(pub: Playbook, unit: str, data: bytes) -> str:
    before = pub.disk.image()
    reply = ask(pub, Upload("refused", unit, data))
    assert reply.outcome == "refused"
    after = pub.disk.image()
    # The publisher notes what it refused itself; of an upload to its own identity it has heard nothing.
    assert after == before
    return reply.reason


@pytest.mark.rule("C-40", "R-151", "B.10")
def test_a_leaf_of_an_earlier_request_does_not_fit() -> None:
    pub, ca = prepared()
    first = ca.leaf(request(pub))
    second = request(pub)
    assert refused(pub, "tomcat", first) == "key_mismatch"
    assert pub.disk.csrs["tomcat"] == second


@pytest.mark.rule("C-41", "B.10")
def test_a_leaf_without_a_request_is_refused_before_anything_is_compared() -> None:
    pub, ca = prepared()
    leaf = ca.leaf(request(pub))
    assert ask(pub, Upload("op-1", "tomcat", leaf)).outcome == "done"
    reply = ask(pub, Upload("op-2", "tomcat", leaf))
    assert (reply.reason, reply.text) == (
        "csr_missing",
        "File /usr/local/platform/.security/tomcat/keys/tomcat.csr does not exist",
    )


@pytest.mark.rule("C-42", "R-005", "R-012", "R-013", "R-064", "X-12")
def test_every_issuer_up_to_a_root_must_be_there_and_the_missing_one_is_named() -> None:
    pub, ca = node(), ThirdParty()
    leaf = ca.leaf(request(pub))
    missing = ask(pub, Upload("op-1", "tomcat", leaf))
    assert (missing.reason, missing.text) == ("chain_incomplete", "CA certificate is not available in the trust-store")
    assert "CN=Corp Issuing CA" in missing.warnings[0]
    assert ask(pub, Upload("op-2", "tomcat-trust", ca.issuing_pem)).outcome == "done"
    assert "CN=Corp Root CA" in ask(pub, Upload("op-3", "tomcat", leaf)).warnings[0]
    assert refused(pub, "tomcat", leaf) == "chain_incomplete"
    assert ask(pub, Upload("op-4", "tomcat-trust", ca.root_pem)).outcome == "done"
    assert ask(pub, Upload("op-5", "tomcat", leaf)).outcome == "done"


@pytest.mark.rule("C-43", "B.10")
def test_names_must_be_those_of_the_request_in_any_order() -> None:
    pub, ca = prepared()
    csr = request(pub, san=("web.lab.test", "10.1.2.3"))
    more = ca.leaf(csr, san=("pub.lab.test", "web.lab.test", "10.1.2.3", "www.lab.test"))
    assert refused(pub, "tomcat", more) == "san_mismatch"
    assert refused(pub, "tomcat", ca.leaf(csr, san=("pub.lab.test",))) == "san_mismatch"
    told = ask(pub, Upload("op-1", "tomcat", ca.leaf(csr, san=("pub.lab.test", "www.lab.test", "10.1.2.3"))))
    assert told.text == "CSR SAN and Certificate SAN does not match"
    assert told.warnings == ("without web.lab.test; with www.lab.test",)
    shuffled = ca.leaf(csr, san=("10.1.2.3", "WEB.lab.test", "pub.lab.test"))
    assert ask(pub, Upload("op-2", "tomcat", shuffled)).outcome == "done"


@pytest.mark.rule("C-45", "B.10")
def test_dates_are_judged_before_the_request() -> None:
    pub, ca = prepared()
    csr = request(pub)
    expired = ca.leaf(csr, not_before=NOW - timedelta(days=300), not_after=NOW - timedelta(days=200))
    assert refused(pub, "tomcat", expired) == "expired"
    del pub.disk.csrs["tomcat"]
    pub.restart()
    assert refused(pub, "tomcat", expired) == "expired"


@pytest.mark.rule("R-016")
def test_ca_certificates_alone_are_no_identity() -> None:
    pub, ca = prepared()
    request(pub)
    assert refused(pub, "tomcat", ca.root_pem) == "wrong_purpose"
    assert refused(pub, "tomcat", ca.issuing_pem + ca.root_pem) == "wrong_purpose"


@pytest.mark.rule("R-015", "R-139")
def test_the_purpose_alone_decides_what_becomes_of_a_file() -> None:
    pub, ca = prepared()
    leaf = ca.leaf(request(pub))
    assert refused(pub, "tomcat", ca.root_pem) == "wrong_purpose"
    for store in ("ipsec-trust", "CallManager-trust"):
        assert ask(pub, Upload(f"root-{store}", store, ca.root_pem)).outcome == "done"
        assert fingerprint(ca.root_pem) in in_database(pub, store)
    assert ask(pub, Upload("leaf", "tomcat", leaf)).outcome == "done"
    assert identity(pub) == fingerprint(leaf)
    assert fingerprint(leaf) not in in_database(pub, "tomcat-trust")


@pytest.mark.rule("R-067")
def test_a_chain_in_another_store_is_not_found() -> None:
    pub, ca = node(), ThirdParty()
    leaf = ca.leaf(request(pub))
    for count, store in enumerate(("ipsec-trust", "CallManager-trust")):
        assert ask(pub, Upload(f"chain-{count}", store, ca.issuing_pem + ca.root_pem)).outcome == "done"
    assert refused(pub, "tomcat", leaf) == "chain_incomplete"
    assert ask(pub, Upload("chain", "tomcat-trust", ca.issuing_pem + ca.root_pem)).outcome == "done"
    assert ask(pub, Upload("op-1", "tomcat", leaf)).outcome == "done"


@pytest.mark.rule("R-146")
def test_capf_trust_concerns_a_capf_alone_that_a_ca_signs() -> None:
    pub, ca = prepared()
    assert ask(pub, Upload("op-1", "tomcat", ca.leaf(request(pub)))).outcome == "done"
    assert in_database(pub, "CAPF-trust") == {identity(pub, "CAPF")}
    capf = ca.leaf(request(pub, "CAPF"), by_root=True)
    assert refused(pub, "CAPF", capf) == "chain_incomplete"
    assert ask(pub, Upload("root-of-capf", "CAPF-trust", ca.root_pem)).outcome == "done"
    assert ask(pub, Upload("op-2", "CAPF", capf)).outcome == "done"


@pytest.mark.rule("R-088")
def test_what_is_trusted_cannot_be_regenerated() -> None:
    pub, _ = prepared()
    before = pub.disk.image()
    for store in ("tomcat-trust", "CAPF-trust"):
        assert ask(pub, Regenerate(f"op-{store}", store)).reason == "not_regenerable"
    assert pub.disk.image() == before


@pytest.mark.rule("R-007")
def test_the_ec_certificate_of_tomcat_is_one_of_its_own() -> None:
    pub, ca = prepared()
    rsa, ec = parse(pub.disk.identities["tomcat"]), parse(pub.disk.identities["tomcat-ECDSA"])
    assert (rsa.key, ec.key, rsa.serial != ec.serial) == ("rsa-2048", "ec-384", True)
    assert ask(pub, Upload("op-1", "tomcat-ECDSA", ca.leaf(request(pub, "tomcat-ECDSA")))).outcome == "done"
    assert identity(pub) == rsa.fingerprint
    assert identity(pub, "tomcat-ECDSA") != ec.fingerprint
    replaced = identity(pub, "tomcat-ECDSA")
    assert ask(pub, Regenerate("op-2", "tomcat")).outcome == "done"
    assert identity(pub) != rsa.fingerprint
    assert identity(pub, "tomcat-ECDSA") == replaced


@pytest.mark.rule("R-018")
def test_an_rsa_leaf_is_no_ec_identity() -> None:
    pub, ca = prepared()
    leaf = ca.leaf(request(pub))
    assert refused(pub, "tomcat-ECDSA", leaf) == "key_type"
    request(pub, "tomcat-ECDSA")
    assert refused(pub, "tomcat-ECDSA", leaf) == "key_type"


@pytest.mark.rule("R-026", "X-06")
def test_an_rsa_purpose_takes_rsa_signatures_an_ec_purpose_any() -> None:
    pub, ca = node(), ThirdParty(key="ec-256")
    for count, pem in enumerate((ca.root_pem, ca.issuing_pem)):
        assert ask(pub, Upload(f"ca-{count}", "tomcat-trust", pem)).outcome == "done"
    assert refused(pub, "tomcat", ca.leaf(request(pub))) == "signature_algorithm"
    assert ask(pub, Upload("op-1", "tomcat-ECDSA", ca.leaf(request(pub, "tomcat-ECDSA")))).outcome == "done"
    rsa = ThirdParty()
    for count, pem in enumerate((rsa.root_pem, rsa.issuing_pem)):
        ask(pub, Upload(f"rsa-{count}", "CallManager-trust", pem))
    assert ask(pub, Upload("op-2", "CallManager-ECDSA", rsa.leaf(request(pub, "CallManager-ECDSA")))).outcome == "done"


@pytest.mark.rule("R-031", "R-032", "R-051")
def test_what_the_ca_left_out_is_told_and_refused_where_uploads_are_strict() -> None:
    pub, ca = prepared()
    leaf = ca.leaf(request(pub), drop_key_usage=("dataEncipherment",), eku=("serverAuth",))
    told = ask(pub, Upload("op-1", "tomcat", leaf))
    assert told.outcome == "done"
    assert [warning.partition(":")[0] for warning in told.warnings] == [
        "extension_missing",
        "ku_data_encipherment_lost",
    ]
    strict = node(strict=True)
    for count, pem in enumerate((ca.root_pem, ca.issuing_pem)):
        ask(strict, Upload(f"ca-{count}", "tomcat-trust", pem))
    lacking = ca.leaf(request(strict), eku=("serverAuth",))
    reply = ask(strict, Upload("op-1", "tomcat", lacking))
    assert (reply.reason, reply.text.rpartition(": ")[2]) == ("extension_missing", "clientAuth")


@pytest.mark.rule("R-038", "X-02")
def test_more_extensions_than_asked_for_are_no_matter() -> None:
    pub, ca = prepared()
    leaf = ca.leaf(request(pub), add_key_usage=("keyAgreement", "keyEncipherment"))
    assert ask(pub, Upload("op-1", "tomcat", leaf)).warnings == ()


@pytest.mark.rule("R-019", "R-030", "R-154", "X-01")
def test_capf_brings_its_root_to_both_trust_stores() -> None:
    pub, ca = node(), ThirdParty()
    made = ca.root.sign(read_request(request(pub, "CAPF")), Terms.of())
    data = pem_of((made, *ca.root.authority.chain))
    assert ask(pub, Upload("op-1", "CAPF", data)).outcome == "done"
    root = fingerprint(ca.root_pem)
    assert identity(pub, "CAPF") == parse(der_of(made)).fingerprint
    for store in ("CAPF-trust", "CallManager-trust"):
        assert {root, identity(pub, "CAPF")} <= in_database(pub, store)
        assert root in pub.core.filing.fingerprints(store)


@pytest.mark.rule("R-030")
def test_capf_is_the_publishers_alone() -> None:
    sub = node("sub1", release="12.5")
    assert ask(sub, Upload("op-1", "CAPF", ThirdParty().root_pem)).reason == "publisher_only"
    assert ask(sub, Regenerate("op-2", "CAPF")).reason == "publisher_only"


def test_a_disk_that_does_not_take_it_leaves_everything_as_it_was() -> None:
    pub, ca = node(), ThirdParty()
    made = ca.issuing.sign(read_request(request(pub)), Terms.of())
    data = pem_of((made, *ca.issuing.authority.chain))
    before = pub.disk.image()
    pub.fails = InstallIdentity
    reply = ask(pub, Upload("op-1", "tomcat", data))
    assert (reply.outcome, reply.reason) == ("refused", "permission")
    assert pub.disk.image() == before
    pub.fails = None
    assert ask(pub, Upload("op-2", "tomcat", data)).outcome == "done"


def test_a_failed_regeneration_leaves_everything_as_it_was() -> None:
    pub = node()
    before = pub.disk.image()
    pub.fails = MakeIdentity
    assert ask(pub, Regenerate("op-1", "tomcat")).reason == "permission"
    assert pub.disk.image() == before


def test_asked_for_again_after_a_kill_the_operation_goes_on_where_it_was() -> None:
    pub, ca = node(), ThirdParty()
    made = ca.issuing.sign(read_request(request(pub)), Terms.of())
    data = pem_of((made, *ca.issuing.authority.chain))
    pub.dies_after = InstallIdentity
    pub.does(Upload("op-1", "tomcat", data))
    assert identity(pub) == parse(der_of(made)).fingerprint
    assert pub.disk.csrs == {}
    pub.dies_after = None
    pub.restart()
    pub.up()
    assert ask(pub, Upload("op-1", "tomcat", data)).outcome == "done"
    assert in_database(pub, "tomcat") == {identity(pub)}
    assert ask(pub, Upload("op-2", "tomcat", data)).reason == "csr_missing"


@pytest.mark.rule("B.10")
def test_what_people_should_know_of_an_accepted_certificate_is_told() -> None:
    pub, ca = prepared()
    told = ask(pub, Upload("op-1", "tomcat", ca.leaf(request(pub), not_after=NOW + timedelta(days=10))))
    assert (told.outcome, [warning.partition(":")[0] for warning in told.warnings]) == ("done", ["near_expiry"])
    builder = x509.CertificateBuilder(
        issuer_name=name("Strict CA"),
        subject_name=name("Strict CA"),
        public_key=ec_key().public_key(),
        serial_number=1,
        not_valid_before=START,
        not_valid_after=END,
    ).add_extension(x509.ExtendedKeyUsage([OF_THE_TABLES["server"]]), critical=True)
    strict = parse(der_of(builder.sign(ec_key(), hashes.SHA256(), ecdsa_deterministic=True)))
    assert told_of(strict, strict.not_before) == ("critical_extension: 2.5.29.37; some peers refuse it",)
    (zero,) = read_upload((FOUND / "serial-zero.pem").read_bytes())
    assert [each.partition(":")[0] for each in told_of(zero, zero.not_before)][-1] == "parser"


@pytest.mark.rule("R-090", "R-092", "B.4")
@pytest.mark.parametrize(
    ("unit", "key"),
    [("tomcat", f"rsa-{bits}") for bits in (2048, 3072, 4096)]
    + [("tomcat-ECDSA", f"ec-{bits}") for bits in (256, 384, 521)],
)
def test_self_signed_certificates_have_the_key_and_years_that_were_asked_for(unit: str, key: str) -> None:
    pub = node()
    for years in (5, 10, 15, 20):
        assert ask(pub, GenerateSelfSigned(f"op-{years}", unit, key, years=years)).outcome == "done"
        made = parse(pub.disk.identities[unit])
        assert (made.key, made.self_signed) == (key, True)
        assert made.not_after - made.not_before == years * 365 * DAY - SECOND
    assert ask(pub, Regenerate("again", unit)).outcome == "done"
    assert parse(pub.disk.identities[unit]).key == key


@pytest.mark.rule("B.4", "A.19")
def test_the_serial_number_may_follow_the_common_name() -> None:
    pub = node()
    assert ask(pub, GenerateSelfSigned("op-1", "tomcat", cn_serial=True)).outcome == "done"
    made = parse(pub.disk.identities["tomcat"])
    assert made.common_name == f"pub.lab.test_{made.serial}"
    assert ask(node(release="14"), GenerateSelfSigned("op-1", "tomcat", cn_serial=True)).reason == "release"


@pytest.mark.rule("R-121", "C-49")
@pytest.mark.parametrize(("release", "refused"), [("14SU1", False), ("14SU2", True), ("15", True)])
def test_the_command_line_takes_no_certificate_that_names_several_nodes(release: str, refused: bool) -> None:  # noqa: FBT001
    pub, corp = node(release=release), ThirdParty()
    others = [f"{each.name}.{pub.config.domain}" for each in pub.config.members if each.name != "pub"]
    leaf = corp.leaf(request(pub, san=(others[0],))) + corp.issuing_pem + corp.root_pem
    before = dict(pub.disk.identities)
    reply = ask(pub, Upload("op-cli", "tomcat", leaf, by_cli=True))
    assert (reply.outcome, reply.reason) == (("refused", "multi_san_by_cli") if refused else ("done", ""))
    assert (pub.disk.identities == before) is refused
    if refused:
        assert "Cisco Unified OS Administration" in reply.text
        assert ask(pub, Upload("op-page", "tomcat", leaf)).outcome == "done"


@pytest.mark.rule("R-121")
def test_the_command_line_takes_a_certificate_of_one_node() -> None:
    pub, corp = node(), ThirdParty()
    leaf = corp.leaf(request(pub, san=("www.lab.test",))) + corp.issuing_pem + corp.root_pem
    assert ask(pub, Upload("op-cli", "tomcat", leaf, by_cli=True)).outcome == "done"
