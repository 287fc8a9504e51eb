"""Records and folders that somebody made to do harm: a problem or a state, never an error, never a wait."""

import os
import resource
import time
from pathlib import Path

import msgspec
import pytest
from outrig_world import BEGAN, GOING, ID, OTHER, OutrigStore, paths

from store import tree
from store.facts import Problem, Session, State
from store.layouts.outrig import LAYOUT
from store.layouts.outrig.specimens import finished, record, written


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutrigStore:
    return OutrigStore(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "id_", ["../../x", "/etc", "..", ".", "", "a/b", "x" * 10_000, "a\x00b", "a\nb", "\u202e"]
)
def test_id_in_a_record_is_never_a_path(store: OutrigStore, id_: str) -> None:
    store.session(finished(id_, BEGAN, session_dir=id_), fs=b"x")
    found = store.facts()
    assert (found.id, found.state) == (ID, State.UNKNOWN)
    assert paths(found.members) == [f"{ID}/session.json", f"{ID}/logs/fs.stderr"]
    assert len(found.evidence) < 200
    assert found.evidence.isprintable()


def test_names_of_containers_are_told_in_a_printable_line(store: OutrigStore) -> None:
    name = "\x1b[31m\n" + "x" * 500
    store.runs(name)
    store.session(written(record(ID, BEGAN, container_name=name)))
    assert store.facts().evidence.isprintable()
    assert len(store.facts().evidence) < 200
    store.put(f"{ID}/session.json", written(record(ID, BEGAN, container_name=name))[:-9])
    assert (store.facts().state, store.facts().evidence.isprintable()) == (State.LIVE, True)


@pytest.mark.parametrize(
    "value",
    [
        "1" + "0" * 5_000,
        "1e999999",
        "-1e999999",
        "[" * 100_000,
        '"' + "\\" * 50_000 + '"',
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        '"\\ud800"',
        "NaN",
    ],
    ids=range(8),
)
def test_values_that_are_no_values_are_no_error(store: OutrigStore, value: str) -> None:
    store.containers()
    for field in ("exit_code", "started_at", "id", "unknown"):
        store.session(GOING.replace(b"\n}", f',\n  "{field}": {value}\n}}'.encode()))
        assert store.facts().state in {State.CORRUPT, State.CRASHED, State.UNKNOWN}


def test_record_that_never_gives_its_container_away_is_searched_quickly(store: OutrigStore) -> None:
    store.runs("x")
    store.session(b'{"container_name": "' * 10_000)
    began = time.monotonic()
    assert store.facts().state is State.CORRUPT
    store.session(b'"container_name"' + b" " * 200_000)
    assert store.facts().state is State.CORRUPT
    assert time.monotonic() - began < 5


def test_log_of_many_gigabytes_is_not_read(store: OutrigStore) -> None:
    store.containers()
    folder = store.session(GOING, fs=b"")
    os.truncate(folder / "logs/fs.stderr", 1 << 40)
    os.utime(folder / "logs/fs.stderr", (BEGAN, BEGAN))
    found = store.facts()
    assert (found.state, found.empty, found.bytes) == (State.CRASHED, False, (1 << 40) + len(GOING))


def test_record_that_claims_gigabytes_is_not_read(store: OutrigStore) -> None:
    folder = store.session()
    os.truncate(folder / "session.json", 1 << 40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert store.facts().state is State.UNKNOWN
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_more_logs_than_are_looked_at_make_a_session_unknown(
    store: OutrigStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MOST", 20)
    folder = store.session()
    for number in range(20):
        store.put(f"logs/{number}", b"x", within=folder)
    assert store.facts().state is State.COMPLETE
    store.put("logs/more", b"x", within=folder)
    found = store.facts()
    assert (found.state, len(found.payload), found.empty) == (State.UNKNOWN, 20, False)


def test_more_empty_folders_than_are_looked_at_make_a_session_unknown(
    store: OutrigStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MOST", 20)
    folder = store.session()
    for number in range(21):
        (folder / f"logs/{number}").mkdir()
    assert (store.facts().state, store.facts().empty) == (State.UNKNOWN, None)


def test_folders_nested_beyond_all_paths_are_no_error(store: OutrigStore) -> None:
    folder = store.session()
    fd = os.open(folder / "logs", os.O_RDONLY)
    for _ in range(60):
        os.mkdir("a" * 200, dir_fd=fd)
        deeper = os.open("a" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    assert store.facts().state is State.UNKNOWN
    bare = store.sessions / OTHER
    bare.mkdir()
    (folder / "logs").rename(bare / "logs")
    assert store.leftovers() == {}
    assert "more logs than are looked at" in store.problems()[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_logs_that_cannot_be_read_make_a_session_unknown(store: OutrigStore) -> None:
    folder = store.session(fs=b"x")
    (folder / "logs").chmod(0)
    try:
        assert store.facts().state is State.UNKNOWN
    finally:
        (folder / "logs").chmod(0o755)


def test_fifo_in_every_place_makes_nobody_wait(store: OutrigStore) -> None:
    os.mkfifo(store.sessions / OTHER)
    folder = store.session()
    for name in ("outrig-enter", ".tmpQ3xZ9k", "logs/fifo"):
        os.mkfifo(folder / name)
    (folder / "session.json").unlink()
    os.mkfifo(folder / "session.json")
    assert [type(each) for each in store.survey()] == [Problem, Problem]


def test_link_to_itself_is_no_error(store: OutrigStore) -> None:
    (store.sessions / ID).symlink_to(store.sessions / ID)
    (store.sessions / OTHER).symlink_to(OTHER)
    assert store.ids() == []
    assert len(store.problems()) == 2


def test_link_with_a_text_that_cannot_be_shown_is_told_in_a_printable_line(store: OutrigStore) -> None:
    (store.sessions / ID).symlink_to("/srv/\x1b[31m\n" + os.fsdecode(b"\xff"))
    (told,) = store.problems()
    assert told.isprintable()


def test_every_fact_of_any_record_can_be_written_down(store: OutrigStore) -> None:
    store.containers()
    store.session(written(record(ID, BEGAN, working_dir="/\u0000\u202e", agent_name="\x1b" * 99)), fs=b"x")
    (found,) = store.survey()
    assert isinstance(found, Session)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Session) == found
    assert LAYOUT.mend(ID, found.members, None, found.last_changed).source == found.members[0]
