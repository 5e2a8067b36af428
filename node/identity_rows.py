"""The rows that an identity certificate has: its own, and those of its copies in trust stores (domain.md B.1, B.2)."""

from ucmlab.broker.messages import Row
from ucmlab.node.certificates import Certificate, parse
from ucmlab.node.context import Context
from ucmlab.node.rulebook import IdentityProfile

CHANGED, FOUND = "identity", "found-identity"
"""Kinds of proposal: an operator changed an identity and waits; one was found on disk that no row names."""
IDENTITY_KINDS = (CHANGED, FOUND)


def has_copies(certificate: Certificate, profile: IdentityProfile) -> bool:
    """Whether others must hold an identity to trust it: what a CA signed they trust by its chain.

    So a leaf is copied nowhere, and the copies of the self-signed one before it stay until somebody deletes them (B.7,
    X-11, C-03). CAPF's identity signs others itself, so it is needed whoever signed it. [INFERRED]
    """
    return certificate.self_signed or profile.ca


def identity_rows(context: Context, unit: str, der: bytes) -> tuple[Row, ...]:
    """The row of an identity made or put in place on this node, and those of its copies (B.1, B.2)."""
    me, profile = context.config, context.rulebook.identities[unit]
    certificate = parse(der)
    fingerprint = certificate.fingerprint
    cucm = tuple(member.name for member in me.members if member.role != "imp")
    made = [Row(unit, fingerprint, der, "", cucm if profile.distributed_to else (me.name,))]
    for copy in profile.copies_made_on(me.role) if has_copies(certificate, profile) else ():
        holders = {"all": None, "cucm": cucm, "self": (me.name,)}[copy.holders]
        made.append(Row(copy.unit, fingerprint, der, "", holders))
    return tuple(made)
