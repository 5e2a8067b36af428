"""What an operator may ask a self-signed certificate for, judged before anything is made (A.9, B.4).

"Regenerate" takes the place of what is there with a new key of the same length and everything else as at the
installation (R-090); "Generate Self-signed" leaves length, hash, validity and name to the operator (R-092).
"""

from typing import Any

from ucmlab.node.certificates import parse
from ucmlab.node.commands import IdentityForm
from ucmlab.node.context import Context
from ucmlab.node.csr_reading import multi_server_name
from ucmlab.node.csr_rules import judge_digest, judge_key, names_of_all
from ucmlab.node.errors import Refusal
from ucmlab.node.events import GenerateSelfSigned, Regenerate
from ucmlab.node.rulebook import Unit
from ucmlab.node.trust_rules import check_publisher_only

LONGEST_WITH_SERIAL = 64 - 1 - 16
"""Characters of a common name that a serial number of 64 bits may follow (X.520 allows 64)."""


def judge_self_signed(
    context: Context, identities: dict[str, bytes], request: Regenerate | GenerateSelfSigned
) -> IdentityForm:
    """What is to be made. That the present one has expired, or was signed by a CA, does not matter (R-086, R-089).

    Raises:
        Refusal: the unit, the node, the key, the hash or the validity does not allow it.
    """
    unit = _unit(context, request.unit)
    if unit.name not in identities:
        raise Refusal("not_found", "the installation has not made it yet")
    profile = context.rulebook.identities[unit.name]
    if isinstance(request, Regenerate):
        key = judge_key(context, unit, parse(identities[unit.name]).key)
        return IdentityForm(key=key.name, digest=judge_digest(key, ""), years=profile.years)
    key = judge_key(context, unit, request.key)
    years = request.years or profile.years
    if years not in context.rulebook.validity_years:
        offered = ", ".join(map(str, context.rulebook.validity_years))
        raise Refusal("validity", f"{years} years; there are {offered}")
    if request.cn_serial and not context.rulebook.offers_cn_serial:
        raise Refusal("release", "the serial number in the common name")
    if request.cn_serial and len(parse(identities[unit.name]).common_name) > LONGEST_WITH_SERIAL:
        raise Refusal("alternative_name", "with the serial number the common name has more than 64 characters")
    return IdentityForm(
        key=key.name,
        digest=judge_digest(key, request.digest),
        years=years,
        cn_serial=request.cn_serial,
        ou=context.rulebook.ou_in_request(asked=request.include_ou),
        **_of_several(context, unit, request),
    )


def _of_several(context: Context, unit: Unit, request: GenerateSelfSigned) -> dict[str, Any]:
    """Name and alternative names of a certificate for several nodes (A.19, B.4)."""
    if not request.multi_server:
        return {}
    context.rulebook.require("multi_server_self_signed")
    host, _, domain = context.config.fqdn.partition(".")
    names = names_of_all(context, unit)
    usual = context.rulebook.identities[unit.name].cn.format(fqdn=context.config.fqdn, host=host, domain=domain)
    return {"common_name": multi_server_name(usual), "names": names}


def _unit(context: Context, name: str) -> Unit:
    unit = context.rulebook.units.get(name)
    if unit is None:
        raise Refusal("wrong_purpose", "there is no such identity")
    if unit.kind != "identity":
        raise Refusal("not_regenerable", "it is a trust store")
    check_publisher_only(context, unit, "regenerate")
    if context.config.role not in unit.roles:
        raise Refusal("wrong_purpose", f"{context.config.name} has no such unit")
    return unit
