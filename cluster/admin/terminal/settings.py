"""What a session sets for itself, and its end (W3.1)."""

from collections.abc import Mapping

from ucmlab.cluster.admin.terminal.console import Console, Failed, Perform, agrees

LEAST_MINUTES, MOST_MINUTES = 5, 99_999


async def show_cli_pagination(console: Console, _: Mapping[str, str]) -> None:
    """The product's own capitals and blanks."""
    console.say(f"Automatic Pagination : {'On' if console.paged else 'Off'}.")


async def set_cli_pagination(console: Console, given: Mapping[str, str]) -> None:
    """For this session."""
    console.paged = given["on|off"] == "on"
    console.say(f"Automatic pagination is turned {given['on|off']}")


async def show_cli_session_timeout(console: Console, _: Mapping[str, str]) -> None:
    """When an idle session ends. [inferred] the text."""
    console.say(f"CLI session timeout is set to {console.idle_minutes} minutes")


async def set_cli_session_timeout(console: Console, given: Mapping[str, str]) -> None:
    """For this session, at once. [inferred] the texts but for the question, and that it is not kept."""
    said = given["minutes"]
    is_number = said.isascii() and said.isdigit() and len(said) <= len(str(MOST_MINUTES))
    if not (is_number and LEAST_MINUTES <= int(said) <= MOST_MINUTES):
        raise Failed(f"The session timeout is {LEAST_MINUTES} to {MOST_MINUTES} minutes")
    if await agrees(console, "Continue (y/n)?"):
        console.idle_minutes = int(said)
        console.say(f"CLI session timeout is set to {console.idle_minutes} minutes")


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
