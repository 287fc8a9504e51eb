"""Archiving: what goes into packs, what stays, and that nothing goes before its copy was read back."""

import errno
import itertools
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archive_world import (
    OLD,
    add_large,
    append,
    archive_pass,
    archived,
    archiving,
    contents,
    done,
    file_name,
    in_store,
    in_trash,
    listed,
    marks,
    marks_of,
    packs,
    unfinished,
)
from maint_world import World, ids

from maint.actions import Verb
from maint.planned import Plan
from maint.run import Listener
from store.layouts.rec.specimens import session_id
from store.packs import PackWriter

MIB = 1 << 20


@pytest.fixture
def world(tmp_path: Path) -> World:
    return archiving(tmp_path)


def when_written(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], object]) -> None:
    """Do something each time when a pack is on the disk and is about to be read back; given its descriptor."""
    real = os.posix_fadvise

    def then(fd: int, *more: int) -> None:
        real(fd, *more)
        act(fd)

    monkeypatch.setattr(os, "posix_fadvise", then)


def flip(fd: int, at: int = 100) -> None:
    byte = os.pread(fd, 1, at)
    os.pwrite(fd, bytes([byte[0] ^ 1]), at)


# What goes, and what stays.


def test_old_sessions_lie_in_a_pack_byte_for_byte(world: World) -> None:
    world.add_many("complete", range(1, 6), OLD)
    world.add("complete", 9, days=3)
    before = in_store(world)
    assert done(world) == {"archive": 5}
    assert in_store(world) == {file_name(9): before.pop(file_name(9))}
    assert archived(world) == before
    assert sorted(listed(world)) == ids(*range(1, 6))
    assert (unfinished(world), in_trash(world)) == ([], {})


def test_empty_store_gets_no_pack(world: World) -> None:
    assert done(world) == {}
    assert (packs(world), (world.ours / "archive").exists()) == ([], False)


def test_live_young_protected_and_corrupt_sessions_stay(world: World) -> None:
    world.rules(archive_pass(), "protect:\n  - {tags: [keep]}\nlimits: {min_idle: 50d}\n")
    world.add("complete", 1, days=60)
    world.add("complete", 2, days=60, tags=["keep"])
    world.age(world.add("complete", 3, days=60), 1)
    world.add("crashed", 4, days=60)
    world.lock(4, days=0.01)
    world.add("complete", 5, days=20)
    world.add("corrupt", 6, days=60)
    assert done(world) == {"archive": 1}
    assert list(archived(world)) == [file_name(1)]
    assert len(in_store(world)) == 5


def test_session_that_grows_after_planning_stays_and_has_no_copy(world: World) -> None:
    first, _ = world.add_many("complete", (1, 2), OLD)

    def write(_: Plan) -> None:
        append(first)

    run = world.sweep(listener=Listener(planned=write))
    assert (run.summary.done, run.summary.skipped) == ({Verb.ARCHIVE: 1}, 1)
    assert list(archived(world)) == [file_name(2)]
    assert list(in_store(world)) == [file_name(1)]
    assert marks_of(world) == {}


def test_session_that_grows_after_packing_stays_and_its_copy_does_not_count(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = world.add_many("complete", (1, 2), OLD)
    grown: list[bytes] = []
    when_written(monkeypatch, lambda _: grown.append(append(first)))
    run = world.sweep()
    assert (run.summary.done, run.summary.skipped, run.summary.failed) == ({Verb.ARCHIVE: 1}, 1, 0)
    assert in_store(world) == {file_name(1): grown[0]}
    assert marks_of(world) == {session_id(1): "stale"}
    assert listed(world) == [session_id(2)]


def test_copy_of_a_session_whose_name_another_file_has_taken_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = world.add_many("complete", (1, 2), OLD)
    packed = first.read_bytes()

    def replace(_: object) -> None:
        other = first.with_suffix(".other")
        other.write_bytes(b"of somebody else")
        other.replace(first)

    when_written(monkeypatch, replace)
    run = world.sweep()
    assert (run.summary.done, run.summary.skipped, run.summary.failed) == ({Verb.ARCHIVE: 1}, 1, 0)
    assert in_store(world) == {file_name(1): b"of somebody else"}
    assert (archived(world)[file_name(1)], marks_of(world)) == (packed, {})


def test_session_that_is_removed_after_packing_has_a_copy_that_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = world.add_many("complete", (1, 2), OLD)
    when_written(monkeypatch, lambda _: first.unlink())
    run = world.sweep()
    assert (run.summary.done, run.summary.skipped) == ({Verb.ARCHIVE: 2}, 0)
    assert marks_of(world) == {}
    assert sorted(listed(world)) == ids(1, 2)
    _, impossible = world.undo(run.id)
    assert (impossible, sorted(in_store(world))) == ([], sorted(map(file_name, (1, 2))))


def test_session_that_is_open_for_writing_stays(world: World) -> None:
    first, _ = world.add_many("complete", (1, 2), OLD)
    with first.open("ab"):
        run = world.sweep()
    assert (run.summary.done, run.summary.skipped) == ({Verb.ARCHIVE: 1}, 1)
    assert list(in_store(world)) == [file_name(1)]
    assert listed(world) == [session_id(2)]


# Nothing goes before its copy was read back.


@pytest.mark.parametrize("at", [20, -200, -5])
def test_pack_that_reads_back_otherwise_is_dropped_and_every_original_stays(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    world.add_many("complete", range(1, 6), OLD)
    before = in_store(world)
    when_written(monkeypatch, lambda fd: flip(fd, at % os.fstat(fd).st_size))
    answer = world.maint("sweep")
    assert (answer.code, answer.out) == (1, "")
    assert "could not be made to keep the pack (read back: " in answer.err
    assert in_store(world) == before
    assert (packs(world), unfinished(world), in_trash(world)) == ([], [], {})
    monkeypatch.undo()
    assert done(world) == {"archive": 5}


def test_pack_that_is_cut_off_before_it_is_read_back_is_dropped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add_many("complete", range(1, 4), OLD)
    before = in_store(world)
    when_written(monkeypatch, lambda fd: os.ftruncate(fd, os.fstat(fd).st_size - 1))
    run = world.sweep()
    assert (run.summary.done, run.summary.failed) == ({}, 3)
    assert (in_store(world), packs(world), unfinished(world)) == (before, [], [])


def of_several_packs(world: World) -> dict[str, bytes]:
    """Twelve old sessions, three or four of which fill a pack; what they hold."""
    world.rules(archive_pass(), "archive: {pack_size: 1MiB}\n")
    for number in range(1, 13):
        add_large(world, number, 140 << 10)
    return in_store(world)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("bad", [1, 2, 3, 4])
def test_pack_that_reads_back_otherwise_keeps_no_other_from_being_sealed(
    world: World, monkeypatch: pytest.MonkeyPatch, bad: int, jobs: int
) -> None:
    before = of_several_packs(world)
    written = itertools.count(1)
    when_written(monkeypatch, lambda fd: flip(fd) if next(written) == bad else None)
    run = world.sweep(jobs=jobs)
    monkeypatch.undo()
    assert next(written) == 5  # four were written
    stayed = in_store(world)
    assert run.summary.failed == len(stayed) > 0
    assert (run.summary.done, run.summary.lost) == ({Verb.ARCHIVE: 12 - len(stayed)}, 0)
    assert archived(world) | stayed == before
    assert (len(packs(world)), unfinished(world), in_trash(world)) == (3, [], {})
    assert done(world) == {"archive": len(stayed)}
    assert (archived(world), in_store(world)) == (before, {})


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("full", [1, 2, 3, 4])
def test_pack_that_cannot_be_finished_for_want_of_room_is_made_in_two(
    world: World, monkeypatch: pytest.MonkeyPatch, full: int, jobs: int
) -> None:
    before = of_several_packs(world)
    finished = itertools.count(1)
    real = PackWriter.finish

    def finish(writer: PackWriter, *more: Any) -> None:
        if next(finished) == full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(writer, *more)

    monkeypatch.setattr(PackWriter, "finish", finish)
    run = world.sweep(jobs=jobs)
    assert (run.summary.done, run.summary.failed, run.summary.lost) == ({Verb.ARCHIVE: 12}, 0, 0)
    assert (archived(world), in_store(world), unfinished(world)) == (before, {}, [])
    assert len(packs(world)) == 5


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("when", [1, 2, 3, 4])
def test_who_says_stop_gets_whole_packs_whose_originals_are_gone_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch, when: int, jobs: int
) -> None:
    before = of_several_packs(world)
    written = itertools.count(1)
    stopped: list[int] = []
    when_written(monkeypatch, lambda fd: stopped.append(fd) if next(written) == when else None)
    run = world.sweep(jobs=jobs, listener=Listener(stop=lambda: bool(stopped)))
    monkeypatch.undo()
    gone = archived(world)
    assert stopped
    assert (run.summary.failed, run.summary.lost) == (0, 0)
    assert run.summary.done.get(Verb.ARCHIVE, 0) == len(gone) < 12
    assert (in_store(world) | gone, in_store(world).keys() & gone.keys()) == (before, set())
    assert unfinished(world) == []
    done(world)
    assert (archived(world), in_store(world)) == (before, {})


@pytest.mark.parametrize("jobs", [1, 2])
def test_few_descriptors_are_enough(world: World, jobs: int) -> None:
    """Some systems allow a process 256, of which closing originals together could take all."""
    world.add_many("complete", range(1, 301), OLD)
    before = in_store(world)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(128, len(os.listdir("/proc/self/fd")) + 80), hard))
    try:
        run = world.sweep(jobs=jobs)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (run.summary.done, run.summary.failed, run.summary.lost) == ({Verb.ARCHIVE: 300}, 0, 0)
    assert (archived(world), in_store(world)) == (before, {})


def test_name_that_is_taken_by_another_pack_is_not_taken_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add_many("complete", range(1, 4), OLD)
    before = in_store(world)

    def take(fd: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{fd}"))
        path.with_name(path.name.replace(".new", ".tar.zst")).write_bytes(b"mine")

    when_written(monkeypatch, take)
    run = world.sweep()
    assert (run.summary.done, run.summary.failed) == ({}, 3)
    assert in_store(world) == before
    assert [pack.read_bytes() for pack in packs(world)] == [b"mine"]


# What becomes of the originals.


@pytest.mark.parametrize(
    ("originals", "there", "trashed"), [("remove", 0, 0), ("trash", 0, 3), ("keep", 3, 0)]
)
def test_originals_go_as_the_policy_says_and_a_second_sweep_does_nothing(
    world: World, originals: str, there: int, trashed: int
) -> None:
    world.rules(archive_pass(f"originals: {originals}"))
    world.add_many("complete", range(1, 4), OLD)
    before = in_store(world)
    assert done(world) == {"archive": 3}
    assert (len(in_store(world)), len(in_trash(world)), archived(world)) == (there, trashed, before)
    assert world.sweep().summary.planned == {}
    assert len(packs(world)) == 1


def test_kept_session_that_grew_is_packed_again_and_its_old_copy_superseded(world: World) -> None:
    world.rules(archive_pass("originals: keep"))
    world.add_many("complete", range(1, 4), OLD)
    assert done(world) == {"archive": 3}
    newer = world.add("complete", 2, OLD, name="called anew").read_bytes()
    assert done(world) == {"archive": 1}
    old, new = packs(world)
    assert contents(new) == {file_name(2): newer}
    assert (marks(old), marks(new)) == ({session_id(2): "superseded"}, {})
    assert sorted(listed(world)) == ids(1, 2, 3)
    assert world.sweep().summary.planned == {}


def test_two_different_recordings_of_one_id_are_both_kept(world: World) -> None:
    world.add("complete", 1, OLD)
    assert done(world) == {"archive": 1}
    world.add("complete", 1, OLD + 5)
    assert done(world) == {"archive": 1}
    assert (len(packs(world)), marks_of(world)) == (2, {})
    assert listed(world) == ids(1, 1)


# Packs.


@pytest.mark.parametrize("jobs", [1, 2])
def test_sessions_are_shared_out_to_packs_of_the_size_of_the_policy(world: World, jobs: int) -> None:
    world.rules(archive_pass(), "archive: {pack_size: 1MiB}\n")
    for number in range(1, 7):
        add_large(world, number, 300 << 10)
    before = in_store(world)
    assert done(world, jobs=jobs) == {"archive": 6}
    assert len(packs(world)) > 3
    assert archived(world) == before
    assert (in_store(world), unfinished(world)) == ({}, [])


@pytest.mark.parametrize("jobs", [1, 2])
def test_large_and_repetitive_sessions_go_the_whole_way(world: World, jobs: int) -> None:
    add_large(world, 1, 18 * MIB)  # repeats itself, beyond the window of a frame
    add_large(world, 2, 2 * MIB)
    world.add("complete", 3, OLD)
    assert (world.sessions / file_name(1)).stat().st_size > 17 * MIB
    before = in_store(world)
    run = world.sweep(jobs=jobs)
    assert (run.summary.done, run.summary.failed, run.summary.lost) == ({Verb.ARCHIVE: 3}, 0, 0)
    assert archived(world) == before
    assert packs(world)[0].stat().st_size < 4 * MIB
    answer = world.maint("restore", *ids(1, 2, 3))
    assert (answer.code, answer.err) == (0, "")
    assert in_store(world) == before


def test_summary_tells_the_bytes_before_after_and_freed(world: World) -> None:
    world.add_many("complete", range(1, 6), OLD)
    size = sum(map(len, in_store(world).values()))
    summary = world.sweep().summary
    packed = packs(world)[0].stat().st_size
    assert (summary.bytes_archived, summary.bytes_packed) == (size, packed)
    assert (summary.bytes_freed, summary.bytes_trashed) == (size - packed, 0)


def test_trashed_originals_free_nothing_yet(world: World) -> None:
    world.rules(archive_pass("originals: trash"))
    world.add_many("complete", range(1, 6), OLD)
    size = sum(map(len, in_store(world).values()))
    summary = world.sweep().summary
    assert (summary.bytes_freed, summary.bytes_trashed) == (-packs(world)[0].stat().st_size, size)
