"""Multi-server requests and certificates: one key for all nodes that have the unit (B.8, R-041..R-048, X-13).

A request is made on one node and copied, with its key, to the others. The certificate is uploaded on one node too,
which hands the file on; each of the others judges and installs it as if it had been uploaded there, and says how it
went. A node that is away misses it, as in the product: the reply says so, and it is uploaded there again.

In the product each of the others is called at its web service, so a node that is there and does not have that service
started takes nothing either (C-50): it says `service_stopped`. Which services those are is in `services.toml`. Whether
they run on the node that was asked is no matter: it calls, nobody calls it. [ASSUMED]

The operator's reply waits for the others, for `PATIENCE` at most; what was done on this node stays done. Whoever hears
of it later than that has missed it, as its operator was told so and may have made something newer meanwhile.
"""

from collections.abc import Callable, Iterable

import msgspec

from ucmlab.broker.messages import AnyMessage, PeerAnswer, PeerCertificate, PeerKey, Shared
from ucmlab.node.certificates import parse
from ucmlab.node.commands import OpenShared, Reply, SealShared
from ucmlab.node.context import Context
from ucmlab.node.csr_reading import is_multi_server, requested_name, requested_names
from ucmlab.node.csr_rules import participants
from ucmlab.node.events import GenerateCsr, GenerateSelfSigned, ReuseCertificate, SharedOpened, SharedSealed, Upload
from ucmlab.node.instant import SECOND

_Request = GenerateCsr | GenerateSelfSigned | ReuseCertificate | Upload
PATIENCE = 30 * SECOND
TIMER = "multi:"
REMEMBERED = 256
"""Answers to others that are given again when they ask again."""
WAITING = 256
"""Certificates of others that are not judged yet; further ones are refused."""


class _Share(msgspec.Struct):
    """What is on its way to others."""

    reply: Reply
    unit: str
    deadline: int
    nodes: dict[str, str]
    """Nodes that have answered, and those that are known to be away."""
    waiting: dict[str, PeerKey | PeerCertificate | None]
    """Nodes that have not, with what they are sent; None, it is not sealed yet."""
    kind: Shared
    uploaded: bool
    """Whether an operator uploaded it; else it was made here."""
    attempts: int = 0
    reasons: dict[str, str] = {}


class MultiServer:
    """What is shared, and what others shared with this node."""

    def __init__(
        self,
        context: Context,
        *,
        requests: dict[str, bytes],
        identities: dict[str, bytes],
        installed_by: dict[str, str],
        upload: Callable[[Upload], None],
        chain: Callable[[str], bytes],
        away: Callable[[str], bool],
        running: Callable[[str], bool],
    ) -> None:
        """Nothing is under way.

        Args:
            requests: unit to the request that waits (DER); the node's own table, filled here with what others made.
            identities: unit to certificate (DER), read here.
            installed_by: unit to the id of the operation that its certificate is from, read here.
            upload: takes an upload as if an operator had asked.
            chain: an identity of this node with its issuers, PEM.
            away: whether a member is known to be away.
            running: whether a service of this node is started.
        """
        self._context = context
        self._requests = requests
        self._identities = identities
        self._installed_by = installed_by
        self._upload = upload
        self._chain = chain
        self._away = away
        self._running = running
        self._expected: dict[str, _Request] = {}
        self._shares: dict[str, _Share] = {}
        self._installing: dict[str, tuple[str, str]] = {}
        """By the id of the upload here: who handed it on, and under which id."""
        self._answers: dict[tuple[str, str], PeerAnswer] = {}
        self._began = 0
        """When this process did, lab microseconds."""

    def begin(self) -> None:
        """The node has started, now."""
        self._began = self._context.now.lab

    def open(self) -> int:
        """How many are shared and not answered."""
        return len(self._shares)

    def shares(self, op_id: str) -> bool:
        """Whether the operation is done here and on its way to others: asked for again, it is this one."""
        return op_id in self._shares

    # -- on the node that was asked

    def expect(self, request: _Request) -> None:
        """An operator asks for something that may concern other nodes: its reply will be told by `takes`."""
        if isinstance(request, Upload):
            shared = self._is_shared(request)
        else:
            shared = isinstance(request, ReuseCertificate) or request.multi_server
        if shared and request.op_id not in self._shares:
            self._expected[request.op_id] = request

    def _is_shared(self, upload: Upload) -> bool:
        csr, present = self._requests.get(upload.purpose), self._identities.get(upload.purpose)
        if csr is not None:
            return is_multi_server(requested_name(csr)) and self._names_others(upload.purpose, requested_names(csr))
        # Asked for again after a kill: on this node it is done, on the others perhaps not.
        if present is None or self._installed_by.get(upload.purpose) != upload.op_id:
            return False
        certificate = parse(present)
        return is_multi_server(certificate.common_name) and self._names_others(upload.purpose, certificate.sans)

    def _names_others(self, unit: str, names: Iterable[str]) -> bool:
        """Whether further nodes are named, where there are any: a node may be called `sub-ms`, and asks for itself."""
        everybody = {self._context.config.fqdn_of(name) for name in participants(self._context, unit)}
        others = everybody - {self._context.config.fqdn}
        return everybody != others and (not others or not others.isdisjoint(names))

    def takes(self, reply: Reply) -> bool:
        """Whether the reply is not the operator's yet, as others are to follow; or is another node's to hear."""
        if reply.op_id in self._installing:
            sender, op_id = self._installing.pop(reply.op_id)
            self._answer(sender, PeerAnswer(op_id, reply.outcome, reply.reason))  # type: ignore[arg-type]  # of replies
            return True
        request = self._expected.pop(reply.op_id, None)
        if request is None or reply.outcome not in ("done", "partial"):
            return False
        unit = request.unit
        kind: Shared = "request" if isinstance(request, GenerateCsr) else "identity"
        self._end_others_of(unit)
        others = [name for name in participants(self._context, unit) if name != self._context.config.name]
        deadline, here = self._context.now.lab + PATIENCE, {self._context.config.name: "done"}
        share = _Share(reply, unit, deadline, here, {}, kind=kind, uploaded=isinstance(request, Upload))
        self._shares[reply.op_id] = share
        share.nodes.update({name: "unreachable" for name in others if self._away(name)})
        for name in [name for name in others if name not in share.nodes]:
            share.waiting[name] = self._message(request, not_after=deadline)
        asked = [name for name, message in share.waiting.items() if message is None]
        self._repeat(share)
        # Last: with a seal that fails the rest of the list is dropped, and the time-out must be on its way by then.
        for name in asked:
            self._context.ask(SealShared(reply.op_id, unit, kind, name))
        return True

    def _end_others_of(self, unit: str) -> None:
        """What was on its way is out of date: it must not come after the newer one."""
        for share in [each for each in self._shares.values() if each.unit == unit]:
            share.nodes.update(dict.fromkeys(share.waiting, "pending"))
            share.waiting.clear()
            self._end_when_over(share)

    def _message(self, request: _Request, *, not_after: int) -> PeerCertificate | None:
        """What another node is told: what was uploaded, with its chain (B.8); of a key nothing before it is sealed."""
        if not isinstance(request, Upload):
            return None
        data = self._chain(request.purpose)
        return PeerCertificate(request.op_id, request.purpose, data, request.description, not_after)

    def sealed(self, event: SharedSealed) -> None:
        """The request can travel."""
        share = self._shares.get(event.op_id)
        if share is not None and event.recipient in share.waiting:
            message = PeerKey(event.op_id, event.unit, event.kind, event.blob, share.deadline)
            share.waiting[event.recipient] = message
            self._send(share, event.recipient)

    def _answered(self, sender: str, answer: PeerAnswer) -> None:
        """Another node says how it went there."""
        share = self._shares.get(answer.op_id)
        if share is None or sender not in share.waiting:
            return
        del share.waiting[sender]
        share.nodes[sender] = answer.outcome if answer.outcome in ("done", "refused") else "pending"
        share.reasons[sender] = answer.reason
        self._end_when_over(share)

    def connected(self) -> None:
        """A new session: say it again at once."""
        for share in list(self._shares.values()):
            self._repeat(share)

    def timer(self, op_id: str) -> None:
        """Say it again, or go without whoever has not answered."""
        share = self._shares.get(op_id)
        if share is None:
            return
        if self._context.now.lab >= share.deadline:
            share.nodes.update(dict.fromkeys(share.waiting, "unreachable"))
            share.waiting.clear()
        self._repeat(share)

    def _repeat(self, share: _Share) -> None:
        if self._end_when_over(share):
            return
        for name in share.waiting:
            self._send(share, name)
        left = share.deadline - self._context.now.lab
        delay = min(left, self._context.backoff(share.attempts, "multi", share.reply.op_id))
        share.attempts += 1
        self._context.start_timer(TIMER + share.reply.op_id, delay)

    def _send(self, share: _Share, name: str) -> None:
        message = share.waiting[name]
        if message is not None:
            self._context.publish(self._context.topics.peer(self._context.config.name, name), message)

    def _end_when_over(self, share: _Share) -> bool:
        if share.waiting:
            return False
        op_id = share.reply.op_id
        del self._shares[op_id]
        self._context.cancel_timer(TIMER + op_id)
        members = [member.name for member in self._context.config.members if member.name in share.nodes]
        nodes = {name: share.nodes[name] for name in members}
        left = [self._told(share, name, word) for name, word in nodes.items() if word != "done"]
        warnings = (*share.reply.warnings, *left)
        self._context.record("shared", op_id, unit=share.unit, nodes=", ".join(nodes))
        self._context.ask(msgspec.structs.replace(share.reply, nodes=nodes, warnings=warnings))
        return True

    def _told(self, share: _Share, name: str, word: str) -> str:
        """What people are to do about a node where it is not done."""
        reason = share.reasons.get(name, "")
        how = f"{name}: {word}, {reason}" if word == "refused" else f"{name}: {word}"
        if word == "refused" and reason != "service_stopped":
            return how
        services = " and ".join(self._context.rulebook.multi_server_services)
        when = f"{services} are started there" if reason == "service_stopped" else "the node is there"
        if share.uploaded:
            return f"{how}; upload it there when {when}, or make a new request if it has none"
        return f"{how}; make a new {'request' if share.kind == 'request' else 'certificate'} when {when}"

    # -- on the others

    def heard(self, sender: str, message: AnyMessage) -> bool:
        """Another node says something; False when it is nothing that nodes say to each other."""
        match message:
            case PeerKey():
                self._key_told(sender, message)
            case PeerCertificate():
                self._certificate_told(sender, message)
            case PeerAnswer():
                self._answered(sender, message)
            case _:
                return False
        return True

    def _key_told(self, sender: str, told: PeerKey) -> None:
        """Somebody made a request or an identity that is for this node too."""
        if not self._is_over(sender, told):
            self._context.ask(OpenShared(told.op_id, told.unit, told.kind, sender, told.blob))

    def opened(self, event: SharedOpened) -> None:
        """It is on the disk, in the place of the one before (R-151)."""
        if not event.der:
            self._context.alarm("keys_not_opened", event.op_id, kind=event.unit)
            self._answer(event.sender, PeerAnswer(event.op_id, "refused", "format"))
            return
        if event.kind == "request":
            self._requests[event.unit] = event.der
            self._context.record("csr_made", event.op_id, unit=event.unit)
        self._answer(event.sender, PeerAnswer(event.op_id, "done", ""))

    def _certificate_told(self, sender: str, told: PeerCertificate) -> None:
        """Somebody was given a certificate that is for this node too."""
        op_id = f"{told.op_id}@{self._context.config.name}"
        if op_id in self._installing or self._is_over(sender, told):
            return
        if len(self._installing) >= WAITING:
            return  # it is said again
        self._installing[op_id] = (sender, told.op_id)
        self._upload(Upload(op_id, told.unit, told.data, told.description))

    def _is_over(self, sender: str, told: PeerKey | PeerCertificate) -> bool:
        """Answer what was answered before, and what is not for this node; what comes too late is nobody's any more.

        So is what was made before this process began: a former one may have taken it, and what administrators have done
        here since would be undone. Who was down goes without, as on the product.
        """
        known, made = self._answers.get((sender, told.op_id)), told.not_after - PATIENCE
        if known is None and (made < self._began or told.not_after < self._context.now.lab):
            self._context.record("shared", told.op_id, unit=told.unit, sender=sender, outcome="expired")
            return True
        if known is None and {sender, self._context.config.name} <= set(participants(self._context, told.unit)):
            if all(map(self._running, self._context.rulebook.multi_server_services)):
                return False
            # Remembered as any refusal: who was told that this node went without finds that it did, whenever it starts.
            known = PeerAnswer(told.op_id, "refused", "service_stopped")
            self._context.record("shared", told.op_id, unit=told.unit, sender=sender, outcome=known.reason)
        self._answer(sender, known or PeerAnswer(told.op_id, "refused", "wrong_purpose"))
        return True

    def _answer(self, sender: str, answer: PeerAnswer) -> None:
        if answer.outcome == "done" or (answer.outcome == "refused" and answer.reason != "permission"):
            self._answers[sender, answer.op_id] = answer
        while len(self._answers) > REMEMBERED:
            del self._answers[next(iter(self._answers))]
        self._context.publish(self._context.topics.peer(self._context.config.name, sender), answer)
