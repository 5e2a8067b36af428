"""The fuzzer's own parts: a seed is one input everywhere, and a changed value has right lengths around it."""

import hashlib
import os
import subprocess
import sys

from tests.fuzz.certificates import certificates
from tests.fuzz.der import OCTET_STRING, SEQUENCE, elements, replaced, value
from tests.fuzz.inputs import mutant

SEEDS = range(200)
SCRIPT = "from tests.fuzz.test_inputs import digest; print(digest())"


def digest() -> str:
    """SHA-256 over the inputs of some seeds."""
    return hashlib.sha256(repr([mutant(seed) for seed in SEEDS]).encode()).hexdigest()


def test_a_seed_is_the_same_input_in_every_process() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", SCRIPT]
    elsewhere = subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout.strip()
    assert elsewhere == digest()


def test_a_value_that_is_replaced_by_itself_changes_nothing() -> None:
    for der in certificates().values():
        found = elements(der)
        for number, each in enumerate(found):
            assert replaced(der, found, number, der[each.start : each.stop]) == der


def test_the_lengths_around_a_longer_value_are_right() -> None:
    der = certificates()["server"]
    found = elements(der)
    for number, each in enumerate(found):
        new = value(SEQUENCE, value(OCTET_STRING, bytes(300)))
        grown = replaced(der, found, number, new)
        # As deep as before, and the way there is whole.
        assert (len(each.around), new) in {(len(one.around), grown[one.start : one.stop]) for one in elements(grown)}


def test_values_inside_of_strings_are_found() -> None:
    der = certificates()["ca"]
    # Certificate, its signed part, [3], extensions, one of them, its OCTET STRING, basic constraints: then the flag.
    assert max(len(each.around) for each in elements(der)) == 7
