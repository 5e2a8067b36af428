"""Every root certificate of the public web, as `certifi` has them, goes the whole way: read, judged, filed, shown."""

import json
import re
import ssl
from functools import lru_cache
from pathlib import Path

import certifi
import pytest

from tests.playbook import publisher
from ucmlab.cluster.certificate_list import Entry
from ucmlab.cluster.cli import details
from ucmlab.node.certificates import Certificate, parse, pem, trust_file_stem
from ucmlab.node.rulebook import RuleBook

FEWEST = 100
"""Roots, or the bundle is not what it was."""
STATED = {"expired", "not_yet_valid", "same_cn_older_start"}
"""Why a root may be refused at the test's date: it is no fault of its form (B.10)."""
BLOCK = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
FILE_NAME = re.compile(r"[A-Za-z0-9_%-][A-Za-z0-9._%-]*")
LONGEST = 255 - len("..pem.pending")
"""Characters: a file system's limit, less what is put around a name (`node/trust_files.py`)."""


@lru_cache(maxsize=1)
def roots() -> tuple[Certificate, ...]:
    bundle = Path(certifi.where()).read_text(encoding="utf-8")
    return tuple(parse(ssl.PEM_cert_to_DER_cert(block)) for block in BLOCK.findall(bundle))


def layouts() -> dict[str, RuleBook]:
    """A release of each kind: how it shows a certificate, and how it names its file."""
    rulebooks = {name: RuleBook.load(name) for name in reversed(RuleBook.load("14SU2").releases)}
    return {f"{rules.display.layout}-{rules.release.trust_file_names}": rules for rules in rulebooks.values()}


def test_every_root_is_read() -> None:
    assert len(roots()) >= FEWEST
    for root in roots():
        assert root.self_signed, root.subject
        assert re.fullmatch("(rsa|ec)-[0-9]+", root.key), root.subject


@pytest.mark.rule("B.10")
def test_every_root_is_judged_by_the_trust_rules() -> None:
    pub = publisher().up()
    for root in roots():
        pub.uploads(root.fingerprint, root.der)
    assert [op_id for op_id, _, _ in pub.replies()] == [root.fingerprint for root in roots()]
    assert {outcome for _, outcome, _ in pub.replies()} <= {"done", "refused"}
    refused = {op_id: reason for op_id, outcome, reason in pub.replies() if outcome == "refused"}
    assert set(refused.values()) <= STATED
    assert len(pub.files()) > FEWEST / 2


@pytest.mark.rule("B.5")
def test_every_root_has_a_file_name_and_no_two_have_the_same() -> None:
    for root in roots():
        for style in ("cn", "cn_serial"):
            stem = trust_file_stem(root.der, style)
            assert FILE_NAME.fullmatch(stem), root.subject
            assert len(stem) <= LONGEST, root.subject
    assert len({trust_file_stem(root.der, "cn_serial") for root in roots()}) == len(roots())


@pytest.mark.rule("R-056", "R-062")
@pytest.mark.parametrize("rulebook", layouts().values(), ids=layouts())
def test_every_root_is_shown_in_every_layout(rulebook: RuleBook) -> None:
    for root in roots():
        file = f"{trust_file_stem(root.der, rulebook.release.trust_file_names)}.pem"
        entry = Entry(unit="tomcat-trust", usage="trust", file=file, path=f"/certs/{file}", certificate=root)
        shown = list(details.lines(entry, rulebook.display))
        assert shown[0] == f"File: /certs/{file}"
        assert [line for line in shown if re.match(" +(Subject Name|SubjectDN): ", line) and root.subject in line]
        assert [line for line in shown if re.match(" +(Key Value|Modulus): [0-9a-f]{64}", line)]
        assert f"SHA-256 Fingerprint: {root.fingerprint}" in shown
        assert "\n".join(shown).endswith(pem(root.der).rstrip())
        assert json.loads(json.dumps(details.as_json(entry)))["fingerprint"] == root.fingerprint
