import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import names, opening
from store.roots import RootFds
from store.trash import list_trash

EARLY = names.new_run_id(1770628443, b"abc")
LATE = names.new_run_id(1770628500, b"abc")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "sessions").mkdir()
    (tmp_path / "state").mkdir()
    return tmp_path / "sessions"


@pytest.fixture
def roots(path: Path) -> Iterator[RootFds]:
    with RootFds({"sessions": str(path), "state": str(path.parent / "state")}) as roots:
        yield roots


def put(path: Path, rel: str, text: str = "x") -> Path:
    (path / rel).parent.mkdir(parents=True, exist_ok=True)
    (path / rel).write_text(text)
    return path / rel


def listed(roots: RootFds, run: str | None = None) -> list[tuple[str, str, str, bool]]:
    found = list_trash(roots) if run is None else list_trash(roots, run.__eq__)
    return [(kept.run, kept.root, kept.path, kept.backup) for kept in found]


def test_store_without_a_trash_has_nothing_in_it(roots: RootFds) -> None:
    assert listed(roots) == []
    assert listed(roots, EARLY) == []


def test_place_of_a_file_says_all_there_is_to_know(roots: RootFds, path: Path) -> None:
    file = put(path, names.trash_path(EARLY, "state", "p/q/a"), "four")
    (kept,) = list_trash(roots)
    assert (kept.home, kept.kept) == ("sessions", str(file.relative_to(path)))
    assert (kept.run, kept.root, kept.path, kept.backup) == (EARLY, "state", "p/q/a", False)
    assert kept.fingerprint == opening.fingerprint(file.stat())


def test_files_come_in_the_order_of_runs_and_names_whatever_that_of_the_folder(
    roots: RootFds, path: Path
) -> None:
    for run in (LATE, EARLY):
        for name in ("c", "a", "b/2", "b/1"):
            put(path, names.trash_path(run, "sessions", name))
        put(path, names.backup_path(run, "sessions", "z"))
    order = ["a", "b/1", "b/2", "c"]
    assert listed(roots) == [
        *((run, "sessions", name, False) for run in (EARLY, LATE) for name in order),
        *((run, "sessions", "z", True) for run in (EARLY, LATE)),
    ]


def test_one_run_is_listed_alone(roots: RootFds, path: Path) -> None:
    put(path, names.trash_path(EARLY, "sessions", "a"))
    put(path, names.trash_path(LATE, "sessions", "b"))
    put(path, names.backup_path(LATE, "sessions", "c"))
    assert listed(roots, LATE) == [(LATE, "sessions", "b", False), (LATE, "sessions", "c", True)]


@pytest.mark.parametrize(
    "rel",
    ["loose", "20260209T091403/sessions/a", "20260209T091403-ABCDEF/sessions/a", f"{EARLY}/loose", "x/y/z"],
)
def test_foreign_names_are_passed_over(roots: RootFds, path: Path, rel: str) -> None:
    put(path, f"{names.TRASH}/{rel}")
    put(path, f"{names.BACKUP}/{rel}")
    put(path, names.trash_path(EARLY, "sessions", "a"))
    assert listed(roots) == [(EARLY, "sessions", "a", False)]


def test_links_are_listed_and_not_followed_and_what_is_neither_file_nor_link_is_not_listed(
    roots: RootFds, path: Path
) -> None:
    outside = path.parent / "outside"
    put(outside, "a")
    folder = put(path, names.trash_path(EARLY, "sessions", "a")).parent
    (folder / "link").symlink_to(outside / "a")
    (folder / "folder").symlink_to(outside)
    (folder / "self").symlink_to(".")
    os.mkfifo(folder / "fifo")
    assert [(kept.path, kept.kind) for kept in list_trash(roots)] == [
        ("a", "file"),
        ("folder", "link"),
        ("link", "link"),
        ("self", "link"),
    ]
    link = next(kept for kept in list_trash(roots) if kept.path == "link")
    assert link.fingerprint == opening.fingerprint((folder / "link").lstat())


def test_empty_folder_waits_if_it_is_older_than_the_run_and_else_was_made_for_something(
    roots: RootFds, path: Path
) -> None:
    for name in ("waits", "p/waits", "made", "q/made"):
        (path / names.trash_path(EARLY, "sessions", name)).mkdir(parents=True)
    for name in ("waits", "p/waits"):
        os.utime(path / names.trash_path(EARLY, "sessions", name), (1.7e9, 1.7e9))
    assert [(kept.path, kept.kind) for kept in list_trash(roots)] == [
        ("p/waits", "folder"),
        ("waits", "folder"),
    ]


def test_folder_that_holds_something_is_not_listed_but_what_it_holds(roots: RootFds, path: Path) -> None:
    folder = put(path, names.trash_path(EARLY, "sessions", "p/a")).parent
    os.utime(folder, (1.7e9, 1.7e9))
    assert listed(roots) == [(EARLY, "sessions", "p/a", False)]


def test_among_the_backups_are_only_files(roots: RootFds, path: Path) -> None:
    folder = put(path, names.backup_path(EARLY, "sessions", "a")).parent
    (folder / "link").symlink_to("a")
    (folder / "empty").mkdir()
    os.utime(folder / "empty", (1.7e9, 1.7e9))
    assert listed(roots) == [(EARLY, "sessions", "a", True)]


def test_run_that_is_a_link_is_not_followed(roots: RootFds, path: Path) -> None:
    put(path.parent / "outside", "sessions/a")
    (path / names.TRASH).mkdir(parents=True)
    (path / names.TRASH / EARLY).symlink_to(path.parent / "outside")
    assert listed(roots) == []


def test_trash_that_is_a_link_is_an_error_and_not_an_empty_trash(roots: RootFds, path: Path) -> None:
    put(path.parent / "outside", f"{EARLY}/sessions/a")
    (path / names.FOLDER).mkdir()
    (path / names.TRASH).symlink_to(path.parent / "outside")
    with pytest.raises(NotADirectoryError):
        listed(roots)


def test_name_that_is_no_text_is_listed(roots: RootFds, path: Path) -> None:
    name = os.fsdecode(b"\xff\n\x1b")
    put(path, names.trash_path(EARLY, "sessions", name))
    assert listed(roots) == [(EARLY, "sessions", name, False)]


def test_time_here_begins_with_the_run_or_with_the_last_line_written_here(roots: RootFds, path: Path) -> None:
    file = put(path, names.trash_path(EARLY, "sessions", "a"))
    for mtime, since in ((1.0, names.run_time(EARLY)), (2e9, 2e9)):
        os.utime(file, (mtime, mtime))
        (kept,) = list_trash(roots)
        assert kept.since == since


def test_roots_that_share_a_home_are_listed_once(roots: RootFds, path: Path) -> None:
    put(path, names.trash_path(EARLY, "sessions", "a"))
    put(path.parent / "state", names.trash_path(EARLY, "state", "b"))
    assert listed(roots) == [(EARLY, "sessions", "a", False)]


def test_no_descriptor_is_left_by_a_listing_that_was_broken_off(roots: RootFds, path: Path) -> None:
    for name in ("p/q/a", "p/q/b"):
        put(path, names.trash_path(EARLY, "sessions", name))
    before = len(os.listdir("/proc/self/fd"))
    listing = list_trash(roots)
    next(listing)
    del listing
    assert len(os.listdir("/proc/self/fd")) == before
