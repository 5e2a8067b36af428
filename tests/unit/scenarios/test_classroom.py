"""What a class sees after a step: what changed where, and nothing else."""

from ucmlab.cluster.watching.board import Cell, Key
from ucmlab.scenarios.classroom import Seen, difference

ROOT: Key = ("tomcat-trust", "aa")
OWN: Key = ("tomcat", "bb")
BOTH = Cell(database=True, file=True)
UP = {"pub": "up", "sub1": "up"}
NAMES = {"aa": "ca:Root#1", "bb": "pub/tomcat#1"}


def told(before: Seen, after: Seen) -> list[str]:
    return [line.strip() for line, _ in difference(before, after, NAMES.__getitem__, list(before.states))]


def test_a_certificate_that_moved_is_a_row_with_before_and_after() -> None:
    after = Seen({ROOT: {"pub": BOTH, "sub1": Cell(database=True)}}, UP)
    assert told(Seen({}, UP), after) == [
        "unit          certificate  pub     sub1",
        "tomcat-trust  ca:Root#1    -→both  -→row",
    ]


def test_what_stayed_is_told_only_beside_what_moved() -> None:
    before = Seen({ROOT: {"pub": BOTH}, OWN: {"pub": BOTH}}, UP)
    after = Seen({ROOT: {"pub": BOTH, "sub1": BOTH}, OWN: {"pub": BOTH}}, UP)
    assert told(before, after)[1:] == ["tomcat-trust  ca:Root#1    both  -→both"]
    assert told(after, after) == ["nothing changed in the stores"]


def test_nodes_that_came_and_went_and_what_services_loaded_are_told_too() -> None:
    before = Seen({OWN: {"pub": BOTH}}, UP)
    after = Seen({OWN: {"pub": Cell(database=True, file=True, loaded=("Cisco Tftp",))}}, {**UP, "sub1": "down"})
    assert told(before, after) == ["sub1: up → down", "pub: Cisco Tftp loaded pub/tomcat#1"]
    assert told(after, before) == ["sub1: down → up", "pub: Cisco Tftp no longer loaded pub/tomcat#1"]


def test_what_dies_with_its_node_is_not_told_twice() -> None:
    loaded = Seen({OWN: {"pub": Cell(database=True, file=True, loaded=("Cisco Tftp",))}}, UP)
    assert told(loaded, Seen({OWN: {"pub": BOTH}}, {**UP, "pub": "down"})) == ["pub: up → down"]


def test_where_a_table_would_be_too_wide_nodes_are_listed() -> None:
    nodes = {f"sub{number}": "up" for number in range(20)}
    after = Seen({ROOT: {node: BOTH for node in nodes if node != "sub7"}}, nodes)
    lines = told(Seen({}, nodes), after)
    assert lines[0] == "tomcat-trust  ca:Root#1"
    assert lines[1].startswith("-→both on sub0, sub1")
    assert "sub7," not in lines[1]


def test_a_step_that_changes_very_much_is_told_in_part() -> None:
    keys: list[Key] = [("tomcat-trust", f"{number:02}") for number in range(25)]
    lines = [
        line for line, _ in difference(Seen({}, UP), Seen({key: {"pub": BOTH} for key in keys}, UP), str, list(UP))
    ]
    assert len(lines) == 22
    assert lines[-1].strip() == "and 5 certificates more"
