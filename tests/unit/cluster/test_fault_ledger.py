"""What can be injected, what is refused with one line, and what is known of it afterwards."""

import pytest

from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.catalogue import Fault, catalogue, fault_named, groups
from ucmlab.cluster.faults.ledger import Ledger
from ucmlab.cluster.faults.parameters import Kind, Parameter, Value, read
from ucmlab.node.instant import HOUR, MILLISECOND, MINUTE

LOSE = Fault("lose", "link", "node", "", lasts=True, where=("sim",), example="", counts=True)


def ledger() -> Ledger:
    return Ledger("sim", ["pub", "sub1", "sub2"])


@pytest.mark.parametrize("row", catalogue().values(), ids=lambda row: row.name)
def test_every_row_can_be_injected_with_its_defaults_or_says_what_it_needs(row: Fault) -> None:
    needed = {name: parameter for name, parameter in row.parameters.items() if parameter.default is None}
    if needed:
        with pytest.raises(Unusable, match=f"^{row.name} needs {next(iter(needed))}; write it like"):
            row.values({})
    else:
        assert set(row.values({})) == set(row.parameters)
    assert row.text
    assert row.name in row.example or row.group in ("node", "link", "broker", "service", "clock")


def test_rows_of_one_group_stand_together() -> None:
    in_order = [row.group for row in catalogue().values()]
    assert [group for group, last in zip(in_order, ["", *in_order], strict=False) if group != last] == list(groups())


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("duration", "50ms", 50 * MILLISECOND),
        ("duration", "1h30m", HOUR + 30 * MINUTE),
        ("offset", "+48h", 48 * HOUR),
        ("offset", "-10m", -10 * MINUTE),
        ("share", "0.25", 0.25),
        ("share", "1", 1.0),
        ("rate", "1.001", 1.001),
        ("count", "3", 3),
        ("command", "AppendLog", "AppendLog"),
        ("command", "", ""),
        ("text", "Cisco Tomcat", "Cisco Tomcat"),
    ],
)
def test_a_parameter_is_read_as_its_kind(kind: Kind, text: str, value: Value) -> None:
    assert read("it", "what", Parameter(kind), text) == value


@pytest.mark.parametrize(
    ("kind", "text", "line"),
    [
        ("duration", "soon", "what=soon of it is no duration; write it like 50ms, 90s or 31m"),
        ("duration", "+5s", "what=+5s of it is no duration"),
        ("offset", "--5s", "what=--5s of it is no offset; write it like +48h, -10m or 90s"),
        ("share", "0", "what=0 of it is no share; write it like 0.5, above 0 and at most 1"),
        ("share", "1.5", "no share"),
        ("share", "nan", "no share"),
        ("rate", "100", "what=100 of it is no rate; write it like 1.001, from 0.1 to 10"),
        ("count", "-1", "what=-1 of it is no count; write it like 3"),
        ("command", "WritFile", "a node performs no command 'WritFile'; there are Admit, AppendLog, ApplyEntry,"),
        ("word", "sideways", "it has no what 'sideways'; there are up, down"),
    ],
)
def test_a_parameter_that_is_ill_formed_is_refused_with_what_would_work(kind: Kind, text: str, line: str) -> None:
    with pytest.raises(Unusable) as refused:
        read("it", "what", Parameter(kind, words=("up", "down")), text)
    assert line in refused.value.text


@pytest.mark.parametrize(
    ("name", "target", "line"),
    [
        ("gremlins", "sub1", "there is no fault 'gremlins'; `ucmlab fault list` names them"),
        ("kill", "sub9", "kill cannot befall 'sub9'; it can pub, sub1, sub2"),
        ("kill", "broker", "kill cannot befall 'broker'"),
        ("broker-kill", "sub1", "broker-kill cannot befall 'sub1'; it can broker"),
        ("replication", "pub", "replication cannot befall 'pub'; it can sub1, sub2"),
        ("partition", "pub / sub7", "partition takes nodes, like `ucmlab fault partition pub,sub1 / sub2`; there are"),
    ],
)
def test_what_cannot_be_injected_is_refused_with_one_line(name: str, target: str, line: str) -> None:
    with pytest.raises(Unusable) as refused:
        ledger().declare(name, target, {})
    assert line in refused.value.text


def test_a_parameter_that_a_row_does_not_have_is_refused() -> None:
    with pytest.raises(Unusable, match=r"^kill has no parameter 'softly'; it has at$"):
        ledger().declare("kill", "sub1", {"softly": "yes"})


def test_what_has_no_uses_takes_no_count_and_what_happens_once_no_end() -> None:
    with pytest.raises(Unusable, match=r"^isolate has no uses to count"):
        ledger().declare("isolate", "sub1", {}, count=2)
    once = next((row.name for row in catalogue().values() if "sim" in row.where and not row.lasts), None)
    if once is not None:
        with pytest.raises(Unusable, match="happens once"):
            ledger().declare(once, "sub1", {}, until=1)


def test_a_fault_is_refused_in_a_mode_that_does_not_perform_it() -> None:
    only = next(row for row in catalogue().values() if row.where == ("sim",))
    with pytest.raises(Unusable, match=f"^{only.name} is performed in mode sim only"):
        fault_named(only.name, "local")


def test_what_stands_is_told_until_it_is_taken() -> None:
    book = ledger()
    book.begin(book.declare("kill", "sub1", {"at": "AppendLog"}))
    assert book.facts() == ({"fault": "kill", "target": "sub1", "at": "AppendLog"},)
    book.take("kill", "sub1")
    assert book.facts() == ()
    with pytest.raises(Unusable, match="there is no kill of sub1 to end; what stands: nothing"):
        book.take("kill", "sub1")


def test_what_never_took_effect_is_told_even_after_its_end() -> None:
    book = ledger()
    felt, unfelt = book.declare("isolate", "sub1", {}), book.declare("isolate", "sub2", {})
    for each in (felt, unfelt):
        book.begin(each)
    felt.used()
    book.take("isolate", "sub2")
    assert book.unfired() == ["isolate of sub2 never took effect"]
