"""What a core tells of itself, as the lab's port shows it: the same for real nodes and simulated ones."""

from collections.abc import Mapping

from ucmlab.cluster.port import NodeLife, ServiceView, Standing
from ucmlab.node.config import NodeConfig
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.status import NodeStatus


def standing(config: NodeConfig, state: NodeLife, status: NodeStatus | None, *, replication_broken: bool) -> Standing:
    """How a node stands by its core's word; without a core it is down, and stands nowhere."""
    return Standing(
        name=config.name,
        role=config.role,
        release=config.release,
        state=state,
        epoch=status.epoch if status is not None else 0,
        seq=status.seq if status is not None else 0,
        digest=status.digest if status is not None else "",
        settings_digest=status.settings if status is not None else "",
        services=services(status) if status is not None else {},
        open_operations=status.open_operations if status is not None else 0,
        replication_broken=replication_broken,
        files_agree=status is not None and status.files_agree,
        change_notification=status is not None and status.change_notification,
    )


def services(status: NodeStatus) -> dict[str, ServiceView]:
    """The services of a core that runs."""
    return {
        name: ServiceView(each.state, each.kind, each.enabled, each.since, each.loaded, each.pending)
        for name, each in status.services.items()
    }


def services_at_rest(config: NodeConfig, enabled: Mapping[str, bool], lab: int) -> dict[str, ServiceView]:
    """The services of a node without a core, at a lab instant.

    Nobody is there to tell: what would start at boot is on the disk (`enabled`, where an operator changed it), the rest
    follows from the process being gone.
    """
    rulebook = RuleBook.load(config.release, config.profile)
    activated = rulebook.activated(config.name, {member.name: member.role for member in config.members})
    return {
        rule.name: ServiceView("stopped", rule.kind, enabled.get(rule.name, rule.name in activated), lab, {}, ())
        for rule in rulebook.services_of(config.role)
    }
