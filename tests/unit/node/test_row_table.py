"""Tables of rows are values: they never change, and nodes that hold the same rows share them."""

import gc
import hashlib
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.playbook import row
from ucmlab.broker.messages import Row, RowKey
from ucmlab.node.row_table import RowTable, table_of

ROWS = [row(f"Root {number}", unit) for unit in ("tomcat-trust", "CAPF-trust") for number in range(4)]
KEYS = [each.key for each in ROWS]

steps = st.lists(
    st.tuples(
        st.lists(st.sampled_from(KEYS), max_size=3, unique=True),
        st.lists(st.sampled_from(ROWS), max_size=3, unique_by=lambda each: each.key),
    ),
    max_size=12,
)
Steps = list[tuple[list[RowKey], list[Row]]]


def observed(table: RowTable) -> object:
    units = {unit: list(held.items()) for unit, held in table.units.items() if held}
    return list(table.rows.items()), units, table.digest(), table.in_order()


def naive(rows: dict[RowKey, Row]) -> object:
    """What the rows say by themselves, found from nothing."""
    units: dict[str, list[tuple[str, Row]]] = {}
    for each in rows.values():
        units.setdefault(each.unit, []).append((each.fingerprint, each))
    lines = sorted(f"{each.unit}\t{each.fingerprint}\n".encode() for each in rows.values())
    return list(rows.items()), units, hashlib.sha256(b"".join(lines)).hexdigest(), tuple(rows.values())


@pytest.mark.rule("S1")
@pytest.mark.rule("S7")
@given(steps)
def test_every_table_of_a_history_is_what_its_rows_say_and_stays_so(history: Steps) -> None:
    table, rows = table_of(()), dict[RowKey, Row]()
    passed = [(table, naive(rows))]
    for removes, adds in history:
        table = table.after(tuple(removes), tuple(adds))
        for key in removes:
            rows.pop(key, None)
        rows.update({each.key: each for each in adds})
        passed.append((table, naive(dict(rows))))
    assert [observed(each) for each, _ in passed] == [said for _, said in passed]


def test_the_same_entry_leads_everybody_from_one_table_to_one_table() -> None:
    before, adds = table_of(tuple(ROWS[:3])), (ROWS[3],)
    assert before.after((), adds) is before.after((), adds)


def test_another_entry_leads_to_another_table() -> None:
    before = table_of(tuple(ROWS[:3]))
    one, other = before.after((), (ROWS[3],)), before.after((KEYS[0],), (ROWS[3],))
    assert one.digest() != other.digest()
    assert list(other.rows) == [KEYS[1], KEYS[2], KEYS[3]]


def test_rows_that_a_table_gave_away_lead_back_to_it() -> None:
    table = table_of(tuple(ROWS))
    assert table_of(table.in_order()) is table


def test_equal_rows_from_elsewhere_are_another_table_with_the_same_digest() -> None:
    table = table_of(tuple(ROWS))
    other = table_of(tuple(reversed(table.in_order())))
    assert other is not table
    assert other.digest() == table.digest()


def test_a_table_that_everybody_has_left_is_forgotten() -> None:
    table = table_of(tuple(ROWS))
    table.in_order()
    seen = weakref.ref(table)
    table = table.after((), (row("Root 9", "tomcat-trust"),))
    gc.collect()
    assert seen() is None
    assert len(table.rows) == len(ROWS) + 1
