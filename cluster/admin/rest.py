"""The certificate management API of the platform (wire-interfaces 1), as an aiohttp application.

    GET    /snapshot/server                    everything of this node
    GET    /options  /snapshot/options         what requests may ask for
    POST   /csr                                a signing request
    POST   /identity/certificates              a certificate that a CA made of it
    POST   /trust/certificates                 trust certificates
    GET    /identity/certificate  /identity/certificates  /trust/certificate      ?service=

Nothing public names the following; they are this project's own, and so is `openapi.json`:

    GET    /csr?service=   DELETE /csr?service=     the request that waits; away with it and its key
    POST   /identity/regenerate  /identity/selfsigned
    DELETE /trust/certificate?service=&filename=
    GET    /keys/authz   POST /keys/authz      checksums; a new signing key, on the publisher (R-129)
    GET    /services     POST /services        states; start, stop, restart

An operation belongs to the node that is addressed. Accounts are the platform's; privilege 0 only reads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from importlib.resources import files
from typing import TypeVar

from aiohttp import web

from ucmlab.cluster.admin import rest_answers as answers
from ucmlab.cluster.admin import rest_requests as requests
from ucmlab.cluster.admin.accounts import FULL, ORDINARY, READ
from ucmlab.cluster.admin.desk import Caller, Desk
from ucmlab.cluster.admin.rest_answers import Answer
from ucmlab.cluster.admin.rest_requests import Wrong
from ucmlab.cluster.admin.speaking import expected
from ucmlab.cluster.admin.website import CALLER, BadBody, Website, read_body, served_by
from ucmlab.node.commands import Reply
from ucmlab.node.csr import csr_pem
from ucmlab.node.events import AnyOperation, DeleteCsr, Regenerate, RegenerateAuthz, Upload

BASE = "/platformcom/api/v1/certmgr/config"
REALM = "CMPlatform Realm"
BODY_LIMIT = 1 << 20
"""Octets of a request's body."""
AUTHZ = "/keys/authz"
"""As on the command line, nothing for ordinary administrators (W3.1)."""
_Found = TypeVar("_Found")
_Method = Callable[[web.Request], Awaitable[Answer]]


class CertificateApi:
    """The API of one node."""

    def __init__(self, desk: Desk) -> None:
        """`desk` does the work."""
        self._desk = desk
        self._config = desk.config
        self._rules = desk.rulebook
        self._served_by = served_by(desk.rulebook)
        self._units = sorted(desk.rulebook.units_of(desk.config.role), key=lambda unit: unit.listed)

    def application(self, website: Website) -> web.Application:
        """The application, to be mounted at `BASE`."""
        application = web.Application(
            middlewares=[website.logged_in("platform", "rest", REALM, _sign_in)], client_max_size=BODY_LIMIT
        )
        for method, path, handle in self._routes():
            least = FULL if path == AUTHZ else READ if method == "GET" else ORDINARY
            answering = self._answering(handle, least)
            for each in (method, "HEAD") if method == "GET" else (method,):
                # [ASSUMED] with a slash at its end as well: some write it, and nobody means anything else by it.
                application.router.add_route(each, f"{path}{{end:/?}}", answering, expect_handler=expected)
        return application

    def _routes(self) -> Iterable[tuple[str, str, _Method]]:
        yield "GET", "/snapshot/server", self._snapshot
        yield "GET", "/snapshot/options", self._options
        yield "GET", "/options", self._options
        yield "GET", "/openapi.json", self._openapi
        yield "GET", "/csr", self._waiting_csr
        yield "POST", "/csr", self._make_csr
        yield "DELETE", "/csr", self._delete_csr
        yield "GET", "/identity/certificate", self._identity
        yield "GET", "/identity/certificates", self._identities
        yield "POST", "/identity/certificates", self._upload_identity
        yield "POST", "/identity/regenerate", self._regenerate
        yield "POST", "/identity/selfsigned", self._self_signed
        yield "GET", "/trust/certificate", self._trusted
        yield "POST", "/trust/certificates", self._upload_trust
        yield "DELETE", "/trust/certificate", self._delete
        yield "GET", AUTHZ, self._keys
        yield "POST", AUTHZ, self._new_signing_key
        yield "GET", "/services", self._services
        yield "POST", "/services", self._order

    def _answering(self, handle: _Method, least: int) -> Callable[[web.Request], Awaitable[web.Response]]:
        """What answers a request of somebody who has this privilege at least; else its body is not even read."""

        async def answer(request: web.Request) -> web.Response:
            caller: Caller = request[CALLER]
            if caller.account.privilege < least:
                found = answers.wrong(403, "permission", self._rules.refusal_text("permission"))
                return _response(found)
            try:
                found = await handle(request)
            except Wrong as error:
                found = error.answer
            return _response(found)

        return answer

    # -- what is there

    async def _snapshot(self, _: web.Request) -> Answer:
        desk = self._desk
        parts = await _read(lambda: (desk.identities(), desk.requests(), desk.trusted()))
        return Answer(
            200, {"trackingId": desk.track("rest"), **answers.snapshot(desk.config.name, self._units, *parts)}
        )

    async def _options(self, _: web.Request) -> Answer:
        return Answer(200, answers.options(self._rules, self._units, self._config.role))

    async def _openapi(self, _: web.Request) -> Answer:
        return Answer(200, requests.read_body(await _read(_described)))

    async def _identity(self, request: web.Request) -> Answer:
        unit = self._own_unit(request.query.get("service"), status=404)
        return Answer(200, answers.identity(unit, *await self._own()))

    async def _identities(self, request: web.Request) -> Answer:
        asked = request.query.get("service")
        units = [each.name for each in self._units if each.kind == "identity"]
        if asked is not None:
            units = [self._own_unit(asked, status=404)]
        made, waiting = await self._own()
        return Answer(200, {"certificates": [answers.identity(unit, made, waiting) for unit in units]})

    async def _trusted(self, request: web.Request) -> Answer:
        unit = self._trust_unit(request)
        found = answers.trusted(unit, await _read(lambda: self._desk.trusted(unit)))
        return Answer(200, {"service": unit.removesuffix("-trust"), "certificates": found})

    async def _waiting_csr(self, request: web.Request) -> Answer:
        unit = self._own_unit(request.query.get("service"), status=404)
        der = (await _read(self._desk.requests)).get(unit)
        if der is None:
            return answers.wrong(404, "csr_missing", f"no request of {unit} waits for its certificate")
        return Answer(200, {"service": unit, "csr": csr_pem(der)})

    async def _keys(self, _: web.Request) -> Answer:
        return Answer(200, {"keys": dict(await _read(self._desk.authz))})

    async def _services(self, _: web.Request) -> Answer:
        found = self._desk.status().services
        listed = [
            {"service": name, "state": each.state, "type": each.kind, "reason": each.reason, "pending": each.pending}
            for name, each in found.items()
        ]
        return Answer(200, {"services": listed})

    # -- what is changed

    async def _make_csr(self, request: web.Request) -> Answer:
        asked = requests.csr_of(self._rules, await _body(request), role=self._config.role, fqdn=self._config.fqdn)
        reply = await self._do(request, asked)
        if reply.outcome != "done":
            return answers.answered(reply, {})
        der = (await _read(self._desk.requests)).get(asked.unit)
        if der is None:  # somebody has deleted it since
            return answers.wrong(404, "csr_missing", f"no request of {asked.unit} waits for its certificate")
        distribution = "multi-server" if asked.multi_server else "this-server"
        done = {"service": asked.unit, "distribution": distribution, "csr": csr_pem(der)}
        return answers.answered(reply, done)

    async def _delete_csr(self, request: web.Request) -> Answer:
        unit = self._own_unit(request.query.get("service"), status=404)
        reply = await self._do(request, DeleteCsr("", unit))
        if reply.reason == "csr_missing":
            return answers.answered(reply, {}, status=404)  # what it names is not there, as for GET
        return answers.answered(reply, {"service": unit})

    async def _upload_identity(self, request: web.Request) -> Answer:
        body = await _body(request)
        unit = self._own_unit(body.get("service"))
        reply = await self._do(request, Upload("", unit, b"".join(requests.certificates(body))))
        return answers.answered(reply, {"service": unit})

    async def _upload_trust(self, request: web.Request) -> Answer:
        body = await _body(request)
        units = requests.trust_units(self._rules, body.get("service"), role=self._config.role)
        given, described = requests.certificates(body), requests.described(body)
        replies = [await self._do(request, Upload("", unit, data, described)) for unit in units for data in given]
        return answers.several(replies, {"service": [unit.removesuffix("-trust") for unit in units]})

    async def _regenerate(self, request: web.Request) -> Answer:
        unit = self._own_unit((await _body(request)).get("service"))
        return answers.answered(await self._do(request, Regenerate("", unit)), {"service": unit})

    async def _self_signed(self, request: web.Request) -> Answer:
        asked = requests.self_signed_of(
            self._rules, await _body(request), role=self._config.role, fqdn=self._config.fqdn
        )
        return answers.answered(await self._do(request, asked), {"service": asked.unit})

    async def _delete(self, request: web.Request) -> Answer:
        unit, name = self._trust_unit(request), request.query.get("filename", "")
        there = await _read(lambda: self._desk.trusted(unit))
        reply = await self._do(request, requests.delete_of(unit, name, there), file=name)
        return answers.answered(reply, {"service": unit.removesuffix("-trust"), "filename": name})

    async def _new_signing_key(self, request: web.Request) -> Answer:
        requests.check_signing_key(await _body(request))
        reply = await self._do(request, RegenerateAuthz("", "signing"))
        return answers.answered(reply, {"keys": dict(await _read(self._desk.authz))})

    async def _order(self, request: web.Request) -> Answer:
        config, known = self._config, self._desk.status().services
        order = requests.order_of(await _body(request), node=config.name, services=known)
        if order.service == self._served_by and order.action != "start":
            # As on the product, where who restarts it from a page that it serves never sees the page again (W2.2).
            service = self._served_by
            text = f"{service} serves this interface; restart it on the command line: utils service restart {service}"
            return answers.wrong(400, "dependency", text)
        reply = await self._do(request, order, service=order.service, action=order.action)
        return answers.answered(reply, {"service": order.service, "action": order.action})

    async def _own(self) -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
        """Identities, and requests that wait."""
        return await _read(lambda: (self._desk.identities(), self._desk.requests()))

    async def _do(self, request: web.Request, operation: AnyOperation, **about: str) -> Reply:
        return await self._desk.operate(operation, request[CALLER], **about)

    def _own_unit(self, service: object, *, status: int = 400) -> str:
        return requests.own_unit(self._rules, service, role=self._config.role, status=status)

    def _trust_unit(self, request: web.Request) -> str:
        units = requests.trust_units(self._rules, request.query.get("service"), role=self._config.role, status=404)
        return units[0]


async def _read(reading: Callable[[], _Found]) -> _Found:
    """What lies on the disk, read beside the node's loop: a node has more to do than to wait for files."""
    return await asyncio.to_thread(reading)


def _described() -> bytes:
    return files("ucmlab.cluster.admin").joinpath("openapi.json").read_bytes()


def _sign_in(_: str) -> web.Response:
    return _response(answers.wrong(401, "permission", "Authentication failed"))


def _response(answer: Answer) -> web.Response:
    return web.json_response(dict(answer.body), status=answer.status)


async def _body(request: web.Request) -> requests.Body:
    try:
        return requests.read_body(await read_body(request))
    except BadBody as error:
        raise Wrong(answers.wrong(error.status, error.reason, error.text)) from error
