import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import durable
from store.durable import Poisoned


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def failing(fd: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_new_file_is_private_whole_and_synced(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    durable.write_new(root, "a", b"x" * 100_000)
    assert synced == [100_000]
    assert (tmp_path / "a").read_bytes() == b"x" * 100_000
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_new_file_replaces_nothing(root: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").symlink_to("c")
    with pytest.raises(FileExistsError):
        durable.write_new(root, "a", b"new")
    with pytest.raises(FileExistsError):
        durable.write_new(root, "b", b"new")
    assert (tmp_path / "a").read_text() == "old"
    assert not (tmp_path / "c").exists()


def test_failed_fsync_is_poison_and_frees_the_name(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(Poisoned) as caught:
        durable.write_new(root, "a", b"new")
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, "a")
    assert list(tmp_path.iterdir()) == []


def test_failed_fsync_renames_nothing(root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(Poisoned):
        durable.replace_file(root, "a", b"new", "a.tmp")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_failed_fsync_is_asked_for_once(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counting(fd: int) -> None:
        asked.append(fd)
        failing(fd)

    monkeypatch.setattr(os, "fsync", counting)
    with pytest.raises(Poisoned):
        durable.sync_file(root, "it")
    with pytest.raises(Poisoned):
        durable.sync_folder(root, "it")
    assert len(asked) == 2


def test_failed_syncfs_is_poison() -> None:
    with pytest.raises(Poisoned):
        durable.sync_file_system(-1, "it")


def test_replaced_file_is_synced_before_its_name_is(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def looking(fd: int) -> None:
        seen.append((stat.S_ISDIR(os.fstat(fd).st_mode), (tmp_path / "a").read_text()))

    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(os, "fsync", looking)
    durable.replace_file(root, "a", b"new", "a.tmp")
    assert seen == [(False, "old"), (True, "new")]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_short_writes_are_continued(root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:3])))
    durable.write_new(root, "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_full_disk_leaves_no_half_file(root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def full(fd: int, data: memoryview) -> int:
        if len(data) < 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, bytes(data[:3]))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        durable.write_new(root, "a", b"0123456789")
    assert list(tmp_path.iterdir()) == []


def test_only_the_very_file_is_removed(root: int, tmp_path: Path) -> None:
    fd = durable.create(root, "a")
    (tmp_path / "other").write_text("other")
    os.replace(tmp_path / "other", tmp_path / "a")
    durable.remove_exactly(root, "a", fd)
    os.close(fd)
    assert (tmp_path / "a").read_text() == "other"


def test_dressed_file_has_owner_mode_times_and_attributes(root: int, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    os.chown(tmp_path / "old", 1234, 5678)
    os.chmod(tmp_path / "old", 0o640)
    os.utime(tmp_path / "old", ns=(1_000_000_001, 2_000_000_003))
    try:
        os.setxattr(tmp_path / "old", "user.note", b"x")
        attributes = {"user.note": b"x"}
    except OSError:
        attributes = {}
    old = os.open(tmp_path / "old", os.O_RDONLY)
    new = durable.create(root, "new")
    durable.dress_like(new, old)
    os.close(old)
    os.close(new)
    found = (tmp_path / "new").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 5678, 0o640)
    assert found.st_mtime_ns == 2_000_000_003
    assert {name: os.getxattr(tmp_path / "new", name) for name in attributes} == attributes
