"""An OCSP responder that nodes and people reach over HTTP (RFC 6960, appendix A), with the CRL of its authority.

    POST /             a request in DER
    GET /<base64>      the same in the address, for caches on the way
    GET /crl           the authority's CRL, DER

What it answers is told by `ucmlab.cluster.ca.responder`; here are sockets and HTTP alone.
"""

import asyncio
import base64
import binascii
from typing import Protocol
from urllib.parse import unquote

from aiohttp import web

from ucmlab.cluster.errors import LabGone, Unusable
from ucmlab.cluster.outside.http import asking_node, read_at_most
from ucmlab.cluster.outside.place import Holding, Place

REQUEST_TYPE = "application/ocsp-request"
RESPONSE_TYPE = "application/ocsp-response"
CRL_TYPE = "application/pkix-crl"
CRL_PATH = "/crl"
REQUEST_LIMIT = 1 << 16
"""Bytes: a request about 32 certificates has some thousand."""


class Answers(Protocol):
    """What a responder says (`ucmlab.cluster.ca.responder.Responder`)."""

    def answer(self, request: bytes) -> bytes:
        """The response to a request, whatever that is."""
        ...

    def crl(self) -> bytes:
        """The CRL of now, DER."""
        ...


class OcspPlace(Place):
    """One responder's server."""

    wanted_port = 2560

    def __init__(self, name: str, holding: Holding, responder: Answers) -> None:
        """See `Place`."""
        super().__init__(name, holding)
        self.responder = responder
        self._web: web.Server | None = None
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://{self.host}:{self.port}"

    @property
    def crl_url(self) -> str:
        """Where the CRL is fetched."""
        return self.url + CRL_PATH

    async def _listen(self) -> None:
        # A client that hangs up is held no more: its handler is cancelled.
        self._web = web.Server(self._handle, handler_cancellation=True)
        self._server = await asyncio.get_running_loop().create_server(self._web, self.host, self.port)

    def _deafen(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in [] if self._web is None else self._web.connections:
            connection.force_close()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        if request.method == "GET" and request.path == CRL_PATH:
            answer, kind = self._crl(), CRL_TYPE
        else:
            asked = await _read(request)
            answer, kind = self.responder.answer(asked), RESPONSE_TYPE
        await self.delay(asking_node(request.headers))
        return web.Response(body=answer, content_type=kind)

    def _crl(self) -> bytes:
        try:
            return self.responder.crl()
        except (Unusable, LabGone) as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error


async def _read(request: web.BaseRequest) -> bytes:
    """The OCSP request that an HTTP request brings."""
    if request.method == "GET":
        return _in_address(request)
    if request.method != "POST":
        raise web.HTTPMethodNotAllowed(request.method, ["GET", "POST"])
    if request.content_type != REQUEST_TYPE:
        raise web.HTTPUnsupportedMediaType(text=f"a responder takes {REQUEST_TYPE}\n")
    body = await read_at_most(request.content, REQUEST_LIMIT)
    if body is None:
        raise web.HTTPRequestEntityTooLarge(max_size=REQUEST_LIMIT, actual_size=REQUEST_LIMIT + 1)
    return body


def _in_address(request: web.BaseRequest) -> bytes:
    text = unquote(request.raw_path.partition("?")[0]).lstrip("/")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise web.HTTPBadRequest(text="the address holds no OCSP request in base64\n") from None
