"""Cisco DirSync reads a directory: which one, how often, and whether over TLS, is what administrators set (R-024).

    service comes up   --> a run, and from then on one at each interval, whatever became of the last
    a run over TLS     --> the connection of the last run, if it still stands; else a new one, which stays (R-192)
    a run without TLS  --> nothing that has to do with certificates, so nothing: whoever is read, nobody here is
    service ends       --> its connection ends with it

With no `LDAP Server` there is nobody to read. A run that comes to nothing is told as an alarm, and the next one comes
at its time: a directory that is slow or not there costs the patience of `ucmlab.node.connections`, and delays nothing.
[ASSUMED] What is set is read at each run, the trusted certificates when the service starts, as by every service.

What must live here: when to connect to whom. What this file must not know: how connections are made and judged.
"""

from collections.abc import Callable

from ucmlab.node.commands import Reply
from ucmlab.node.connections import TIMER as CONNECTION
from ucmlab.node.context import Context
from ucmlab.node.events import Connect
from ucmlab.node.instant import HOUR
from ucmlab.node.link_keeping import LinkKeeping
from ucmlab.node.periodic import Periodic

SERVICE = "Cisco DirSync"
CLIENT = "ldap"
TIMER = "directory:sync"
LDAPS = 636
"""The port, where none is said."""


class DirectorySync:
    """The service's runs on one node."""

    def __init__(self, context: Context, keeping: LinkKeeping, *, connect: Callable[[Connect], None]) -> None:
        """The service does not run.

        Args:
            context: whose node it is.
            keeping: knows which connections stand.
            connect: opens one; how it ended, `takes` hears.
        """
        self._context = context
        self._keeping = keeping
        self._connect = connect
        self._runs = Periodic(context, TIMER)
        self._running = False
        self._begun = 0
        self._asked: dict[str, str] = {}
        """Connections that are being made: operation id to address; empty, when nobody waits for it any more."""
        self._link = ""
        """The token of the last connection that was made, and where it goes."""
        self._to = ""

    def service_changed(self, *, running: bool) -> None:
        """The service came up, or ended."""
        self._running = running
        self.parameters_changed()
        if running:
            self._run()
        else:
            self._asked = dict.fromkeys(self._asked, "")

    def parameters_changed(self) -> None:
        """Have the runs come as far apart as is set."""
        every = self._context.parameters.number("Perform a Re-sync Every") * HOUR
        self._runs.run(every if self._running and self._server() else None)

    def ask_again(self) -> None:
        """A timer may have been lost."""
        self._runs.renew()

    def timer(self) -> None:
        """It is time for a run."""
        self._runs.again()
        self._run()

    def takes(self, reply: Reply) -> bool:
        """Whether the reply is to what this file asked for."""
        to = self._asked.pop(reply.op_id, None)
        if to is None:
            return False
        link = CONNECTION + reply.op_id
        if to:
            self._link, self._to = link, to
            self._tell(to, "done" if reply.outcome == "done" else "failed", reply.reason)
        elif self._keeping.stands(link):  # the service has been started again meanwhile
            self._keeping.close(link, "service_stopped")
        return True

    # -- inside

    def _server(self) -> str:
        return self._context.parameters.text("LDAP Server")

    def _run(self) -> None:
        address = self._address()
        if not address or address in self._asked.values():
            return
        tls = self._context.parameters.flag("Use TLS")
        stands = self._keeping.stands(self._link)
        if stands and not (tls and self._to == address):
            self._keeping.close(self._link, "directory_changed")
            stands = False
        if not tls:
            self._context.record("directory_sync", to=address, tls=False, outcome="unsecured", reason="")
        elif stands:
            self._tell(address, "done", "")
        else:
            self._open(address)

    def _address(self) -> str:
        """`HOST:PORT` of the directory; empty: there is none."""
        server = self._server()
        return server if not server or ":" in server else f"{server}:{LDAPS}"

    def _open(self, address: str) -> None:
        self._begun += 1
        config = self._context.config
        op_id = f"directory-{config.name}-{self._context.boot}-{self._begun}"
        self._asked[op_id] = address
        self._connect(Connect(op_id, CLIENT, address=address))

    def _tell(self, to: str, outcome: str, reason: str) -> None:
        self._context.record("directory_sync", to=to, tls=True, outcome=outcome, reason=reason)
        if outcome == "failed":
            self._context.alarm("directory_sync_failed", to=to, reason=reason)
