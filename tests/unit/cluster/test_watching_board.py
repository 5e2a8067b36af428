"""The table of `ucmlab watch`: how far a certificate is on a node, and what changed."""

from ucmlab.cluster.watching.board import Cell, Change, Holding, change_text, changes, differs, make_board

ROOT = ("tomcat-trust", "aa" * 32)
OWN = ("tomcat", "bb" * 32)


def holdings(**sub1: object) -> dict[str, Holding]:
    row = {ROOT: None}
    pub = Holding("up", frozenset({ROOT}), row)
    return {"pub": pub, "sub1": Holding("up", **sub1)}  # type: ignore[arg-type]


def test_a_row_goes_from_due_to_arrived_to_written() -> None:
    steps = [holdings(), holdings(rows={ROOT: None}), holdings(rows={ROOT: None}, files=frozenset({ROOT}))]
    assert [make_board(step, "pub")[ROOT]["sub1"].word for step in steps] == ["due", "row", "both"]


def test_nothing_is_due_where_the_row_is_not_meant_to_be() -> None:
    pub = Holding("up", rows={ROOT: frozenset({"pub"})})
    assert make_board({"pub": pub, "sub1": Holding("up")}, "pub") == {ROOT: {"pub": Cell(database=True)}}


def test_a_file_that_nobody_knows_of_is_told_as_such() -> None:
    board = make_board({"pub": Holding("up"), "sub1": Holding("up", frozenset({ROOT}))}, "pub")
    assert board[ROOT]["sub1"].word == "file"


def test_who_has_loaded_a_certificate_is_told_even_when_it_is_in_no_copy_any_more() -> None:
    loaded = {"Cisco Tomcat": {"tomcat": OWN[1]}, "Cisco DirSync": {"tomcat": OWN[1]}}
    board = make_board({"pub": Holding("up", loaded=loaded)}, "pub")
    assert board[OWN] == {"pub": Cell(loaded=("Cisco DirSync", "Cisco Tomcat"))}


def test_changes_are_the_cells_that_differ_and_no_others() -> None:
    before = make_board(holdings(), "pub")
    after = make_board(holdings(rows={ROOT: None}), "pub")
    assert list(changes(before, after)) == [Change(*ROOT, "sub1", Cell(due=True), Cell(database=True))]
    assert list(changes(after, after)) == []
    gone = list(changes(after, {}))
    assert {(change.node, change.after.word) for change in gone} == {("pub", "-"), ("sub1", "-")}


def test_a_change_as_people_read_it() -> None:
    arrived = Change(*ROOT, "sub1", Cell(due=True), Cell(database=True))
    loaded = Change(*OWN, "pub", Cell(file=True, loaded=("A",)), Cell(file=True, loaded=("B",)))
    assert change_text(arrived, "Corp") == "sub1   tomcat-trust Corp aaaaaaaaaaaaaaaa: due -> row"
    assert change_text(loaded, "own") == "pub    tomcat own bbbbbbbbbbbbbbbb: loaded by B, no longer loaded by A"


def test_what_is_open_is_what_is_under_way_or_not_everywhere() -> None:
    nodes = ("pub", "sub1", "sub2")
    both = Cell(database=True, file=True)
    assert differs({"pub": both, "sub1": Cell(due=True), "sub2": both}, nodes)
    assert differs({"pub": both, "sub1": both}, nodes)
    assert not differs({"pub": both}, nodes), "an identity certificate is on its own node alone"
    assert not differs(dict.fromkeys(nodes, both), nodes)
