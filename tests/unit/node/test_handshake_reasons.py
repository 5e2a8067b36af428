from typing import get_args

import pytest

from tests.rules import known_names, why_unknown
from ucmlab.node.handshake_reasons import Reason, Usage, of_code, reasons, text_of


def test_the_table_has_every_reason() -> None:
    assert {"", *reasons()} == set(get_args(Reason))


def test_the_table_names_rules_that_there_are() -> None:
    known = known_names()
    named = [rule for row in reasons().values() for rule in row.rule.split() if rule != "ours"]
    assert [problem for rule in named if (problem := why_unknown(rule, known))] == []


@pytest.mark.parametrize(
    ("code", "usage", "reason"),
    [
        (18, "server", "unknown_ca"),
        (20, "client", "unknown_ca"),
        (26, "server", "eku_server_missing"),
        (26, "client", "eku_client_missing"),
        (79, "server", "not_a_ca"),
        (64, "server", "name_mismatch"),
        (71, "server", "unknown_ca"),
    ],
)
@pytest.mark.rule("R-004", "C-52")
def test_a_code_of_openssl_has_a_likeliest_word(code: int, usage: Usage, reason: Reason) -> None:
    assert of_code(code, usage) == reason


def test_texts_say_what_it_is_about() -> None:
    assert text_of("expired", "CN=pub, not after X") == "A certificate has expired: CN=pub, not after X"
    assert text_of("", "") == ""
