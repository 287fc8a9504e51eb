"""While one pack is filled the one before it is handed over: what fails then is told as what it is, and loses nothing."""

import errno
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from archive_world import OLD, add_large, archive_pass, archived, in_store, in_trash, packs, unfinished
from maint_world import World
from many_files_world import ManyFiles, Opendev, Outrig

from maint import checking, filling
from maint.actions import Outcome, Verb
from maint.journal import Journal, SealedLine
from maint.loading import Check, Loader
from maint.run import Listener
from store import durable, manifest
from store.packs import PackWriter, Verdict

KIB, MIB = 1 << 10, 1 << 20


def a_store(folder: Path, sessions: int = 4, size: int = 300 * KIB) -> World:
    """Sessions of which each takes a pack of its own, so that one is filled beside the other."""
    world = World(folder)
    world.rules(archive_pass(), "archive: {pack_size: 1MiB}\n")
    for number in range(1, sessions + 1):
        add_large(world, number, size)
    return world


def half_a_line(journal: Journal, data: bytes) -> None:
    os.write(journal._fd, data[: len(data) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def written_but_not_kept(journal: Journal, data: bytes) -> None:
    os.write(journal._fd, data)
    raise durable.Poisoned(errno.EIO, os.strerror(errno.EIO), ".maint/journal")


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("fails", [half_a_line, written_but_not_kept])
def test_journal_that_cannot_tell_of_a_pack_ends_the_run_and_the_next_one_settles_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, fails: object
) -> None:
    world = a_store(tmp_path)
    treasure = in_store(world)
    write_all = durable.write_all

    def failing(fd: int, data: bytes) -> None:
        if bytes(data).startswith(b'{"type":"sealed"'):
            journal = Journal.__new__(Journal)
            journal._fd = fd
            fails(journal, bytes(data))  # type: ignore[operator]
        write_all(fd, data)

    monkeypatch.setattr("maint.journal.durable.write_all", failing)
    told: list[Outcome] = []
    run = world.sweep(jobs=jobs, listener=Listener(outcome=told.append))
    monkeypatch.undo()
    assert told == []
    assert [each.why.partition(":")[0] for each in run.unreachable] != []
    assert "what was begun is seen to by the next run" in run.unreachable[0].why
    assert unfinished(world) == []
    assert in_store(world) == treasure
    (journal,) = (world.ours / "journal").iterdir()
    assert b'"type":"end"' not in journal.read_bytes()

    assert world.sweep(jobs=jobs).summary.failed == 0
    assert {**archived(world), **in_store(world)} == treasure
    assert in_store(world) == {}
    assert unfinished(world) == []


def test_journal_that_failed_once_takes_no_more_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_store(tmp_path, 1)
    sealed = Journal.sealed
    asked: list[OSError] = []

    def failing(journal: Journal, line: SealedLine) -> None:
        monkeypatch.setattr("maint.journal.durable.write_all", lambda _, data: half_a_line(journal, data))
        with pytest.raises(OSError, match="No space left"):
            sealed(journal, line)
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space left") as again:
            journal.outcomes([])
        asked.append(again.value)
        raise again.value

    monkeypatch.setattr(Journal, "sealed", failing)
    assert world.sweep().unreachable
    assert len(asked) == 1


@pytest.mark.parametrize("kind", [Opendev, Outrig])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_worker_killed_between_two_files_of_a_session_leaves_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[ManyFiles], nth: int
) -> None:
    world = kind(tmp_path / "world", float(int(time.time())))
    world.rules(archive_pass())
    treasure = world.everything()
    ends, leader, unlink = tmp_path / "ends", os.getpid(), os.unlink
    ends.touch()

    def deadly(path: str, *, dir_fd: int | None = None) -> None:
        if os.getpid() != leader and dir_fd is not None:
            where = os.readlink(f"/proc/self/fd/{dir_fd}")
            if "/.maint/trash/" in where:
                with ends.open("ab") as file:
                    file.write(b"x")
                if ends.stat().st_size == nth + 1:
                    os.kill(os.getpid(), signal.SIGKILL)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", deadly)
    run = world.sweep(jobs=2)
    monkeypatch.undo()
    assert ends.stat().st_size > nth
    assert run.summary.done.total() == sum(run.summary.planned.values())
    assert (world.wrong(), world.missing(treasure)) == (None, [])
    assert world.maint("restore", "*").code == 0
    assert (world.wrong(), world.missing(treasure)) == (None, [])


def test_what_a_dead_worker_had_is_done_again_though_somebody_said_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_store(tmp_path / "world")
    died, leader, unlink = tmp_path / "died", os.getpid(), os.unlink

    def deadly(path: str, *, dir_fd: int | None = None) -> None:
        if os.getpid() != leader and str(path).endswith(".ndjson") and not died.exists():
            died.touch()
            time.sleep(0.2)  # so that the stop is heard first
            os.kill(os.getpid(), signal.SIGKILL)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", deadly)
    told: list[Outcome] = []
    world.sweep(jobs=2, listener=Listener(outcome=told.append, stop=died.exists))
    monkeypatch.undo()
    packed = {Path(name).stem for name in archived(world)}
    assert packed
    assert {each.session for each in told if each.verb is Verb.ARCHIVE} == packed
    assert packed.isdisjoint(Path(name).stem for name in in_store(world))
    assert {Path(name).stem for name in in_trash(world)} <= packed


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(("size", "sector"), [(40 * MIB, 20 * MIB), (300 * KIB, 0)])
def test_sector_that_cannot_be_read_leaves_out_its_session_alone_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, size: int, sector: int
) -> None:
    world = World(tmp_path)
    world.rules(archive_pass())
    large = add_large(world, 1, size)
    for number in range(20, 30):
        world.add("complete", number, OLD)
    bad, pread = large.stat().st_ino, os.pread

    def rotten(fd: int, size: int, at: int) -> bytes:
        if at >= sector and os.fstat(fd).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(fd, size, at)

    told: list[Outcome] = []
    listener = Listener(outcome=told.append, planned=lambda _: monkeypatch.setattr(os, "pread", rotten))
    world.sweep(jobs=jobs, listener=listener)
    monkeypatch.undo()
    assert Counter((str(each.result), each.detail) for each in told) == {
        ("done", ""): 10,
        ("failed", "input/output error"): 1,
    }
    assert list(in_store(world)) == [large.name]
    assert unfinished(world) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_why_a_pack_was_refused_is_the_first_thing_that_was_wrong_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(checking, "_CHECK_BYTES", 1)
    monkeypatch.setattr(filling, "_TASK_BYTES", 1)
    world = a_store(tmp_path, 16, 60 * KIB)
    finish, check = PackWriter.finish, Loader._check

    def flipped(writer: PackWriter, head: manifest.Head, lines: list[bytes]) -> None:
        finish(writer, head, lines)
        if writer.name.endswith("-0000.tar.zst"):
            (was,) = os.pread(writer.fd, 1, 100)
            os.pwrite(writer.fd, bytes([was ^ 1]), 100)

    def slow(loader: Loader, job: Check) -> Verdict:
        time.sleep(0.05 * (job.offset + 1))
        return check(loader, job)

    monkeypatch.setattr(PackWriter, "finish", flipped)
    monkeypatch.setattr(Loader, "_check", slow)
    told: list[Outcome] = []
    world.sweep(jobs=jobs, listener=Listener(outcome=told.append))
    assert {each.detail for each in told if each.detail} == {
        "the disk could not be made to keep the pack (read back: frame 0 is not what was written); the session stays"
    }
    assert unfinished(world) == []
    assert packs(world)
    (journal,) = (world.ours / "journal").iterdir()
    assert json.loads(journal.read_bytes().splitlines()[-1])["type"] == "end"
