"""Chains against `openssl verify`: both judge the same made-up lines of CAs, good ones and crooked ones.

Names and keys are each CA's own here: among CAs of one name OpenSSL takes the first that fits and never another, and a
certificate whose issuer has its own name counts as self-signed to it without a look at the signature.
"""

import ipaddress
import random
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.unit.node.authorities import Authority, issue, numbered_key, usage
from tests.unit.node.certificate_factory import END, START, name
from ucmlab.node.certificates import pem
from ucmlab.node.chains import complete
from ucmlab.node.instant import from_datetime

NOW = START + timedelta(days=100)
CASES = 150
HOSTS = ("lab.test", "pub.lab.test", "corp.test", "x.corp.test", "PUB.lab.test")
MAILS = ("a@lab.test", "b@Lab.test", "a@x.lab.test", "A@lab.test")
URIS = ("http://lab.test/x", "https://u@pub.lab.test:1/", "http://corp.test")
ADDRESSES = ("10.1.2.3", "10.2.0.1", "11.0.0.1", "fe80::1")
ORGANISATIONS = ("Lab, Inc.", "LAB,  inc.", "Other")
Extension = tuple[x509.ExtensionType, bool]


def general_name(rng: random.Random) -> x509.GeneralName:
    return rng.choice(
        (
            x509.DNSName(rng.choice(HOSTS)),
            x509.RFC822Name(rng.choice(MAILS)),
            x509.UniformResourceIdentifier(rng.choice(URIS)),
            x509.IPAddress(ipaddress.ip_address(rng.choice(ADDRESSES))),
            directory(rng),
        )
    )


def limit(rng: random.Random) -> x509.GeneralName:
    networks = ("10.0.0.0/8", "10.1.0.0/16", "fe80::/16")
    return rng.choice(
        (
            x509.DNSName(rng.choice((*HOSTS, ".lab.test"))),
            x509.RFC822Name(rng.choice((*MAILS, "lab.test", ".lab.test"))),
            x509.UniformResourceIdentifier(rng.choice(("lab.test", ".lab.test"))),
            x509.IPAddress(ipaddress.ip_network(rng.choice(networks))),
            directory(rng),
        )
    )


def directory(rng: random.Random) -> x509.DirectoryName:
    parts = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, rng.choice(ORGANISATIONS)),
        x509.NameAttribute(NameOID.COMMON_NAME, "leaf"),
    ]
    return x509.DirectoryName(x509.Name(parts[: rng.randint(1, 3)]))


def extensions(rng: random.Random, *, leaf: bool) -> list[Extension]:
    found: list[Extension] = []
    if not leaf and rng.random() < 0.4:
        permitted = [limit(rng) for _ in range(rng.randint(0, 2))]
        excluded = [limit(rng) for _ in range(rng.randint(0 if permitted else 1, 1))]
        found.append((x509.NameConstraints(permitted or None, excluded or None), rng.random() < 0.7))
    if rng.random() < (0.7 if leaf else 0.15):
        found.append((x509.SubjectAlternativeName([general_name(rng) for _ in range(rng.randint(1, 3))]), False))
    if rng.random() < 0.04:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        found.append((unknown, rng.random() < 0.5))
    return found


def crooked(rng: random.Random, number: int, issuer: Authority | None, *, leaf: bool) -> Authority:
    """One certificate of a line; most are in order, some are not."""
    if issuer is not None and rng.random() < 0.05:
        issuer = Authority(issuer.certificate, numbered_key(777))
    common_name = rng.choice(("leaf", "pub.lab.test", "x.corp.test")) if leaf else f"CA {number}"
    ca = not leaf and rng.random() > 0.04
    usages = (None, None, usage("key_cert_sign"), usage("digital_signature", "key_cert_sign"), usage("crl_sign"))
    return issue(
        name(common_name),
        500 + number,
        issuer,
        ca=ca,
        path_length=rng.choice((None, None, 0, 1)) if ca else None,
        key_usage=rng.choice(usages),
        key_ids=rng.random() < 0.7,
        extensions=extensions(rng, leaf=leaf),
        serial=1 + number,
        start=END - timedelta(days=1) if rng.random() < 0.03 else START,
        end=START + timedelta(hours=1) if rng.random() < 0.03 else END,
    )


def line(seed: int) -> list[Authority]:
    """A root, what is below it, and a leaf."""
    rng = random.Random(seed)
    made = [crooked(rng, 0, None, leaf=False)]
    for number in range(1, rng.randint(1, 3)):
        made.append(crooked(rng, number, made[-1], leaf=False))
    return [*made, crooked(rng, 9, made[-1], leaf=True)]


def openssl_verifies(folder: Path, held: list[Authority], brought: list[Authority], leaf: Authority) -> bool:
    for file, some in (("held", held), ("brought", brought), ("leaf", [leaf])):
        (folder / file).write_text("".join(pem(each.der) for each in some), encoding="ascii")
    untrusted = ["-untrusted", str(folder / "brought")] if brought else []
    stores = ["-no-CApath", "-no-CAstore", "-CAfile", str(folder / "held"), *untrusted]
    command = ["openssl", "verify", *stores, "-attime", str(int(NOW.timestamp())), str(folder / "leaf")]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to ask")
def test_chains_are_complete_where_openssl_verifies_them(tmp_path: Path) -> None:
    verdicts = {True: 0, False: 0}
    for seed in range(CASES):
        *authorities, leaf = line(seed)
        held, brought = authorities[: 1 + seed % 2], authorities[1 + seed % 2 :]
        found = complete(
            leaf.certificate,
            brought=[each.certificate for each in brought],
            held=[each.certificate for each in held],
            wall=from_datetime(NOW),
            roots="held",
        )
        expected = openssl_verifies(tmp_path, held, brought, leaf)
        assert found.complete == expected, f"seed {seed}: {found.text}"
        verdicts[expected] += 1
    assert min(verdicts.values()) > CASES // 5, "both verdicts must occur, or nothing is compared"
