"""Malformed requests by the thousand to a real node's web interfaces: it goes on, does not grow, and serves others."""

import base64
import itertools
import json
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import psutil
import pytest

from tests.integration.test_cli_lab import CommandLine
from tests.integration.test_rest_real import Api
from tests.integration.test_soap_real import control
from tests.soak_sizes import MALFORMED, TIMEOUT_S
from tests.unit.cluster.test_soap_messages import BOMB, OUTSIDE, enveloped
from ucmlab.cluster.admin import rest, soap

pytestmark = [pytest.mark.soak, pytest.mark.slow, pytest.mark.timeout(TIMEOUT_S)]

PATIENCE_S = 10.0
PLACE = "<password>"
GROUP = 500
"""Requests between two looks at the node."""
GREW = 8 << 20
"""Bytes that the process may be larger at the end than it ever was in the first half.

A thousand requests leave 50 MB of cycles behind, until the collector comes to the old ones; then it is a plateau.
"""
SERVED_WITHIN_S = 5.0
Tell = Callable[[str, object], None]
BODIES = (
    b"",
    b"{",
    b"[" * 5_000,
    b'{"service": ' + b"9" * 5_000 + b"}",
    json.dumps({"service": "tomcat", "altNames": ["*." * 200]}).encode(),
    json.dumps({"service": ["tomcat"] * 200, "certificates": ["-----BEGIN CERTIFICATE-----\n"] * 50}).encode(),
    json.dumps({"service": "tomcat", "certificates": [base64.b64encode(bytes(3_000)).decode()]}).encode(),
    json.dumps({"service": "\ud800", "action": None}).encode(),
    enveloped(control("Restart", "Cows" * 50)),
    enveloped("<a>" * 2_000),
    BOMB.encode(),
    OUTSIDE.encode(),
    b"\xff\xfe<\0a\0/\0>\0",
)
PATHS = (
    *(
        f"{rest.BASE}{path}"
        for path in ("/csr", "/identity/certificates", "/trust/certificates", "/services", "/nothing")
    ),
    f"{rest.BASE}/trust/certificate?service=%00&filename=../../private",
    f"{soap.BASE}/ControlCenterServices",
    f"{soap.BASE}/ControlCenterServicesEx",
    "/",
    "/" + "a" * 9_000,
)
FRAMES = (
    "{method} {path} HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: {length}\r\n\r\n",
    "{method} {path} HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: {length}9\r\n\r\n",
    "{method} {path} HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: -1\r\n\r\n",
    "{method} {path} HTTP/1.1\r\nHost: x\r\n{auth}Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "{method} {path} HTTP/9.9\r\n{auth}\r\n",
    "{method} {path} HTTP/1.1\r\nHost: x\r\n{auth}X: " + "y" * 9_000 + "\r\nContent-Length: {length}\r\n\r\n",
    "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic !!!\r\nContent-Length: {length}\r\n\r\n",
    "{method}\0{path}\r\n\r\n",
)


def requests(api: Api, seed: int) -> Iterator[bytes]:
    """Without end: made of parts that are wrong each in its way, some with octets changed besides."""
    random = Random(seed)
    password = base64.b64encode(":".join(api.account).encode()).decode()
    while True:
        body = random.choice(BODIES)
        # Half of them are well framed, so that what is inside is looked at.
        frame = (FRAMES[0] if random.random() < 0.5 else random.choice(FRAMES)).format(
            method=random.choice(("GET", "POST", "PUT", "DELETE", "PRI", "")),
            path=random.choice(PATHS),
            auth=PLACE if random.random() < 0.8 else "",
            length=len(body),
        )
        made = bytearray(frame.encode() + body)
        if random.random() < 0.3:
            for _ in range(random.randint(1, 8)):
                made[random.randrange(len(made))] = random.randrange(256)
        # Behind the changes: wrong passwords lock the account, and then nothing further is reached.
        yield bytes(made).replace(PLACE.encode(), f"Authorization: Basic {password}\r\n".encode())


class Line:
    """A connection that is made anew whenever the other end has had enough."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._context = ssl.create_default_context()
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE

    def say(self, data: bytes) -> str:
        """The status of the first answer; empty when the connection ended without one."""
        with closing(socket.create_connection((self._address, 443), PATIENCE_S)) as raw:
            try:
                with self._context.wrap_socket(raw) as wire:
                    wire.sendall(data)
                    # Half a request would be waited for: nothing more comes.
                    wire.settimeout(0.05)
                    return wire.recv(64).partition(b"\r\n")[0].decode(errors="replace")
            except (OSError, ssl.SSLError):
                return ""


def test_malformed_requests_neither_end_it_nor_make_it_grow(tmp_path: Path, record_property: Tell) -> None:
    lab = CommandLine(tmp_path)
    lab.must("up", "--detach", "--nodes", "pub")
    try:
        api = Api(lab, "pub")
        process = psutil.Process(lab.json("dump")["nodes"]["pub"]["pid"])
        statuses, slowest = Counter[str](), 0.0
        sizes: list[int] = []
        line, made = Line(api.address), requests(api, 1)
        for _ in range(MALFORMED // GROUP):
            for request in itertools.islice(made, GROUP):
                statuses[line.say(request)] += 1
            began = time.monotonic()
            assert api.get("/snapshot/server")["server"] == "pub"
            slowest = max(slowest, time.monotonic() - began)
            sizes.append(process.memory_info().rss)
        record_property("requests", sum(statuses.values()))
        record_property("answers", dict(statuses.most_common(6)))
        most = max(sizes[: len(sizes) // 2])
        record_property("most in the first half, at the end, MB", (round(most / 1e6, 1), round(sizes[-1] / 1e6, 1)))
        record_property("slowest honest answer, s", round(slowest, 3))
        assert lab.json("dump")["nodes"]["pub"]["pid"] == process.pid
        assert sizes[-1] - most < GREW
        assert slowest < SERVED_WITHIN_S
        assert process.num_fds() < 100
        log = (lab.home / "logs" / "supervisor.log").read_text()
        assert "Traceback" not in log
    finally:
        lab.run("down")
