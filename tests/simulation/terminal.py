"""The command line of nodes of a simulated cluster: real cores and real sessions, in virtual time and without SSH."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from tests.unit.scenarios.told import as_story
from ucmlab.cluster.admin.accounts import make_admin
from ucmlab.cluster.admin.desk import Caller, Desk
from ucmlab.cluster.admin.terminal.machine import PROMPT
from ucmlab.cluster.admin.terminal.performing import PERFORMED
from ucmlab.cluster.admin.terminal.session import Session
from ucmlab.cluster.ca.keys import simulation_keys
from ucmlab.cluster.sim.lab import SimLab
from ucmlab.cluster.sim.loop import VirtualLoop
from ucmlab.cluster.topology import Settings, topology
from ucmlab.node.commands import Reply
from ucmlab.node.events import AnyOperation, FileImage
from ucmlab.node.instant import Instant
from ucmlab.node.layout import HomeLayout
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.status import NodeStatus
from ucmlab.scenarios import Lab
from ucmlab.scenarios.parameters import parameter_of
from ucmlab.scenarios.result import Options
from ucmlab.scenarios.runner import tell
from ucmlab.scenarios.telling import Check


class _Loop(VirtualLoop):
    """Virtual time, in which what is handed to a thread is done at once."""

    def run_in_executor(self, _: object, call: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401  as asyncio's
        done = self.create_future()
        done.set_result(call(*args))
        return done


class _Desk:
    """What commands need of a node's desk, at a node that is simulated."""

    def __init__(self, lab: SimLab, node: str) -> None:
        self._lab = lab
        self._node = lab.world.nodes[node]
        self.config = self._node.config
        self.rulebook = RuleBook.load(self.config.release, self.config.profile)
        self.layout = HomeLayout(Path("/"), self.rulebook)  # a disk that is there, and holds nothing of a node
        self.asked: list[tuple[AnyOperation, Mapping[str, str]]] = []
        """Operations, and what the audit line says of each."""
        self._running: set[asyncio.Task[Reply]] = set()

    async def operate(self, operation: AnyOperation, _: Caller, **about: str) -> Reply:
        self.asked.append((operation, about))
        asked = msgspec.structs.replace(operation, op_id=f"{self.config.name}.cli.{len(self.asked)}")
        task = asyncio.get_running_loop().create_task(self._lab.operate(self.config.name, asked))
        self._running.add(task)  # it goes on, whatever becomes of the session
        return await asyncio.shield(task)

    def status(self) -> NodeStatus:
        assert self._node.core is not None
        return self._node.core.status()

    def now(self) -> Instant:
        return Instant(self._lab.now(), self._lab.wall())

    def identities(self) -> dict[str, bytes]:
        return self._lab.view(self.config.name).identities

    def requests(self) -> dict[str, bytes]:
        return self._lab.view(self.config.name).csrs

    def trusted(self, unit: str | None = None) -> tuple[FileImage, ...]:
        return tuple(file for file in self._lab.view(self.config.name).files if unit in (None, file.unit))

    def authz(self) -> Mapping[str, str]:
        return self._lab.view(self.config.name).authz or {}

    def parameter(self, name: str) -> str:
        return parameter_of(self._lab, self.config.name, name)

    def in_fips_mode(self) -> bool:
        return self._node.disk.fips


class CommandLine:
    """A session at a node; `said` is what it has shown."""

    def __init__(self, lab: SimLab, node: str, *, privilege: int = 4) -> None:
        self.desk = _Desk(lab, node)
        self.said = ""
        host = f"127.0.0.{11 + list(lab.names).index(node)}"
        caller = Caller(make_admin("admin", "password", "platform", privilege=privilege), "ssh", "127.0.0.1", host)
        desk = cast("Desk", self.desk)  # all of it that commands use
        self.session = Session(desk, caller, PERFORMED, write=self._write, rows_shown=1000, columns=200)
        self._task = asyncio.get_running_loop().create_task(self.session.run(()))
        self._heard = asyncio.Event()

    async def ask(self, line: str, *answers: str) -> list[str]:
        """What a command shows, its questions with their answers too, line by line; a pasted text ends its own way."""
        await self.until(PROMPT)
        begun = len(self.said)
        self.session.typed(f"{line}\r")
        for answer in answers:
            await self.until("? ", " : ", "?", "Hit Enter\r\n")
            self.session.typed(f"{answer}\r")
        await self.until(f"\n{PROMPT}")
        return self.said[begun:].replace("\r", "").split("\n")[1:-1]

    async def until(self, *ends: str) -> None:
        """Wait until what was said ends so."""
        while not self.said.endswith(ends):
            self._heard.clear()
            await self._heard.wait()

    async def leave(self) -> None:
        """Log out."""
        self.session.end_of_input()
        await self._task

    def _write(self, text: str) -> None:
        self.said += text
        self._heard.set()


def at_command_lines(
    script: Callable[[Lab, Callable[..., CommandLine]], Awaitable[None]],
    settings: Settings = Settings(nodes="pub,sub1"),  # noqa: B008  a value
) -> SimLab:
    """Tell a story that logs in at nodes; it must come to its end. The lab, as it is then."""
    lab = SimLab(topology(settings), seed=1)
    opened: list[CommandLine] = []

    def log_in(node: str, *, privilege: int = 4) -> CommandLine:
        opened.append(CommandLine(lab, node, privilege=privilege))
        return opened[-1]

    async def story(told: Lab) -> None:
        await script(told, log_in)
        for each in opened:
            await each.leave()
        told.check(condition=True, text="every session has ended")

    async def whole() -> None:
        await lab.open()
        result = await tell(as_story(story), Options(), port=lab, keys=simulation_keys(), listener=lambda *_: None)
        failed = [each.text for each in result.entries if isinstance(each, Check) and not each.held]
        assert result.verdict == "held", (result.trouble, failed)

    with asyncio.Runner(loop_factory=lambda: _Loop(lab.world)) as runner:
        runner.run(whole())
    return lab
