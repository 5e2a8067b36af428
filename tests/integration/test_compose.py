"""What docker-compose.yml starts in containers, started as processes: its very commands, on loopback, over TLS.

The volume is a folder, the broker's host name is `localhost`, its port a free one. The rest is as the files say. The
containers themselves are `.ci/compose-run`'s business, where there is an engine.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rules import ROOT
from tests.unit.node.certificate_factory import certificate
from ucmlab.node.certificates import parse, pem

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: Mapping[str, dict[str, object]] = COMPOSE["services"]
NODES = ("pub", "sub1", "sub2")
BROKER_PORT = "8883"
PATIENCE_S = 30.0


def test_there_is_one_service_a_node_one_broker_and_one_that_makes_the_lab() -> None:
    assert set(SERVICES) == {"init", "broker", *NODES}
    assert all(
        SERVICES[name]["command"] == ["node", "--config", "/lab/home/lab.json", "--name", name, "--listen", name]
        for name in NODES
    )


def test_it_is_as_the_compose_specification_wants_it() -> None:
    validator = Path(sys.executable).with_name("check-jsonschema")
    command: list[str | Path] = [validator, "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_everything_waits_for_what_it_needs() -> None:
    assert SERVICES["broker"]["depends_on"] == {"init": {"condition": "service_completed_successfully"}}
    assert all(SERVICES[name]["depends_on"] == {"broker": {"condition": "service_healthy"}} for name in NODES)


@pytest.mark.parametrize("folder", ["broker", "node", "publisher", "cluster", "scenarios"])
def test_the_image_gets_every_folder_of_the_wheel(folder: str) -> None:
    assert f"COPY {folder} {folder}" in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert f"!{folder}" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


class Services:
    """The compose file's services as processes."""

    def __init__(self, folder: Path) -> None:
        self.volume = folder / "lab"
        (self.volume / "run").mkdir(parents=True, mode=0o700)
        self._log = folder
        self._port = str(_free_port())
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def home(self) -> Path:
        return self.volume / "home"

    def start(self, name: str) -> None:
        command = self._words(SERVICES[name].get("entrypoint", ["ucmlab"])) + self._words(
            SERVICES[name].get("command", [])
        )
        with (self._log / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def ended(self, name: str, *, stop: bool = False) -> int:
        """Wait for the end of a service, after asking for it as `docker compose down` does; its exit status."""
        process = self._running.pop(name)
        if stop:
            process.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE_S)

    def healthy(self, name: str) -> bool:
        healthcheck = SERVICES[name]["healthcheck"]
        assert isinstance(healthcheck, dict)
        kind, *test = healthcheck["test"]
        assert kind == "CMD"
        done = subprocess.run(
            self._words(test), env=self._environment(), capture_output=True, timeout=PATIENCE_S, check=False
        )
        return done.returncode == 0

    def ucmlab(self, *arguments: str, given: bytes = b"") -> tuple[int, str]:
        """What `docker compose exec pub ucmlab ...` runs."""
        done = subprocess.run(
            ["ucmlab", *arguments], env=self._environment(), input=given, capture_output=True, timeout=60, check=False
        )
        return done.returncode, (done.stdout + done.stderr).decode()

    def log(self, name: str) -> str:
        return (self._log / f"{name}.log").read_text(encoding="utf-8")

    def kill_all(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def _words(self, words: object) -> list[str]:
        assert isinstance(words, list)
        # A container's name is its address; here all nodes share one, and take other ports of it.
        return [
            self._here("127.0.0.1" if before == "--listen" and word in NODES else word)
            for before, word in pairwise(["", *words])
        ]

    def _here(self, text: str) -> str:
        text = re.sub(r"mqtts://broker\b", "mqtts://localhost", text)
        text = text.replace("0.0.0.0:", "127.0.0.1:").replace(BROKER_PORT, self._port)
        return re.sub(r"(?<!\w)/lab(?=/|$)", str(self.volume), text)

    def _environment(self) -> dict[str, str]:
        dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
        lines = re.findall(r"^ENV (.*)$", dockerfile, re.MULTILINE)
        said = dict(word.split("=", 1) for line in lines for word in shlex.split(line))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | {name: self._here(value) for name, value in said.items()} | {"PATH": path}


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    found = Services(tmp_path)
    yield found
    found.kill_all()


@pytest.mark.library
@pytest.mark.slow
def test_its_commands_make_a_cluster_that_replicates_over_tls(services: Services) -> None:
    services.start("init")
    assert services.ended("init") == 0, services.log("init")
    before = (services.home / "lab.json").read_bytes()
    services.start("init")
    assert services.ended("init") == 0, "a second `up` finds the lab and leaves it alone"
    assert (services.home / "lab.json").read_bytes() == before

    services.start("broker")
    until("the broker is healthy", lambda: services.healthy("broker"))
    assert "mqtts://" in services.log("broker")
    for name in NODES:
        services.start(name)

    root = certificate("Compose Root CA", ca=True, end=datetime(2100, 1, 1, tzinfo=UTC))
    until("the publisher takes an upload", partial(uploaded, services, root))
    state = dump(services)
    assert state["converged"] is True
    assert {name: node["state"] for name, node in state["nodes"].items()} == dict.fromkeys(NODES, "up")
    assert {name: parse(root).fingerprint in trusted(node) for name, node in state["nodes"].items()} == dict.fromkeys(
        NODES, True
    )

    status, said = services.ucmlab("tls", "sub1", "Cisco", "Tomcat", "--from", "pub", "--json")
    shown = json.loads(said)
    assert (status, shown["verdict"], shown["address"]) == (
        0,
        "trusted",
        state["nodes"]["sub1"]["addresses"]["https_alt"],
    )
    assert shown["fingerprint"] == state["nodes"]["sub1"]["identities"]["tomcat"]["fingerprint"]

    assert services.ended("sub2", stop=True) == 0, services.log("sub2")
    status, said = services.ucmlab("cert", "upload", "sub2", "tomcat-trust", "-", given=pem(root).encode())
    assert (status, "node_down" in said) == (1, True)
    services.start("sub2")
    until("sub2 is back", lambda: dump(services)["nodes"]["sub2"]["state"] == "up")

    for name in (*NODES, "broker"):
        assert services.ended(name, stop=True) == 0, services.log(name)


def uploaded(services: Services, der: bytes) -> bool:
    """Whether an upload was done and is everywhere; nodes that are being installed refuse it."""
    status, _ = services.ucmlab("cert", "upload", "pub", "tomcat-trust", "-", "--wait", given=pem(der).encode())
    return status == 0


def dump(services: Services) -> dict[str, Any]:
    status, said = services.ucmlab("dump", "--json")
    assert status == 0, said
    found: dict[str, Any] = json.loads(said)
    return found


def trusted(node: dict[str, Any]) -> set[str]:
    return {each["fingerprint"] for each in node["trust"]["tomcat-trust"]}


def until(what: str, happened: Callable[[], bool]) -> None:
    """Look again and again; these are processes that nobody supervises, so there is nothing to be told by."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
