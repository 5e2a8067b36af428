"""What an operator may ask a certificate signing request for, judged before anything is made (A.13, B.4, B.8).

A refusal carries a stable reason word and the product's text.
"""

import ipaddress
import re
from collections.abc import Collection

from ucmlab.node.certificates import parse
from ucmlab.node.commands import CsrForm
from ucmlab.node.context import Context
from ucmlab.node.csr_reading import multi_server_name
from ucmlab.node.errors import Refusal
from ucmlab.node.events import DeleteCsr, GenerateCsr
from ucmlab.node.rulebook import KeyKind, Unit
from ucmlab.node.trust_rules import check_publisher_only

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
COMMON_NAME_LIMIT = 64
"""Characters (X.520, ub-common-name)."""
_NAME_LIMIT = 253
"""Characters of a DNS name (RFC 1035)."""


def judge_csr(context: Context, identities: dict[str, bytes], request: GenerateCsr) -> CsrForm:
    """What the request is to say.

    Raises:
        Refusal: the unit, the node, the key, the hash or a name does not allow it.
    """
    unit = _unit(context, request.unit)
    key = judge_key(context, unit, request.key)
    profile = context.rulebook.identities[unit.name]
    own, common_name = _own_names(context, unit), _common_name(context, identities, unit)
    if request.multi_server:
        own, common_name = names_of_all(context, unit, request.san), multi_server_name(common_name)
    chosen = _chosen_name(request.common_name)
    return CsrForm(
        key=key.name,
        digest=judge_digest(key, request.digest),
        common_name=chosen or common_name,
        # [ASSUMED] what the subject is called is among its alternative names, or no client would find it there.
        names=_with_own(own, (chosen, *request.san) if chosen else request.san),
        ou=context.rulebook.ou_in_request(asked=request.include_ou),
        ca=profile.ca,
    )


def judge_deletion(context: Context, waiting: Collection[str], request: DeleteCsr) -> None:
    """See that a request can be deleted; `waiting` are the units that have one.

    Raises:
        Refusal: the unit or the node has none, or none waits.
    """
    if _unit(context, request.unit).name not in waiting:
        raise Refusal("csr_missing", "no request waits")


def participants(context: Context, unit: str) -> tuple[str, ...]:
    """The members that a multi-server request of a unit is for, in the cluster's order: all that have it (B.8)."""
    csrs = context.rulebook.csrs
    having = {role for (role, name), row in csrs.items() if name == unit and row.offers_multi_server}
    return tuple(member.name for member in context.config.members if member.role in having)


def names_of_all(context: Context, unit: Unit, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a multi-server certificate names: all nodes, and the parent domain, which the page fills in (B.4, C-43).

    Raises:
        Refusal: `wrong_purpose`, the unit has none (T-1, T-2); `alternative_name`, `more` has an address (B.8).
    """
    if context.config.name not in participants(context, unit.name):
        raise Refusal("wrong_purpose", f"{unit.name} has no multi-server certificates")
    for name in more:
        if _is_address(name):
            raise Refusal("alternative_name", f"{name}: a multi-server request takes names, no addresses")
    me = context.config
    return (*(me.fqdn_of(name) for name in participants(context, unit.name)), me.domain)


def _unit(context: Context, name: str) -> Unit:
    unit = context.rulebook.units.get(name)
    if unit is None or unit.kind != "identity":
        raise Refusal("wrong_purpose", "there is no such identity")
    check_publisher_only(context, unit, "csr")
    if context.config.role not in unit.roles:
        raise Refusal("wrong_purpose", f"{context.config.name} has no such unit")
    if (context.config.role, name) not in context.rulebook.csrs:
        raise Refusal("wrong_purpose", "it has no certificate requests")  # T-1 has no row for ITLRecovery
    return unit


def judge_key(context: Context, unit: Unit, asked: str) -> KeyKind:
    """The kind of key that was asked for; empty, the usual one. The unit fixes the family, the operator the length.

    Raises:
        Refusal: `key_type` or `key_length`.
    """
    usual = context.rulebook.identities[unit.name].key
    kinds = context.rulebook.keys
    family = kinds[usual].family
    offered = ", ".join(kind.name for kind in kinds.values() if kind.family == family)
    if asked and asked.partition("-")[0] != family:
        raise Refusal("key_type", f"{unit.name} takes {offered}")
    kind = kinds.get(asked or usual)
    if kind is None:
        raise Refusal("key_length", f"{unit.name} takes {offered}")
    return kind


def judge_digest(key: KeyKind, asked: str) -> str:
    """The hash that was asked for; empty, the key's usual one.

    Raises:
        Refusal: `hash_algorithm`, the key is not signed with by that.
    """
    if asked and asked not in key.hashes:
        raise Refusal("hash_algorithm", f"{key.name} signs with {', '.join(key.hashes)}")
    return asked or key.hashes[0]


def _common_name(context: Context, identities: dict[str, bytes], unit: Unit) -> str:
    """As in the self-signed certificate; the digits of CAPF's name stay those of the present one. [ASSUMED]."""
    template = context.rulebook.identities[unit.name].cn
    if "{hex}" in template:
        if unit.name not in identities:
            raise Refusal("not_found", "the installation has not made it yet")
        return parse(identities[unit.name]).common_name
    return template.format(**_fields(context))


def _chosen_name(name: str) -> str:
    """A common name of the operator's (W1.2); empty, none was chosen."""
    if name and (not _is_dns(name) or len(name) > COMMON_NAME_LIMIT):
        raise Refusal("common_name", f"{name!r} is no DNS name of at most {COMMON_NAME_LIMIT} characters")
    return name


def _own_names(context: Context, unit: Unit) -> tuple[str, ...]:
    return tuple(name.format(**_fields(context)) for name in context.rulebook.identities[unit.name].dns)


def _fields(context: Context) -> dict[str, str]:
    host, _, domain = context.config.fqdn.partition(".")
    return {"fqdn": context.config.fqdn, "host": host, "domain": domain}


def _with_own(own: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """The node's names, then further ones: domains and addresses (B.8, single-node requests)."""
    for name in more:
        if name.startswith("*."):
            raise Refusal("wildcard", name)
        if not _is_address(name) and not _is_dns(name):
            raise Refusal("alternative_name", f"{name!r} is neither a DNS name nor an IP address")
    return tuple(dict.fromkeys((*own, *(name.lower() for name in more))))


def _is_address(name: str) -> bool:
    try:
        # A zone (`fe80::1%eth0`) is one machine's own affair, and no part of what a certificate can say.
        return "%" not in str(ipaddress.ip_address(name))
    except ValueError:
        return False


def _is_dns(name: str) -> bool:
    return len(name) <= _NAME_LIMIT and all(_LABEL.fullmatch(label) for label in name.split("."))
