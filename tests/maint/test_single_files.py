"""The other form of the archive: each session in a compressed file beside its place."""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kill_points import points, traced
from maint_world import DAY, World
from tried import every

from maint.actions import Result, Verb
from store import filing, names, single
from store.change import RootFds
from store.durable import Poisoned
from store.frames import Damaged
from store.layouts.rec.specimens import session_id

ID = session_id(1)
FORM = "  - archive: {{older_than: 30d, form: file, originals: {}}}\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.rules(FORM.format("remove"))
    return world


def there(world: World) -> list[str]:
    """What lies beside the sessions, with the first session's id as ``ID``."""
    return sorted(name.replace(ID, "ID") for name in os.listdir(world.sessions) if name != ".maint")


def in_trash(world: World) -> list[str]:
    return sorted(str(each.name) for each in (world.ours / "trash").rglob("*") if each.is_file())


def test_old_session_becomes_a_file_and_comes_back_as_it_was(world: World) -> None:
    file = world.add("complete", days=40)
    world.add("complete", 2, days=3)
    before, found = file.read_bytes(), file.stat()
    run = world.sweep()
    assert run.summary.done == {Verb.ARCHIVE: 1}
    assert there(world) == sorted(["ID.ndjson.zst", f"{session_id(2)}.ndjson"])
    assert run.summary.bytes_packed == (world.sessions / f"{ID}.ndjson.zst").stat().st_size
    assert run.summary.bytes_archived == len(before)
    answer = world.maint("restore", ID)
    assert answer.code == 0, answer.err
    assert file.read_bytes() == before
    assert (file.stat().st_mode, file.stat().st_mtime_ns) == (found.st_mode, found.st_mtime_ns)
    assert "ID.ndjson.zst" in there(world)


def test_wait_that_fails_for_want_of_room_is_told_and_not_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add_many("complete", range(1, 4), 40)
    real, failed = filing.prepare, [Poisoned(errno.ENOSPC, "no room")]

    def once(*args: Any, **more: Any) -> filing.Prepared:
        if failed:
            raise failed.pop()
        return real(*args, **more)

    monkeypatch.setattr(filing, "prepare", once)
    summary = world.sweep(jobs=1).summary
    assert (summary.done, summary.failed) == ({Verb.ARCHIVE: 2}, 1)


@pytest.mark.skipif(shutil.which("zstd") is None, reason="no zstd here")
def test_file_opens_without_us(world: World) -> None:
    before = world.add("complete", days=40).read_bytes()
    world.sweep()
    file = world.sessions / f"{ID}.ndjson.zst"
    done = subprocess.run(["zstd", "-dc", file], capture_output=True, check=True, timeout=60)
    assert done.stdout == before


@pytest.mark.parametrize("originals", ["remove", "trash", "keep"])
def test_second_sweep_at_once_does_nothing(world: World, originals: str) -> None:
    world.rules(FORM.format(originals))
    world.add_many("complete", range(1, 6), days=40)
    assert world.sweep().summary.done == {Verb.ARCHIVE: 5}
    before = there(world)
    assert world.sweep().summary.planned == {}
    assert there(world) == before
    assert len(in_trash(world)) == (5 if originals == "trash" else 0)


def test_files_are_listed_and_shown(world: World) -> None:
    file = world.add("complete", days=40, name="mine")
    before = file.read_bytes()
    world.sweep()
    (line,) = [json.loads(each) for each in world.maint("list", "--archived", "--json").out.splitlines()]
    assert (line["session"], line["pack"]) == (ID, f"{ID}.ndjson.zst")
    assert world.maint("list").out == ""
    for name in (ID, ID[:8], "mine"):
        assert world.maint("show", name, "--raw").out.encode() == before
    assert "mine" in world.maint("show", ID).out


def test_file_is_copied_out(world: World, tmp_path: Path) -> None:
    before = world.add("complete", days=40).read_bytes()
    world.sweep()
    (tmp_path / "out").mkdir()
    assert world.maint("restore", ID, "--to", str(tmp_path / "out")).code == 0
    assert (tmp_path / "out" / f"{ID}.ndjson").read_bytes() == before


def test_many_come_back_at_once(world: World) -> None:
    files = world.add_many("complete", range(1, 6), days=40)
    before = [file.read_bytes() for file in files]
    world.sweep()
    assert world.maint("restore", "*").code == 0
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize("originals", ["remove", "trash", "keep"])
def test_undo_brings_the_session_back_and_the_file_goes_to_the_trash(world: World, originals: str) -> None:
    world.rules(FORM.format(originals))
    file = world.add("complete", days=40)
    before = file.read_bytes()
    run = world.sweep()
    undone, impossible = world.undo(run.id)
    assert (impossible, undone.summary.skipped, undone.summary.failed) == ([], 0, 0)
    assert file.read_bytes() == before
    assert there(world) == ["ID.ndjson"]
    assert in_trash(world) == [f"{ID}.ndjson.zst"]
    assert world.undo(run.id)[0].summary.done == {}


def test_session_that_was_brought_back_is_left_alone_for_a_while_and_then_only_let_go(world: World) -> None:
    world.add("complete", days=40)
    world.sweep()
    inode = (world.sessions / f"{ID}.ndjson.zst").stat().st_ino
    world.maint("restore", ID)
    assert world.sweep().summary.done == {}
    later = world.now + 20 * DAY
    assert world.sweep(now=later).summary.done[Verb.ARCHIVE] == 1
    assert there(world) == ["ID.ndjson.zst"]
    assert (world.sessions / f"{ID}.ndjson.zst").stat().st_ino == inode


def test_kept_original_that_changed_has_its_file_renewed_and_undo_brings_the_older_one_back(
    world: World,
) -> None:
    world.rules(FORM.format("keep"))
    file = world.add("complete", days=40)
    world.sweep()
    there_before = (world.sessions / f"{ID}.ndjson.zst").read_bytes()
    with file.open("ab") as handle:
        handle.write(file.read_bytes().splitlines(keepends=True)[-1])
    world.age(file, 35)
    run = world.sweep()
    assert run.summary.done == {Verb.ARCHIVE: 1}
    assert world.maint("restore", ID, "--to", str(world.folder)).code == 0
    assert (world.folder / f"{ID}.ndjson").read_bytes() == file.read_bytes()
    assert world.undo(run.id)[1] == []
    assert (world.sessions / f"{ID}.ndjson.zst").read_bytes() == there_before


def somebodys_bytes(world: World, there: Path) -> None:
    world.put(there.name, b"mine", days=40)


def a_folder(_: World, there: Path) -> None:
    there.mkdir()


def a_link(_: World, there: Path) -> None:
    there.symlink_to("nowhere")


def a_pipe(_: World, there: Path) -> None:
    os.mkfifo(there)


def a_damaged_copy(world: World, there: Path) -> None:
    world.add("complete", days=40)
    assert world.sweep().summary.done == {Verb.ARCHIVE: 1}
    there.write_bytes(there.read_bytes()[:-1])


def another_state(world: World, there: Path) -> None:
    file = world.add("complete", days=40)
    before = file.read_bytes()
    assert world.sweep().summary.done == {Verb.ARCHIVE: 1}
    world.put(file.name, before + before.splitlines(keepends=True)[-1], 40)


def another_session(world: World, there: Path) -> None:
    world.add("complete", days=50, name="another, of the same id")
    assert world.sweep().summary.done == {Verb.ARCHIVE: 1}


NONE_OF_OURS = "is there, and is none of ours, or damaged"
IN_THE_WAY: list[tuple[Callable[[World, Path], None], str]] = [
    (somebodys_bytes, f"{NONE_OF_OURS}: it is shorter than a seek table"),
    (a_folder, "cannot be looked at: is a directory"),
    (a_link, "cannot be looked at: too many levels of symbolic links"),
    (a_pipe, f"{NONE_OF_OURS}: it is shorter than a seek table"),
    (a_damaged_copy, f"{NONE_OF_OURS}: "),
    (another_state, "is there, and holds another state of it"),
    (another_session, "is there, and holds another session of that name"),
]


def as_it_is(path: Path) -> tuple[int, ...]:
    """What tells whether somebody has been at it; that it was read is no matter."""
    found = path.lstat()
    return found.st_mode, found.st_ino, found.st_nlink, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@pytest.mark.parametrize("originals", ["remove", "trash", "keep"])
@pytest.mark.parametrize(("put", "why"), IN_THE_WAY, ids=lambda each: getattr(each, "__name__", ""))
def test_session_whose_file_would_be_in_the_place_of_something_else_is_kept_and_not_planned_for(
    world: World, put: Callable[[World, Path], None], why: str, originals: str
) -> None:
    there = world.sessions / f"{ID}.ndjson.zst"
    put(world, there)
    file = world.sessions / f"{ID}.ndjson"
    if not file.exists():
        world.add("complete", days=40)
    before, found = file.read_bytes(), as_it_is(there)
    world.rules(FORM.format(originals) + "  - prune: {older_than: 35d}\n")
    if put is another_state and originals == "keep":
        assert world.sweep().summary.done == {Verb.ARCHIVE: 1}
        return
    told = world.maint("explain", ID)
    assert (told.code, f"no file of it can be made: {there.name} {why}" in told.out) == (0, True)
    assert "so archive has it" in told.out
    for _ in range(2):
        answer = world.maint("sweep", "--json")
        assert (answer.code, answer.err, [line["type"] for line in answer.lines]) == (
            0,
            "",
            ["plan", "summary"],
        )
        assert (answer.summary["skipped"], answer.summary["problems"]) == (0, [])
    assert (file.read_bytes(), as_it_is(there)) == (before, found)
    shutil.rmtree(there) if there.is_dir() else there.unlink()
    assert world.sweep().summary.done == {Verb.ARCHIVE: 1}


def test_file_that_takes_the_name_after_planning_is_left_alone_and_so_is_its_session(world: World) -> None:
    file = world.add("complete", days=40)
    before = file.read_bytes()
    assert world.maint("plan", "-o", "plan").code == 0
    foreign = world.put(f"{ID}.ndjson.zst", b"mine", days=40)
    answer = world.maint("apply", "plan", "--json")
    assert (answer.code, answer.summary["skipped"], answer.summary["failed"]) == (0, 1, 0)
    assert (file.read_bytes(), foreign.read_bytes()) == (before, b"mine")


def test_files_are_neither_sessions_nor_problems_of_the_recorder(world: World) -> None:
    world.add("complete", days=40)
    world.put("notes.zst", b"mine", days=40)
    world.sweep()
    run = world.plan()
    assert (run.summary.problems, run.summary.planned) == ([], {})
    assert run.plan is not None
    assert run.plan.stores[0].tally.total.sessions == 0


def test_expired_files_go_to_the_trash_and_come_back_with_undo(world: World) -> None:
    world.add("complete", days=40)
    world.sweep(now=world.now - 2 * DAY)
    world.rules("  - prune: {of: archived, older_than: 30d}\n")
    run = world.sweep(now=world.now + DAY)
    assert run.summary.done == {Verb.PRUNE: 1}, run.refused
    assert (there(world), in_trash(world)) == ([], [f"{ID}.ndjson.zst"])
    assert world.undo(run.id)[1] == []
    assert there(world) == ["ID.ndjson.zst"]


def test_verify_reads_files_and_names_the_damaged_ones(world: World) -> None:
    world.add_many("complete", range(1, 4), days=40)
    world.sweep()
    answer = world.maint("verify")
    assert answer.code == 0, answer.err
    file = world.sessions / f"{ID}.ndjson.zst"
    data = bytearray(file.read_bytes())
    data[30] ^= 1
    file.write_bytes(data)
    answer = world.maint("verify")
    assert answer.code != 0
    assert ID in answer.out + answer.err


def test_journal_says_what_became_of_each(world: World) -> None:
    world.add("complete", days=40)
    run = world.sweep()
    lines = [json.loads(line) for line in (world.ours / f"journal/{run.id}.ndjson").read_text().splitlines()]
    (outcome,) = [line for line in lines if line["type"] == "outcome"]
    assert (outcome["result"], outcome["pack"]) == (Result.DONE, None)
    assert outcome["detail"] == f"it is {names.zst_path(f'{ID}.ndjson')} now"


def a_store(folder: Path) -> World:
    world = World(folder)
    world.add_many("complete", (1, 2, 3), days=40)
    world.rules(FORM.format("remove"))
    return world


def filed(folder: Path) -> World:
    world = a_store(folder)
    assert world.maint("sweep").code == 0
    return world


def unreachable(world: World, treasure: dict[str, bytes]) -> list[str]:
    """The sessions that are neither in their place, nor in the trash, nor in a sound file."""
    lost = []
    with RootFds({"sessions": str(world.sessions)}) as roots:
        for name, content in treasure.items():
            copies = [world.sessions / name, *(world.ours / "trash").glob(f"*/sessions/{name}")]
            if any(copy.exists() and copy.read_bytes() == content for copy in copies):
                continue
            try:
                with single.open_single(roots, "sessions", f"{name}.zst") as reader:
                    blocks = [bytes(block) for _, blocks in reader.members(reader.entry) for block in blocks]
            except (Damaged, OSError):
                blocks = []
            if b"".join(blocks) != content:
                lost.append(name)
    return lost


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to kill it with")
@pytest.mark.parametrize("verb", ["sweep", "undo", "restore"])
def test_killed_at_any_call_nothing_is_lost_and_the_next_sweep_finishes(verb: str, tmp_path: Path) -> None:
    build = a_store if verb == "sweep" else filed

    def arguments(world: World) -> list[str]:
        last: list[str] = {"sweep": [], "undo": world.journals()[:1], "restore": [ID]}[verb]
        return [verb, *last, *(["--jobs", "1"] if verb == "sweep" else [])]

    world = build(tmp_path / "counted")
    tried, _ = points(world, arguments(world), tmp_path)
    if verb == "sweep":
        tried = tried[:: every(2)]  # it takes three sessions through the same steps
    wrong = []
    for call, number in tried:
        world = build(tmp_path / f"{call}-{number}")
        treasure = read_back(world)
        quiet = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        if not os.WIFSIGNALED(traced(world, arguments(world), quiet)):
            continue
        lost = unreachable(world, treasure)
        after = world.maint(
            "sweep", "--wait", "50s"
        )  # workers may end a moment later, and hold the lock until then
        lost += unreachable(world, treasure)
        again = world.maint("sweep", "--json")
        bad = after.code or after.out or after.err or again.code or again.summary["done"]
        left = world.waiting("tmp") + (there(world) if verb == "sweep" else [])
        left = [name for name in left if not name.endswith(".zst")]
        if lost or bad or left:
            wrong.append((call, number, lost, after, again.summary["done"], left))
        shutil.rmtree(world.folder)
    assert wrong == []
    assert len(tried) > 10


def changed(folder: Path) -> World:
    """A session that has changed since its file was made, and a file that is to be renewed."""
    world = World(folder)
    world.rules(FORM.format("keep"))
    file = world.add("complete", days=40)
    assert world.maint("sweep").code == 0
    with file.open("ab") as handle:
        handle.write(file.read_bytes().splitlines(keepends=True)[-1])
    world.age(file, 35)
    return world


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to kill it with")
def test_killed_at_any_call_a_renewal_keeps_the_older_file_and_the_session(tmp_path: Path) -> None:
    arguments = ["sweep", "--jobs", "1"]
    tried, _ = points(changed(tmp_path / "counted"), arguments, tmp_path)
    wrong = []
    for call, number in tried:
        world = changed(tmp_path / f"{call}-{number}")
        file, beside = (world.sessions / f"{ID}.ndjson{suffix}" for suffix in ("", ".zst"))
        before, older = file.read_bytes(), beside.read_bytes()
        quiet = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        if not os.WIFSIGNALED(traced(world, arguments, quiet)):
            continue
        after = world.maint("sweep")
        again = world.maint("sweep", "--json")
        kept = older in [each.read_bytes() for each in world.sessions.rglob("*.zst")]
        whole = file.read_bytes() == before and read_back(world) == {file.name: before}
        bad = after.code or after.out or after.err or again.code or again.summary["done"]
        if not kept or not whole or bad or world.waiting("tmp") or beside.stat().st_nlink != 1:
            wrong.append((call, number, kept, whole, after, again.summary["done"], world.waiting("tmp")))
        shutil.rmtree(world.folder)
    assert wrong == []
    assert len(tried) > 10


def read_back(world: World) -> dict[str, bytes]:
    """The sessions by the names of their files, wherever they are."""
    found = {file.name: file.read_bytes() for file in world.sessions.glob("*.ndjson")}
    with RootFds({"sessions": str(world.sessions)}) as roots:
        for file in world.sessions.glob("*.ndjson.zst"):
            with single.open_single(roots, "sessions", file.name) as reader:
                ((member, blocks),) = reader.members(reader.entry)
                found[member.path] = b"".join(map(bytes, blocks))
    return found
