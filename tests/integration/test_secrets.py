"""No secret of a lab is in anything that it emits: everything is captured and searched for each, in every spelling."""

import asyncio
import base64
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aiomqtt
import msgspec
import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from tests.integration.real_lab import converge, dumped, item, make_home, opened
from ucmlab.broker.topics import Topics
from ucmlab.cluster.local import LocalLab
from ucmlab.cluster.provision import LabHome, open_lab
from ucmlab.node.events import Delete, OrderService, RegenerateAuthz, Upload
from ucmlab.node.keyring import KeyRing

PATIENCE_S = 30
CHUNK = 16
"""Bytes. Any window of 31 holds a whole chunk at a multiple of 16, so no 32 bytes of a key can hide."""
HEX = re.compile(rb"[0-9a-fA-F]{16,}")
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")


# --- what is secret ---------------------------------------------------------------------------------------------------


def secrets_of(home: LabHome) -> dict[str, bytes]:
    """Every secret of a lab, by what it is: passwords, and private keys as numbers and bytes."""
    credentials = home.credentials()
    found: dict[str, bytes] = {
        "os password": credentials.os_password.encode(),
        "app password": credentials.app_password.encode(),
        "observer password": credentials.observer_password.encode(),
    }
    for name in ("ca.key.pem", "broker.pem"):
        found |= key_parts(name, (home.path / "bus" / name).read_bytes())
    for authority in home.default_cas():
        found |= key_parts(authority.name, authority.key.encode())
    for node in home.topology.names:
        bus = KeyRing(home.node_home(node)).bus
        found[f"{node} bus password"] = bus.password.encode()
        found[f"{node} signing key"] = bus.signing_private
        found[f"{node} sealing key"] = bus.sealing_private
        for path in sorted(home.node_home(node).rglob("*_priv*.pem")):
            found |= key_parts(f"{node} {path.name}", path.read_bytes())
        for path in sorted((home.node_home(node) / "private").rglob("*.der")):
            found |= key_parts(f"{node} {path.name}", path.read_bytes())
        authz = json.loads((home.node_home(node) / "private" / "authz.json").read_bytes())
        found |= key_parts(f"{node} authz signing", base64.b64decode(authz["signing"]))
        found[f"{node} authz encryption"] = base64.b64decode(authz["encryption"])
    return found


def key_parts(name: str, content: bytes) -> dict[str, bytes]:
    """The secret numbers of a private key, big-endian."""
    key = load_pem_private_key(content, None) if b"-----BEGIN" in content else load_der_private_key(content, None)
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        parts = {each: getattr(numbers, each) for each in ("d", "p", "q", "dmp1", "dmq1", "iqmp")}
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        parts = {"scalar": key.private_numbers().private_value}
    return {f"{name} {part}": number.to_bytes((number.bit_length() + 7) // 8) for part, number in parts.items()}


def needles(secrets: Mapping[str, bytes]) -> dict[bytes, str]:
    """Chunks of each secret; a password is one, because its text is what it is."""
    found: dict[bytes, str] = {}
    for name, secret in secrets.items():
        whole = "password" in name
        for at in [0] if whole else range(0, len(secret) - CHUNK + 1, CHUNK):
            found[secret if whole else secret[at : at + CHUNK]] = name
    return found


# --- where it must not be ---------------------------------------------------------------------------------------------


def spelled_out(content: bytes) -> Iterator[bytes]:
    """The content, and what its runs of hex and base64 stand for, wherever a run may begin."""
    yield content
    plain = re.sub(rb'(?:\\n|\s|":?,?")+', b"", content)  # lines of PEM, JSON strings in a row
    for text in (content, plain):
        for run in HEX.findall(text):
            yield from (bytes.fromhex(run[at : len(run) - (len(run) - at) % 2].decode()) for at in (0, 1))
        for run in BASE64.findall(text):
            for at in range(4):
                part = run[at : len(run) - ((len(run) - at) % 4 == 1)].translate(bytes.maketrans(b"-_", b"+/"))
                yield base64.b64decode(part + b"=" * (-len(part) % 4))


def found_in(content: bytes, wanted: Mapping[bytes, str]) -> set[str]:
    """Which secrets are in the content."""
    everything = b"\0".join(spelled_out(content))
    return {name for needle, name in wanted.items() if needle in everything}


def check(emitted: Mapping[str, bytes], wanted: Mapping[bytes, str]) -> None:
    assert all(emitted.values()), [what for what, content in emitted.items() if not content]
    found = {what: secrets for what, content in emitted.items() if (secrets := found_in(content, wanted))}
    assert found == {}
    assert [what for what, content in emitted.items() if b"PRIVATE KEY-----" in content] == [], "whosever it is"


def log_files(home: LabHome) -> dict[str, bytes]:
    files = (path for path in sorted(home.logs.rglob("*")) if path.is_file())
    return {str(path): content for path in files if (content := path.read_bytes())}


def processes_seen(pids: list[int]) -> dict[str, bytes]:
    """What everybody on the machine sees of the processes, and what their owner does."""
    return {
        f"/proc/{pid}/{what}": Path(f"/proc/{pid}/{what}").read_bytes()
        for pid in pids
        for what in ("cmdline", "comm", "environ")
    }


def unprotected(home: LabHome, wanted: Mapping[bytes, str]) -> list[str]:
    """Files with a secret in them, or folders above them, that others may read."""
    folders = {home.path, home.path / "bus", home.logs, *home.path.glob("nodes/*"), *home.path.glob("nodes/*/private")}
    folders |= {path for path in home.path.rglob("keys") if path.is_dir()}
    files = {path for path in home.path.rglob("*") if path.is_file() and found_in(path.read_bytes(), wanted)}
    assert len(files) > len(home.topology.names)
    open_folders = {path for path in folders if stat.S_IMODE(path.stat().st_mode) != 0o700}
    return sorted(map(str, open_folders | {path for path in files if stat.S_IMODE(path.stat().st_mode) != 0o600}))


def listeners(pids: list[int]) -> set[str]:
    """Addresses on which the processes listen."""
    return {
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


# --- the search itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(4))
def test_the_search_finds_a_secret_however_it_is_spelled(number: int) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    password = b"uvmcu5ua9gCwc5jZRK_0jRwZ"
    wanted = needles({**key_parts("key", pem), "password": password})
    scalar = key_parts("key", pem)["key scalar"]
    window = scalar[number * 4 : number * 4 + 32]
    before = b"x" * number
    for spelled in (
        pem,
        json.dumps({"key": pem.decode()}).encode(),
        before + der,
        before + window,
        before + window.hex().encode(),
        before + window.hex().upper().encode(),
        base64.b64encode(before + window),
        base64.urlsafe_b64encode(before + der),
        before + base64.b64encode(der),
        msgspec.msgpack.encode([window]),
        msgspec.json.encode([window]),
    ):
        assert found_in(b"noise " + spelled + b" noise", wanted) == {"key scalar"}, spelled
    assert found_in(b"-u observer -P " + password, wanted) == {"password"}
    assert found_in(base64.b64encode(before + password), wanted) == {"password"}
    assert found_in(os.urandom(100_000).hex().encode(), wanted) == set()


# --- labs -------------------------------------------------------------------------------------------------------------


@contextmanager
def ending(home: Path) -> Iterator[None]:
    """End the lab, whatever happens."""
    try:
        yield
    finally:
        ucmlab("down", home)


async def everything_happens(lab: LocalLab) -> None:
    """One of each thing that a lab can do and tell of."""
    await lab.operate("sub1", Upload("upload", "tomcat-trust", item(1).pem, "a description"))
    await lab.operate("pub", Upload("refused", "tomcat-trust", b"-----BEGIN CERTIFICATE-----\nxx"))
    await lab.operate("sub2", Delete("delete", *item(1).key))
    await lab.operate("pub", OrderService("order", "sub1", "Cisco Tftp", "restart"))
    await lab.operate("pub", RegenerateAuthz("authz"))
    await lab.kill_node("sub2")
    await lab.start_node("sub2")
    await lab.kill_broker()
    await lab.start_broker()
    await converge(lab)


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("S12")
async def test_nothing_that_a_lab_emits_holds_a_secret(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    home = make_home(tmp_path)
    heard: list[tuple[str, bytes]] = []
    keys_came = asyncio.Event()
    async with opened(home) as lab:
        place, first = lab.roster.place, secrets_of(home)

        async def listen(observer: aiomqtt.Client) -> None:
            async for message in observer.messages:
                assert isinstance(message.payload, bytes)
                heard.append((message.topic.value, message.payload))
                if message.topic.value.endswith("/keys/sub2"):
                    keys_came.set()

        async with (
            aiomqtt.Client(
                place.host, place.port, username="observer", password=home.credentials().observer_password
            ) as observer,
            asyncio.TaskGroup() as tasks,
        ):
            await observer.subscribe(f"{Topics(home.lab.cluster).root}/#", qos=1)
            listening = tasks.create_task(listen(observer), name="observer")
            await lab.operate("pub", Upload("heard", "tomcat-trust", item(2).pem))
            await lab.operate("pub", RegenerateAuthz("heard keys"))
            async with asyncio.timeout(PATIENCE_S):
                await keys_came.wait()
            listening.cancel()
        await everything_happens(lab)
        wanted = needles({**first, **{f"{name} again": secret for name, secret in secrets_of(home).items()}})
        pids = [pid for pid in (lab.roster.broker_node.pid, *(lab.view(name).pid for name in lab.names)) if pid]
        pids.append(psutil.Process(pids[0]).ppid())
        assert len(wanted) > 500
        assert len(pids) == 5
        emitted = {
            "the bus, as tapped": b"\n".join(topic.encode() + b" " + payload for topic, payload in lab.messages("#")),
            "the bus, as observed": b"\n".join(topic.encode() + b" " + payload for topic, payload in heard),
            "dump": json.dumps(dumped(lab)).encode(),
            "views": repr([lab.view(name) for name in lab.names]).encode(),
            "facts": repr(lab.facts()).encode(),
            "events": json.dumps(lab.events()).encode(),
            "what is shown of the parts": repr((home, lab.roster.nodes, lab.roster.place, home.accounts())).encode(),
        }
        check({**emitted, **processes_seen(pids)}, wanted)
        assert unprotected(home, wanted) == []
        addresses = listeners(pids)
        assert addresses
        assert all(address.startswith("127.") for address in addresses)
    check(log_files(home), wanted)
    out, err = capfd.readouterr()
    assert found_in((out + err).encode(), wanted) == set()


def ucmlab(command: str, home: Path) -> bytes:
    """What a command prints, on both streams."""
    done = subprocess.run(
        [Path(sys.executable).parent / "ucmlab", *command.split()],
        env=os.environ | {"UCMLAB_DIR": str(home), "TMPDIR": str(home.parent)},
        cwd=home.parent,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return b"$ ucmlab " + command.encode() + b"\n" + done.stdout + done.stderr


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("S12")
def test_no_command_but_env_prints_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "lab"
    (tmp_path / "ca.pem").write_bytes(item(1).pem)
    with ending(path):
        emitted = {"up": ucmlab("up --detach --nodes pub,sub1", path)}
        home = open_lab(path)
        wanted = needles(secrets_of(home))
        pids = processes_of(ucmlab("dump", path))
        assert len(pids) == 5, "supervisor, fork server, broker, two nodes"
        assert all(address.startswith("127.") for address in listeners(pids))
        commands = (
            "status", "status --json", "dump", "stores", "stores --json", "hosts", "bus", "version", "time now",
            "cert list pub", "cert list pub --json", "cert show pub tomcat", "cert show pub tomcat --json",
            "cert download pub tomcat", "cert show sub1 CAPF-trust", "service list sub1", "service list sub1 --json",
            "cert upload pub tomcat-trust ca.pem --wait", "cert upload sub1 tomcat-trust ca.pem --json",
            "cert upload sub1 tomcat-trust lab/credentials.json",
            "cert upload sub1 tomcat-trust lab/bus/ca.key.pem --json",
            "service restart sub1 Nothing", "service stop pub Nothing --json", "fault kill sub1", "fault start sub1",
            "wait --converged", "time advance 31m", "events", "events --json", "env --format nothing", "up", "init",
            "nonsense --json",
        )  # fmt: skip
        for command in commands:
            emitted[command] = ucmlab(command, path)
        check({**emitted, **processes_seen([pid for pid in pids if psutil.pid_exists(pid)])}, wanted)
        assert unprotected(home, wanted) == []
        shown = found_in(ucmlab("env", path), wanted)
        assert shown == {"os password", "app password", "observer password"}
    check(log_files(home), wanted)


def processes_of(dump: bytes) -> list[int]:
    """The processes that a dump names, the fork server that they come from, and its supervisor."""
    state = json.loads(dump.partition(b"\n")[2])
    named = [state["broker"]["pid"], *(node["pid"] for node in state["nodes"].values())]
    fork_server = psutil.Process(named[0]).parent()
    assert fork_server is not None
    return [*named, fork_server.pid, fork_server.ppid()]


@pytest.mark.library
@pytest.mark.slow
@pytest.mark.rule("S12")
def test_no_report_of_a_story_holds_a_secret(tmp_path: Path) -> None:
    said = ucmlab("run demo --mode local --keep --report reports --junit junit.xml", tmp_path / "lab")
    (kept,) = (path.parent for path in tmp_path.rglob("lab.json"))
    home = open_lab(kept)
    emitted = {str(path): path.read_bytes() for path in (tmp_path / "reports").rglob("*") if path.is_file()}
    names = {Path(path).name for path in emitted}
    assert {"result.json", "journal.jsonl"} <= names
    wanted = needles(secrets_of(home))
    check({**emitted, "output": said, "junit": (tmp_path / "junit.xml").read_bytes(), **log_files(home)}, wanted)
    assert unprotected(home, wanted) == []
