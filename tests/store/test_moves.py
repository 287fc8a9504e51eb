"""Folders that go with the last file that was moved out of them, and no other."""

import os
from pathlib import Path

import pytest
from bare_root import path

from store.roots import RootFds

__all__ = ["path"]


def test_folder_goes_with_its_last_file_and_is_not_listed_each_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path / "top/a/b").mkdir(parents=True)
    for number in range(9):
        (path / f"top/a/b/{number}").touch()
    listed = []
    listdir = os.listdir

    def listing(fd: int) -> list[str]:
        listed.append(fd)
        return listdir(fd)

    monkeypatch.setattr(os, "listdir", listing)
    with RootFds({"sessions": str(path)}) as roots:
        for number in range(9):
            assert (path / "top/a/b").exists()
            (path / f"top/a/b/{number}").unlink()
            roots.moves.took_one("sessions", "top/a/b", "top", ended=True)
    assert (len(listed), list((path / "top").iterdir())) == (1, [])


def test_count_that_is_wrong_removes_no_folder_that_holds_something(path: Path) -> None:
    (path / "top/a").mkdir(parents=True)
    (path / "top/a/1").touch()
    (path / "top/a/2").touch()
    with RootFds({"sessions": str(path)}) as roots:
        for _ in range(5):
            roots.moves.took_one("sessions", "top/a", "top", ended=True)
    assert {entry.name for entry in (path / "top/a").iterdir()} == {"1", "2"}


def test_file_that_comes_in_meanwhile_is_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path / "top/a").mkdir(parents=True)
    (path / "top/a/1").touch()
    removed: list[str] = []
    with RootFds({"sessions": str(path)}) as roots:
        roots.moves.took_one("sessions", "top/a", "top", ended=True)
        roots.moves.put_one("sessions", "top/a")
        monkeypatch.setattr(os, "rmdir", lambda name, **_: removed.append(name))
        roots.moves.took_one("sessions", "top/a", "top", ended=True)
        assert removed == []
        roots.moves.took_one("sessions", "top/a", "top", ended=True)
    assert removed == ["a"]
