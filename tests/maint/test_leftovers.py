"""What a killed run was writing goes, but for what may have been somebody's a moment before."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from maint.leftovers import remove_leftovers, runs_with_leftovers
from store import names, opening
from store.roots import RootFds

RUN = names.new_run_id(1_770_000_000.0, b"abc")
OTHER = names.new_run_id(1_770_000_000.0, b"abd")
FILE = "folder/list.json"


@pytest.fixture
def roots(tmp_path: Path) -> Iterator[RootFds]:
    with RootFds({"data": str(tmp_path)}) as roots:
        yield roots


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return put(tmp_path / FILE, "now")


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def temporary(top: Path, part: int = 0, run: str = RUN, text: str = "new") -> Path:
    return put(top / names.tmp_path(run, 3, part), text)


def backup(top: Path) -> Path:
    return top / names.backup_path(RUN, "data", FILE)


def aside(top: Path) -> Path:
    return top / names.trash_path(RUN, "data", FILE)


def test_file_that_never_had_a_name_of_its_own_goes(tmp_path: Path, roots: RootFds, file: Path) -> None:
    left = [temporary(tmp_path), temporary(tmp_path, 1)]
    assert runs_with_leftovers(roots) == {RUN}
    remove_leftovers(roots, RUN)
    assert ([path.exists() for path in left], file.read_text()) == ([False, False], "now")


def test_list_that_was_about_to_get_a_successor_has_one_name_again(
    tmp_path: Path, roots: RootFds, file: Path
) -> None:
    left = temporary(tmp_path)
    backup(tmp_path).parent.mkdir(parents=True)
    backup(tmp_path).hardlink_to(file)
    remove_leftovers(roots, RUN)
    assert (file.stat().st_nlink, backup(tmp_path).exists(), left.exists()) == (1, False, False)


def test_old_self_that_has_changed_places_stays_the_backup(
    tmp_path: Path, roots: RootFds, file: Path
) -> None:
    left = temporary(tmp_path, text="old")
    backup(tmp_path).parent.mkdir(parents=True)
    backup(tmp_path).hardlink_to(left)
    remove_leftovers(roots, RUN)
    assert (left.exists(), backup(tmp_path).read_text(), file.read_text()) == (False, "old", "now")


@pytest.mark.parametrize("gone", [False, True])
def test_file_that_may_have_had_the_name_of_a_list_goes_to_the_trash(
    gone: bool, tmp_path: Path, roots: RootFds, file: Path
) -> None:
    left = temporary(tmp_path, text="of its owner")
    put(backup(tmp_path), "old")
    if gone:
        file.unlink()
    remove_leftovers(roots, RUN)
    assert (left.exists(), aside(tmp_path).read_text()) == (False, "of its owner")


def test_file_beside_a_list_that_is_known_to_be_ours_goes(tmp_path: Path, roots: RootFds, file: Path) -> None:
    left = temporary(tmp_path)
    put(backup(tmp_path), "old")
    remove_leftovers(roots, RUN, [opening.fingerprint(file.stat())])
    assert (left.exists(), aside(tmp_path).exists(), backup(tmp_path).read_text()) == (False, False, "old")


def test_file_that_cannot_be_set_aside_stays(tmp_path: Path, roots: RootFds, file: Path) -> None:
    left = temporary(tmp_path, text="of its owner")
    put(backup(tmp_path), "old")
    put(aside(tmp_path), "removed before")
    remove_leftovers(roots, RUN)
    assert (left.read_text(), aside(tmp_path).read_text()) == ("of its owner", "removed before")


def test_what_another_run_or_somebody_else_has_there_stays(tmp_path: Path, roots: RootFds) -> None:
    theirs = temporary(tmp_path, run=OTHER)
    odd = put(theirs.with_name("notes"), "mine")
    folder = theirs.with_name(f"{RUN}.9.x")
    folder.mkdir()
    remove_leftovers(roots, RUN)
    assert sorted(os.listdir(theirs.parent)) == sorted(path.name for path in (theirs, odd, folder))


def test_folder_that_has_the_name_of_a_temporary_file_hinders_nothing(tmp_path: Path, roots: RootFds) -> None:
    folder = temporary(tmp_path).with_name(f"{RUN}.9")
    folder.mkdir()
    remove_leftovers(roots, RUN)
    assert os.listdir(folder.parent) == [folder.name]
