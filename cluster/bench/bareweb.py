"""A bare aiohttp server over TLS, the floor of figure `web`: `python -m ucmlab.cluster.bench.bareweb PEM PORT OCTETS`.

It answers everything with so many octets, after it has put what came with a POST into a file and synced that.
"""

import itertools
import os
import ssl
import sys
from pathlib import Path

from aiohttp import web


def main(pem: str, port: str, octets: str) -> None:
    """Serve until killed."""
    content, folder, numbers = b"x" * int(octets), Path(pem).parent, itertools.count()

    async def answer(request: web.Request) -> web.Response:
        came = await request.read()
        if came:
            with folder.joinpath(f"bare{next(numbers)}").open("wb") as file:
                file.write(came)
                file.flush()
                os.fsync(file.fileno())
        return web.Response(body=content, content_type="application/json")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # as the product's listeners
    context.load_cert_chain(pem)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    web.run_app(application, host="127.0.0.1", port=int(port), ssl_context=context, print=None, access_log=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
