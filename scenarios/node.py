"""A node in a story's hands: break it, operate it, look at it.

Reads look at the lab now. On a node that is down they show its disk, and an operation ends `refused`/`node_down`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, get_args

from ucmlab.cluster.certificate_list import Entry, Filters, KeyFamily, Order, Usage, chosen, entries_of
from ucmlab.cluster.port import NodeView
from ucmlab.cluster.probing import listener_of, look, seen
from ucmlab.node import commands
from ucmlab.node.certificates import parse, pem
from ucmlab.node.config import AuthzKey
from ucmlab.node.csr import csr_pem
from ucmlab.node.dependants import Held, concerned, dependants
from ucmlab.node.events import (
    Age,
    Connect,
    Delete,
    DeleteCsr,
    GenerateCsr,
    GenerateSelfSigned,
    OrderService,
    Plant,
    Regenerate,
    RegenerateAuthz,
    ReuseCertificate,
    SetDefaultCas,
    SetParameter,
    Upload,
)
from ucmlab.node.instant import duration, from_datetime
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.status import LinkStatus
from ucmlab.scenarios.handshake import Handshake
from ucmlab.scenarios.names import fingerprint as fingerprint_of
from ucmlab.scenarios.page import Page
from ucmlab.scenarios.parameters import parameter_of, parameter_value
from ucmlab.scenarios.peer import Peer
from ucmlab.scenarios.reply import CsrReply, Reply
from ucmlab.scenarios.telling import Telling
from ucmlab.scenarios.upgrades import upgraded

Action = Literal["start", "stop", "restart", "enable", "disable"]
DISTRIBUTIONS = ("this-server", "multi-server")
ENCODINGS = ("pem", "der")


class Node:
    """One node of the lab."""

    def __init__(self, telling: Telling, name: str) -> None:
        self._telling = telling
        self._port = telling.port
        self._name = name

    @property
    def name(self) -> str:
        """The node's name, as in `sub1`."""
        return self._name

    @property
    def state(self) -> str:
        """`starting`, `up`, `paused`, `isolated` or `down`."""
        return self._view().state

    @property
    def release(self) -> str:
        """The release that the node runs."""
        return self._view().release

    @property
    def services(self) -> Mapping[str, str]:
        """Each service's state: `started`, `starting`, `stopping` or `stopped`."""
        return {name: service.state for name, service in self._view().services.items()}

    def files(self, unit: str) -> frozenset[str]:
        """Fingerprints of the trust certificates that lie in this node's files."""
        return frozenset(fingerprint_of(file.der) for file in self._view().files if file.unit == unit)

    def database(self, unit: str) -> frozenset[str]:
        """Fingerprints of the rows of this node's replica that name this node among the holders."""
        return frozenset(row.fingerprint for row in self._view().rows if row.unit == unit and row.held_by(self._name))

    def identity(self, unit: str) -> str:
        """The fingerprint of an identity certificate.

        Raises:
            LookupError: this node has no such identity.
        """
        identities = self._view().identities
        if unit not in identities:
            raise LookupError(f"{self._name} has no identity {unit!r}; it has {', '.join(sorted(identities))}")
        return fingerprint_of(identities[unit])

    def dependants(self, unit: str, fingerprint: str) -> frozenset[tuple[str, str]]:
        """Unit and fingerprint of what depends on a trust certificate here: a delete names it, then asks (R-076)."""
        view = self._view()
        held = [Held(each.unit, each.certificate) for each in entries_of(view)]
        gone = [each.certificate for each in held if (each.unit, each.certificate.fingerprint) == (unit, fingerprint)]
        below = dependants(gone, unit, concerned(RuleBook.load(view.release, self._port.facts().profile), unit, held))
        return frozenset((each.unit, each.certificate.fingerprint) for each in below)

    def loaded(self, service: str) -> Mapping[str, str]:
        """What a service loaded at its last start: unit to fingerprint.

        Raises:
            LookupError: this node has no such service.
        """
        services = self._view().services
        if service not in services:
            raise LookupError(f"{self._name} has no service {service!r}; it has {', '.join(sorted(services))}")
        return services[service].loaded

    def pending(self) -> Mapping[str, list[str]]:
        """Services that hold an older certificate than the files, and for which units."""
        return {name: list(service.pending) for name, service in self._view().services.items() if service.pending}

    def parameter(self, name: str) -> str:
        """What this node reads of a parameter, as its replica has it: what somebody set, or the default.

        Raises:
            Refusal: the release has no such parameter.
        """
        return parameter_of(self._port, self._name, name)

    async def stop(self) -> None:
        """Stop the node in order."""
        self._telling.settle_deaths(self._name)
        await self._port.stop_node(self._name)

    async def start(self) -> None:
        """Start the node again."""
        self._telling.settle_deaths(self._name)
        await self._port.start_node(self._name)
        self._telling.observe()

    async def upgrade(self, release: str) -> Reply:
        """Upgrade the node to a later release; it is booted. A subscriber follows its publisher (B.19)."""
        return await upgraded(self._telling, [self._name], release)

    async def kill(self, at: str | None = None) -> None:
        """Kill the node now, or right after it has performed its next command of that name.

        Args:
            at: a command of the node, as in `WriteFile` or `AppendLog`. A run in which it never comes is `unknown`.

        Raises:
            LookupError: there is no such command.
        """
        if at is None:
            self._telling.settle_deaths(self._name)
        elif at not in (names := sorted(command.__name__ for command in get_args(commands.AnyCommand))):
            raise LookupError(f"a node performs no command {at!r}; there are {', '.join(names)}")
        else:
            self._telling.arm(self._name, at)
        await self._port.kill_node(self._name, at)

    async def tls(
        self,
        where: str | int,
        *,
        peer: "Node | None" = None,
        name: str | None = None,
        ec_only: bool = False,
        trust: Iterable[bytes] | None = None,
    ) -> Handshake:
        """See what a listener of this node presents, and whether it is trusted.

        Args:
            where: a service, a listener as `dump` names it, or a port.
            peer: a node that connects, with what its Cisco Tomcat has loaded; else somebody outside does.
            name: by which name or IP address; the node's fully qualified one, if not said (R-070).
            ec_only: whether the client can verify EC certificates only (R-010).
            trust: what somebody outside trusts, DER; the story's root CAs, if not said.

        Raises:
            Unusable: nothing listens there, in this release.
        """
        facts = self._port.facts()
        listener = listener_of(RuleBook.load(facts.release, facts.profile), where)
        if peer is not None:
            return await peer.connect(self, "web", listener=listener.name, name=name or "", ec_only=ec_only)
        trusted = tuple(self._telling.roots if trust is None else trust)
        command = look(listener, node=self._name, name=name or self._view().fqdn, trusted=trusted, ec_only=ec_only)
        opened = await self._port.probe(self._name, command)
        reason, text = seen(command, opened, wall=self._port.wall())
        leaf = parse(opened.chain[0]) if opened.chain else None
        return Handshake(reason, text, leaf.fingerprint if leaf else "", leaf.key if leaf else "")

    async def connect(
        self, to: "Node | Peer | str", client: str = "sip", *, listener: str = "", name: str = "", ec_only: bool = False
    ) -> Handshake:
        """Have this node open a connection of a kind (`clients.toml`), with what its service has loaded.

        Args:
            to: another node, a server outside (`Lab.peer`), or `HOST:PORT` of one.
            client: `sip`, `web`, `ldap`, `ldap_authentication`, `ipsec`, `cti`, `syslog`, `filebeat`, `ils` or `lbm`.
            listener: of the other node; the kind's own, if not said.
            name: by which name it is called, where the kind checks that; its fully qualified one, if not said.
            ec_only: whether it can verify EC certificates only.
        """
        node = to.name if isinstance(to, Node) else ""
        address = to.address if isinstance(to, Peer) else to if isinstance(to, str) else ""
        fqdn = to.fqdn if isinstance(to, Peer) else ""
        operation = Connect(
            op_id=self._telling.operation_id(),
            client=client,
            node=node,
            listener=listener,
            address=address,
            name=name or fqdn,
            ec_only=ec_only,
        )
        what = f"{client} from {self._name} to {node or fqdn or address}"
        reply = await self._telling.operate(self._name, operation, what)
        return Handshake(reply.reason, reply.text, reply.seen.get("fingerprint", ""), reply.seen.get("key", ""))

    def links(self) -> Sequence[LinkStatus]:
        """Long-lived links to servers outside that stand now, the oldest first: `client`, `service`, `to`."""
        return self._view().links

    async def pause(self) -> None:
        """Freeze the node: it keeps its connections and answers nothing."""
        await self._port.pause_node(self._name)

    async def resume(self) -> None:
        """Let a frozen node go on."""
        await self._port.resume_node(self._name)

    async def upload(self, purpose: str, data: bytes | str, description: str = "", *, by_cli: bool = False) -> Reply:
        """Upload a certificate or chain, as the dialog of OS Administration does, or `set cert import` (`by_cli`)."""
        blob = data.encode() if isinstance(data, str) else data
        operation = Upload(self._telling.operation_id(), purpose, blob, description, by_cli=by_cli)
        what = f"upload to {purpose} on {self._name}"
        return Reply(self._telling, what, await self._telling.operate(self._name, operation, what))

    async def delete(self, unit: str, fingerprint: str) -> Reply:
        """Delete a trust certificate; the warning is confirmed."""
        operation = Delete(op_id=self._telling.operation_id(), unit=unit, fingerprint=fingerprint)
        what = f"delete from {unit} on {self._name}"  # noqa: S608  # no SQL, English
        return Reply(self._telling, what, await self._telling.operate(self._name, operation, what))

    async def set_default_cas(self, *, enabled: bool, name: str = "") -> Reply:
        """Enable or disable the CA certificates that came with the product, as `set cert default-ca-list` does (B.9).

        Args:
            enabled: whether they are to be there.
            name: the common name of one of them; all of them when empty.
        """
        operation = SetDefaultCas(self._telling.operation_id(), enabled, name)
        what = f"{'enable' if enabled else 'disable'} {operation.unit} on {self._name}"
        return Reply(self._telling, what, await self._telling.operate(self._name, operation, what))

    async def regenerate_authz(self, key: AuthzKey) -> Reply:
        """Make an OAuth key anew, `signing` or `encryption`, as `set key regen authz` does (R-130, R-133)."""
        what = f"regenerate the authz {key} key on {self._name}"
        operation = RegenerateAuthz(self._telling.operation_id(), key)
        return Reply(self._telling, what, await self._telling.operate(self._name, operation, what))

    async def generate_csr(
        self,
        unit: str,
        *,
        distribution: str = "this-server",
        key: str | None = None,
        digest: str | None = None,
        san: Sequence[str] = (),
        common_name: str | None = None,
        ou: bool = False,
    ) -> CsrReply:
        """Make a certificate signing request for an identity; it takes the place of the last one.

        Args:
            unit: the identity unit.
            distribution: `this-server`, or `multi-server`: one for all nodes that have the unit, copied to them.
            key: its kind, as in `rsa-3072`; the unit's usual one when None.
            digest: what signs it, as in `sha384`; the key's usual one when None.
            san: further DNS names and IP addresses (multi-server: names only).
            common_name: a DNS name; the one of the unit's own certificate when None, for all nodes with its `-ms`.
            ou: whether the organizational unit is named; releases before 14SU1 always name it.

        Raises:
            LookupError: there is no such distribution.
        """
        shared, op_id = _is_shared(distribution), self._telling.operation_id()
        operation = GenerateCsr(op_id, unit, key or "", digest or "", tuple(san), ou, shared, common_name or "")
        what = f"request for {unit} on {self._name}"
        reply = await self._telling.operate(self._name, operation, what)
        der = self._view().csrs.get(unit) if reply.outcome == "done" else None
        return CsrReply(self._telling, what, reply, None if der is None else csr_pem(der).encode())

    async def delete_csr(self, unit: str) -> Reply:
        """Delete the request that waits on this node, and its key."""
        operation, what = DeleteCsr(self._telling.operation_id(), unit), f"delete the request of {unit} on {self._name}"
        return Reply(self._telling, what, await self._telling.operate(self._name, operation, what))

    async def regenerate(self, unit: str) -> Reply:
        """Make a new self-signed certificate for an identity, with a key of the same length (R-090)."""
        operation = Regenerate(self._telling.operation_id(), unit)
        what = f"regenerate {unit} on {self._name}"
        return Reply(self._telling, what, await self._telling.operate(self._name, operation, what))

    async def generate_self_signed(
        self,
        unit: str,
        *,
        key: str | None = None,
        years: int | None = None,
        digest: str | None = None,
        cn_serial: bool = False,
        ou: bool = False,
        distribution: str = "this-server",
    ) -> Reply:
        """Make a new self-signed certificate for an identity as an operator wants it (R-092, R-093).

        Args:
            unit: the identity unit.
            key: its kind, as in `rsa-3072`; the unit's usual one when None.
            years: 5, 10, 15 or 20; the unit's usual validity when None.
            digest: what signs it, as in `sha384`; the key's usual one when None.
            cn_serial: whether the serial number follows the common name; from 14SU1.
            ou: whether the organizational unit is named; releases before 14SU1 always name it.
            distribution: `this-server`, or `multi-server`: one for all nodes that have the unit; from 14.

        Raises:
            LookupError: there is no such distribution.
        """
        shared, op_id = _is_shared(distribution), self._telling.operation_id()
        operation = GenerateSelfSigned(op_id, unit, key or "", digest or "", years or 0, cn_serial, ou, shared)
        what = f"self-signed {unit} on {self._name}"
        return Reply(self._telling, what, await self._telling.operate(self._name, operation, what))

    async def reuse_certificate(self, unit: str) -> Reply:
        """Have the multi-server certificate of tomcat stand in for CallManager's, on all nodes; from release 14 (B.3).

        Args:
            unit: `CallManager` or `CallManager-ECDSA`.
        """
        operation, what = ReuseCertificate(self._telling.operation_id(), unit), f"reuse for {unit} on {self._name}"
        return Reply(self._telling, what, await self._telling.operate(self._name, operation, what))

    async def plant(self, unit: str, pem: bytes | str, *, files: bool = True, database: bool = True) -> Reply:
        """Put certificates into a trust unit past all rules, as a customer's cluster brings them.

        Args:
            unit: the trust unit.
            pem: the certificates; one in DER will do as well.
            files: whether this node's files are to have them.
            database: whether the rows are to be in the log.
        """
        data = pem.encode() if isinstance(pem, str) else pem
        operation = Plant(self._telling.operation_id(), unit, data, files, database)
        what = f"plant in {unit} on {self._name}"
        return Reply(self._telling, what, await self._telling.operate(self._name, operation, what))

    async def age(self, unit: str, expires_in: str) -> Reply:
        """Give this node a self-signed identity that expires soon, or has expired.

        Args:
            unit: the identity unit.
            expires_in: when it ends, from now by this node's clock, as in `3d`; `-3d`: so long ago.

        Raises:
            ValueError: it is no duration.
        """
        ends = -duration(expires_in[1:]) if expires_in.startswith("-") else duration(expires_in)
        operation, what = Age(self._telling.operation_id(), unit, ends), f"age {unit} on {self._name}"
        return Reply(self._telling, what, await self._telling.operate(self._name, operation, what))

    async def set_parameter(self, name: str, value: str | int) -> Reply:
        """Set a parameter on this node and save: of its side of the cluster, of the cluster, or of the node (A.21).

        Args:
            name: as in `HTTPS Ciphers`.
            value: True and False are the flags' values.
        """
        operation = SetParameter(self._telling.operation_id(), self._name, name, parameter_value(value))
        what = f"set {name} on {self._name}"
        return Reply(self._telling, what, await self._telling.operate(self._name, operation, what))

    def page(self, name: str) -> Page:
        """Open a page of this node's administration, as in `Certificate Revocation`: see `Page`.

        Raises:
            Unusable: the release has no such page.
        """
        return Page(self._telling, self._name, name)

    async def download(self, unit: str, name: str, encoding: str = "pem") -> bytes:
        """Download a certificate by its file name or fingerprint.

        Args:
            unit: a trust unit, or an identity unit (whose name is `<unit>.pem`).
            name: the file's name with or without `.pem`, or the fingerprint.
            encoding: `pem` or `der`.

        Raises:
            LookupError: no such certificate or encoding.
        """
        if encoding not in ENCODINGS:
            raise LookupError(f"{encoding!r} is no encoding; there are {', '.join(ENCODINGS)}")
        view = self._view()
        found = [(file.name, file.der) for file in view.files if file.unit == unit]
        if unit in view.identities:
            found.append((f"{unit}.pem", view.identities[unit]))
        for file_name, der in found:
            if name in (file_name, file_name.removesuffix(".pem"), fingerprint_of(der)):
                return der if encoding == "der" else pem(der).encode()
        raise LookupError(f"{self._name} has no {name!r} in {unit}")

    async def restart(self, service: str) -> Reply:
        """Restart a service."""
        return await self._order(service, "restart")

    async def start_service(self, name: str) -> Reply:
        """Start a service."""
        return await self._order(name, "start")

    async def enable_service(self, name: str) -> Reply:
        """Activate a feature service, or have one start at boot again."""
        return await self._order(name, "enable")

    async def stop_service(self, name: str, at_boot: bool = True) -> Reply:  # noqa: FBT001, FBT002 (design 7.3 spells it so)
        """Stop a service.

        Args:
            name: the service.
            at_boot: whether it is started again at the node's next start.
        """
        reply = await self._order(name, "stop")
        if at_boot or reply.outcome != "done":
            return reply
        return await self._order(name, "disable")

    async def _order(self, service: str, action: Action) -> Reply:
        operation = OrderService(self._telling.operation_id(), self._name, service, action)
        what = f"{action} {service} on {self._name}"
        return Reply(self._telling, what, await self._telling.operate(self._control_center(), operation, what))

    def _control_center(self) -> str:
        # Services are ordered about from the publisher's Control Center, over the bus. A subscriber's own page does
        # it when the publisher is no help; and a node that is down is asked itself, because it answers `node_down`.
        publisher = self._port.names[0]
        reachable = self.state != "down" and self._port.view(publisher).state == "up"
        return publisher if reachable else self._name

    def _view(self) -> NodeView:
        return self._port.view(self._name)

    def __repr__(self) -> str:
        return f"<Node {self._name}>"

    def certificates(
        self,
        unit: str | None = None,
        *,
        usage: Usage | None = None,
        cn: str | None = None,
        expires_before: datetime | None = None,
        key: KeyFamily | None = None,
        sort: Order | None = None,
    ) -> list[Entry]:
        """The certificate list of this node's files; all filters given must fit (R-052, R-205).

        Args:
            unit: of this unit only.
            usage: `identity` or `trust`; from release 14.
            cn: what the common name contains, in upper or lower case.
            expires_before: an instant.
            key: `rsa` or `ec`.
            sort: by `unit`, `usage` (from release 14), `cn`, `expires` or `key`.

        Raises:
            Refusal: `release`, it has no usage.
        """
        before = None if expires_before is None else from_datetime(expires_before)
        filters = Filters(unit=unit, usage=usage, cn=cn, expires_before=before, key=key)
        facts = self._port.facts()
        rulebook = RuleBook.load(facts.release, facts.profile)
        return chosen(entries_of(self._view()), filters, sort, rulebook=rulebook)


def _is_shared(distribution: str) -> bool:
    if distribution not in DISTRIBUTIONS:
        raise LookupError(f"{distribution!r} is no distribution; there are {', '.join(DISTRIBUTIONS)}")
    return distribution == "multi-server"
