"""All checks of one broker, one after the other, and what they amount to."""

from collections.abc import Callable, Iterable

import msgspec

from ucmlab.broker.bus import BusEndpoint
from ucmlab.cluster.doctor.checks import BROKER_CHECKS, Check, Finding, examine

VERDICTS = {"ok": "can carry a lab", "but": "can, but", "cannot": "cannot carry a lab"}


class Examination(msgspec.Struct, frozen=True):
    """What was found of one broker."""

    url: str
    findings: tuple[Finding, ...]

    @property
    def level(self) -> str:
        """The worst of all."""
        levels = {finding.level for finding in self.findings}
        return next(level for level in ("cannot", "but", "ok") if level in levels)

    @property
    def verdict(self) -> str:
        """In words, with the checks that it is due to."""
        due = [finding.check for finding in self.findings if finding.level == self.level != "ok"]
        return VERDICTS[self.level] + (f": {', '.join(due)}" if due else "")


async def examine_broker(
    url: str,
    endpoint: BusEndpoint,
    *,
    checks: Iterable[Check] = BROKER_CHECKS,
    told: Callable[[Finding], None] = lambda _: None,
) -> Examination:
    """Ask everything; without access nothing else can be asked.

    Args:
        url: as it is shown.
        endpoint: the broker, and an account on it.
        checks: what to ask.
        told: hears each answer as it comes.
    """
    findings: list[Finding] = []
    for check in checks:
        finding = await examine(check, endpoint)
        findings.append(finding)
        told(finding)
        if finding.level == "cannot" and check.name == "access":
            break
    return Examination(url, tuple(findings))
