"""Stores that somebody made to hurt us: nothing is followed, waited for, or believed, and every answer is a fact."""

import os
import socket
import tracemalloc
from pathlib import Path

import pytest
from opendev_world import BEGAN, DAY, ENDED, ID, OTHER, RECORD, TALK, OpendevStore

from store.facts import State
from store.layouts.opendev.specimens import PROJECT, created, index, record

DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.fixture
def store(tmp_path: Path) -> OpendevStore:
    return OpendevStore(tmp_path)


@pytest.mark.parametrize("kind", ["json", "jsonl", "events.jsonl", "debug"])
@pytest.mark.parametrize("what", ["link", "hard link", "fifo", "socket", "folder"])
def test_session_with_a_file_that_is_no_plain_one_is_left_alone_as_a_whole(
    store: OpendevStore, tmp_path: Path, kind: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.session()
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED), jsonl=TALK)
    path = store.project / f"{ID}.{kind}"
    path.unlink(missing_ok=True)
    (tmp_path / "elsewhere").write_bytes(RECORD)
    match what:
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
        case "hard link":
            os.link(tmp_path / "elsewhere", path)
        case "fifo":
            os.mkfifo(path)
        case "socket":
            monkeypatch.chdir(store.project)
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)
        case _:
            path.mkdir()
    assert set(store.sessions()) == {OTHER}
    (problem,) = [each for each in store.problems() if not each.startswith(f"{PROJECT}/sessions-index")]
    assert problem.startswith(f"{PROJECT}/{ID}.{kind}: ")
    assert problem.endswith("its session is left alone")


@pytest.mark.parametrize("what", ["link", "hard link", "fifo", "folder"])
def test_temp_file_that_is_no_plain_one_leaves_the_session_alone_that_needs_it(
    store: OpendevStore, tmp_path: Path, what: str
) -> None:
    store.session(json=RECORD)
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED), jsonl=TALK)
    (tmp_path / "elsewhere").write_bytes(TALK)
    for id_ in (ID, OTHER):
        path = store.project / f".{id_}.jsonl.tmp"
        match what:
            case "link":
                path.symlink_to(tmp_path / "elsewhere")
            case "hard link":
                os.link(tmp_path / "elsewhere", path)
            case "fifo":
                os.mkfifo(path)
            case _:
                path.mkdir()
    assert set(store.sessions()) == {OTHER}
    assert store.litter() == []


def test_copy_that_is_a_link_leaves_its_session_alone(store: OpendevStore) -> None:
    store.session()
    store.put(f"file-history/{ID}/manifest.json", b"{}")
    (store.data / f"file-history/{ID}/00d1f6a2b3c4e5f6@v1").symlink_to("/etc/passwd")
    assert store.sessions() == {}
    assert store.problems() == [
        f"file-history/{ID}/00d1f6a2b3c4e5f6@v1: is a symbolic link; its session is left alone"
    ]


@pytest.mark.parametrize(
    "folder", ["projects", PROJECT, "file-history", "sessions", f"{PROJECT}/memory", "plans"]
)
def test_folder_that_is_a_link_is_not_followed(store: OpendevStore, tmp_path: Path, folder: str) -> None:
    store.session()
    aside = tmp_path / "elsewhere"
    inside = store.data / folder
    if inside.exists():
        inside.rename(aside)
    else:
        aside.mkdir()
        (aside / "MEMORY.md.tmp").write_bytes(b"")
        (aside / f"{OTHER}.json").write_bytes(record(OTHER, BEGAN, ENDED))
    inside.symlink_to(aside)
    assert f"{folder}: expected a folder, but it is a symbolic link; left alone" in store.problems()
    assert OTHER not in store.sessions()
    assert store.litter() == []


def test_copies_are_no_orphans_while_a_project_is_out_of_sight(store: OpendevStore, tmp_path: Path) -> None:
    store.put(f"file-history/{ID}/manifest.json", b"{}", age=40 * DAY)
    assert store.litter() == [f"file-history/{ID}"]
    (store.data / "projects/-srv").symlink_to(tmp_path)
    assert store.litter() == []


@pytest.mark.parametrize("name", [b"-caf\xe9", b"-a\nb", b"-a\x1b[31m"])
def test_project_whose_name_cannot_be_written_down_is_left_alone(store: OpendevStore, name: bytes) -> None:
    folder = os.path.join(os.fsencode(store.data), b"projects", name)
    os.mkdir(folder)
    with open(os.path.join(folder, b"x.json"), "wb") as file:
        file.write(record("x", BEGAN, ENDED))
    assert store.sessions() == {}
    (problem,) = store.problems()
    assert problem.isprintable()
    assert problem.endswith("its name cannot be that of a project; left alone")


@pytest.mark.parametrize(
    "content",
    [
        DEEP,
        b'{"id":"%b","metadata":%b}' % (ID.encode(), DEEP),
        b'{"id":"%b","later":%b}' % (ID.encode(), DEEP),
        b'{"id":"%b","metadata":{"title":%b}}' % (ID.encode(), b"9" * 5000),
        b'{"id":"%b","created_at":%b}' % (ID.encode(), b"9" * 5000),
        b'{"id":"%b","messages":[1e999999]}' % ID.encode(),
        b'{"id":"\\ud800"}',
        b"\0" * 5000,
        b'{"id":"%b"}\0\0' % ID.encode(),
        b"\xef\xbb\xbf" + RECORD,
    ],
)
def test_record_of_any_bytes_gives_a_state(store: OpendevStore, content: bytes) -> None:
    store.session(json=content, jsonl=content, events=content)
    found = store.facts()
    assert found.evidence.isprintable()
    assert found.state in (State.UNKNOWN, State.CORRUPT, State.COMPLETE, State.CRASHED)
    store.session(id_=OTHER, events=content)
    assert store.facts(OTHER).state in (State.UNKNOWN, State.CRASHED)
    store.put(f"{PROJECT}/sessions-index.json", content)
    assert len(store.damage()) == 1
    assert store.reindexed(all_=True) is not None


@pytest.mark.parametrize("kind", ["json", "jsonl", "events.jsonl"])
def test_file_of_two_gibibytes_is_not_read(store: OpendevStore, kind: str) -> None:
    store.session(json=RECORD, jsonl=TALK, events=created(ID, BEGAN))
    path = store.project / f"{ID}.{kind}"
    with path.open("r+b") as file:
        file.truncate(2 << 30)
        file.seek(2 << 30)
        file.write(b"x")
    os.utime(path, (store.now - 2 * DAY,) * 2)
    found = store.facts()
    assert found.state is State.UNKNOWN
    assert "larger than" in found.evidence or "too long" in found.evidence


def test_title_that_hides_something_is_a_fact_as_it_stands(store: OpendevStore) -> None:
    store.session(
        json=record(ID, BEGAN, ENDED, metadata={"title": "a\x1b[2Jb\n", "tags": [1, None, "x"]}), jsonl=TALK
    )
    found = store.facts()
    assert (found.name, found.tags) == ("a\x1b[2Jb\n", ("x",))


@pytest.mark.parametrize("metadata", [{"title": 5, "tags": "x"}, {"title": ["x"], "tags": {"a": 1}}, {}])
def test_metadata_of_other_types_are_no_facts(store: OpendevStore, metadata: dict[str, object]) -> None:
    store.session(json=record(ID, BEGAN, ENDED, metadata=metadata), jsonl=TALK)
    found = store.facts()
    assert (found.state, found.name, found.tags) == (State.COMPLETE, None, ())


def test_lock_and_temp_files_that_are_links_are_left_alone(store: OpendevStore, tmp_path: Path) -> None:
    store.session()
    store.put(f"{PROJECT}/sessions-index.json", index())
    store.put(f"{PROJECT}/memory/x")
    for name in (f"{ID}.events.jsonl.lock", f".{ID}.json.tmp", "memory/.consolidation.lock"):
        (store.project / name).symlink_to("/etc/passwd")
    (store.remote / "remote-00d1f6a2b3c4e5f6.pid").symlink_to("/etc/passwd")
    listing = store.listing()
    assert (listing.locks, listing.leftovers) == ([], [])
    assert len([each for each in listing.problems if "is a symbolic link" in each.text]) == 4


def test_marker_of_any_bytes_is_no_project(store: OpendevStore) -> None:
    store.session(json=record(ID, BEGAN, ENDED, working_directory=None), jsonl=TALK)
    for content in (b"\xff", b"", b"x" * 5000):
        store.put(f"{PROJECT}/OPENDEV_PROJECT_PATH", content)
        assert store.facts().project is None


@pytest.mark.parametrize(
    "content",
    [
        b'{"id":"%b","messages":[%b1]}' % (ID.encode(), b"1," * (8 << 20)),
        b'{"id":"%b","metadata":{"tags":[%b1]}}' % (ID.encode(), b"[]," * (5 << 20)),
        b'{"version":1,"entries":[%b{}]}' % (b"{}," * (5 << 20)),
    ],
    ids=["messages", "tags", "entries"],
)
def test_millions_of_small_things_do_not_fill_our_memory(store: OpendevStore, content: bytes) -> None:
    store.session(json=content)
    store.put(f"{PROJECT}/sessions-index.json", content)
    tracemalloc.start()
    try:
        assert store.facts().state in (State.UNKNOWN, State.COMPLETE)
        assert len(store.listing().indexes) + len(store.problems()) >= 1
        assert tracemalloc.get_traced_memory()[1] < 128 << 20
    finally:
        tracemalloc.stop()
