"""The CA certificates that every node has from the product's image (domain.md B.2), as rows of trust stores.

Which there are, and where, is the rule book's; the certificates themselves are the lab's (`NodeConfig.default_cas`).
"""

from ucmlab.broker.messages import Row
from ucmlab.node.certificates import parse
from ucmlab.node.config import NodeConfig
from ucmlab.node.rulebook import RuleBook


def default_rows(rulebook: RuleBook, config: NodeConfig) -> tuple[Row, ...]:
    """The rows of a cluster that was just installed, the same whichever node asks.

    What a later release ships no more is no part of its image. Every node holds them that has the unit. Where Change
    Notification does not move files (CAPF-trust) an import is one node's affair (X-04), but this is none: each image
    has them, so all nodes are named.
    """
    rows = []
    for certificate in map(parse, config.default_cas):
        known = rulebook.default_cas.get(certificate.common_name)
        for name in known.units if known is not None else ():
            unit = rulebook.units[name]
            holders = tuple(member.name for member in config.members if member.role in unit.roles)
            rows.append(Row(name, certificate.fingerprint, certificate.der, "", None if unit.replicated else holders))
    return tuple(rows)
