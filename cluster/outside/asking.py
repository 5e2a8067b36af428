"""What a node of a real lab asks of OCSP responders and CRL servers, over HTTP (`ucmlab.cluster.exchanges`).

Responders are strangers: they may refuse, reset, say nothing, speak nonsense without end, or send one elsewhere. Each
of these is a word in the answer; none is an exception, and none takes longer than `PATIENCE_S`.
"""

import asyncio

import aiohttp

from ucmlab.cluster.outside.http import agent_of, read_at_most
from ucmlab.node.commands import AskOcsp, FetchCrl
from ucmlab.node.events import CrlFetched, OcspAnswered

PATIENCE_S = 15.0
"""Machine time for one exchange: longer than the core waits in lab time, so that where time flows as it does, it is the
core that gives up."""
ANSWER_LIMIT = 1 << 16
"""Bytes of an OCSP response; one with a chain has ten thousand at most."""
CRL_LIMIT = 1 << 22
"""Bytes of a CRL: a hundred thousand certificates."""
_OCSP = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}
_ANSWER_TYPE = "application/ocsp-response"
_OK = 200


class _Trouble(Exception):
    """What came is no answer; its text is the word."""


class Asking:
    """One node's questions."""

    def __init__(self, node: str, *, patience_s: float = PATIENCE_S) -> None:
        """`node` is told to servers, so that those of the lab know whom they keep waiting."""
        self._headers = {"User-Agent": agent_of(node), "Accept-Encoding": "identity", "Connection": "close"}
        self._patience_s = patience_s

    async def ask_ocsp(self, command: AskOcsp) -> OcspAnswered:
        """Post the request."""
        try:
            body = await self._exchange(
                "POST", command.url, _OCSP, command.request, kind=_ANSWER_TYPE, limit=ANSWER_LIMIT
            )
        except _Trouble as trouble:
            return OcspAnswered(command.token, trouble=str(trouble))
        return OcspAnswered(command.token, body)

    async def fetch_crl(self, command: FetchCrl) -> CrlFetched:
        """Get the list; what kind of content its server says it is means nothing (RFC 5280 asks for one, few obey)."""
        try:
            body = await self._exchange("GET", command.url, {}, None, kind="", limit=CRL_LIMIT)
        except _Trouble as trouble:
            return CrlFetched(command.token, trouble=str(trouble))
        return CrlFetched(command.token, body)

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], data: bytes | None, *, kind: str, limit: int
    ) -> bytes:
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._request(method, url, self._headers | headers, data, kind=kind, limit=limit)
        except TimeoutError:
            raise _Trouble("timeout") from None
        except aiohttp.InvalidURL:
            raise _Trouble("uri") from None
        except aiohttp.ClientConnectorDNSError:
            raise _Trouble("name_unknown") from None
        except aiohttp.ClientConnectorError:
            raise _Trouble("refused") from None
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError):
            raise _Trouble("reset") from None
        except (aiohttp.ClientError, ValueError):
            raise _Trouble("no_http") from None

    async def _request(
        self, method: str, url: str, headers: dict[str, str], data: bytes | None, *, kind: str, limit: int
    ) -> bytes:
        # Neither proxies of the environment nor cookies, nothing unpacked, nobody followed elsewhere.
        session = aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        async with session, session.request(method, url, headers=headers, data=data, allow_redirects=False) as response:
            if response.status != _OK:
                raise _Trouble(f"http_{response.status}")
            if kind and response.content_type != kind:
                raise _Trouble("content_type")
            body = await read_at_most(response.content, limit)
        if body is None:
            raise _Trouble("too_large")
        return body
