"""A comparison with nothing new to compare is passed over, and whatever may be new has it made."""

from collections.abc import Iterator
from typing import get_args

import pytest

from tests.playbook import LogBook, Playbook, follower, root, row
from ucmlab.broker.messages import Row
from ucmlab.cluster.search.campaign import Campaign, run_one
from ucmlab.node.commands import ReadFiles, Record, WriteFile
from ucmlab.node.comparison import Comparison
from ucmlab.node.config import Policy
from ucmlab.node.core import NodeCore
from ucmlab.node.events import FileImage, FilesRead
from ucmlab.node.instant import MINUTE
from ucmlab.node.replica import Replica

CA = row("Corp Root CA")
COMPARE = ReadFiles("compare")
passed_over: list[int] = []


class Checked(Comparison):
    """Makes each comparison that it might pass over, and looks whether it should have."""

    def _nothing_new(self, files: tuple[FileImage, ...]) -> bool:
        if super()._nothing_new(files):
            commands = self._context.commands
            before = len(commands)
            self._compare(FilesRead("compare", files))
            wanted = commands[before:]
            assert [each.name for each in wanted if isinstance(each, Record)] == ["resync"]
            assert len(wanted) == 1
            passed_over.append(1)
            commands.pop()
            self._context._records -= 1  # as if it had not been
            return True
        return False


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    passed_over.clear()
    monkeypatch.setattr(NodeCore, "comparison_class", Checked)
    yield
    assert passed_over


def subscriber(book: LogBook) -> Playbook:
    """One that has a file, at its first comparison."""
    sub = follower(book, files=[CA])
    sub.reads_anew = False
    sub.up().does(book.head())
    return sub


def settled() -> tuple[LogBook, Playbook]:
    """A subscriber that has compared its one file with its one row, and acknowledged it."""
    book = LogBook()
    book.add(CA)
    sub = subscriber(book)
    assert looks(sub) == 0
    return book, sub


def looks(sub: Playbook) -> int:
    """How often rows of a unit are looked at by the next comparison."""
    looked: list[str] = []
    replica = sub.core.replica

    def of_unit(unit: str) -> dict[str, Row]:
        looked.append(unit)
        return Replica.of_unit(replica, unit)

    replica.of_unit = of_unit  # type: ignore[method-assign]  # counts what is asked
    sub.wait(31 * MINUTE)
    return len(looked)


def test_the_second_of_two_equal_comparisons_looks_at_nothing_and_is_told_of() -> None:
    _, sub = settled()
    told = sub.records("resync")
    assert (looks(sub), len(sub.records("resync")) - len(told)) == (0, 1)


def test_a_file_that_somebody_removed_is_written_again() -> None:
    _, sub = settled()
    sub.disk.lose_file(next(key for key, file in sub.disk.files.items() if file.der == CA.der))
    assert [type(each) for each in sub.wait(31 * MINUTE)] == [ReadFiles, WriteFile]
    assert sub.files() == [CA.fingerprint]


def test_a_file_that_was_not_removed_after_all_is_there_for_the_node_again() -> None:
    _, sub = settled()
    sub.core.filing.remove(*CA.key)
    assert sub.core.filing.get(*CA.key) is None  # and on the disk it is: the command failed, or is still to come
    assert looks(sub) == 0
    assert sub.core.filing.get(*CA.key) is not None


def test_files_that_were_read_anew_are_compared_though_they_are_equal() -> None:
    _, sub = settled()
    sub.reads_anew = True
    assert looks(sub) > 0


def test_a_row_that_was_missed_is_compared() -> None:
    book, sub = settled()
    further = row("Other Root CA")
    sub.core.follower.broken = True
    book.add(further)
    sub.core.replica.apply(book.entries[-1], b"")
    assert [type(each) for each in sub.wait(31 * MINUTE)] == [ReadFiles, WriteFile]


def test_an_identity_that_no_row_names_is_put_forward() -> None:
    _, sub = settled()
    sub.core.identities["tomcat"] = root("sub1.lab.test")
    assert sub.wait(31 * MINUTE) != [COMPARE]


def test_what_is_under_way_is_looked_at_again() -> None:
    sub = subscriber(LogBook())
    assert sub.core.operations.open() == 1  # the row of its file is proposed
    assert looks(sub) > 0


def test_without_the_service_there_is_nothing_to_tell() -> None:
    _, sub = settled()
    sub.core.change_notification.stopped()
    sub.does(FilesRead("compare", sub.disk.read_files()))
    assert len(sub.records("resync")) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("policy", get_args(Policy))
def test_whatever_is_passed_over_in_a_search_would_have_found_nothing(policy: Policy) -> None:
    campaign = Campaign(seeds=1, nodes=("pub", "sub1", "sub2", "imp1"), replication=policy)
    for seed in range(12):
        run_one(campaign, seed)
