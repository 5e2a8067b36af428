"""What the lab's OCSP responder answers, asked by the library and by OpenSSL's command line (RFC 6960)."""

import re
import shutil
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.openssl import openssl
from tests.unit.node.responders import World, serial_of
from ucmlab.cluster.ca.authority import der_of
from ucmlab.cluster.ca.der import sequence, values
from ucmlab.cluster.ca.kept import key_pem
from ucmlab.cluster.ca.ocsp_messages import CERTIFICATES_LIMIT, Malformed, read_request
from ucmlab.cluster.ca.responder import REFUSALS, SIGNERS, Responder, make_signer
from ucmlab.cluster.errors import Unusable
from ucmlab.node.certificates import parse, pem
from ucmlab.node.instant import HOUR, from_datetime
from ucmlab.node.ocsp import read_answer, request_for
from ucmlab.node.rulebook import RuleBook

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def ask(responder: Responder, leaf: bytes, issuer: bytes, *, nonce: bytes | None = None) -> ocsp.OCSPResponse:
    loaded = x509.load_der_x509_certificate(leaf), x509.load_der_x509_certificate(issuer)
    builder = ocsp.OCSPRequestBuilder().add_certificate(*loaded, hashes.SHA256())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return ocsp.load_der_ocsp_response(responder.answer(builder.build().public_bytes(Encoding.DER)))


@pytest.mark.rule("R-168", "R-169")
def test_good_revoked_on_hold_and_unknown() -> None:
    world = World()
    leaf, reasons = world.leaf(), list[tuple[ocsp.OCSPCertStatus, x509.ReasonFlags | None]]()

    def look() -> None:
        said = ask(world.responder, leaf, world.root)
        reasons.append((said.certificate_status, said.revocation_reason))

    look()
    world.revoke(leaf, "certificateHold")
    look()
    world.unhold(leaf)
    look()
    world.revoke(leaf, "unspecified")
    look()
    del world.office.books.issued[parse(leaf).serial], world.office.books.revocations[parse(leaf).serial]
    look()
    assert reasons == [
        (ocsp.OCSPCertStatus.GOOD, None),
        (ocsp.OCSPCertStatus.REVOKED, x509.ReasonFlags.certificate_hold),
        (ocsp.OCSPCertStatus.GOOD, None),
        (ocsp.OCSPCertStatus.REVOKED, None),
        (ocsp.OCSPCertStatus.UNKNOWN, None),
    ]
    assert [query.status for query in world.responder.queries] == ["good", "revoked", "good", "revoked", "unknown"]


def test_another_issuers_certificate_is_unknown_whatever_its_serial_number() -> None:
    world, other = World(), World(title="Other Root", key="ec-384")
    leaf = world.leaf()
    assert ask(world.responder, leaf, other.root).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def test_a_nonce_comes_back_and_is_missing_where_none_was_sent() -> None:
    world = World()
    leaf = world.leaf()
    said = ask(world.responder, leaf, world.root, nonce=b"\x01" * 16)
    assert said.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"\x01" * 16
    assert len(ask(world.responder, leaf, world.root).extensions) == 0
    assert [query.nonce for query in world.responder.queries] == [True, False]


@pytest.mark.parametrize("kind", SIGNERS)
@pytest.mark.parametrize("key", ["ec-256", "rsa-2048", "ed25519"])
def test_every_signer_signs_and_encloses_what_clients_do_not_have(kind: str, key: str) -> None:
    world = World(key=key)
    signer = make_signer(kind, world.office, lambda: world.office.authority.key, serial=5)
    said = ask(Responder(world.office, signer), world.leaf(), world.root)
    assert said.certificates == ([] if kind == "ca" else [signer.certificate])
    assert said.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(signer.key.public_key()).digest


def test_there_is_no_other_signer() -> None:
    world = World()
    with pytest.raises(Unusable, match="there are ca, delegated, undelegated, unrelated"):
        make_signer("root", world.office, lambda: world.office.authority.key, serial=5)


def test_the_same_question_gets_the_same_bytes() -> None:
    worlds = World(), World()
    answers = [world.responder.answer(request_for(world.leaf(), world.root)) for world in worlds]
    assert answers[0] == answers[1]


def test_an_answer_counts_from_now_for_an_hour_and_a_stale_one_did_last_week() -> None:
    world = World()
    leaf = world.leaf()
    said = ask(world.responder, leaf, world.root)
    assert said.next_update_utc is not None
    assert from_datetime(said.next_update_utc) - from_datetime(said.this_update_utc) == HOUR
    world.responder.stale = True
    late = ask(world.responder, leaf, world.root)
    assert late.next_update_utc is not None
    assert (said.this_update_utc - late.this_update_utc).days == 7


@pytest.mark.parametrize("word", sorted(REFUSALS))
def test_a_responder_may_refuse_and_then_counts_no_query(word: str) -> None:
    world = World()
    world.responder.refuses = word
    assert ask(world.responder, world.leaf(), world.root).response_status is REFUSALS[word]
    assert world.responder.queries == []


@pytest.mark.parametrize("request_", [b"", b"nonsense", b"\x30\x00", b"\x30\x02\x30\x00", b"\x30\x80" * 50])
def test_what_is_no_request_is_malformed(request_: bytes) -> None:
    said = ocsp.load_der_ocsp_response(World().responder.answer(request_))
    assert said.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


@lru_cache(maxsize=1)
def sample() -> tuple[World, bytes]:
    """A request about two certificates, with a nonce, as OpenSSL makes one."""
    world = World()
    loaded = x509.load_der_x509_certificate(world.leaf()), x509.load_der_x509_certificate(world.root)
    builder = ocsp.OCSPRequestBuilder().add_certificate(*loaded, hashes.SHA256())
    single = builder.add_extension(x509.OCSPNonce(b"n" * 16), critical=False).build().public_bytes(Encoding.DER)
    (to_be_signed,) = values(single)
    asked, extensions = values(to_be_signed)
    (request,) = values(asked)
    return world, sequence(sequence(sequence(request, request), extensions))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_request_is_left_without_a_response(data: st.DataObject) -> None:
    world, request = sample()
    changed = bytearray(request)
    for _ in range(data.draw(st.integers(0, 3))):
        changed[data.draw(st.integers(0, len(request) - 1))] = data.draw(st.integers(0, 255))
    said = ocsp.load_der_ocsp_response(world.responder.answer(bytes(changed)))
    if said.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL:
        assert len(list(said.responses)) in (1, 2)
    else:
        assert said.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    if bytes(changed) == request:
        assert len(list(said.responses)) == 2


def test_memory_for_queries_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ucmlab.cluster.ca.responder.REMEMBERED", 3)
    world = World()
    leaves = [world.leaf(f"server{number}") for number in range(5)]
    for leaf in leaves:
        ask(world.responder, leaf, world.root)
    assert [query.serial for query in world.responder.queries] == [serial_of(leaf) for leaf in leaves[2:]]


# -- OpenSSL's command line, by files: no sockets, and its clock is the machine's


def current(signer: str = "ca", *, key: str = "rsa-2048") -> World:
    return World(signer, key=key, wall=from_datetime(datetime.now(UTC)))


def written(folder: Path, **files: bytes) -> dict[str, Path]:
    paths = {name: folder / f"{name}.pem" for name in files}
    for name, der in files.items():
        paths[name].write_text(pem(der))
    return paths


def certificates(*paths: Path) -> list[str | Path]:
    return [part for path in paths for part in ("-cert", path)]


@needs_openssl
@pytest.mark.parametrize("signer", ["ca", "delegated"])
@pytest.mark.parametrize("key", ["ec-256", "rsa-2048"])
def test_openssl_as_a_client_gets_right_answers_about_several_certificates(
    tmp_path: Path, signer: str, key: str
) -> None:
    world = current(signer, key=key)
    good, gone, held, lost = (world.leaf(name) for name in ("good", "gone", "held", "lost"))
    world.revoke(gone, "keyCompromise")
    world.revoke(held, "certificateHold")
    del world.office.books.issued[serial_of(lost)]
    paths = written(tmp_path, root=world.root, good=good, gone=gone, held=held, lost=lost)
    names = ("good", "gone", "held", "lost")
    asked = ["-issuer", paths["root"], *certificates(*(paths[name] for name in names))]
    openssl("ocsp", *asked, "-reqout", tmp_path / "request.der", "-no_nonce")
    (tmp_path / "answer.der").write_bytes(world.responder.answer((tmp_path / "request.der").read_bytes()))
    said = openssl("ocsp", *asked, "-respin", tmp_path / "answer.der", "-CAfile", paths["root"], "-no_nonce")
    assert "Response verify OK" in said
    found = {Path(path).stem: status for path, status in re.findall(r"^(\S+\.pem): (\w+)", said, re.MULTILINE)}
    assert found == {"good": "good", "gone": "revoked", "held": "revoked", "lost": "unknown"}
    assert re.findall(r"Reason: (\w+)", said) == ["keyCompromise", "certificateHold"]


@needs_openssl
@pytest.mark.parametrize(("signer", "why"), [("undelegated", "missing ocspsigning usage"), ("unrelated", "self")])
def test_openssl_does_not_believe_whom_nobody_delegated(tmp_path: Path, signer: str, why: str) -> None:
    world = current(signer)
    paths = written(tmp_path, root=world.root, leaf=world.leaf(), signer=world.signer)
    answer = world.responder.answer(request_for(x509_der(paths["leaf"]), world.root))
    (tmp_path / "answer.der").write_bytes(answer)
    asked: list[str | Path] = [
        "-issuer",
        paths["root"],
        "-cert",
        paths["leaf"],
        "-respin",
        tmp_path / "answer.der",
        "-no_nonce",
    ]
    with pytest.raises(AssertionError, match="Response Verify Failure") as refused:
        openssl("ocsp", *asked, "-CAfile", paths["root"])
    assert why in str(refused.value).lower()
    # As the product's trusted responder model: the certificate itself is given.
    assert "Response verify OK" in openssl("ocsp", *asked, "-VAfile", paths["signer"])


def x509_der(path: Path) -> bytes:
    return der_of(x509.load_pem_x509_certificate(path.read_bytes()))


@needs_openssl
@pytest.mark.rule("R-162", "R-163")
@pytest.mark.parametrize(("signer", "model"), [("ca", "dtm"), ("delegated", "dtm"), ("unrelated", "trp")])
def test_answers_of_openssl_as_a_responder_are_believed(tmp_path: Path, signer: str, model: str) -> None:
    world = current(signer)
    leaves = {name: world.leaf(name) for name in ("good", "gone", "held", "lost")}
    index = tmp_path / "index.txt"
    index.write_text(openssl_index(leaves))
    paths = written(tmp_path, root=world.root, signer=world.signer)
    (tmp_path / "key.pem").write_bytes(key_pem(world.responder.signer.key))
    found: dict[str, tuple[str, str, str]] = {}
    for name, leaf in leaves.items():
        (tmp_path / "request.der").write_bytes(request_for(leaf, world.root))
        options: list[str | Path] = [
            "-index",
            index,
            "-CA",
            paths["root"],
            "-rsigner",
            paths["signer"],
            "-rkey",
            tmp_path / "key.pem",
        ]
        asked: list[str | Path] = ["-reqin", tmp_path / "request.der", "-respout", tmp_path / "answer.der"]
        openssl("ocsp", *options, *asked)
        answer = read_answer(
            (tmp_path / "answer.der").read_bytes(),
            certificate=leaf,
            issuer=world.root,
            designated=[parse(world.signer)],
            wall=from_datetime(datetime.now(UTC)),
            limits=RuleBook.load("14SU2").revocation.limits,
        )
        found[name] = answer.status, answer.detail, answer.model
    assert found == {
        "good": ("good", "", model),
        "gone": ("revoked", "keyCompromise", model),
        "held": ("revoked", "certificateHold", model),
        "lost": ("unknown", "", model),
    }


def openssl_index(leaves: dict[str, bytes]) -> str:
    """The books of `openssl ca`: `lost` is not in them, `gone` and `held` are revoked."""
    states = {
        "good": ("V", ""),
        "gone": ("R", "260101000000Z,keyCompromise"),
        "held": ("R", "260101000000Z,holdInstruction,1.2.840.10040.2.1"),
    }
    rows = []
    for name, (state, revoked) in states.items():
        serial = serial_of(leaves[name]).upper()
        rows.append(
            "\t".join(
                (state, "360101000000Z", revoked, serial.zfill(len(serial) + len(serial) % 2), "unknown", f"/CN={name}")
            )
        )
    return "\n".join(rows) + "\n"


@needs_openssl
def test_requests_of_openssl_about_too_many_or_with_a_nonce(tmp_path: Path) -> None:
    world = current()
    paths = written(tmp_path, root=world.root, leaf=world.leaf())
    many = ["-issuer", paths["root"], *certificates(*[paths["leaf"]] * (CERTIFICATES_LIMIT + 1))]
    openssl("ocsp", *many, "-reqout", tmp_path / "request.der")
    with pytest.raises(Malformed):
        read_request((tmp_path / "request.der").read_bytes())
    openssl("ocsp", *many[:-2], "-reqout", tmp_path / "request.der")
    read = read_request((tmp_path / "request.der").read_bytes())
    assert (len(read.asked), len(read.nonce or b"")) == (CERTIFICATES_LIMIT, 16)
