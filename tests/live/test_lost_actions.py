"""An action over which every worker dies is lost to its run, and told; the next sweep sees to what was half done of it."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import Running
from deaths import dying_over
from disks import Disk, in_memory
from maint_world import DAY, World
from owners import OpendevOwner
from test_worker_deaths import SESSIONS, all_of, filled, wrong_after
from tried import Tally, every

from store.layouts.opendev.specimens import PROJECT


@pytest.fixture
def disk() -> Iterator[Disk]:
    with in_memory(512 << 20) as made:
        yield made


CALLS = range(5, 60, every(6))
"""Calls at which the worker dies that does the action by itself; most of the short form's leave a session half done."""


def test_action_over_which_every_worker_dies_is_told_and_seen_to(disk: Disk, tally: Tally) -> None:
    found: dict[int, list[str]] = {}
    for at in CALLS:
        world = filled(disk.folder / str(at))
        wanted = all_of(world)
        with Running(world, "sweep", "--jobs", "2", first=dying_over(7, at)) as running:
            answer = running.answer()
        wrong = wrong_after(world, wanted)
        if answer.code not in {0, 1} or (answer.code == 1) != ("were lost" in answer.err):
            wrong.append(f"it ended with {answer.code}: {answer.err}")
        if wrong:
            found[at] = wrong
    tally("deaths of workers", "again and again over one action", len(CALLS), wrong=len(found))
    assert not found, found


def test_session_of_which_some_files_were_moved_when_every_worker_died_is_whole_again(
    disk: Disk, tally: Tally
) -> None:
    half = 0
    for at in CALLS:
        world = World(disk.folder / str(at))
        top = disk.folder / f"opendev-{at}"
        owner = OpendevOwner(top, random.Random(at))
        for _ in range(SESSIONS):
            owner.be_born(world.now - 40 * DAY)
        stores = f"stores: {{many: {{kind: opendev, path: {top}}}}}\nlimits: {{max_removed: unlimited}}\n"
        world.rules("  - prune: {older_than: 30d}\n", stores)
        with Running(world, "sweep", "--jobs", "2", first=dying_over(7, at)) as running:
            running.answer()
        half += bool(halves(top))
        assert world.maint("sweep").code == 0
        assert halves(top) == [], at
    tally("deaths of workers", "in the midst of a session of several files", len(CALLS))
    assert half > 0


def halves(top: Path) -> list[str]:
    """The sessions of opendev of which some files are in the trash and others in their place."""
    kept = {path.name.partition(".")[0] for path in (top / ".maint/trash").rglob("*") if path.is_file()}
    there = {path.name.partition(".")[0] for path in (top / PROJECT).glob("*") if path.is_file()}
    return sorted(kept & there)
