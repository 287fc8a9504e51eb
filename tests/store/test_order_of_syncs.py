"""Where something went is on the disk before the folder that it has left: a disk without a journal may keep but one."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import names, opening
from store.change import RootFds, make, make_new, move_to_trash, rewrite
from store.facts import Member

RUN = names.new_run_id(1770628443, b"abc")
OTHER = names.new_run_id(1770628444, b"abc")

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="there is no /proc to tell which folder is synced"
)


def build(fd: int) -> Iterator[bytes]:
    yield os.read(fd, 1000)
    yield b"end\n"


def _rewrite(roots: RootFds, member: Member, run: str) -> None:
    rewrite(roots, member, run, 0, build)


def _make(roots: RootFds, member: Member, run: str) -> None:
    make(roots, member, "project/made", run, 0, 1, build)


def _make_new(roots: RootFds, _: Member, run: str) -> None:
    make_new(roots, "sessions", "project/made", b"new\n", run, 0)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    for name in ("goes", "stays"):
        (tmp_path / "project" / name).write_bytes(b"line\n")
    return tmp_path


@pytest.fixture
def synced(store: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were synced, in order."""
    found: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        path = os.readlink(f"/proc/self/fd/{fd}")
        if os.path.isdir(path):
            found.append(os.path.relpath(path, store))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def planned(store: Path, name: str) -> Member:
    return Member("sessions", f"project/{name}", opening.fingerprint((store / "project" / name).stat()))


CHANGES = [_rewrite, _make, _make_new]
Change = Callable[[RootFds, Member, str], None]


@pytest.mark.parametrize("change", CHANGES)
def test_moves_out_of_a_folder_are_durable_before_it_is(
    store: Path, synced: list[str], change: Change
) -> None:
    with RootFds({"sessions": str(store)}) as roots:
        move_to_trash(roots, (planned(store, "goes"),), RUN)
        del synced[:]
        change(roots, planned(store, "stays"), RUN)
    trash = names.trash_path(RUN, "sessions", "project/goes").rpartition("/")[0]
    assert synced.index(trash) < synced.index("project")


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_waited_for_where_nothing_was_moved(
    store: Path, synced: list[str], change: Change
) -> None:
    with RootFds({"sessions": str(store)}) as roots:
        change(roots, planned(store, "stays"), OTHER)
    assert [path for path in synced if path.startswith(".maint/trash")] == []
