"""Why a handshake ends: the words, as a table with texts for people and with OpenSSL's codes.

The table is `handshake_reasons.toml`, beside this file: it is no rule of the product's, and no release has another. The
words are stable, as stories and pipelines compare them. OpenSSL has fewer of them in one place (an extended key usage
that is missing is the same to it as a key usage) and more in another (an unknown CA has five codes), so a shell that
knows what was presented asks `handshake.judge` for the word, and `of_code` only if it does not.
"""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Literal

import msgspec

Usage = Literal["server", "client"]
"""The role of the end that is verified."""
Reason = Literal[
    "",
    "no_shared_cipher",
    "no_certificate",
    "malformed",
    "unknown_ca",
    "chain_too_long",
    "expired",
    "not_yet_valid",
    "name_mismatch",
    "eku_server_missing",
    "eku_client_missing",
    "not_a_ca",
    "key_usage",
    "path_length",
    "name_constraint",
    "critical_extension",
    "bad_signature",
    "weak_key",
    "weak_signature",
    "explicit_curve",
]
"""Empty: there is none, the peer is trusted."""
EKU_MISSING: Mapping[Usage, Reason] = {"server": "eku_server_missing", "client": "eku_client_missing"}


class Explained(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reason."""

    rule: str
    text: str
    openssl: tuple[int, ...]
    """Codes of `X509_STORE_CTX_get_error`, which Python has as `SSLCertVerificationError.verify_code`."""


@lru_cache(maxsize=1)
def reasons() -> Mapping[Reason, Explained]:
    """The table."""
    text = (resources.files("ucmlab.node") / "handshake_reasons.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[Reason, Explained])


def of_code(code: int, usage: Usage) -> Reason:
    """The likeliest word for one of OpenSSL's codes, where nobody knows what was presented."""
    fitting = [reason for reason, row in reasons().items() if code in row.openssl]
    other = EKU_MISSING["client" if usage == "server" else "server"]
    return next((reason for reason in fitting if reason != other), "unknown_ca")


def text_of(reason: Reason, detail: str) -> str:
    """What people read; empty without a reason."""
    return reasons()[reason].text.format(detail=detail) if reason else ""
