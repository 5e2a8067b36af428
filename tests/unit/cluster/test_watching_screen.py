"""The picture of `ucmlab watch`: it fits, whatever the terminal; what is left out is said; what changed is seen."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from ucmlab.cluster.watching.board import Board, Cell, Key
from ucmlab.cluster.watching.screen import FRESH, Scene, Size, frame, ordered

BOTH = Cell(database=True, file=True)
KEYS: list[Key] = [("tomcat-trust", f"{number:064x}") for number in range(300)]


def scene(nodes: int = 3, certificates: int = 2, **more: object) -> Scene:
    lives = {"pub": "up"} | {f"sub{number}": "up" for number in range(1, nodes)}
    board: Board = {key: dict.fromkeys(lives, BOTH) for key in KEYS[:certificates]}
    names = {key: f"Root {at}" for at, key in enumerate(board)}
    facts = {"lab": "lab", "lives": lives, "board": board, "names": names, "order": tuple(board), **more}
    return Scene(**facts)  # type: ignore[arg-type]


def texts(lines: Sequence[Text]) -> list[str]:
    return [line.plain.rstrip() for line in lines]


def test_a_small_lab_on_a_small_terminal() -> None:
    board: Board = {
        KEYS[0]: {"pub": BOTH, "sub1": Cell(due=True), "sub2": Cell(database=True)},
        KEYS[1]: {"pub": Cell(database=True, file=True, loaded=("Cisco Tomcat", "Cisco DirSync"))},
    }
    lives = {"pub": "up", "sub1": "paused", "sub2": "up"}
    shown = texts(frame(scene(board=board, lives=lives, cursor=1, events=("one", "two")), Size(80, 16)))
    assert shown == [
        "lab  3 nodes, 2 certificates",
        "sub1 paused",
        "UNIT          CERTIFICATE     pub      sub1     sub2",
        "tomcat-trust  Root 0          both     due      row",
        "tomcat-trust  Root 1          both +2  -        -",
        "",
        "",
        "",
        "",
        "1-2 of 2",
        f"tomcat-trust  Root 1  {KEYS[1][1]}"[:79] + "…",
        "loaded by pub: Cisco Tomcat, Cisco DirSync",
        "one",
        "two",
        "",
        "q end  ↑↓ PgUp PgDn move  d only what is open   due: on its way  row, file: in …",
    ]


def test_twenty_one_nodes_fit_into_eighty_columns_with_a_letter_each() -> None:
    shown = texts(frame(scene(21, 300, cursor=150, broker_down=True), Size(80, 24)))
    assert shown[1] == "the broker is down"
    assert shown[6].split() == ["UNIT", "CERTIFICATE", *"0123456789", "0"]
    assert shown[7].split()[-21:] == ["B"] * 21
    assert "of 300" in shown[-7]
    assert any("Root 150 " in line for line in shown), "the cursor is in the picture"
    assert max(map(cell_len, shown)) <= 80


def test_nodes_that_do_not_fit_at_all_are_counted() -> None:
    shown = texts(frame(scene(100), Size(80, 24)))
    assert any("75 nodes left out, name some with --node" in line for line in shown)


def test_a_cell_that_changed_lately_is_marked_and_no_other() -> None:
    lines = frame(scene(fresh=frozenset({(KEYS[0], "sub1")})), Size(80, 24))
    marked = [(at, line.plain[span.start : span.end]) for at, line in enumerate(lines) for span in line.spans]
    styles = [(at, span.style) for at, line in enumerate(lines) for span in line.spans]
    assert [cell for cell, (_, style) in zip(marked, styles, strict=True) if style == FRESH] == [(2, "both")]


def test_what_changed_last_is_on_top_then_units_and_names() -> None:
    board: Board = {KEYS[0]: {"pub": BOTH}, KEYS[1]: {"pub": BOTH}, ("CAPF", "ff"): {"pub": Cell(file=True)}}
    names = {KEYS[0]: "b", KEYS[1]: "a"}
    assert ordered(board, names, {}, nodes=("pub",), open_only=False) == [("CAPF", "ff"), KEYS[1], KEYS[0]]
    assert ordered(board, names, {KEYS[0]: 5.0}, nodes=("pub",), open_only=False)[0] == KEYS[0]
    assert ordered(board, names, {}, nodes=("pub",), open_only=True) == [("CAPF", "ff")]


@pytest.mark.parametrize("open_only", [False, True])
def test_an_empty_board_says_so(open_only: bool) -> None:  # noqa: FBT001  pytest's parameter
    shown = texts(frame(scene(certificates=0, open_only=open_only), Size(80, 24)))
    assert any(line.startswith("no certificate") for line in shown)


@given(
    width=st.integers(20, 250),
    height=st.integers(8, 60),
    nodes=st.integers(1, 60),
    certificates=st.integers(0, 40),
    cursor=st.integers(0, 40),
)
def test_no_picture_is_larger_than_its_terminal(
    width: int, height: int, nodes: int, certificates: int, cursor: int
) -> None:
    lines = frame(scene(nodes, certificates, cursor=min(cursor, max(0, certificates - 1))), Size(width, height))
    assert len(lines) <= height
    assert all(cell_len(line.plain) <= width for line in lines)
