"""`--config lab.toml` of `ucmlab init` and `up`: what it makes, and that a mistake makes nothing."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.unit.cluster.cli_lab import run
from ucmlab.cluster.cli.making import asked_for, planned, same
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.labtoml import KEYS
from ucmlab.cluster.provision import open_lab

VALID = b"""\
# A lab for a class.
nodes = [
  "pub",     # the first
  "sub1",
  'tftp1', "imp1",
]
release = "14SU2"
profile = "english"
replication = "faithful"
timing = "instant"
domain = '''corp.example'''
beyond_product = false
der_pkcs7 = true
strict_uploads = false
at = 2027-01-31T08:00:00Z
speed = 1.5
broker = "embedded"
listen = "127.0.0.1"
ports = "offset:10000"
"""
WORDS = [
    word.encode() for word in (*KEYS, "pub", "sub1", '"', "'''", "[", "]", "{", "=", ",", "#", "\n", "\\", "1", ".")
]
ODD = [b"\xff", b"\0", b"\r", b"\xef\xbb\xbf", "é".encode(), b"9" * 5000, b"[" * 2000, b"{a=" * 500]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lab"


def told(folder: Path, text: str, *options: str) -> str:
    """What `init` says of a lab.toml beside the lab's folder, without the path in front; nothing may be made."""
    file = folder.parent / "lab.toml"
    file.write_text(text)
    result = run("init", "--dir", str(folder), "--config", str(file), *options)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert [path.name for path in folder.parent.iterdir()] == ["lab.toml"]
    return result.stderr.removeprefix("ucmlab: ").removeprefix(f"{folder.parent}/").rstrip("\n")


MISTAKES = {
    "a name without a role": (
        'nodes = [\n"pub",\n"sub1", "pubs"]',
        "lab.toml:3: nodes[2]: 'pubs': a cluster has one publisher, named pub; other names begin with sub, tftp or imp",
    ),
    "no role at all": (
        'nodes = ["pub",\n"db1"]',
        "lab.toml:2: nodes[1]: 'db1' chooses no role; names begin with sub, tftp or imp, and the publisher is pub",
    ),
    "no host's name": (
        'nodes = ["pub", "Sub 1"]',
        "lab.toml:1: nodes[1]: 'Sub 1' is no name for a node; use lower-case letters, digits and '-', like sub1",
    ),
    "a role in a text of names": (
        'speed = 2\nnodes = "pub,db1"',
        "lab.toml:2: nodes: 'db1' chooses no role; names begin with sub, tftp or imp, and the publisher is pub",
    ),
    "a node twice": (
        'nodes = ["pub", "sub1",\n"sub2",\n"sub1"]',
        "lab.toml:3: nodes[3]: 'sub1' is named twice; every node needs a name of its own",
    ),
    "no publisher": (
        'nodes = ["sub1"]',
        "lab.toml:1: nodes: there is no publisher; add pub, like pub,sub1",
    ),
    "no node": (
        "nodes = []",
        "lab.toml:1: nodes: there is no publisher; add pub, like pub",
    ),
    "too many nodes": (
        f'nodes = "pub,{",".join(f"imp{n}" for n in range(7))}"',
        (
            "lab.toml:1: nodes: 7 IM and Presence nodes are more than the product's 6;"
            " name fewer, or say --beyond-product (in lab.toml: beyond_product = true)"
        ),
    ),
    "no release": (
        'release = "15SU9"',
        (
            "lab.toml:1: release: '15SU9' is no known release;"
            " there are 10.5, 11.0, 11.5, 12.0, 12.5, 14, 14SU1, 14SU2, 14SU3, 15"
        ),
    ),
    "a policy of other releases": (
        'replication = "faithful"\nrelease = "10.5"',
        (
            "lab.toml:1: replication: release 10.5 has no cluster-wide delete;"
            " take --replication auto, or a release from 11.0"
        ),
    ),
    "no domain": (
        'domain = "corp example"',
        "lab.toml:1: domain: 'corp example' is no DNS domain; write it like lab.test",
    ),
    "no instant": (
        'at = "tomorrow"',
        "lab.toml:1: at: 'tomorrow' is no instant; write it like 2027-01-31 or 2027-01-31T08:00:00Z",
    ),
    "an instant without a zone": (
        "at = 2027-01-31T08:00:00",
        "lab.toml:1: at: '2027-01-31T08:00:00' is no instant; write it like 2027-01-31 or 2027-01-31T08:00:00Z",
    ),
    "an instant before certificates": (
        "at = 1949-12-31",
        "lab.toml:1: at: no lab begins at 1949-12-31; say an instant from 1950 to 9899, like 2027-01-31T08:00:00Z",
    ),
    "no broker": (
        '\nbroker = "pigeon"',
        "lab.toml:2: broker: there is no broker 'pigeon'; there is embedded, mosquitto, or an mqtt:// or mqtts:// URL",
    ),
    "an address of somebody's broker": (
        'listen = "192.0.2.1"\nbroker = "mqtt://192.0.2.2"',
        (
            "lab.toml:1: listen: --listen goes with a broker that ucmlab runs;"
            " mqtt://192.0.2.2:1883 listens where it does already"
        ),
    ),
    "a certificate for no TLS": (
        'broker_ca = "ca.pem"',
        "lab.toml:1: broker_ca: --broker-ca goes with --broker mqtts://…: nothing else has a certificate to check",
    ),
}
"""What several keys together can be wrong with: a file, and what is said of it."""


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES)
def test_what_makes_no_lab_is_told_with_its_line(folder: Path, text: str, said: str) -> None:
    assert told(folder, text) == said


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (
            '\nnodes = ["pub"]',
            ["--nodes", "pub,sub1"],
            "lab.toml:2: nodes: --nodes names them as well; leave out one of the two",
        ),
        (
            'replication = "faithful"',
            ["--release", "10.5"],
            (
                "lab.toml:1: replication: release 10.5 has no cluster-wide delete; take --replication auto,"
                " or a release from 11.0; --release was said on the command line"
            ),
        ),
        (
            'listen = "127.0.0.1"',
            ["--broker", "mqtt://me:secret@192.0.2.2"],
            (
                "lab.toml:1: listen: --listen goes with a broker that ucmlab runs;"
                " mqtt://192.0.2.2:1883 listens where it does already; --broker was said on the command line"
            ),
        ),
        (
            'broker = "mqtt://192.0.2.2"',
            ["--listen", "127.0.0.1"],
            (
                "lab.toml:1: broker: --listen goes with a broker that ucmlab runs;"
                " mqtt://192.0.2.2:1883 listens where it does already; --listen was said on the command line"
            ),
        ),
        (
            'release = "15SU9"',
            ["--release", "9"],
            "'9' is no known release; there are 10.5, 11.0, 11.5, 12.0, 12.5, 14",
        ),
    ],
)
def test_where_an_option_contradicts_the_file_both_are_named(
    folder: Path, text: str, options: list[str], said: str
) -> None:
    assert told(folder, text, *options).startswith(said)


def test_what_the_file_names_lies_beside_it(folder: Path) -> None:
    said = told(folder, 'broker = "mqtts://192.0.2.2"\nbroker_ca = "ca.pem"')
    assert said == f"lab.toml:2: broker_ca: --broker-ca {folder.parent}/ca.pem: No such file or directory"


def test_a_file_that_cannot_be_read_is_told_by_name(folder: Path) -> None:
    result = run("init", "--dir", str(folder), "--config", str(folder.parent))
    assert result.exit_code == 2
    assert f"{folder.parent} cannot be read: Is a directory" in result.stderr
    assert not folder.exists()


def test_options_go_before_the_file(folder: Path) -> None:
    (folder.parent / "lab.toml").write_bytes(VALID)
    config = str(folder.parent / "lab.toml")
    given = ("--release", "15", "--timing", "product", "--strict-uploads", "--at", "2028-01-01", "--speed", "2")
    assert run("init", "--dir", str(folder), "--config", config, *given).exit_code == 0
    made = open_lab(folder)
    assert made.topology.names == ("pub", "sub1", "tftp1", "imp1")
    assert (made.topology.release, made.topology.timing, made.topology.domain) == ("15", "product", "corp.example")
    assert (made.topology.der_pkcs7, made.topology.strict_uploads) == (True, True)
    assert made.lab.options == {"broker": "embedded", "listen": "127.0.0.1", "ports": "offset:10000", "speed": "2"}
    assert made.lab.wall_start == 1_830_297_600_000_000


# -- a lab that is there


@pytest.mark.parametrize("text", ["nodes = [", "nods = 1", "speed = 0", 'nodes = "pub,pub"', 'broker = "pigeon"'])
def test_a_mistake_discards_nothing(folder: Path, text: str) -> None:
    run("init", "--dir", str(folder), "--nodes", "pub,sub1")
    (folder.parent / "lab.toml").write_text(text)
    for command in ("init", "up"):
        given = (command, "--fresh", "--dir", str(folder), "--config", str(folder.parent / "lab.toml"))
        assert run(*given).exit_code == 2
    assert open_lab(folder).topology.names == ("pub", "sub1")


def test_a_lab_that_is_there_is_the_same_as_far_as_the_file_says(folder: Path) -> None:
    run("init", "--dir", str(folder), "--nodes", "pub,sub1", "--accept-der-pkcs7", "--release", "15")
    home = open_lab(folder)
    for text in ("", 'nodes = ["sub1", "pub"]\nrelease = "15"', "der_pkcs7 = true", "strict_uploads = false"):
        (folder.parent / "lab.toml").write_text(text)
        same(home, asked_for(phones=0, config=folder.parent / "lab.toml"))


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", ["--strict-uploads"], "the lab in {} is another: strict_uploads: the lab has false, asked for is true"),
        ("", ["--accept-der-pkcs7"], "the lab in {} is another: der_pkcs7: the lab has false, asked for is true"),
        (
            "speed = 1\nder_pkcs7 = true",
            [],
            "lab.toml:2: der_pkcs7: the lab in {} is another: der_pkcs7: the lab has false, asked for is true",
        ),
        (
            "at = 2027-01-31",
            [],
            "lab.toml:1: at: the lab in {} is another: at: the lab has 2026-01-05T08:00:00Z, asked",
        ),
        ("\nspeed = 2", [], "lab.toml:2: speed: the lab in {} is another: speed: the lab has 1, asked for is 2"),
    ],
)
def test_up_names_the_line_that_asks_for_another_lab(folder: Path, text: str, options: list[str], said: str) -> None:
    run("init", "--dir", str(folder), "--nodes", "pub,sub1", "--at", "2026-01-05T08:00:00Z")
    (folder.parent / "lab.toml").write_text(text)
    result = run("up", "--dir", str(folder), "--config", str(folder.parent / "lab.toml"), *options)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert said.format(folder) in result.stderr
    assert ("lab.toml:" in said) == ("lab.toml:" in result.stderr)


# -- whatever is in the file


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A file that was right, and what an editor, a merge or a slip of the hand made of it."""
    lines = VALID.splitlines(keepends=True)
    for _ in range(draw(st.integers(0, 3))):
        at, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        key, _, value = lines[at].partition(b" = ")
        exchanged = b"%s = %s" % (key.rstrip(), lines[other].partition(b" = ")[2] or value)
        lines[at] = draw(st.sampled_from((b"", lines[at] * 2, lines[other], exchanged, exchanged)))
    content = b"".join(lines)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(content)))
        behind = at + draw(st.sampled_from((0, 0, 1, 5, 40)))
        content = content[:at] + draw(st.sampled_from((*WORDS, *WORDS, *ODD, b""))) + content[behind:]
    return content


def ends_well(content: bytes, file: Path) -> bool:
    """Whether a command would make a lab of the file, or tell in one line which line of it is wrong."""
    file.write_bytes(content)
    said = what_is_said(file)
    found = re.fullmatch(re.escape(str(file)) + r":(\d+): \S[^\n]*", said)
    lines = max(1, len(content.removesuffix(b"\n").split(b"\n")))
    return not said or (found is not None and 1 <= int(found[1]) <= lines)


def what_is_said(file: Path) -> str:
    try:
        planned(asked_for(phones=0, config=file))
    except Unusable as error:
        return error.text
    return ""


@given(mutated())
@example(VALID)
@example(b"")
@example(b"nodes = [")
@example(b"\n\n")
@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_in_the_file_it_is_a_lab_or_one_line_that_names_one(tmp_path: Path, content: bytes) -> None:
    assert ends_well(content, tmp_path / "lab.toml")


VALUES = (
    *WORDS,
    b"true",
    b"-1",
    b"0x1",
    b"[[1]]",
    b"{a=1}",
    b'"x"',
    b'["pub", "pub"]',
    b"nan",
    b"1979-05-27",
    b"08:00:00",
)


@pytest.mark.parametrize("key", [*KEYS, "x"])
def test_whatever_a_key_has_for_a_value_it_is_a_lab_or_one_line(tmp_path: Path, key: str) -> None:
    file = tmp_path / "lab.toml"
    files = [b"# first\n%s = %s\n" % (key.encode(), value) for value in VALUES]
    files += [b'[%s]\n"" = 1' % key.encode(), b'[[%s]]\n"" = 1' % key.encode(), b"%s.y = 1" % key.encode()]
    assert [content for content in files if not ends_well(content, file)] == []
