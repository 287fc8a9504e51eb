"""Archiving on a disk that is full: what fits is archived and makes room for more, and nothing is lost."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_world import (
    OLD,
    add_large,
    archive_pass,
    archived,
    in_store,
    in_trash,
    listed,
    packs,
    unfinished,
)
from maint_world import World

from maint import loading
from store.layouts.rec.specimens import session_id

KIB = 1 << 10
MIB = 1 << 20


def mount(folder: Path, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)]
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A store on a disk of eight mebibytes, and nothing in it."""
    disk = tmp_path / "disk"
    mount(disk, 8 * MIB)
    try:
        world = World(disk / "world")
        world.rules(archive_pass())
        yield world
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a mebibyte for packs."""
    folder = tmp_path / "shelf"
    mount(folder, 512 * KIB)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def noisy(world: World, number: int, size: int) -> None:
    """A session that cannot be made much smaller than half its size."""
    path = world.add("complete", number, OLD)
    head, first, *rest = path.read_bytes().splitlines(keepends=True)
    noise = first.replace(b"git pull", os.urandom(size // 2).hex().encode())
    world.put(path.name, b"".join([head, noise, *rest]), OLD)


def fill(world: World, leave: int) -> Path:
    """Leave so much of the disk free, as far as pages go."""
    ballast = world.folder / "ballast"
    free = os.statvfs(world.folder)
    ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - leave)))
    return ballast


def test_without_any_room_nothing_is_done_and_nothing_left(world: World) -> None:
    for number in range(1, 5):
        noisy(world, number, 100 * KIB)
    before = in_store(world)
    ballast = fill(world, 0)
    answer = world.maint("sweep")
    assert (answer.code, "no space left" in answer.err, "Traceback" in answer.err) == (74, True, False)
    assert (in_store(world), packs(world)) == (before, [])
    ballast.unlink()
    assert world.maint("sweep").code == 0
    assert (archived(world), in_store(world), unfinished(world)) == (before, {}, [])


def test_with_room_for_too_little_every_session_stays_and_is_named(world: World) -> None:
    for number in range(1, 4):
        noisy(world, number, 400 * KIB)
    before = in_store(world)
    ballast = fill(world, 96 * KIB)
    answer = world.maint("sweep")
    assert (answer.code, answer.err.count("the pack could not be written: no space left")) == (1, 3)
    assert (in_store(world), packs(world), unfinished(world)) == (before, [], [])
    ballast.unlink()
    assert world.maint("sweep").code == 0
    assert (archived(world), in_store(world)) == (before, {})


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_fits_makes_room_for_more_until_all_is_archived(world: World, jobs: str) -> None:
    for number in range(1, 17):
        noisy(world, number, 256 * KIB)
    before = in_store(world)
    fill(world, 500 * KIB)
    answer = world.maint("sweep", "--jobs", jobs)
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert (archived(world), in_store(world), unfinished(world)) == (before, {}, [])
    assert len(packs(world)) > 1
    assert len(listed(world)) == 16


def test_next_pack_waits_for_the_room_that_originals_still_take_while_they_are_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(fds: list[int]) -> None:
        time.sleep(0.3)
        for fd in fds:
            os.close(fd)

    monkeypatch.setattr(loading, "_close_all", slowly)
    for number in range(1, 9):
        noisy(world, number, 512 * KIB)
    before = in_store(world)
    fill(world, 700 * KIB)  # room for one at a time
    answer = world.maint("sweep")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert (archived(world), in_store(world)) == (before, {})


def test_trashed_originals_free_nothing_so_that_a_full_disk_ends_it(world: World) -> None:
    world.rules(archive_pass("originals: trash"))
    for number in range(1, 17):
        noisy(world, number, 256 * KIB)
    before = in_store(world)
    fill(world, 700 * KIB)
    answer = world.maint("sweep")
    assert answer.code in {1, 74}
    assert "no space left" in answer.err
    assert in_store(world) | in_trash(world) == before
    assert (set(archived(world)), unfinished(world)) == (set(in_trash(world)), [])


def test_small_disk_for_packs_takes_what_fits(world: World, shelf: Path) -> None:
    world.rules(archive_pass(f"into: {shelf}"))
    for number in range(1, 9):
        noisy(world, number, 256 * KIB)
    before = in_store(world)
    answer = world.maint("sweep")
    assert (answer.code, "no space left" in answer.err) == (1, True)
    (own,) = shelf.iterdir()
    there = archived(world, own)
    assert (there | in_store(world), set(there) & set(in_store(world))) == (before, set())
    assert 1 <= len(there) <= 4
    assert [path.suffix for path in own.iterdir()] == [".zst"] * len(packs(world, own))
    assert len(listed(world)) == len(there)


def test_restore_without_room_leaves_nothing_and_takes_nothing_away(world: World) -> None:
    for number in range(1, 4):
        noisy(world, number, 600 * KIB)
    add_large(world, 4, 2 * MIB)
    before = in_store(world)
    assert world.maint("sweep").code == 0
    ballast = fill(world, 200 * KIB)
    answer = world.maint("restore", session_id(1))
    assert (answer.code, "no space left" in answer.err) == (1, True)
    assert (in_store(world), unfinished(world)) == ({}, [])
    ballast.unlink()
    assert world.maint("restore", "*").code == 0
    assert in_store(world) == before


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_large_sessions_that_do_not_fit_together_are_archived_one_after_the_other(
    tmp_path: Path, jobs: str
) -> None:
    disk = tmp_path / "disk"
    mount(disk, 96 * MIB)
    try:
        world = World(disk / "world")
        world.rules(archive_pass())
        for number in range(1, 3):
            noisy(world, number, 34 * MIB)  # is read in three ranges: one is in flight when the disk is full
        noisy(world, 3, KIB)
        before = in_store(world)
        fill(world, 19 * MIB)
        answer = world.maint("sweep", "--jobs", jobs)
        assert (answer.code, answer.out, answer.err) == (0, "", "")
        assert (archived(world), in_store(world), unfinished(world)) == (before, {}, [])
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("leave", [480, 560, 650])
def test_session_that_takes_a_pack_alone_is_tried_again_once_there_is_room(
    world: World, jobs: int, leave: int
) -> None:
    world.rules(archive_pass(), "archive: {pack_size: 1MiB}\n")
    for number in range(1, 9):
        noisy(world, number, 400 * KIB)
    fill(world, leave * KIB)
    done = world.sweep(jobs=jobs).summary
    assert (done.done.total(), done.failed, in_store(world)) == (8, 0, {})
    assert unfinished(world) == []
