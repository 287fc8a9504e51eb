"""Folders below a root are ours and durable when they are made, and go only when they are empty."""

import os
import stat
from pathlib import Path

import pytest
from bare_root import path, root

from store.folders import make_folders, unmake
from store.roots import RootFds

__all__ = ["path", "root"]


def test_folders_are_made_private_and_found_again(root: int, path: Path) -> None:
    made = make_folders(root, "a/b/c")
    again = make_folders(root, "a/b/c")
    assert os.path.samestat(os.fstat(made), os.fstat(again))
    assert stat.S_IMODE((path / "a/b").stat().st_mode) == 0o700
    os.close(made)
    os.close(again)


def test_new_folder_is_synced_into_its_parent(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    first = os.fstat(root).st_ino
    fd = make_folders(root, "a/b")
    os.close(fd)
    assert synced == [first, os.stat("a", dir_fd=root).st_ino]


def test_folder_of_another_user_is_not_ours(root: int, path: Path) -> None:
    (path / ".maint").mkdir()
    os.chown(path / ".maint", 12345, -1)
    with pytest.raises(PermissionError):
        make_folders(root, ".maint/trash")
    assert list((path / ".maint").iterdir()) == []


def test_folder_of_another_device_on_the_way_is_not_ours() -> None:
    with RootFds({"top": "/"}) as roots, pytest.raises(PermissionError):
        make_folders(roots["top"], "proc")


def test_missing_folders_are_made_with_the_modes_that_are_known(root: int, path: Path) -> None:
    (path / "a").mkdir(mode=0o700)
    modes = {"a": 0o777, "a/b": 0o2755, "a/b/c": 0o050}
    made: list[str] = []
    umask = os.umask(0o077)
    try:
        os.close(make_folders(root, "a/b/c/d", modes=modes.get, made=made))
    finally:
        os.umask(umask)
    found = [stat.S_IMODE((path / each).stat().st_mode) for each in ("a", "a/b", "a/b/c", "a/b/c/d")]
    assert (found, made) == ([0o700, 0o755, 0o750, 0o700], ["a/b", "a/b/c", "a/b/c/d"])


def test_mode_that_a_folder_inherits_from_the_one_above_is_kept(root: int, path: Path) -> None:
    path.chmod(0o2775)
    os.close(make_folders(root, "a", modes={"a": 0o750}.get))
    assert stat.S_IMODE((path / "a").stat().st_mode) == 0o2750


def test_folders_that_were_made_for_nothing_go_and_no_others(root: int, path: Path) -> None:
    (path / "a").mkdir()
    made: list[str] = []
    os.close(make_folders(root, "a/b/c", made=made))
    os.close(make_folders(root, "a/d", made=made))
    (path / "a/d/x").touch()
    unmake(root, made)
    assert [str(each.relative_to(path)) for each in sorted(path.rglob("*"))] == ["a", "a/d", "a/d/x"]
