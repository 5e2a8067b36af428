"""At which ports of its address a node's services listen: the product's own, or others (design 6).

auto        the product's port, else that port + 10000, else any
real        the product's port and no other, for clients whose ports cannot be set
offset:N    the product's port + N and no other, for who may not use low ports and still wants to know them
"""

import re
import socket
from collections.abc import Iterable
from contextlib import ExitStack

import msgspec

from ucmlab.cluster.errors import Unusable

FALLBACK = 10_000
"""Added to a port that cannot be had."""
LAST_PORT = 65_535
AUTO, REAL, OFFSET = "auto", "real", "offset:"
_OFFSET = re.compile(r"offset:(0|[1-9][0-9]{0,4})")
_LOW_PORTS = "net.ipv4.ip_unprivileged_port_start"


class Ports(msgspec.Struct, frozen=True):
    """How ports are chosen; `text` as it is written."""

    text: str = AUTO

    @property
    def fixed(self) -> bool:
        """Whether each port is certain, or cannot be had at all."""
        return self.text != AUTO

    def candidates(self, port: int) -> tuple[int, ...]:
        """What to try for a port of the product, in order; 0 is any."""
        if self.text == AUTO:
            return (port, port + FALLBACK, 0)
        return (port + (0 if self.text == REAL else int(self.text.removeprefix(OFFSET))),)

    def see_that_they_can_be_had(self, hosts: Iterable[str], ports: Iterable[int]) -> None:
        """Try them all at once, before a lab starts that is to have these ports or none.

        Args:
            hosts: the address of each node; the same twice where the system has one only.
            ports: every port of the product's that a service may listen at.

        Raises:
            Unusable: one cannot be had; the text says why and what would work.
        """
        if not self.fixed:
            return
        wanted = sorted(set(ports))
        with ExitStack() as held:
            for host in hosts:
                for port in wanted:
                    sock = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    self._try(sock, host, *self.candidates(port))

    def _try(self, sock: socket.socket, host: str, port: int) -> None:
        try:
            sock.bind((host, port))
            sock.listen()  # until then a second one may bind the same
        except PermissionError as error:
            raise Unusable(
                f"--ports {self.text}: this user may not listen at {port}; make the lab anew with"
                f" --fresh --ports {OFFSET}{FALLBACK}, or let users with `sudo sysctl {_LOW_PORTS}=0`"
            ) from error
        except OSError as error:
            raise Unusable(
                f"--ports {self.text}: {port} of {host} cannot be had, {error.strerror}; end who has it, or make the"
                f" lab anew with --fresh --ports {AUTO}"
            ) from error


def read_ports(text: str, ports: Iterable[int]) -> Ports:
    """Read what `--ports` says.

    Args:
        text: `auto`, `real` or `offset:N`.
        ports: every port of the product's that a service may listen at: with N added each must still be a port.

    Raises:
        Unusable: it is neither, or N leaves the ports that there are.
    """
    if text in (AUTO, REAL):
        return Ports(text)
    offset = _OFFSET.fullmatch(text)
    if offset is None:
        raise Unusable(f"--ports {text}: there are {AUTO}, {REAL} and {OFFSET}N, like {OFFSET}{FALLBACK}")
    highest = max(ports)
    if highest + int(offset[1]) > LAST_PORT:
        raise Unusable(
            f"--ports {text}: {highest} + {offset[1]} is no port; the highest offset is {LAST_PORT - highest}"
        )
    return Ports(text)
