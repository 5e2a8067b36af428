import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from ucmlab.cluster.simkeys import (
    CURVES,
    OTHER_STEPS,
    POOL,
    STEPS,
    find_step,
    is_prime,
    is_simulation_key,
    sim_ec,
    sim_ed25519,
    sim_key,
    sim_rsa,
)


def test_rsa_keys_are_whole_and_have_2048_bits() -> None:
    key = sim_rsa(0)
    signature = key.sign(b"data", padding.PKCS1v15(), hashes.SHA256())
    key.public_key().verify(signature, b"data", padding.PKCS1v15(), hashes.SHA256())
    assert {sim_rsa(number).key_size for number in range(POOL)} == {2048}


def test_the_modulus_of_a_key_never_changes() -> None:
    # A changed key would change every certificate, and with it every recorded digest of a simulated run.
    assert sim_rsa(0).public_key().public_numbers().n % 2**64 == 0xD046C5C6926BC69F
    assert sim_ec(0, "ec-384").public_key().public_numbers().x % 2**64 == 0x683D22D0BBABF369
    assert sim_ed25519(0).public_key().public_bytes_raw()[:8].hex() == "14f055298ad2a26d"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(POOL))
def test_every_factor_is_prime(number: int) -> None:
    numbers = sim_rsa(number).private_numbers()
    assert is_prime(numbers.p)
    assert is_prime(numbers.q)


@pytest.mark.slow
def test_the_table_is_what_the_search_finds() -> None:
    # The shortest searches of the table; the others differ only in how long they take.
    for number, which in sorted(((n, w) for n in range(POOL) for w in (0, 1)), key=lambda at: STEPS[at[0]][at[1]])[:4]:
        assert find_step(number, which) == STEPS[number][which]


@pytest.mark.slow
@pytest.mark.parametrize("bits", OTHER_STEPS)
def test_keys_of_other_lengths_are_whole_too(bits: int) -> None:
    keys = [sim_rsa(number, bits) for number in range(len(OTHER_STEPS[bits]))]
    assert {key.key_size for key in keys} == {bits}
    assert all(is_prime(prime) for key in keys[:1] for prime in (key.private_numbers().p, key.private_numbers().q))
    assert all(is_simulation_key(key.public_key()) for key in keys)
    assert find_step(0, 1, 1024) == OTHER_STEPS[1024][0][1]


@pytest.mark.parametrize(
    ("candidate", "prime"), [(10007, True), (10005, False), (2**127 - 1, True), (2**89 + 1, False)]
)
def test_primes_are_told_from_composites(candidate: int, *, prime: bool) -> None:
    assert is_prime(candidate) == prime


def test_numbers_name_keys_modulo_the_pool() -> None:
    assert sim_rsa(5 + 7 * POOL) is sim_rsa(5)
    assert sim_ec(5 + POOL, "ec-256") is sim_ec(5, "ec-256")
    assert len({sim_rsa(number).public_key().public_numbers().n for number in range(POOL)}) == POOL
    points = {sim_ec(number, curve).public_key().public_numbers().x for number in range(POOL) for curve in CURVES}
    assert len(points) == POOL * len(CURVES)


def test_simulation_keys_are_recognised_and_others_are_not() -> None:
    assert is_simulation_key(sim_rsa(POOL - 1).public_key())
    assert is_simulation_key(sim_ec(3, "ec-384").public_key())
    assert is_simulation_key(sim_ed25519(POOL - 1).public_key())
    assert not is_simulation_key(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())
    assert not is_simulation_key(ec.derive_private_key(3, ec.SECP384R1()).public_key())
    assert not is_simulation_key(rsa.RSAPublicNumbers(65537, (1 << 2048) - 1).public_key())


def test_an_unknown_curve_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        sim_ec(0, "ec-192")
    with pytest.raises(KeyError):
        sim_key(0, "rsa-512")
