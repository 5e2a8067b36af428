"""What an administrator sets, and what holds where nobody has: enterprise parameters, monitor, revocation (A.21).

A value is text, as the pages and the database have it; `flag` and `number` read it by the parameter's kind. Who may set
what, and what a value does, is told elsewhere; here it is kept and judged by its row alone.
"""

from collections.abc import Mapping
from typing import Literal

from ucmlab.node.errors import Refusal
from ucmlab.node.rule_rows import Role, RuleRow
from ucmlab.node.settings import Settings

TEXT_LIMIT = 1024
"""Characters. [ASSUMED]: the product's limit is not public."""
TOLD_LIMIT = 80
"""Characters of a value that is quoted to whoever gave it."""
ParameterScope = Literal["cluster", "side", "node"]


class Parameter(RuleRow, frozen=True, kw_only=True):
    """A row of `parameters.toml`."""

    name: str
    page: str
    scope: ParameterScope
    kind: Literal["flag", "choice", "number", "text"]
    default: str
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    unit: str = ""
    restart: tuple[str, ...] = ()
    """Services that read it when they start (R-010)."""
    regenerates: tuple[str, ...] = ()
    """Identities of a node that are made anew when a mode is turned on."""

    @property
    def accepts(self) -> str:
        """What a value may be, in words for whoever gave another."""
        match self.kind:
            case "flag":
                return "true or false"
            case "choice":
                return " or ".join(map(repr, self.choices))
            case "number":
                return f"an integer from {self.least} to {self.most}{f' ({self.unit})' if self.unit else ''}"
            case "text":
                return f"a text of one line, of {TEXT_LIMIT} characters at most"

    def judge(self, value: str) -> str:
        """The value as it is kept.

        Raises:
            Refusal: `parameter_value`.
        """
        kept = _judged(self, value)
        if kept is None:
            told = repr(value) if len(value) <= TOLD_LIMIT else f"{value[:TOLD_LIMIT]!r} and so on"
            raise Refusal("parameter_value", f"{self.name} takes {self.accepts}, not {told}")
        return kept

    def can_hold(self, value: str) -> bool:
        """Whether that is a value as it is kept."""
        return _judged(self, value) == value

    def place(self, node: str, role: Role) -> str:
        """Under which name the value for a node is kept: the node, its side of the cluster, or `cluster`."""
        if self.scope == "node":
            return node
        if self.scope == "side":
            return "imp" if role == "imp" else "cucm"
        return "cluster"


def _judged(row: Parameter, value: str) -> str | None:
    match row.kind:
        case "flag":
            return value.lower() if value.lower() in ("true", "false") else None
        case "choice":
            return next((choice for choice in row.choices if choice.lower() == value.lower()), None)
        case "number":
            digits = value.isascii() and value.isdigit() and len(value) <= len(str(row.most))
            return str(int(value)) if digits and row.least <= int(value) <= row.most else None
        case "text":
            return value if value.isprintable() and len(value) <= TEXT_LIMIT else None


class Parameters:
    """The parameters as one node reads them."""

    def __init__(self, rows: Mapping[str, Parameter], *, node: str, role: Role, values: Settings) -> None:
        """`values` is somebody else's, who changes it: it is read at each question."""
        self._rows = rows
        self._node = node
        self._role: Role = role
        self._values = values

    def text(self, name: str) -> str:
        """The value.

        Raises:
            KeyError: the release has no such parameter.
        """
        row = self._rows[name]
        return self._values.get((row.place(self._node, self._role), name), row.default)

    def flag(self, name: str) -> bool:
        """Whether a flag is set; not, where the release does not have it."""
        return name in self._rows and self.text(name) == "true"

    def number(self, name: str) -> int:
        """The value of a number."""
        return int(self.text(name))
