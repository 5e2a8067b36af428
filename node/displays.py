"""Rows about the page that shows one certificate: its layout and tags by release (R-056..R-062, X-18)."""

from typing import Literal

import msgspec

from ucmlab.node.rule_rows import RuleRow

SerialBase = Literal["decimal", "hex"]


class Display(RuleRow, frozen=True, kw_only=True):
    """A layout: templates of lines, in their order, with the fields that `displays.toml` lists."""

    layout: Literal["jdk", "bcfips"]
    lines: tuple[str, ...]
    extension: tuple[str, ...]
    """The lines of each extension."""
    end: tuple[str, ...] = ()
    names: dict[str, str] = msgspec.field(default_factory=dict)
    """By object identifier (dotted) or by a bit of the key usage; empty: identifiers are shown."""
    serial: SerialBase = "hex"
    """The base of the serial number, from the `SerialShown` rows."""

    @property
    def shows_identifiers(self) -> bool:
        """Whether object identifiers stand where names stood (R-062)."""
        return not self.names

    def named(self, identifier: str) -> str:
        """What stands for an object identifier, dotted, or for a bit of the key usage."""
        return self.names.get(identifier, identifier)


class SerialShown(RuleRow, frozen=True, kw_only=True):
    """In which base a serial number is shown (B.5)."""

    base: SerialBase
