"""What a run left behind: the verdict and everything that is needed to read it, compare it and repeat it.

`result.json` is a contract (design 7.3). Beyond it there are `rows` and `outcomes`, because the digest covers them:
it is SHA-256 over the canonical JSON of `{"loaded", "outcomes", "rows", "stores"}` as they stand in the file.
"""

import shlex
from pathlib import Path
from typing import Literal

import msgspec

from ucmlab.cluster.carriers.choice import read_carrier
from ucmlab.node.instant import rfc3339
from ucmlab.scenarios import names
from ucmlab.scenarios.story import Story
from ucmlab.scenarios.telling import Check, Entry, Telling, Verdict

SCHEMA = 1
Mode = Literal["sim", "local"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How stories are to be told. What is None is as the story wants it."""

    mode: Mode = "sim"
    broker: str = "embedded"
    broker_ca: str | None = None
    release: str | None = None
    profile: str | None = None
    replication: str | None = None
    timing: str | None = None
    der_pkcs7: bool | None = None
    strict_uploads: bool | None = None
    seed: int = 1
    report: str | None = None
    keep: bool = False


class Trouble(msgspec.Struct, frozen=True):
    """Why a verdict is not what the checks alone say: one line, and for the report folder the whole trace."""

    line: str
    trace: str = ""
    cause: Literal["story", "lab", "people"] = "story"
    """Whose it is. When the lab broke down or somebody ended the story, nothing was proved either way."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one story."""

    story: str
    again: str
    mode: Mode
    broker: str
    seed: int
    release: str
    profile: str
    replication: str
    timing: str
    verdict: Verdict
    trouble: Trouble | None
    began: int
    ended: int
    wall: int
    """The lab's wall clock at the end."""
    machine_seconds: float
    entries: list[Entry]
    stores: names.Stores
    rows: names.Stores
    loaded: names.Loaded
    kept: str
    """Where the homes of the nodes are; empty when they are gone."""
    outcomes: list[list[str]]
    """Node, operation, outcome, reason: in the order in which the operations were begun."""

    @property
    def digest(self) -> str:
        """The story digest."""
        return names.digest(
            {"stores": self.stores, "rows": self.rows, "loaded": self.loaded, "outcomes": self.outcomes}
        )

    def wall_at(self, lab: int) -> str:
        """A lab instant of this run on the lab's wall clock."""
        return rfc3339(self.wall - (self.ended - lab))

    def json(self) -> dict[str, object]:
        """What `result.json` holds."""
        return {
            "schema": SCHEMA,
            "story": self.story,
            "mode": self.mode,
            "broker": self.broker,
            "seed": self.seed,
            "release": self.release,
            "profile": self.profile,
            "replication": self.replication,
            "timing": self.timing,
            "verdict": self.verdict,
            "reason": self.trouble.line if self.trouble else "",
            "again": self.again,
            "checks": [
                {"text": entry.text, "held": entry.held, "at": self.wall_at(entry.at)}
                for entry in self.entries
                if isinstance(entry, Check)
            ],
            "stores": self.stores,
            "rows": self.rows,
            "loaded": self.loaded,
            "outcomes": self.outcomes,
            "digest": self.digest,
        }


def verdict(telling: Telling, trouble: Trouble | None) -> tuple[Verdict, Trouble | None]:
    """Judge a telling that came to its end, and say why when the checks alone do not.

    A check that failed is a failure whatever else went wrong. A run in which the lab broke down, that somebody
    ended early, in which a declared fault never fired or nothing was judged proves nothing either way.
    """
    if any(not check.held for check in telling.checks):
        return "failed", trouble
    if trouble is not None:
        return ("failed" if trouble.cause == "story" else "unknown"), trouble
    if silent := telling.never_fired():
        return "unknown", Trouble("a declared fault never fired: " + "; ".join(silent))
    if not telling.checks:
        return "unknown", Trouble("the story judged nothing")
    return "held", None


def again(story: Story, options: Options) -> str:
    """The command that tells this story the same way again."""
    words = ["ucmlab", "run", story.name if story.from_library else _shortest(story.path)]
    words += ["--mode", options.mode, "--seed", str(options.seed)]
    if options.broker != "embedded":
        words += ["--broker", read_carrier(options.broker).text]
    if options.broker_ca is not None:
        words += ["--broker-ca", options.broker_ca]
    for name in ("release", "profile", "replication", "timing"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name}", value]
    words += ["--accept-der-pkcs7"] if options.der_pkcs7 else []
    words += ["--strict-uploads"] if options.strict_uploads else []
    return shlex.join(words)


def _shortest(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
