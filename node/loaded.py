"""A service's own copy of certificates: what it presents and trusts from its start on (domain.md 0.3, fact 5; R-155).

A certificate on disk is not a certificate in use. What a `Loaded` holds are the bytes as they were when they were taken
up (`ucmlab.node.loading`); nothing here ever looks at files.
"""

import msgspec

from ucmlab.node.listeners import Endpoint, Listener


class Loaded(msgspec.Struct, frozen=True):
    """What a service took up at its start, and renewed since where it does that by itself (`Loader.renew`)."""

    chains: dict[str, tuple[bytes, ...]] = {}
    """Identity unit to its certificate and its issuers, as far as they were there, DER."""
    fingerprints: dict[str, str] = {}
    """Of the certificates, by unit."""
    trusted: dict[str, tuple[bytes, ...]] = {}
    """Trust unit to certificates."""
    hidden: frozenset[str] = frozenset()
    """Identity units that are not shown where HTTPS Ciphers rules, as it stood then (R-009, R-010)."""
    listeners: tuple[Listener, ...] = ()

    def endpoints(self) -> tuple[Endpoint, ...]:
        """What is open for the service."""
        return tuple(map(self.endpoint, self.listeners))

    def endpoint_named(self, name: str) -> Endpoint | None:
        """The one of a name; None: it is not open."""
        return next((self.endpoint(listener) for listener in self.listeners if listener.name == name), None)

    def endpoint(self, listener: Listener) -> Endpoint:
        """One of its listeners."""
        units = [unit for unit in listener.presents if unit in self.chains]
        if listener.ciphers == "https":
            units = [unit for unit in units if unit not in self.hidden]
        return Endpoint(
            name=listener.name,
            port=listener.port,
            speaks=listener.speaks,
            chains={unit: self.chains[unit] for unit in units},
            client=listener.client,
            trusted=tuple(dict.fromkeys(der for unit in listener.trusts for der in self.trusted.get(unit, ()))),
        )


NOTHING = Loaded()
