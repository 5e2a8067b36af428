"""Cisco Certificate Expiry Monitor: looks at the node's certificates in time, and tells who must know (A.16).

    service comes up for the first time in a life of the process --> a run, at once
    service comes up again                                        --> the next run a day later (R-182)
    a run --> the next one a day later; an hour later if something has expired or has less than a day left (R-184)

[ASSUMED] A boot is no restart of the service: the first run is at t0 (R-181), of an installation and of every later
boot, and a process knows nothing of what its last life had mailed. Seven days before the end the interval is still a
day (R-183). What is looked at: the node's identities and the trust certificates in its files. The intervals are lab
time, for which wrong clocks are nothing; what has expired is told by the node's own clock.

A run raises an alarm for each certificate that ends within Notification Start Time (R-176). Its mail goes out with the
first run that finds it, and then again and again, Notification Frequency apart to the microsecond (R-177): at a run if
there is one at that instant, else by a timer. One mail names all certificates that are due. [ASSUMED]: R-182's example,
a silence of 44 hours after a restart, shows that alarms come with the runs; only of mails is a frequency said.

What must live here: when to look, what to tell of. What this file must not know: how alarms and mails travel.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Literal

import msgspec

from ucmlab.node.alarm_rows import notice_for
from ucmlab.node.certificates import parse
from ucmlab.node.context import Context
from ucmlab.node.filing import Filing
from ucmlab.node.instant import DAY, HOUR, rfc3339

SERVICE = "Cisco Certificate Expiry Monitor"
TIMER = "monitor:"
RUN = f"{TIMER}run"
REMIND = f"{TIMER}remind"
NEVER_ENDS = 1 << 63
"""Of no certificates, the first ends then."""
Mail = Callable[[tuple[str, ...], str, str], None]
"""Sends a mail: recipients, subject, text."""


class Expiring(msgspec.Struct, frozen=True):
    """A certificate that ends soon, or has ended."""

    unit: str
    name: str
    type: Literal["own-cert", "trust-certs"]
    """[UNVERIFIED] the second word; B.17 has the first."""
    fingerprint: str
    not_after: int

    @property
    def message(self) -> str:
        """The product's sentence about it (B.17, which leaves out how it writes the time)."""
        return (
            f"Certificate expiration Notification. Certificate name:{self.name} Unit:{self.unit} Type:{self.type}"
            f" Expiration:{rfc3339(self.not_after)}"
        )


class ExpiryMonitor:
    """The monitor of one node, in one life of its process."""

    def __init__(self, context: Context, filing: Filing, *, identities: Mapping[str, bytes], mail: Mail) -> None:
        """The service does not run yet.

        Args:
            context: of the node.
            filing: its trust certificate files.
            identities: unit to certificate (DER); read at each run.
            mail: sends mails.
        """
        self._context = context
        self._filing = filing
        self._identities = identities
        self._mail = mail
        self._was_up = False
        self._next_run = 0
        """Lab instant, while the service runs."""
        self._mailed: dict[str, int] = {}
        """When a mail about a certificate went out last: lab instant by fingerprint."""
        self._reminds = False
        """Whether the timer for a mail between two runs is set."""

    def service_changed(self, *, running: bool) -> None:
        """The service came up, or ended."""
        if not running:
            self._context.cancel_timer(RUN)
            self._remind_at(None)
        elif self._was_up:
            self._run_in(DAY)
        else:
            self._was_up = True
            self._run()

    def timer(self, token: str) -> None:
        """A timer of this machine has run out."""
        if token == RUN:
            self._run()
        elif token == REMIND:
            self._reminds = False
            self._mail_about([each for each in self._expiring() if each.fingerprint in self._mailed])

    def _run(self) -> None:
        context = self._context
        found, now = self._expiring(), context.now.wall
        urgent = any(each.not_after - now < DAY for each in found)
        context.record("monitor_run", at_wall=rfc3339(now), found=len(found), next="1h" if urgent else "24h")
        run, alarms = context.cause, context.rulebook.alarms.values()
        for each in found:
            context.cause = run
            context.alarm(
                notice_for(alarms, each.not_after - now).name,
                unit=each.unit,
                certificate=each.name,
                fingerprint=each.fingerprint,
                message=each.message,
            )
        context.cause = run
        self._run_in(HOUR if urgent else DAY)
        if found or self._mailed:
            self._mail_about(found)

    def _run_in(self, delay: int) -> None:
        self._next_run = self._context.now.lab + delay
        self._context.start_timer(RUN, delay)

    def _expiring(self) -> list[Expiring]:
        """What ends within Notification Start Time, the soonest first. Mostly nothing, and every boot asks."""
        last = self._context.now.wall + self._context.parameters.number("Notification Start Time") * DAY
        held = [file.der for files in self._filing.by_unit.values() for file in files.values()]
        if _soonest((*self._identities.values(), *held)) >= last:
            return []
        found = [_expiring(unit, f"{unit}.der", "own-cert", der) for unit, der in self._identities.items()]
        found += [
            _expiring(unit, _der_name(file.name), "trust-certs", file.der)
            for unit, files in self._filing.by_unit.items()
            for file in files.values()
        ]
        return sorted(
            (each for each in found if each.not_after < last), key=lambda each: (each.not_after, each.unit, each.name)
        )

    # -- mail

    def _mail_about(self, found: list[Expiring]) -> None:
        recipients = self._recipients()
        if not recipients:
            self._remind_at(None)
            return
        now, gap = self._context.now.lab, self._frequency()
        here = {each.fingerprint for each in found}
        self._mailed = {fingerprint: at for fingerprint, at in self._mailed.items() if fingerprint in here}
        due = [each for each in found if now >= self._mailed.get(each.fingerprint, now - gap) + gap]
        if due:
            self._mailed |= {each.fingerprint: now for each in due}
            self._mail(recipients, *self._letter(due))
        self._remind_at(min(self._mailed.values(), default=self._next_run) + gap)

    def _recipients(self) -> tuple[str, ...]:
        """Separated by semicolons alone: a comma is part of an address, which is then none (R-180)."""
        if not self._context.parameters.flag("Enable E-mail Notification"):
            return ()
        ids = self._context.parameters.text("E-mail IDs").split(";")
        return tuple(each.strip() for each in ids if each.strip())

    def _frequency(self) -> int:
        parameters = self._context.parameters
        unit = HOUR if parameters.text("Notification Frequency Unit") == "hours" else DAY
        return parameters.number("Notification Frequency") * unit

    def _letter(self, due: Iterable[Expiring]) -> tuple[str, str]:
        """Subject and text. [ASSUMED] wording."""
        now, alarms = self._context.now.wall, self._context.rulebook.alarms.values()
        rows = [(each, notice_for(alarms, each.not_after - now)) for each in due]
        lines = [f"{each.message}: {row.text}" for each, row in rows]
        node = self._context.config.fqdn
        return f"Certificate expiration notification from {node}", "\n".join((f"Node: {node}", "", *lines, ""))

    def _remind_at(self, due: int | None) -> None:
        """Have a mail go out at a lab instant before the next run; what is due at the run or later, the run sees to."""
        if due is not None and due < self._next_run:
            self._reminds = True
            self._context.start_timer(REMIND, due - self._context.now.lab)
        elif self._reminds:
            self._reminds = False
            self._context.cancel_timer(REMIND)


@lru_cache(maxsize=32)
def _soonest(certificates: tuple[bytes, ...]) -> int:
    """When the first of them (DER) ends: wall microseconds. What a node holds is the same from one run to the next."""
    return min((parse(der).not_after for der in certificates), default=NEVER_ENDS)


def _expiring(unit: str, name: str, kind: Literal["own-cert", "trust-certs"], der: bytes) -> Expiring:
    certificate = parse(der)
    return Expiring(unit, name, kind, certificate.fingerprint, certificate.not_after)


def _der_name(file: str) -> str:
    """The product calls certificates by their DER file, whatever it is that lies in the folder."""
    return f"{file.removesuffix('.pem')}.der"
