"""Sessions of many files that come back by their id: all of what one run took, or nothing."""

import os
from pathlib import Path

import pytest
from folders_world import OLD, place, put, remove, there

from maint import interface, waiting
from maint.actions import Result
from maint.finding import Ambiguous, find_trashed, trashed
from maint.run import Run
from store import names
from store.facts import Place
from store.looking import Skip

__all__ = ["place"]  # the fixture

LATER = names.new_run_id(1_770_100_000.0, b"abd")
FILES = {"one/record": b"record", "one/logs/a": b"aa", "one/logs/b": b""}
LINKS = {"one.link": "one"}


def results(run: Run) -> dict[Result, int]:
    summary = run.summary
    return {Result.DONE: sum(summary.done.values()), Result.SKIPPED: summary.skipped}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_all_files_of_a_session_come_back_by_its_id(place: Place) -> None:
    remove(place, put(place, FILES, LINKS))
    remove(place, put(place, {"other/record": b""}))
    assert there(Path(place.path)) == {}
    run = interface.restore(["one"], [place], jobs=1)
    assert results(run) == {Result.DONE: 4, Result.SKIPPED: 0}
    assert there(Path(place.path)) == FILES | LINKS
    assert [kept.path for _, kept in trashed([place])] == ["other/record"]


def test_of_several_runs_that_took_files_of_a_session_the_newest_gives_back_its_own(place: Place) -> None:
    remove(place, put(place, {"one/logs/old": b"old", "one/record": b"before"}))
    remove(place, put(place, {"one/record": b"now", "one/logs/a": b"a"}), LATER)
    _, _, found = find_trashed("one", [place])
    assert [(kept.run, kept.path) for kept in found] == [(LATER, "one/logs/a"), (LATER, "one/record")]
    interface.restore(["o"], [place], jobs=1)
    assert there(Path(place.path)) == {"one/record": b"now", "one/logs/a": b"a"}


@pytest.mark.parametrize("name", list(FILES))
def test_session_one_of_whose_places_is_taken_does_not_come_back_in_part(place: Place, name: str) -> None:
    remove(place, put(place, FILES))
    put(place, {name: b"another"})
    run = interface.restore(["one"], [place], jobs=1)
    assert results(run) == {Result.DONE: 0, Result.SKIPPED: 1}
    assert there(Path(place.path)) == {name: b"another"}
    assert len(list(trashed([place]))) == len(FILES)


@pytest.mark.parametrize("again", [False, True])
def test_empty_folder_of_a_session_comes_back_with_it_and_hinders_nothing(place: Place, again: bool) -> None:
    members = put(place, FILES)
    bare = Path(place.path) / "one/bare"
    bare.mkdir()
    os.utime(bare, (OLD, OLD))
    remove(place, members)
    assert len(list(trashed([place]))) == len(FILES) + 1
    if again:
        bare.mkdir(parents=True)
    run = interface.restore(["one"], [place], jobs=1)
    assert results(run) == {Result.DONE: len(FILES) + (not again), Result.SKIPPED: 0}
    assert (there(Path(place.path)), bare.is_dir()) == (FILES, True)


def test_session_whose_folder_is_a_link_now_does_not_come_back(place: Place, out: Path) -> None:
    remove(place, put(place, FILES))
    (Path(place.path) / "one").symlink_to(out)
    run = interface.restore(["one"], [place], jobs=1)
    assert (sum(run.summary.done.values()), there(out)) == (0, {})
    assert len(list(trashed([place]))) == len(FILES)


def test_prefix_that_means_two_sessions_brings_back_neither(place: Place) -> None:
    remove(place, put(place, {"one/record": b""}))
    remove(place, put(place, {"other/record": b"", "other/logs/a": b""}))
    with pytest.raises(Ambiguous, match="any of 2"):
        interface.restore(["o"], [place], jobs=1)


def test_session_of_several_files_is_copied_by_their_paths(place: Place, out: Path) -> None:
    remove(place, put(place, FILES, LINKS))
    assert waiting.copy_out("one", [place], str(out)) == [
        f"{out}/{name}" for name in ("one/logs/a", "one/logs/b", "one/record", "one.link")
    ]
    assert there(out) == FILES | LINKS
    assert {(out / name).stat().st_mtime for name in FILES} == {OLD}
    assert there(Path(place.path)) == {}


def test_session_of_one_file_is_copied_by_its_name(place: Place, out: Path) -> None:
    remove(place, put(place, {"one/record": b"record"}))
    assert waiting.copy_out("one", [place], str(out)) == [f"{out}/record"]
    assert there(out) == {"record": b"record"}


def test_empty_folder_of_a_session_is_copied_too(place: Place, out: Path) -> None:
    members = put(place, {"one/record": b"record"})
    bare = Path(place.path) / "one/bare"
    bare.mkdir()
    os.utime(bare, (OLD, OLD))
    remove(place, members)
    waiting.copy_out("one", [place], str(out))
    assert ((out / "one/bare").is_dir(), there(out)) == (True, {"one/record": b"record"})


@pytest.mark.parametrize("name", [*FILES, *LINKS])
def test_copy_overwrites_nothing_and_leaves_nothing_of_its_own(place: Place, out: Path, name: str) -> None:
    remove(place, put(place, FILES, LINKS))
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).write_bytes(b"mine")
    before = sorted(out.rglob("*"))
    with pytest.raises(FileExistsError):
        waiting.copy_out("one", [place], str(out))
    assert (sorted(out.rglob("*")), there(out)) == (before, {name: b"mine"})


def test_copy_goes_through_no_link(place: Place, out: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    remove(place, put(place, FILES))
    (out / "one").symlink_to(tmp_path / "outside")
    with pytest.raises(NotADirectoryError):
        waiting.copy_out("one", [place], str(out))
    assert there(tmp_path / "outside") == {}


def test_copy_of_a_session_that_changes_meanwhile_is_withdrawn(
    place: Place, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(place, put(place, FILES))
    kept = Path(place.path) / names.trash_path(run_of(place), "sessions", "one/record")
    fsync = os.fsync

    def growing(fd: int) -> None:
        fsync(fd)
        with kept.open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(os, "fsync", growing)
    with pytest.raises(Skip, match="changed while it was copied"):
        waiting.copy_out("one", [place], str(out))
    assert list(out.iterdir()) == []


def run_of(place: Place) -> str:
    return next(kept.run for _, kept in trashed([place]))


def test_copies_need_few_descriptors(place: Place, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove(place, put(place, {f"one/{n % 7}/{n}": b"x" for n in range(60)}))
    before = most = len(os.listdir("/proc/self/fd"))
    fsync = os.fsync

    def counting(fd: int) -> None:
        nonlocal most
        most = max(most, len(os.listdir("/proc/self/fd")))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", counting)
    waiting.copy_out("one", [place], str(out))
    assert (len(there(out)), most <= before + 10) == (60, True)
    assert len(os.listdir("/proc/self/fd")) == before
