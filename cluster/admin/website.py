"""HTTP in the connections of Cisco Tomcat's listeners: one server a node, and what all its pages have in common.

443 and 8443 show the same (wire-interfaces 0). How answers are worded is in `ucmlab.cluster.admin.speaking`.
"""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from ucmlab.cluster.admin.accounts import AdminAccount, Guard, Kind
from ucmlab.cluster.admin.desk import Caller, Desk, tell_of_a_bug
from ucmlab.cluster.admin.doorway import Doorway
from ucmlab.cluster.admin.sessions import COOKIE, Sessions
from ucmlab.cluster.admin.speaking import Speaker, page
from ucmlab.node.rulebook import RuleBook

CALLER = "ucmlab.caller"
"""Where a request that was let in says who makes it (`Caller`)."""
BODY_WITHIN_S = 30.0
"""Machine time for the body of a request to arrive."""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Website:
    """The web server of one node."""

    def __init__(self, desk: Desk, guard: Guard) -> None:
        """`mount` what it serves before the first `protocol`."""
        self._desk = desk
        self._guard = guard
        self._sessions = Sessions()
        self._root = web.Application(middlewares=[_as_tomcat])
        self._root.on_response_prepare.append(_unsigned)
        self._logger = _unheard()
        self._runner = web.AppRunner(self._root, handle_signals=False)
        self._starting = asyncio.Lock()

    def mount(self, prefix: str, application: web.Application) -> None:
        """Serve an application below a path."""
        self._root.add_subapp(prefix, application)

    async def protocol(self) -> asyncio.Protocol:
        """What speaks HTTP in one connection; the first has the applications started."""
        async with self._starting:
            if self._runner.server is None:  # still, if who began was cut off
                await self._runner.setup()
        server = self._runner.server
        assert server is not None  # noqa: S101  it was started
        # The runner's own would word answers as aiohttp does.
        return Speaker(server, loop=asyncio.get_running_loop(), access_log=self._logger, logger=self._logger)

    def logged_in(
        self,
        kind: Kind,
        interface: str,
        realm: str,
        refusal: Callable[[str], web.Response],
        *,
        sessions: bool = False,
    ) -> Middleware:
        """What lets requests of an interface in: HTTP Basic with an account of its kind.

        Args:
            kind: of accounts.
            interface: as audit lines name it.
            realm: as clients show it to people.
            refusal: a 401, from what is to be said.
            sessions: whether an answer begins a session, whose cookie serves as well.
        """

        @web.middleware
        async def let_in(request: web.Request, handler: _Handler) -> web.StreamResponse:
            account = self._known(request) if sessions else None
            begun = account is not None
            account = account or await self._account(request, kind, interface)
            if account is None:
                refused = refusal("Authentication failed")
                refused.headers["WWW-Authenticate"] = f'Basic realm="{realm}"'
                return refused
            if (doorway := _doorway(request)) is not None:
                doorway.known()
            request[CALLER] = Caller(account, interface, request.remote or "", _host(request))
            response = await handler(request)
            if sessions and not begun:
                token = self._sessions.begin(account, now=self._desk.now().lab)
                response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True)
            return response

        return let_in

    def _known(self, request: web.Request) -> AdminAccount | None:
        token, now = request.cookies.get(COOKIE), self._desk.now().lab
        account = None if token is None else self._sessions.account(token, now=now)
        return None if account is None or self._guard.locked(account, now=now) else account

    def forget_sessions(self) -> None:
        """Cisco Tomcat has stopped: whoever was logged in logs in again."""
        self._sessions = Sessions()

    async def _account(self, request: web.Request, kind: Kind, interface: str) -> AdminAccount | None:
        given = _basic(request.headers.get("Authorization", ""))
        if given is None:
            return None
        address = request.remote or ""
        return await self._desk.let_in(self._guard, kind, *given, interface=interface, address=address)


def _host(request: web.Request) -> str:
    found = None if request.transport is None else request.transport.get_extra_info("sockname")
    return str(found[0]) if found else ""


def _basic(header: str) -> tuple[str, str] | None:
    """Name and password of HTTP Basic (RFC 7617, UTF-8); None, it is none. aiohttp gives its own up with 4.0."""
    kind, _, encoded = header.strip().partition(" ")
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if kind.casefold() == "basic" and colon else None


def served_by(rulebook: RuleBook) -> str:
    """The service in whose listeners the website is: who ends it there never sees what came of it."""
    return next(row.service for row in rulebook.listeners.values() if row.speaks == "website")


class BadBody(Exception):
    """The body of a request did not come, or not as it may."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        """With what is to be answered; `reason` is a stable word."""
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.text = text


async def read_body(request: web.Request) -> bytes:
    """The body of a request.

    Raises:
        BadBody: it is larger than the application takes, or did not arrive in time.
    """
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise BadBody(413, "too_large", "the body is too large") from error
    except (ConnectionError, web.RequestPayloadError) as error:
        raise BadBody(400, "format", "the body is not whole") from error
    except TimeoutError as error:
        raise BadBody(408, "format", f"the body did not arrive within {BODY_WITHIN_S:g} s") from error


@web.middleware
async def _as_tomcat(request: web.Request, handler: _Handler) -> web.StreamResponse:
    doorway = _doorway(request)
    if doorway is not None:
        doorway.begun()
    try:
        return await _answer(request, handler)
    finally:
        if doorway is not None:
            doorway.ended()


async def _answer(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text=page(404, "Not Found"), content_type="text/html")
    except web.HTTPMethodNotAllowed as error:
        return web.Response(status=405, headers={"Allow": error.headers["Allow"]})
    except Exception:  # noqa: BLE001  the one boundary: a bug of ours is told in the log, and never to a client
        tell_of_a_bug()
        return web.json_response({"message": "Internal error", "messages": ["Internal error"]}, status=500)


def _unheard() -> logging.Logger:
    """Where aiohttp tells, with a stack, of every client that speaks no HTTP; our own bugs are told by `_answer`."""
    logger = logging.getLogger("ucmlab.website")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


async def _unsigned(_: web.Request, response: web.StreamResponse) -> None:
    # Which software answers is nobody's business, as on the product.
    response.headers.pop("Server", None)


def _doorway(request: web.Request) -> Doorway | None:
    found = None if request.transport is None else request.transport.get_protocol()
    return found if isinstance(found, Doorway) else None
