"""What clients of the certificate API write, and what they mean by it (wire-interfaces 1.2 to 1.6 = W1.2 to W1.6).

Liberal: scripts that were written against the product send texts where others send lists, units with and without
`-trust`, keys that nobody reads. What is wrong in substance is left to the core, whose refusals are the product's.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping

import msgspec

from ucmlab.cluster.admin import naming
from ucmlab.cluster.admin.naming import ACTIONS, Unknown, trust_names, trust_unit
from ucmlab.cluster.admin.rest_answers import Answer, wrong
from ucmlab.node.config import Role
from ucmlab.node.events import Delete, FileImage, GenerateCsr, GenerateSelfSigned, OrderService
from ucmlab.node.rulebook import RuleBook

Body = Mapping[str, object]
_SHOWN = 60
"""Characters of a wrong value that its answer repeats."""
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(?:(?!-----BEGIN ).)*?-----END \1-----", re.DOTALL)
"""A block ends before the next begins: so a text is gone through once, whatever it holds."""
_MULTI_SERVER = ("multi-server", "multi-server(san)")
"""[ASSUMED] the API's literal is not public (W1.2); these are the page's, in any case."""
_FAMILIES = {"rsa": "rsa", "ec": "ec", "ecdsa": "ec"}


class Wrong(Exception):
    """The request cannot be understood; `answer` says so."""

    def __init__(self, answer: Answer) -> None:
        """With what is to be answered."""
        super().__init__(answer.text)
        self.answer = answer


def read_body(data: bytes) -> Body:
    """The JSON object of a request, whatever it says its type is; some editors put a byte order mark before it.

    Raises:
        Wrong: it is none.
    """
    try:
        return msgspec.json.decode(data.removeprefix(BOM_UTF8), type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Wrong(wrong(400, "format", f"the body is no JSON object: {error}")) from error


def own_unit(rulebook: RuleBook, service: object, *, role: Role, status: int = 400) -> str:
    """The identity of a node of that role that a `service` means, in whatever case; of a list the only one.

    Raises:
        Wrong: `service` names none.
    """
    names = _texts("service", service)
    units = {unit.name.casefold(): unit.name for unit in rulebook.units_of(role) if unit.kind == "identity"}
    if len(names) != 1 or names[0].casefold() not in units:
        there = f"there are {', '.join(units.values())}"
        raise Wrong(wrong(status, "not_found", f"service: {_said(service)}; {there}"))
    return units[names[0].casefold()]


def trust_units(rulebook: RuleBook, service: object, *, role: Role, status: int = 400) -> tuple[str, ...]:
    """The trust stores of a node of that role that a `service` means, with or without `-trust`: one or several.

    Raises:
        Wrong: `service` names none, or one that there is not.
    """
    try:
        found = [trust_unit(rulebook, role, name) for name in _texts("service", service)]
    except Unknown as error:
        raise Wrong(wrong(status, "not_found", f"service: {error.text}")) from error
    if not found:
        there = f"there are {', '.join(trust_names(rulebook, role))}"
        raise Wrong(wrong(status, "not_found", f"service: {_said(service)}; {there}"))
    return tuple(dict.fromkeys(found))


def certificates(body: Body) -> tuple[bytes, ...]:
    """The certificates of a body, each as one PEM text; an element may hold several, pasted together (W1.4).

    Raises:
        Wrong: there are none, or an element is no text.
    """
    found: list[bytes] = []
    for text in _texts("certificates", body.get("certificates")):
        blocks = [match[0] for match in _PEM.finditer(text)]
        # What is no PEM at all is the core's to refuse, in the product's words.
        found += [block.encode() + b"\n" for block in blocks] or [text.encode(errors="replace")]
    if not found:
        raise Wrong(wrong(400, "empty", "certificates: the list is empty; put PEM texts into it"))
    return tuple(found)


def csr_of(rulebook: RuleBook, body: Body, *, role: Role, fqdn: str) -> GenerateCsr:
    """What `POST /csr` asks for (W1.2)."""
    unit = own_unit(rulebook, body.get("service"), role=role)
    return GenerateCsr(
        "",
        unit,
        key=_key(rulebook, unit, body),
        digest=_digest(body),
        san=_texts("altNames", body.get("altNames", [])),
        common_name=_text("commonName", body.get("commonName", "")),
        include_ou=_flag("includeOU", body.get("includeOU", False)),
        multi_server=_is_for_all(body, fqdn),
    )


def self_signed_of(rulebook: RuleBook, body: Body, *, role: Role, fqdn: str) -> GenerateSelfSigned:
    """What `POST /identity/selfsigned` asks for (W1.6)."""
    unit = own_unit(rulebook, body.get("service"), role=role)
    years = body.get("validityPeriod")
    return GenerateSelfSigned(
        "",
        unit,
        key=_key(rulebook, unit, body),
        digest=_digest(body),
        years=0 if years is None else _number("validityPeriod", years),
        include_ou=_flag("includeOU", body.get("includeOU", False)),
        multi_server=_is_for_all(body, fqdn),
    )


def described(body: Body) -> str:
    """The description of trust certificates."""
    return _text("description", body.get("description", ""))


def check_signing_key(body: Body) -> None:
    """See that `POST /keys/authz` is about the signing key: the other is for the command line alone (R-128, R-129).

    Raises:
        Wrong: it is not.
    """
    which = _text("key", body.get("key", "signing"))
    if which != "signing":
        raise Wrong(wrong(400, "wrong_purpose", f"key: {which!r}; the encryption key is for the command line alone"))


def delete_of(unit: str, filename: str, files: Iterable[FileImage]) -> Delete:
    """What `DELETE /trust/certificate` asks for: the certificate is named by its file, with or without `.pem`.

    Raises:
        Wrong: there is no such file, or none is named.
    """
    if not filename:
        listed = f"GET /trust/certificate?service={unit.removesuffix(naming.TRUST)} lists them"
        raise Wrong(wrong(404, "not_found", f"filename: it is missing; {listed}"))
    try:
        return naming.delete_of(unit, filename, files)
    except Unknown as error:
        raise Wrong(wrong(404, "not_found", f"filename: {error.text}")) from error


def order_of(body: Body, *, node: str, services: Iterable[str]) -> OrderService:
    """What `POST /services` asks for."""
    names = {name.casefold(): name for name in services}
    name = _text("service", body.get("service", ""))
    if name.casefold() not in names:
        found = f"{node} has no {name!r}" if name else "it is missing"
        raise Wrong(wrong(404, "not_found", f"service: {found}; GET /services lists them"))
    action = ACTIONS.get(_text("action", body.get("action", "")).casefold())
    if action is None:
        raise Wrong(wrong(400, "format", f"action: {_said(body.get('action'))}; there are {', '.join(ACTIONS)}"))
    return OrderService("", node, names[name.casefold()], action)


def _key(rulebook: RuleBook, unit: str, body: Body) -> str:
    said, length = _text("keyType", body.get("keyType", "")).casefold(), body.get("keyLength", "")
    if not said and length in ("", None):
        return ""
    usual = rulebook.identities[unit].key
    family, _, bits = usual.partition("-")
    if said and said not in _FAMILIES:
        raise Wrong(wrong(400, "key_type", f"keyType: {_said(said)}; there are rsa and ec"))
    # A length without a kind is one of the kind that the unit has; a kind without a length has the usual one.
    kind = _FAMILIES.get(said, family)
    if length in ("", None):
        return f"{kind}-{bits}" if kind == family else f"{kind}-"
    return f"{kind}-{_number('keyLength', length)}"


def _digest(body: Body) -> str:
    return _text("hashAlgorithm", body.get("hashAlgorithm", "")).casefold().replace("-", "")


def _is_for_all(body: Body, fqdn: str) -> bool:
    said = _text("distribution", body.get("distribution", "")).strip()
    if said.casefold() in ("", "this-server", fqdn.casefold()):
        return False
    if said.casefold() in _MULTI_SERVER:
        return True
    raise Wrong(wrong(400, "format", f"distribution: {_said(said)}; there are this-server and multi-server"))


def _texts(key: str, value: object) -> tuple[str, ...]:
    """A list of texts, or one text in its place; nothing for null."""
    if isinstance(value, str):
        return (value.strip(),)
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(each.strip() for each in value)
    raise Wrong(wrong(400, "format", f"{key}: {_said(value)} is no list of texts"))


def _text(key: str, value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    raise Wrong(wrong(400, "format", f"{key}: {_said(value)} is no text"))


def _number(key: str, value: object) -> int:
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise Wrong(wrong(400, "format", f"{key}: {_said(value)} is no number"))
    return int(text)


def _flag(key: str, value: object) -> bool:
    said = {"true": True, "false": False, "": False}.get(str(value).casefold()) if value is not None else False
    if said is None:
        raise Wrong(wrong(400, "format", f"{key}: {_said(value)}; say true or false"))
    return said


def _said(value: object) -> str:
    if value is None:
        return "it is missing"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
