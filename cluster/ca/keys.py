"""The kinds of keys that authorities and their customers have."""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.simkeys import CURVES, POOL, sim_ed25519, sim_key

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
KeySource = Callable[[str], PrivateKey]
"""A new key of a kind, as in `rsa-2048`, `ec-256` or `ed25519`."""

RSA = {f"rsa-{bits}": bits for bits in (2048, 3072, 4096)}
ED25519 = "ed25519"
KINDS = (*RSA, *CURVES, ED25519)
RSA_EXPONENT = 65537


def check_kind(kind: str) -> None:
    """Whether there are such keys.

    Raises:
        Unusable: there are none.
    """
    if kind not in KINDS:
        raise Unusable(f"no CA with a key {kind!r}; there are {', '.join(KINDS)}")


def make_key(kind: str) -> PrivateKey:
    """A key that nobody else has.

    Raises:
        Unusable: there is no such kind.
    """
    check_kind(kind)
    if kind == ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    if kind in CURVES:
        return ec.generate_private_key(CURVES[kind]())
    return rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=RSA[kind])


def simulation_keys() -> KeySource:
    """Keys that are the same in every run: the simulation's pool from its end, since nodes take from its start."""
    taken = 0

    def next_key(kind: str) -> PrivateKey:
        nonlocal taken
        check_kind(kind)
        taken += 1
        number = POOL - taken
        return sim_ed25519(number) if kind == ED25519 else sim_key(number, kind)

    return next_key
