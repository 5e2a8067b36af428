"""A lab for tests of the command line: a real home on disk, and a fake in the place of the processes."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import msgspec
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from tests.unit.node.certificate_factory import END, START, certificate, ec_key, name
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.cli import attaching
from ucmlab.cluster.cli.atrest import dump_at_rest, outline_at_rest
from ucmlab.cluster.cli.root import root
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.ledger import Ledger
from ucmlab.cluster.outside.received import Logged, Mail
from ucmlab.cluster.port import NodeLife, Operation
from ucmlab.cluster.provision import LabHome, provision
from ucmlab.cluster.requests import Glanced, MailTold, Presence, SyslogTold
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.certificates import pem
from ucmlab.node.commands import Reply
from ucmlab.node.durable import PUBLIC, make_folder, replace_file
from ucmlab.node.instant import SECOND, from_rfc3339, rfc3339
from ucmlab.node.layout import HomeLayout

WALL = from_rfc3339("2026-01-05T08:00:00Z")


def make_home(folder: Path, *, release: str = "14SU2", nodes: str = "pub,sub1,sub2") -> LabHome:
    wanted = topology(Settings(nodes=nodes, release=release))
    return provision(folder, wanted, wall_start=WALL, name="test", seed=1, keys=simulation_keys())


def put_trust(home: LabHome, node: str, unit: str, *, file: str, der: bytes, description: str = "") -> Path:
    folder = HomeLayout(home.node_home(node), home.topology.rulebook).trust_folders[unit]
    make_folder(folder)
    replace_file(folder / file, pem(der).encode(), mode=PUBLIC)
    if description:
        (folder / file).with_suffix(".description").write_text(description)
    return folder / file


def put_identity(home: LabHome, node: str, unit: str, der: bytes) -> Path:
    path = HomeLayout(home.node_home(node), home.topology.rulebook).identity_files[unit]
    make_folder(path.parent)
    replace_file(path, pem(der).encode(), mode=PUBLIC)
    return path


def issued(common_name: str, issuer: bytes) -> bytes:
    """A certificate under the name of another."""
    above = x509.load_der_x509_certificate(issuer)
    key = ec_key()
    made = x509.CertificateBuilder(above.subject, name(common_name), key.public_key(), 0x77, START, END)
    return made.sign(key, SHA256()).public_bytes(Encoding.DER)


class FakeLink:
    """A lab that says yes, and keeps what it was asked."""

    def __init__(self, home: LabHome) -> None:
        self.home = home
        self.states = dict.fromkeys(home.topology.names, "up")
        self.reply = Reply("", "done", nodes=dict.fromkeys(home.topology.names, "done"))
        self.converges = True
        self.operations: list[tuple[str, Operation]] = []
        self.faults: list[tuple[str, str | None]] = []
        self.groups: tuple[Sequence[Sequence[str]], int | None] | None = None
        self.broker_url: str | None = "mqtt://127.9.9.1:1883"
        self.broken: list[dict[str, str]] = []
        self.ledger = Ledger("local", home.topology.names)
        self.lab = 0
        self.ended = False
        self.glances: list[list[str]] = []
        self.loaded: dict[str, dict[str, dict[str, str]] | None] = {}
        self.extra: dict[str, dict[str, object]] = {}
        self.upgrades: list[tuple[list[str], str]] = []
        self.last_upgrade = ""
        self.mails: list[Mail] = []
        self.messages: list[Logged] = []

    def dump(self) -> dict[str, object]:
        return self._told(dump_at_rest(self.home))

    def outline(self) -> dict[str, object]:
        return self._told(outline_at_rest(self.home))

    def _told(self, whole: dict[str, object]) -> dict[str, object]:
        self.lab += SECOND
        whole["now"] = rfc3339(WALL + self.lab)
        whole["converged"] = self.converges
        whole["broker"] = {"kind": "embedded", "url": self.broker_url, "pid": 77 if self.broker_url else None}
        whole["faults"] = self.broken
        nodes = json.loads(json.dumps(whole["nodes"]))
        for node, state in self.states.items():
            nodes[node]["state"] = state
            nodes[node] |= self.extra.get(node, {})
        whole["nodes"] = nodes
        return whole

    def glance(self, nodes: Iterable[str]) -> Glanced:
        self.glances.append(list(nodes))
        seen = {
            name: Presence(cast("NodeLife", state), self.loaded.get(name, {})) for name, state in self.states.items()
        }
        return Glanced(broker_down=self.broker_url is None, nodes=seen)

    def operate(self, node: str, operation: Operation) -> Reply:
        self.operations.append((node, operation))
        return msgspec.structs.replace(self.reply, op_id=operation.op_id)

    def upgrade(self, nodes: Sequence[str], release: str, op_id: str) -> Reply:
        self.upgrades.append((list(nodes), release))
        self.last_upgrade = op_id
        return msgspec.structs.replace(self.reply, op_id=op_id)

    def mail(self, after: int = 0) -> MailTold:
        return MailTold(len(self.mails), self.mails[after:])

    def syslog(self, after: int = 0) -> SyslogTold:
        return SyslogTold(len(self.messages), self.messages[after:])

    def converged(self, within: int) -> bool:
        self.lab += 0 if self.converges else within
        return self.converges

    def fault(self, what: str, target: str | None = None) -> None:
        self.faults.append((what, target))

    def partition(self, groups: Sequence[Sequence[str]], broker: int | None) -> None:
        self.groups = (groups, broker)

    def inject(
        self, fault: str, target: str, parameters: Mapping[str, str], *, count: int | None, lasts: int | None
    ) -> None:
        injected = self.ledger.declare(fault, target, parameters, count=count, until=lasts)
        self.ledger.begin(injected)
        self.broken = [dict(each) for each in self.ledger.facts()]

    def end_fault(self, fault: str, target: str) -> None:
        self.ledger.take(fault, target)
        self.broken = [dict(each) for each in self.ledger.facts()]

    def advance(self, duration: int) -> None:
        self.lab += duration

    def speed(self, factor: float) -> None:
        self.faults.append((f"speed {factor:g}", None))

    def down(self) -> None:
        self.ended = True


class Bench:
    """A command line at a lab."""

    def __init__(self, home: LabHome, link: FakeLink, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.link = link
        self._patch = monkeypatch
        self.running = True
        monkeypatch.setattr(attaching, "try_attach", lambda home: link if self.running else None)

    def run(self, *arguments: str, stdin: bytes | None = None) -> Result:
        return run("--dir", str(self.home.path), *arguments, stdin=stdin)

    def json(self, *arguments: str) -> object:
        result = self.run(*arguments, "--json")
        return json.loads(result.stdout)

    def answer_at_a_terminal(self) -> None:
        self._patch.setattr(attaching, "at_a_terminal", lambda: True)


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    """Run a command line; `--dir X` in front is moved behind the command's name."""
    given = list(arguments)
    if given[:1] == ["--dir"]:
        given = [*given[2:], *given[:2]]
    return CliRunner().invoke(root(), given, input=stdin, prog_name="ucmlab")


@contextmanager
def nothing_changes(home: LabHome) -> Iterator[None]:
    """The home's files are the same afterwards."""
    before = snapshot(home)
    yield
    assert snapshot(home) == before


def snapshot(home: LabHome) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(home.path.rglob("*")) if path.is_file()}


def refused(reason: str, text: str = "why") -> Reply:
    return Reply("", "refused", reason, text)


__all__ = [
    "Bench",
    "FakeLink",
    "Unusable",
    "certificate",
    "issued",
    "make_home",
    "nothing_changes",
    "put_identity",
    "put_trust",
    "refused",
    "run",
]
