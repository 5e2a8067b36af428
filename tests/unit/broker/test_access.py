"""Accounts, passwords, and access rules."""
# ruff: noqa: FBT001  packets and verdicts stand in tables

import pytest

from ucmlab.broker.access import AccessRule, Accounts, Action, ClientIdentity, make_account

RULES = (
    AccessRule("publish", "lab/node/%u/#"),
    AccessRule("publish", "lab/client/%c/x"),
    AccessRule("subscribe", "lab/#"),
    AccessRule("receive", "lab/#"),
    AccessRule("receive", "lab/secret/#", allow=False),
    AccessRule("subscribe", "lab/secret/#", allow=False),
)
SUB1 = make_account("sub1", b"one", salt=b"1", rules=RULES, client_id="%u")
SUB2 = make_account("sub2", b"two", salt=b"2", rules=RULES)


@pytest.mark.parametrize(
    ("client_id", "username", "password", "expected"),
    [
        ("sub1", "sub1", b"one", True),
        ("sub1", "sub1", b"two", False),
        ("sub1", "sub1", None, False),
        ("other", "sub1", b"one", False),
        ("sub1", "sub2", b"two", False),
        ("anything", "sub2", b"two", True),
        ("x", "nobody", b"one", False),
        ("x", None, None, False),
    ],
)
def test_a_client_needs_its_name_its_password_and_an_id_that_is_its_own(
    client_id: str, username: str | None, password: bytes | None, expected: bool
) -> None:
    assert Accounts([SUB1, SUB2]).authenticate(client_id, username, password) is expected


def test_anonymous_clients_enter_where_rules_for_them_exist_but_not_under_an_owned_id() -> None:
    accounts = Accounts([SUB1], anonymous=[AccessRule("receive", "open")])

    assert accounts.authenticate("x", None, None)
    assert not accounts.authenticate("sub1", None, None)
    assert accounts.authorize(ClientIdentity("x"), "receive", "open")
    assert not accounts.authorize(ClientIdentity("x"), "publish", "open")


@pytest.mark.parametrize(
    ("action", "topic", "expected"),
    [
        ("publish", "lab/node/sub1/ack", True),
        ("publish", "lab/node/sub2/ack", False),
        ("publish", "lab/client/c1/x", True),
        ("publish", "lab/client/c2/x", False),
        ("subscribe", "lab/+/x", True),
        ("subscribe", "#", False),
        ("subscribe", "lab/secret/a", False),
        ("receive", "lab/a", True),
        ("receive", "lab/secret/a", False),
        ("receive", "other", False),
    ],
)
def test_rules_decide_and_refusals_outweigh_permissions(action: Action, topic: str, expected: bool) -> None:
    assert Accounts([SUB1]).authorize(ClientIdentity("c1", "sub1"), action, topic) is expected


@pytest.mark.parametrize("name", ["#", "+", "a/b", "sub2/#"])
def test_a_name_with_signs_of_a_filter_does_not_widen_a_rule(name: str) -> None:
    accounts = Accounts([make_account(name, b"p", salt=b"s", rules=RULES)])

    assert not accounts.authorize(ClientIdentity("c", name), "publish", "lab/node/sub2/ack")
    assert not accounts.authorize(ClientIdentity("c", name), "publish", f"lab/node/{name}/ack")


def test_a_removed_user_may_do_nothing() -> None:
    accounts = Accounts()
    accounts.put(SUB2)
    assert accounts.authenticate("x", "sub2", b"two")

    accounts.remove("sub2")

    assert not accounts.authenticate("x", "sub2", b"two")
    assert not accounts.authorize(ClientIdentity("x", "sub2"), "receive", "lab/a")


def test_an_account_shows_neither_salt_nor_digest() -> None:
    assert "digest" not in repr(SUB1)
    assert "salt" not in repr(SUB1)
