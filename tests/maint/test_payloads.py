"""Payloads that were archived by themselves: the session stays as it is, and is whole again when it is brought back."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from maint_world import rules

import maint
from maint.actions import Verb
from store.archives import with_archives
from store.facts import Place
from store.layouts.outrig import LAYOUT
from store.targets import with_targets

DAY = 86_400.0
ID, OTHER = "20260712T164416-f507", "20260713T164416-0001"
PAYLOADS = "  - archive: {older_than: 1d, part: payload}\n"
WHOLE = "  - archive: {older_than: 1d}\n"
TIDY = "  - delete-empty: {idle_for: 1d}\n"


class Runs:
    """A store of outrig with sessions that ended three days ago."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "sessions"
        self.root.mkdir()
        self.elsewhere = folder / "nightly"

    @property
    def place(self) -> Place:
        place = with_archives(Place("runs", "outrig", {"sessions": str(self.root)}))
        return with_targets(place, LAYOUT.targets(place))

    def add(self, id_: str, *, code: int = 0, at: Path | None = None) -> Path:
        folder = at or self.root / id_
        (folder / "logs/deep").mkdir(parents=True)
        record = {
            "id": id_,
            "started_at": "2026-07-12T16:44:16Z",
            "ended_at": "2026-07-12T16:48:18Z",
            "container_name": f"outrig-{id_}",
            "image_tag": "x",
            "working_dir": "/srv/app",
            "session_dir": str(folder),
            "exit_code": code,
        }
        files = {"session.json": json.dumps(record, indent=2), "logs/fs.stderr": "ready\n" * 99}
        for name, content in (files | {"logs/deep/agent.log": "done\n"}).items():
            (folder / name).write_text(content)
            os.utime(folder / name, (time.time() - 3 * DAY,) * 2)
        return folder

    def files(self) -> dict[str, str]:
        found = [*self.root.rglob("*"), *self.elsewhere.rglob("*")]
        return {
            str(each): each.read_text() for each in found if each.is_file() and ".maint" not in each.parts
        }

    def sweep(self, passes: str) -> dict[Verb, int]:
        run = maint.sweep(rules(passes), [self.place])
        assert (run.summary.failed, run.summary.lost, run.unreachable) == (0, 0, [])
        return dict(run.summary.done)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_record_stays_when_the_payload_goes_and_gets_it_back(runs: Runs) -> None:
    folder = runs.add(ID)
    before = runs.files()
    assert runs.sweep(PAYLOADS) == {Verb.ARCHIVE: 1}
    assert list(runs.files()) == [str(folder / "session.json")]
    assert runs.sweep(PAYLOADS) == {}
    maint.restore([f"{ID}+payload"], [runs.place])
    assert runs.files() == before


def test_session_without_its_payload_is_not_taken_for_empty(runs: Runs) -> None:
    runs.add(ID, code=1)
    runs.sweep(PAYLOADS)
    assert runs.sweep(TIDY) == {}


def test_payload_comes_back_with_its_session(runs: Runs) -> None:
    runs.add(ID)
    before = runs.files()
    runs.sweep(PAYLOADS)
    runs.sweep(WHOLE)
    assert runs.files() == {}
    maint.restore([ID], [runs.place])
    assert runs.files() == before


def test_payload_comes_back_with_a_session_from_the_trash(runs: Runs) -> None:
    runs.add(ID)
    before = runs.files()
    runs.sweep(PAYLOADS)
    assert runs.sweep("  - prune: {older_than: 1d}\n") == {Verb.PRUNE: 1}
    maint.restore([ID], [runs.place])
    assert runs.files() == before


def test_archiving_a_payload_can_be_taken_back(runs: Runs) -> None:
    runs.add(ID)
    runs.add(OTHER)
    before = runs.files()
    run = maint.sweep(rules(PAYLOADS), [runs.place])
    maint.undo(run.id, [runs.place])
    assert runs.files() == before


def test_session_behind_a_link_goes_with_it_and_both_come_back_by_id(runs: Runs) -> None:
    runs.add(ID, at=runs.elsewhere)
    (runs.root / ID).symlink_to(runs.elsewhere)
    (runs.elsewhere / "KEEP_ME.txt").write_text("mine")
    before = runs.files()
    assert runs.sweep("  - prune: {older_than: 1d}\n") == {Verb.PRUNE: 1}
    assert (list(runs.files()), (runs.root / ID).is_symlink()) == (
        [str(runs.elsewhere / "KEEP_ME.txt")],
        False,
    )
    maint.restore([ID], [runs.place])
    assert ((runs.root / ID).readlink(), runs.files()) == (runs.elsewhere, before)


def test_session_behind_a_link_is_archived_and_the_link_stays_to_lead_to_it_again(runs: Runs) -> None:
    runs.add(ID, at=runs.elsewhere)
    (runs.root / ID).symlink_to(runs.elsewhere)
    before = runs.files()
    assert runs.sweep(WHOLE) == {Verb.ARCHIVE: 1}
    assert (runs.files(), (runs.root / ID).is_symlink()) == ({}, True)
    assert runs.sweep("  - litter: {older_than: 1d}\n") == {}
    maint.restore([ID], [runs.place])
    assert runs.files() == before


def test_link_to_an_archived_session_is_no_litter_when_the_folder_it_led_to_is_gone(runs: Runs) -> None:
    runs.add(ID, at=runs.elsewhere)
    (runs.elsewhere.parent / "other").mkdir()
    (runs.root / ID).symlink_to(runs.elsewhere)
    runs.sweep(WHOLE)
    runs.elsewhere.rmdir()
    os.utime(runs.root / ID, (time.time() - 3 * DAY,) * 2, follow_symlinks=False)
    assert runs.sweep("  - litter: {older_than: 1d}\n") == {}
    assert (runs.root / ID).is_symlink()


@pytest.mark.parametrize("originals", ["remove", "trash"])
@pytest.mark.parametrize("how", ["undo", "restore"])
def test_payload_that_somebody_has_brought_back_is_left_alone_for_a_while(
    runs: Runs, originals: str, how: str
) -> None:
    runs.add(ID)
    passes = f"  - archive: {{older_than: 1d, part: payload, originals: {originals}}}\n"
    run = maint.sweep(rules(passes), [runs.place])
    assert run.summary.done == {Verb.ARCHIVE: 1}
    if how == "undo":
        maint.undo(run.id, [runs.place])
    else:
        maint.restore([f"{ID}+payload"], [runs.place])
    before = runs.files()
    for _ in range(2):
        assert Verb.ARCHIVE not in maint.sweep(rules(passes), [runs.place]).summary.done
    assert runs.files() == before


def test_trash_ends_though_the_folder_that_it_came_from_is_gone(runs: Runs) -> None:
    runs.add(ID, at=runs.elsewhere)
    (runs.root / ID).symlink_to(runs.elsewhere)
    prune = rules(
        "  - prune: {older_than: 1d}\n", "trash: {keep_for: 1s}\nlimits: {max_expired: unlimited}\n"
    )
    assert maint.sweep(prune, [runs.place]).summary.done == {Verb.PRUNE: 1}
    shutil.rmtree(runs.elsewhere)
    time.sleep(2.1)
    done = maint.sweep(prune, [runs.place]).summary
    assert (done.failed, done.done[Verb.EXPIRE_TRASH] > 0) == (0, True)
    assert maint.sweep(prune, [runs.place]).summary.done == {}


def test_session_whose_payload_was_just_archived_is_not_archived_at_once(runs: Runs) -> None:
    runs.add(ID)
    assert runs.sweep(PAYLOADS + WHOLE) == {Verb.ARCHIVE: 1}
    assert runs.sweep(PAYLOADS + WHOLE) == {}
    assert list(runs.files()) == [str(runs.root / ID / "session.json")]
    assert runs.sweep(WHOLE) == {Verb.ARCHIVE: 1}  # another policy, and somebody who wants it
