"""What a session sets for itself, and its end (W3.1)."""

import asyncio
from collections.abc import Mapping

from ucmlab.cluster.admin.terminal.console import Console, Failed, Perform, agrees
from ucmlab.cluster.admin.terminal.idling import (
    LEAST_MINUTES,
    MOST_MINUTES,
    idle_minutes,
    keep_idle_minutes,
    minutes_of,
)


async def show_cli_pagination(console: Console, _: Mapping[str, str]) -> None:
    """The product's own capitals and blanks."""
    console.say(f"Automatic Pagination : {'On' if console.paged else 'Off'}.")


async def set_cli_pagination(console: Console, given: Mapping[str, str]) -> None:
    """For this session."""
    console.paged = given["on|off"] == "on"
    console.say(f"Automatic pagination is turned {given['on|off']}")


async def show_cli_session_timeout(console: Console, _: Mapping[str, str]) -> None:
    """When an idle session ends that begins now. [inferred] the text."""
    console.say(_told(await asyncio.to_thread(idle_minutes, console.desk.layout.home)))


async def set_cli_session_timeout(console: Console, given: Mapping[str, str]) -> None:
    """For the sessions that begin from now on; those that are there keep theirs. [inferred] the texts."""
    minutes = minutes_of(given["minutes"])
    if minutes is None:
        raise Failed(f"The session timeout is {LEAST_MINUTES} to {MOST_MINUTES} minutes")
    if await agrees(console, "Continue (y/n)?"):
        await asyncio.to_thread(keep_idle_minutes, console.desk.layout.home, minutes)
        console.say(_told(minutes))


def _told(minutes: int) -> str:
    return f"CLI session timeout is set to {minutes} minutes"


async def leave(console: Console, _: Mapping[str, str]) -> None:
    """The end of the session."""
    console.leave()


COMMANDS: Mapping[str, Perform] = {
    "show_cli_pagination": show_cli_pagination,
    "set_cli_pagination": set_cli_pagination,
    "show_cli_session_timeout": show_cli_session_timeout,
    "set_cli_session_timeout": set_cli_session_timeout,
    "leave": leave,
}
