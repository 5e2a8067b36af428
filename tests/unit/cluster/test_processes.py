"""What a process does to itself before it forks."""

import os
import threading

import pytest

from ucmlab.cluster import processes


def test_a_fork_waits_until_threads_that_have_ended_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([["1", "2"], ["1", "2"], ["1"]])
    monkeypatch.setattr(os, "listdir", lambda _path: next(looks))
    monkeypatch.setattr(processes, "_LOOK_EVERY_S", 0)
    processes.outlive_threads()
    assert list(looks) == []


def test_threads_that_live_on_hold_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_LOOK_EVERY_S", 0)
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        processes.outlive_threads()
    finally:
        over.set()
        thread.join()


def test_a_system_that_does_not_tell_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def none(path: object) -> list[str]:
        asked.append(path)
        raise FileNotFoundError

    monkeypatch.setattr(os, "listdir", none)
    processes.outlive_threads()
    assert asked == ["/proc/self/task"]
