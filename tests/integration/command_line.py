"""The command line of a lab of real processes, for tests: `ucmlab` with one lab's home, and what it tells of it."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from tests.integration.warm import warm

PATIENCE_S = 60


class CommandLine:
    """`ucmlab` with one lab's home, as processes."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "lab"
        self.environment = {**os.environ, "UCMLAB_DIR": str(self.home), "UCMLAB_CACHE": str(folder / "cache")}

    def run(self, *arguments: str | Path, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            timeout=PATIENCE_S,
            env=self.environment,
            check=False,
        )

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "ucmlab.scenarios", *map(str, arguments)]

    def json(self, *arguments: str | Path, stdin: bytes = b"") -> Any:  # noqa: ANN401  what JSON is
        return json.loads(self.run(*arguments, "--json", stdin=stdin).stdout)

    def must(self, *arguments: str | Path) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def pids(self) -> list[int]:
        state = self.json("dump")
        return [state["broker"]["pid"], *(node["pid"] for node in state["nodes"].values())]


class Forked(CommandLine):
    """The same, quicker: for tests of what a lab does, not of how commands begin. Its keys are the user's cache's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.environment = {**os.environ, "UCMLAB_DIR": str(self.home)}

    def run(self, *arguments: str | Path, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        return warm().run([*map(str, arguments)], environment=self.environment, stdin=stdin)


@contextlib.contextmanager
def running(folder: Path, kind: type[CommandLine] = CommandLine, nodes: str = "") -> Iterator[CommandLine]:
    lab = kind(folder)
    lab.must("up", "--detach", *(("--nodes", nodes) if nodes else ()))
    try:
        yield lab
    finally:
        lab.run("down")


def openssl_fingerprint(file: str) -> str:
    command = ["openssl", "x509", "-in", file, "-noout", "-fingerprint", "-sha256"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return told.partition("=")[2].strip().replace(":", "").lower()


def new_root(folder: Path) -> Path:
    """A user's own CA, made by OpenSSL at this moment."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Corp Root CA", "-days", "900"]
    subprocess.run(
        [*command, "-keyout", folder / "root.key", "-out", folder / "root.pem"], capture_output=True, check=True
    )
    return folder / "root.pem"


def wait_until_gone(pids: list[int]) -> list[int]:
    """Those that are still alive after a moment; none."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(psutil.pid_exists(pid) for pid in pids):
        os.sched_yield()
    return [pid for pid in pids if psutil.pid_exists(pid)]


def home(lab: CommandLine, node: str) -> Path:
    return Path(lab.json("dump")["nodes"][node]["home"])


def identity(lab: CommandLine, node: str, unit: str = "tomcat") -> dict[str, object]:
    found: dict[str, object] = lab.json("dump")["nodes"][node]["identities"][unit]
    return found
