"""Where the keys of a TOML text stand: what `tomllib` reads from it, on the lines on which it was written."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from ucmlab.cluster.toml_lines import Lines, line_numbers

NAMES = {
    "nodes": "nodes",
    "a-b_9": "a-b_9",
    "a.b": '"a.b"',
    "[x]": "'[x]'",
    "tab\t#": r'"tab\t#"',
    "=": "'='",
    "": '""',
}
"""Keys, and how they are written."""
VALUES = (
    "1",
    "-1.5e3",
    "true",
    "2027-01-31 08:00:00Z",
    '""',
    "''",
    '"],"',
    r'"\"[#"',
    r'"\\"',
    "'[{#\"'",
    '"""one line"""',
    '"""\n]#,\n[x]\n"""',
    r'''"""a "quoted" \""" \
    word"""""''',
    "'''\n'x' = [\n'''''",
    '""""""',
    "{}",
    '{ a = [1, "}"], b.c = "," }',
    "[[1, 2], [\n3]]",
)
BETWEEN = ("", " ", "\n", "\t# ,] not this\n", "\r\n  \n")
BEFORE = ("", "\n", "# nodes = [\n", " ")
AFTER = ("\n", " # and [this\n", "\r\n")
TABLES = ("", "[site]\nnodes = [1]\n", '[[ "b#" ]]\nx = 1\n[["b#"]]\nx = 2\n', "[c.d]\n[c.e]\n")


def line_at_the_end_of(text: str) -> int:
    return text.count("\n") + 1


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, Lines]:
    """A TOML text, and the lines on which its writer put things."""
    text, lines = "", Lines({}, {})
    for name in draw(st.lists(st.sampled_from(list(NAMES)), unique=True)):
        text += draw(st.sampled_from(BEFORE))
        lines.keys[name] = line_at_the_end_of(text)
        text += f"{NAMES[name]} = "
        kind = draw(st.sampled_from(("value", "list", "dotted")))
        if kind == "list":
            content, starts = draw_list(draw, text)
            lines.elements[name] = starts
            text += content
        elif kind == "dotted":
            text = f"{text.removesuffix(' = ')} . 'y'=[1]"
        else:
            text += draw(st.sampled_from(VALUES))
        text += draw(st.sampled_from(AFTER))
    return text, lines


def draw_list(draw: st.DrawFn, before: str) -> tuple[str, tuple[int, ...]]:
    content, starts = "[", list[int]()
    for _ in range(draw(st.integers(0, 3))):
        content += draw(st.sampled_from(BETWEEN))
        starts.append(line_at_the_end_of(before + content))
        content += f"{draw(st.sampled_from(VALUES))}{draw(st.sampled_from(BETWEEN))},"
    return f"{content}{draw(st.sampled_from(BETWEEN))}]", tuple(starts)


@given(documents(), st.sampled_from(TABLES))
def test_keys_and_elements_are_on_the_lines_on_which_they_were_written(made: tuple[str, Lines], tables: str) -> None:
    text, lines = made
    told = line_numbers(text + tables)
    read = tomllib.loads(text + tables)
    assert list(told.keys) == list(read)
    assert told.keys.items() >= lines.keys.items()
    assert {key: told.elements[key] for key in lines.elements} == lines.elements
    written_as_lists = [key for key, value in read.items() if isinstance(value, list) and key in lines.keys]
    assert {key: len(told.elements[key]) for key in written_as_lists} == {
        key: len(read[key]) for key in written_as_lists
    }


def test_a_table_is_where_its_first_line_is() -> None:
    text = 'release = "15"\n\n[lab.nodes]\nx = 1\n[[many]]\n[lab]\n[[many]]\n'
    assert line_numbers(text) == Lines({"release": 1, "lab": 3, "many": 5}, {})


def test_a_text_without_keys_has_none() -> None:
    assert line_numbers("") == line_numbers("# nothing\n\n") == Lines({}, {})
