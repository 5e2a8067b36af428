"""The loopback addresses of a lab: a block 127.A.B.0/24 of its own, so that labs side by side do not collide.

A block is held by a lock on a file in the user's runtime folder, for as long as the process lives. Which one is tried
first follows from the lab's home, so a lab usually keeps its addresses; whether it is free of *others* (another user's
lab, a server that listens on everything) is found out by binding.
"""

import fcntl
import os
import socket
import sys
from pathlib import Path

import msgspec

from ucmlab.cluster.control import lab_key, runtime_folder
from ucmlab.cluster.errors import Unusable

BROKER_PORT = 1883
BROKER_HOST_NUMBER = 1
OUTSIDE_HOST_NUMBER = 2
FIRST_NODE_NUMBER = 11
ATTEMPTS = 64


class Block(msgspec.Struct, frozen=True):
    """One lab's addresses. `prefix` is empty where the system has one loopback address only."""

    prefix: str
    lock: int = -1
    """The file descriptor that holds it; -1 when there is none."""
    path: str = ""
    """The file that is locked."""

    @property
    def broker(self) -> str:
        """The broker's address."""
        return self._address(BROKER_HOST_NUMBER)

    @property
    def outside(self) -> str:
        """The address of everything that the lab has outside the cluster."""
        return self._address(OUTSIDE_HOST_NUMBER)

    def node(self, number: int) -> str:
        """The address of the node with this place in the topology, from 0."""
        return self._address(FIRST_NODE_NUMBER + number)

    def release(self) -> None:
        """Let others have it."""
        if self.lock >= 0:
            Path(self.path).unlink(missing_ok=True)
            os.close(self.lock)

    def _address(self, number: int) -> str:
        return f"{self.prefix}.{number}" if self.prefix else "127.0.0.1"


def block_of(broker_host: str) -> Block | None:
    """The block of the lab whose broker has this address; None when it has none of its own. Nothing is held by it."""
    return Block(broker_host.rpartition(".")[0]) if broker_host.startswith("127.") else None


def take_block(home: Path) -> Block:
    """Take a block for the lab of `home`, and hold it until `release` or the end of the process.

    Raises:
        Unusable: none is free.
    """
    if sys.platform != "linux":
        return Block("")
    start = int(lab_key(home), 16)
    folder = runtime_folder()
    for attempt in range(ATTEMPTS):
        prefix = _prefix(start + attempt)
        path = folder / f"{prefix}.block"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _locked(lock, path) and _is_free(f"{prefix}.{BROKER_HOST_NUMBER}"):
            return Block(prefix, lock, str(path))
        os.close(lock)
    raise Unusable("no block of loopback addresses is free; end other labs with `ucmlab down`")


def free_port(host: str, wanted: int) -> int:
    """`wanted`, if it can be had on that address, else any that can."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((host, port))
            except OSError:
                continue
            return int(sock.getsockname()[1])
    raise Unusable(f"no port can be had on {host}")


def _prefix(number: int) -> str:
    # 127.0 and 127.1 have habitual users (127.0.0.53, 127.0.1.1); 127.255 ends in the broadcast address.
    return f"127.{16 + number // 253 % 224}.{1 + number % 253}"


def _locked(lock: int, path: Path) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its last holder may have removed the file between our opening and locking: then the name is free for others.
        return os.path.samestat(os.fstat(lock), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _is_free(host: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, BROKER_PORT))
        except OSError:
            return False
        return True
