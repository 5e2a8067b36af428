"""HTTP as Tomcat words it (W1.7): every answer has an empty reason phrase, and none says which software made it.

aiohttp answers on its own what is no HTTP, what expects something that there is not, and a client that waits to be told
to go on; so the words are chosen where its protocol hands an answer over, and not where ours are made.
"""

from email.utils import formatdate

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

CONTINUE = b"HTTP/1.1 100 \r\n\r\n"
_PAGE = "<!doctype html><html><head><title>HTTP Status {status} &ndash; {what}</title></head></html>"


class Speaker(web.RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """See aiohttp. What was said is no HTTP: an answer that tells no more than that, and the end."""
        del exc, message
        if request.writer.output_size:
            raise ConnectionError("the answer has begun")
        return _Refusal(status)

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """See aiohttp: an answer is on its way to the client."""
        if not resp.prepared:
            resp.set_status(resp.status, reason="")
        return await super().finish_response(request, resp, start_time)


async def expected(request: web.Request) -> web.StreamResponse | None:
    """What a route does with `Expect`: the client hears that it may go on, or that there is no such thing."""
    if request.headers.get(hdrs.EXPECT, "").casefold() != "100-continue":
        return web.Response(status=417)
    if request.transport is not None and request.version >= HttpVersion11:  # older ones know no such answer
        request.transport.write(CONTINUE)
    return None


def page(status: int, what: str) -> str:
    """An answer for people."""
    return _PAGE.format(status=status, what=what)


class _Refusal(web.StreamResponse):
    """An answer to what is no request, which no application sees; so nobody could take `Server` away from it."""

    def __init__(self, status: int) -> None:
        super().__init__(status=status)
        self.force_close()

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        body = page(self.status, "Bad Request").encode()
        lines = (
            f"HTTP/1.1 {self.status} ",
            "Content-Type: text/html;charset=utf-8",
            f"Content-Length: {len(body)}",
            f"Date: {formatdate(usegmt=True)}",
            "Connection: close",
            "",
            "",
        )
        if request.transport is not None:
            request.transport.write("\r\n".join(lines).encode() + body)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        del data
