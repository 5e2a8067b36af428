"""An identity's certificate as PEM and DER: both or one, and after a start always both."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.node.certificate_factory import certificate
from tests.unit.node.guillotine import Guillotine
from ucmlab.node.certificates import pem
from ucmlab.node.identity_files import recover_identities, write_identity
from ucmlab.node.trust_files import read_certificate

FIRST, SECOND = certificate("pub.lab.test", serial=1), certificate("pub.lab.test", serial=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "certs" / "tomcat.pem"


@pytest.mark.rule("B.5")
def test_an_identity_is_a_pem_file_and_the_same_in_der(path: Path) -> None:
    for der in (FIRST, SECOND):
        write_identity(path, der)
        assert path.read_text() == pem(der)
        assert path.with_suffix(".der").read_bytes() == der
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o644}


@pytest.mark.parametrize("written", [b"", b"of another", FIRST])
def test_a_start_puts_the_one_in_place_that_is_in_the_pem_file(path: Path, written: bytes) -> None:
    path.parent.mkdir()
    path.write_text(f"by hand\n{pem(SECOND)}")
    path.with_suffix(".der").write_bytes(written)
    recover_identities([path])
    assert path.with_suffix(".der").read_bytes() == SECOND


def test_beside_no_certificate_is_none(path: Path) -> None:
    write_identity(path, FIRST)
    path.write_text("no certificate")
    recover_identities([path, path.with_name("never-made.pem")])
    assert [each.name for each in path.parent.iterdir()] == ["tomcat.pem"]


def test_once_the_pem_file_is_in_place_nothing_fails_any_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_identity(path, FIRST)
    monkeypatch.setattr(os, "rename", full_but_for_pem(os.rename))
    write_identity(path, SECOND)
    assert read_certificate(path) == SECOND
    monkeypatch.undo()
    recover_identities([path])
    assert path.with_suffix(".der").read_bytes() == SECOND


def full_but_for_pem(rename: Callable[[str, str], None]) -> Callable[[str, str], None]:
    def renamed(source: str, target: str) -> None:
        if not target.endswith(".pem"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    return renamed


@pytest.mark.rule("B.5")
def test_a_kill_at_any_system_call_leaves_a_pair_after_the_next_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guillotine = Guillotine(monkeypatch)

    def prepare() -> None:
        shutil.rmtree(path.parent, ignore_errors=True)
        write_identity(path, FIRST)

    seen = set()
    for _ in guillotine.cuts(prepare, lambda: write_identity(path, SECOND)):
        recover_identities([path])
        der = read_certificate(path)
        assert path.with_suffix(".der").read_bytes() == der
        seen.add(der)
    assert seen == {FIRST, SECOND}
