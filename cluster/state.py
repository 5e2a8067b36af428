"""The state of a lab as outsiders read it (design 7.2): `dump`, the digests, and whether the cluster has converged.

Pure: it looks at views and facts that somebody else has taken, and judges; it reads no disk and asks no node.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from ucmlab.broker.messages import Row
from ucmlab.cluster.port import LabFacts, LabPort, NodeView, Outline, ServiceView, Standing
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.csr_reading import is_multi_server
from ucmlab.node.errors import Refusal
from ucmlab.node.events import FileImage
from ucmlab.node.instant import SECOND, rfc3339
from ucmlab.node.rulebook import RuleBook, Unit
from ucmlab.node.services import CHANGE_NOTIFICATION

SCHEMA = 1
_NO_PHONES: dict[str, object] = {"total": 0, "registered": 0, "locked": 0, "resets": 0, "by_state": {}}


class Convergence(msgspec.Struct, frozen=True):
    """Whether the members that take part agree, and why the others do not take part."""

    converged: bool
    exceptions: dict[str, str]
    """Member to why it was left out: `down`, `paused`, `isolated`, `replication_broken`, `certcn_stopped: files`.

    Or `release`: it runs another one than the publisher.
    """
    waiting_for: tuple[str, ...] = ()
    """Why it has not converged, one phrase a cause; for people who wait."""


def dump(port: LabPort) -> dict[str, object]:
    """Everything that `ucmlab dump --json` prints: every key is always there, what cannot be read is None."""
    views = [port.view(name) for name in port.names]
    return dump_of(port.facts(), views, lab=port.now())


def convergence(port: LabPort) -> Convergence:
    """Whether the lab has converged now: what the cores tell is enough, and no disk is read."""
    return convergence_of(port.facts(), [port.standing(name) for name in port.names])


def dump_of(facts: LabFacts, views: Sequence[NodeView], *, lab: int) -> dict[str, object]:
    """As `dump`, of facts and views that were taken together at lab instant `lab`."""
    lab_start = facts.wall - lab
    nodes = {view.name: _node(view, RuleBook.load(view.release, facts.profile), lab_start) for view in views}
    return {**_lab(facts, views), "nodes": nodes, "phones": _NO_PHONES}


def outline_of(facts: LabFacts, outlines: Sequence[Outline], *, lab: int) -> dict[str, object]:
    """What `dump` prints but for certificates, rows, keys and phones, in the same words."""
    lab_start = facts.wall - lab
    return {**_lab(facts, outlines), "nodes": {each.name: _outline(each, lab_start) for each in outlines}}


def _lab(facts: LabFacts, views: Sequence[Standing]) -> dict[str, object]:
    judged = convergence_of(facts, views)
    return {
        "schema": SCHEMA,
        "lab": facts.name,
        "release": facts.release,
        "profile": facts.profile,
        "replication": facts.replication,
        "mode": facts.mode,
        "now": rfc3339(facts.wall),
        "converged": judged.converged,
        "converged_except": judged.exceptions,
        "broker": {key: facts.broker.get(key) for key in ("kind", "url", "pid")},
        "faults": [dict(fault) for fault in facts.faults],
    }


def convergence_of(facts: LabFacts, views: Sequence[Standing]) -> Convergence:
    """Judge facts and views that were taken together (design 7.2, `converged`).

    Cheap questions come first: it is asked after every event while somebody waits.
    """
    exceptions = {view.name: reason for view in views if (reason := _left_out(facts, view)) is not None}
    taking_part = [view for view in views if exceptions.get(view.name) in (None, _FILES_ONLY)]
    waiting = _waiting_for(facts, taking_part)
    return Convergence(not waiting, exceptions, waiting)


def db_digest(rows: Iterable[Row]) -> str:
    """SHA-256 over the sorted lines `unit TAB fingerprint LF` of rows."""
    return keys_digest((row.unit, row.fingerprint) for row in rows)


def files_digest(files: Iterable[FileImage]) -> str:
    """The same over certificate files."""
    return keys_digest((file.unit, hashlib.sha256(file.der).hexdigest()) for file in files)


def keys_digest(pairs: Iterable[tuple[str, str]]) -> str:
    """The same over units and fingerprints."""
    lines = sorted(f"{unit}\t{fingerprint}\n" for unit, fingerprint in pairs)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


_FILES_ONLY = "certcn_stopped: files"


def _left_out(facts: LabFacts, view: Standing) -> str | None:
    if view.state in ("down", "paused", "isolated"):
        return view.state
    if view.replication_broken:
        return "replication_broken"
    if view.release != facts.release:
        return "release"
    # A node or a service that is starting is waited for, not excused.
    service = view.services.get(CHANGE_NOTIFICATION)
    coming = service is not None and service.state in ("starting", "started")
    return _FILES_ONLY if view.state == "up" and not view.change_notification and not coming else None


def _waiting_for(facts: LabFacts, views: Sequence[Standing]) -> tuple[str, ...]:
    waiting = [f"{view.name} is starting" for view in views if view.state != "up"]
    waiting += [f"{view.name} has {view.open_operations} open operations" for view in views if view.open_operations]
    waiting += [
        f"{view.name} is starting {name}"
        for view in views
        for name, service in view.services.items()
        if service.state in ("starting", "stopping")
    ]
    positions = {(view.epoch, view.seq) for view in views}
    if facts.head is not None:
        waiting += [f"{view.name} is behind the publisher" for view in views if (view.epoch, view.seq) != facts.head]
    elif len(positions) > 1:
        waiting.append("positions differ")
    waiting += [
        f"{view.name} has files that differ from its rows"
        for view in views
        if view.change_notification and not view.files_agree
    ]
    if not waiting and len({view.digest for view in views}) > 1:
        waiting.append("rows differ at one position")
    if not waiting and len({view.settings_digest for view in views}) > 1:
        waiting.append("parameters differ at one position")
    return tuple(waiting)


def _node(view: NodeView, rulebook: RuleBook, lab_start: int) -> dict[str, object]:
    units = [unit for unit in rulebook.units.values() if view.role in unit.roles]
    told = _outline(view, lab_start)
    services = told.pop("services")
    return {
        **told,
        "files_digest": files_digest(view.files),
        "identities": {unit: _identity(der, csr=unit in view.csrs) for unit, der in view.identities.items()},
        "trust": {unit.name: _trust(view, unit.name) for unit in units if unit.kind == "trust"},
        "database": {unit.name: _database(view, unit) for unit in units},
        "services": services,
        "authz": {key: None if view.authz is None else view.authz.get(key) for key in ("signing", "encryption")},
        "flags": {},
    }


def _outline(view: Outline, lab_start: int) -> dict[str, object]:
    return {
        "role": view.role,
        "release": view.release,
        "state": view.state,
        "pid": view.pid,
        "home": view.home,
        "fqdn": view.fqdn,
        "addresses": dict(view.addresses),
        "clock_offset_s": view.clock_offset / SECOND,
        "db": {"epoch": view.epoch, "seq": view.seq, "digest": view.digest},
        "services": {name: _service(view, service, lab_start) for name, service in view.services.items()},
    }


def _identity(der: bytes, *, csr: bool) -> dict[str, object] | None:
    certificate = _parsed(der)
    if certificate is None:
        return None
    origin: Literal["self-signed", "ca-signed"] = "self-signed" if certificate.self_signed else "ca-signed"
    return {
        **_described(certificate),
        "key": certificate.key,
        "not_before": rfc3339(certificate.not_before),
        "not_after": rfc3339(certificate.not_after),
        "origin": origin,
        "csr": csr,
        "multi_server": is_multi_server(certificate.common_name),
    }


def _trust(view: NodeView, unit: str) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = []
    for file in sorted((file for file in view.files if file.unit == unit), key=lambda file: file.name):
        certificate = _parsed(file.der)
        if certificate is not None:
            listed.append(
                {
                    **_described(certificate),
                    "file": view.paths.get((unit, file.name)),
                    "description": file.description,
                    "not_after": rfc3339(certificate.not_after),
                }
            )
    return listed


def _described(certificate: Certificate) -> dict[str, object]:
    return {
        "fingerprint": certificate.fingerprint,
        "serial": certificate.serial,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
    }


def _database(view: NodeView, unit: Unit) -> list[str]:
    return sorted(row.fingerprint for row in view.rows if row.unit == unit.name and row.held_by(view.name))


def _service(view: Outline, service: ServiceView, lab_start: int) -> dict[str, object]:
    down = view.state == "down"
    loaded: Mapping[str, str] = {} if down else service.loaded
    return {
        "state": "stopped" if down else service.state,
        "kind": service.kind,
        "enabled": service.enabled,
        "since": rfc3339(lab_start + service.since),
        "loaded": dict(loaded),
        "pending": [] if down else list(service.pending),
    }


def _parsed(der: bytes) -> Certificate | None:
    try:
        return parse(der)
    except Refusal:
        return None
