"""Who is let in at the admin interfaces, and who is locked out for having guessed."""

import pytest

from ucmlab.cluster.admin.accounts import FAILURES, FULL, LOCKED_FOR, READ, Guard, LockedOut, make_admin

OS = make_admin("administrator", "right", "platform", privilege=FULL)
READER = make_admin("reader", "also right", "platform", privilege=READ)
APPLICATION = make_admin("ccmadministrator", "right", "application", privilege=FULL)


def test_each_account_is_of_one_kind_of_interface() -> None:
    guard = Guard([OS, READER, APPLICATION])
    assert guard.admit("platform", "administrator", "right", now=0) is OS
    assert guard.admit("application", "ccmadministrator", "right", now=0) is APPLICATION
    assert guard.admit("platform", "ccmadministrator", "right", now=0) is None
    assert guard.admit("application", "administrator", "right", now=0) is None


@pytest.mark.parametrize("password", ["", "wrong", "right ", "\udcff"])
def test_a_wrong_password(password: str) -> None:
    assert Guard([OS]).admit("platform", "administrator", password, now=0) is None


def test_failures_one_after_another_lock_the_account_and_no_other() -> None:
    guard = Guard([OS, READER])
    for _ in range(FAILURES):
        assert guard.admit("platform", "administrator", "wrong", now=10) is None
    with pytest.raises(LockedOut):
        guard.admit("platform", "administrator", "right", now=9 + LOCKED_FOR)
    assert guard.admit("platform", "reader", "also right", now=10) is READER
    assert [guard.locked(account, now=10) for account in (OS, READER)] == [True, False]
    assert not guard.locked(OS, now=10 + LOCKED_FOR)
    assert guard.admit("platform", "administrator", "right", now=10 + LOCKED_FOR) is OS


def test_a_right_password_in_between_begins_the_count_anew() -> None:
    guard = Guard([OS])
    for _ in range(3):
        for _ in range(FAILURES - 1):
            assert guard.admit("platform", "administrator", "wrong", now=0) is None
        assert guard.admit("platform", "administrator", "right", now=0) is OS


def test_nothing_is_kept_of_names_that_nobody_has() -> None:
    guard = Guard([OS])
    for number in range(100):
        assert guard.admit("platform", f"user{number}", "wrong", now=0) is None
    assert not guard._failures
    assert not guard._locked_until


def test_no_secret_is_shown() -> None:
    assert repr(OS) == "AdminAccount('administrator', 'platform', 4)"
