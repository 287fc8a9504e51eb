"""The journal, and what it takes to take things back: settling, undoing, restoring."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from maint_world import DAY, World, content, ids

from maint import journal
from maint.actions import Action, Outcome
from maint.journal import BeginLine, EndLine, RunLine
from maint.reaching import open_roots
from maint.run import Run
from store import names
from store.layouts.rec.specimens import session_id


@pytest.fixture
def ill(world: World) -> World:
    """A store with something for every pass, of various modes."""
    world.add("complete", 1)
    world.add("torn", 2).chmod(0o640)
    world.add("empty", 3).chmod(0o400)
    world.add("bare", 4)
    world.put(f"{session_id(9)}.ndjson.tmp", b"half", 5)
    world.lock(2)
    return world


def lines_of(world: World, run: str) -> list[journal.Line]:
    with open_roots(world.place) as roots:
        return list(journal.read(roots, run))


def text_of(world: World, run: str) -> Path:
    return world.ours / f"journal/{run}.ndjson"


def done(run: Run) -> dict[str, int]:
    return {str(verb): count for verb, count in run.summary.done.items()}


# The journal.


def test_journal_has_all_intents_then_begin_then_outcomes_then_the_end(ill: World) -> None:
    kinds = [type(line) for line in lines_of(ill, ill.sweep().id)]
    count = kinds.count(Action)
    assert count == 7
    assert kinds == [RunLine, *[Action] * count, BeginLine, *[Outcome] * count, EndLine]


def test_journal_says_who_did_it_and_by_which_policy(ill: World) -> None:
    head = lines_of(ill, ill.sweep().id)[0]
    assert isinstance(head, RunLine)
    assert (head.command, head.store, head.pid, head.policy_sha256) == (
        "sweep",
        "rec",
        os.getpid(),
        ill.policy.sha256,
    )


def test_backups_and_trash_lie_where_the_journal_says(ill: World) -> None:
    run = ill.sweep().id
    found = sorted(
        str(path.relative_to(ill.ours))
        for top in ("trash", "backup")
        for path in (ill.ours / top).rglob("*.*")
    )
    assert f"backup/{run}/sessions/{session_id(2)}.ndjson" in found
    assert f"trash/{run}/sessions/{session_id(3)}.ndjson" in found
    assert f"trash/{run}/state/recording.lock" in found
    assert (ill.ours / "README.txt").read_text() == names.README_TEXT


def test_temporary_files_are_gone_after_a_run(ill: World) -> None:
    ill.sweep()
    assert ill.waiting("tmp") == []


# Settling.


def killed(world: World, run: str, *, keep: int | None = None) -> None:
    """Make a journal that of a run that was killed after so many outcomes."""
    path = text_of(world, run)
    lines = path.read_bytes().splitlines(keepends=True)
    begun = next(n for n, line in enumerate(lines) if line.startswith(b'{"type":"begin"'))
    path.write_bytes(b"".join(lines[: begun + 1 + (keep or 0)]))


def test_killed_run_is_brought_to_its_end_by_the_next_one(ill: World) -> None:
    run = ill.sweep().id
    killed(ill, run)
    later = ill.sweep().id
    last = lines_of(ill, run)[-1]
    assert isinstance(last, EndLine)
    assert (last.settled_by, last.stopped, sum(last.done.values())) == (later, True, 7)


def test_torn_last_line_of_a_killed_run_is_passed_over(ill: World) -> None:
    run = ill.sweep().id
    killed(ill, run, keep=3)
    with text_of(ill, run).open("ab") as file:
        file.write(b'{"type":"outco')
    ill.sweep()
    last = lines_of(ill, run)[-1]
    assert isinstance(last, EndLine)
    assert sum(last.done.values()) == 7


def test_run_killed_before_its_first_action_is_done_by_the_next(ill: World) -> None:
    plan = ill.plan()
    assert plan.plan is not None
    with open_roots(ill.place) as roots:
        head = journal.run_line(plan.id, "sweep", "now", ill.place, ill.policy, "0", None)
        journal.Journal.start(roots, head, plan.plan.stores[0].spool).close()
    assert sum(done(ill.sweep()).values()) == 7
    assert isinstance(lines_of(ill, plan.id)[-1], EndLine)


def test_run_killed_while_it_wrote_its_intents_did_nothing(ill: World) -> None:
    run = ill.sweep().id
    ill.undo(run)
    path = text_of(ill, run)
    path.write_bytes(path.read_bytes().partition(b'{"type":"begin"}\n')[0][:-30])
    ill.sweep()
    assert [type(line) for line in lines_of(ill, run) if isinstance(line, Outcome)] == []
    assert isinstance(lines_of(ill, run)[-1], EndLine)


def test_settled_run_is_settled_once(ill: World) -> None:
    run = ill.sweep().id
    killed(ill, run)
    ill.sweep()
    before = text_of(ill, run).read_bytes()
    ill.sweep()
    assert text_of(ill, run).read_bytes() == before


# Undoing.


def test_undo_gives_everything_back_byte_for_byte_with_mode_and_time(ill: World) -> None:
    before = ill.snapshot()
    run = ill.sweep()
    assert sum(done(run).values()) == 7
    assert ill.snapshot() != before
    undone, impossible = ill.undo(run.id)
    assert (done(undone), impossible) == ({"restore": 7}, [])
    assert ill.snapshot() == before


def test_undo_of_a_killed_run_gives_everything_back(ill: World) -> None:
    before = ill.snapshot()
    run = ill.sweep().id
    killed(ill, run, keep=2)
    ill.undo(run)
    assert ill.snapshot() == before


def test_undo_of_an_undo_says_that_a_sweep_does_that(ill: World) -> None:
    undone, _ = ill.undo(ill.sweep().id)
    before = ill.snapshot()
    answer = ill.maint("undo", undone.id)
    assert (answer.code, "sweep again" in answer.err, ill.snapshot()) == (1, True, before)


def test_undo_twice_has_nothing_left_to_do(ill: World) -> None:
    run = ill.sweep().id
    ill.undo(run)
    before = ill.snapshot()
    answer = ill.maint("undo", run)
    assert (answer.code, answer.err, ill.snapshot()) == (0, "", before)


@pytest.mark.parametrize("folder", ["trash", "backup"])
def test_undo_says_what_is_no_longer_there(ill: World, folder: str) -> None:
    run = ill.sweep().id
    shutil.rmtree(ill.ours / folder)
    answer = ill.maint("undo", run)
    assert (answer.code, "no longer there to be put back" in answer.err) == (1, True)


def test_undo_overwrites_nothing(ill: World) -> None:
    run = ill.sweep().id
    made = ill.put(f"{session_id(3)}.ndjson", b"made again\n", 1)
    answer = ill.maint("undo", run)
    assert (answer.code, made.read_bytes()) == (1, b"made again\n")
    assert "another file has its place now" in answer.err
    assert f"{session_id(3)}.ndjson" in ill.waiting()


def test_undo_does_not_take_back_a_recovery_that_was_written_to_since(ill: World) -> None:
    run = ill.sweep().id
    path = ill.sessions / f"{session_id(2)}.ndjson"
    with path.open("ab") as file:
        file.write(b'{"type":"command"}\n')
    after = path.read_bytes()
    answer = ill.maint("undo", run)
    assert (answer.code, path.read_bytes()) == (1, after)
    assert "changed since it was recovered" in answer.err
    assert session_id(3) in [each["session"] for each in ill.maint("list", "--json").lines]


def test_undo_brings_back_a_recovered_session_that_was_deleted_since(ill: World) -> None:
    path = ill.sessions / f"{session_id(2)}.ndjson"
    before = path.read_bytes()
    run = ill.sweep().id
    path.unlink()
    assert ill.maint("undo", run).code == 0
    assert path.read_bytes() == before


def test_undo_says_what_has_ended_for_good(world: World) -> None:
    world.add("empty", 1, days=40)
    old = world.sweep().id
    aged = names.new_run_id(world.now - 15 * DAY, b"old")
    (world.ours / "trash" / old).rename(world.ours / "trash" / aged)
    ended = world.sweep().id
    answer = world.maint("undo", ended)
    assert (answer.code, "has ended for good" in answer.err) == (1, True)


def test_undo_of_a_partly_done_run_takes_back_what_was_done(ill: World) -> None:
    before = ill.snapshot()
    ill.maint("plan", "-o", "plan.ndjson")
    path = ill.sessions / f"{session_id(3)}.ndjson"
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"\n")
    changed = ill.snapshot()[str(path.relative_to(ill.folder))]
    run = ill.maint("apply", "plan.ndjson", "--json").summary["run"]
    assert ill.maint("undo", run).code == 0
    after = ill.snapshot()
    key = str(path.relative_to(ill.folder))
    assert after == before | {key: changed}


def test_undo_of_nothing_is_nothing(world: World) -> None:
    run = world.sweep().id
    answer = world.maint("undo", run)
    assert (answer.code, "nothing to do" in answer.out) == (0, True)


def test_session_brought_back_is_not_taken_again_the_same_night(ill: World) -> None:
    before = ill.snapshot()
    ill.undo(ill.sweep().id)
    ill.sweep()
    kept = [f"data/rec/sessions/{id_}.ndjson" for id_ in ids(1, 2, 3, 4)]
    assert {name: ill.snapshot()[name] for name in kept} == {name: before[name] for name in kept}


# Restoring.


def test_restore_by_id_brings_a_session_back_with_mode_and_time(ill: World) -> None:
    key = f"data/rec/sessions/{session_id(3)}.ndjson"
    before = ill.snapshot()[key]
    ill.sweep()
    answer = ill.maint("restore", session_id(3))
    assert (answer.code, ill.snapshot()[key]) == (0, before)


def test_restore_by_prefix(ill: World) -> None:
    ill.sweep()
    assert ill.maint("restore", session_id(3)[:8]).code == 0
    assert (ill.sessions / f"{session_id(3)}.ndjson").exists()


def test_restore_of_several(ill: World) -> None:
    ill.sweep()
    assert ill.maint("restore", *ids(3, 4)).code == 0
    assert [(ill.sessions / f"{id_}.ndjson").exists() for id_ in ids(3, 4)] == [True, True]


def test_restore_elsewhere_is_a_copy_with_mode_and_time(ill: World, tmp_path: Path) -> None:
    path = ill.sessions / f"{session_id(3)}.ndjson"
    before = path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns
    ill.sweep()
    (tmp_path / "out").mkdir()
    answer = ill.maint("restore", session_id(3), "--to", "out")
    copy = tmp_path / "out" / path.name
    assert (answer.code, answer.out) == (0, f"out/{path.name}\n")
    assert (copy.read_bytes(), copy.stat().st_mode, copy.stat().st_mtime_ns) == before
    assert path.name in ill.waiting()


def test_backup_can_be_copied_out(ill: World, tmp_path: Path) -> None:
    before = (ill.sessions / f"{session_id(2)}.ndjson").read_bytes()
    ill.sweep()
    (tmp_path / "out").mkdir()
    assert ill.maint("restore", session_id(2), "--to", "out").code == 0
    assert (tmp_path / f"out/{session_id(2)}.ndjson").read_bytes() == before


def test_restore_of_a_recovered_session_says_how(ill: World) -> None:
    run = ill.sweep().id
    answer = ill.maint("restore", session_id(2))
    assert (answer.code, f"maint undo {run}" in answer.err) == (2, True)


def test_restore_overwrites_nothing(ill: World, tmp_path: Path) -> None:
    ill.sweep()
    made = ill.put(f"{session_id(3)}.ndjson", b"made again\n", 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / made.name).write_bytes(b"mine")
    codes = [
        ill.maint("restore", session_id(3)).code,
        ill.maint("restore", session_id(3), "--to", "out").code,
    ]
    assert (codes, made.read_bytes(), (tmp_path / "out" / made.name).read_bytes()) == (
        [1, 1],
        b"made again\n",
        b"mine",
    )
    assert made.name in ill.waiting()


@pytest.mark.parametrize("where", ["nowhere", "policy.yaml"])
def test_restore_to_no_folder_is_told(ill: World, where: str) -> None:
    (ill.folder / "policy.yaml").write_text("")
    ill.sweep()
    answer = ill.maint("restore", session_id(3), "--to", where)
    assert (answer.code, where in answer.err, "defect" in answer.err) == (74, True, False)


def test_newest_of_several_removals_comes_back(world: World) -> None:
    world.add("empty", 1)
    world.sweep()
    second = world.add("bare", 1)
    wanted = second.read_bytes()
    run = world.sweep().id
    (world.ours / "trash" / run).rename(world.ours / "trash" / names.new_run_id(world.now + 5, b"new"))
    world.maint("restore", session_id(1))
    assert second.read_bytes() == wanted


# Late writers.


def appended(path: Path, data: bytes, when: float) -> None:
    """What a writer does that has held a descriptor all along, and whose kernel knows no leases."""
    with path.open("ab") as file:
        file.write(data)
    os.utime(path, (when, when))


SOON = pytest.mark.parametrize("after", [0.0, 60.0], ids=["in the second of the run", "a minute later"])


@SOON
def test_late_append_to_a_trashed_session_brings_it_back(ill: World, after: float) -> None:
    run = ill.sweep().id
    trashed = ill.ours / f"trash/{run}/sessions/{session_id(4)}.ndjson"
    late = b'{"type":"command","index":0,"command":"late","cwd":"/","started_at":1}\n'
    appended(trashed, late, names.run_time(run) + after)
    ill.sweep()
    path = ill.sessions / f"{session_id(4)}.ndjson"
    assert (trashed.exists(), path.read_bytes().endswith(late)) == (False, True)


@SOON
def test_late_append_to_a_backup_is_carried_over_once(ill: World, after: float) -> None:
    run = ill.sweep().id
    late = b'{"type":"command","index":9,"command":"late","cwd":"/","started_at":1}\n'
    backup = ill.ours / f"backup/{run}/sessions/{session_id(2)}.ndjson"
    appended(backup, late, names.run_time(run) + after)
    ill.sweep()
    ill.sweep()
    assert (ill.sessions / f"{session_id(2)}.ndjson").read_bytes().count(late) == 1


def test_late_appends_to_a_backup_are_each_carried_over_once(ill: World) -> None:
    run = ill.sweep().id
    kept = ill.ours / f"backup/{run}/sessions/{session_id(2)}.ndjson"
    late = [
        b'{"type":"command","index":%d,"command":"late","cwd":"/","started_at":1}\n' % n for n in range(3)
    ]
    for each in late:
        appended(kept, each, ill.now + 60)
        ill.sweep()
    data = (ill.sessions / f"{session_id(2)}.ndjson").read_bytes()
    assert [data.count(each) for each in late] == [1, 1, 1]


def test_late_append_that_was_carried_over_needs_nobody_when_the_session_has_gone(ill: World) -> None:
    run = ill.sweep().id
    appended(ill.ours / f"backup/{run}/sessions/{session_id(2)}.ndjson", b"late\n", ill.now + 60)
    ill.sweep()
    (ill.sessions / f"{session_id(2)}.ndjson").unlink()
    answer = ill.maint("sweep")
    assert (answer.code, answer.err) == (0, "")


def test_late_append_that_cannot_come_back_needs_a_person_and_is_not_lost(ill: World) -> None:
    run = ill.sweep().id
    made = ill.put(f"{session_id(4)}.ndjson", content("complete", session_id(4), ill.now - DAY), 1)
    trashed = ill.ours / f"trash/{run}/sessions/{session_id(4)}.ndjson"
    appended(trashed, b"late\n", ill.now + 60)
    answer = ill.maint("sweep")
    assert ("look at it by hand" in answer.err, trashed.read_bytes()[-5:]) == (True, b"late\n")
    assert made.exists()


@SOON
def test_backup_that_was_changed_in_place_needs_a_person(ill: World, after: float) -> None:
    run = ill.sweep().id
    backup = ill.ours / f"backup/{run}/sessions/{session_id(2)}.ndjson"
    backup.write_bytes(backup.read_bytes().swapcase())
    os.utime(backup, (names.run_time(run) + after,) * 2)
    recovered = (ill.sessions / backup.name).read_bytes()
    answers = [ill.maint("sweep") for _ in range(2)]
    assert [answer.code for answer in answers] == [0, 0]
    assert ["look at it by hand" in answer.err for answer in answers] == [True, False]
    assert (ill.sessions / backup.name).read_bytes() == recovered


def test_session_that_is_open_for_writing_is_not_removed(ill: World) -> None:
    path = ill.sessions / f"{session_id(4)}.ndjson"
    with path.open("ab") as file:
        ill.age(path, 3)
        run = ill.maint("sweep", "--json")
        file.write(b"late\n")
    results = {each["session"]: each["result"] for each in run.lines if each["type"] == "outcome"}
    assert (path.exists(), results.get(session_id(4))) in {(True, None), (True, "skipped")}


def summary_of(world: World, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.maint(*arguments).out.splitlines()[-1])
    return found


def test_lock_is_left_where_the_recovery_of_its_session_is_skipped(world: World) -> None:
    path = world.add("torn", 2)
    world.lock(2)
    world.maint("plan", "-o", "plan.ndjson")
    with path.open("ab") as file:
        file.write(b"x")
    summary = summary_of(world, "apply", "plan.ndjson", "--json")
    assert (summary["done"], summary["skipped"]) == ({}, 4)
    assert world.locks() == ["pending.json", "recording.json", "recording.lock"]


def test_lock_is_left_where_another_recording_has_begun(world: World) -> None:
    world.add("torn", 2)
    world.lock(2)
    world.maint("plan", "-o", "plan.ndjson")
    (world.state / "recording.lock").write_text("4000000001")
    summary = summary_of(world, "apply", "plan.ndjson", "--json")
    assert summary["done"] == {"recover": 1}
    assert "recording.json" in world.locks()
