"""What outrig leaves lying about: folders without a record, and the files of writes that were killed."""

import os
from pathlib import Path

import pytest
from outrig_world import DAY, ENDED, GOING, HOUR, ID, NOW, OTHER, STDERR, OutrigStore, paths

from store.facts import State
from store.layouts.outrig import LAYOUT
from store.layouts.outrig.specimens import finished


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutrigStore:
    return OutrigStore(tmp_path, monkeypatch)


def test_temp_file_beside_a_record_is_litter_of_that_session(store: OutrigStore) -> None:
    folder = store.session(age=9 * DAY)
    store.put(".tmpQ3xZ9k", b"12345", 3 * DAY, within=folder)
    (found,) = store.leftovers().values()
    assert (found.id, found.session, found.bytes) == (f"{ID}/.tmpQ3xZ9k", ID, 5)
    assert (paths(found.members), found.last_changed) == ([f"{ID}/.tmpQ3xZ9k"], NOW - 3 * DAY)
    assert paths(store.facts().members) == [f"{ID}/session.json"]
    assert store.problems() == []


def test_temp_file_with_the_end_that_its_record_lacks_is_kept(store: OutrigStore) -> None:
    folder = store.session(GOING, age=9 * DAY)
    temp = store.put(".tmpQ3xZ9k", ENDED, 3 * DAY, within=folder)
    assert store.leftovers() == {}
    assert "a record with the end that its own lacks" in store.problems()[0]
    assert store.facts().state is State.UNKNOWN
    (folder / "session.json").unlink()
    assert (store.leftovers(), store.survey()[1:]) == ({}, [])
    assert "a record with its end" in store.problems()[0]
    store.session(GOING, age=9 * DAY)
    temp.write_bytes(ENDED[:-9])
    assert [each.session for each in store.leftovers().values()] == [ID]
    temp.write_bytes(finished(OTHER, NOW - 3 * DAY))
    assert [each.session for each in store.leftovers().values()] == [ID]
    (folder / "session.json").write_bytes(ENDED)
    temp.write_bytes(ENDED)
    assert [each.session for each in store.leftovers().values()] == [ID]


@pytest.mark.parametrize(
    "name", [".tmp", ".tmpQ3xZ9", ".tmpQ3xZ9kk", ".tmpQ3xZ-k", "tmpQ3xZ9k", ".TMPQ3xZ9k"]
)
def test_file_that_only_looks_like_one_is_somebody_elses(store: OutrigStore, name: str) -> None:
    store.put(name, b"x", within=store.session())
    assert store.leftovers() == {}
    assert name in store.problems()[0]


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "second"])
def test_what_has_the_name_of_a_temp_file_but_is_none_stays(store: OutrigStore, kind: str) -> None:
    path = store.session() / ".tmpQ3xZ9k"
    match kind:
        case "link":
            path.symlink_to("/etc/passwd")
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case _:
            os.link(store.put("other", b"x", within=store.folder), path)
    assert store.leftovers() == {}
    assert ".tmpQ3xZ9k" in store.problems()[0]


def test_folder_without_a_record_is_litter_with_its_logs(store: OutrigStore) -> None:
    folder = store.sessions / ID
    store.put("logs/fs.stderr", STDERR, 5 * DAY, within=folder)
    store.put("logs/subagent-a/subagent-b.log", b"x", 4 * DAY, within=folder)
    store.put("outrig-enter", b"\x7fELF", 5 * DAY, within=folder)
    store.put(".tmpQ3xZ9k", b"{", 5 * DAY, within=folder)
    (found,) = store.leftovers().values()
    assert (found.id, found.session, found.last_changed) == (ID, None, NOW - 4 * DAY)
    assert found.bytes == len(STDERR) + 1 + 4 + 1
    assert paths(found.members) == [
        f"{ID}/.tmpQ3xZ9k",
        f"{ID}/outrig-enter",
        f"{ID}/logs/fs.stderr",
        f"{ID}/logs/subagent-a/subagent-b.log",
    ]
    for member in found.members:
        assert LAYOUT.knows(member.root, member.path)


def test_folder_with_nothing_in_it_is_litter_itself(store: OutrigStore) -> None:
    folder = store.sessions / ID
    folder.mkdir()
    os.utime(folder, (NOW - 3 * DAY, NOW - 3 * DAY))
    (found,) = store.leftovers().values()
    assert (found.id, paths(found.members), found.bytes) == (ID, [ID], 0)
    assert found.last_changed == NOW - 3 * DAY
    assert found.members[0].fingerprint.inode == folder.stat().st_ino


def test_folders_with_nothing_in_them_are_litter_each_so_that_none_is_moved_with_something_in_it(
    store: OutrigStore,
) -> None:
    (store.sessions / ID / "logs/subagent-a").mkdir(parents=True)
    store.put("logs/fs.stderr", b"x", within=store.sessions / OTHER)
    (store.sessions / OTHER / "logs/subagent-a").mkdir()
    found = store.leftovers()
    assert paths(found[ID].members) == [f"{ID}/logs/subagent-a"]
    assert paths(found[OTHER].members) == [f"{OTHER}/logs/fs.stderr", f"{OTHER}/logs/subagent-a"]
    for each in found.values():
        for member in each.members:
            assert LAYOUT.knows(member.root, member.path)


@pytest.mark.parametrize(
    "kind", ["file", "logs-file", "logs-link", "log-link", "log-fifo", "launcher", "folder"]
)
def test_folder_without_a_record_that_holds_anything_else_stays(store: OutrigStore, kind: str) -> None:
    folder = store.sessions / ID
    (folder / "logs").mkdir(parents=True)
    match kind:
        case "file":
            store.put("notes.md", b"mine", within=folder)
        case "logs-file":
            (folder / "logs").rmdir()
            (folder / "logs").write_bytes(b"mine")
        case "logs-link":
            (folder / "logs").rmdir()
            (folder / "logs").symlink_to("/tmp")
        case "log-link":
            (folder / "logs/link").symlink_to("/etc/passwd")
        case "log-fifo":
            os.mkfifo(folder / "logs/fifo")
        case "launcher":
            (folder / "outrig-enter").symlink_to("/bin/sh")
        case _:
            (folder / ".maint").mkdir()
    assert store.leftovers() == {}
    (told,) = store.problems()
    assert told.startswith(f"{ID}: has no record, but ")


def test_folder_without_a_record_whose_container_runs_stays(store: OutrigStore) -> None:
    (store.sessions / ID).mkdir()
    store.runs(f"outrig-{ID}")
    assert store.leftovers() == {}
    assert store.problems() == [f"{ID}: has no record, but its container runs; left alone"]


@pytest.mark.parametrize("name", ["archive", "20261318T131320-0a1b", "20260918T131320-0A1B", f"{ID}.bak"])
def test_folder_without_a_record_under_another_name_is_somebody_elses(store: OutrigStore, name: str) -> None:
    (store.sessions / name / "logs").mkdir(parents=True)
    assert (store.leftovers(), store.problems()) == ({}, [])


def test_folder_that_got_its_record_meanwhile_is_a_session(store: OutrigStore) -> None:
    folder = store.sessions / ID
    folder.mkdir()
    assert list(store.leftovers()) == [ID]
    store.put("session.json", ENDED, HOUR, within=folder)
    assert store.leftovers() == {}
    assert store.facts().state is State.COMPLETE


def test_finished_store_has_no_litter(store: OutrigStore, tmp_path: Path) -> None:
    store.session(fs=STDERR)
    assert (store.leftovers(), store.listing().locks, store.listing().indexes) == ({}, [], [])
