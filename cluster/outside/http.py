"""What places that speak HTTP have in common: which node asks, and bodies that are no longer than they may be."""

from collections.abc import Mapping

from aiohttp import StreamReader

AGENT = "ucmlab/"
"""Begins how nodes of a lab call themselves; their name follows."""
_CHUNK = 1 << 14


def agent_of(node: str) -> str:
    """What a node says in `User-Agent`."""
    return f"{AGENT}{node}"


def asking_node(headers: Mapping[str, str]) -> str:
    """The name of the node that asks; empty for anybody else, like a browser."""
    agent = headers.get("User-Agent", "")
    return agent.removeprefix(AGENT) if agent.startswith(AGENT) else ""


async def read_at_most(content: StreamReader, limit: int) -> bytes | None:
    """The whole body; None, it is longer than that, and the rest of it was not read."""
    body = bytearray()
    async for chunk in content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)
