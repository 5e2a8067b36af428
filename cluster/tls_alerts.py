"""Ends of real TLS connections that say why they end a handshake, as the product's do: with an alert.

asyncio closes a connection whose handshake failed and drops what OpenSSL still had to say, so the other end would be
told nothing. Here a handshake that failed looks unfinished to asyncio: it sends the alert, and waits for the other end
to go or for the time of handshakes to be over.
"""

import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

Tell = Callable[[ssl.SSLError], None]
_TELL: ContextVar[Tell] = ContextVar("tell")
"""Contexts are shared by connections; what asyncio calls for a connection runs in the context of its task."""


class _Outspoken(ssl.SSLObject):
    """One end."""

    _trouble: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """See `ssl`."""
        if self._trouble is not None:
            raise self._trouble  # the other end goes on all the same
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if "ALERT" in (error.reason or ""):
                raise  # the other end has said it
            self._trouble = error
            _TELL.get()(error)
            raise ssl.SSLWantReadError from error


def say_why(context: ssl.SSLContext) -> None:
    """Have connections of a context do so; they must be made inside of `told`."""
    context.sslobject_class = _Outspoken


@contextmanager
def told(tell: Tell) -> Generator[None]:
    """Connections that are made inside tell why this end has ended their handshake, at once; it must not raise."""
    before = _TELL.set(tell)
    try:
        yield
    finally:
        _TELL.reset(before)
