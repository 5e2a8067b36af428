import os
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from errno import EXDEV
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from ucmlab.cluster.keycache import LARGEST_TARGET, KeyCache, cache_folder
from ucmlab.cluster.simkeys import sim_rsa
from ucmlab.node.privatefile import read_private

BITS = 1024
"""The shortest that the library makes: these tests are about files, not about keys."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def put(folder: Path, name: str, content: bytes, *, mode: int = 0o600) -> None:
    shelf = folder / f"rsa-{BITS}"
    shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    (shelf / name).write_bytes(content)
    (shelf / name).chmod(mode)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"UCMLAB_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/ucmlab"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/ucmlab"),
        ({"UCMLAB_CACHE": "", "HOME": "/h"}, "/h/.cache/ucmlab"),
    ],
)
def test_the_environment_says_where_the_cache_is(environment: Mapping[str, str], expected: str) -> None:
    assert cache_folder(environment) == Path(expected)


def test_a_refilled_cache_gives_each_key_once(folder: Path) -> None:
    cache = KeyCache(folder)
    assert cache.refill(3, BITS) == 3
    assert cache.refill(3, BITS) == 0
    keys = [*cache.take(2, BITS), *cache.take(5, BITS)]
    assert len(set(keys)) == 3
    assert (cache.count(BITS), cache.take(1, BITS)) == (0, [])
    for der in keys:
        key = load_der_private_key(der, None)
        assert isinstance(key, rsa.RSAPrivateKey)
        assert key.key_size == BITS
    assert list(folder.rglob("*.der")) == []


def test_moved_keys_are_private_files_elsewhere_and_gone_from_the_cache(folder: Path, tmp_path: Path) -> None:
    cache = KeyCache(folder)
    cache.refill(3, BITS)
    put(folder, "0.der", b"junk")
    put(folder, "00.der", b"others may read it", mode=0o644)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)

    assert cache.move(BITS, [home / "one.der", home / "two.der"]) == 2

    keys = [load_der_private_key(read_private(path), None) for path in home.iterdir()]
    assert [isinstance(key, rsa.RSAPrivateKey) and key.key_size for key in keys] == [BITS, BITS]
    assert cache.count(BITS) == 1


def test_a_key_that_cannot_be_moved_is_copied(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = KeyCache(folder)
    cache.refill(1, BITS)
    home = tmp_path / "home"
    rename = Path.rename

    def on_another_file_system(path: Path, target: Path) -> Path:
        if path.parent != target.parent:
            raise OSError(EXDEV, "Invalid cross-device link")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", on_another_file_system)

    assert cache.move(BITS, [home / f"rsa-{BITS}.der", home / "none.der"]) == 1

    assert isinstance(load_der_private_key(read_private(home / f"rsa-{BITS}.der"), None), rsa.RSAPrivateKey)
    assert cache.count(BITS) == 0


def test_lengths_are_kept_apart(folder: Path) -> None:
    cache = KeyCache(folder)
    cache.refill(1, BITS)
    assert cache.count(2048) == 0
    assert cache.take(1, 2048) == []
    assert cache.count(BITS) == 1


def test_files_and_folders_are_their_owners_alone(folder: Path) -> None:
    KeyCache(folder).refill(1, BITS)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}
    assert modes == {0o700, 0o600}


def test_labs_that_start_side_by_side_share_no_key(folder: Path) -> None:
    KeyCache(folder).refill(8, BITS, jobs=2)
    with ThreadPoolExecutor(max_workers=4) as pool:
        shares = list(pool.map(KeyCache(folder).take, [3] * 4, [BITS] * 4))
    taken = [key for share in shares for key in share]
    assert len(taken) == len(set(taken)) == 8


def test_a_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(PermissionError, match="must belong to you alone"):
        KeyCache(folder)


def test_a_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="a link or of another kind"):
        KeyCache(folder)


def test_what_is_no_private_key_of_that_length_is_dropped(folder: Path) -> None:
    wrong = ec.derive_private_key(1, ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    put(folder, "0.der", b"")
    put(folder, "1.der", b"junk")
    put(folder, "2.der", wrong)
    put(folder, "3.der", wrong, mode=0o644)
    cache = KeyCache(folder)
    assert cache.count(BITS) == 4
    assert cache.take(4, BITS) == []
    assert cache.count(BITS) == 0


def test_a_key_of_the_simulation_is_dropped(folder: Path) -> None:
    known = sim_rsa(0).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    shelf = folder / "rsa-2048"
    put(folder, "unused.der", b"")
    shelf.mkdir(mode=0o700)
    (shelf / "0.der").write_bytes(known)
    (shelf / "0.der").chmod(0o600)
    assert KeyCache(folder).take(1, 2048) == []


def test_a_key_that_a_dead_process_had_taken_is_forgotten(folder: Path) -> None:
    cache = KeyCache(folder)
    put(folder, "claim-999999999-a.der", b"key")
    put(folder, f"claim-{os.getpid()}-b.der", b"key")
    put(folder, "claim-x-c.der", b"key")
    assert cache.count(BITS) == 0
    cache.refill(0, BITS)
    assert [path.name for path in folder.rglob("*.der")] == [f"claim-{os.getpid()}-b.der"]


def test_a_cache_does_not_grow_without_bound(folder: Path) -> None:
    for number in range(LARGEST_TARGET):
        put(folder, f"{number}.der", b"counted, not read")
    assert KeyCache(folder).refill(10 * LARGEST_TARGET, BITS) == 0
