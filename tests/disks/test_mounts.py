"""Stores that lie on several file systems, or on one that lies upon another, or have something mounted in them."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from archive_world import OLD, archive_pass, archived, in_store
from file_systems import BY_NAME
from images import Image, Loss, require, run
from maint_world import DAY, World
from many_files_world import Outrig
from test_killed_at_every_call import a_store
from test_power_cut import folder

from store.layouts.outrig.specimens import finished

__all__ = ["folder"]

NOW = float(int(time.time()))


@contextmanager
def mounted(where: Path, *command: str) -> Iterator[Path]:
    """Something is mounted there meanwhile; the test is skipped where it cannot be."""
    require("mount")
    where.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *command, str(where)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{' '.join(command[:2])} cannot be mounted here: {done.stderr.strip()}")
    try:
        yield where
    finally:
        run("umount", "--lazy", str(where))


@contextmanager
def overlaid(below: Path, above: Path, folder: Path) -> Iterator[World]:
    """A store that was there before another layer came upon it, into which all changes go."""
    for each in (below / "below", above / "upper", above / "work"):
        each.mkdir()
    merged = folder / "merged"
    with mounted(merged, "--bind", str(below / "below")):
        world = a_store(merged / "world")
        world.add_many("complete", range(21, 24), OLD)
    options = f"lowerdir={below}/below,upperdir={above}/upper,workdir={above}/work"
    with mounted(merged, "-t", "overlay", "overlay", "-o", options):
        yield world


@pytest.fixture
def layered(folder: Path) -> Iterator[World]:
    """One on an overlay whose layers lie on one file system."""
    with (
        mounted(folder / "layers", "-t", "tmpfs", "tmpfs") as both,
        overlaid(both, both, folder) as world,
    ):
        yield world


def test_store_under_another_layer_is_swept_and_that_is_taken_back(layered: World) -> None:
    before, treasure = layered.snapshot(), layered.treasure()
    answer = layered.maint("sweep")
    assert (answer.code, answer.out, answer.err, layered.lost(treasure)) == (0, "", "", [])
    assert layered.snapshot() != before
    answer = layered.maint("undo", *layered.journals())
    assert (answer.code, layered.snapshot()) == (0, before), answer


def test_store_under_another_layer_is_archived_and_brought_back(layered: World) -> None:
    layered.rules(archive_pass())
    before = layered.snapshot()
    answer = layered.maint("sweep")
    assert (answer.code, answer.err, len(archived(layered))) == (0, "", 3)
    answer = layered.maint("restore", "*")
    assert (answer.code, layered.snapshot()) == (0, before), answer


def test_store_whose_layers_lie_on_two_file_systems_is_left_alone_where_that_shows(folder: Path) -> None:
    """There a file has another device than its folder, as if something had been mounted upon it."""
    with (
        mounted(folder / "memory", "-t", "tmpfs", "tmpfs") as below,
        Image.new(BY_NAME["ext4"], folder) as image,
        overlaid(below, image.top, folder) as world,
    ):
        before = world.snapshot()
        answer = world.maint("sweep")
        shows = any(
            path.lstat().st_dev != world.sessions.lstat().st_dev for path in world.sessions.glob("*.ndjson")
        )
        if not shows:
            pytest.skip("this kernel gives files of both layers the device of their folder")
        assert (answer.code, world.snapshot() == before) == (0, True)
        assert "lies on another file system than its folder; left alone" in answer.err


def test_packs_on_another_disk_outlive_its_power_cut(folder: Path) -> None:
    with Image.new(BY_NAME["ext4"], folder) as image:
        world = World(folder / "world")
        world.rules(archive_pass(f"into: {image.top}/packs"))
        world.add_many("complete", range(1, 5), OLD)
        (image.top / "packs").mkdir()
        before = in_store(world)
        assert world.maint("sweep").code == 0
        image.cut(Loss.ALL)
        (own,) = (image.top / "packs").iterdir()
        assert (archived(world, own), in_store(world)) == (before, {})
        answer = world.maint("restore", "*")
        assert (answer.code, in_store(world)) == (0, before), answer


def test_roots_on_two_disks_each_keep_what_was_theirs(folder: Path) -> None:
    with mounted(folder / "world/state", "-t", "tmpfs", "tmpfs"):
        world = a_store(folder / "world")
        before, locks = world.snapshot(), world.locks()
        answer = world.maint("sweep")
        assert (answer.code, answer.err, world.locks()) == (0, "", [".maint"])
        assert [path.name for path in world.state.rglob("recording.*")] != []
        answer = world.maint("undo", *world.journals())
        assert (answer.code, [name for name in world.locks() if name != ".maint"]) == (0, locks), answer
        assert world.snapshot() == before


def test_what_is_mounted_in_a_store_is_not_touched(folder: Path) -> None:
    world = Outrig(folder / "world", NOW)
    world.rules()
    everything = world.everything()
    session = min(path.parent for path in world.sessions.glob("*/session.json"))
    with mounted(session, "-t", "tmpfs", "tmpfs"):
        (session / "session.json").write_bytes(finished(session.name, NOW - OLD * DAY))
        (session / "logs").mkdir()
        (session / "logs/a.stderr").write_bytes(b"of somebody else")
        before = sorted(session.rglob("*"))
        answers = [world.maint(*each) for each in (["sweep"], ["archive", "--older-than", "1d"])]
        there = sorted(session.rglob("*"))
    assert (there, [answer.code for answer in answers]) == (before, [0, 0]), answers
    assert f"{session.name}: " in answers[0].err
    assert "lies on another file system" in answers[0].err
    assert world.missing(everything) == []
