"""Somebody else's CA, for tests: OpenSSL makes it, and signs with it."""

from pathlib import Path

from tests.openssl import RSA, openssl


class Authority:
    """A root and an issuing CA that know nothing of ucmlab: `openssl req -x509` and `openssl x509 -req`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.root, self.issuing = folder / "root.pem", folder / "issuing.pem"
        new = ("-nodes", "-keyout", folder / "root.key", "-days", "3000", "-subj", f"/CN={name} Root")
        openssl("req", "-x509", *RSA, *new, "-addext", "basicConstraints=critical,CA:TRUE", "-out", self.root)
        below = ("-nodes", "-keyout", folder / "issuing.key", "-subj", f"/CN={name} Issuing")
        openssl("req", "-new", *RSA, *below, "-out", folder / "issuing.csr")
        self._signed(folder / "issuing.csr", self.issuing, by="root", extensions="basicConstraints=critical,CA:TRUE")

    def sign(self, csr: Path, *options: str) -> Path:
        """As administrators do it who have OpenSSL and no CA product: the request's own extensions are copied."""
        leaf = csr.with_suffix(".pem")
        self._signed(csr, leaf, *options, by="issuing", extensions="authorityKeyIdentifier=keyid")
        return leaf

    def _signed(self, csr: Path, into: Path, *options: str, by: str, extensions: str) -> None:
        (self.folder / "extensions").write_text(extensions + "\n")
        issuer = ("-CA", self.folder / f"{by}.pem", "-CAkey", self.folder / f"{by}.key", "-CAcreateserial")
        copied = ("-copy_extensions", "copyall", "-extfile", self.folder / "extensions")
        openssl("x509", "-req", "-in", csr, *issuer, *copied, *options, "-days", "700", "-sha256", "-out", into)
