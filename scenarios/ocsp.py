"""An OCSP responder in a story's hands: how it is, and who asked."""

from collections.abc import Sequence

from ucmlab.cluster.ca.authority import pem_of
from ucmlab.cluster.ca.responder import REFUSALS, Query, Responder
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.port import ServedResponder
from ucmlab.node.instant import duration


class Ocsp:
    """An OCSP responder of a story's CA, somewhere outside the cluster."""

    def __init__(self, responder: Responder, served: ServedResponder) -> None:
        self._responder = responder
        self._served = served

    @property
    def url(self) -> str:
        """Where it is asked."""
        return self._served.url

    @property
    def crl_url(self) -> str:
        """Where the CRL of its CA is fetched."""
        return self._served.crl_url

    @property
    def signer_pem(self) -> bytes:
        """The certificate of who signs its answers, as `upload` takes it."""
        return pem_of([self._responder.signer.certificate])

    @property
    def queries(self) -> Sequence[Query]:
        """What it was asked so far, a certificate each; requests that it refused are not among them."""
        return tuple(self._responder.queries)

    async def start(self) -> None:
        """Be up, and as it should be."""
        self._responder.stale, self._responder.refuses = False, ""
        await self._served.start()

    async def stop(self) -> None:
        """Be down: who connects is refused."""
        await self._served.stop()

    async def slow(self, delay: str | None) -> None:
        """Take so long for each answer, as in `30s` of lab time; None: never answer."""
        await self._served.slow(None if delay is None else duration(delay))

    async def stale(self) -> None:
        """Give answers that counted until a week ago."""
        self._responder.stale = True

    async def refuse(self, word: str = "unauthorized") -> None:
        """Refuse every request: `unauthorized`, `try_later`, `internal_error` or `sig_required`.

        Raises:
            Unusable: there is no such refusal.
        """
        if word not in REFUSALS:
            raise Unusable(f"no responder refuses with {word!r}; there are {', '.join(REFUSALS)}")
        self._responder.refuses = word
