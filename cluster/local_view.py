"""What can be seen of one node of real processes: its disk, read now, and its core, as it tells."""

from ucmlab.cluster.homeview import HomeView, read_home
from ucmlab.cluster.members import LocalNode
from ucmlab.cluster.port import NodeLife, NodeView, ServiceView, Standing
from ucmlab.cluster.state import db_digest
from ucmlab.node.config import NodeConfig
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.status import NodeStatus


def view_of(node: LocalNode, *, lab: int) -> NodeView:
    """Look at a node; `lab` is the instant, for services of which nothing else is known."""
    config = node.config
    rulebook = RuleBook.load(config.release, config.profile)
    status = node.read_status()
    disk = read_home(node.home, rulebook)
    services = _running(status) if status is not None else _stopped(config, rulebook, disk, lab)
    return NodeView(
        name=node.name,
        role=config.role,
        fqdn=config.fqdn,
        state=life_of(node),
        pid=node.pid,
        home=str(node.home),
        addresses={},
        clock_offset=node.clock_offset,
        epoch=disk.epoch,
        seq=disk.seq,
        digest=db_digest(disk.rows),
        rows=disk.rows,
        files=disk.files,
        paths=disk.paths,
        identities=disk.identities,
        csrs=disk.csrs,
        services=services,
        authz=disk.authz,
        open_operations=status.open_operations if status is not None else 0,
        replication_broken=node.replication_broken,
        files_agree=status.files_agree if status is not None else False,
        change_notification=status.change_notification if status is not None else False,
    )


def standing_of(node: LocalNode) -> Standing:
    """How its core says that it stands; without a core it is down, and stands nowhere."""
    status = node.read_status()
    return Standing(
        name=node.name,
        role=node.config.role,
        state=life_of(node),
        epoch=status.epoch if status is not None else 0,
        seq=status.seq if status is not None else 0,
        digest=status.digest if status is not None else "",
        services=_running(status) if status is not None else {},
        open_operations=status.open_operations if status is not None else 0,
        replication_broken=node.replication_broken,
        files_agree=status is not None and status.files_agree,
        change_notification=status is not None and status.change_notification,
    )


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


def _running(status: NodeStatus) -> dict[str, ServiceView]:
    return {
        name: ServiceView(each.state, each.kind, each.enabled, each.since, each.loaded, each.pending)
        for name, each in status.services.items()
    }


def _stopped(config: NodeConfig, rulebook: RuleBook, disk: HomeView, lab: int) -> dict[str, ServiceView]:
    # Nobody is there to tell: what would start at boot is on the disk, the rest follows from the process being gone.
    activated = rulebook.activated(config.name, {member.name: member.role for member in config.members})
    return {
        rule.name: ServiceView("stopped", rule.kind, disk.enabled.get(rule.name, rule.name in activated), lab, {}, ())
        for rule in rulebook.services_of(config.role)
    }
