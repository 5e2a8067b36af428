"""Messages to bytes and back; and bytes that are no message."""

import random
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.playbook import CLUSTER, SECRET, TOPICS, codec, row
from ucmlab.broker.codec import BusCodec, Memo, Refused, signed_bytes
from ucmlab.broker.messages import AnyMessage, Birth, Envelope, Head, LogEntry, Proposal, Row, Setting, Snapshot
from ucmlab.broker.signing import KeyedHashSigner, KeyedHashVerifier

TOPIC = TOPICS.head()
HEAD = Head(1, 5, b"hash", "digest", 3)
MUTATIONS = 20_000

texts = st.text(max_size=12)
numbers = st.integers(0, 2**63 - 1)
generations = st.integers(1, 2**63 - 1)
rows = st.builds(
    Row, texts, texts, st.binary(max_size=40), texts, st.none() | st.lists(texts, max_size=3).map(tuple)
)  # fmt: skip
settings_made = st.builds(Setting, texts, texts, texts)
OWN_FIELDS = {
    "generation": generations,
    "adds": st.lists(rows, max_size=2).map(tuple),
    "rows": st.lists(rows, max_size=2).map(tuple),
    "tombstones": st.lists(st.tuples(texts, texts, numbers), max_size=2).map(tuple),
    "settings": st.lists(settings_made, max_size=2).map(tuple),
}


def messages(kind: type[AnyMessage]) -> st.SearchStrategy[AnyMessage]:
    own = {each.name for each in msgspec.structs.fields(kind) if each.type is not str}
    fields = {name: OWN_FIELDS[name] for name in kind.__struct_fields__ if name in OWN_FIELDS.keys() & own}
    numeric = {each.name: numbers for each in msgspec.structs.fields(kind) if each.type is int}
    dicts = {
        each.name: st.dictionaries(texts, generations if "int" in str(each.type) else texts, max_size=3)
        for each in msgspec.structs.fields(kind)
        if "dict" in str(each.type)
    }
    return st.builds(kind, **fields, **numeric, **dicts)


any_message = st.one_of([messages(kind) for kind in get_args(AnyMessage)])


@settings(max_examples=150, deadline=None)
@given(any_message, texts.filter(lambda text: "\0" not in text))
def test_what_is_sealed_opens_as_it_was(said: AnyMessage, cause: str) -> None:
    opened = codec("sub2").open(TOPIC, codec("pub", boot=7).seal(TOPIC, said, cause))
    assert (opened.sender, opened.boot, opened.cause, opened.message) == ("pub", 7, cause, said)


def test_what_was_said_before_there_were_settings_is_read_as_it_was() -> None:
    for said, fields in ((LogEntry(1, 1, b"", "op", "pub", "upload", (), (row(),), 5), 9), (HEAD, 5)):
        whole = msgspec.msgpack.decode(msgspec.msgpack.encode(said))
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(whole[: fields + 1]), type=type(said)) == said


def test_every_kind_of_message_has_its_own_tag() -> None:
    tags = [msgspec.msgpack.decode(msgspec.msgpack.encode(each))[0] for each in (HEAD, Birth("up", 1, {}, {}))]
    assert tags == ["Head", "Birth"]


@pytest.mark.slow
@pytest.mark.rule("S5")
def test_20000_mutated_payloads_are_refused_and_nothing_else() -> None:
    chance = random.Random(20260105)  # a test's, not a secret's
    held = row()
    said: list[AnyMessage] = [
        HEAD,
        LogEntry(1, 1, b"", "op", "pub", "upload", (held.key,), (held,), 5),
        Proposal("op", "upload", (), (held,), 9),
        Proposal("op", "parameter", (), (), 9, (Setting("cluster", "Use TLS", "true"),)),
        Snapshot(1, 1, 1, b"", 0, 1, (held,), (("a", "b", 1),)),
        Birth("up", 1, {"authz": 1}, {"Cisco Tomcat": "started"}),
    ]
    whole = [codec("pub").seal(TOPIC, each) for each in said]
    reader, opened = codec("sub2"), 0
    reasons: set[str] = set()
    for _ in range(MUTATIONS):
        payload = mutated(chance, chance.choice(whole))
        try:
            reader.open(TOPIC, payload)
            opened += payload not in whole
        except Refused as refused:
            reasons.add(refused.reason)
    assert opened == 0
    assert reasons == {"malformed", "signature", "cluster", "version"}


def mutated(chance: random.Random, payload: bytes) -> bytes:
    changed = bytearray(payload)
    match chance.randrange(5):
        case 0:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        case 1:
            del changed[chance.randrange(len(changed)) :]
        case 2:
            changed[chance.randrange(12)] = chance.randrange(256)
        case 3:
            at = chance.randrange(len(changed))
            changed[at:at] = chance.randbytes(chance.randint(1, 9))
        case _:
            changed += chance.randbytes(chance.randint(1, 9))
    return bytes(changed)


@pytest.mark.parametrize("payload", [b"\x91" * 200_000, b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"], ids=range(3))
def test_what_claims_to_be_huge_or_deep_is_refused_without_trying(payload: bytes) -> None:
    with pytest.raises(Refused, match="malformed"):
        codec("sub2").open(TOPIC, payload)


def test_a_body_that_is_no_message_is_refused_though_its_signature_holds() -> None:

    for body in (b"", b"\xc0", b"\x91\xa7Unknown", msgspec.msgpack.encode(HEAD) + b"\x00"):
        signature = KeyedHashSigner("pub", SECRET).sign(signed_bytes(CLUSTER, TOPIC, "pub", 1, "", body))
        payload = msgspec.msgpack.encode(Envelope(1, CLUSTER, "pub", 1, "", body, signature))
        with pytest.raises(Refused, match="malformed"):
            codec("sub2").open(TOPIC, payload)


# -- what the signature is bound to


@pytest.mark.parametrize(
    "change",
    [{"sender": "sub1"}, {"boot": 2}, {"cause": "x"}, {"body": msgspec.msgpack.encode(Head(9, 9, b"", "", 0))}],
    ids=["sender", "boot", "cause", "body"],
)
def test_the_signature_covers_each_field_of_the_envelope(change: dict[str, object]) -> None:
    envelope = msgspec.msgpack.decode(codec("pub").seal(TOPIC, HEAD), type=Envelope)
    payload = msgspec.msgpack.encode(msgspec.structs.replace(envelope, **change))
    with pytest.raises(Refused, match="signature"):
        codec("sub2").open(TOPIC, payload)


def test_the_signature_covers_the_topic() -> None:
    with pytest.raises(Refused, match="signature"):
        codec("sub2").open(TOPICS.log_binding(), codec("pub").seal(TOPIC, HEAD))


def test_the_signature_covers_the_cluster() -> None:
    envelope = msgspec.msgpack.decode(codec("pub", cluster="prod").seal(TOPIC, HEAD), type=Envelope)
    payload = msgspec.msgpack.encode(msgspec.structs.replace(envelope, cluster="test"))
    with pytest.raises(Refused, match="signature"):
        codec("sub2").open(TOPIC, payload)


def test_a_part_of_the_body_cannot_be_moved_into_the_cause() -> None:
    inner = msgspec.msgpack.encode(Head(9, 9, b"", "", 0))
    carrier = Head(1, 5, b"before\0" + inner, "", 0)
    body = msgspec.msgpack.encode(carrier)
    # A carrier whose body ends with the inner message: what an operator's own bytes at the end of a message can be.
    cut = body.index(b"\0" + inner)
    prefix, body = body[:cut], body[: cut + 1 + len(inner)]

    signature = KeyedHashSigner("pub", SECRET).sign(signed_bytes(CLUSTER, TOPIC, "pub", 1, "c", body))
    cause = "c\0" + prefix.decode("latin-1")
    if cause.encode() != b"c\0" + prefix:
        prefix = prefix.decode("utf-8", "ignore").encode()
        signature = KeyedHashSigner("pub", SECRET).sign(
            signed_bytes(CLUSTER, TOPIC, "pub", 1, "c", prefix + b"\0" + inner)
        )
        cause = "c\0" + prefix.decode()
    forged = msgspec.msgpack.encode(Envelope(1, CLUSTER, "pub", 1, cause, inner, signature))
    with pytest.raises(Refused):
        codec("sub2").open(TOPIC, forged)


def test_what_is_remembered_is_what_was_opened() -> None:
    memo: Memo = {}
    secret = b"another"
    both = {"pub": None, "sub1": None}
    sealing, opening = (
        BusCodec(
            cluster="c",
            sender=name,
            boot=1,
            signer=KeyedHashSigner(name, secret),
            verifier=KeyedHashVerifier(both, secret),
            memo=memo,
        )
        for name in both
    )
    payload = sealing.seal("t", HEAD)
    assert opening.open("t", payload).message == HEAD
    with pytest.raises(Refused):
        opening.open("other", payload)
