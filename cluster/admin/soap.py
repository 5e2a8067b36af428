"""Control Center Services over SOAP 1.1, on 443 and 8443 (wire-interfaces 2 = W2), as an aiohttp application.

Both services have their WSDL at `?wsdl`. The account is the application's, by HTTP Basic or by the session that an
earlier answer began. Orders are the core's; an answer waits for what came of them, but no longer than clients like to.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Literal

from aiohttp import web

from ucmlab.cluster.admin import control_center as center
from ucmlab.cluster.admin import soap_messages as messages
from ucmlab.cluster.admin.desk import Caller, Desk, tell_of_a_bug
from ucmlab.cluster.admin.soap_messages import Asked, SoapFault, Value
from ucmlab.cluster.admin.speaking import expected
from ucmlab.cluster.admin.website import CALLER, BadBody, Website, read_body, served_by
from ucmlab.node.commands import Reply
from ucmlab.node.events import OrderService

BASE = "/controlcenterservice2/services"
REALM = "Cisco Tomcat"
BODY_LIMIT = 1 << 18
"""Octets of a request's body."""
ANSWER_WITHIN_S = 10.0
"""Machine time after which an order is answered with how things are by then; it goes on, and clients poll."""
_Action = Literal["start", "stop", "restart", "enable", "disable"]
CONTROLS: Mapping[str, tuple[_Action, ...]] = {
    "Start": ("start",),
    "Stop": ("stop",),
    "Restart": ("restart",),
    "Deploy": ("enable", "start"),
    "UnDeploy": ("disable", "stop"),
}
"""What is ordered for a `ControlType` or `DeployType`. A service is activated by being started at boot, and now."""
_Operation = Callable[[Asked, Caller], Awaitable[Value]]


class ControlCenter:
    """The two services of one node."""

    def __init__(self, desk: Desk) -> None:
        """`desk` does the work."""
        self._desk = desk
        self._served_by = served_by(desk.rulebook)
        self._services = center.listed(desk.rulebook, desk.config)
        self._operations: Mapping[str, Mapping[str, _Operation]] = {
            "ControlCenterServices": {
                "soapGetServiceStatus": self._status,
                "soapDoControlServices": self._control,
                "soapDoServiceDeployment": self._deploy,
                "soapGetStaticServiceList": self._static_list,
                "getProductInformationList": self._products,
            },
            "ControlCenterServicesEx": {
                "getStaticServiceListExtended": self._extended_list,
                "soapDoControlServicesEx": self._control,
                "soapDoServiceDeploymentNoDbUpdate": self._deploy,
                "getFileDirectoryList": self._list_files,
            },
        }

    def application(self, website: Website) -> web.Application:
        """The application, to be mounted at `BASE`."""
        sign_in = website.logged_in("application", "soap", REALM, _refusal, sessions=True)
        application = web.Application(middlewares=[sign_in], client_max_size=BODY_LIMIT)
        for service in self._operations:
            application.router.add_get(f"/{service}", self._describing(service), expect_handler=expected)
            application.router.add_post(f"/{service}", self._answering(service), expect_handler=expected)
        return application

    def _describing(self, service: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        file = {"ControlCenterServices": "control_center", "ControlCenterServicesEx": "control_center_ex"}[service]

        async def describe(request: web.Request) -> web.Response:
            if "wsdl" not in {name.casefold() for name in request.query}:
                raise web.HTTPNotFound
            text = files("ucmlab.cluster.admin").joinpath(f"{file}.wsdl").read_text(encoding="utf-8")
            # By the name that the client called: who follows it must come back here.
            location = f"https://{request.host}{BASE}/{service}"
            return _xml(text.replace("LOCATION", _quoted(location)).encode(errors="replace"))

        return describe

    def _answering(self, service: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                asked = messages.read_envelope(await read_body(request))
                operation = self._operation(service, asked.name)
                return _xml(messages.response(asked.name, await operation(asked, request[CALLER])))
            except SoapFault as error:
                return _xml(messages.fault(error), status=500)
            except BadBody as error:
                return _xml(messages.fault(SoapFault(error.text)), status=error.status)
            except Exception:  # noqa: BLE001  a bug of ours is told in the log, and to clients as they can read it
                tell_of_a_bug()
                return _xml(messages.fault(SoapFault("Internal error", by_client=False)), status=500)

        return answer

    def _operation(self, service: str, name: str) -> _Operation:
        there = self._operations[service]
        if name not in there:
            raise SoapFault(f"{service} has no operation {name}; there are {', '.join(there)}")
        return there[name]

    # -- what is there

    async def _status(self, asked: Asked, _: Caller) -> Value:
        return {"soapGetServiceStatusReturn": self._report(asked.items("ServiceStatus"))}

    async def _static_list(self, _: Asked, __: Caller) -> Value:
        return {"soapGetStaticServiceListReturn": center.static_list(self._services)}

    async def _products(self, _: Asked, __: Caller) -> Value:
        version = self._desk.rulebook.release.version
        return {"getProductInformationListReturn": center.products(self._services, self._desk.config, version)}

    async def _extended_list(self, _: Asked, __: Caller) -> Value:
        return {"getStaticServiceListExtendedReturn": center.extended_list(self._services, self._desk.config)}

    async def _list_files(self, asked: Asked, _: Caller) -> Value:
        """The names in a folder; the node's file system begins at its home, and nothing outside of it is there."""
        path = PurePosixPath("/") / asked.said("DirectoryPath")
        home = self._desk.layout.home.resolve()
        folder = _resolved(home.joinpath(*path.parts[1:]))
        # The keys' folder is no part of the product's file system.
        if folder is None or not folder.is_relative_to(home) or folder.is_relative_to(home / "private"):
            raise SoapFault(f"there is no folder {path}")
        return {"ListOfFiles": {"File": sorted(_names(folder))}}

    # -- what is changed

    async def _control(self, asked: Asked, caller: Caller) -> Value:
        # A well-known client calls the extended one's request by another name.
        request = asked.first("ControlServiceRequest", "ControlServiceRequestEx", "ControlServiceExRequest")
        return {f"{asked.name}Return": await self._order(request, "ControlType", ("Start", "Stop", "Restart"), caller)}

    async def _deploy(self, asked: Asked, caller: Caller) -> Value:
        names = ("DeploymentServiceRequest", "DeploymentServiceRequestEx", "DeploymentServiceNoDbUpdateRequest")
        request = asked.first(*names)
        return {f"{asked.name}Return": await self._order(request, "DeployType", ("Deploy", "UnDeploy"), caller)}

    async def _order(self, request: Asked | None, kind: str, kinds: Sequence[str], caller: Caller) -> Value:
        said = "" if request is None else request.said(kind)
        if request is None or said not in kinds:
            raise SoapFault(f"{kind} {said!r}: there are {', '.join(kinds)}")
        self._check_node(request.said("NodeName"), caller)
        names = self._named(request, said)
        replies = await asyncio.gather(*(self._one(name, CONTROLS[said], caller) for name in names))
        failed = [reply for reply in replies if reply is not None and reply.outcome != "done"]
        return self._report(names, text=failed[0].text or failed[0].reason if failed else " ", failed=bool(failed))

    def _named(self, request: Asked, kind: str) -> list[str]:
        """The services that are ordered about."""
        names = list(dict.fromkeys(name for each in request.all("ServiceList") for name in each.items("item")))
        known = {service.name: service for service in self._services}
        if unknown := [name for name in names if name not in known]:
            raise SoapFault(f"ServiceList: {self._desk.config.name} has no {', '.join(unknown)}")
        if not names:
            raise SoapFault("ServiceList: it is empty")
        if kind in ("Deploy", "UnDeploy") and any(known[name].kind != "feature" for name in names):
            raise SoapFault("ServiceList: network services are always deployed")
        if self._served_by in names and kind != "Start":
            # [INFERRED]: who is asked would have to answer after its own end.
            raise SoapFault(f"{self._served_by} serves this interface; utils service restart {self._served_by} does it")
        return names

    def _check_node(self, said: str, caller: Caller) -> None:
        """See that a `NodeName` is this node: by name, full name or address; empty means it."""
        config = self._desk.config
        if said and said.casefold() not in (config.name.casefold(), config.fqdn.casefold(), caller.host):
            raise SoapFault(f"NodeName: this is {config.fqdn}; ask {said} itself")

    async def _one(self, service: str, actions: Sequence[_Action], caller: Caller) -> Reply | None:
        """What came of the orders to one service: of the first that failed, or of the last; None: not known in time."""
        reply: Reply | None = None
        for action in actions:
            order = OrderService("", self._desk.config.name, service, action)
            reply = await self._desk.within(ANSWER_WITHIN_S, order, caller, service=service, action=action)
            if reply is None or reply.outcome != "done":
                break
        return reply

    def _report(self, names: Sequence[str], *, text: str = " ", failed: bool = False) -> dict[str, Value]:
        """How services are: those that were asked for and no others, or all."""
        status, now = self._desk.status().services, self._desk.now()
        wanted = names or [service.name for service in self._services]
        known = {service.name for service in self._services}
        found = [center.information(name, status.get(name) if name in known else None, now) for name in wanted]
        return center.report(found, text=text, code=1 if failed else center.NOTHING)


def _resolved(path: Path) -> Path | None:
    """The folder that a path leads to; None, there is none."""
    try:
        return path.resolve() if path.is_dir() else None
    except (OSError, ValueError):
        return None


def _names(folder: Path) -> list[str]:
    try:
        return [each.name for each in folder.iterdir()]
    except OSError as error:
        raise SoapFault(f"the folder cannot be read: {error.strerror}", by_client=False) from error


def _refusal(text: str) -> web.Response:
    return _xml(messages.fault(SoapFault(text)), status=401)


def _xml(data: bytes, *, status: int = 200) -> web.Response:
    return web.Response(body=data, status=status, content_type="text/xml", charset="utf-8")


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
