"""What an operator may do to trust stores, judged before anything changes (R-072..R-083, B.10, X-04, X-05, X-09).

The node judges with its own files and replica; the publisher judges again with the log's rows (`publisher/judging.py`)
and has the last word. A refusal carries a stable reason word and the product's text.
"""

from collections.abc import Iterable, Mapping

import msgspec

from ucmlab.broker.messages import Row, RowKey, Setting
from ucmlab.node.certificates import Certificate, check_trust_certificate, parse
from ucmlab.node.context import Context
from ucmlab.node.errors import Refusal
from ucmlab.node.events import Delete, Upload
from ucmlab.node.filing import Filing
from ucmlab.node.fips import check_fips
from ucmlab.node.replica import Replica
from ucmlab.node.rulebook import Operation, RuleBook, Unit
from ucmlab.node.upload_files import read_upload

DESCRIPTION_LIMIT = 1000
"""Characters. [ASSUMED]: the product's limit is not public."""


class Wanted(msgspec.Struct, frozen=True):
    """A change of rows or settings that was found permissible here."""

    kind: str
    removes: tuple[RowKey, ...]
    adds: tuple[Row, ...]
    warnings: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()


def judge_upload(context: Context, replica: Replica, filing: Filing, request: Upload) -> Wanted:
    """What an upload changes.

    Raises:
        Refusal: the purpose, the node or a certificate does not allow it.
    """
    unit = trust_unit(context, request.purpose)
    check_description(request.description)
    certificates = read_upload(request.data, der_pkcs7=context.config.der_pkcs7)
    for certificate in certificates:
        check_trust_certificate(certificate, context.now.wall)
    check_fips(context.set_parameters, context.config.name, certificates)
    brought = dict.fromkeys((unit.name, *copies(context, unit)), certificates)
    adds, removes = taken_in(context, replica, brought, request.description)
    return Wanted("upload", removes=removes, adds=adds, warnings=present_already(replica, filing, adds))


def taken_in(
    context: Context, replica: Replica, brought: Mapping[str, Iterable[Certificate]], description: str
) -> tuple[tuple[Row, ...], tuple[RowKey, ...]]:
    """What certificates that come to trust units add there, and which rows they take the place of.

    Args:
        context: whose node they come to.
        replica: its rows.
        brought: trust unit to certificates.
        description: stored with each (R-068).

    Raises:
        Refusal: `same_cn_older_start`.
    """
    removes: list[RowKey] = []
    adds: dict[RowKey, Row] = {}
    for target, certificates in brought.items():
        holders = held_by_default(context, context.rulebook.units[target])
        there = OneOfEachName(held_rows(context, replica, target))
        for certificate in certificates:
            row = Row(target, certificate.fingerprint, certificate.der, description, holders)
            gone = there.take(row)
            for key in (*gone, row.key):
                adds.pop(key, None)
            removes += [key for key in gone if key in replica.rows]
            adds[row.key] = row
    return tuple(adds.values()), tuple(removes)


def judge_delete(context: Context, replica: Replica, filing: Filing, request: Delete) -> Wanted:
    """What a delete changes.

    Raises:
        Refusal: it is no trust certificate (R-073, R-074), this node does not have it, or only the publisher may.
    """
    unit = context.rulebook.units.get(request.unit)
    if unit is None:
        raise Refusal("not_found", "there is no such unit")
    if unit.kind == "identity":
        raise Refusal("not_deletable", "it is an identity")
    check_publisher_only(context, unit, "delete")
    row = replica.rows.get((unit.name, request.fingerprint))
    held = row is not None and row.held_by(context.config.name)
    if not held and filing.get(unit.name, request.fingerprint) is None:
        raise Refusal("not_found", f"{context.config.name} does not hold it")
    context.record("delete_warning", request.op_id, unit=unit.name, fingerprint=request.fingerprint)
    return Wanted("delete", removes=((unit.name, request.fingerprint),), adds=())


class OneOfEachName:
    """A unit's rows by common name, while certificates come to it; a file may hold hundreds, and the unit as many."""

    def __init__(self, rows: Iterable[Row]) -> None:
        """Hold those that are there before."""
        self._named: dict[str, dict[RowKey, Row]] = {}
        for row in rows:
            self._named.setdefault(parse(row.der).common_name, {})[row.key] = row

    def take(self, row: Row) -> list[RowKey]:
        """Put a row in; those that it takes the place of are gone then.

        Raises:
            Refusal: `same_cn_older_start`; nothing has changed.
        """
        new = parse(row.der)
        namesakes = self._named.setdefault(new.common_name, {})
        replaced = same_name_rule(namesakes.values(), new)
        for key in replaced:
            del namesakes[key]
        namesakes[row.key] = row
        return replaced


def same_name_rule(rows: Iterable[Row], new: Certificate) -> list[RowKey]:
    """The rows that `new` takes the place of: one certificate per common name and unit, the newer start wins (B.10).

    Raises:
        Refusal: `same_cn_older_start`, there is one of that name that starts later, or at the same moment.
    """
    replaced: list[RowKey] = []
    if not new.common_name:
        return replaced
    for row in rows:
        if row.fingerprint == new.fingerprint:
            continue
        old = parse(row.der)
        if old.common_name != new.common_name:
            continue
        if old.not_before >= new.not_before:
            raise Refusal("same_cn_older_start", f"{new.common_name} is there with a later start")
        replaced.append(row.key)
    return replaced


def trust_unit(context: Context, purpose: str) -> Unit:
    """The trust unit that an upload's purpose names, on this node.

    Raises:
        Refusal: there is no such unit here, or only the publisher may.
    """
    unit = context.rulebook.units.get(purpose)
    if unit is None:
        raise Refusal("wrong_purpose", "there is no such purpose")
    check_publisher_only(context, unit, "upload")
    if context.config.role not in unit.roles:
        raise Refusal("wrong_purpose", f"{context.config.name} has no such unit")
    return unit


def check_publisher_only(context: Context, unit: Unit, operation: Operation) -> None:
    """Refuse what only the first node may do (R-030, R-072, R-082)."""
    if operation in unit.publisher_only and not context.config.is_publisher:
        raise Refusal("publisher_only", f"{context.config.publisher} is the publisher")


def copies(context: Context, unit: Unit) -> tuple[str, ...]:
    """Units that an upload on the publisher goes to as well (R-019); elsewhere CAPF-trust stays alone (C-10)."""
    return unit.copied_to if context.config.is_publisher else ()


def check_description(text: str) -> None:
    """Refuse what no page would show: each row of the upload bears it (R-068).

    Raises:
        Refusal: `too_large`.
    """
    if len(text) > DESCRIPTION_LIMIT:
        raise Refusal("too_large", f"a description of {len(text)} characters, at most {DESCRIPTION_LIMIT} are accepted")


def held_by_default(context: Context, unit: Unit) -> tuple[str, ...] | None:
    """Who holds what is put into a unit on this node: all that have it where it is listed, else this node."""
    return None if unit.replicated else (context.config.name,)


def held_rows(context: Context, replica: Replica, unit: str) -> list[Row]:
    """The unit's rows that this node holds."""
    return [row for row in replica.of_unit(unit).values() if row.held_by(context.config.name)]


def present_already(replica: Replica, filing: Filing, adds: Iterable[Row]) -> tuple[str, ...]:
    """Say which certificates are there already; a second upload changes nothing (X-05, X-17)."""
    return tuple(
        f"{row.unit} already holds {row.fingerprint}"
        for row in adds
        if row.key in replica.rows and filing.get(*row.key) is not None
    )


def product_text(rulebook: RuleBook, reason: str, unit: str, detail: str = "") -> str:
    """What the product says when it refuses something about a unit."""
    known = rulebook.units.get(unit)
    folder = known.folder if known is not None else ""
    release = rulebook.release.name
    return rulebook.refusal_text(reason, unit=unit, purpose=unit, folder=folder, detail=detail, release=release)
