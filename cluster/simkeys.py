"""The simulation's private keys: numbered, the same on every machine, worthless as secrets.

A seed must replay byte for byte, so keys cannot be random; and one RSA key costs 50 ms and more to make, more than a
whole seed may. The keys therefore come from a fixed public seed. `STEPS` remembers how far from its starting point
each prime was found: with it a key is built in 0.15 ms, without it the search takes 0.2 s a key. The table gives
nothing away that the seed does not, needs no cache on disk, and a test repeats the search.

Identities of one simulated lab may share a key (numbers are taken modulo `POOL`). That is harmless: the core tells
keys apart by `KeyRef`, and certificates differ by serial. Real labs must refuse these keys: `is_simulation_key`.
"""

import hashlib
import math
from collections.abc import Callable
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SimPublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
SEED = b"ucmlab simulation keys 1: public on purpose, protects nothing"
EXPONENT = 65537
SIEVE_BOUND = 20_000
"""Small primes tried before Miller-Rabin: a larger bound costs more sieving than the tests it saves."""
WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19)
"""Miller-Rabin bases. The candidates are fixed, not an opponent's, so fixed bases do."""
CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "ec-256": ec.SECP256R1,
    "ec-384": ec.SECP384R1,
    "ec-521": ec.SECP521R1,
}

# fmt: off
STEPS: tuple[tuple[int, int], ...] = (
    (2, 147), (63, 220), (836, 234), (538, 176), (314, 84), (116, 161), (719, 373), (271, 5), (788, 150), (396, 752),
    (271, 609), (9, 376), (165, 181), (682, 156), (244, 323), (708, 762), (349, 119), (277, 572), (61, 35), (73, 225),
    (425, 739), (92, 1298), (145, 158), (364, 33), (432, 180), (452, 23), (236, 326), (278, 117), (14, 497),
    (854, 81), (53, 374), (104, 217),
)
# fmt: on
"""Per RSA key: how many odd numbers past its starting point each of the two primes lies."""
POOL = len(STEPS)
"""How many different keys there are of each kind that installations make."""
OTHER_STEPS: dict[int, tuple[tuple[int, int], ...]] = {
    1024: ((235, 13), (244, 13), (78, 110), (74, 436)),
    3072: ((445, 117), (261, 327), (826, 94), (253, 404)),
    4096: ((1769, 829), (105, 2022), (556, 663), (409, 205)),
}
"""The same for lengths that only operators ask for: fewer keys, as the primes are long to find."""
USUAL_BITS = 2048


def sim_key(number: int, kind: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """The key of that number and kind, as in `rsa-2048` or `ec-384`.

    Raises:
        KeyError: no such kind in the simulation.
    """
    family, _, size = kind.partition("-")
    return sim_rsa(number, int(size)) if family == "rsa" else sim_ec(number, kind)


def sim_rsa(number: int, bits: int = USUAL_BITS) -> rsa.RSAPrivateKey:
    """The RSA key of that number; numbers that are equal modulo the pool of that length name one key.

    Raises:
        KeyError: no such length in the simulation.
    """
    return _rsa(number % len(_steps(bits)), bits)


def sim_ec(number: int, curve: str) -> ec.EllipticCurvePrivateKey:
    """The EC key of that number, on one of `CURVES`; numbers that are equal modulo `POOL` name one key.

    Raises:
        KeyError: no such curve in the simulation.
    """
    return _ec(number % POOL, curve)


def sim_ed25519(number: int) -> ed25519.Ed25519PrivateKey:
    """The Ed25519 key of that number; numbers that are equal modulo `POOL` name one key."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(_stream(f"ed25519/{number % POOL}", 32))


def is_simulation_key(public: SimPublicKey) -> bool:
    """Whether anybody can know the private half, because it is one of the simulation's keys."""
    # By kind: who checks RSA keys only, as each start of a lab does, need not make the others.
    match public:
        case rsa.RSAPublicKey():
            known = _rsa_digests()
        case ec.EllipticCurvePublicKey():
            known = _ec_digests()
        case ed25519.Ed25519PublicKey():
            known = _ed25519_digests()
    return _spki_digest(public) in known


def find_step(number: int, which: int, bits: int = USUAL_BITS) -> int:
    """Search the prime `which` (0 or 1) of an RSA key from its starting point: what `STEPS` was made with."""
    start = _start(number, which, bits)
    composite = _sieve(start, length=4096)
    step = 0
    while composite[step] or not _usable(start + 2 * step):
        step += 1
    return step


def is_prime(candidate: int) -> bool:
    """Miller-Rabin with `WITNESSES`; `candidate` is odd and larger than any of them."""
    shift = ((candidate - 1) & -(candidate - 1)).bit_length() - 1
    return all(_passes(candidate, base, odd_part=(candidate - 1) >> shift, shift=shift) for base in WITNESSES)


def _steps(bits: int) -> tuple[tuple[int, int], ...]:
    return STEPS if bits == USUAL_BITS else OTHER_STEPS[bits]


@lru_cache(maxsize=2 * POOL)
def _rsa(number: int, bits: int) -> rsa.RSAPrivateKey:
    p, q = (_start(number, which, bits) + 2 * _steps(bits)[number][which] for which in (0, 1))
    private = pow(EXPONENT, -1, math.lcm(p - 1, q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=private,
        dmp1=private % (p - 1),
        dmq1=private % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(EXPONENT, p * q),
    )
    # Validation would cost 38 ms a key and can only find a mistake in this file; the test looks for those.
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


@lru_cache(maxsize=len(CURVES) * POOL)
def _ec(number: int, curve: str) -> ec.EllipticCurvePrivateKey:
    # 31 bytes: below the order of each curve, and never zero in practice.
    return ec.derive_private_key(int.from_bytes(_stream(f"{curve}/{number}", 31)), CURVES[curve]())


@lru_cache(maxsize=1)
def _rsa_digests() -> frozenset[bytes]:
    lengths = (USUAL_BITS, *OTHER_STEPS)
    keys = (sim_rsa(number, bits) for bits in lengths for number in range(len(_steps(bits))))
    return frozenset(_spki_digest(key.public_key()) for key in keys)


@lru_cache(maxsize=1)
def _ec_digests() -> frozenset[bytes]:
    return frozenset(_spki_digest(sim_ec(number, curve).public_key()) for number in range(POOL) for curve in CURVES)


@lru_cache(maxsize=1)
def _ed25519_digests() -> frozenset[bytes]:
    return frozenset(_spki_digest(sim_ed25519(number).public_key()) for number in range(POOL))


def _spki_digest(public: SimPublicKey) -> bytes:
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _stream(label: str, length: int) -> bytes:
    """Bytes that depend on `SEED` and `label` alone: SHA-256 in counter mode."""
    blocks = range(-(-length // 32))
    return b"".join(hashlib.sha256(SEED + f"/{label}/{block}".encode()).digest() for block in blocks)[:length]


def _start(number: int, which: int, bits: int) -> int:
    # Odd, and the two highest bits set, so that the product of two has exactly so many bits.
    label = f"rsa/{number}/{which}" if bits == USUAL_BITS else f"rsa-{bits}/{number}/{which}"
    return int.from_bytes(_stream(label, bits // 16)) | 0b11 << (bits // 2 - 2) | 1


def _sieve(start: int, *, length: int) -> bytearray:
    """Mark each `start + 2 * step`, for steps below `length`, that a small prime divides."""
    composite = bytearray(length)
    for prime in _small_primes():
        # start + 2 * step = 0 (mod prime), and the inverse of 2 is (prime + 1) / 2.
        first = -start * ((prime + 1) // 2) % prime
        composite[first::prime] = b"\1" * len(range(first, length, prime))
    return composite


@lru_cache(maxsize=1)
def _small_primes() -> tuple[int, ...]:
    sieve = bytearray(b"\1") * SIEVE_BOUND
    for number in range(2, math.isqrt(SIEVE_BOUND) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, SIEVE_BOUND, number)))
    return tuple(number for number in range(3, SIEVE_BOUND) if sieve[number])


def _usable(candidate: int) -> bool:
    return (candidate - 1) % EXPONENT != 0 and is_prime(candidate)


def _passes(candidate: int, base: int, *, odd_part: int, shift: int) -> bool:
    power = pow(base, odd_part, candidate)
    if power in (1, candidate - 1):
        return True
    for _ in range(shift - 1):
        power = power * power % candidate
        if power == candidate - 1:
            return True
    return False
