"""The publisher's judgement of a proposal: every rule again, with the log's own rows (design 4).

Pure: rows, tombstones, the proposal and the publisher's clock in; the change to append, or the refusal, out. What the
proposer believed about other nodes' rows does not count, and holders are decided here.
"""

import msgspec

from ucmlab.broker.messages import Proposal, Row, RowKey
from ucmlab.node import default_cas, identity_rows, parameter_rules, planting, upgrading
from ucmlab.node.certificates import check_trust_certificate, names_content, parse
from ucmlab.node.config import NodeConfig
from ucmlab.node.errors import Refusal
from ucmlab.node.fips import check_fips
from ucmlab.node.instant import Instant
from ucmlab.node.replica import Replica
from ucmlab.node.rulebook import Operation, RuleBook, Unit
from ucmlab.node.trust_rules import OneOfEachName, Wanted
from ucmlab.publisher.identity_judging import Judgement


def judge(  # all of it is read, none of it belongs together
    rulebook: RuleBook, config: NodeConfig, replica: Replica, proposal: Proposal, *, origin: str, now: Instant
) -> Wanted:
    """What to append for a proposal; empty when the log has it already.

    Raises:
        Refusal: a rule does not allow it.
    """
    if proposal.kind == parameter_rules.KIND:
        settings = parameter_rules.judge_again(rulebook, config, replica.settings, proposal.settings, origin=origin)
        return Wanted(proposal.kind, removes=(), adds=(), settings=settings)
    if proposal.kind == default_cas.KIND:
        return judge_image_rows(rulebook, config, replica, proposal, origin=origin, now=now)
    return _judge_rows(rulebook, config, replica, proposal, origin=origin, now=now)


def _judge_rows(
    rulebook: RuleBook, config: NodeConfig, replica: Replica, proposal: Proposal, *, origin: str, now: Instant
) -> Wanted:
    match proposal.kind:
        case "upload" | "resync":
            return judge_adds(rulebook, config, replica, proposal, origin=origin, now=now)
        case "delete":
            return judge_removes(rulebook, config, replica, proposal, origin=origin)
        case "map":
            return judge_mapping(rulebook, config, replica, proposal, origin=origin)
        case planting.KIND:
            return judge_planted(rulebook, config, replica, proposal, origin=origin)
        case "install" | upgrading.KIND:
            return judge_boot(rulebook, config, replica, proposal, origin=origin, now=now)
        case identity_rows.CHANGED | identity_rows.FOUND:
            removes, adds = Judgement(rulebook, config, replica, origin=origin, now=now).of(proposal)
            return Wanted(proposal.kind, removes=removes, adds=adds)
        case _:
            raise Refusal("wrong_purpose", "there is no such proposal")


def judge_adds(
    rulebook: RuleBook, config: NodeConfig, replica: Replica, proposal: Proposal, *, origin: str, now: Instant
) -> Wanted:
    """An upload, or a file that a node found without a row."""
    removes: list[RowKey] = []
    adds: dict[RowKey, Row] = {}
    there: dict[str, OneOfEachName] = {}
    for row in proposal.adds:
        unit = trust_unit_for(rulebook, config, row.unit, origin, "upload")
        certificate = parse(row.der)
        check_fingerprint(row)
        if proposal.kind == "upload":
            _check_certificate(rulebook, config, row, origin=origin, now=now)
            check_fips(replica.settings, origin, (certificate,))
        elif proposal.kind == "resync" and config.replication == "modern" and row.key in replica.tombstones:
            raise Refusal("not_found", "it was deleted")
        known = replica.rows.get(row.key)
        if known is not None and known.held_by(origin):
            continue
        if unit.name not in there:
            there[unit.name] = OneOfEachName(
                held for held in replica.of_unit(unit.name).values() if held.held_by(origin)
            )
        for key in there[unit.name].take(row):
            adds.pop(key, None)
            if key not in replica.rows:
                continue
            dropped = without_holder(rulebook, config, replica.rows[key], origin, import_local=not unit.replicated)
            if dropped is None:
                removes.append(key)
            else:
                adds[key] = dropped
        adds[row.key] = with_holder(unit, row, known, origin)
    return Wanted(proposal.kind, removes=tuple(removes), adds=tuple(adds.values()))


def _check_certificate(rulebook: RuleBook, config: NodeConfig, row: Row, *, origin: str, now: Instant) -> None:
    try:
        check_trust_certificate(parse(row.der), now.wall)
    except Refusal:
        # What a kill left of enabling those of the image is put forward as an upload.
        if origin != config.publisher or row.key not in default_cas.default_keys(rulebook, config):
            raise


def judge_removes(
    rulebook: RuleBook, config: NodeConfig, replica: Replica, proposal: Proposal, *, origin: str
) -> Wanted:
    """A delete: of the row where its unit's deletes reach the cluster, else of this holder."""
    removes: list[RowKey] = []
    adds: list[Row] = []
    for key in proposal.removes:
        row = replica.rows.get(key)
        if row is None:
            raise Refusal("not_found", "no row names it")
        trust_unit_for(rulebook, config, row.unit, origin, "delete")
        left = without_holder(rulebook, config, row, origin)
        if left is None:
            removes.append(key)
        else:
            adds.append(left)
    return Wanted("delete", removes=tuple(removes), adds=tuple(adds))


def judge_image_rows(
    rulebook: RuleBook, config: NodeConfig, replica: Replica, proposal: Proposal, *, origin: str, now: Instant
) -> Wanted:
    """CA certificates of the image that its publisher enables or disables; nothing else goes this way.

    They are asked neither for their dates nor, in FIPS mode, for their signatures: what the product ships is installed
    whatever has become of it. [ASSUMED]
    """
    if origin != config.publisher:
        raise Refusal("publisher_only", f"{config.publisher} is the publisher")
    if not default_cas.default_keys(rulebook, config).issuperset(
        [row.key for row in proposal.adds] or proposal.removes
    ):
        raise Refusal("not_a_default_ca", "")
    if proposal.adds:
        adding = judge_adds(rulebook, config, replica, proposal, origin=origin, now=now)
        return msgspec.structs.replace(adding, kind="upload")
    named = msgspec.structs.replace(proposal, removes=tuple(key for key in proposal.removes if key in replica.rows))
    return judge_removes(rulebook, config, replica, named, origin=origin)


def judge_planted(
    rulebook: RuleBook, config: NodeConfig, replica: Replica, proposal: Proposal, *, origin: str
) -> Wanted:
    """What somebody sets up past all rules, but for those that make a row a row."""
    adds = []
    for row in proposal.adds:
        unit = trust_unit_for(rulebook, config, row.unit, origin, "upload")
        check_fingerprint(row)
        known = replica.rows.get(row.key)
        if known is None or not known.held_by(origin):
            adds.append(with_holder(unit, row, known, origin))
    return Wanted(proposal.kind, removes=(), adds=tuple(adds))


def judge_mapping(
    rulebook: RuleBook, config: NodeConfig, replica: Replica, proposal: Proposal, *, origin: str
) -> Wanted:
    """A node found a row without its file, wrote the file, and wants to be a holder again (before 11.0)."""
    adds = []
    for proposed in proposal.adds:
        row = replica.rows.get(proposed.key)
        if row is None:
            raise Refusal("not_found", "no row names it")
        if not trust_unit_for(rulebook, config, row.unit, origin, "upload").replicated:
            raise Refusal("wrong_purpose", "Change Notification does not move it")
        if not row.held_by(origin):
            adds.append(Row(row.unit, row.fingerprint, row.der, row.description, (*(row.holders or ()), origin)))
    return Wanted("map", removes=(), adds=tuple(adds))


def judge_installation(
    rulebook: RuleBook, config: NodeConfig, replica: Replica, proposal: Proposal, *, origin: str
) -> Wanted:
    """A fresh node brings its identities and their copies; the publisher also the CA certificates of the image (B.2).

    Holders are its own word, identities its own only.
    """
    members = {member.name for member in config.members}
    own = {row.fingerprint for row in proposal.adds if unit_kind(rulebook, row.unit) == "identity"}
    image = default_cas.default_rows(rulebook, config) if origin == config.publisher else ()
    for row in proposal.adds:
        unit = rulebook.units.get(row.unit)
        if unit is None or not members.issuperset(row.holders or ()):
            raise Refusal("wrong_purpose", "not a unit or not the members of this cluster")
        others = row.holders != (origin,) and origin != config.publisher
        if unit.kind == "identity" and (others or origin not in (row.holders or ())):
            raise Refusal("permission", "an identity is for its own node to propose")
        if unit.kind == "trust" and row.fingerprint not in own and row not in image:
            raise Refusal("permission", "an installation brings copies of its identities only")
        check_fingerprint(row)
    adds = tuple(row for row in proposal.adds if row.key not in replica.rows)
    return Wanted("install", removes=(), adds=adds)


def judge_boot(
    rulebook: RuleBook, config: NodeConfig, replica: Replica, proposal: Proposal, *, origin: str, now: Instant
) -> Wanted:
    """What a node brings before its services start for the first time, in its life or in a release (B.19).

    In a new release it brings identities that it did not have, and lets go of trust that has expired: by this node's
    clock, so that one that runs ahead takes nothing away from the others.
    """
    removes: list[RowKey] = []
    adds = list(judge_installation(rulebook, config, replica, proposal, origin=origin).adds)
    leaving = proposal.removes if proposal.kind == upgrading.KIND else ()
    for row in upgrading.expired_rows(replica, leaving, origin=origin, wall=now.wall):
        if unit_kind(rulebook, row.unit) != "trust":
            raise Refusal("wrong_purpose", "it is no trust unit")
        left = without_holder(rulebook, config, row, origin)
        if left is None:
            removes.append(row.key)
        else:
            adds.append(left)
    return Wanted(proposal.kind, removes=tuple(removes), adds=tuple(adds))


def unit_kind(rulebook: RuleBook, name: str) -> str:
    """`identity`, `trust`, or empty for none of ours."""
    unit = rulebook.units.get(name)
    return "" if unit is None else unit.kind


def trust_unit_for(rulebook: RuleBook, config: NodeConfig, name: str, origin: str, operation: Operation) -> Unit:
    """The trust unit, if `origin` has it and may change it."""
    unit = rulebook.units.get(name)
    if unit is None or unit.kind != "trust":
        raise Refusal("wrong_purpose", "it is no trust unit")
    if operation in unit.publisher_only and origin != config.publisher:
        raise Refusal("publisher_only", f"{config.publisher} is the publisher")
    if all(member.role not in unit.roles for member in config.members if member.name == origin):
        raise Refusal("wrong_purpose", f"{origin} has no such unit")
    return unit


def check_fingerprint(row: Row) -> None:
    """A row whose name is not its content is nobody's certificate."""
    if not names_content(row.fingerprint, row.der):
        raise Refusal("format", "the row's fingerprint is not its certificate's")


def with_holder(unit: Unit, row: Row, known: Row | None, origin: str) -> Row:
    """The row as it is to stand: for everyone in a listed unit, else for one more node."""
    if unit.replicated:
        holders = None
    else:
        others = () if known is None or known.holders is None else known.holders
        holders = (*others, origin)
    return Row(row.unit, row.fingerprint, row.der, row.description, holders)


def without_holder(
    rulebook: RuleBook, config: NodeConfig, row: Row, origin: str, *, import_local: bool = False
) -> Row | None:
    """The row after a delete on `origin`; None when nothing of it remains.

    Before 11.0 a delete takes away this node's mapping only, and the row goes with its last holder (B.6.2). So it is
    with what gives way to a newer certificate of its name where imports are local (X-04): no delete, one node's affair.
    """
    unit = rulebook.units[row.unit]
    if unit.delete_reach(config.replication) == "cluster" and not import_local:
        return None
    everyone = tuple(member.name for member in config.members if member.role in unit.roles)
    left = tuple(name for name in (everyone if row.holders is None else row.holders) if name != origin)
    return Row(row.unit, row.fingerprint, row.der, row.description, left) if left else None
