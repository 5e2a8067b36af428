"""Operations that wait: uploads, deletes, settings, what Change Notification proposes; each ends in exactly one reply.

An open operation is a value in the table, in memory only: after a crash, files, replica and log tell what happened and
the comparison of Change Notification finishes or undoes it (design 3). What this file keeps:

- changes of one unit on one node run one at a time; later ones wait in line;
- a proposal is repeated under its operation id until answered or past its deadline in lab time;
- it ends `done` (the log has it), `refused` (nothing changed), `partial` (this node's file written, the publisher
  known to be away) or `indefinite` (asked, no answer in time). A parameter has no file: with the publisher away it is
  refused.
"""

from collections import deque
from collections.abc import Callable
from itertools import dropwhile

import msgspec

from ucmlab.broker.messages import Answer, Proposal, Row, RowKey
from ucmlab.node.certificates import parse
from ucmlab.node.commands import AnyCommand, InstallIdentity, MakeIdentity, Reply, ReuseIdentity, WriteFile
from ucmlab.node.context import Context
from ucmlab.node.default_cas import judge_default_cas
from ucmlab.node.errors import Refusal
from ucmlab.node.events import (
    Age,
    Delete,
    GenerateSelfSigned,
    Plant,
    Regenerate,
    ReuseCertificate,
    SetDefaultCas,
    SetParameter,
    Upload,
)
from ucmlab.node.filing import Filing
from ucmlab.node.identity_changes import CHAIN, IdentityChange, IdentityChanges, IdentityRequest, touched
from ucmlab.node.identity_rows import CHANGED, FOUND
from ucmlab.node.instant import SECOND
from ucmlab.node.parameter_rules import KIND as PARAMETER
from ucmlab.node.parameter_rules import judge_set, parameter_text
from ucmlab.node.planting import KIND as PLANT
from ucmlab.node.planting import planted_rows
from ucmlab.node.replica import Replica
from ucmlab.node.revocation import Revocation
from ucmlab.node.revocation_checks import precheck
from ucmlab.node.trust_rules import Wanted, judge_delete, judge_upload, product_text
from ucmlab.node.upload_checks import ToBeChecked, UploadChecks

Request = (
    Upload | Delete | SetDefaultCas | Regenerate | GenerateSelfSigned | ReuseCertificate | Plant | Age | SetParameter
)
DEADLINE = 60 * SECOND
TOLD_BESIDE = ("chain_incomplete", "san_mismatch")
"""Refusals whose text is the product's word for word; what exactly is wrong is told beside it."""
REMEMBERED = 256
"""Operations that ended `indefinite` and may be asked for again under their id."""
UNTIL_ANSWERED = ("install", "upgrade")
"""Kinds of proposal that a node asks for until it is answered: it does nothing else before."""
TIMER = "operation:"
_CHANGES = (WriteFile, InstallIdentity, MakeIdentity, ReuseIdentity)


class OpenOperation:
    """One operation under way."""

    def __init__(self, proposal: Proposal, *, units: tuple[str, ...], asked: bool, cause: str) -> None:
        """`asked`: an operator waits for the reply. `cause`: the id of what led to it."""
        self.proposal = proposal
        self.units = units
        self.asked = asked
        self.cause = cause
        self.sent = False
        self.attempts = 0
        self.written: list[RowKey] = []
        self.removed: list[Row] = []
        self.warnings: tuple[str, ...] = ()
        self.commands: list[AnyCommand] = []
        """The list in which its files are changed: a command that fails takes the rest of it along."""


class Operations:
    """The table of open operations of one node."""

    def __init__(
        self,
        context: Context,
        filing: Filing,
        replica: Replica,
        *,
        identity_changes: IdentityChanges,
        revocation: Revocation,
        answer: Callable[[Reply], None],
        submit: Callable[[Proposal], bool],
        publisher_away: Callable[[], bool],
    ) -> None:
        """`answer` takes what is to be replied; `submit` hands a proposal on and tells whether it left this node."""
        self._context = context
        self._answer = answer
        self._identity_changes = identity_changes
        self._filing = filing
        self._replica = replica
        self._submit = submit
        self._publisher_away = publisher_away
        self._open: dict[str, OpenOperation] = {}
        self._occupied: dict[str, str] = {}
        self._line: deque[Request] = deque()
        self._changing: dict[str, tuple[IdentityChange, list[AnyCommand]]] = {}
        """By operation id: changes of identities whose files are being changed, and the list that does it.

        The next event of all says whether it was done.
        """
        self._unanswered: dict[str, OpenOperation] = {}
        self._at_once: dict[str, OpenOperation] = {}
        """Operations of the latest list that ended in the very list in which they began."""
        self._proposed = 0
        self._upload_checks = UploadChecks(revocation)

    def open(self) -> int:
        """How many are under way or wait in line."""
        return len(self._open) + len(self._line) + len(self._changing) + len(self._upload_checks)

    def occupied(self, unit: str) -> bool:
        """Whether an operation is changing the unit."""
        return unit in self._occupied

    # -- what operators ask for

    def ask(self, request: Request) -> None:
        """Take an operator's request, or put it in line behind the one that changes its unit."""
        known = request.op_id in self._open or request.op_id in self._changing
        if (
            known
            or request.op_id in self._upload_checks
            or any(waiting.op_id == request.op_id for waiting in self._line)
        ):
            return
        ahead = {unit for waiting in self._line for unit in self._units_of(waiting)} | self._occupied.keys()
        if not ahead.isdisjoint(self._units_of(request)):
            self._line.append(request)
            return
        self._begin(request)

    def _units_of(self, request: Request) -> tuple[str, ...]:
        """The units that must not be under another change meanwhile."""
        if isinstance(request, SetParameter):
            return tuple(name.casefold() for name, _ in request.values)
        if isinstance(request, SetDefaultCas):
            rows = self._context.rulebook.default_cas.values()
            return tuple(dict.fromkeys(unit for row in rows for unit in row.units))
        name = request.unit
        unit = self._context.rulebook.units.get(name)
        if unit is None or unit.kind != "identity" or isinstance(request, Delete):
            return (name,)
        return touched(self._context.rulebook, unit)

    def _begin(self, request: Request) -> None:
        self._context.cause = request.cause or self._context.cause
        self._context.record("operation", request.op_id, phase="begun", kind=type(request).__name__.lower())
        unanswered = self._unanswered.pop(request.op_id, None)
        if unanswered is not None:
            self._take_up(unanswered)
            return
        try:
            if not (isinstance(request, Upload) and self._upload_checks.on and self._check(request)):
                self._judge(request)
        except Refusal as refusal:
            self._refuse(request, refusal)

    def _refuse(self, request: Request, refusal: Refusal) -> None:
        told_by = parameter_text if isinstance(request, SetParameter) else product_text
        text = told_by(self._context.rulebook, refusal.reason, request.unit, refusal.text)
        if refusal.reason == "same_cn_older_start":
            self._context.record("same_cn_older_start_ignored", request.op_id, unit=request.unit)  # C-46
        # The product's text names no certificate; which one is missing must be said nevertheless.
        told = (refusal.text,) if refusal.reason in TOLD_BESIDE else ()
        self._reply(request.op_id, "refused", reason=refusal.reason, text=text, warnings=told)

    def _judge(self, request: Request, warnings: tuple[str, ...] = ()) -> None:
        if isinstance(request, Delete):
            self._propose(request.op_id, judge_delete(self._context, self._replica, self._filing, request), asked=True)
        elif isinstance(request, SetDefaultCas):
            self._set_default_cas(request)
        elif isinstance(request, Plant):
            self._plant(request)
        elif isinstance(request, SetParameter):
            self._set(request)
        elif isinstance(request, Upload) and not self._is_identity(request.purpose):
            wanted = judge_upload(self._context, self._replica, self._filing, request)
            if warnings:
                wanted = msgspec.structs.replace(wanted, warnings=(*wanted.warnings, *warnings))
            self._propose(request.op_id, wanted, asked=True)
        else:
            self._change_identity(request, warnings)

    # -- uploads whose certificates somebody may have revoked

    def _check(self, request: Upload) -> bool:
        """Ask how its certificates stand, after all other checks (B.10); False when there is none to ask about."""
        wanted = self._to_be_checked(request)
        if wanted.certificates:
            self._occupied.update(dict.fromkeys(self._units_of(request), request.op_id))
            self._upload_checks.begin(request, wanted, self._checked)
        return bool(wanted.certificates)

    def _to_be_checked(self, request: Upload) -> ToBeChecked:
        if not self._is_identity(request.purpose):
            adds = judge_upload(self._context, self._replica, self._filing, request).adds
            brought = {row.fingerprint: parse(row.der) for row in adds}
            new = {row.fingerprint for row in adds if self._filing.get(*row.key) is None}
            return ToBeChecked(tuple(brought[each] for each in brought if each in new), tuple(brought.values()))
        if self._identity_changes.is_done(request):
            return ToBeChecked((), ())  # from before a kill: it was asked about then
        change = self._identity_changes.judge(request)
        return ToBeChecked((parse(change.der),), tuple(parse(row.der) for row in change.authorities))

    def _checked(self, request: Upload, refusal: Refusal | None, warnings: tuple[str, ...]) -> None:
        """What is true of the stores may have changed meanwhile, so all is judged anew."""
        self._release(request.op_id)
        try:
            if refusal is not None:
                raise refusal
            self._judge(request, warnings)
        except Refusal as refused:
            self._refuse(request, refused)
            self._next_in_line()

    def _is_identity(self, purpose: str) -> bool:
        unit = self._context.rulebook.units.get(purpose)
        return unit is not None and unit.kind == "identity"

    def _set_default_cas(self, request: SetDefaultCas) -> None:
        wanted = judge_default_cas(self._context, self._replica, self._filing, request)
        if wanted.adds or wanted.removes:
            self._propose(request.op_id, wanted, asked=True)
        else:
            self._reply(request.op_id, "done")  # none of them is there any more

    def _set(self, request: SetParameter) -> None:
        settings = judge_set(self._context, request)
        rows, turned_on = self._context.rulebook.parameters, [each.name for each in settings if each.value == "true"]
        made_anew = [unit for name in turned_on for unit in rows[name].regenerates]
        text = "a CA signed its certificate, which gives way to a self-signed one; upload it again"  # B.16
        warnings = tuple(f"{unit}: {text}" for unit in self._identity_changes.ca_signed(made_anew))
        if "Enable OCSP" in turned_on:
            warnings += precheck(self._filing)
        self._propose(request.op_id, Wanted(PARAMETER, (), (), warnings, settings), asked=True)

    def _plant(self, request: Plant) -> None:
        rows = planted_rows(self._context, request)
        self._context.record(
            "planted", request.op_id, unit=request.unit, files=request.files, database=request.database
        )
        new = [row for row in rows if request.files and self._filing.get(*row.key) is None]
        for row in new:
            # With the id, so that a disk that is full is noticed; it is no upload that could be put forward under it.
            self._filing.write(row, op_id=request.op_id)
            self._filing.settle(*row.key)
        if request.database:
            self._propose(request.op_id, Wanted(PLANT, (), rows), asked=True)
            return
        planted = OpenOperation(Proposal(request.op_id, PLANT, (), tuple(new), 0), units=(), asked=True, cause="")
        planted.commands = self._context.commands
        self._note_at_once(planted)
        self._reply(request.op_id, "done")

    # -- identities: files first, and the rows when they are in place

    def _change_identity(self, request: IdentityRequest, warnings: tuple[str, ...] = ()) -> None:
        change = self._identity_changes.judge(request)
        if warnings:
            change = msgspec.structs.replace(change, warnings=(*change.warnings, *warnings))
        self._drop_found(change.unit)
        if isinstance(request, Age):
            self._context.record("planted", request.op_id, unit=request.unit)
        self._changing[request.op_id] = (change, self._context.commands)
        self._occupied.update(dict.fromkeys(self._units_of(request), request.op_id))
        if self._identity_changes.is_done(request):
            self.identity_made(request.op_id)
        else:
            self._identity_changes.begin(request.op_id, change)

    def _drop_found(self, unit: str) -> None:
        """What was put forward as found on disk is about to be older than what is there."""
        for op_id in [each for each, operation in self._open.items() if operation.proposal.kind == FOUND]:
            if unit in self._open[op_id].units:
                self._end(self._open[op_id], "refused", reason="already_present")

    def identity_made(self, op_id: str) -> None:
        """The certificate is on disk: the rows are to follow."""
        change, _ = self._changing.pop(op_id, (None, []))
        if change is None:
            return
        self._release(op_id)
        rows = self._identity_changes.rows(change)
        self._propose(op_id, Wanted(CHANGED, change.replaced, rows, change.warnings), asked=True)

    def propose_identities(self) -> None:
        """Put identities forward that no row names: a kill or a publisher that was away came between."""
        for unit in self._identity_changes.unnamed():
            if unit not in self._occupied:
                rows = self._identity_changes.rows(IdentityChange(unit=unit))
                self._propose(self._own_id("identity"), Wanted(FOUND, (), rows), asked=False)

    def _nothing_changed(self, text: str) -> None:
        """A command of a list failed, and what was to change identities is dropped: that very command, or after it.

        What was changed before it has told so by now.
        """
        changing, self._changing = self._changing, {}
        for op_id, (change, _) in changing.items():
            self._identity_changes.undo(change)
            self._release(op_id)
            self._reply(op_id, "refused", reason="permission", text=f"The file could not be written: {text}")
        if changing:
            self._next_in_line()

    # -- what Change Notification and the installation ask for

    def propose_file(self, unit: str, fingerprint: str) -> None:
        """Put a file that no row names to the publisher, under the id kept beside it (design 4).

        With all the other files of that operation: the publisher answers one id once, and would answer for the rest
        of a chain what it answered for the first.
        """
        file = self._filing.get(unit, fingerprint)
        if file is None:
            return
        op_id = file.op_id or self._own_id("resync")
        if op_id in self._open:
            return
        kind = "upload" if file.op_id else "resync"
        keys = self._filing.of_operation(op_id) if file.op_id else [(unit, fingerprint)]
        adds = tuple(self._row_of(*key) for key in keys if not self._named(key))
        self._propose(op_id, Wanted(kind, removes=(), adds=adds), asked=False)

    def _named(self, key: RowKey) -> bool:
        """Whether a row names this node's file already."""
        row = self._replica.rows.get(key)
        return row is not None and row.held_by(self._context.config.name)

    def _row_of(self, unit: str, fingerprint: str) -> Row:
        """The row that a file would have."""
        file = self._filing.fingerprints(unit)[fingerprint]
        listed = self._context.rulebook.units[unit].replicated
        holders = None if listed else (self._context.config.name,)
        return Row(unit, fingerprint, file.der, file.description, holders)

    def propose_mapping(self, key: RowKey) -> None:
        """Put this node back among the holders of a row: what Change Notification did before 11.0."""
        row = self._replica.rows[key]
        me = (self._context.config.name,)
        wanted = Wanted("map", removes=(), adds=(Row(row.unit, row.fingerprint, row.der, row.description, me),))
        self._propose(self._own_id("map"), wanted, asked=False)

    def propose_installation(self, op_id: str, rows: tuple[Row, ...]) -> None:
        """Put the rows of a fresh installation to the publisher; asked for again until it is answered."""
        self._propose(op_id, Wanted("install", removes=(), adds=rows), asked=False)

    def propose_own(self, op_id: str, wanted: Wanted) -> None:
        """Put what an upgrade changes to the publisher, likewise."""
        self._propose(op_id, wanted, asked=False)

    def _own_id(self, kind: str) -> str:
        self._proposed += 1
        return f"{kind}-{self._context.config.name}-{self._context.boot}-{self._proposed}"

    # -- the way of a proposal

    def _propose(self, op_id: str, wanted: Wanted, *, asked: bool) -> None:
        deadline = self._context.now.lab + DEADLINE
        proposal = Proposal(op_id, wanted.kind, wanted.removes, wanted.adds, deadline, wanted.settings)
        units = tuple(dict.fromkeys([row.unit for row in wanted.adds] + [unit for unit, _ in wanted.removes]))
        units = units or tuple(each.name.casefold() for each in wanted.settings)
        operation = OpenOperation(proposal, units=units, asked=asked, cause=self._context.cause)
        self._open[op_id] = operation
        if asked:
            self._occupied.update(dict.fromkeys(units, op_id))
            operation.warnings, operation.commands = wanted.warnings, self._context.commands
        if asked and wanted.kind not in (CHANGED, PLANT):
            self._change_files(operation)
        if asked and self._publisher_away():
            self._context.record("db_write_failed", op_id, reason="publisher_unreachable")
            self._note_at_once(operation)
            self._end_unheard(operation)
            return
        self._send(operation)

    def _note_at_once(self, operation: OpenOperation) -> None:
        """It ends in the list in which it began, and is not over before that is performed."""
        latest = [each for each in self._at_once.values() if each.commands is operation.commands]
        self._at_once = {each.proposal.op_id: each for each in (*latest, operation)}

    def _change_files(self, operation: OpenOperation) -> None:
        """This node's files first, the database after (domain.md 0.3, fact 2)."""
        proposal = operation.proposal
        for unit, fingerprint in proposal.removes:
            row = self._replica.rows.get((unit, fingerprint))
            if row is not None and self._filing.get(unit, fingerprint) is not None:
                operation.removed.append(row)
            self._filing.remove(unit, fingerprint, op_id=proposal.op_id)
        for row in proposal.adds:
            if self._filing.get(row.unit, row.fingerprint) is None:
                operation.written.append(row.key)
                self._filing.write(row, op_id=proposal.op_id)

    def _send(self, operation: OpenOperation) -> None:
        op_id = operation.proposal.op_id
        left = operation.proposal.not_after - self._context.now.lab
        delay = min(left, self._context.backoff(operation.attempts, "repeat", op_id))
        operation.attempts += 1
        self._context.start_timer(TIMER + op_id, delay)
        operation.sent = self._submit(operation.proposal) or operation.sent

    def connected(self) -> None:
        """A new session: ask again at once."""
        for operation in list(self._open.values()):
            self._send(operation)

    def timer(self, op_id: str) -> None:
        """Ask again, or give up."""
        operation = self._open.get(op_id)
        if operation is None:
            return
        if self._context.now.lab < operation.proposal.not_after:
            self._send(operation)
        elif operation.proposal.kind in UNTIL_ANSWERED:
            self._renew(operation)
        elif operation.sent:
            if operation.asked:
                self._remember(operation)
            self._end(operation, "indefinite", reason="publisher_unreachable")
        else:
            self._context.record("db_write_failed", op_id, reason="publisher_unreachable")
            self._end_unheard(operation)

    def _end_unheard(self, operation: OpenOperation) -> None:
        """The publisher has not heard of it: this node's files have changed, if it changes any."""
        outcome = "refused" if operation.proposal.kind == PARAMETER else "partial"
        self._end(operation, outcome, reason="publisher_unreachable")

    def _take_up(self, operation: OpenOperation) -> None:
        """The same operation again: what it did to files is done, only the publisher can tell how it ended."""
        op_id = operation.proposal.op_id
        self._open[op_id] = operation
        self._occupied.update(dict.fromkeys(operation.units, op_id))
        operation.attempts = 0
        if operation.proposal.kind == CHANGED and not self._identity_changes.is_in_place(operation.proposal.adds[0]):
            # Another certificate has taken its place since: the log must not hear of it any more.
            self._end(operation, "partial", reason="publisher_unreachable")
            return
        self._renew(operation)

    def _renew(self, operation: OpenOperation) -> None:
        """With a new deadline. A node that is being installed has nothing else to do: it asks until it is answered."""
        deadline = self._context.now.lab + DEADLINE
        operation.proposal = msgspec.structs.replace(operation.proposal, not_after=deadline)
        self._send(operation)

    def answered(self, answer: Answer) -> bool:
        """The publisher has decided; False when nobody waits for it any more."""
        operation = self._open.get(answer.op_id)
        if operation is None:
            return False
        for row in operation.proposal.adds:
            self._filing.settle(row.unit, row.fingerprint)
        if answer.outcome == "refused":
            self._put_back(operation)
        else:
            self._remove_gone(operation, (answer.epoch, answer.seq))
        self._end(operation, answer.outcome, reason=answer.reason, text=answer.text, nodes=answer.nodes)
        return True

    def failed(self, op_id: str, text: str) -> None:
        """A file of the operation could not be written or removed: nothing was proposed, and what was done is undone.

        What followed in the list of commands was dropped, replies too, so whoever else is open asks again.
        """
        op_id = op_id.removesuffix(CHAIN)
        operation = self._open.get(op_id) or self._at_once.get(op_id)
        _, commands = self._changing.get(op_id, (None, [] if operation is None else operation.commands))
        if op_id:
            self._nothing_changed(text)
        if operation is not None:
            self._undo(operation, text)
        self._make_good(op_id, commands, text)
        for other in list(self._open.values()):
            self._send(other)

    def _undo(self, operation: OpenOperation, text: str) -> None:
        """Nothing of it is left, and its operator is told so."""
        text = f"The file could not be written: {text}"
        self._put_back(operation)
        if operation.proposal.op_id in self._open:
            self._end(operation, "refused", reason="permission", text=text)
        else:
            self._reply(operation.proposal.op_id, "refused", reason="permission", text=text)

    def _make_good(self, op_id: str, commands: list[AnyCommand], text: str) -> None:
        """Of what came after the file that could not be written nothing was performed: say again what was said."""
        own = (op_id, op_id + CHAIN)
        dropped = dropwhile(lambda each: not isinstance(each, _CHANGES) or each.op_id not in own, commands)
        for reply in [each for each in dropped if isinstance(each, Reply) and each.op_id != op_id]:
            if reply.op_id in self._at_once:
                self._undo(self._at_once[reply.op_id], text)
            else:
                self._answer(reply)

    def _remove_gone(self, operation: OpenOperation, at: tuple[int, int]) -> None:
        """The log had it, this replica is past that place and has no row: it was deleted since, for everybody.

        So it is with the file of a backup, which still waits for an answer that was given long ago. In `modern` only:
        elsewhere a file without a row is put forward again, whatever became of its row (design 4).
        """
        if self._context.config.replication != "modern" or operation.asked or at > self._replica.position:
            return
        for row in operation.proposal.adds:
            if row.key not in self._replica.rows and self._context.rulebook.units[row.unit].replicated:
                self._filing.remove(*row.key, op_id=operation.proposal.op_id)

    def _put_back(self, operation: OpenOperation) -> None:
        """A refused change leaves the files that the rows name."""
        for row in operation.proposal.adds:
            known = self._replica.rows.get(row.key)
            named = known is not None and (row.holders is None or known.held_by(self._context.config.name))
            if not named and operation.proposal.kind not in UNTIL_ANSWERED:
                self._filing.remove(*row.key, op_id=operation.proposal.op_id)
        for row in operation.removed:
            known = self._replica.rows.get(row.key)
            if known is not None and known.held_by(self._context.config.name):
                self._filing.write(known)

    def _end(
        self,
        operation: OpenOperation,
        outcome: str,
        *,
        reason: str = "",
        text: str = "",
        nodes: dict[str, str] | None = None,
    ) -> None:
        op_id = operation.proposal.op_id
        self._close(op_id)
        self._context.cancel_timer(TIMER + op_id)
        self._release(op_id)
        if operation.asked:
            if reason and not text:
                text = self._text(operation, outcome, reason)
            self._reply(op_id, outcome, reason=reason, text=text, warnings=operation.warnings, nodes=nodes or {})
            self._next_in_line()
        else:
            self._context.record("operation", op_id, phase="ended", outcome=outcome, reason=reason)

    def _text(self, operation: OpenOperation, outcome: str, reason: str) -> str:
        rulebook = self._context.rulebook
        if operation.proposal.kind != PARAMETER:
            return product_text(rulebook, reason, operation.units[0])
        name = " and ".join(each.name for each in operation.proposal.settings)
        if reason == "already_present":
            return f"{name} is set so already"
        detail = "nothing was changed" if outcome == "refused" else f"whether {name} was set is not known"
        return parameter_text(rulebook, reason, name, detail if reason == "publisher_unreachable" else "")

    def _release(self, op_id: str) -> None:
        """Its units may be changed by others."""
        for unit in [unit for unit, holder in self._occupied.items() if holder == op_id]:
            del self._occupied[unit]

    def _remember(self, operation: OpenOperation) -> None:
        self._unanswered[operation.proposal.op_id] = operation
        while len(self._unanswered) > REMEMBERED:
            del self._unanswered[next(iter(self._unanswered))]

    def _close(self, op_id: str) -> None:
        """From here on the operation is nobody's: a repeated answer finds nothing."""
        del self._open[op_id]

    def _reply(
        self,
        op_id: str,
        outcome: str,
        *,
        reason: str = "",
        text: str = "",
        warnings: tuple[str, ...] = (),
        nodes: dict[str, str] | None = None,
    ) -> None:
        self._context.record("operation", op_id, phase="ended", outcome=outcome, reason=reason)
        self._answer(Reply(op_id, outcome, reason, text, warnings, nodes or {}))

    def _next_in_line(self) -> None:
        waiting, self._line = self._line, deque()
        for request in waiting:
            self.ask(request)
