"""Setting up a state as a customer brings it: certificates that no upload would take, identities that expire soon.

No operation of the product. What is planted is put there past all rules, is told so in the journal, and is treated
from then on as if it had always been there: Change Notification, deletes and regeneration find it like anything else.
"""

from ucmlab.broker.messages import Row
from ucmlab.node.certificates import Certificate
from ucmlab.node.commands import IdentityForm
from ucmlab.node.context import Context
from ucmlab.node.csr_rules import judge_digest, judge_key
from ucmlab.node.errors import Refusal
from ucmlab.node.events import Age, Plant
from ucmlab.node.instant import DAY, from_rfc3339
from ucmlab.node.rulebook import Unit
from ucmlab.node.trust_rules import check_publisher_only, held_by_default
from ucmlab.node.upload_files import read_upload

FIRST, LAST = from_rfc3339("1950-01-01T00:00:00Z"), from_rfc3339("9998-12-31T00:00:00Z")
KIND = "plant"
"""Of the proposal."""


def planted_rows(context: Context, request: Plant) -> tuple[Row, ...]:
    """The rows of what is to be planted in a trust unit; only that it is certificates is judged.

    Raises:
        Refusal: there is no such unit here, it is an identity, or the file holds no certificates.
    """
    unit = _unit(context, request.unit)
    if unit.kind == "identity":
        raise Refusal("wrong_purpose", "an identity needs its private key; let one age, or upload what a CA signed")
    holders = held_by_default(context, unit)
    certificates: tuple[Certificate, ...] = read_upload(request.data, der_pkcs7=True)
    rows = {each.fingerprint: Row(unit.name, each.fingerprint, each.der, "", holders) for each in certificates}
    return tuple(rows.values())


def aged_form(context: Context, identities: dict[str, bytes], request: Age) -> IdentityForm:
    """A self-signed certificate like the one from the installation, that ends when it is said.

    Raises:
        Refusal: there is no such identity here.
    """
    unit = _unit(context, request.unit)
    if unit.kind != "identity":
        raise Refusal("not_regenerable", "it is a trust store; plant a certificate there")
    if unit.name not in identities:
        raise Refusal("not_found", "the installation has not made it yet")
    profile = context.rulebook.identities[unit.name]
    check_publisher_only(context, unit, "regenerate")
    key = judge_key(context, unit, "")
    ends_at = context.now.wall + request.expires_in
    if not FIRST + profile.years * 365 * DAY <= ends_at <= LAST:
        raise Refusal("validity", "an X.509 certificate begins in 1950 or later, and ends before the year 9999")
    return IdentityForm(key=key.name, digest=judge_digest(key, ""), years=profile.years, ends_at=ends_at)


def _unit(context: Context, name: str) -> Unit:
    unit = context.rulebook.units.get(name)
    if unit is None or context.config.role not in unit.roles:
        raise Refusal("wrong_purpose", f"{context.config.name} has no such unit")
    return unit
