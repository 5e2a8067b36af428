"""Values of parameters: judged by their rows, kept by place, read by kind."""

import pytest

from ucmlab.node.errors import Refusal
from ucmlab.node.parameters import Parameters
from ucmlab.node.rulebook import Role, RuleBook

BOOK = RuleBook.load("14SU2")


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("Enable OCSP", "TRUE", "true"),
        ("HTTPS Ciphers", "all supported ec and rsa ciphers", "All Supported EC and RSA Ciphers"),
        ("Notification Start Time", "007", "7"),
        ("E-mail IDs", "a@x.lab;b@x.lab", "a@x.lab;b@x.lab"),
        ("E-mail IDs", "", ""),
        ("E-mail IDs", "a" * 1024, "a" * 1024),
    ],
)
def test_a_value_is_kept_as_the_product_writes_it(name: str, value: str, kept: str) -> None:
    assert BOOK.parameters[name].judge(value) == kept


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("Enable OCSP", "yes", "Enable OCSP takes true or false, not 'yes'"),
        (
            "HTTPS Ciphers",
            "EC",
            "HTTPS Ciphers takes 'RSA Ciphers Only' or 'All Supported EC and RSA Ciphers', not 'EC'",
        ),
        ("Notification Start Time", "0", "Notification Start Time takes an integer from 1 to 365 (days), not '0'"),
        ("Notification Start Time", "366", "Notification Start Time takes an integer from 1 to 365 (days), not '366'"),
        ("Check Every", "\u0661", "Check Every takes an integer from 1 to 720, not '\u0661'"),
        ("Check Every", "9" * 5000, f"Check Every takes an integer from 1 to 720, not '{'9' * 80}' and so on"),
        ("E-mail IDs", "a\nb", "E-mail IDs takes a text of one line, of 1024 characters at most, not 'a\\nb'"),
        (
            "E-mail IDs",
            "a" * 1025,
            f"E-mail IDs takes a text of one line, of 1024 characters at most, not '{'a' * 80}' and so on",
        ),
    ],
)
def test_another_value_is_refused_with_what_would_do(name: str, value: str, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        BOOK.parameters[name].judge(value)
    assert (refused.value.reason, refused.value.text) == ("parameter_value", text)


@pytest.mark.rule("R-174", "R-187")
@pytest.mark.parametrize(("node", "role", "read"), [("pub", "pub", 10), ("sub1", "sub", 10), ("imp1", "imp", 20)])
def test_call_processing_and_im_and_presence_have_settings_of_their_own(node: str, role: Role, read: int) -> None:
    values = {("cucm", "Notification Start Time"): "10", ("imp", "Notification Start Time"): "20"}
    assert Parameters(BOOK.parameters, node=node, role=role, values=values).number("Notification Start Time") == read


def test_a_node_has_its_own_mode_and_the_cluster_one_value() -> None:
    values = {("sub1", "FIPS Mode"): "true", ("cluster", "SIP OAuth Mode"): "true"}
    flags = {node: Parameters(BOOK.parameters, node=node, role="sub", values=values) for node in ("sub1", "sub2")}
    assert (flags["sub1"].flag("FIPS Mode"), flags["sub2"].flag("FIPS Mode")) == (True, False)
    assert flags["sub2"].flag("SIP OAuth Mode")


def test_what_is_set_later_is_read_later_and_the_rest_has_its_default() -> None:
    values: dict[tuple[str, str], str] = {}
    parameters = Parameters(BOOK.parameters, node="pub", role="pub", values=values)
    assert parameters.text("HTTPS Ciphers") == "RSA Ciphers Only"
    values["cucm", "HTTPS Ciphers"] = "All Supported EC and RSA Ciphers"
    assert parameters.text("HTTPS Ciphers") == "All Supported EC and RSA Ciphers"


def test_a_flag_that_the_release_does_not_have_is_not_set() -> None:
    parameters = Parameters(BOOK.parameters, node="pub", role="pub", values={("cucm", "Enable CRL"): "true"})
    assert not parameters.flag("Enable CRL")
