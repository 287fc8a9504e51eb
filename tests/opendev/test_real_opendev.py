"""The library of the real opendev beside us: what it writes is surveyed rightly, and what we leave it can go on with.

``MAINT_REAL_OPENDEV`` names a driver: a small program over the published crates opendev-history, opendev-models and
opendev-runtime (checked against 0.1.4) that prints one JSON value, or fails with a message and a code that is not 0.
It can be written anew in an hour; it has to know:

| arguments | what is called | what is printed |
| --- | --- | --- |
| ``create STORE N DIR`` | `SessionManager::create_session` for the working directory DIR, N messages, `save_current` | the session |
| ``say STORE ID N`` | `resume_session`, N more messages by `add_message`, `save_current` | the session |
| ``load STORE ID`` | `load_session` | the session |
| ``list STORE`` | `list_sessions(true)` | its rows |
| ``list-all PROJECTS`` | `SessionListing::list_all_sessions` | its rows |
| ``fork STORE ID`` | `fork_session` with all messages | the new session |
| ``archive STORE ID`` | `archive_session` | the id |
| ``delete STORE ID`` | `delete_session` | the id |
| ``go-on STORE ID N`` | as ``say``, again and again until it is killed | ``"saving"``, at once |
| ``snapshot-save DIR ID COUNT DONE STAMP`` | `AppStateSnapshot::new` with COUNT messages and results (3 are kept), `mark_completed` if DONE is ``yes``, the stamp in ms unless STAMP is ``now``, `save` | the snapshot |
| ``snapshot-load DIR ID`` | `load` | the snapshot or null |
| ``snapshot-incomplete DIR`` | `find_incomplete_sessions` | the snapshots |
| ``snapshot-cleanup DIR MS`` | `cleanup_old` | how many it removed |
| ``snapshot-default ID`` | `SnapshotPersistence::new().snapshot_path` | the path |
| ``snapshot-go-on DIR ID`` | `save` of a snapshot that grows, again and again until it is killed | ``"saving"``, at once |

STORE is the folder of one project (`SessionManager::new`), DIR that of the snapshots (`with_dir`).
A session is ``{id, messages: how many, contents: [their texts], title, working_directory}``; a row is ``{id, messages,
tokens, title, working_directory, created, updated}``.
Messages are of the user and the assistant in turn, those of the assistant with a tool call that has a result.

Everything here runs in a home of its own.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from store.facts import Place, Problem, Session, State
from store.layout import Layout, Moment, layout_of

DRIVER = os.environ.get("MAINT_REAL_OPENDEV") or ""
MAINT = [sys.executable, "-c", "from maint.cli import main; main()"]
PATIENCE = 60.0
DAY = 86_400.0
NAMES = "_session_snapshot.json"

pytestmark = pytest.mark.real
if not os.access(DRIVER, os.X_OK):
    pytest.skip("no driver of the real opendev: name one in MAINT_REAL_OPENDEV", allow_module_level=True)


class Real:
    """A home in which the real library works, and our program sweeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "HOME": f"{folder}/home",
            "XDG_DATA_HOME": f"{folder}/data",
            "XDG_STATE_HOME": f"{folder}/state",
            "XDG_CONFIG_HOME": f"{folder}/config",
            "XDG_CACHE_HOME": f"{folder}/cache",
            "XDG_RUNTIME_DIR": f"{folder}/run",
            "TMPDIR": f"{folder}/tmp",
            "PATH": "/usr/bin:/bin",
            "TZ": "UTC",
            "LANG": "C.UTF-8",
        }
        for name in ("home", "data", "state", "config", "cache", "run", "tmp", "project"):
            (folder / name).mkdir()
        self.home = Path(self.env["HOME"])
        self.data = self.home / ".opendev"
        self.project = folder / "project"
        self.sessions = self.data / "projects" / str(self.project).replace("/", "-")
        self.recovery = self.data / "data/recovery"
        self.recovery.mkdir(parents=True)

    # The library.

    def drive(self, *args: object) -> Any:
        """What the driver prints; it must succeed."""
        told = subprocess.run(
            [DRIVER, *map(str, args)],
            env=self.env,
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert told.returncode == 0, (args, told.returncode, told.stdout, told.stderr)
        return json.loads(told.stdout)

    @contextlib.contextmanager
    def driven(self, *args: object) -> Iterator[subprocess.Popen[str]]:
        """A driver that saves for ever, until it is killed or this is left."""
        with subprocess.Popen(
            [DRIVER, *map(str, args)],
            env=self.env,
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == '"saving"\n'
                yield process
            finally:
                process.kill()

    def create(self, messages: int = 4) -> str:
        """A new session of the project; its id."""
        return str(self.drive("create", self.sessions, messages, self.project)["id"])

    def say(self, id_: str, messages: int = 2) -> dict[str, Any]:
        return dict(self.drive("say", self.sessions, id_, messages))

    def load(self, id_: str) -> dict[str, Any]:
        return dict(self.drive("load", self.sessions, id_))

    def rows(self) -> dict[str, dict[str, Any]]:
        """The library's own list, by id."""
        return {row["id"]: row for row in self.drive("list", self.sessions)}

    def snapshot(self, id_: str, count: int = 2, *, done: bool = False, age: float | None = None) -> Path:
        stamp = "now" if age is None else round((time.time() - age) * 1000)
        self.drive("snapshot-save", self.recovery, id_, count, "yes" if done else "no", stamp)
        path = self.recovery / (id_ + NAMES)
        if age is not None:
            self.age(path, age)
        return path

    # The maintainer.

    def place(self, kind: str) -> Place:
        """The store of this kind in this home, as it is found when nobody names one."""
        layout = layout_of(kind)
        stores = layout.default_roots(self.env, str(self.home), sys.platform).values()
        (roots,) = [each for each in stores if next(iter(each.values())).startswith(str(self.data))]
        return Place(kind, kind, roots)

    def survey(self, kind: str, grace: float = DAY) -> list[Session | Problem]:
        layout: Layout = layout_of(kind)
        place = self.place(kind)
        listing = layout.discover(place, Moment(time.time(), grace))
        return [*listing.problems, *layout.read(place, listing.context, listing.entries)]

    def facts(self, kind: str, id_: str, grace: float = DAY) -> Session:
        (found,) = [each for each in self.survey(kind, grace) if isinstance(each, Session) and each.id == id_]
        return found

    def age(self, path: Path, seconds: float) -> None:
        then = time.time() - seconds
        os.utime(path, (then, then))

    def maint(self, *args: str, passes: str | None = None) -> list[dict[str, Any]]:
        """What our program says with ``--json``; it must succeed."""
        chosen: list[str] = []
        if passes is not None:
            file = self.folder / "policy.yaml"
            file.write_text(
                f"version: 1\ntimezone: UTC\nlimits: {{max_removed: unlimited}}\npasses:\n{passes}"
            )
            chosen = ["--policy", str(file)]
        told = subprocess.run(
            [*MAINT, *args, *chosen, "--json"],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert told.returncode == 0, (args, told.returncode, told.stdout, told.stderr)
        return [json.loads(line) for line in told.stdout.split("\n") if line]

    def sweep(self, passes: str | None = None) -> dict[str, int]:
        """How often each verb was done; nothing may fail."""
        summary = self.maint("sweep", passes=passes)[-1]
        assert (summary["failed"], summary["lost"]) == (0, 0), summary
        done: dict[str, int] = summary["done"]
        return {verb: count for verb, count in done.items() if count}


@pytest.fixture
def real(tmp_path: Path) -> Real:
    return Real(tmp_path)


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        os.sched_yield()


# Snapshots.

SNAPSHOTS = "opendev-snapshots"


def test_library_saves_snapshots_where_we_look(real: Real) -> None:
    real.env |= {"OPENDEV_DIR": f"{real.folder}/elsewhere", "OPENDEV_SESSION_DIR": f"{real.folder}/elsewhere"}
    assert real.drive("snapshot-default", "x") == f"{real.place(SNAPSHOTS).path}/x{NAMES}"


def test_snapshot_of_the_library_gives_all_its_facts(real: Real) -> None:
    saved = real.drive("snapshot-save", real.recovery, "session-abc", 42, "no", "now")
    found = real.facts(SNAPSHOTS, "session-abc")
    assert (found.state, found.records, found.empty) == (State.LIVE, 42, False)
    assert (found.project, found.ended_at) == (saved["project_dir"], saved["snapshot_timestamp_ms"] / 1000)
    assert len(saved["last_tool_results"]) == 3


def test_snapshot_that_the_library_only_began_is_empty(real: Real) -> None:
    real.snapshot("s", 0)
    assert real.facts(SNAPSHOTS, "s").empty is True


def test_incomplete_to_the_library_is_crashed_or_live_to_us(real: Real) -> None:
    real.snapshot("done", done=True)
    real.snapshot("done-long-ago", done=True, age=3 * DAY)
    real.snapshot("working")
    real.snapshot("killed", age=3 * DAY)
    states = {each.id: each.state for each in real.survey(SNAPSHOTS) if isinstance(each, Session)}
    incomplete = {each["session_id"] for each in real.drive("snapshot-incomplete", real.recovery)}
    assert states == {
        "done": State.COMPLETE,
        "done-long-ago": State.COMPLETE,
        "working": State.LIVE,
        "killed": State.CRASHED,
    }
    assert incomplete == {"working", "killed"}


def test_pruning_takes_what_the_cleaner_of_the_library_takes(real: Real) -> None:
    for id_, days in {"a": 29.999, "b": 30.001, "c": 400.0, "d": 0.1, "e": -5.0}.items():
        real.snapshot(id_, age=days * DAY)
        real.age(real.recovery / (id_ + NAMES), 2 * DAY)
        real.snapshot(f"{id_}-done", done=True, age=days * DAY)
        real.age(real.recovery / (f"{id_}-done{NAMES}"), 2 * DAY)
    shutil.copytree(real.recovery, real.folder / "copy")
    assert real.sweep("  - prune: {older_than: 30d}\n") == {"prune": 4}
    assert real.drive("snapshot-cleanup", real.folder / "copy", round(30 * DAY * 1000)) == 4
    assert {path.name for path in real.recovery.iterdir()} - {".maint"} == set(
        os.listdir(real.folder / "copy")
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"cost_usd": 0.15', b'"cost_usd": 1'),
        (b'"cost_usd": 0.15', b'"cost_usd": null'),
        (b'"cost_usd": 0.15', b'"cost_usd": 1e999'),
        (b'"cost_usd": 0.15', b'"cost_usd": NaN'),
        (b'"cost_usd": 0.15', b'"cost_usd": "0.15"'),
        (b'"message_count": 2', b'"message_count": 2.0'),
        (b'"message_count": 2', b'"message_count": -2'),
        (b'"message_count": 2', b'"message_count": 18446744073709551616'),
        (b'"message_count": 2', b'"message_count": ' + b"9" * 5000),
        (b'"message_count": 2', b'"message_count": true'),
        (b'"message_count": 2', b'"messages": 2'),
        (b'"success": true', b'"success": 1'),
        (b'"success": true', b'"ok": true'),
        (b'"project_dir": "', b'"x": [{}], "project_dir": "'),
        (b'"project_dir": "', b'"project_dir": "\xff'),
        (b'"project_dir": "', b'"x": "\xff", "project_dir": "'),
        (b'"project_dir": "', b'"project_dir": "\\ud800'),
        (b'"project_dir": "', b'"project_dir": "\\ud83d\\ude00\\u0000'),
        (b'"project_dir": "', b'"project_dir": "\n'),
        (b"{", b"\xef\xbb\xbf{"),
        (b"{", b"\n\t {"),
        (b"{", b"\0{"),
    ],
)
def test_snapshot_is_corrupt_if_and_only_if_the_library_cannot_load_it(
    real: Real, old: bytes, new: bytes
) -> None:
    path = real.snapshot("s")
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    loaded = real.drive("snapshot-load", real.recovery, "s")
    assert (real.facts(SNAPSHOTS, "s").state is State.CORRUPT) == (loaded is None)


def test_snapshot_that_is_cut_off_anywhere_is_corrupt_to_both(real: Real) -> None:
    path = real.snapshot("s")
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        assert real.drive("snapshot-load", real.recovery, "s") is None
        assert real.facts(SNAPSHOTS, "s").state is State.CORRUPT


def test_snapshot_that_was_pruned_and_taken_back_is_loaded(real: Real) -> None:
    path = real.snapshot("s", 7, age=40 * DAY)
    before = real.drive("snapshot-load", real.recovery, "s")
    run = real.maint("sweep", passes="  - prune: {older_than: 30d}\n")[-1]["run"]
    assert not path.exists()
    real.maint("undo", run)
    assert real.drive("snapshot-load", real.recovery, "s") == before


def test_saver_killed_at_any_moment_leaves_a_whole_snapshot_and_litter(real: Real) -> None:
    temp = real.recovery / f"s{NAMES}.tmp"
    left = 0
    for _ in range(25):
        with real.driven("snapshot-go-on", real.recovery, "s") as process:
            until((real.recovery / f"s{NAMES}").exists)
            until(temp.exists)
            process.kill()
        found = real.facts(SNAPSHOTS, "s")
        assert (found.state, found.id) == (State.LIVE, "s")
        left += temp.exists()
    assert left > 0, "no kill met a save: that the temp file goes was not tried"
    with real.driven("snapshot-go-on", real.recovery, "s") as process:
        while process.poll() is None:
            if temp.exists():
                process.kill()
                process.wait()
    for path in real.recovery.iterdir():
        real.age(path, 3 * DAY)
    expected = {"remove-litter": 1} if temp.exists() else {}
    loaded = real.drive("snapshot-load", real.recovery, "s")
    assert real.sweep() == expected
    assert real.facts(SNAPSHOTS, "s").state is State.CRASHED
    assert real.drive("snapshot-load", real.recovery, "s") == loaded


# Sessions.

OPENDEV = "opendev"
PRUNE = "  - prune: {older_than: 30d}\n"
STAMP = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?=\.[0-9]+\+00:00)")


def shift(real: Real, days: float, *ids: str) -> None:
    """Let time pass for these sessions, or for all of the project: what they say of times, and their files."""
    for path in sorted(real.sessions.iterdir()):
        if ids and not path.name.lstrip(".").startswith(ids):
            continue
        content = path.read_bytes()
        older = STAMP.sub(lambda found: earlier(found[0], days), content)
        if older != content:
            path.write_bytes(older)
        real.age(path, days * DAY)


def earlier(stamp: bytes, days: float) -> bytes:
    return (datetime.fromisoformat(stamp.decode()) - timedelta(days=days)).isoformat().encode()


def event(id_: str, seq: int, type_: str, **data: Any) -> bytes:
    """An event as a later opendev logs it; 0.1.4 has no such log."""
    return (
        json.dumps(
            {
                "id": f"5b0f5c1e-92c3-4a0f-bb2d-9a50b7c0e1{seq:02}",
                "aggregate_id": id_,
                "seq": seq,
                "event_type": type_,
                "data": {"type": type_} | data,
                "timestamp": "2026-04-24T11:02:03.551200871+00:00",
            },
            separators=(",", ":"),
        ).encode()
        + b"\n"
    )


def unsaved(real: Real, id_: str, content: str = "It sleeps on wall time.") -> Path:
    """The log of a session whose agent was killed at its first tool, days ago."""
    call = {
        "id": "toolu_01Xq",
        "name": "Bash",
        "parameters": {"command": "cargo test"},
        "timestamp": "2026-04-24T11:02:03.551200871+00:00",
        "approved": True,
        "nested_tool_calls": [],
    }
    log = event(
        id_,
        1,
        "SessionCreated",
        id=id_,
        working_directory=str(real.project),
        channel="cli",
        title=None,
        parent_id=None,
        metadata={},
    ) + event(
        id_,
        2,
        "MessageAdded",
        role="assistant",
        content=content,
        timestamp="2026-04-24T11:02:03.551200871+00:00",
        tool_calls=[call],
        tokens=None,
        thinking_trace=None,
        reasoning_content=None,
    )
    real.sessions.mkdir(parents=True, exist_ok=True)
    path = real.sessions / f"{id_}.events.jsonl"
    path.write_bytes(log + b'{"id":"c61b0a7e-0c7d","aggreg')
    (real.sessions / "OPENDEV_PROJECT_PATH").write_text(str(real.project))
    real.age(path, 3 * DAY)
    return path


def test_saved_session_gives_all_its_facts(real: Real) -> None:
    id_ = real.create(4)
    told = real.say(id_)
    found = real.facts(OPENDEV, id_, grace=0)
    assert (found.state, found.empty, found.parent) == (State.COMPLETE, False, None)
    assert (found.project, found.name) == (str(real.project), told["title"])
    row = real.rows()[id_]
    assert found.started_at == pytest.approx(datetime.fromisoformat(row["created"]).timestamp(), abs=1e-3)
    assert found.ended == pytest.approx(datetime.fromisoformat(row["updated"]).timestamp(), abs=1e-3)
    names = {os.path.basename(member.path) for member in found.members}
    assert names == {f"{id_}.json", f"{id_}.jsonl"}
    assert real.survey(OPENDEV, grace=0) == [found]


def test_session_that_was_saved_lately_is_live_for_nothing_says_that_it_ended(real: Real) -> None:
    assert real.facts(OPENDEV, real.create(4)).state is State.LIVE


def test_session_saved_with_nothing_in_it_is_empty(real: Real) -> None:
    assert real.facts(OPENDEV, real.create(0)).empty is True


def test_session_that_was_begun_and_left_is_deleted_and_no_longer_listed(real: Real) -> None:
    empty, kept = real.create(0), real.create(2)
    shift(real, 3)
    assert real.sweep() == {"delete-empty": 1}
    assert set(real.rows()) == {kept}
    assert not (real.sessions / f"{empty}.json").exists()


def test_what_the_library_wrote_days_ago_is_left_as_it_is(real: Real) -> None:
    for count in (1, 2, 7):
        real.say(real.create(count))
    shift(real, 3)
    before = {path: path.read_bytes() for path in real.sessions.iterdir()}
    assert real.sweep() == {}
    assert {path: path.read_bytes() for path in real.sessions.iterdir()} == before


def test_session_known_by_its_events_alone_is_listed_loaded_and_gone_on_with(real: Real) -> None:
    id_ = "91d2c4e0-7ab"
    unsaved(real, id_)
    assert real.facts(OPENDEV, id_).state is State.CRASHED
    assert real.rows() == {}
    assert real.sweep()["recover"] == 1
    assert real.facts(OPENDEV, id_).state is State.RECOVERED
    loaded = real.load(id_)
    assert (loaded["id"], loaded["contents"]) == (id_, ["It sleeps on wall time."])
    assert loaded["working_directory"] == str(real.project)
    row = real.rows()[id_]
    assert (row["messages"], row["title"]) == (1, loaded["title"])
    assert real.say(id_)["messages"] == 3
    assert real.load(id_)["contents"][0] == "It sleeps on wall time."
    assert real.rows()[id_]["messages"] == 3


def test_recovered_session_in_another_script_can_be_saved(real: Real) -> None:
    # Without a title the library cuts one from the first question at byte 60, and panics within a character.
    id_ = "91d2c4e0-7ab"
    unsaved(real, id_, "a" + "я" * 40)
    assert real.sweep()["recover"] == 1
    assert real.say(id_, 3)["messages"] == 4


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_torn_transcript_that_was_mended_is_loaded_and_gone_on_with(real: Real, cut: int) -> None:
    id_ = real.create(6)
    told = real.say(id_)
    path = real.sessions / f"{id_}.jsonl"
    path.write_bytes(path.read_bytes()[: -1 - cut])
    shift(real, 3)
    assert real.facts(OPENDEV, id_).state is State.CRASHED
    loaded = real.load(id_)
    assert real.sweep() == {"recover": 1}
    assert real.facts(OPENDEV, id_).state is State.COMPLETE
    assert real.load(id_) == loaded
    assert loaded["contents"] == told["contents"][:7]
    assert set(real.rows()) == {id_}
    assert real.say(id_)["messages"] == 9
    assert len(real.load(id_)["contents"]) == 9
    assert real.rows()[id_]["messages"] == 9


def test_index_counts_what_is_left_of_a_torn_transcript(real: Real) -> None:
    id_ = real.create(8)
    path = real.sessions / f"{id_}.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    shift(real, 3)
    assert real.sweep() == {"recover": 1}
    assert (real.rows()[id_]["messages"], real.load(id_)["messages"]) == (7, 7)


def test_transcript_that_lacks_only_its_newline_is_whole_to_both(real: Real) -> None:
    id_ = real.create(4)
    path = real.sessions / f"{id_}.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    assert real.load(id_)["messages"] == 4
    assert real.facts(OPENDEV, id_, grace=0).state is State.COMPLETE


INDEX = "sessions-index.json"


@pytest.mark.parametrize("damage", ["missing", "empty", "zeros", "torn", "entry missing"])
def test_lost_index_is_made_anew_as_the_library_had_it(real: Real, damage: str) -> None:
    for count in (1, 2, 7):
        real.say(real.create(count))  # the second save is the first that puts the title into the index
    shift(real, 3)
    before = real.rows()
    assert len(before) == 3
    index = real.sessions / INDEX
    content = index.read_bytes()
    match damage:
        case "missing":
            index.unlink()
        case "empty":
            index.write_bytes(b"")
        case "zeros":
            index.write_bytes(bytes(len(content)))
        case "torn":
            index.write_bytes(content[:-300])
        case _:
            told = json.loads(content)
            del told["entries"][1]
            index.write_text(json.dumps(told, indent=2))
    if index.exists():
        real.age(index, 3 * DAY)
    assert real.sweep() == {"recover": 1}
    assert real.rows() == before
    assert list(real.rows()) == list(before)
    assert real.sweep() == {}


def test_index_of_a_later_version_is_left_to_those_who_can_read_it(real: Real) -> None:
    real.create(2)
    index = real.sessions / INDEX
    later = index.read_bytes().replace(b'"version": 1', b'"version": 2')
    index.write_bytes(later)
    shift(real, 3)
    later = index.read_bytes()
    assert (real.sweep(), index.read_bytes()) == ({}, later)


def test_pruned_sessions_are_not_listed_and_listed_again_when_taken_back(real: Real) -> None:
    old = [real.create(count) for count in (2, 5)]
    for id_ in old:
        real.say(id_)
    shift(real, 40)
    young = real.create(3)
    before = real.rows()
    told = {id_: real.load(id_) for id_ in before}
    summary = real.maint("sweep", passes=PRUNE)[-1]
    assert summary["done"]["prune"] == 2
    assert set(real.rows()) == {young}
    assert not any((real.sessions / f"{id_}.jsonl").exists() for id_ in old)
    real.maint("undo", summary["run"])
    assert real.rows() == before
    assert {id_: real.load(id_) for id_ in before} == told


def test_archived_session_is_not_listed_and_after_its_return_gone_on_with(real: Real) -> None:
    old = real.create(4)
    real.say(old)
    shift(real, 40)
    young = real.create(2)
    before, told = real.rows(), real.load(old)
    real.maint("archive", "--older-than", "30d")
    assert set(real.rows()) == {young}
    real.maint("restore", old)
    assert (real.rows(), real.load(old)) == (before, told)
    assert real.say(old)["messages"] == 8


def test_session_that_the_library_archived_stays_archived_when_its_index_is_made_anew(real: Real) -> None:
    id_ = real.create(2)
    real.drive("archive", real.sessions, id_)
    before = (real.sessions / INDEX).read_bytes()
    (real.sessions / INDEX).unlink()
    shift(real, 3)
    assert real.sweep() == {"recover": 1}
    (made,) = json.loads((real.sessions / INDEX).read_bytes())["entries"]
    (kept,) = json.loads(before)["entries"]
    assert (made["timeArchived"] is None, kept["timeArchived"] is None) == (False, False)


def test_fork_goes_with_its_source_and_by_itself_once_that_is_deleted(real: Real) -> None:
    kept, deleted, old = (real.create(2) for _ in range(3))
    forks = {id_: real.drive("fork", real.sessions, id_)["id"] for id_ in (kept, deleted, old)}
    real.drive("delete", real.sessions, deleted)
    shift(real, 40, *forks.values(), old)
    assert real.sweep(PRUNE)["prune"] == 3
    assert set(real.rows()) == {kept, forks[kept]}
    assert real.load(forks[kept])["messages"] == 2


def test_recovery_that_is_taken_back_leaves_the_log_as_it_was(real: Real) -> None:
    id_ = "91d2c4e0-7ab"
    log = unsaved(real, id_)
    before = (log.read_bytes(), log.stat().st_mtime_ns)
    run = real.maint("sweep")[-1]["run"]
    assert set(real.rows()) == {id_}
    real.maint("undo", run)
    assert real.rows() == {}
    assert (log.read_bytes(), log.stat().st_mtime_ns) == before
    assert not (real.sessions / f"{id_}.json").exists()


def test_library_takes_nothing_of_ours_for_a_project_or_a_session(real: Real) -> None:
    id_ = real.create(4)
    unsaved(real, "91d2c4e0-7ab")
    real.snapshot("s", age=3 * DAY)
    shift(real, 3)
    real.sweep()
    listed = {row["id"] for row in real.drive("list-all", real.data / "projects")}
    assert listed == {id_, "91d2c4e0-7ab"}
    assert [each["session_id"] for each in real.drive("snapshot-incomplete", real.recovery)] == ["s"]


def test_session_that_the_library_deleted_does_not_come_back(real: Real) -> None:
    gone, kept = real.create(2), real.create(2)
    real.drive("delete", real.sessions, gone)
    shift(real, 3)
    assert real.sweep() == {}
    assert set(real.rows()) == {kept}


def test_saver_killed_at_any_moment_leaves_a_whole_session_and_litter(real: Real) -> None:
    id_ = real.create(40)
    unfinished = real.sessions / f".{id_}.jsonl.tmp"
    names = (f".{id_}.json.tmp", unfinished.name, ".sessions-index-tmp.json", f"{INDEX}.lock")
    temps = [real.sessions / name for name in names]
    left: set[str] = set()
    for round_ in range(32):
        with real.driven("go-on", real.sessions, id_, 2) as process:
            until(temps[round_ % len(temps)].exists)
            process.kill()
        found = real.facts(OPENDEV, id_)
        assert found.state in {State.COMPLETE, State.LIVE}, found.evidence
        told = [each.path for each in real.survey(OPENDEV) if isinstance(each, Problem)]
        assert [path for path in told if not path.endswith(unfinished.name)] == []
        left |= {path.name for path in temps if path.exists()}
    assert left != set(), "no kill met a save: that what it leaves goes was not tried"
    for path in temps:
        path.touch()
    # What was not said before the kill may stand in the temp file alone, which is told and kept.
    kept = unfinished.stat().st_size > (real.sessions / f"{id_}.jsonl").stat().st_size
    shift(real, 3)
    loaded = real.load(id_)
    assert real.sweep()["remove-litter"] == len(temps) - kept
    assert unfinished.exists() == kept
    assert not any(path.exists() for path in temps if path != unfinished)
    assert real.sweep() == {}
    assert (set(real.rows()), real.load(id_)) == ({id_}, loaded)
    assert real.say(id_)["messages"] == loaded["messages"] + 2
    assert not unfinished.exists()


@pytest.mark.parametrize("cut", [0, 1, 70])
def test_words_that_a_killed_first_save_left_in_its_temp_file_are_loaded_and_gone_on_with(
    real: Real, cut: int
) -> None:
    id_ = real.create(4)
    told = real.load(id_)
    transcript = real.sessions / f"{id_}.jsonl"
    temp = transcript.rename(real.sessions / f".{id_}.jsonl.tmp")  # killed between the two renames of a save
    temp.write_bytes(temp.read_bytes()[: temp.stat().st_size - cut])
    (real.sessions / INDEX).unlink()
    shift(real, 3)
    content = temp.read_bytes()
    assert real.load(id_)["messages"] == 0
    assert real.facts(OPENDEV, id_).empty is False
    assert real.sweep() == {"recover": 2}  # the session and the index
    kept = 3 if cut > 1 else 4
    assert real.load(id_)["contents"] == told["contents"][:kept]
    assert real.rows()[id_]["messages"] == kept
    assert temp.read_bytes() == content
    assert real.sweep() == ({"remove-litter": 1} if cut < 2 else {})
    assert real.say(id_)["messages"] == kept + 2
    assert real.load(id_)["contents"][:kept] == told["contents"][:kept]
    assert not temp.exists()


def test_transcript_that_was_made_from_a_temp_file_goes_when_that_is_taken_back(real: Real) -> None:
    id_ = real.create(4)
    transcript = real.sessions / f"{id_}.jsonl"
    temp = transcript.rename(real.sessions / f".{id_}.jsonl.tmp")
    shift(real, 3)
    before = {path: path.read_bytes() for path in real.sessions.iterdir()}
    real.maint("undo", real.maint("sweep")[-1]["run"])
    assert {path: path.read_bytes() for path in real.sessions.iterdir()} == before
    assert (transcript.exists(), temp.exists()) == (False, True)


def test_transcript_without_one_whole_message_stays_as_it_is(real: Real) -> None:
    id_ = real.create(2)
    path = real.sessions / f"{id_}.jsonl"
    path.write_bytes(path.read_bytes()[:60])
    shift(real, 3)
    assert real.sweep() == {}
    assert real.sweep("  - delete-empty: {idle_for: 1d}\n") == {}
    assert (set(real.rows()), path.stat().st_size) == ({id_}, 60)


def test_sessions_that_pushed_each_other_out_of_the_index_are_all_listed_again(real: Real) -> None:
    ids = [real.create(2) for _ in range(3)]
    with contextlib.ExitStack() as stack:
        savers = [stack.enter_context(real.driven("go-on", real.sessions, id_, 1)) for id_ in ids]
        until(lambda: set(real.rows()) != set(ids) or real.load(ids[0])["messages"] >= 200)
        for process in savers:
            process.kill()
    shift(real, 3)
    told = {id_: real.load(id_) for id_ in ids}
    real.sweep()
    assert set(real.rows()) == set(ids)
    assert {id_: real.load(id_) for id_ in ids} == told


def test_session_that_is_saved_while_others_are_pruned_loses_nothing(real: Real) -> None:
    saved = real.create(2)
    for _ in range(4):
        old = [real.create(2) for _ in range(3)]
        shift(real, 40, *old)
        with real.driven("go-on", real.sessions, saved, 2) as process:
            assert real.sweep(PRUNE)["prune"] == 3
            process.kill()
        assert not any((real.sessions / f"{id_}.json").exists() for id_ in old)
        assert real.load(saved)["messages"] >= 2
    shift(real, 3)
    real.sweep()  # the library may have listed again what it had read before
    assert set(real.rows()) == {saved}
    assert real.load(saved)["messages"] >= 2


def test_sweep_beside_a_living_saver_never_touches_its_session(real: Real) -> None:
    id_ = real.create(2)
    with real.driven("go-on", real.sessions, id_, 2) as process:
        for _ in range(5):
            assert real.sweep() == {}
        process.kill()
    assert set(real.rows()) <= {id_}
    assert real.load(id_)["messages"] > 2
