"""What can be seen of one node of real processes: its disk, read now, and its core, as it tells."""

from collections.abc import Mapping
from typing import TypedDict

from ucmlab.cluster.homeoutline import read_outline
from ucmlab.cluster.homeview import read_home
from ucmlab.cluster.members import LocalNode
from ucmlab.cluster.port import NodeLife, NodeView, Outline, ServiceView, Standing
from ucmlab.cluster.standing import services, services_at_rest, standing
from ucmlab.cluster.state import db_digest
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.settings import settings_digest, settings_of
from ucmlab.node.status import NodeStatus


def view_of(node: LocalNode, *, lab: int) -> NodeView:
    """Look at a node; `lab` is the instant, for services of which nothing else is known."""
    config, status = node.config, node.read_status()
    disk = read_home(node.home, RuleBook.load(config.release, config.profile))
    return NodeView(
        **_told(node, status, disk.enabled, lab),
        epoch=disk.epoch,
        seq=disk.seq,
        digest=db_digest(disk.rows),
        settings_digest=settings_digest(settings_of(disk.settings)),
        settings=disk.settings,
        rows=disk.rows,
        files=disk.files,
        paths=disk.paths,
        identities=disk.identities,
        csrs=disk.csrs,
        authz=disk.authz,
        links=status.links if status is not None else (),
    )


def outline_of(node: LocalNode, *, lab: int) -> Outline:
    """The same without its certificates: of the disk only where its replica is, and what starts at boot."""
    config, status = node.config, node.read_status()
    disk = read_outline(node.home, RuleBook.load(config.release, config.profile))
    return Outline(
        **_told(node, status, disk.enabled, lab),
        epoch=disk.epoch,
        seq=disk.seq,
        digest=disk.digest,
        settings_digest=disk.settings_digest,
    )


class _Told(TypedDict):
    """What is known of a node without its replica."""

    name: str
    role: str
    release: str
    fqdn: str
    state: NodeLife
    pid: int | None
    home: str
    addresses: dict[str, str]
    clock_offset: int
    services: dict[str, ServiceView]
    open_operations: int
    replication_broken: bool
    files_agree: bool
    change_notification: bool


def _told(node: LocalNode, status: NodeStatus | None, enabled: Mapping[str, bool], lab: int) -> _Told:
    config = node.config
    return _Told(
        name=node.name,
        role=config.role,
        release=config.release,
        fqdn=config.fqdn,
        state=life_of(node),
        pid=node.pid,
        home=str(node.home),
        addresses=dict(node.addresses),
        clock_offset=node.clock_offset,
        services=services(status) if status is not None else services_at_rest(config, enabled, lab),
        open_operations=status.open_operations if status is not None else 0,
        replication_broken=node.replication_broken,
        files_agree=status.files_agree if status is not None else False,
        change_notification=status.change_notification if status is not None else False,
    )


def standing_of(node: LocalNode) -> Standing:
    """How its core says that it stands; no disk is read."""
    return standing(node.config, life_of(node), node.read_status(), replication_broken=node.replication_broken)


def life_of(node: LocalNode) -> NodeLife:
    """Whether it is there, as `dump` says it."""
    if not node.alive:
        return "down"
    if node.paused:
        return "paused"
    if not node.on_bus:
        return "isolated"
    return "up" if node.pulse is not None else "starting"


def loaded_of(node: LocalNode) -> dict[str, dict[str, str]] | None:
    """What its services have loaded: service to identity unit to fingerprint; None while it is down."""
    status = node.read_status()
    return None if status is None else {name: each.loaded for name, each in status.services.items()}
