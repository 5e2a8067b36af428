"""Ends of real TLS connections that say why they end a handshake, as the product's do: with an alert.

asyncio closes a connection whose handshake failed and drops what OpenSSL still had to say, so the other end would be
told nothing. Here a handshake that failed looks unfinished to asyncio: it sends the alert, and waits for the other end
to go or for the time of handshakes to be over.
"""

import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

from ucmlab.cluster.tls_peers import hear_chains
from ucmlab.node.handshake import Shown

HANDSHAKE_S = 10.0
"""Machine time for a client to come to the end of its handshake."""
Tell = Callable[[ssl.SSLError], None]
_TELL: ContextVar[Tell] = ContextVar("tell")
"""Contexts are shared by connections; what asyncio calls for a connection runs in the context of its task."""
_HEAR: ContextVar[Callable[[Shown], None]] = ContextVar("hear")


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


def speak_as_the_product(context: ssl.SSLContext, *, hears: bool = False) -> None:
    """Have connections of a context do so, in TLS 1.2 at most; they must be made inside of `told`.

    1.3 comes with 15SU2, and with it a client would not hear that its certificate was refused.

    Args:
        context: of a node's, or of a server outside.
        hears: whether they tell what the other end presents, before OpenSSL has judged it.
    """
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class = _Outspoken
    if hears:
        hear_chains(context, lambda _connection, shown: _HEAR.get()(shown))


@contextmanager
def told(tell: Tell, hear: Callable[[Shown], None] = lambda shown: None) -> Generator[None]:
    """Connections that are made inside tell what becomes of their handshakes, at once.

    Args:
        tell: hears why this end has ended it; it must not raise.
        hear: hears what the other end presented; nor must this.
    """
    before = _TELL.set(tell), _HEAR.set(hear)
    try:
        yield
    finally:
        _TELL.reset(before[0])
        _HEAR.reset(before[1])
