"""Certificate signing requests of one node: one for each unit, and a new one takes the place of the old (R-151).

The answer comes when key and request are on the disk, or are there no more. Nothing of it concerns other nodes: a
request that was copied to them is deleted on each. [ASSUMED]
"""

from collections.abc import Callable

from ucmlab.node.certificates import parse
from ucmlab.node.commands import DropCsr, MakeCsr, Reply
from ucmlab.node.context import Context
from ucmlab.node.csr_rules import judge_csr, judge_deletion
from ucmlab.node.errors import Refusal
from ucmlab.node.events import CsrDropped, CsrMade, DeleteCsr, GenerateCsr
from ucmlab.node.leaf_rules import has_key_of
from ucmlab.node.trust_rules import product_text


class CsrRequests:
    """What was asked for and is being made, and what is there."""

    def __init__(self, context: Context, identities: dict[str, bytes], *, answer: Callable[[Reply], None]) -> None:
        """`identities` (unit to DER) is the node's own table, read here; `answer` takes what is to be replied."""
        self._context = context
        self._answer = answer
        self._identities = identities
        self._open: dict[str, str] = {}
        """Operation id to unit."""
        self.made_for: dict[str, bytes] = {}
        """Unit to the request (DER) that waits for its certificate."""

    def open(self) -> int:
        """How many are being made or deleted."""
        return len(self._open)

    def ask(self, request: GenerateCsr) -> None:
        """Take an operator's request."""
        if not self._begins(request):
            return
        try:
            form = judge_csr(self._context, self._identities, request)
        except Refusal as refusal:
            self._refuse(request, refusal)
            return
        self._open[request.op_id] = request.unit
        self._context.ask(MakeCsr(request.op_id, request.unit, form))

    def delete(self, request: DeleteCsr) -> None:
        """Take an operator's request to have none."""
        if not self._begins(request):
            return
        try:
            judge_deletion(self._context, self.made_for, request)
        except Refusal as refusal:
            self._refuse(request, refusal)
            return
        self._open[request.op_id] = request.unit
        self._context.ask(DropCsr(request.op_id, request.unit))

    def made(self, event: CsrMade) -> None:
        """Key and request are on the disk."""
        unit = self._open.pop(event.op_id, None)
        if unit is None:
            return
        self.made_for[unit] = event.der
        self._context.record("csr_made", event.op_id, unit=unit)
        self._reply(event.op_id, "done")

    def dropped(self, event: CsrDropped) -> None:
        """Neither is on the disk any more."""
        unit = self._open.pop(event.op_id, None)
        if unit is None:
            return
        self.made_for.pop(unit, None)
        self._context.record("csr_deleted", event.op_id, unit=unit)
        self._reply(event.op_id, "done")

    def consumed(self, unit: str, der: bytes) -> None:
        """An identity (DER) was put in place: the request that it was made of has had its use (R-020)."""
        csr = self.made_for.get(unit)
        if csr is not None and has_key_of(parse(der), csr):
            del self.made_for[unit]

    def failed(self, op_id: str, text: str) -> None:
        """The disk did not take it: what was there before is still there."""
        if self._open.pop(op_id, None) is not None:
            self._reply(op_id, "refused", "permission", f"The request could not be changed on the disk: {text}")

    def _begins(self, request: GenerateCsr | DeleteCsr) -> bool:
        if request.op_id in self._open:
            return False
        self._context.cause = request.cause or self._context.cause
        self._context.record("operation", request.op_id, phase="begun", kind=type(request).__name__.lower())
        return True

    def _refuse(self, request: GenerateCsr | DeleteCsr, refusal: Refusal) -> None:
        text = product_text(self._context.rulebook, refusal.reason, request.unit, refusal.text)
        self._reply(request.op_id, "refused", refusal.reason, text)

    def _reply(self, op_id: str, outcome: str, reason: str = "", text: str = "") -> None:
        self._context.record("operation", op_id, phase="ended", outcome=outcome, reason=reason)
        self._answer(Reply(op_id, outcome, reason, text))
