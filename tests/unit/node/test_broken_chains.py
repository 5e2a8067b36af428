"""The event `chain_broken`: told by each node when a delete has reached its files."""

from datetime import timedelta

import pytest

from tests.playbook import LogBook, Playbook, config, file_of
from tests.unit.node.authorities import Authority, issue
from tests.unit.node.certificate_factory import START
from ucmlab.broker.messages import Row
from ucmlab.node.commands import Record
from ucmlab.node.config import Policy
from ucmlab.node.events import DiskImage, OrderService
from ucmlab.node.services import CHANGE_NOTIFICATION

UNIT = "tomcat-trust"
ROOT = issue("Corp Root CA", 1)
ISSUING = issue("Corp Issuing CA", 2, ROOT)
LEAF = issue("sbc.partner.test", 3, ISSUING, ca=False)
TOMCAT = issue("sub1.lab.test", 4, ISSUING, ca=False)


def row_of(authority: Authority, unit: str = UNIT, holders: tuple[str, ...] | None = None) -> Row:
    return Row(unit, authority.certificate.fingerprint, authority.der, "", holders)


CHAIN = (row_of(ROOT), row_of(ISSUING), row_of(LEAF))


def node(
    *rows: Row, replication: Policy = "faithful", identities: dict[str, bytes] | None = None
) -> tuple[Playbook, LogBook]:
    """A subscriber with these rows and files, up; and the log that it follows."""
    book = LogBook(rows=rows)
    image = DiskImage(
        boot=0,
        installed=True,
        replica=book.image(),
        files=tuple(file_of(each) for each in rows),
        identities=identities or {},
    )
    sub = Playbook(config(replication=replication), image=image).up()
    sub.does(book.head())
    return sub, book


def told(sub: Playbook) -> list[tuple[object, object]]:
    return [(each.fields["unit"], each.fields["name"]) for each in sub.records("chain_broken")]


@pytest.mark.rule("R-076", "C-48")
def test_a_node_tells_at_its_own_delete_whose_chain_is_whole_no_longer() -> None:
    sub, _ = node(*CHAIN, identities={"tomcat": TOMCAT.der, "CallManager": LEAF.der})
    sub.deletes("op-1", row_of(ISSUING))
    assert told(sub) == [(UNIT, "sbc.partner.test"), ("tomcat", "sub1.lab.test")]
    first = sub.records("chain_broken")[0]
    removed = sub.records("file_removed")[0]
    assert first == Record(
        first.id,
        "chain_broken",
        removed.id,
        "op-1",
        {"unit": UNIT, "fingerprint": LEAF.certificate.fingerprint, "name": "sbc.partner.test"},
    )


@pytest.mark.rule("R-080", "C-48")
def test_another_node_tells_it_when_the_delete_arrives() -> None:
    sub, book = node(*CHAIN)
    entry = book.delete(row_of(ISSUING), op_id="theirs", origin="pub")
    sub.does(book.told(entry.seq))
    assert told(sub) == [(UNIT, "sbc.partner.test")]
    assert [each.op_id for each in sub.records("chain_broken")] == ["theirs"]


@pytest.mark.rule("C-05")
@pytest.mark.parametrize(("policy", "expected"), [("faithful", []), ("modern", [(UNIT, "sbc.partner.test")])])
def test_a_node_whose_files_do_not_follow_tells_nothing(policy: Policy, expected: list[tuple[str, str]]) -> None:
    sub, book = node(*CHAIN, replication=policy)
    sub.does(OrderService("stop", "sub1", CHANGE_NOTIFICATION, "stop"))
    entry = book.delete(row_of(ISSUING))
    sub.does(book.told(entry.seq))
    assert told(sub) == []
    # The comparison at its start: the zombie of the product's releases, or the end of the file.
    sub.does(OrderService("start", "sub1", CHANGE_NOTIFICATION, "start"))
    assert told(sub) == expected


@pytest.mark.rule("X-04")
def test_the_delete_of_a_unit_that_change_notification_does_not_move_is_told_as_well() -> None:
    sub, book = node(*(row_of(each, "CAPF-trust", ("pub", "sub1")) for each in (ROOT, ISSUING, LEAF)))
    entry = book.delete(row_of(ISSUING, "CAPF-trust"))
    sub.does(book.told(entry.seq))
    assert told(sub) == [("CAPF-trust", "sbc.partner.test")]


def test_nothing_breaks_without_a_certificate_that_nobody_needs() -> None:
    sub, _ = node(*CHAIN)
    sub.deletes("op-1", row_of(LEAF))
    assert told(sub) == []


def test_a_renewed_issuer_breaks_nothing_and_one_with_another_key_does() -> None:
    later = START + timedelta(days=1)
    sub, _ = node(*CHAIN)
    sub.uploads("op-1", issue("Corp Issuing CA", 2, ROOT, serial=8, start=later).der)
    assert len(sub.records("file_removed")) == 1
    assert told(sub) == []
    other, _ = node(*CHAIN)
    other.uploads("op-1", issue("Corp Issuing CA", 9, ROOT, serial=9, start=later).der)
    assert told(other) == [(UNIT, "sbc.partner.test")]


def test_a_delete_of_root_and_intermediate_in_one_entry_tells_each_once() -> None:
    sub, book = node(*CHAIN)
    entry = book.delete(row_of(ROOT), row_of(ISSUING))
    sub.does(book.told(entry.seq))
    assert told(sub) == [(UNIT, "sbc.partner.test")]
