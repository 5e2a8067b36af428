"""What the product's listeners say inside a connection, as far as certificates are concerned.

The website is `ucmlab.cluster.admin`'s; other HTTP (the files of TFTP): whatever is asked for is not found.
SIP: OPTIONS, with which trunks and monitors ask whether somebody is there, is answered; nothing else is understood.
Where what is said is not public (TVS, CAPF, CTI), a connection only stands until its client has had enough, or has been
silent for too long.
"""

import asyncio

from ucmlab.node.listeners import Speaks

HEAD_LIMIT = 16 * 1024
"""Octets of a request's head."""
IDLE_S = 60.0
"""Machine time after which a silent client is let go."""
_NOT_FOUND = b"<!doctype html><html><head><title>HTTP Status 404 \xe2\x80\x93 Not Found</title></head></html>"
_HTTP = b"HTTP/1.1 404 \r\nContent-Type: text/html;charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
_ECHOED = (b"via", b"from", b"to", b"call-id", b"cseq")
"""Headers of a SIP request that its answer repeats (RFC 3261, 8.2.6.2)."""
OPTIONS = (
    b"OPTIONS sip:ucmlab SIP/2.0\r\nVia: SIP/2.0/TLS ucmlab;branch=z9hG4bK0\r\nMax-Forwards: 0\r\n"
    b"From: <sip:ucmlab>;tag=0\r\nTo: <sip:ucmlab>\r\nCall-ID: 0\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
"""What a client says to see whether it was let in."""
GET = b"GET / HTTP/1.1\r\nHost: ucmlab\r\nConnection: close\r\n\r\n"


async def speak(kind: Speaks, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client until it goes, is silent for too long, or says what nobody understands.

    Raises:
        OSError: the connection broke.
        asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError: it ended so.
    """
    while True:
        async with asyncio.timeout(IDLE_S):
            if not kind:
                if not await reader.read(HEAD_LIMIT):
                    return
                continue
            head = await reader.readuntil(b"\r\n\r\n")
            answer = _http(head) if kind == "http" else _sip(head)
            if answer:
                writer.write(answer)
                await writer.drain()  # who asks and asks and never listens is silent as well
        if kind == "http" or not answer:
            return


def _http(head: bytes) -> bytes:
    body = b"" if head.startswith(b"HEAD ") else _NOT_FOUND
    return _HTTP % (len(_NOT_FOUND), body)


def _sip(head: bytes) -> bytes:
    first, *headers = head.split(b"\r\n")
    if not first.endswith(b" SIP/2.0"):
        return b""
    status = b"200 OK" if first.startswith(b"OPTIONS ") else b"405 Method Not Allowed"
    kept = (line for line in headers if line.partition(b":")[0].strip().lower() in _ECHOED)
    return b"\r\n".join((b"SIP/2.0 " + status, *kept, b"Allow: OPTIONS", b"Content-Length: 0", b"", b""))
