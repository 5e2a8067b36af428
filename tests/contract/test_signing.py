"""One suite over both kinds of signature: real labs' Ed25519 and the simulation's keyed hash."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ucmlab.broker.signing import (
    Ed25519Signer,
    Ed25519Verifier,
    KeyedHashSigner,
    KeyedHashVerifier,
    Signer,
    Verifier,
)

MEMBERS = ("pub", "sub1")
Kind = tuple[Callable[[str], Signer], Verifier]


def ed25519() -> Kind:
    private = {name: bytes([number]) * 32 for number, name in enumerate((*MEMBERS, "stranger"))}
    public = {name: Ed25519PrivateKey.from_private_bytes(private[name]).public_key() for name in MEMBERS}
    return lambda name: Ed25519Signer(private[name]), Ed25519Verifier(
        {name: key.public_bytes_raw() for name, key in public.items()}
    )


def keyed_hash() -> Kind:
    return lambda name: KeyedHashSigner(name, b"secret"), KeyedHashVerifier(dict.fromkeys(MEMBERS), b"secret")


KINDS = {"ed25519": ed25519(), "keyed hash": keyed_hash()}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@kinds
@given(data=st.binary(max_size=200))
def test_what_a_member_signed_is_its_own(kind: Kind, data: bytes) -> None:
    signer, verifier = kind
    signature = signer("pub").sign(data)
    assert verifier.verify("pub", data, signature)
    assert not verifier.verify("sub1", data, signature)


@kinds
def test_a_signature_is_the_same_every_time(kind: Kind) -> None:
    assert kind[0]("pub").sign(b"data") == kind[0]("pub").sign(b"data")


@kinds
@given(data=st.binary(min_size=1, max_size=60), at=st.integers(0), bit=st.integers(0, 7))
def test_one_changed_bit_of_data_or_signature_is_seen(kind: Kind, data: bytes, at: int, bit: int) -> None:
    signer, verifier = kind
    signature = signer("pub").sign(data)
    assert not verifier.verify("pub", flipped(data, at, bit), signature)
    assert not verifier.verify("pub", data, flipped(signature, at, bit))


def flipped(content: bytes, at: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[at % len(changed)] ^= 1 << bit
    return bytes(changed)


@kinds
@pytest.mark.parametrize("signature", [b"", b"x", b"x" * 16, b"x" * 64, b"x" * 10_000], ids=len)
def test_whatever_stands_in_place_of_a_signature_is_false_and_raises_nothing(kind: Kind, signature: bytes) -> None:
    assert not kind[1].verify("pub", b"data", signature)


@kinds
def test_a_member_that_nobody_knows_is_not_believed(kind: Kind) -> None:
    signer, verifier = kind
    assert not verifier.verify("stranger", b"data", signer("stranger").sign(b"data"))
    assert not verifier.verify("", b"data", b"")
