"""`ucmlab ca responder` as a process, asked by OpenSSL as a person would."""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509

from tests.openssl import EC, new_request, openssl
from ucmlab.cluster.outside.asking import Asking
from ucmlab.node.commands import FetchCrl

PATIENCE = 60.0
COMMAND = (sys.executable, "-m", "ucmlab.scenarios", "ca")
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


async def ca(folder: Path, *arguments: str, fails: bool = False) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, "--folder", str(folder), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert (process.returncode == 0) is not fails, err.decode()
    return err if fails else out


@asynccontextmanager
async def running(folder: Path, *options: str) -> AsyncIterator[Mapping[str, str]]:
    arguments = ("responder", "--listen", "127.0.0.1:0", "--json", "--folder", str(folder), *options)
    process = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            told = json.loads(await process.stdout.readline())
        yield told
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def asked(url: str, root: Path, leaf: Path, *options: str) -> str:
    arguments: tuple[str | Path, ...] = ("ocsp", "-url", url, "-issuer", root, "-cert", leaf, "-CAfile", root, *options)
    return await asyncio.to_thread(openssl, *arguments)


async def test_it_answers_from_the_books_as_they_are_and_serves_the_crl(tmp_path: Path) -> None:
    folder, root, leaf, signer = (tmp_path / name for name in ("cas", "root.pem", "leaf.pem", "signer.pem"))
    root.write_bytes(await ca(folder, "new", "Corp Root CA", "--key", "ec-256"))
    request = tmp_path / "asked.csr"
    request.write_bytes(new_request(tmp_path, key=EC))
    async with running(folder, "--signer", "delegated", "-o", str(signer)) as told:
        assert (told["ca"], told["signer"]) == ("Corp Root CA", "delegated")
        leaf.write_bytes(await ca(folder, "sign", str(request), "--ocsp", told["url"]))
        made = x509.load_pem_x509_certificate(leaf.read_bytes())
        access = made.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        assert [each.access_location.value for each in access] == [told["url"]]
        assert "leaf.pem: good" in await asked(told["url"], root, leaf)
        await ca(folder, "revoke", str(leaf), "--reason", "certificateHold")
        said = await asked(told["url"], root, leaf)
        assert "leaf.pem: revoked" in said
        assert "Reason: certificateHold" in said
        crl = await Asking("nobody").fetch_crl(FetchCrl("c", told["crl"]))
        assert [each.serial_number for each in x509.load_der_x509_crl(crl.crl)] == [made.serial_number]
        await ca(folder, "unhold", str(leaf))
        assert "leaf.pem: good" in await asked(told["url"], root, leaf)
        assert b"BEGIN CERTIFICATE" in signer.read_bytes()
        port = told["url"].rpartition(":")[2]
        refused = await ca(folder, "responder", "--listen", f"127.0.0.1:{port}", fails=True)
        assert f"port {port} of 127.0.0.1 is taken; choose another with --listen" in refused.decode()


async def test_it_refuses_and_is_stale_as_told(tmp_path: Path) -> None:
    folder, root = tmp_path / "cas", tmp_path / "root.pem"
    root.write_bytes(await ca(folder, "new", "Corp Root CA", "--key", "ec-256"))
    async with running(folder, "--refuse", "unauthorized") as told:
        with pytest.raises(AssertionError, match="unauthorized"):
            await asked(told["url"], root, root)
    async with running(folder, "--stale", "--slow", "0.001") as told:
        assert "WARNING: Status times invalid" in await asked(told["url"], root, root)


@pytest.mark.parametrize("listen", ["", "2560", "127.0.0.1:x", "127.0.0.1:70000"])
async def test_a_place_to_listen_that_is_none(tmp_path: Path, listen: str) -> None:
    said = await ca(tmp_path, "responder", "--listen", listen, fails=True)
    assert "is no place to listen; write it like 127.0.0.1:2560" in said.decode()


async def test_a_uri_that_is_none(tmp_path: Path) -> None:
    await ca(tmp_path / "cas", "new", "Corp Root CA", "--key", "ec-256")
    request = tmp_path / "asked.csr"
    request.write_bytes(new_request(tmp_path, key=EC))
    for uri in ("ftp://x", "http://", "http://[", "http://a b", "http://x:99999"):
        said = await ca(tmp_path / "cas", "sign", str(request), "--ocsp", uri, fails=True)
        assert "is no address of an OCSP responder; write it like http://127.0.0.1:2560" in said.decode()
