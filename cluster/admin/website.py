"""HTTP in the connections of Cisco Tomcat's listeners: one server a node, and what all its pages have in common.

443 and 8443 show the same (wire-interfaces 0). Answers have an empty reason phrase, as Tomcat's since 8.5 (W1.7).
"""

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable

from aiohttp import BasicAuth, web
from aiohttp.typedefs import Middleware

from ucmlab.cluster.admin.accounts import AdminAccount, Guard, Kind, LockedOut
from ucmlab.cluster.admin.desk import Caller, Desk
from ucmlab.cluster.admin.doorway import Doorway

CALLER = "ucmlab.caller"
"""Where a request that was let in says who makes it (`Caller`)."""
FAILED_S = 1.0
"""Machine time that a wrong password takes, so that guessing takes its time."""
_NOT_FOUND = "<!doctype html><html><head><title>HTTP Status 404 &ndash; Not Found</title></head></html>"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Website:
    """The web server of one node."""

    def __init__(self, desk: Desk, guard: Guard) -> None:
        """`mount` what it serves, then `start`."""
        self._desk = desk
        self._guard = guard
        self._root = web.Application(middlewares=[_as_tomcat])
        self._root.on_response_prepare.append(_unsigned)
        self._runner = web.AppRunner(self._root, access_log=None, handle_signals=False)

    def mount(self, prefix: str, application: web.Application) -> None:
        """Serve an application below a path."""
        self._root.add_subapp(prefix, application)

    async def start(self) -> None:
        """Be ready for connections."""
        await self._runner.setup()

    async def close(self) -> None:
        """End them all."""
        await self._runner.cleanup()

    def protocol(self) -> asyncio.Protocol:
        """What speaks HTTP in one connection."""
        server = self._runner.server
        assert server is not None  # noqa: S101  it was started
        made: asyncio.Protocol = server()
        return made

    def logged_in(self, kind: Kind, interface: str, realm: str, refusal: Callable[[str], web.Response]) -> Middleware:
        """What lets requests of an interface in: HTTP Basic with an account of its kind.

        Args:
            kind: of accounts.
            interface: as audit lines name it.
            realm: as clients show it to people.
            refusal: the body of a 401, from what is to be said.
        """

        @web.middleware
        async def let_in(request: web.Request, handler: _Handler) -> web.StreamResponse:
            account = await self._account(request, kind, interface)
            if account is None:
                refused = refusal("Authentication failed")
                refused.headers["WWW-Authenticate"] = f'Basic realm="{realm}"'
                return refused
            request[CALLER] = Caller(account, interface, request.remote or "")
            return await handler(request)

        return let_in

    async def _account(self, request: web.Request, kind: Kind, interface: str) -> AdminAccount | None:
        said = request.headers.get("Authorization", "")
        try:
            given = BasicAuth.decode(said, encoding="utf-8")
        except (ValueError, UnicodeDecodeError):
            return None
        locked = False
        try:
            account = self._guard.admit(kind, given.login, given.password, now=self._desk.now().lab)
        except LockedOut:
            account, locked = None, True
        if account is None:
            self._desk.refused(given.login, interface, request.remote or "", locked=locked)
            await asyncio.sleep(FAILED_S)
        return account


@web.middleware
async def _as_tomcat(request: web.Request, handler: _Handler) -> web.StreamResponse:
    doorway = None if request.transport is None else request.transport.get_protocol()
    if isinstance(doorway, Doorway):
        doorway.begun()
    try:
        response = await _answer(request, handler)
    finally:
        if isinstance(doorway, Doorway):
            doorway.ended()
    response.set_status(response.status, reason="")
    return response


async def _answer(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text=_NOT_FOUND, content_type="text/html")
    except web.HTTPMethodNotAllowed as error:
        return web.Response(status=405, headers={"Allow": error.headers["Allow"]})
    except Exception:  # noqa: BLE001  the one boundary: a bug of ours is told in the log, and never to a client
        sys.stderr.write(traceback.format_exc())
        sys.stderr.flush()
        return web.json_response({"message": "Internal error", "messages": ["Internal error"]}, status=500)


async def _unsigned(_: web.Request, response: web.StreamResponse) -> None:
    # Which software answers is nobody's business, as on the product.
    response.headers.pop("Server", None)
