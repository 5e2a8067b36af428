"""Whether an answer can be believed: delegated trust, then the trusted responder; freshness; nonsense."""

from datetime import timedelta
from functools import lru_cache

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.playbook import WALL
from tests.unit.node.responders import URL, World
from ucmlab.cluster.ca.responder import REFUSALS
from ucmlab.node.certificates import parse
from ucmlab.node.instant import DAY, HOUR, MINUTE
from ucmlab.node.ocsp import Answer, Unbelievable, read_answer, request_for, responder_of, signs_answers
from ucmlab.node.rulebook import RuleBook

LIMITS = RuleBook.load("14SU2").revocation.limits


def ask(
    world: World, leaf: bytes, *, designated: tuple[bytes, ...] = (), wall: int = WALL, response: bytes | None = None
) -> Answer:
    said = world.responder.answer(request_for(leaf, world.root)) if response is None else response
    return read_answer(
        said,
        certificate=leaf,
        issuer=world.root,
        designated=[parse(each) for each in designated],
        wall=wall,
        limits=LIMITS,
    )


def trouble(world: World, leaf: bytes, **how: object) -> Unbelievable:
    with pytest.raises(Unbelievable) as caught:
        ask(world, leaf, **how)  # type: ignore[arg-type]  # as `ask` has them
    return caught.value


@pytest.mark.rule("R-162")
@pytest.mark.parametrize("signer", ["ca", "delegated"])
@pytest.mark.parametrize("key", ["ec-256", "rsa-2048"])
def test_who_the_ca_is_or_stands_for_is_believed(signer: str, key: str) -> None:
    world = World(signer, key=key)
    answer = ask(world, world.leaf())
    assert (answer.status, answer.model, answer.dtm_failed) == ("good", "dtm", "")


@pytest.mark.rule("R-162", "R-163")
@pytest.mark.parametrize(
    ("signer", "why"),
    [("undelegated", "has no attribute for signing OCSP answers"), ("unrelated", "was not issued by CN=Corp Root CA")],
)
def test_anybody_else_must_be_in_tomcat_trust(signer: str, why: str) -> None:
    world = World(signer)
    leaf = world.leaf()
    answer = ask(world, leaf, designated=(World(title="Other Root", key="ec-384").root, world.signer))
    assert (answer.status, answer.model) == ("good", "trp")
    assert why in answer.dtm_failed
    refused = trouble(world, leaf, designated=(World(title="Other Root", key="ec-384").root,))
    assert refused.trouble == "untrusted_signer"
    assert why in refused.dtm_failed


@pytest.mark.rule("R-162")
def test_a_delegate_of_another_ca_of_the_same_name_is_none() -> None:
    world, other = World(), World("delegated", key="ec-384")
    leaf = world.leaf()
    # The other's responder is made to answer about this one's certificate.
    other.office.authority, authority = world.office.authority, other.office.authority
    response = other.responder.answer(request_for(leaf, world.root))
    other.office.authority = authority
    assert trouble(world, leaf, response=response).trouble == "untrusted_signer"


@pytest.mark.rule("R-163")
def test_a_designated_certificate_outside_its_dates_designates_nobody() -> None:
    world = World("unrelated")
    leaf = world.leaf()
    wall = parse(world.signer).not_after + 1
    world.wall = wall
    assert trouble(world, leaf, designated=(world.signer,), wall=wall).trouble == "untrusted_signer"


@pytest.mark.rule("R-163")
def test_a_certificate_in_tomcat_trust_does_not_vouch_for_itself() -> None:
    world = World("undelegated")
    own = world.signer
    response = world.responder.answer(request_for(own, world.root))
    assert trouble(world, own, designated=(own,), response=response).trouble == "untrusted_signer"


@pytest.mark.rule("R-167")
def test_an_expired_certificate_that_was_not_revoked_is_good() -> None:
    world = World()
    leaf = world.leaf(not_after=world.now() - timedelta(days=1))
    assert parse(leaf).validity(WALL) == "expired"
    assert ask(world, leaf).status == "good"


@pytest.mark.rule("R-168")
def test_revoked_for_good_or_on_hold() -> None:
    world = World()
    gone, held = world.leaf("gone"), world.leaf("held")
    world.revoke(gone)
    world.revoke(held, "certificateHold")
    assert [(answer.status, answer.detail) for answer in (ask(world, gone), ask(world, held))] == [
        ("revoked", "keyCompromise"),
        ("revoked", "certificateHold"),
    ]
    world.unhold(held)
    assert ask(world, held).status == "good"


def test_a_revocation_without_a_reason() -> None:
    world = World()
    leaf = world.leaf()
    world.revoke(leaf, "unspecified")
    assert (ask(world, leaf).status, ask(world, leaf).detail) == ("revoked", "unspecified")


@pytest.mark.rule("R-169")
def test_a_serial_number_that_the_responder_does_not_know() -> None:
    world = World()
    leaf = world.leaf()
    del world.office.books.issued[parse(leaf).serial]
    assert ask(world, leaf).status == "unknown"


def test_an_answer_counts_only_for_its_time_but_for_clocks_that_differ() -> None:
    world = World()
    leaf = world.leaf()
    response = world.responder.answer(request_for(leaf, world.root))
    for off in (-5 * MINUTE, 0, HOUR, HOUR + 5 * MINUTE):
        assert ask(world, leaf, wall=WALL + off, response=response).this_update == WALL
    assert trouble(world, leaf, wall=WALL - 5 * MINUTE - 1, response=response).trouble == "not_yet"
    assert trouble(world, leaf, wall=WALL + HOUR + 5 * MINUTE + 1, response=response).trouble == "stale"


def test_a_responder_whose_answers_are_of_last_week() -> None:
    world = World()
    world.responder.stale = True
    assert trouble(world, world.leaf()).trouble == "stale"


def test_an_answer_that_does_not_say_until_when_counts_for_a_day() -> None:
    world = World()
    leaf, authority = world.leaf(), world.office.authority
    read = ocsp.load_der_ocsp_request(request_for(leaf, world.root))
    builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
        read.issuer_name_hash,
        read.issuer_key_hash,
        read.serial_number,
        read.hash_algorithm,
        ocsp.OCSPCertStatus.GOOD,
        world.now(),
        None,
        None,
        None,
    )
    from_name = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, authority.certificate)
    response = from_name.sign(authority.key, SHA256()).public_bytes(Encoding.DER)
    assert ask(world, leaf, wall=WALL + DAY, response=response).status == "good"
    assert trouble(world, leaf, wall=WALL + DAY + 6 * MINUTE, response=response).trouble == "stale"


def test_an_answer_about_another_certificate_or_of_another_ca() -> None:
    world, other = World(), World(title="Other Root", key="ec-384")
    leaf, second = world.leaf(), world.leaf("second")
    about_second = world.responder.answer(request_for(second, world.root))
    assert trouble(world, leaf, response=about_second).trouble == "other_certificate"
    elsewhere = other.responder.answer(request_for(leaf, world.root))
    assert trouble(world, leaf, response=elsewhere).trouble == "untrusted_signer"


@pytest.mark.parametrize("word", sorted(REFUSALS))
def test_a_responder_that_refuses(word: str) -> None:
    world = World()
    world.responder.refuses = word
    assert trouble(world, world.leaf()).trouble == word


@pytest.mark.parametrize("response", [b"", b"0", b"<html>not found</html>", bytes.fromhex("30030a0100"), b"\x30" * 99])
def test_nonsense(response: bytes) -> None:
    world = World()
    assert trouble(world, world.leaf(), response=response).trouble == "nonsense"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_changed_byte_is_believed(data: st.DataObject) -> None:
    """A signature covers it, or it changes who is asked to have signed; nothing else is raised, ever."""
    response, world, leaf = _sample()
    at = data.draw(st.integers(0, len(response) - 1))
    changed = bytearray(response)
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        answer = ask(world, leaf, response=bytes(changed))
    except Unbelievable:
        return
    # What no signature covers may change (a byte of a certificate that came along and is not needed): not what is said.
    assert answer.status == "revoked"


@lru_cache(maxsize=1)
def _sample() -> tuple[bytes, World, bytes]:
    world = World("delegated")
    leaf = world.leaf()
    world.revoke(leaf)
    return world.responder.answer(request_for(leaf, world.root)), world, leaf


@pytest.mark.rule("R-165")
def test_where_a_certificate_says_that_its_responder_is() -> None:
    world = World()
    assert responder_of(world.leaf()) == URL
    assert responder_of(world.leaf(ocsp="")) == ""
    assert responder_of(world.root) == ""


@pytest.mark.rule("R-186")
def test_which_certificates_sign_answers() -> None:
    kinds = {kind: signs_answers(World(kind).signer) for kind in ("ca", "delegated", "undelegated", "unrelated")}
    assert kinds == {"ca": False, "delegated": True, "undelegated": False, "unrelated": True}
