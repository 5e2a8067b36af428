"""The CA certificates that every node has from the product's image (domain.md B.2), as rows of trust stores.

An administrator may disable them, and enable them again (B.9). Which there are, and where, is the rule book's; the
certificates themselves are the lab's (`NodeConfig.default_cas`).
"""

from collections.abc import Iterator

from ucmlab.broker.messages import Row, RowKey
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.config import NodeConfig
from ucmlab.node.context import Context
from ucmlab.node.errors import Refusal
from ucmlab.node.events import SetDefaultCas
from ucmlab.node.filing import Filing
from ucmlab.node.replica import Replica
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.trust_rules import Wanted, taken_in

KIND = "default_cas"
"""Of the proposal. The log's entry is one of an upload or a delete, as whoever follows it does the same."""


def default_rows(rulebook: RuleBook, config: NodeConfig) -> tuple[Row, ...]:
    """The rows of a cluster that was just installed, the same whichever node asks.

    What a later release ships no more is no part of its image. Every node holds them that has the unit. Where Change
    Notification does not move files (CAPF-trust) an import is one node's affair (X-04), but this is none: each image
    has them, so all nodes are named.
    """
    rows = []
    for certificate, units in _image(rulebook, config):
        for name in units if rulebook.default_cas[certificate.common_name].installed else ():
            unit = rulebook.units[name]
            holders = tuple(member.name for member in config.members if member.role in unit.roles)
            rows.append(Row(name, certificate.fingerprint, certificate.der, "", None if unit.replicated else holders))
    return tuple(rows)


def default_keys(rulebook: RuleBook, config: NodeConfig) -> frozenset[RowKey]:
    """The names of the rows of all of them, whether a cluster has them from its installation or not."""
    return frozenset(
        (unit, certificate.fingerprint) for certificate, units in _image(rulebook, config) for unit in units
    )


def judge_default_cas(context: Context, replica: Replica, filing: Filing, request: SetDefaultCas) -> Wanted:
    """What disabling or enabling them changes.

    Disabled, a certificate is deleted from all its units on all nodes (X-04); before 11.0, as any delete, on this node
    alone [ASSUMED]. Enabled, it comes to all nodes where Change Notification moves files, and in CAPF-trust to the
    publisher alone (B.9). That it was disabled is nowhere remembered: a node that is installed later has it from its
    image. [INFERRED] as on the product a restore on a fresh installation brings it back.

    Raises:
        Refusal: only the publisher may; there is no such one; a newer one of its name is there (B.10).
    """
    if not context.config.is_publisher:
        raise Refusal("publisher_only", f"{context.config.publisher} is the publisher")
    wanted = [each for each in _image(context.rulebook, context.config) if request.name in ("", each[0].common_name)]
    if request.name and not wanted:
        raise Refusal("not_a_default_ca", "")
    if request.enabled:
        units = dict.fromkeys(unit for _, names in wanted for unit in names)
        brought = {unit: [certificate for certificate, names in wanted if unit in names] for unit in units}
        adds, removes = taken_in(context, replica, brought, "")
        return Wanted(KIND, removes=removes, adds=adds)
    keys = [(unit, certificate.fingerprint) for certificate, names in wanted for unit in names]
    there = tuple(key for key in keys if key in replica.rows or filing.get(*key) is not None)
    return Wanted(KIND, removes=there, adds=())


def _image(rulebook: RuleBook, config: NodeConfig) -> Iterator[tuple[Certificate, tuple[str, ...]]]:
    """The certificates of the release's image, and the units that each lies in."""
    for certificate in map(parse, config.default_cas):
        known = rulebook.default_cas.get(certificate.common_name)
        if known is not None:
            yield certificate, known.units
