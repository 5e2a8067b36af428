"""What a running core tells about itself: read by shells for `dump`, `wait --converged` and time stepping."""

from typing import Literal

import msgspec

ServiceState = Literal["started", "starting", "stopping", "stopped", "not activated"]
ServiceKind = Literal["feature", "network", "platform"]


class ServiceStatus(msgspec.Struct, frozen=True):
    """One service. `since` is a lab instant; `loaded` maps identity units to fingerprints."""

    state: ServiceState
    kind: ServiceKind
    enabled: bool
    since: int
    loaded: dict[str, str]
    pending: tuple[str, ...]
    """Units and parameters that were changed and take effect at its next start, by release and profile (A.10)."""
    reason: str = ""
    """Why it is stopped: `ordered`, `crashed`, `failed`, `dependency`; empty: it was not started yet, or is not."""


class LinkStatus(msgspec.Struct, frozen=True):
    """A long-lived link of a service to a server outside."""

    client: str
    """Its kind, as in `ldap`."""
    service: str
    to: str
    """The name by which the other end is called."""


class NodeStatus(msgspec.Struct, frozen=True):
    """A core, seen from outside."""

    boot: int
    epoch: int
    seq: int
    digest: str
    """SHA-256 over the replica's sorted `unit TAB fingerprint LF` lines (design 7.2)."""
    settings: str
    """Digest of what is set, where anything is."""
    files_agree: bool
    """Files equal rows for the units on Change Notification's list."""
    change_notification: bool
    open_operations: int
    catching_up: bool
    connected: bool
    installed: bool
    replication_broken: bool
    keys: dict[str, int]
    services: dict[str, ServiceStatus]
    head: tuple[int, int] | None
    """The end of the log, on the publisher; None elsewhere."""
    links: tuple[LinkStatus, ...] = ()
    """Those that stand, the oldest first."""
