"""Services on the command line (W3.2): their list, and orders to them with the transcript that scripts read."""

import asyncio
from collections.abc import Iterator, Mapping

from ucmlab.cluster.admin.control_center import COMMANDED, NOT_ACTIVATED, listed
from ucmlab.cluster.admin.naming import ACTIONS
from ucmlab.cluster.admin.terminal.console import Console, Failed, Perform, must_be_done
from ucmlab.node.commands import Reply
from ucmlab.node.events import OrderService
from ucmlab.node.status import ServiceState, ServiceStatus

_PASSES: Mapping[str, tuple[ServiceState, ...]] = {
    "start": ("starting", "started"),
    "stop": ("stopping", "stopped"),
    "restart": ("stopping", "starting", "started"),
}
"""Action to the states that a service goes through; where they take no time, nobody sees the first of them."""
_FAILED = "service_failed"
OF_THE_SYSTEM = ("System SSH", "Cluster Manager")
"""Of the operating system: told before Service Manager's, and with a blank before the state (W3.2)."""
IPSEC = "IPsec"
POLL_S = 0.2
"""Machine time between two looks at a service."""
AGAIN_S = 2.0
"""Machine time after which a state is told again, as people want to see that something goes on."""


async def utils_service_list(console: Console, _: Mapping[str, str]) -> None:
    """All services with their states."""
    console.say(*list_lines(console.desk.status().services, names(console)))
    console.say(f"Primary Node ={str(console.desk.config.is_publisher).lower()}")  # [inferred]


async def utils_service(console: Console, given: Mapping[str, str]) -> None:
    """An order to a service; told until it is where it was ordered to."""
    action, name = given["start|stop|restart"], _named(console, given["service"])
    if action == "restart":
        # The blank before it is the product's (W3.2).
        console.say(
            " Don't press Ctrl-c while the service is getting RESTARTED.If Service has not Restarted Properly, execute"
            " the same Command Again"
        )
    console.say("Service Manager is running")
    await _follow(console, name, action)


async def utils_ipsec_restart(console: Console, _: Mapping[str, str]) -> None:
    """The service that no list has (R-104)."""
    console.say("ipsec_setup: Stopping Openswan IPsec...", "ipsec_setup: Starting Openswan IPsec...")  # [inferred]
    must_be_done(await _order(console, IPSEC, "restart"))
    console.say("Successfully Restarted IPsec Service")


def names(console: Console) -> list[str]:
    """The services of a node that its command line knows, sorted."""
    return sorted(service.name for service in listed(console.desk.rulebook, console.desk.config))


def list_lines(services: Mapping[str, ServiceStatus], known: list[str]) -> Iterator[str]:
    """The list up to its last line."""
    yield "Requesting service status, please wait..."
    for name in OF_THE_SYSTEM:
        if name in known:
            yield f"{name} {_state(services[name]).rstrip()}"
    yield from ("Service Manager is running", "Getting list of all services", ">> Return code = 0")
    for name in known:
        if name not in OF_THE_SYSTEM:
            yield f"{name}{_state(services[name])}".rstrip()


def _state(status: ServiceStatus) -> str:
    """`[STARTED]`; why not, after two blanks."""
    if status.state == "not activated":
        return f"[STOPPED]  {NOT_ACTIVATED[1].rstrip()}"
    return f"[{status.state.upper()}]  {COMMANDED if status.state == 'stopped' else ''}"


def _named(console: Console, wanted: str) -> str:
    for name in names(console):
        if name.casefold() == wanted.casefold():
            return name
    raise Failed(f"{wanted} is not a valid service name")  # [inferred]


async def _order(console: Console, name: str, action: str) -> Reply:
    """Give an order, which is answered when the service is where it was ordered to; what came of it."""
    order = OrderService("", console.desk.config.name, name, ACTIONS[action])
    return await console.desk.operate(order, console.caller, service=name, action=action)


async def _follow(console: Console, name: str, action: str) -> None:
    """Give an order, and tell each state that the service goes through, also one that was over before anybody looked.

    Raises:
        Failed: it did not get there.
    """
    ahead = list(_PASSES[action])
    loop = asyncio.get_running_loop()
    told = loop.time()
    async with asyncio.TaskGroup() as tasks:
        ordered = tasks.create_task(_order(console, name, action), name="cli.order")
        while not ordered.done():
            await asyncio.wait([ordered], timeout=POLL_S)
            status = console.desk.status().services[name]
            # The last one is told when it is certain: before the order is heard, a service is started as well.
            if status.state in ahead[:-1]:
                passed = ahead.index(status.state) + 1
                console.say(*(f"{name}[{state.upper()}]  " for state in ahead[:passed]))
                ahead, told = ahead[passed:], loop.time()
            elif status.state in ("starting", "stopping") and loop.time() - told >= AGAIN_S:
                console.say(f"{name}[{status.state.upper()}]  ")
                told = loop.time()
    reply = ordered.result()
    failed = reply.reason == _FAILED
    if failed or reply.outcome == "done":
        console.say(*(f"{name}[{state.upper()}]  " for state in ahead[:-1]))
    if failed:
        console.say(f"{name}[FAILED]  ")  # [inferred] a client takes it, anywhere, for the sign of that (W3.2, netSSL)
    must_be_done(reply)
    console.say(f"{name}{_state(console.desk.status().services[name])}")


COMMANDS: Mapping[str, Perform] = {
    "utils_service_list": utils_service_list,
    "utils_service": utils_service,
    "utils_ipsec_restart": utils_ipsec_restart,
}
