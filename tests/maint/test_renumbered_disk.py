"""A disk that has another number than before, as after a restart: what was written down of its files still holds.

Nobody can give a disk another number here, so what was written down is given one.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
from archive_world import OLD, archive_pass, archived, archiving, in_store
from kill_points import changes
from maint_world import World
from test_many_files_killed import STORIES, killed, wrong_after_sweeping
from tried import Tally, every


def renumber(world: World) -> int:
    """Have all journals and plans tell of another disk; of how many files they do."""
    here = re.compile(rb"\[%d,(?=\d+,\d+,)" % os.lstat(world.sessions).st_dev)
    told = 0
    for path in (*(world.ours / "journal").glob("*"), *plans(world)):
        data, many = here.subn(b"[4242,", path.read_bytes())
        path.write_bytes(data)
        told += many
    return told


def plans(world: World) -> list[Path]:
    return sorted((world.folder / "state/maint/plans").glob("*"))


def test_recovery_is_taken_back(world: World) -> None:
    path = world.add("torn", 1)
    before = path.read_bytes()
    assert world.maint("sweep").code == 0
    assert (renumber(world) > 0, path.read_bytes() == before) == (True, False)
    answer = world.maint("undo", *world.journals())
    assert (answer.code, path.read_bytes()) == (0, before)


@pytest.mark.parametrize("originals", ["keep", "trash", "remove"])
def test_archive_is_taken_back(tmp_path: Path, originals: str) -> None:
    world = archiving(tmp_path, f"originals: {originals}")
    world.add_many("complete", range(1, 4), OLD)
    before = in_store(world)
    assert world.maint("sweep").code == 0
    assert renumber(world) > 0
    answer = world.maint("undo", *world.journals())
    assert (answer.code, in_store(world)) == (0, before)


def test_refused_plan_is_applied(world: World) -> None:
    world.rules(rest="limits: {max_removed: {fraction: 1%, at_least: 1}}\n")
    world.add_many("empty", range(1, 4))
    assert world.maint("sweep").code == 3
    assert renumber(world) > 0
    answer = world.maint("apply", *map(str, plans(world)))
    assert (answer.code, in_store(world)) == (0, {})
    assert len(world.waiting()) == 3


def test_refused_archive_is_applied(world: World) -> None:
    world.rules(archive_pass(), "limits: {max_archived: {fraction: 1%, at_least: 1}}\n")
    world.add_many("complete", range(1, 4), OLD)
    before = in_store(world)
    assert world.maint("sweep").code == 3
    assert renumber(world) > 0
    answer = world.maint("apply", *map(str, plans(world)))
    assert (answer.code, in_store(world), archived(world)) == (0, {}, before)


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to kill it with")
@pytest.mark.parametrize("story", ["opendev: sweep", "outrig: sweep", "opendev: undo a sweep"])
def test_killed_run_is_brought_to_its_end(story: str, tmp_path: Path, tally: Tally) -> None:
    told = STORIES[story]
    world = told.build(tmp_path / "counted")
    points = changes(world, told.arguments(world), tmp_path)
    tried = [point for point in points if point[0] in {"renameat2", "unlinkat"}][:: every(16)]
    found: list[str] = []
    renumbered = 0
    for call, number in tried:
        world = told.build(tmp_path / f"{call}-{number}")
        treasure = world.everything()
        assert killed(world, told.arguments(world), (call, number)) is None
        renumbered += renumber(world)
        if (why := wrong_after_sweeping(world, treasure)) is not None:
            found.append(f"{call} {number}: {why}")
        shutil.rmtree(world.folder)
    tally("killed, then renumbered", story, len(tried), there_are=len(points), wrong=len(found))
    assert (found, renumbered > 0) == ([], True)
