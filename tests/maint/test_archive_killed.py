"""A run of the archive killed at each of its calls that change something: after one more sweep all is in order.

Where the sessions are is asked of `zstd` and of Python's tar, and what the program says of it compared with that.
"""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from archive_world import (
    OLD,
    add_large,
    archive_pass,
    archived,
    archiving,
    in_store,
    in_trash,
    listed,
    marks,
    marks_of,
    packs,
    unfinished,
)
from kill_points import SURVIVED, changes, telling, traced
from maint_world import DAY, World
from tried import Tally, every

from maint import interface
from maint.run import Listener

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None or shutil.which("zstd") is None,
    reason="there is no strace to kill it with, or no zstd to look into packs",
)
EXPIRES = "  - prune: {of: archived, older_than: 1y}\n"


@dataclass(frozen=True)
class Story:
    """A store, what is run in it, and of how many of its calls one is tried.

    ``gone`` are sessions that may be in the trash alone, because they have expired.
    """

    build: Callable[[Path], World]
    arguments: Callable[[World], list[str]]
    step: int = 1


def sweep(_: World) -> list[str]:
    return ["sweep", "--jobs", "1"]


def some_sessions(folder: Path, *more: str) -> World:
    world = archiving(folder, *more)
    world.add_many("complete", range(1, 5), OLD)
    world.add("complete", 9, days=3)
    return world


def once_more(folder: Path) -> World:
    """A store with a pack, and more to come, one of which is a later state of a session in that pack."""
    world = some_sessions(folder, "originals: keep")
    assert world.maint("sweep").code == 0
    world.rules(archive_pass())
    world.add("complete", 1, OLD, name="called anew")
    world.add_many("complete", range(5, 7), OLD)
    return world


def in_several_packs(folder: Path) -> World:
    world = archiving(folder)
    world.rules(archive_pass(), "archive: {pack_size: 1MiB}\n")
    for number in range(1, 5):
        add_large(world, number, 300 << 10)
    return world


def archived_before(folder: Path) -> World:
    world = some_sessions(folder)
    assert world.maint("sweep").code == 0
    return world


def expiring(folder: Path) -> World:
    """A pack, made yesterday, in which two of four sessions are to expire."""
    world = archiving(folder)
    world.add_many("complete", range(1, 3), OLD)
    world.add_many("complete", range(3, 5), 500)
    assert world.maint("sweep").code == 0
    world.rules(archive_pass() + EXPIRES)
    world.ahead += DAY
    return world


def compacting(folder: Path) -> World:
    """The same, a day after they have expired."""
    world = expiring(folder)
    assert world.maint("sweep").code == 0
    assert sorted(marks(packs(world)[0]).values()) == ["expired", "expired"]
    world.ahead += DAY
    return world


STORIES = {
    "archive": Story(some_sessions, sweep),
    "archive into the trash": Story(
        lambda folder: some_sessions(folder, "originals: trash"), sweep, every(4)
    ),
    "archive and keep": Story(lambda folder: some_sessions(folder, "originals: keep"), sweep, every(3)),
    "archive once more": Story(once_more, sweep, every(4)),
    "archive in several packs": Story(in_several_packs, sweep, every(6)),
    "undo": Story(archived_before, lambda world: ["undo", world.journals()[0]]),
    "restore": Story(archived_before, lambda _: ["restore", "*"]),
    "expire": Story(expiring, sweep),
    "compact": Story(compacting, sweep, every(2)),
}


@pytest.mark.parametrize("story", STORIES)
def test_archive_killed_at_any_call_loses_nothing(story: str, tmp_path: Path, tally: Tally) -> None:
    told = STORIES[story]
    world = told.build(tmp_path / "counted")
    all_points = changes(world, told.arguments(world), tmp_path)
    points = telling(all_points)[:: told.step]
    found: Counter[str | None] = Counter()
    for call, number in points:
        world = told.build(tmp_path / f"{call}-{number}")
        why = killed_at(world, told.arguments(world), call, number)
        found[why if why in {None, SURVIVED} else f"{call} {number}: {why}"] += 1
        shutil.rmtree(world.folder)
    survived = found.pop(SURVIVED, 0)  # some calls are only made the first time, or only sometimes
    tally(
        "killed", f"rec: {story}", found.total(), there_are=len(all_points), wrong=found.total() - found[None]
    )
    assert set(found) == {None}, "\n".join(map(str, found))
    assert survived <= len(points) // 10
    assert found[None] > 10


def killed_at(world: World, arguments: list[str], call: str, number: int) -> str | None:
    """What is wrong after a run that was killed there, and one more sweep; ``None`` if nothing is."""
    treasure = all_there(world)
    quiet = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
    status = traced(world, arguments, quiet)
    if not os.WIFSIGNALED(status):
        return SURVIVED if status == 0 else f"it ended with {os.waitstatus_to_exitcode(status)}"
    if lost := missing(world, treasure):
        return f"lost at once: {lost}"
    # Workers of a leader that was killed hold the store until they are gone: on a busy machine for a moment.
    after = world.maint("sweep", "--wait", "30s")
    if after.code or after.out or after.err:
        return f"the next sweep: {after}"
    if lost := missing(world, treasure):
        return f"lost after the next sweep: {lost}"
    if unfinished(world):
        return f"left over: {unfinished(world)}"
    told = set(listed(world)) | {name.removesuffix(".ndjson") for name in in_store(world) | in_trash(world)}
    expired = {id_ for id_, why in marks_of(world).items() if why == "expired"}
    if unknown := {name.removesuffix(".ndjson") for name in treasure} - told - expired:
        return f"not spoken of: {unknown}"
    for path in world.ours.rglob("*.marks"):
        world.age(path, -world.ahead / DAY)  # the disk has another clock than the program, if that is ahead
    again = world.maint("sweep", "--json")
    if again.code or again.summary["planned"]:
        return f"the sweep after the next: {again.lines[1:]}"
    if not world.is_free():
        return "the store is still locked"
    return None


def all_there(world: World) -> dict[str, bytes]:
    """Every session by the name of its file, wherever it is: in the store it counts most, in a pack least."""
    return archived(world) | in_trash(world) | in_store(world)


def missing(world: World, treasure: dict[str, bytes]) -> list[str]:
    """Sessions that are neither in the store, as they were, nor in the trash, nor in a pack or in a trashed one."""
    places = [in_store(world), in_trash(world), archived(world)]
    places += [archived(world, folder) for folder in (world.ours / "trash").glob("*/archive")]
    return [
        name for name, content in treasure.items() if not any(place.get(name) == content for place in places)
    ]


def test_harness_finds_a_planted_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = some_sessions(tmp_path / "counted")
    points = [point for point in changes(world, sweep(world), tmp_path) if point[0] == "renameat2"]
    real = os.posix_fadvise
    told = set()
    for call, number in points:
        world = some_sessions(tmp_path / str(number))
        path = min(world.sessions.glob("*.ndjson"))

        def careless(fd: int, *more: int, path: Path = path) -> None:
            """Let an original go when its pack is written, and not when that was read back and has its name."""
            path.unlink()
            real(fd, *more)

        monkeypatch.setattr(os, "posix_fadvise", careless)
        told.add(killed_at(world, sweep(world), call, number))
        monkeypatch.setattr(os, "posix_fadvise", real)
    assert f"lost at once: {[path.name]}" in told


# What may happen to a part of a run.


def test_interrupted_run_leaves_nothing_half_done_and_the_next_goes_on(tmp_path: Path) -> None:
    world = in_several_packs(tmp_path / "counted")
    points = changes(world, ["sweep", "--jobs", "1"], tmp_path)[:: every(16)]
    stopped = 0
    for call, number in points:
        world = in_several_packs(tmp_path / f"{call}-{number}")
        treasure = all_there(world)
        quiet = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal=INT:when={number}"]
        status = traced(world, ["sweep", "--jobs", "1"], quiet)
        assert os.waitstatus_to_exitcode(status) in {0, 130}
        assert missing(world, treasure) == []
        assert unfinished(world) == []
        doubled = set(archived(world)) & set(in_store(world))
        assert (len(packs(world)), doubled) == (len(archived(world)), set())
        stopped += bool(in_store(world))
        answer = world.maint("sweep")
        assert (answer.code, answer.out, answer.err) == (0, "", "")
        assert (archived(world), in_store(world)) == (treasure, {})
        shutil.rmtree(world.folder)
    assert stopped > len(points) // 3


@pytest.mark.parametrize("when", ["packed", "gone"])
def test_killed_workers_lose_no_session_and_no_pack(tmp_path: Path, when: str) -> None:
    world = in_several_packs(tmp_path)
    world.add_many("complete", range(20, 600), OLD)
    add_large(world, 10, 40 << 20)
    treasure = all_there(world)
    kill = Killing(2)
    told = Listener(read=kill) if when == "packed" else Listener(outcome=kill)
    run = world.sweep(jobs=2, listener=told)
    assert (kill.killed > 0, missing(world, treasure), unfinished(world)) == (True, [], [])
    counted = run.summary.done.total() + run.summary.lost + run.summary.failed
    assert (counted, run.summary.skipped) == (len(treasure), 0)
    answer = world.maint("sweep", "--jobs", "2")
    assert (answer.code, answer.err) == (0, "")
    assert (archived(world), in_store(world)) == (treasure, {})
    assert marks_of(world) == {}
    assert len(listed(world)) == len(treasure)


def test_killed_workers_bring_everything_back_all_the_same(tmp_path: Path) -> None:
    world = in_several_packs(tmp_path)
    for number in (10, 11, 12):
        add_large(world, number, 40 << 20)
    treasure = all_there(world)
    assert world.maint("sweep").code == 0
    kill = Killing(3)
    run = interface.restore_all([], [world.place], jobs=2, listener=Listener(read=kill, outcome=kill))
    assert (kill.killed > 0, run.summary.failed, run.summary.skipped) == (True, 0, 0)
    assert run.summary.done.total() + run.summary.lost == len(treasure)
    if run.summary.lost:
        assert world.maint("restore", "*").code in {0, 1}
    assert (in_store(world), unfinished(world)) == (treasure, [])


class Killing:
    """Kills all workers each time when it hears of something, for so many times."""

    def __init__(self, times: int) -> None:
        self._times = times
        self.killed = 0

    def __call__(self, *_: object) -> None:
        if self._times:
            workers = psutil.Process().children()
            for worker in workers:
                os.kill(worker.pid, signal.SIGKILL)
            self.killed += len(workers)
            self._times -= bool(workers)
