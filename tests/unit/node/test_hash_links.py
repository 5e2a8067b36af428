"""OpenSSL's links beside trust certificates: numbers, what people put there, kills, and OpenSSL on the folder."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz import raw
from tests.fuzz.der import OCTET_STRING
from tests.openssl import openssl
from tests.unit.node.authorities import issue
from tests.unit.node.certificate_factory import certificate
from tests.unit.node.disk_model import assert_linked
from tests.unit.node.guillotine import Guillotine
from ucmlab.node.certificates import pem
from ucmlab.node.events import FileImage
from ucmlab.node.privatefile import TEMPORARY
from ucmlab.node.subject_hash import subject_hash
from ucmlab.node.trust_files import TrustFiles

UNIT = "tomcat-trust"
SAME = [certificate("Corp Root CA", serial=number) for number in range(1, 6)]
"""One subject."""
OTHER = certificate("Other CA")
HASH, OTHER_HASH = "3e8be8e6", "a25f34f6"
UNREADABLE = raw.certificate(name=raw.subject(b"\x01\x02", OCTET_STRING))
"""`parse` takes it, OpenSSL does not."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "trust-certs"


@pytest.fixture
def files(folder: Path) -> TrustFiles:
    return TrustFiles({UNIT: folder})


def write(files: TrustFiles, name: str, der: bytes, *, op_id: str = "") -> None:
    files.write(UNIT, f"{name}.pem", der=der, description="", op_id=op_id)


def links(folder: Path) -> dict[str, str]:
    """Link to the name of its certificate, without suffix."""
    found = [path for path in folder.iterdir() if path.is_symlink()]
    return {path.name: str(path.readlink()).removesuffix(".pem") for path in found}


def filled(files: TrustFiles) -> None:
    for name, der in zip("abcd", SAME, strict=False):
        write(files, name, der)


@pytest.mark.rule("B.5")
@pytest.mark.parametrize("op_id", ["", "op-1"])
def test_the_suffix_counts_up_where_subjects_are_equal(files: TrustFiles, folder: Path, op_id: str) -> None:
    for name, der in (("a", SAME[0]), ("b", OTHER), ("c", SAME[1])):
        write(files, name, der, op_id=op_id)
    assert links(folder) == {f"{HASH}.0": "a", f"{HASH}.1": "c", f"{OTHER_HASH}.0": "b"}
    assert {each.name for each in files.read()[0]} == {"a.pem", "b.pem", "c.pem"}


@pytest.mark.rule("B.5", "B.6")
@pytest.mark.parametrize(("gone", "left"), [("a", "dbc"), ("b", "adc"), ("d", "abc")])
def test_a_delete_leaves_no_hole(files: TrustFiles, folder: Path, gone: str, left: str) -> None:
    filled(files)
    files.remove(UNIT, f"{gone}.pem")
    assert links(folder) == {f"{HASH}.{number}": name for number, name in enumerate(left)}
    files.remove(UNIT, f"{gone}.pem")
    assert len(links(folder)) == 3


def test_a_file_that_is_written_again_keeps_its_number(files: TrustFiles, folder: Path) -> None:
    filled(files)
    before = links(folder)
    write(files, "b", SAME[1])
    write(files, "c", SAME[4], op_id="op-1")
    assert links(folder) == before


def test_a_file_of_another_subject_goes_under_another_hash(files: TrustFiles, folder: Path) -> None:
    filled(files)
    write(files, "b", OTHER)
    assert links(folder) == {f"{HASH}.0": "a", f"{HASH}.1": "d", f"{HASH}.2": "c", f"{OTHER_HASH}.0": "b"}
    write(files, "b", UNREADABLE)
    assert links(folder) == {f"{HASH}.0": "a", f"{HASH}.1": "d", f"{HASH}.2": "c"}


@pytest.mark.rule("B.5")
def test_what_openssl_cannot_read_is_kept_and_has_no_link(files: TrustFiles, folder: Path) -> None:
    write(files, "odd", UNREADABLE)
    files.recover()
    assert links(folder) == {}
    assert files.read() == ((FileImage(UNIT, "odd.pem", UNREADABLE),), ())
    files.remove(UNIT, "odd.pem")
    assert list(folder.iterdir()) == []


def test_links_are_no_certificates(files: TrustFiles, folder: Path) -> None:
    filled(files)
    images, strays = files.read()
    assert [image.name for image in images] == ["a.pem", "b.pem", "c.pem", "d.pem"]
    assert strays == ()
    assert len(list(folder.iterdir())) == 8


def test_somebodys_file_of_such_a_name_stays_and_its_number_is_passed_over(files: TrustFiles, folder: Path) -> None:
    folder.mkdir()
    (folder / f"{HASH}.1").write_text("mine")
    filled(files)
    expected = {f"{HASH}.0": "a", f"{HASH}.2": "b", f"{HASH}.3": "c", f"{HASH}.4": "d"}
    assert links(folder) == expected
    files.recover()
    assert links(folder) == expected
    files.remove(UNIT, "a.pem")
    assert links(folder) == {f"{HASH}.0": "d", f"{HASH}.2": "b", f"{HASH}.3": "c"}
    assert (folder / f"{HASH}.1").read_text() == "mine"


def test_a_link_out_of_the_folder_is_not_followed_and_goes_at_the_next_start(
    files: TrustFiles, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "root.pem").write_text(pem(SAME[4]))
    folder.mkdir()
    (folder / f"{HASH}.0").symlink_to(outside / "root.pem")
    (folder / "aaaaaaaa.0").symlink_to("../outside")
    (folder / "mine.0").symlink_to(outside)
    filled(files)
    files.remove(UNIT, "a.pem")
    assert [image.name for image in files.read()[0]] == ["b.pem", "c.pem", "d.pem"]
    files.recover()
    numbered = {f"{HASH}.0": "d", f"{HASH}.1": "b", f"{HASH}.2": "c"}
    assert links(folder) == {**numbered, "mine.0": str(outside)}
    assert (outside / "root.pem").read_text() == pem(SAME[4])


def test_a_start_mends_what_people_changed(files: TrustFiles, folder: Path) -> None:
    filled(files)
    (folder / "a.pem").unlink()
    (folder / "b.pem").write_text(pem(OTHER))
    (folder / "c.pem").write_text("no certificate")
    (folder / "by hand.pem").write_text(pem(SAME[4]))
    (folder / f"{HASH}.7").symlink_to("d.pem")
    files.recover()
    assert links(folder) == {f"{HASH}.0": "d", f"{HASH}.1": "by hand", f"{OTHER_HASH}.0": "b"}


def test_a_start_that_finds_all_as_it_should_be_touches_nothing(
    files: TrustFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(files)
    before = {path.name: path.lstat().st_ino for path in folder.iterdir()}
    monkeypatch.setattr(os, "symlink", no_links)
    monkeypatch.setattr(os, "rename", no_links)
    files.recover()
    assert {path.name: path.lstat().st_ino for path in folder.iterdir()} == before


def no_links(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_a_file_system_without_links_keeps_certificates_nevertheless(
    files: TrustFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "symlink", no_links)
    filled(files)
    files.recover()
    files.remove(UNIT, "a.pem")
    assert sorted(path.name for path in folder.iterdir()) == ["b.pem", "c.pem", "d.pem"]


def assert_no_hole(found: dict[str, str]) -> None:
    numbers = sorted(int(name[9:]) for name in found if name.startswith(HASH))
    assert numbers == list(range(len(numbers)))


@pytest.mark.slow
@pytest.mark.rule("B.5")
def test_a_kill_at_any_system_call_is_mended_and_hides_nobody_meanwhile(
    files: TrustFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guillotine = Guillotine(monkeypatch)

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        filled(files)

    def act() -> None:
        write(files, "e", SAME[4])
        files.remove(UNIT, "b.pem")
        write(files, "c", OTHER, op_id="op-1")
        files.remove(UNIT, "a.pem")
        files.settle(UNIT, "c.pem")

    kills = 0
    for kills in guillotine.cuts(prepare, act):  # noqa: B007  how many there were
        found = links(folder)
        assert_no_hole(found)
        assert all((folder / name).exists() for name in found), "a link points nowhere"
        assert {"d"} <= set(found.values()), "a certificate that stays is hidden"
        files.recover()
        assert_linked(folder.parent)
    assert kills > 20


@pytest.mark.slow
def test_a_kill_while_links_are_mended_is_mended_by_the_next_start(
    files: TrustFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guillotine = Guillotine(monkeypatch)

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        filled(files)
        (folder / "a.pem").unlink()
        (folder / "c.pem").unlink()
        (folder / "d.pem").write_text(pem(OTHER))
        (folder / "e.pem").write_text(pem(OTHER))

    kills = 0
    for kills in guillotine.cuts(prepare, files.recover):  # noqa: B007  how many there were
        assert_no_hole(links(folder))
        files.recover()
        assert_linked(folder.parent)
    assert kills > 5


def test_what_a_failed_write_left_is_in_nobodys_way(files: TrustFiles, folder: Path) -> None:
    filled(files)
    (folder / f"{TEMPORARY}{HASH}.0").symlink_to("a.pem")
    files.remove(UNIT, "a.pem")
    assert links(folder) == {f"{HASH}.0": "d", f"{HASH}.1": "b", f"{HASH}.2": "c"}


@pytest.mark.rule("B.5")
def test_openssl_finds_issuers_in_the_folder_by_their_links(files: TrustFiles, folder: Path, tmp_path: Path) -> None:
    root = issue("Corp Root CA", 1)
    twin = issue("Corp Root CA", 2)
    leaf = tmp_path / "leaf.pem"
    leaf.write_text(pem(issue("pub.lab.test", 3, root, ca=False).der))
    write(files, "twin", twin.der)
    write(files, "root", root.der)
    assert subject_hash(root.der) == subject_hash(twin.der)
    verify = ("verify", "-CApath", folder, "-no-CAfile", "-no-CAstore", "-no_check_time", leaf)
    assert openssl(*verify).endswith("leaf.pem: OK\n")
    files.remove(UNIT, "twin.pem")
    assert openssl(*verify).endswith("leaf.pem: OK\n")
    files.remove(UNIT, "root.pem")
    with pytest.raises(AssertionError, match="unable to get local issuer certificate"):
        openssl(*verify)


def test_hundreds_of_one_subject_take_no_more_each_than_a_few(
    files: TrustFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Counter[str]()
    for name in ("symlink", "rename", "readlink"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, real=real, name=name: (asked.update([name]), real(*a))[1])
    for number in range(200):
        write(files, f"{number:03}", SAME[0])
    for number in range(200):
        files.remove(UNIT, f"{number:03}.pem")
    assert links(folder) == {}
    # Each write asks for a free number, each removal reads the links that there are and moves one.
    assert asked["symlink"] <= 200 * 3 + 200
    assert asked["rename"] <= 200 * 3
