"""Looking at processes from outside, for tests about how they end."""

import asyncio
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 20.0
LOOK_EVERY_S = 0.005


def is_alive(pid: int) -> bool:
    """Whether the process runs or is stopped; a zombie is dead, whoever has yet to reap it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def title(pid: int) -> str:
    """What `ps` shows of it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def descendants(pid: int) -> list[int]:
    """Every process that it started, and they."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(each for child in children for each in descendants(child))]


def open_files(pid: int) -> list[str]:
    """What its descriptors beyond the standard streams point to."""
    folder = Path(f"/proc/{pid}/fd")
    return [str(fd.readlink()) for fd in folder.iterdir() if int(fd.name) > 2]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that tells nobody: a process ending."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  only the kernel knows
            await asyncio.sleep(LOOK_EVERY_S)
