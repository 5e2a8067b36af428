"""OpenSSL's command line as a second opinion: it verifies what was made here, and makes what comes from outside."""

import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ucmlab.node.certificates import pem


def openssl(*arguments: str | Path, stdin: bytes = b"") -> str:
    """Run it, and return what it said on both outputs; that it fails is an error."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=False, timeout=30)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, said
    return said


def verify(folder: Path, leaf: bytes, *, roots: bytes, above: bytes = b"", at: datetime, crls: bytes = b"") -> str:
    """Verify a chain (all PEM) at an instant, whatever hash its signatures have."""
    paths = {"leaf": leaf, "roots": roots, "above": above, "crls": crls}
    for name, content in paths.items():
        (folder / f"{name}.pem").write_bytes(content)
    options: list[str | Path] = ["-auth_level", "0", "-attime", str(int(at.timestamp()))]
    options += ["-CAfile", folder / "roots.pem"]
    options += ["-untrusted", folder / "above.pem"] if above else []
    options += ["-crl_check", "-CRLfile", folder / "crls.pem"] if crls else []
    return openssl("verify", *options, folder / "leaf.pem")


def hashes_of(folder: Path, ders: Sequence[bytes]) -> list[str | None]:
    """The hash of each certificate's subject; None, it cannot read it. One run for all: `openssl rehash` links them."""
    for number, der in enumerate(ders):
        (folder / f"{number}.pem").write_text(pem(der))
    # That some cannot be read makes it fail at the end, when all others are linked.
    subprocess.run(["openssl", "rehash", str(folder)], capture_output=True, check=False, timeout=60)
    found = {str(path.readlink()): path.name.partition(".")[0] for path in folder.iterdir() if path.is_symlink()}
    return [found.get(f"{number}.pem") for number in range(len(ders))]


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("-newkey", "rsa:2048")


def new_request(
    folder: Path, *options: str, subject: str = "/C=US/O=Lab/CN=pub.lab.test", key: Sequence[str] = EC
) -> bytes:
    """What `openssl req -new` makes for a new key, PEM."""
    request = folder / "request.csr"
    options = (*key, "-nodes", "-keyout", str(folder / "request.key"), *options)
    openssl("req", "-new", "-subj", subject, "-out", request, *options)
    return request.read_bytes()
