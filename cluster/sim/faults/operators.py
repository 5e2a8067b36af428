"""Operators who do the wrong thing at the wrong time, or bring what should not be brought."""

from ucmlab.broker.messages import Row
from ucmlab.cluster.faults.bad_certificates import EXPECTED, bad_upload
from ucmlab.cluster.faults.ledger import Injected
from ucmlab.cluster.sim.faults.stage import Stage, Way
from ucmlab.cluster.sim.world import SimNode
from ucmlab.node.certificates import parse, read_upload
from ucmlab.node.events import Delete, Upload


def _row(stage: Stage, injected: Injected) -> Row | None:
    """A certificate of the unit that the publisher has, whichever; None when it has none or is down."""
    core = stage.publisher.core
    rows = list(core.replica.of_unit(injected.text("unit")).values()) if core is not None else []
    return stage.chance.choice(sorted(rows, key=lambda row: row.fingerprint)) if rows else None


def _upload(stage: Stage, node: SimNode, unit: str, data: bytes, *brought: str) -> None:
    op_id = stage.operation_id()
    cause = stage.world.act("operation", op_id, kind="upload", target=node.name, unit=unit)
    for fingerprint in brought or ("",):
        stage.asked(op_id, "upload", node.name, fingerprint)
    stage.world.deliver(node, Upload(op_id, unit, data, cause=cause))


def _delete(stage: Stage, node: SimNode, row: Row) -> None:
    op_id = stage.operation_id()
    cause = stage.world.act("operation", op_id, kind="delete", target=node.name, unit=row.unit)
    stage.asked(op_id, "delete", node.name, "")
    stage.world.deliver(node, Delete(op_id, row.unit, row.fingerprint, cause))


def _delete_while_down(stage: Stage, injected: Injected) -> None:
    node, row = stage.node(injected), _row(stage, injected)
    if row is None or node.life != "up":
        return
    stage.world.stop_node(node.name)
    _delete(stage, stage.publisher, row)
    stage.took_effect(injected)


def _come_back(stage: Stage, injected: Injected) -> None:
    if stage.node(injected).life == "down":
        stage.world.start_node(injected.target)


def _delete_and_reupload(stage: Stage, injected: Injected) -> None:
    node, row = stage.node(injected), _row(stage, injected)
    if row is None or node.life != "up":
        return
    _delete(stage, stage.publisher, row)
    _upload(stage, node, row.unit, row.der, row.fingerprint)
    stage.took_effect(injected)


def _two_operators(stage: Stage, injected: Injected) -> None:
    node, row = stage.node(injected), _row(stage, injected)
    if row is None or node.life != "up":
        return
    other = next(each for each in stage.world.nodes.values() if each is not node and each.life == "up")
    _delete(stage, node, row)
    _delete(stage, other, row)
    _upload(stage, other, row.unit, row.der, row.fingerprint)
    stage.took_effect(injected)


def _delete_in_use(stage: Stage, injected: Injected) -> None:
    node, core = stage.node(injected), stage.publisher.core
    identity = node.disk.identities.get("tomcat")
    if node.life != "up" or core is None or identity is None:
        return
    row = core.replica.rows.get(("tomcat-trust", parse(identity).fingerprint))
    if row is not None:
        _delete(stage, stage.publisher, row)
        stage.took_effect(injected)


def _bad_upload(stage: Stage, injected: Injected) -> None:
    node, kind, unit = stage.node(injected), injected.text("kind"), "tomcat-trust"
    if node.life != "up" or node.core is None:
        return
    held = [row for row in node.core.replica.of_unit(unit).values() if row.held_by(node.name)]
    rival = parse(min(held, key=lambda row: row.fingerprint).der) if held else None
    # Too early or too late is what the node's own clock says, which a fault may have set.
    data = bad_upload(kind, stage.world.wall_start + stage.world.now + node.clock_offset, rival)
    # A name that nobody has taken yet is nobody's rival: then an old start date is no reason to refuse.
    refused = EXPECTED[kind] and not (kind == "same-name-older" and rival is None)
    brought = () if refused else tuple(each.fingerprint for each in read_upload(data))
    _upload(stage, node, unit, data, *brought)
    stage.took_effect(injected)


ROWS = {
    "delete-while-down": Way(_delete_while_down, _come_back),
    "delete-and-reupload": Way(_delete_and_reupload),
    "two-operators": Way(_two_operators),
    "delete-in-use": Way(_delete_in_use),
    "bad-upload": Way(_bad_upload),
}
