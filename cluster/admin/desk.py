"""Where the admin interfaces of a real node hand in operations, and get what came of them.

An operation is the very one that the command line and stories ask for; the core answers when it is durable, and does
not wait for the cluster. What is asked for goes into the journal first, with who asked and from where: its id is the
cause of everything that follows. A client that goes away takes its operation back no more than on the product.
"""

import asyncio
import sys
import traceback
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from ucmlab.cluster.admin.accounts import FAILED_S, AdminAccount, Guard, Kind, LockedOut
from ucmlab.cluster.parameter_list import ParameterList
from ucmlab.node.clock import LabClock
from ucmlab.node.commands import Record, Reply
from ucmlab.node.config import NodeConfig
from ucmlab.node.disk import read_state
from ucmlab.node.events import AnyOperation, FileImage
from ucmlab.node.instant import Instant
from ucmlab.node.journal_file import JournalFile
from ucmlab.node.keyring import KeyRing
from ucmlab.node.layout import HomeLayout, read_csrs, read_identities
from ucmlab.node.parameter_rules import find
from ucmlab.node.replica_db import open_for_reading, read_extent
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.shell import NodeShell, Observer
from ucmlab.node.status import NodeStatus
from ucmlab.node.trust_files import TrustFiles


class Caller(msgspec.Struct, frozen=True):
    """Who asks, from where, over which interface."""

    account: AdminAccount
    interface: str
    address: str
    host: str
    """The address of the node that the client is connected to."""


def tell_of_a_bug() -> None:
    """Write the exception that is being handled into the node's log."""
    sys.stderr.write(traceback.format_exc())
    sys.stderr.flush()


class _Waiting:
    """An operation whose reply has not come."""

    def __init__(self, what: str, caller: Caller, kind: str, reply: asyncio.Future[Reply]) -> None:
        self.what = what
        self.caller = caller
        self.kind = kind
        self.reply = reply


class Desk:
    """One node's. Stands before the lab as the shell's `Observer`: replies to its own operations end here."""

    def __init__(self, config: NodeConfig, home: Path, *, boot: int, clock: LabClock, journal: JournalFile) -> None:
        """`attach` must follow."""
        self.config = config
        self.rulebook = RuleBook.load(config.release, config.profile)
        self.layout = HomeLayout(home, self.rulebook)
        self._boot = boot
        self._clock = clock
        self._journal = journal
        self._asked = 0
        self._waiting: dict[str, _Waiting] = {}
        self._shell: NodeShell
        self._observer: Observer

    def attach(self, shell: NodeShell, observer: Observer) -> None:
        """`shell` runs the core; `observer` hears everything that is not for this desk."""
        self._shell = shell
        self._observer = observer

    # -- what administrators ask

    async def operate(self, operation: AnyOperation, caller: Caller, **about: str) -> Reply:
        """Do an operation; its `op_id` and `cause` are set here.

        Args:
            operation: what.
            caller: who asks.
            **about: what the audit line says of it beside the unit.
        """
        return await asyncio.shield(self._begin(operation, caller, about))

    async def within(self, seconds: float, operation: AnyOperation, caller: Caller, **about: str) -> Reply | None:
        """The same, but wait for the reply no longer than some machine time: None then, and the operation goes on."""
        begun = self._begin(operation, caller, about)
        await asyncio.wait([begun], timeout=seconds)
        return begun.result() if begun.done() else None

    def _begin(self, operation: AnyOperation, caller: Caller, about: Mapping[str, str]) -> asyncio.Future[Reply]:
        what = self._next(caller.interface)
        op_id = self._named(what)
        kind = type(operation).__name__.lower()
        unit = getattr(operation, "unit", "")
        cause = self._audit(what, caller, "asked", {"kind": kind, "unit": unit, **about})
        waiting = _Waiting(what, caller, kind, asyncio.get_running_loop().create_future())
        self._waiting[op_id] = waiting
        self._shell.offer(msgspec.structs.replace(operation, op_id=op_id, cause=cause))
        return waiting.reply

    def refused(self, name: str, interface: str, address: str, *, locked: bool) -> None:
        """Keep that somebody was not let in."""
        fields: dict[str, str | int | bool | None] = {"user": name[:64], "interface": interface, "from": address}
        self._write("login_failed", self._next(interface), "", fields | {"locked": locked})

    def track(self, interface: str) -> str:
        """An id for what is asked for and changes nothing."""
        return self._named(self._next(interface))

    def now(self) -> Instant:
        """The node's time."""
        return self._clock.now()

    def status(self) -> NodeStatus:
        """How the node is."""
        return self._shell.status()

    # -- what lies on its disk

    def identities(self) -> dict[str, bytes]:
        """Unit to DER of this node's identities that are there."""
        own = {unit.name for unit in self.rulebook.units_of(self.config.role)}
        return {unit: der for unit, der in read_identities(self.layout).items() if unit in own}

    def requests(self) -> dict[str, bytes]:
        """Unit to DER of the signing requests that wait for their certificates."""
        return read_csrs(self.layout)

    def trusted(self, unit: str | None = None) -> tuple[FileImage, ...]:
        """Its trust certificates, by unit and file; of one unit only, if it is said."""
        folders = self.layout.trust_folders
        return TrustFiles(folders if unit is None else {unit: folders[unit]}).read()[0]

    def authz(self) -> Mapping[str, str]:
        """`signing` and `encryption`: the checksums of its keys; empty before it has them."""
        digests = KeyRing(self.layout.home).authz()
        return {} if digests is None else {"signing": digests.signing, "encryption": digests.encryption}

    def parameter(self, name: str) -> str:
        """What this node's replica has of a parameter: what somebody set, or the default.

        Raises:
            Refusal: the release has no such parameter.
        """
        with closing(open_for_reading(self.layout.replica)) as connection:
            settings = read_extent(connection)[3]
        roles = {member.name: member.role for member in self.config.members}
        listed = ParameterList(self.rulebook, roles, settings)
        return listed.one(find(self.rulebook, name), self.config.name).value

    def in_fips_mode(self) -> bool:
        """Whether the node has carried out what the parameter says: a node that is still about it is not."""
        return read_state(self.layout.state).fips

    # -- as the shell's observer

    def replied(self, reply: Reply) -> None:
        """See `Observer`."""
        waiting = self._waiting.pop(reply.op_id, None)
        if waiting is None:
            self._observer.replied(reply)
            return
        came = {"kind": waiting.kind, "outcome": reply.outcome, "reason": reply.reason}
        self._audit(waiting.what, waiting.caller, "answered", came)
        waiting.reply.set_result(reply)

    def changed(self) -> None:
        """See `Observer`."""
        self._observer.changed()

    def drain(self) -> None:
        """See `Observer`."""
        self._observer.drain()

    def _next(self, interface: str) -> str:
        self._asked += 1
        return f"{interface}.{self._asked}"

    def _named(self, what: str) -> str:
        return f"{self.config.name}.{self._boot}.{what}"

    async def let_in(
        self, guard: Guard, kind: Kind, name: str, password: str, *, interface: str, address: str
    ) -> AdminAccount | None:
        """The account of whoever says so; None after a wrong password, which is kept and takes its time.

        Args:
            guard: knows the accounts.
            kind: of account that the interface takes.
            name: as the client says it.
            password: likewise.
            interface: which one it is.
            address: where the client is.
        """
        locked = False
        try:
            account = guard.admit(kind, name, password, now=self.now().lab)
        except LockedOut:
            account, locked = None, True
        if account is None:
            self.refused(name, interface, address, locked=locked)
            await asyncio.sleep(FAILED_S)
        return account

    def _audit(self, what: str, caller: Caller, phase: str, about: Mapping[str, str]) -> str:
        who: dict[str, str | int | bool | None] = {
            "phase": phase,
            "user": caller.account.name,
            "interface": caller.interface,
            "from": caller.address,
        }
        return self._write("audit", f"{what}.{phase}", self._named(what), who | dict(about))

    def _write(self, name: str, what: str, op_id: str, fields: dict[str, str | int | bool | None]) -> str:
        record = Record(self._named(what), name, "", op_id, fields)
        self._journal.write(record, self._clock.now())
        return record.id
