"""The platform and its cluster on the command line (W3.2): status, version, nodes, replication.

What no part of the lab has (processors, disks) is told of the machine that it runs on.
"""

import asyncio
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil

from ucmlab.cluster.addresses import block_of
from ucmlab.cluster.admin.terminal.console import Console, Failed, Perform
from ucmlab.node.config import Member, NodeConfig
from ucmlab.node.instant import DAY, HOUR, MINUTE, SECOND, Instant, to_datetime
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.status import NodeStatus

_TABLES = 754
"""Of the product's database, W3.2; this one has fewer, and no client counts them."""
_OS_VERSION = "7.0.0.0-23"  # [inferred]
_UNKNOWN = "unknown"
_DB_SERVICE = "A Cisco DB"
_PROCESS = {"imp": "cups"}
"""By role, as `show network cluster` names what a node is; else `callmanager`."""


async def show_version_active(console: Console, _: Mapping[str, str]) -> None:
    """The product's version number of the release."""
    console.say(
        f"Active Master Version: {console.desk.rulebook.release.version}",
        "Active Version Installed Software Options:",
        "No Installed Software Options Found.",
    )


async def show_status(console: Console, _: Mapping[str, str]) -> None:
    """In the guide's order of lines: a client reads the uptime at its place (W3.2)."""
    config, now = console.desk.config, console.desk.now()
    wall = _utc(now)
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    up = now.lab - console.desk.status().services[_DB_SERVICE].since
    console.say(
        f"Host Name          : {config.name}",
        f"Date               : {wall:%a %b} {wall.day}, {wall:%Y %H:%M:%S}",
        "Time Zone          : Coordinated Universal Time (Etc/UTC)",
        "Locale             : en_US.UTF-8",
        f"Product Ver        : {console.desk.rulebook.release.version}",
        f"Unified OS Version : {_OS_VERSION}",
        "",
        "Uptime:",
        f" {wall:%H:%M:%S} up {uptime(up)},  1 user,  load average: {load}",
        "",
        *await asyncio.to_thread(lambda: tuple(_machine(console.desk.layout.home))),
    )


async def show_network_cluster(console: Console, _: Mapping[str, str]) -> None:
    """One line a node, and on the publisher the nodes of its database."""
    config = console.desk.config
    status = console.desk.status()
    since = _began(console.desk.now(), status)
    addresses = await asyncio.to_thread(_addresses, config, console.caller.host)
    for member in config.members:
        kind = ("Publisher", "DBPub") if member.name == config.publisher else ("Subscriber", "DBSub")
        state = "authenticated" if status.connected or member.name == config.name else "not authenticated"  # [inferred]
        if member.name != config.name and status.connected:
            state += f" using TCP since {since.ctime()}"
        names = f"{config.fqdn_of(member.name)} {member.name}"
        process = _PROCESS.get(member.role, "callmanager")
        console.say(f"{addresses[member.name]} {names} {kind[0]} {process} {kind[1]} {state}")
    if config.is_publisher:
        title = "Server Table (processnode) Entries"
        console.say("", title, "-" * len(title), *(member.name for member in config.members))


async def utils_dbreplication_runtimestate(console: Console, _: Mapping[str, str]) -> None:
    """The state of replication as this node knows it."""
    config, status = console.desk.config, console.desk.status()
    if len(config.members) == 1:
        raise Failed(
            "Runtime state cannot be performed on a cluster with a single active node; aborting operation",
        )
    addresses = await asyncio.to_thread(_addresses, config, console.caller.host)
    console.say(*runtime_state(config, status, _utc(console.desk.now()), addresses))


def runtime_state(
    config: NodeConfig, status: NodeStatus, wall: datetime, addresses: Mapping[str, str]
) -> Iterator[str]:
    """The lines of `utils dbreplication runtimestate`. [inferred] what it tells where replication is broken."""
    yield f"Server Time: {wall.ctime()[:20]}UTC {wall.year}"
    yield ""
    yield f"Cluster Replication State: Replication status command started at: {wall:%Y-%m-%d-%H-%M}"
    yield f"     Replication status command COMPLETED. Checked {_TABLES} tables out of {_TABLES}"
    yield "     Last Completed Table: typesecuritypolicy"
    yield (
        "     Errors or Mismatches Were Found!!!"
        if status.replication_broken
        else "     No Errors or Mismatches found."
    )
    yield ""
    version = RuleBook.load(config.release, config.profile).release.version
    yield f"DB Version: ccm{version.replace('.', '_').replace('-', '_')}"
    yield "Repltimeout set to: 300s"
    yield "PROCESS option set to: 1"
    yield f"Cluster Detailed View from {config.name} ({len(config.members)} Servers):"
    yield _row("", "", "PING", "DB/RPC/", "REPL.", "Replication", "REPLICATION SETUP")
    yield _row("SERVER-NAME", "IP ADDRESS", "(msec)", "DbMon?", "QUEUE", "Group ID", "(RTMT) & Details")
    yield _row("-----------", "----------", "------", "-------", "-----", "-----------", "------------------")
    for number, member in enumerate(config.members, 2):
        broken = status.replication_broken and member.name == config.name
        state = "(4) Setup Failed" if broken else "(2) Setup Completed"
        yield _row(member.name, addresses[member.name], "0.045", "Y/Y/Y", "0", f"(g_{number})", state)


def uptime(lab: int) -> str:
    """How long, as Unix tells it: `72 days, 21:01`, ` 3:07`, `12 min`."""
    days, rest = divmod(max(lab, 0), DAY)
    hours, minutes = rest // HOUR, rest % HOUR // MINUTE
    clock = f"{hours:2}:{minutes:02}" if hours else f"{minutes} min"
    return f"{days} day{'s' if days > 1 else ''}, {clock}" if days else clock


def _row(name: str, address: str, ping: str, database: str, queue: str, group: str, state: str) -> str:
    return f"{name:<25}{address:<18}{ping:<10}{database:<10}{queue:<9}{group:<15}{state}"


def _machine(home: Path) -> Iterator[str]:
    cpu, memory, disk = psutil.cpu_times_percent(), psutil.virtual_memory(), shutil.disk_usage(home)
    yield f"CPU Idle:   {cpu.idle:05.2f}%  System:   {cpu.system:05.2f}%    User:   {cpu.user:05.2f}%"
    waits, hard, soft = (getattr(cpu, name, 0.0) for name in ("iowait", "irq", "softirq"))
    yield f"  IOWAIT:   {waits:05.2f}%     IRQ:   {hard:05.2f}%    Soft:   {soft:05.2f}%"
    yield ""
    for label, octets in (
        ("Memory Total", memory.total),
        ("        Free", memory.free),
        ("        Used", memory.used),
        ("      Cached", getattr(memory, "cached", 0)),
        ("      Shared", getattr(memory, "shared", 0)),
        ("     Buffers", getattr(memory, "buffers", 0)),
    ):
        yield f"{label}: {_kib(octets, 14)}"
    yield ""
    yield "                        Total            Free            Used"
    used = f"{_kib(disk.total, 12)} {_kib(disk.free, 14)} {_kib(disk.used, 14)} ({disk.used * 100 // disk.total}%)"
    for label in ("Disk/active", "Disk/inactive", "Disk/logging"):
        yield f"{label:<13}{used}"


def _kib(octets: int, width: int) -> str:
    return f"{octets // 1024:>{width}}K"


def _addresses(config: NodeConfig, own: str) -> dict[str, str]:
    """Node to IP address: by the block that a lab on one machine has, else by their names, as containers have them."""
    block = block_of(own)
    place = [member.name for member in config.members].index(config.name)
    if block is not None and block.node(place) == own:
        return {member.name: block.node(number) for number, member in enumerate(config.members)}
    return {member.name: own if member.name == config.name else _resolved(member) for member in config.members}


def _resolved(member: Member) -> str:
    try:
        return socket.gethostbyname(member.name)
    except OSError:
        return _UNKNOWN


def _began(now: Instant, status: NodeStatus) -> datetime:
    """When this node's database came up: it knows the others since then at the most. [inferred]."""
    ago = (now.lab - status.services[_DB_SERVICE].since) // SECOND * SECOND
    return to_datetime(now.wall - ago).astimezone(UTC)


def _utc(now: Instant) -> datetime:
    return to_datetime(now.wall).astimezone(UTC)


COMMANDS: Mapping[str, Perform] = {
    "show_version_active": show_version_active,
    "show_status": show_status,
    "show_network_cluster": show_network_cluster,
    "utils_dbreplication_runtimestate": utils_dbreplication_runtimestate,
}
