"""A Mosquitto of one lab: its configuration, accounts and access rules, written into the lab's home.

    bus/mosquitto/mosquitto.conf    listens on loopback only, TLS with the lab's own bus CA
    bus/mosquitto/passwords         every member's and the observer's, salted and hashed as Mosquitto wants them
    bus/mosquitto/access            what `cluster.access_rules` says, in Mosquitto's words

All of it is made anew at each start and is its owner's alone (0600). Chosen knowingly:

- `persistence false`: a broker that is killed comes back empty, as the embedded one does. That is the harder case, the
  bus is built for it (clean sessions, retained messages that their owners repeat), and no run leaves state to the next.
- `max_inflight_messages 0`, `max_queued_messages 100000`: a burst must neither wait for acknowledgements nor be dropped
  without a word; Mosquitto's own 20 and 1000 are for brokers that strangers use.
- `max_packet_size 2000000`: what the embedded broker takes. `message_size_limit` stays at its 0, no limit of its own:
  it drops a message and acknowledges it to version 3.1.1, which nobody would ever find out.
- Its access rules judge what is delivered, not what is subscribed to (Mosquitto 2.0 looks at no subscription), and it
  knows no rule that ties a client id to an account: a member that misbehaves could end another's connection.
"""

import base64
import hashlib
import os
import pwd
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from ucmlab.broker.access import AccessRule
from ucmlab.cluster.errors import Unusable
from ucmlab.node.privatefile import private_folder, write_private

ITERATIONS = 101
"""Mosquitto's own default; the passwords are 144 random bits, which no guessing reaches."""
_SALT_BYTES = 12
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where packages put it; users other than root often lack these in their PATH."""
_WORDS = {"publish": "write", "receive": "read"}
"""Ours to Mosquitto's. It has no word for subscribing: what is not to be read is not delivered."""


def find_mosquitto() -> str:
    """The program's path.

    Raises:
        Unusable: it is not installed.
    """
    found = shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *_PLACES)))
    if found is None:
        raise Unusable("--broker mosquitto: Mosquitto is not installed; run `make extras`, or leave the option out")
    return found


def write_configuration(
    folder: Path,
    *,
    host: str,
    port: int,
    certificate: Path,
    passwords: Mapping[str, str],
    rules: Mapping[str, Iterable[AccessRule]],
) -> Path:
    """Write everything that a Mosquitto is started with; returns the configuration file.

    Args:
        folder: where; made if need be.
        host: the address to listen on; loopback.
        port: the port to listen on.
        certificate: PEM file with the broker's key and certificate.
        passwords: by user name.
        rules: by user name.

    Raises:
        Unusable: the address is not loopback.
    """
    if not host.startswith("127."):
        raise Unusable(f"--listen {host}: ucmlab runs Mosquitto on loopback only; name your own broker with its URL")
    private_folder(folder)
    accounts, access, configuration = folder / "passwords", folder / "access", folder / "mosquitto.conf"
    write_private(accounts, "".join(f"{user}:{hashed(word)}\n" for user, word in passwords.items()).encode())
    write_private(access, access_text(rules).encode())
    write_private(configuration, _configuration(host, port, certificate, accounts, access).encode())
    return configuration


def hashed(password: str, salt: bytes | None = None) -> str:
    """A password as Mosquitto keeps it: PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def access_text(rules: Mapping[str, Iterable[AccessRule]]) -> str:
    """The access rules of all users in Mosquitto's words; what none of them allows is refused.

    Rules for the client's own id stand as patterns at the end: Mosquitto fills in ids nowhere else, and for everybody.
    """
    lines: list[str] = []
    patterns: dict[str, None] = {}
    for user, own in rules.items():
        lines.append(f"user {user}")
        for rule in own:
            word = _WORDS.get(rule.action)
            if word is None:
                continue
            if "%c" in rule.filter:
                patterns[f"pattern {word} {rule.filter}"] = None
            else:
                lines.append(f"topic {word} {rule.filter}")
    return "\n".join((*lines, *patterns)) + "\n"


def last_words(log: Path) -> str:
    """The last line of its log, without the time stamp; why it ended, if it ended by itself."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1].partition(": ")[2] or lines[-1] if lines else ""


def _configuration(host: str, port: int, certificate: Path, accounts: Path, access: Path) -> str:
    settings = {
        # Started by root it would become the user mosquitto, who may read none of these files.
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "per_listener_settings": "false",
        "listener": f"{port} {host}",
        "certfile": certificate,
        "keyfile": certificate,
        "tls_version": "tlsv1.2",
        "allow_anonymous": "false",
        "password_file": accounts,
        "acl_file": access,
        "persistence": "false",
        "max_inflight_messages": 0,
        "max_queued_messages": 100_000,
        "max_packet_size": 2_000_000,
        "set_tcp_nodelay": "true",
        "log_dest": "stderr",
        "connection_messages": "false",
    }
    kinds = "".join(f"log_type {kind}\n" for kind in ("error", "warning", "notice"))
    return "".join(f"{name} {value}\n" for name, value in settings.items()) + kinds
