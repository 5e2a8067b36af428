"""What the certificate API answers: statuses and bodies (wire-interfaces 1.2 to 1.7 = W1.2 to W1.7).

No I/O but a table.

Bodies beyond what public clients read are our own, as no reference of the product's API is public: minimal, and with
both spellings of an error's text that clients know (`message`, `messages`). No 200 has a key `error`.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

import msgspec

from ucmlab.node.certificates import pem
from ucmlab.node.commands import Reply
from ucmlab.node.config import Role
from ucmlab.node.csr import csr_pem
from ucmlab.node.events import FileImage
from ucmlab.node.rulebook import RuleBook, Unit

_INDEFINITE = 503


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: str
    status: int
    reasons: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    status: tuple[_Row, ...]


@lru_cache
def statuses() -> Mapping[str, int]:
    """Reason word to status."""
    text = files("ucmlab.cluster.admin").joinpath("rest_statuses.toml").read_text(encoding="utf-8")
    rows = msgspec.convert(tomllib.loads(text), _Table).status
    return {reason: row.status for row in rows for reason in row.reasons}


class Answer(msgspec.Struct, frozen=True):
    """A status and a JSON object."""

    status: int
    body: Mapping[str, object]

    @property
    def text(self) -> str:
        """What went wrong; empty if nothing did."""
        return str(self.body.get("message", "")) if self.status >= 400 else ""  # noqa: PLR2004


def wrong(status: int, reason: str, *texts: str) -> Answer:
    """An error: `message` and `messages` are the texts, `reason` our stable word."""
    return Answer(status, {"message": "; ".join(texts), "messages": list(texts), "reason": reason})


def answered(reply: Reply, done: Mapping[str, object], *, status: int | None = None) -> Answer:
    """What came of an operation; `done` is the body if it was done, `status` that of a refusal if not its reason's."""
    if reply.outcome == "done":
        told: dict[str, object] = {"messages": list(reply.warnings)} if reply.warnings else {}
        return Answer(200, {**done, **told, "trackingId": reply.op_id})
    if status is None:
        status = _INDEFINITE if reply.outcome == "indefinite" else statuses()[reply.reason]
    refused = wrong(status, reply.reason, reply.text or reply.reason, *reply.warnings)
    return Answer(status, {**refused.body, "outcome": reply.outcome, "trackingId": reply.op_id})


def several(replies: Sequence[Reply], done: Mapping[str, object]) -> Answer:
    """What came of several operations that were asked for together.

    Each was tried, whatever came of the others. What is there already is no error: clients upload their CAs each time.
    """
    failed = [each for each in replies if each.outcome != "done" and each.reason != "already_present"]
    if not failed:
        texts = [text for each in replies for text in (each.text, *each.warnings) if text]
        return Answer(200, {**done, "messages": texts, "trackingId": replies[0].op_id})
    first = answered(failed[0], {})
    texts = [each.text or each.reason for each in failed]
    return Answer(first.status, {**first.body, "message": "; ".join(texts), "messages": texts})


def identity(unit: str, identities: Mapping[str, bytes], requests: Mapping[str, bytes]) -> dict[str, object]:
    """One element of a snapshot's `identities`; what is not there is an empty text (W1.5)."""
    der, csr = identities.get(unit), requests.get(unit)
    return {
        "service": unit,
        "certificate": "" if der is None else pem(der),
        "csr": "" if csr is None else csr_pem(csr),
    }


def trusted(unit: str, found: Iterable[FileImage]) -> list[dict[str, object]]:
    """A trust store's certificates, as `certificate_data` and `certificates` have them (W1.5)."""
    return [{"filename": each.name, "certificate": pem(each.der)} for each in found if each.unit == unit]


def snapshot(
    server: str,
    units: Sequence[Unit],
    identities: Mapping[str, bytes],
    requests: Mapping[str, bytes],
    found: Sequence[FileImage],
) -> dict[str, object]:
    """`GET /snapshot/server` (W1.5). The signing keys of OAuth are no identity there (W0)."""
    return {
        "server": server,
        "identities": [identity(unit.name, identities, requests) for unit in units if unit.kind == "identity"],
        "trusts": [
            {"service": unit.name.removesuffix("-trust"), "certificate_data": trusted(unit.name, found)}
            for unit in units
            if unit.kind == "trust"
        ],
        "revokedCertificates": [],
    }


def options(rulebook: RuleBook, units: Sequence[Unit], role: Role) -> dict[str, object]:
    """`GET /options`: what requests may ask for, by service."""
    offered = []
    for unit in units:
        row = rulebook.csrs.get((role, unit.name))
        if unit.kind != "identity" or row is None:
            continue
        family = rulebook.identities[unit.name].family
        kinds = [kind for kind in rulebook.keys.values() if kind.family == family]
        offered.append(
            {
                "service": unit.name,
                "keyType": family,
                "keyLengths": [int(kind.name.partition("-")[2]) for kind in kinds],
                "hashAlgorithms": list(dict.fromkeys(digest for kind in kinds for digest in kind.hashes)),
                "distributions": ["this-server", *(["multi-server"] if row.offers_multi_server else [])],
            }
        )
    return {"options": offered}
