"""TLS connections: whom this node connects to, and who is let in at its listeners (R-002, R-004..R-006, R-166, B.20).

A connection uses what its service has loaded, on both ends. OpenSSL (in the simulation: `handshake.undated_verdict`)
judges chain, name and usage; the dates are judged here, by this node's own wall clock. Connections are opened to see
whether they can be: they say hello and are closed again, but for long-lived ones (`ucmlab.node.link_keeping`).
"""

from collections.abc import Callable

from ucmlab.node import revocation
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.clients import Client
from ucmlab.node.commands import Admit, GiveUp, OpenTls, Reply
from ucmlab.node.context import Context
from ucmlab.node.errors import Refusal
from ucmlab.node.events import NO_CERTIFICATE, REJECTED, Connect, ListenerFailed, PeerShown, TlsOpened
from ucmlab.node.handshake import Shown, Standard, Verdict, date_verdict, judge, undated_verdict
from ucmlab.node.instant import SECOND, rfc3339
from ucmlab.node.link_keeping import LinkKeeping
from ucmlab.node.listeners import Speaks
from ucmlab.node.loaded import NOTHING, Loaded
from ucmlab.node.loading import Loader
from ucmlab.node.revocation import Revocation
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.services import Services
from ucmlab.node.status import LinkStatus

PATIENCE = 30 * SECOND
"""Lab time for the other end to answer."""
PORTS = 65535
TIMER = "connect:"
_REVOCATION = {"revoked": "revoked", "unknown": "revocation_unknown", "unreachable": "revocation_unavailable"}
"""Why a connection ends that OCSP or a CRL forbids (B.16)."""


class Connections:
    """Both ends of this node."""

    def __init__(
        self,
        context: Context,
        services: Services,
        loader: Loader,
        *,
        revocation: Revocation,
        keeping: LinkKeeping,
        answer: Callable[[Reply], None],
    ) -> None:
        """`answer` hears how each operation ended."""
        self._context = context
        self._services = services
        self._loader = loader
        self._revocation = revocation
        self._keeping = keeping
        self._answer = answer
        self._open: dict[str, tuple[Connect, OpenTls]] = {}
        self._queried: set[str] = set()
        """Operations whose servers are trusted but for an answer about revocation (R-166)."""

    def open(self) -> int:
        """How many are under way."""
        return len(self._open) + len(self._queried)

    # -- as a client

    def ask(self, event: Connect) -> None:
        """Open one."""
        if event.op_id in self._open or event.op_id in self._queried:
            return
        context = self._context
        context.cause = event.cause or context.cause
        context.record("operation", event.op_id, phase="begun", kind="connect", client=event.client)
        try:
            exchange = self._exchange(event)
        except Refusal as refusal:
            text = refusal.text  # what the table says where something is not found is said of certificates
            if refusal.reason != "not_found":
                text = context.rulebook.refusal_text(refusal.reason, detail=text)
            self._end(event.op_id, Reply(event.op_id, "refused", refusal.reason, text))
            return
        self._open[event.op_id] = event, exchange
        context.start_timer(TIMER + event.op_id, PATIENCE)
        if event.reachable:  # else it hangs until its time is over, as in a network that swallows packets
            context.ask(exchange)

    def opened(self, event: TlsOpened) -> None:
        """The other end has answered."""
        op_id = event.token.removeprefix(TIMER)
        waiting = self._open.pop(op_id, None)
        if waiting is None:
            return
        self._context.cancel_timer(TIMER + op_id)
        self._judge(waiting[0], waiting[1], event)

    def timer(self, op_id: str) -> None:
        """The other end has said nothing for too long."""
        waiting = self._open.pop(op_id, None)
        if waiting is not None:
            self._context.ask(GiveUp(TIMER + op_id))
            self._judge(waiting[0], waiting[1], TlsOpened(TIMER + op_id, "unreachable", text="no answer in time"))

    def _exchange(self, event: Connect) -> OpenTls:
        rulebook, me = self._context.rulebook, self._context.config
        row = rulebook.clients.get(event.client)
        if row is None:
            raise Refusal("not_found", f"there is no client {event.client}; there are {', '.join(rulebook.clients)}")
        loaded = self._loaded(row)
        listener = rulebook.listeners.get(listener_name(rulebook, event))
        if event.node and (listener is None or listener.speaks == "ssh"):
            raise Refusal("not_found", f"{event.client} connects to no node; name one of its TLS listeners")
        _check_place(event)
        fqdn = me.fqdn_of(event.node) if event.node else event.address.rpartition(":")[0]
        speaks: Speaks = listener.speaks if event.node and listener is not None else ""
        return OpenTls(
            token=TIMER + event.op_id,
            service=row.service,
            unit=next((unit for unit in row.presents if unit in loaded.chains), ""),
            node=event.node,
            listener=listener.name if event.node and listener is not None else "",
            address=event.address,
            name=event.name or fqdn,
            checks_name=row.checks_name,
            trusted=tuple(dict.fromkeys(der for unit in row.trusts for der in self._loader.trusted(loaded, unit))),
            ec_only=event.ec_only,
            speaks=speaks,
            lasting=not event.node and self._keeping.lasts(event.client),
        )

    def _loaded(self, row: Client) -> Loaded:
        if not row.service:
            return NOTHING
        loaded = self._services.loaded(row.service)
        if loaded is None:
            raise Refusal("service_stopped", f"{row.service} is not started")
        return loaded

    def _judge(self, event: Connect, exchange: OpenTls, opened: TlsOpened) -> None:
        shown = Shown(opened.chain)
        standard = Standard(
            trusted=exchange.trusted,
            usage="server",
            name=exchange.name if exchange.checks_name else "",
            wall=self._context.now.wall,
        )
        reason, detail = reason_of(shown, standard, opened)
        if reason or not self._revocation.asks_at_handshake(event.client):
            self._conclude(event, exchange, shown, reason, detail)
            return
        leaf, *others = (parse(der) for der in shown.chain)
        issuer = self._revocation.issuer_of(leaf, others)
        self._queried.add(event.op_id)

        def heard(verdict: revocation.Verdict) -> None:
            self._queried.discard(event.op_id)
            refused = "" if verdict.connects else _REVOCATION.get(verdict.status, "")
            self._conclude(event, exchange, shown, refused, verdict.text or verdict.detail if refused else "")

        self._revocation.ask(leaf.der, issuer, reason=f"handshake:{event.client}", done=heard)

    def _conclude(self, event: Connect, exchange: OpenTls, shown: Shown, reason: str, detail: str) -> None:
        own = self._services.loaded(exchange.service)
        self._record(
            event.op_id,
            exchange.service,
            own.fingerprints.get(exchange.unit, "") if own is not None else "",
            shown,
            reason,
            client=event.client,
            to=exchange.node or exchange.address,
            listener=exchange.listener,
        )
        if exchange.lasting and (reason or own is None):
            self._keeping.refused(exchange.token)
        elif exchange.lasting:
            link = LinkStatus(event.client, exchange.service, exchange.name)
            self._keeping.opened(exchange.token, link, shown.chain)
        told = described(shown.chain)
        seen = {**told, "name": exchange.name} if told else {}
        outcome = "refused" if reason else "done"
        self._end(event.op_id, Reply(event.op_id, outcome, reason, detail, seen=seen))

    def _end(self, op_id: str, reply: Reply) -> None:
        self._context.record("operation", op_id, phase="ended", outcome=reply.outcome, reason=reply.reason)
        self._answer(reply)

    # -- as a server

    def shown(self, event: PeerShown) -> None:
        """A client has presented its certificate at a listener; let it in, or not."""
        loaded = self._services.loaded(event.service) or NOTHING
        endpoint = loaded.endpoint_named(event.listener)
        if endpoint is None:
            if event.token:
                self._context.ask(Admit(event.token, admitted=False))
            return
        shown, verdict = Shown(event.chain), Verdict()
        standard = Standard(trusted=endpoint.trusted, usage="client", wall=self._context.now.wall)
        if event.chain:
            verdict = date_verdict(shown, standard) if event.token else judge(shown, standard)
        elif event.trouble.replace("_", " ").lower() == NO_CERTIFICATE:
            verdict = Verdict(reason="no_certificate")
        trouble = REJECTED if event.trouble == REJECTED else "handshake_failed"
        reason = verdict.reason or (trouble if event.trouble else "")
        own = loaded.fingerprints.get(next(iter(endpoint.chains), ""), "")
        self._record("", event.service, own, shown, reason, client="", to="", listener=event.listener)
        if event.token:
            self._context.ask(Admit(event.token, admitted=not reason))

    def failed(self, event: ListenerFailed) -> None:
        """A listener is not there, and its service runs without."""
        self._context.alarm("listener_failed", service=event.service, what=event.what, text=event.text)

    def _record(self, op_id: str, service: str, own: str, shown: Shown, reason: str, **fields: str) -> None:
        """Both ends' certificates, and what came of it (R-002)."""
        leaf = _leaf(shown)
        peer = leaf.fingerprint if leaf is not None else ""
        verdict = "terminated" if reason else "trusted"
        self._context.record(
            "handshake", op_id, service=service, presented=own, peer=peer, verdict=verdict, reason=reason, **fields
        )


def _check_place(event: Connect) -> None:
    """See that a server outside can be looked for at all; of a node, only by which name.

    Raises:
        Refusal: `not_found`.
    """
    host, _, port = event.address.rpartition(":")
    if not event.node and not (host and port.isascii() and port.isdecimal() and 0 < int(port) <= PORTS):
        raise Refusal("not_found", f"{event.address!r} is no HOST:PORT of a server")
    if not (event.name + host).isprintable():
        raise Refusal("not_found", f"{event.name or host!r} is no name of a server")


def _leaf(shown: Shown) -> Certificate | None:
    """The peer's own certificate; None when it presented none, or something that nobody can read."""
    try:
        return parse(shown.chain[0]) if shown.chain else None
    except Refusal:
        return None


def reason_of(shown: Shown, standard: Standard, opened: TlsOpened) -> tuple[str, str]:
    """Why a connection did not come about for who opened it, and in words; empty when it did."""
    if opened.outcome == "unreachable":
        return "unreachable", opened.text
    if opened.outcome == "failed" and not shown.chain:
        return "no_shared_cipher", opened.text  # a server presents nothing only if there is nothing in common
    if opened.outcome == "rejected":
        # An end that presents what is below the security level accepts anything (`tls_contexts`): its own judgement,
        # which comes first in a handshake, is made up for here.
        verdict = undated_verdict(shown, standard)
        if shown.chain and not verdict.trusted:
            return verdict.reason, verdict.text
        return REJECTED, "The server did not accept the certificate that it was shown"
    verdict = date_verdict(shown, standard) if opened.outcome == "open" else judge(shown, standard)
    if opened.outcome == "failed" and verdict.trusted:
        return "handshake_failed", opened.text
    return verdict.reason, verdict.text if verdict.reason else ""


def listener_name(rulebook: RuleBook, connect: Connect) -> str:
    """At which listener of a node a connection ends: the one that is named, or the kind's own; empty: it has none."""
    row = rulebook.clients.get(connect.client)
    return connect.listener or (row.listener if row is not None else "")


def described(chain: tuple[bytes, ...]) -> dict[str, str]:
    """What was presented, in words: the identity, and in `chain` how many certificates came; empty without a leaf."""
    leaf = _leaf(Shown(chain))
    if leaf is None:
        return {}
    return {
        "fingerprint": leaf.fingerprint,
        "subject": leaf.subject,
        "issuer": leaf.issuer,
        "key": leaf.key,
        "not_after": rfc3339(leaf.not_after),
        "chain": str(len(chain)),
    }
