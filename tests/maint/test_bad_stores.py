"""Stores in which something is not as it should be: it is reported and left alone, and everything else goes on."""

import json
import os
import re
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from maint_world import DAY, World

from maint.run import Listener
from store.layouts.rec.specimens import session_id

NOBODY = 65534
RECORDER = ("pending.json", "recording.json", "recording.lock")


@pytest.fixture
def ill(world: World) -> World:
    """A store with one thing to do, which is to be done whatever else is wrong."""
    world.add("empty", 3)
    return world


def swept(world: World, user: int = -1) -> str:
    """What a sweep says that has done the one thing that is to be done."""
    answer = world.maint("sweep", user=user)
    assert (answer.code, answer.out, f"{session_id(3)}.ndjson" in world.waiting()) == (0, "", True), (
        answer.err
    )
    assert "Traceback" not in answer.err
    assert [char for char in answer.err if not char.isprintable() and char != "\n"] == []
    return answer.err


# Entries that are no sessions.


def named(number: int) -> str:
    return f"{session_id(number)}.ndjson"


def test_folder_in_the_place_of_a_session_is_left_alone(ill: World) -> None:
    (ill.sessions / named(7)).mkdir()
    assert f"{named(7)}: expected a session file of rec, but it is a folder" in swept(ill)
    assert (ill.sessions / named(7)).is_dir()


def test_fifo_does_not_block(ill: World) -> None:
    os.mkfifo(ill.sessions / named(7))
    assert "is a FIFO" in swept(ill)


def test_socket_is_left_alone(ill: World) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        folder = os.open(ill.sessions, os.O_RDONLY)
        bound.bind(f"/proc/self/fd/{folder}/{named(7)}")
        os.close(folder)
        assert "is a socket" in swept(ill)


def test_device_is_left_alone(ill: World) -> None:
    try:
        os.mknod(ill.sessions / named(7), stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root can make a device, and not in every container")
    assert named(7) in swept(ill)


def test_link_out_of_the_store_is_not_followed(ill: World, tmp_path: Path) -> None:
    outside = ill.put("outside", b"", 30, within=tmp_path)
    (ill.sessions / named(7)).symlink_to(outside)
    assert "is a symbolic link" in swept(ill)
    assert outside.read_bytes() == b""


def test_folder_that_is_a_link_is_not_walked(ill: World, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    path = ill.put(named(8), b"", 30, within=tmp_path / "else")
    (ill.sessions / "project").symlink_to(tmp_path / "else")
    swept(ill)
    assert path.exists()


def test_session_with_a_second_name_is_left_alone(ill: World, tmp_path: Path) -> None:
    os.link(ill.add("empty", 7), tmp_path / "second")
    assert "has more than one hard link" in swept(ill)
    assert (ill.sessions / named(7)).exists()


def test_foreign_owner_is_left_alone(ill: World) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(ill.add("empty", 7), NOBODY, NOBODY)
    assert "belongs to another user" in swept(ill)
    assert (ill.sessions / named(7)).exists()


@pytest.mark.parametrize(
    "name",
    [
        b"new\nline.ndjson",
        b"\xff\xfe.ndjson",
        b"-rf.ndjson",
        b"\x1b[31m.ndjson",
        b" .ndjson",
        b"a" * 248 + b".ndjson",
        b"..ndjson",
        b"$(reboot).ndjson",
        "\u202egnp.ndjson".encode(),
    ],
)
def test_name_that_rec_never_gives_is_left_alone(ill: World, name: bytes) -> None:
    path = os.path.join(os.fsencode(ill.sessions), name)
    Path(os.fsdecode(path)).write_bytes(b"")
    os.utime(path, (ill.now - 30 * DAY, ill.now - 30 * DAY))
    assert "its name cannot be one of rec's session files" in swept(ill)
    assert os.path.exists(path)


def test_names_in_the_report_cannot_be_taken_for_lines(ill: World) -> None:
    (ill.sessions / "a\nmaint: all is well.ndjson").write_bytes(b"")
    assert [line for line in swept(ill).splitlines() if line == "maint: all is well.ndjson"] == []


def test_what_nobody_recognises_is_not_touched(ill: World) -> None:
    ill.put("notes.txt", b"mine", 99)
    ill.put("a.ndjson.old", b"mine", 99)
    (ill.sessions / "folder").mkdir()
    assert swept(ill) == ""
    assert (ill.sessions / "notes.txt").read_bytes() == b"mine"
    assert (ill.sessions / "a.ndjson.old").exists()


# Content.


@pytest.mark.parametrize(
    "content",
    [
        b"\x00" * 5000,
        b"[" * 100_000,
        b'{"type":"header"' + b" " * 70_000,
        b'{"a":' * 50_000,
        b'{"type":"header","version":2,"id":"x","name":"'
        + b"9" * 5000
        + b'","started_at":'
        + b"9" * 5000
        + b"}\n",
        b'{"type":"header","version":2,"id":"x","name":"\\ud800","started_at":1}\n',
        b"\xff\xfe\n\n\n",
        b"\n" * 10_000,
        b"\r\n",
    ],
)
def test_content_that_is_no_session_harms_nothing(ill: World, content: bytes) -> None:
    path = ill.put(named(7), content, 30)
    answer = ill.maint("sweep")
    assert (answer.code, "Traceback" in answer.err, "defect" in answer.err) == (0, False, False)
    kept = path if path.exists() else next((ill.ours / "trash").rglob(named(7)))
    assert kept.read_bytes() == content


def test_time_that_is_no_time_protects(ill: World) -> None:
    ill.rules("  - prune: {older_than: 1mo}\n  - delete-empty: {idle_for: 2d}\n")
    for number, started in ((7, "1e300"), (8, "-1e300"), (9, "253402300800")):
        content = ill.add("complete", number).read_bytes()
        at = content.index(b'"started_at":') + 13
        ill.put(named(number), content[:at] + started.encode() + content[content.index(b"}", at) :])
    answer = ill.maint("plan", "--json")
    assert (answer.code, "defect" in answer.err) == (0, False)
    for number in (7, 8, 9):
        assert ill.maint("explain", session_id(number)).code == 0
        assert ill.maint("show", session_id(number)).code == 0


@pytest.mark.parametrize("moment", ["1e300", "-1e300", "-62135596801.5", "253402300801.5"])
def test_recorded_time_that_no_calendar_has_is_no_defect(ill: World, moment: str) -> None:
    ill.rules(
        "  - recover: {idle_for: 1d}\n  - delete-empty: {idle_for: 2d}\n"
        "  - prune: {older_than: 1mo, keep: {monthly: 1, within: 1y}}\n"
    )
    for number, kind in ((7, "crashed"), (8, "complete")):
        content = ill.add(kind, number).read_bytes()
        ill.put(named(number), re.sub(rb'ed_at":[0-9.]+', b'ed_at":' + moment.encode(), content), 60)
    treasure = ill.treasure()
    swept(ill)
    assert ill.lost(treasure) == []
    for number in (7, 8):
        assert ill.maint("explain", session_id(number)).code in {0, 2}


def test_foreign_record_is_not_rewritten_and_told_once(ill: World) -> None:
    path = ill.add("unmendable", 7)
    before = path.read_bytes()
    assert "could not be recovered" in swept(ill)
    assert (path.read_bytes(), ill.maint("sweep").err) == (before, "")


# The recorder's own files.


def test_lock_of_a_session_that_could_not_be_recovered_stays(ill: World) -> None:
    ill.add("unmendable", 7)
    ill.lock(7)
    swept(ill)
    assert ill.locks() == list(RECORDER)


def test_missing_state_folder_means_that_nothing_is_recorded(ill: World) -> None:
    ill.state.rmdir()
    ill.add("crashed", 7)
    swept(ill)
    assert ill.waiting("backup") == [named(7)]


def test_state_folder_that_is_a_file_makes_every_open_session_live(ill: World) -> None:
    ill.state.rmdir()
    ill.state.write_text("no folder")
    path = ill.add("crashed", 7)
    before = path.read_bytes()
    assert "counts as live" in swept(ill)
    assert path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_root_does_in_the_store_of_another_user_is_done_and_owned_by_him() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own ones are closed to others
        os.chmod(folder, 0o755)
        world = World(Path(folder, "world"))
        world.add("crashed", 7), world.add("empty", 3)
        for each in (world.sessions, *world.sessions.iterdir(), world.state):
            os.chown(each, NOBODY, NOBODY)
        assert world.exec("sweep").code == 0
        found = list(world.sessions.rglob("*"))
        assert len(world.waiting()) == 1
        assert len(world.waiting("backup")) == 1
        assert {path.stat().st_uid for path in found} == {NOBODY}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_state_folder_that_may_not_be_read_makes_every_open_session_live() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own ones are closed to others
        os.chmod(folder, 0o755)
        world = World(Path(folder, "world"))
        path, _ = world.add("crashed", 7), world.add("empty", 3)
        for each in (world.sessions, *world.sessions.iterdir()):
            os.chown(each, NOBODY, NOBODY)
        world.state.chmod(0o000)
        before = path.read_bytes()
        assert "counts as live" in swept(world, user=NOBODY)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 60_000,
        b"{" * 200_000,
        b"\xff\xfe",
        b"null",
        b'{"id":1}',
        json.dumps(
            {"id": "x", "name": "\n", "session_path": "/etc/passwd", "started_at": 1, "pid": 1}
        ).encode(),
        json.dumps(
            {"id": "x", "name": "", "session_path": "../" * 50, "started_at": 1e308, "pid": 0}
        ).encode(),
        json.dumps(
            {"id": "../x", "name": "", "session_path": "", "started_at": -1, "pid": 4294967295}
        ).encode(),
        json.dumps({"id": "x", "name": "", "session_path": "a\0b", "started_at": 0, "pid": -1}).encode(),
        b'{"id":"x","name":"","session_path":"","started_at":0,"pid":' + b"9" * 5000 + b"}",
    ],
)
def test_recording_state_may_say_anything(ill: World, content: bytes) -> None:
    ill.lock(7)
    ill.put("recording.json", content, 3, within=ill.state)
    swept(ill)
    assert [path for path in ill.waiting() if path not in {named(3), *RECORDER}] == []


def test_lock_that_is_a_fifo_does_not_block(ill: World) -> None:
    os.mkfifo(ill.state / "recording.lock")
    swept(ill)
    assert ill.locks() == ["recording.lock"]


# Our own folder.


def test_our_folder_that_is_a_file_is_74_and_stays(ill: World) -> None:
    ill.ours.write_text("mine")
    answer = ill.maint("sweep")
    assert (answer.code, ill.ours.read_text(), "defect" in answer.err) == (74, "mine", False)


def test_our_folder_that_is_a_link_is_74_and_not_followed(ill: World, tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    ill.ours.symlink_to(tmp_path / "away")
    answer = ill.maint("sweep")
    assert (answer.code, list((tmp_path / "away").iterdir())) == (74, [])


@pytest.mark.parametrize(
    "part", ["trash", "backup", "journal", "lock", "reported", "README.txt", "tmp", "skips"]
)
@pytest.mark.parametrize("what", ["file", "folder", "link", "fifo"])
def test_part_of_our_folder_that_is_something_else_is_no_defect(ill: World, part: str, what: str) -> None:
    ill.ours.mkdir(mode=0o700)
    target = ill.ours / part
    match what:
        case "file":
            target.write_bytes(b"\xff\x00mine")
        case "folder":
            target.mkdir()
        case "link":
            target.symlink_to("/nonexistent")
        case _:
            os.mkfifo(target)
    ill.add("corrupt", 8)
    treasure = ill.treasure()
    answers = [ill.maint(*verb) for verb in (["sweep"], ["status"], ["list", "--trashed"], ["log"])]
    assert {answer.code for answer in answers} <= {0, 1, 74}
    assert [answer.err for answer in answers if "defect" in answer.err or "Traceback" in answer.err] == []
    assert ill.lost(treasure) == []


def test_journal_of_nonsense_stops_nothing(ill: World) -> None:
    (ill.ours / "journal").mkdir(parents=True)
    ill.ours.chmod(0o700)
    for run, content in (
        ("20260101T000000-aaaaaa", b""),
        ("20260101T000001-aaaaaa", b"\xff\x00nonsense"),
        ("20260101T000002-aaaaaa", b"[" * 100_000),
        ("20260101T000003-aaaaaa", b'{"type":"begin"}\n{"type":"action"}\n'),
    ):
        (ill.ours / f"journal/{run}.ndjson").write_bytes(content)
    (ill.ours / "journal/notes.txt").write_text("mine")
    swept(ill)
    assert ill.maint("log").code == 0
    assert (ill.ours / "journal/notes.txt").read_text() == "mine"


def test_journal_whose_last_line_nests_without_end_is_that_of_a_killed_run(ill: World) -> None:
    (ill.ours / "journal").mkdir(parents=True)
    ill.ours.chmod(0o700)
    (ill.ours / "journal/20260101T000000-aaaaaa.ndjson").write_bytes(b'{"x":' + b"[" * 8000)
    assert ill.maint("log").code == 0
    swept(ill)


def test_hostile_journal_cannot_reach_out_of_the_store(ill: World, tmp_path: Path) -> None:
    outside = ill.put("victim", b"mine", 9, within=tmp_path)
    found = outside.stat()
    print_of = [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    depth = "../" * 12
    action = {
        "type": "action",
        "verb": "recover",
        "pass": "recover",
        "store": "rec",
        "session": "x",
        "path": "x",
        "bytes": 1,
        "reason": "x",
        "members": [["sessions", f"{depth}{outside}".replace("//", "/"), print_of]],
    }
    (ill.ours / "journal").mkdir(parents=True)
    ill.ours.chmod(0o700)
    lines = [
        json.dumps(action | {"verb": verb})
        for verb in ("recover", "prune", "unlock", "restore", "expire-trash")
    ]
    journal = ill.ours / "journal/20260101T000000-aaaaaa.ndjson"
    journal.write_text("\n".join([*lines, '{"type":"begin"}', ""]))
    answer = ill.maint("sweep")
    assert ("Traceback" in answer.err, "defect" in answer.err, outside.read_bytes()) == (
        False,
        False,
        b"mine",
    )


def test_vanished_file_is_nothing_to_speak_of(ill: World) -> None:
    ill.add("torn", 7)
    ill.maint("plan", "-o", "plan.ndjson")
    (ill.sessions / named(7)).unlink()
    answer = ill.maint("apply", "plan.ndjson", "--json")
    assert (answer.code, answer.summary["failed"], answer.summary["skipped"]) == (0, 0, 1)


@pytest.mark.parametrize("root", ["state", "sessions"])
def test_root_that_leads_elsewhere_since_the_store_was_locked_is_not_worked_on(
    ill: World, root: str, tmp_path: Path
) -> None:
    ill.lock(2)
    (tmp_path / "outside").mkdir()
    top = Path(ill.place.roots[root])
    moved = top.with_name("moved")

    def lead_elsewhere(_: object) -> None:
        top.rename(moved)
        top.symlink_to(tmp_path / "outside")

    run = ill.sweep(listener=Listener(planned=lead_elsewhere))
    top.unlink()
    moved.rename(top)
    assert (list((tmp_path / "outside").iterdir()), ill.locks()) == ([], sorted(RECORDER))
    assert run.summary.failed > 0
    swept(ill)
    assert ill.locks() == []


def test_journal_of_a_later_maint_is_told_with_what_it_calls_what_it_did(ill: World) -> None:
    assert ill.maint("sweep").code == 0
    (run,) = ill.journals()
    path = ill.sessions / ".maint/journal" / f"{run}.ndjson"
    path.write_bytes(path.read_bytes().replace(b'"done":{', b'"done":{"polish":2,'))
    told = ill.maint("log", run)
    assert (told.code, told.err) == (0, "")
    assert "polish 2, " in told.out


@pytest.mark.parametrize("path", ["/etc/passwd", "../../outside", "a//b", ""])
def test_line_of_a_journal_that_leads_out_of_the_store_is_passed_over(ill: World, path: str) -> None:
    assert ill.maint("sweep").code == 0
    (run,) = ill.journals()
    file = ill.sessions / ".maint/journal" / f"{run}.ndjson"
    lines = file.read_bytes().splitlines(keepends=True)
    forged = json.loads(next(line for line in lines if b'"type":"action"' in line)) | {
        "verb": "archive",
        "packing": {"form": "file"},
    }
    forged["members"][0][1] = path
    done = json.loads(next(line for line in lines if b'"type":"outcome"' in line))
    done |= {"verb": "archive", "n": 0, "result": "done", "pack": "20260101T000000-aaaaaa-0000.tar.zst"}
    file.write_bytes(
        b"".join(json.dumps(each).encode() + b"\n" for each in (json.loads(lines[0]), forged, done))
    )
    treasure = ill.treasure()
    for verb in (["log", run], ["undo", run], ["sweep"]):
        answer = ill.maint(*verb)
        assert answer.code in {0, 1}, answer
        assert "defect" not in answer.err
    assert ill.lost(treasure) == []
