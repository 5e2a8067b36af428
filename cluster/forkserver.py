"""The fork server: imports the lab's code once and forks its processes from there (design 6).

Run as `python -m ucmlab.cluster.forkserver --parent PID --socket FD`, or forked from a lab's owner that is nothing else
(`be_fork_server`), as early as possible. It stays what can be forked safely: one thread, no event loop, no open
database or connection. It answers for its children: it reaps them and tells
the lab how each ended. When it ends, the kernel ends them (`die_with_parent`); when the lab ends, it ends.
"""

import argparse
import gc
import os
import select
import signal
import socket
import sys
import traceback
from datetime import UTC, datetime
from importlib import import_module
from typing import NoReturn

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ucmlab.cluster.brokerprocess import broker_main
from ucmlab.cluster.control_messages import (
    SPAWN,
    BrokerSpec,
    Exited,
    ForkServerSpec,
    FromForkServer,
    MosquittoSpec,
    Spawn,
    Spawned,
)
from ucmlab.cluster.nodeprocess import node_main
from ucmlab.cluster.processes import close_inherited, default_signals, die_with_parent, entitle, settle_memory
from ucmlab.cluster.simkeys import sim_ec, sim_rsa
from ucmlab.node.certificates import parse
from ucmlab.node.identity import make_identity
from ucmlab.node.rulebook import RuleBook

COLLECT_AFTER = 10_000
"""Objects that a node, or the broker, makes more than it lets go before the collector looks at the young ones."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_decoder: msgspec.msgpack.Decoder[Spawn] = msgspec.msgpack.Decoder(Spawn)
_encode = msgspec.msgpack.Encoder().encode


class ForkServer:
    """Serves one lab until its socket closes."""

    def __init__(self, sock: socket.socket) -> None:
        """`sock` keeps message boundaries (SOCK_SEQPACKET) and is blocking."""
        self._sock = sock
        self._children: dict[int, tuple[int, int]] = {}
        """pidfd to (number, pid)."""
        self._poll = select.poll()
        self._poll.register(sock.fileno(), select.POLLIN)

    def serve(self) -> None:
        """Fork and reap until the lab is gone."""
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._children:
                    self._reap(fd)
                elif not self._request():
                    return

    def _request(self) -> bool:
        word, fds, _, _ = socket.recv_fds(self._sock, len(SPAWN), 2)
        if not word:
            return False
        control, memory = fds
        with os.fdopen(memory, "rb") as request:
            spawn = _decoder.decode(request.read())
        self._spawn(spawn, control)
        return True

    def _spawn(self, request: Spawn, fd: int) -> None:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(request, fd, server)
        os.close(fd)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (request.number, pid)
        self._poll.register(pidfd, select.POLLIN)
        self._tell(Spawned(request.number, pid))

    def _reap(self, pidfd: int) -> None:
        number, pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        self._tell(Exited(number, pid, os.waitstatus_to_exitcode(status)))

    def _tell(self, message: FromForkServer) -> None:
        try:
            self._sock.send(_encode(message))
        except OSError:
            sys.exit(0)  # the lab is gone; the kernel ends the children with us


def _become(request: Spawn, fd: int, server: int) -> NoReturn:
    die_with_parent(server)
    close_inherited({fd})
    spec = request.spec
    if isinstance(spec, MosquittoSpec):
        os.close(fd)  # it speaks MQTT and nothing else; the lab knows by the observer when it listens
        _execute(spec)
    sock = socket.socket(fileno=fd)
    if isinstance(spec, BrokerSpec):
        entitle(spec.lab, "broker")
        broker_main(spec, sock)
    entitle(spec.lab, spec.config.name)
    node_main(spec, sock)


def _execute(spec: MosquittoSpec) -> NoReturn:
    log = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    # That it dies with its parent outlives exec, for it stays the same user.
    os.execv(spec.program, [spec.program, "-c", spec.configuration])  # noqa: S606  no shell is meant


def warm(release: str, profile: str) -> None:
    """Do once what every node would do at its start and can be shared: parse the rules, load what is loaded late."""
    rulebook = RuleBook.load(release, profile)
    # asyncio's executor (aiomqtt connects on it) and the look-up of host names load these when first used.
    import_module("concurrent.futures.thread")
    "localhost".encode("idna")
    # OpenSSL looks for an algorithm when it is first used, and keeps it. These certificates are nobody's.
    profile_of_any = next(iter(rulebook.identities.values()))
    for key in (sim_rsa(0), sim_ec(0, "ec-384")):
        parse(make_identity(profile_of_any, key=key, fqdn="localhost", serial=1, not_before=EPOCH))
    signer = Ed25519PrivateKey.generate()
    signer.public_key().verify(signer.sign(b""), b"")


def be_fork_server(spec: ForkServerSpec) -> NoReturn:
    """Be the fork server in a process that was just forked from the lab's owner, from here to its end."""
    try:
        os.setsid()  # a terminal's Ctrl-C is for the lab's owner, which then ends the processes in order
        close_inherited({spec.socket})
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        serve(spec)
    except BaseException:  # noqa: BLE001  the one boundary: nothing of the owner's may go on in here
        traceback.print_exc()
    os._exit(1)


def serve(spec: ForkServerSpec) -> None:
    """Warm up, then fork and reap until the lab is gone."""
    die_with_parent(spec.parent)
    default_signals()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the lab ends us by closing the socket, after it ended the nodes
    entitle(spec.lab, "fork server")
    settle_memory()
    warm(spec.release, spec.profile)
    # Children write to pages that the collector's marks would otherwise touch, each time, in each of them.
    gc.collect()
    gc.freeze()
    # The default of 700 has a node look through its new objects a hundred times while it starts, and find nothing.
    gc.set_threshold(COLLECT_AFTER)
    ForkServer(socket.socket(fileno=spec.socket)).serve()


def main() -> None:
    """Entry of a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--lab", required=True)
    parser.add_argument("--release", required=True)
    parser.add_argument("--profile", required=True)
    serve(msgspec.convert(vars(parser.parse_args()), ForkServerSpec))


if __name__ == "__main__":
    main()
