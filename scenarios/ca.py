"""A story's own certification authorities. Their keys never leave this module; a leaf's goes to who presents it.

What acts is awaited; what reads is a plain call. Every certificate and CRL is of the lab's time, and the same in every
run of a seed in the simulation.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ucmlab.cluster.ca.authority import Authority, der_of, encoding_of, pem_of, pkcs7_of
from ucmlab.cluster.ca.keys import KeySource, PrivateKey, check_kind
from ucmlab.cluster.ca.office import Books, Office, Serials, open_root
from ucmlab.cluster.ca.requests import SERVER_EXTENDED_KEY_USAGE, SERVER_KEY_USAGE, read_request, server_request
from ucmlab.cluster.ca.responder import Responder, make_signer
from ucmlab.cluster.ca.revocations import UNSPECIFIED
from ucmlab.cluster.ca.terms import Terms
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.port import ServedResponder
from ucmlab.node.certificates import parse
from ucmlab.node.errors import Refusal
from ucmlab.scenarios.ocsp import Ocsp


class Chained:
    """A certificate with the chain above it."""

    def __init__(self, chain: tuple[x509.Certificate, ...]) -> None:
        self._chain = chain

    @property
    def pem(self) -> bytes:
        """The certificate alone in PEM, as `upload` takes it."""
        return pem_of(self._chain[:1])

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self._chain[0].public_bytes(Encoding.DER)

    @property
    def chain_pem(self) -> bytes:
        """The certificate and all above it, the root last, in PEM."""
        return pem_of(self._chain)

    @property
    def fingerprint(self) -> str:
        """Lower-case hex SHA-256 of the DER."""
        return hashlib.sha256(self.der).hexdigest()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {parse(self.der).common_name} {self.fingerprint[:12]}>"


class Leaf(Chained):
    """A certificate that a story's CA issued. Its key is there if it was made here (`CA.issue`)."""

    def __init__(self, chain: tuple[x509.Certificate, ...], key: PrivateKey | None = None) -> None:
        super().__init__(chain)
        self._key = key

    def alone(self) -> "Leaf":
        """The same without what is above it: whoever presents it sends no issuers, and others must have them."""
        return Leaf(self._chain[:1], self._key)

    def _presented(self) -> tuple[tuple[bytes, ...], bytes]:
        if self._key is None:
            raise Unusable(
                f"the key of {self} is not here, so nobody can present it; `CA.issue` makes one with its key"
            )
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return tuple(map(der_of, self._chain)), key


class CA(Chained):
    """A certification authority: a root, or below another."""

    def __init__(self, office: Office, founder: "Founder") -> None:
        super().__init__(office.authority.chain)
        self._office = office
        self._founder = founder
        self._responder_url = ""

    @property
    def name(self) -> str:
        """The common name."""
        return parse(self.der).common_name

    async def sign(
        self,
        csr: bytes,
        *,
        drop_key_usage: Iterable[str] = (),
        add_key_usage: Iterable[str] = (),
        eku: Iterable[str] | None = None,
        san: Iterable[str] | None = None,
        ocsp: str | None = None,
        hash: str = "sha256",  # noqa: A002  design 7.3 spells it so
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Leaf:
        """Sign a request. Without options the certificate has what was asked for, as far as this CA honours that.

        Args:
            csr: PKCS#10, PEM or DER.
            drop_key_usage: words like `dataEncipherment`.
            add_key_usage: the same.
            eku: these extended key usages instead, words like `serverAuth` or object identifiers; empty: none.
            san: these names and addresses instead; empty: none.
            ocsp: the URI of the responder that it names; empty: as asked. This CA's own, if it has opened one.
            hash: `sha256`, …; also `sha1` and `md5`.
            not_before: a day ago, if not said.
            not_after: in two years, or when this CA ends.

        Raises:
            Unusable: it is no request, or an option cannot be.
        """
        terms = Terms.of(
            honours_request=self._office.honours_request,
            drop_key_usage=drop_key_usage,
            add_key_usage=add_key_usage,
            eku=eku,
            san=san,
            ocsp=self._responder_named(ocsp),
            digest=hash,
        )
        try:
            request = read_request(csr)
        except Refusal as refusal:
            raise Unusable(f"{self.name} does not sign this, {refusal.reason}: {refusal.text}") from refusal
        return self._leaf(self._office.sign(request, terms, not_before=not_before, not_after=not_after))

    async def issue(
        self,
        name: str,
        *,
        key: str = "rsa-2048",
        key_usage: Iterable[str] = SERVER_KEY_USAGE,
        eku: Iterable[str] = SERVER_EXTENDED_KEY_USAGE,
        san: Iterable[str] | None = None,
        ocsp: str | None = None,
        hash: str = "sha256",  # noqa: A002  as above
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Leaf:
        """Make a key and a certificate for a server outside the cluster; `san` is its name alone, if not said.

        `ocsp` is as for `sign`.

        Raises:
            Unusable: an option cannot be.
        """
        private = self._founder.key(key)
        request = server_request(name, private.public_key(), key_usage=key_usage, eku=eku, san=san)
        terms = Terms.of(ocsp=self._responder_named(ocsp), digest=hash)
        made = self._office.sign(request, terms, not_before=not_before, not_after=not_after)
        return self._leaf(made, private)

    async def cross_sign(
        self,
        other: "CA",
        *,
        hash: str = "sha256",  # noqa: A002  as above
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> "CA":
        """Vouch for another CA: what comes back is that CA (its name, key and books) below this one.

        Raises:
            Unusable: the other is this one, or an option cannot be.
        """
        made = self._office.cross_sign(
            other._office.authority,  # noqa: SLF001  its own class
            digest=hash,
            not_before=not_before,
            not_after=not_after,
        )
        return self._founder.crossed(made, other, by=self)

    def pkcs7(self, *certificates: Chained, encoding: str = "pem") -> bytes:
        """Certificates as PKCS#7, in `pem` or `der`; without any, this CA and all above it.

        Raises:
            Unusable: there is no such encoding.
        """
        named = [x509.load_der_x509_certificate(each.der) for each in certificates]
        return pkcs7_of(named or self._chain, encoding)

    async def revoke(self, certificate: Chained, reason: str = UNSPECIFIED) -> None:
        """Revoke a certificate that this CA issued; `certificateHold` can be lifted.

        Raises:
            Unusable: it issued no such certificate, it is revoked already, or there is no such reason.
        """
        self._office.revoke(self._serial(certificate), reason)

    async def unhold(self, certificate: Chained) -> None:
        """Lift a hold.

        Raises:
            Unusable: it issued no such certificate, or that is not on hold.
        """
        self._office.unhold(self._serial(certificate))

    def crl(self, *, encoding: str = "pem") -> bytes:
        """The list of what is revoked now, in `pem` or `der`.

        Raises:
            Unusable: there is no such encoding.
        """
        return self._office.crl().public_bytes(encoding_of(encoding))

    async def responder(self, signer: str = "ca") -> Ocsp:
        """Open an OCSP responder, which answers from this CA's books and is up at once.

        Certificates that this CA issues from then on name it.

        Args:
            signer: who signs its answers: `ca` itself; `delegated`, a certificate of this CA for that purpose;
                `undelegated`, one without the attribute for it; `unrelated`, one that signed itself.

        Raises:
            Unusable: there is no such signer.
        """
        opened = await self._founder.opened_responder(self._office, signer)
        self._responder_url = opened.url
        return opened

    def _responder_named(self, given: str | None) -> str:
        return self._responder_url if given is None else given

    def _leaf(self, certificate: x509.Certificate, key: PrivateKey | None = None) -> Leaf:
        leaf = Leaf((certificate, *self._chain), key)
        self._founder.record(f"ca:{self.name}/{parse(leaf.der).common_name}", leaf.der)
        return leaf

    def _serial(self, certificate: Chained) -> str:
        read = parse(certificate.der)
        # Serial numbers are an issuer's own: another CA's may be the same.
        if read.issuer != parse(self.der).subject:
            raise Unusable(f"{certificate} was not issued by {self.name}, so it cannot revoke or release it")
        return read.serial


def presented(leaf: Leaf) -> tuple[tuple[bytes, ...], bytes]:
    """What a server has that presents this leaf: the certificate and all above it (DER), and its key (PEM).

    Raises:
        Unusable: its key is not here.
    """
    return leaf._presented()  # noqa: SLF001  of the same module


class Founder:
    """Founds a story's CAs: where keys come from, the lab's clock, the seed, and who writes down what is made."""

    def __init__(
        self,
        *,
        keys: KeySource,
        now: Callable[[], datetime],
        seed: int,
        record: Callable[[str, bytes], None],
        serve: Callable[[str, Responder], Awaitable[ServedResponder]],
    ) -> None:
        self._keys = keys
        self._now = now
        self._seed = seed
        self._founded: dict[str, int] = {}
        self._serve = serve
        self._opened_responders = 0
        self.record = record

    async def opened_responder(self, office: Office, signer: str) -> Ocsp:
        """Open a responder; see `CA.responder`.

        Raises:
            Unusable: there is no such signer, or no place for it.
        """
        self._opened_responders += 1
        number = self._opened_responders
        responder = Responder(office, make_signer(signer, office, lambda: self.key("rsa-2048"), serial=number))
        if signer != "ca":
            self.record(f"ocsp:{number}", der_of(responder.signer.certificate))
        return Ocsp(responder, await self._serve(f"ocsp{number}", responder))

    def key(self, kind: str) -> PrivateKey:
        """A new key.

        Raises:
            Unusable: there is no such kind.
        """
        check_kind(kind)
        return self._keys(kind)

    def found(
        self,
        name: str,
        *,
        parent: CA | None,
        key: str,
        digest: str,
        not_before: datetime | None,
        not_after: datetime | None,
        honours_request: bool,
    ) -> CA:
        """Found a CA; see `Lab.ca`.

        Raises:
            Unusable: an option cannot be.
        """
        number = self._founded[name] = self._founded.get(name, 0) + 1
        serials, private = self._serials(name, number), self.key(key)
        if parent is None:
            office = open_root(
                name,
                private,
                Books(),
                now=self._now,
                serials=serials,
                digest=digest,
                not_before=not_before,
                not_after=not_after,
            )
        else:
            above = parent._office  # noqa: SLF001  of the same module
            made = above.subordinate(name, private, digest=digest, not_before=not_before, not_after=not_after)
            office = Office(made, Books(), now=self._now, serials=serials)
        office.honours_request = honours_request
        return self._opened(office, f"ca:{name}")

    def crossed(self, authority: Authority, other: CA, *, by: CA) -> CA:
        """The other CA as it stands below a new issuer: it keeps its books, as its key and name are the same."""
        known = other._office  # noqa: SLF001  as above
        return self._opened(known.moved(authority), f"ca:{by.name}/{other.name}")

    def _opened(self, office: Office, origin: str) -> CA:
        made = CA(office, self)
        self.record(origin, made.der)
        return made

    def _serials(self, name: str, number: int) -> Serials:
        """Numbers that follow from the seed, the CA and the how-manieth certificate it is; 16 bytes at most."""

        def serial(count: int) -> int:
            text = f"{self._seed}/{name}/{number}/{count}"
            return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]) | 1

        return serial
