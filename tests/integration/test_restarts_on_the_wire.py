"""Every row of every restart table in real labs: what a service shows changes with its restart, and only then (A.10).

One lab for each release and profile. In it every service runs that there is, SIP OAuth is on and EC ciphers are
offered, so every row holds that can hold and every listener is open. Then each unit is changed, and the services that
are to be restarted for it are restarted one by one. Around each of these acts everything is looked at that may show the
unit: what listeners present, by TLS handshakes; whom they let in, by a client with a certificate of a new CA; the rest
in the state. What differs then must be what `tests.restart_evidence` says of that service, and of no other.
"""

import socket
import ssl
from collections.abc import Mapping
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from tests.contract.handshaking import key_pem
from tests.integration.real_lab import make_home, opened
from tests.restart_evidence import evidence
from tests.unit.node.authorities import issue
from tests.unit.node.rule_tables import PROFILES, RELEASES
from ucmlab.cluster.local import LocalLab
from ucmlab.cluster.port import Operation, ServiceView
from ucmlab.cluster.topology import role_of
from ucmlab.node.certificates import pem
from ucmlab.node.events import OrderService, Regenerate, RegenerateAuthz, SetParameter, Upload
from ucmlab.node.listeners import Listener
from ucmlab.node.loading import CIPHERS, EC_CIPHERS
from ucmlab.node.restarts import AUTHZ, Verb
from ucmlab.node.rule_rows import Profile

pytestmark = pytest.mark.slow
NODES = ("pub", "sub1", "imp1")
CHANGED = ("pub", "imp1")
"""Where units are changed: the first has every service of Unified CM, the second those of IM and Presence."""
HELD = (None, "sip_oauth", "tftp")
"""Conditions of rows that hold here."""
SHORTEST = ("10.5", "seed")
"""The table that `make test` goes through; the others are the library's."""
TIMEOUT_S = 10
Shown = str | bool
Key = TypeVar("Key")
Value = TypeVar("Value")


class Client:
    """Somebody with a certificate of a CA of his own, who believes everybody and looks at what he is shown."""

    def __init__(self, folder: Path, number: int) -> None:
        self.root = issue(f"Peers CA {number}", 2 * number)
        leaf = issue(f"peer{number}.example", 2 * number + 1, self.root, ca=False)
        chain = folder / f"peer{number}.pem"
        chain.write_text(pem(leaf.der) + key_pem(leaf.key).decode())
        self._of_family = {ec: _context(chain, "aECDSA" if ec else "aRSA") for ec in (False, True)}

    def shown(self, address: str, *, ec: bool) -> str:
        """The fingerprint of what is presented to who can verify one kind of key alone.

        Raises:
            ssl.SSLError: he is not let in, or nothing of that kind is presented.
        """
        host, _, port = address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), TIMEOUT_S) as raw,
            self._of_family[ec].wrap_socket(raw) as secure,
        ):
            return sha256(secure.getpeercert(binary_form=True) or b"").hexdigest()

    def let_in(self, address: str) -> bool:
        """Whether he is let in."""
        try:
            return bool(self.shown(address, ec=False))
        except ssl.SSLError as refused:
            if refused.reason != "TLSV1_ALERT_UNKNOWN_CA":
                raise
            return False


def _context(chain: Path, ciphers: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # in which the cipher suite says the kind of key
    context.set_ciphers(ciphers)
    context.load_cert_chain(chain)
    return context


class Sight(msgspec.Struct, frozen=True):
    """What shows one unit on one node at one moment."""

    ports: dict[int, Shown]
    """Listener to the fingerprint that it presents, or to whether it lets a client in."""
    loaded: dict[str, str]
    """Service to the fingerprint that it has loaded."""
    pending: frozenset[str]
    """Services that are to be restarted."""


def differing(before: Mapping[Key, Value], after: Mapping[Key, Value]) -> dict[Key, tuple[Value, Value]]:
    """What is not there as it was: as it was, and as it is."""
    assert before.keys() == after.keys()
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


class Tables:
    """The restart tables of one lab, gone through unit by unit."""

    def __init__(self, lab: LocalLab, folder: Path) -> None:
        self._lab = lab
        self._folder = folder
        self._book = lab.home.topology.rulebook
        self._evidence = evidence(self._book.release.name)
        self._client = Client(folder, 0)
        self._number = 0
        self.seen: set[tuple[str, str]] = set()
        """The pairs of a unit and a service whose restart was seen."""

    async def open_everything(self) -> None:
        """Have every service run, and every listener be open and trust the client."""
        await self._do("pub", SetParameter("", "cluster", "SIP OAuth Mode", "true"))
        for node in CHANGED:
            await self._do(node, SetParameter("", node, CIPHERS, EC_CIPHERS))
        for unit in ("tomcat-trust", "CallManager-trust"):
            await self._do("pub", Upload("", unit, self._client.root.der))
        for node in NODES:
            await self._do(node, Upload("", "ipsec-trust", self._client.root.der))
            for name, service in self._services(node).items():
                if service.state == "not activated":
                    await self._do("pub", OrderService("", node, name, "enable"))
        for node in NODES:
            await self._lab.stop_node(node)
            await self._lab.start_node(node)
        for node in NODES:
            assert {(each.state, each.pending) for each in self._services(node).values()} == {("started", ())}

    async def change_everything(self) -> None:
        """Change each unit of the tables where it is, and restart who is to be restarted."""
        units = dict.fromkeys(unit for row in self._book.after_change.restart for unit in row.units)
        for unit in units:
            for node in CHANGED:
                if self._has(node, unit):
                    await self._change(node, unit)

    async def _change(self, node: str, unit: str) -> None:
        verb, client, operation = self._new_certificate(unit)
        for each in NODES:  # copies of identities that were made anew reach trust units
            for service in self._pending(each, unit):
                await self._do("pub", OrderService("", each, service, "restart"))
        old = {each: (self._held(each, unit), self._sight(each, unit, client)) for each in NODES}
        await self._do(node, operation)
        for each, (held, sight) in old.items():
            changed = unit == AUTHZ or self._held(each, unit) != held  # it may reach others as well
            await self._restart(each, unit, verb, client, sight if changed else None)

    def _new_certificate(self, unit: str) -> tuple[Verb, Client, Operation]:
        """How a unit is changed, and whom its listeners are called by."""
        if unit.endswith("-trust"):
            stranger = Client(self._folder, self._number)
            return "upload", stranger, Upload("", unit, stranger.root.der)
        return "regenerate", self._client, RegenerateAuthz("") if unit == AUTHZ else Regenerate("", unit)

    async def _restart(self, node: str, unit: str, verb: Verb, client: Client, old: Sight | None) -> None:
        """Restart who is to be restarted, one by one; `old`: as it was before the unit was changed on this node."""
        waiting = self._waiting(node, unit, verb, changed=old is not None)
        now, new = self._sight(node, unit, client), self._new(node, unit)
        stands = {name for name, row in self._book.services.items() if waiting.intersection(row.needs)}
        assert now.pending == waiting | (stands & now.loaded.keys()), (node, unit)
        if old is not None:
            self._others_took_it_up(old, now, new)
        for service in sorted(waiting, key=lambda name: (name not in stands, name)):
            before = now
            await self._do("pub", OrderService("", node, service, "restart"))
            now, shows = self._sight(node, unit, client), self._evidence[unit, service]
            with_it = {name for name, row in self._book.services.items() if service in (name, *row.needs)}
            taken_up = {name for name, was in before.loaded.items() if name in with_it and was != new}
            ports, loads = (shows.ports, shows.kind in ("wire", "loaded")) if old is not None else ((), False)
            assert differing(before.ports, now.ports) == {port: (before.ports[port], new) for port in ports}
            assert differing(before.loaded, now.loaded) == {name: (before.loaded[name], new) for name in taken_up}
            assert (service in taken_up) == loads, (node, unit, service)
            assert now.pending == before.pending - with_it, (node, unit, service)
            if old is not None:
                self.seen.add((unit, service))
        assert not now.pending, (node, unit)

    def _others_took_it_up(self, old: Sight, now: Sight, new: Shown) -> None:
        """Who uses a unit, and is not to be restarted for it, shows the new one already (X-07)."""
        services = {row.port: row.service for row in self._book.listeners.values()}
        ports = {port for port in now.ports if services[port] not in now.pending}
        assert differing(old.ports, now.ports) == {port: (old.ports[port], new) for port in ports}
        loaded = now.loaded.keys() - now.pending
        assert differing(old.loaded, now.loaded) == {name: (old.loaded[name], new) for name in loaded}

    # -- what there is, and what is seen

    def _has(self, node: str, unit: str) -> bool:
        if unit == AUTHZ:
            return node == "pub"
        return role_of(node) in self._book.units[unit].roles

    def _waiting(self, node: str, unit: str, verb: Verb, *, changed: bool) -> set[str]:
        """Who is to be restarted on a node, by the tables."""
        there = {row.name for row in self._book.services_of(role_of(node))}
        return {
            service
            for row in self._book.restarts(unit, verb)
            if row.when in HELD and (changed or row.nodes == "all" or (row.nodes == "publisher" and node == "pub"))
            for service in row.services
            if service in there
        }

    def _pending(self, node: str, unit: str) -> frozenset[str]:
        return frozenset(name for name, each in self._services(node).items() if unit in each.pending)

    def _services(self, node: str) -> dict[str, ServiceView]:
        return self._lab.outline(node).services

    def _listeners(self, addresses: Mapping[str, str], unit: str) -> dict[str, Listener]:
        """Those that show a unit, or let in by it, by their addresses."""
        rows = self._book.listeners
        showing = {name: row for name, row in rows.items() if unit in (*row.presents, *row.trusts)}
        return {addresses[name]: row for name, row in showing.items() if name in addresses}

    def _held(self, node: str, unit: str) -> set[bytes]:
        """What lies there now: the identity, or the files of a trust unit."""
        view = self._lab.view(node)
        found = [each.der for each in view.files if each.unit == unit]
        return {*found, view.identities.get(unit, b"")}

    def _new(self, node: str, unit: str) -> Shown:
        """What is shown by who goes by what lies there now."""
        der = self._lab.view(node).identities.get(unit)
        return True if der is None else sha256(der).hexdigest()

    def _sight(self, node: str, unit: str, client: Client) -> Sight:
        outline, ec = self._lab.outline(node), unit in self._book.ec_identities
        ports: dict[int, Shown] = {
            row.port: client.shown(address, ec=ec) if unit in row.presents else client.let_in(address)
            for address, row in self._listeners(outline.addresses, unit).items()
        }
        services = outline.services.items()
        return Sight(
            ports=ports,
            loaded={name: each.loaded[unit] for name, each in services if unit in each.loaded},
            pending=frozenset(name for name, each in services if unit in each.pending),
        )

    async def _do(self, node: str, operation: Operation) -> None:
        self._number += 1
        reply = await self._lab.operate(node, msgspec.structs.replace(operation, op_id=f"op-{self._number}"))
        assert reply.outcome == "done", reply


@pytest.mark.rule("R-071", "R-099", "R-100", "R-102", "R-104", "R-106", "R-107", "R-108", "R-110", "R-118")
@pytest.mark.rule("X-07", "X-14", "X-16", "X-19", "B.14")
@pytest.mark.parametrize(
    ("release", "profile"),
    [
        pytest.param(release, profile, marks=() if (release, profile) == SHORTEST else pytest.mark.library)
        for release, profile in product(RELEASES, PROFILES)
    ],
)
async def test_every_row_is_seen_to_take_effect_with_its_restart(
    tmp_path: Path, release: str, profile: Profile
) -> None:
    home = make_home(tmp_path, ",".join(NODES), release=release, profile=profile, replication="auto")
    async with opened(home) as lab:
        tables = Tables(lab, tmp_path)
        await tables.open_everything()
        await tables.change_everything()
    rows, known = home.topology.rulebook.after_change.restart, evidence(release)
    listed = {(unit, service) for row in rows for unit in row.units for service in row.services}
    assert tables.seen == {pair for pair in listed if known[pair].kind != "never"}
