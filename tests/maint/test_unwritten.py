"""What should be written down beside sessions, and cannot be: it is told by a sentence of its own, and loses nothing."""

import errno
from pathlib import Path
from typing import NoReturn

import pytest
from archive_world import OLD, archive_pass, archiving, file_name, in_store, listed, packs
from maint_world import DAY, World, ids

from maint import compacting, report, telling
from maint.actions import Verb
from store import change, durable, names
from store.change import Skip
from store.durable import Poisoned
from store.frames import Damaged

TOLD = "should say which copies in its pack count no more, but could not be written ("
NO_LOSS = "no session is lost, and those copies go on counting until they are superseded once more or expire"


def test_copy_that_cannot_be_marked_is_told_and_the_newer_one_is_made_all_the_same(tmp_path: Path) -> None:
    world = archiving(tmp_path)
    content = world.add("complete", 1, OLD).read_bytes()
    assert world.maint("sweep").code == 0
    (old,) = packs(world)
    marks_file = old.with_name(names.marks_name(old.name))
    marks_file.mkdir()
    world.put(file_name(1), content + content.splitlines(keepends=True)[-1], OLD)
    answer = world.maint("sweep", "--json")
    assert (answer.code, answer.summary["done"], answer.summary["unreachable"]) == (74, {"archive": 1}, {})
    (problem,) = answer.summary["problems"]
    assert (problem["path"], problem["grave"]) == (str(marks_file), True)
    assert (
        problem["text"] == f"{TOLD}is a directory: {marks_file.name}); {NO_LOSS}; see that it can be written"
    )
    assert answer.err == f"maint: rec: {marks_file}: {problem['text']}\n"
    assert (listed(world), len(packs(world)), in_store(world)) == (ids(1) * 2, 2, {})


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device"),
        (Damaged("it is short"), "is damaged: it is short); " + NO_LOSS + "; see `maint verify`"),
    ],
)
def test_new_pack_that_cannot_be_marked_when_the_old_one_stays_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    world = archiving(tmp_path)
    world.add("complete", 1, OLD)
    world.add("complete", 2, 400)
    assert world.maint("sweep").code == 0
    world.rules(archive_pass() + "  - prune: {of: archived, older_than: 1y}\n")
    assert world.sweep(now=world.now + DAY).summary.done == {Verb.PRUNE: 1}

    def fails(*_: object) -> NoReturn:
        raise error

    def stays(*_: object) -> NoReturn:
        raise Skip("changed since it was planned")

    monkeypatch.setattr(compacting, "set_marks", fails)
    monkeypatch.setattr(change, "move_to_trash", stays)
    run = world.sweep(now=world.now + 3 * DAY)
    (old, new) = packs(world)
    (problem,) = run.unwritten
    assert problem.path == str(new.with_name(names.marks_name(new.name)))
    assert (TOLD in problem.text, told in problem.text, run.unreachable) == (True, True, [])
    assert (report.exit_code(run), run.summary.skipped, old.exists()) == (74, 1, True)


def test_list_of_what_was_told_that_cannot_be_kept_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.rules()
    world.add("corrupt", 1)
    run = world.sweep()

    def fails(*_: object) -> NoReturn:
        raise Poisoned(errno.EIO, "Input/output error", names.REPORTED)

    monkeypatch.setattr(durable, "replace_file", fails)
    assert telling.news(run.summary.problems, run, [world.place]) == run.summary.problems
    (told,) = report.complaints(run, everything=False)
    assert told == (
        f"rec: {names.REPORTED}: should say which problems were told of, but could not be written "
        f"(input/output error: {names.REPORTED}); some may be told again; see that it can be written"
    )
    assert (report.exit_code(run), run.unreachable) == (74, [])
