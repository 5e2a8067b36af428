"""What a lab.toml may say, and that each mistake is told in one line, which names file, line and key."""

import pytest

from ucmlab.cluster.cli.making import Asked, asked_for, planned
from ucmlab.cluster.cli.said import Said
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.labtoml import KEYS, SIZE_LIMIT, read_lab_toml
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.instant import from_rfc3339

WHOLE = """\
# What a class uses.
nodes = [
  "pub",    # the first
  "sub1",
  'sub2', "imp1",
]
release = "12.5"
profile = "tac"
replication = "modern"
timing = "product"
domain = "corp.example"
beyond_product = true
der_pkcs7 = true
strict_uploads = true
at = 2027-01-31T08:00:00Z
speed = 60
broker = "mqtt://lab:secret@broker.corp.example"
"""


def asked(text: str, **options: object) -> Asked:
    """What a command makes of a lab.toml and options."""
    file = read_lab_toml(text.encode())
    return asked_for(phones=0, **Said(options, file).values)


def told(text: str | bytes) -> str:
    with pytest.raises(Unusable) as refused:
        read_lab_toml(text if isinstance(text, bytes) else text.encode())
    assert "\n" not in refused.value.text
    return refused.value.text


def test_it_says_what_options_say() -> None:
    made = asked(WHOLE)
    assert planned(made) == topology(
        Settings(
            nodes=("pub", "sub1", "sub2", "imp1"),
            release="12.5",
            profile="tac",
            replication="modern",
            timing="product",
            domain="corp.example",
            beyond_product=True,
            der_pkcs7=True,
            strict_uploads=True,
        )
    )
    assert made.options() == {"broker": "mqtt://broker.corp.example:1883", "speed": "60"}
    assert made.start == from_rfc3339("2027-01-31T08:00:00Z")


def test_nothing_need_be_said() -> None:
    assert read_lab_toml(b"").values == read_lab_toml(b"\xef\xbb\xbf# nothing\r\n").values == {}
    assert planned(asked("")) == topology(Settings())
    assert planned(asked('nodes = "pub, sub1"')).names == ("pub", "sub1")


@pytest.mark.parametrize(
    "written", ["2027-01-31", '"2027-01-31"', "2027-01-31 01:00:00+01:00", '"2027-01-31T00:00:00Z"']
)
def test_an_instant_is_a_date_or_a_text(written: str) -> None:
    assert asked(f"at = {written}").start == from_rfc3339("2027-01-31T00:00:00Z")


def test_a_password_in_a_brokers_url_does_not_show() -> None:
    assert "secret" not in repr(read_lab_toml(WHOLE.encode()))


def test_every_key_is_an_option_of_init_and_none_is_forgotten() -> None:
    assert KEYS.keys() >= set(Settings.__struct_fields__)
    assert KEYS.keys() - set(Settings.__struct_fields__) == {"at", "speed", "broker", "broker_ca", "listen", "ports"}


KNOWN = ", ".join(KEYS)
NAMES = 'say names, which choose the roles, like ["pub", "sub1"] or "pub,sub1"'
NO_TOML = 'a line is like release = "14SU2", and a key stands once'
MISTAKES = {
    "syntax": (
        'nodes = "pub"\n\nrelease = 14SU2\n',
        "lab.toml:3: release: this is no TOML: expected newline or end of document after a statement at column 13; "
        + NO_TOML,
    ),
    "an open bracket": (
        'release = "15"\nnodes = ["pub",\n"sub1"\n\n',
        f"lab.toml:4: this is no TOML: unclosed array, and the file is at its end; {NO_TOML}",
    ),
    "no quotation marks": (
        "nodes = pub,sub1",
        f"lab.toml:1: nodes: this is no TOML: invalid value at column 9; {NO_TOML}",
    ),
    "a key twice": (
        'release = "15"\nspeed = 2\nrelease = "14"\n',
        f"lab.toml:3: release: this is no TOML: cannot overwrite a value at column 15; {NO_TOML}",
    ),
    "brackets without end": (
        f"speed = 2\nnodes = {'[' * 9000}",
        f"lab.toml:2: nodes: this is no TOML: brackets too deep in others; {NO_TOML}",
    ),
    "digits without end": (
        f"timing = 'instant'\nspeed = {'9' * 9000}\n# behind\n",
        f"lab.toml:2: speed: this is no TOML: a number too long; {NO_TOML}",
    ),
    "not UTF-8": (
        b"\xef\xbb\xbf\n\xff",
        "lab.toml:2: this is no text; save the file as UTF-8",
    ),
    "UTF-16": (
        'nodes = "pub"\n'.encode("utf-16"),
        "lab.toml:1: this is no text; save the file as UTF-8",
    ),
    "too large": (
        b"#" * (SIZE_LIMIT + 1),
        f"lab.toml is larger than {SIZE_LIMIT} bytes; name nodes and settings alone",
    ),
    "an unknown key": (
        '\nnods = ["pub"]',
        f"lab.toml:2: nods: there is no such key; the nearest is nodes; there are {KNOWN}",
    ),
    "a key spelled as an option": (
        "beyond-product = true",
        f"lab.toml:1: beyond-product: there is no such key; the nearest is beyond_product; there are {KNOWN}",
    ),
    "a key like none": (
        "x = 1",
        f"lab.toml:1: x: there is no such key; there are {KNOWN}",
    ),
    "a key with a line end": (
        '"a\\nb" = 1',
        f"lab.toml:1: 'a\\nb': there is no such key; there are {KNOWN}",
    ),
    "a table": (
        'nodes = "pub"\n[lab]\nrelease = "15"',
        f"lab.toml:2: lab: there is no such key; there are {KNOWN}",
    ),
    "a number for nodes": (
        "nodes = 3",
        f"lab.toml:1: nodes: 3 is not accepted; {NAMES}",
    ),
    "a number among the nodes": (
        'nodes = [\n"pub",\n1]',
        f"lab.toml:3: nodes[1]: 1 is not accepted; {NAMES}",
    ),
    "a table among the nodes": (
        'nodes = ["pub",\n{name = "sub1", role = "sub"}]',
        f"lab.toml:2: nodes[1]: a table is not accepted; {NAMES}",
    ),
    "tables of nodes": (
        'speed = 2\n[[nodes]]\nname = "pub"\n[[nodes]]\nname = "sub1"',
        f"lab.toml:2: nodes: a table is not accepted; {NAMES}",
    ),
    "a number for a release": (
        "release = 14",
        'lab.toml:1: release: 14 is not accepted; say a text in quotation marks, like "14SU2"',
    ),
    "a list for a release": (
        'release = ["14"]',
        'lab.toml:1: release: a list is not accepted; say a text in quotation marks, like "14SU2"',
    ),
    "a text for a switch": (
        'der_pkcs7 = "yes"',
        "lab.toml:1: der_pkcs7: 'yes' is not accepted; say true or false",
    ),
    "a number for a switch": (
        "strict_uploads = 1",
        "lab.toml:1: strict_uploads: 1 is not accepted; say true or false",
    ),
    "a profile that there is not": (
        'profile = "cisco"',
        "lab.toml:1: profile: 'cisco' is not accepted; there are seed, english, tac",
    ),
    "a policy that there is not": (
        'replication = "none"',
        "lab.toml:1: replication: 'none' is not accepted; there are auto, faithful, modern, legacy",
    ),
    "a timing that there is not": (
        "timing = true",
        "lab.toml:1: timing: true is not accepted; there are instant, product",
    ),
    "no speed": (
        "speed = 0",
        "lab.toml:1: speed: 0 is not accepted; say a number above 0, at most 100000",
    ),
    "a speed without end": (
        "speed = inf",
        "lab.toml:1: speed: inf is not accepted; say a number above 0, at most 100000",
    ),
    "no number at all": (
        "speed = nan",
        "lab.toml:1: speed: nan is not accepted; say a number above 0, at most 100000",
    ),
    "a switch for a speed": (
        "speed = true",
        "lab.toml:1: speed: true is not accepted; say a number above 0, at most 100000",
    ),
    "a large speed": (
        f"speed = 0x{'f' * 9000}",
        "lab.toml:1: speed: a number that large is not accepted; say a number above 0, at most 100000",
    ),
    "a time of day": (
        "at = 08:00:00",
        "lab.toml:1: at: 08:00:00 is not accepted; say an instant, like 2027-01-31T08:00:00Z",
    ),
    "a null byte in a path": (
        'broker_ca = "ca\\u0000.pem"',
        "lab.toml:1: broker_ca: 'ca\\x00.pem' is not accepted; say a text in quotation marks, like \"ca.pem\"",
    ),
    "a long text": (
        f'timing = "{"x" * 60}"',
        f"lab.toml:1: timing: '{'x' * 40}…' is not accepted; there are instant, product",
    ),
}
"""What one key alone can be wrong with: a file, and what is said of it."""


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_line_its_key_and_what_would_do(text: str | bytes, said: str) -> None:
    assert told(text) == said


def test_the_first_mistake_of_several_is_told() -> None:
    assert told('speed = 0\nnods = "pub"').startswith("lab.toml:1: speed: ")
    assert told('nods = "pub"\nspeed = 0').startswith("lab.toml:1: nods: ")
