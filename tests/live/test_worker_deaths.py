"""A worker that ends in whatever way, or hangs, at its work or between two tasks: nothing is lost, and nobody waits for ever."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from children import LONGEST, Others, Running
from deaths import WAYS, Death, hung, killed, out_of_memory, raised
from maint_world import World
from oracle import Oracle
from reachable import lost, recorded
from tried import LONG, Tally
from witness import Witness

from maint.worker import Worker
from maint.workers import Crew
from store.layouts.rec.specimens import session_id

SESSIONS = 250
"""Two tasks: one for each worker."""


def filled(folder: Path) -> World:
    world = World(folder)
    world.rules(rest="limits: {max_removed: unlimited}\n")
    made = world.add("crashed", 1).read_bytes()
    for number in range(1, SESSIONS + 1):
        world.put(
            f"{session_id(number)}.ndjson", made.replace(session_id(1).encode(), session_id(number).encode())
        )
    return world


def sweeping(world: World, death: Death) -> Running:
    return Running(world, "sweep", "--jobs", "2", first=death.plant)


def until(running: Running, marker: Path) -> None:
    """Wait until something has begun."""
    deadline = time.monotonic() + LONGEST
    while not marker.exists():
        assert not running.ended(0.005), running.told()
        assert time.monotonic() < deadline, running.told()


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def hanging(running: Running, death: Death) -> int:
    """The worker that hangs, once it does."""
    until(running, death.marker)
    while not (text := death.marker.read_text()) or not stopped(int(text)):
        assert not running.ended(0.005), running.told()
    return int(text)


def wrong_after(world: World, wanted: dict[tuple[str, str], frozenset[bytes]]) -> list[str]:
    """What is wrong after one more sweep."""
    last = world.maint("sweep", "--wait", "60s")
    found = [f"the last sweep ended with {last.code}: {last.err}"] if last.code or last.err else []
    found += [f"lost: {key}" for key in lost(Oracle({"sessions": world.sessions}), wanted)]
    crashed = [
        path.name for path in world.sessions.glob("*.ndjson") if b'"recovered":true' not in path.read_bytes()
    ]
    found += [f"left as they were: {crashed}"] if crashed else []
    found += [f"left over: {left}"] if (left := world.waiting("tmp")) else []
    return found


def all_of(world: World) -> dict[tuple[str, str], frozenset[bytes]]:
    return {("sessions", path.name): recorded(path.read_bytes()) for path in world.sessions.glob("*.ndjson")}


WHEN = [(way, True) for way in WAYS] + [
    (way, False) for way in (WAYS if LONG else (killed, hung)) if way is not raised
]


@pytest.mark.parametrize(("way", "busy"), WHEN, ids=[f"{way.__name__}-{busy=}" for way, busy in WHEN])
def test_worker_that_ends_in_any_way_costs_nothing(
    way: Callable[[], None], busy: bool, tmp_path: Path, tally: Tally
) -> None:
    world = filled(tmp_path)
    wanted = all_of(world)
    death = Death(way, tmp_path / "marker", busy=busy)
    with sweeping(world, death) as running:
        if way is hung and busy:
            os.kill(hanging(running, death), signal.SIGCONT)
        answer = running.answer()
        assert death.marker.exists()
        done = world.maint("log", "--json").lines[-1]["done"]
    found = wrong_after(world, wanted)
    if way is not out_of_memory and (answer.code, answer.err, done) != (0, "", {"recover": SESSIONS}):
        found.append(f"it ended with {answer.code}: {answer.err}, {done}")
    if way is out_of_memory and (answer.err == "") != (done == {"recover": SESSIONS}):
        # What could not be done is told, and the next sweep does it.
        found.append(f"it said {answer.err!r}, and has done {done}")
    tally("deaths of workers", "busy" if busy else "idle", 1, wrong=len(found))
    assert not found, found


@pytest.mark.parametrize(
    ("signals", "code"),
    [((signal.SIGTERM, signal.SIGTERM), 128 + signal.SIGTERM), ((signal.SIGKILL,), -signal.SIGKILL)],
    ids=["told to stop twice", "killed"],
)
def test_leader_whose_worker_hangs_can_be_ended_and_takes_it_along(
    signals: tuple[signal.Signals, ...], code: int, tmp_path: Path, tally: Tally
) -> None:
    world = filled(tmp_path)
    wanted = all_of(world)
    death = Death(hung, tmp_path / "marker", busy=True)
    with sweeping(world, death) as running:
        worker = Others([hanging(running, death)])
        for number in signals:
            running.send(number)
            running.ended(0.2)  # two signals of one kind that come at once are one
        answer = running.answer()
        outlived = not worker.end(LONGEST)
    found = wrong_after(world, wanted)
    tally("deaths of workers", "hung, and its leader ended", 1, wrong=len(found) + outlived)
    assert (answer.code, outlived, found) == (code, False, [])


def test_leader_that_is_stopped_keeps_its_store_and_goes_on(tmp_path: Path, tally: Tally) -> None:
    world = filled(tmp_path / "world")
    wanted = all_of(world)
    witness = Witness(tmp_path / "witness")
    with Running(world, "sweep", "--jobs", "2", first=witness.watch) as running:
        until(running, world.ours / "backup")  # it is at work
        running.send(signal.SIGSTOP)
        with Running(world, "sweep", first=witness.watch) as other:
            refused = other.answer()
        running.send(signal.SIGCONT)
        answer = running.answer()
    found = wrong_after(world, wanted)
    tally("deaths of workers", "the leader stopped", 1, wrong=len(found))
    assert (refused.code, answer.code, answer.err, found) == (75, 0, "", [])
    assert (witness.intruders(), witness.times("in")) == ([], 1)


def test_planted_crew_that_forgets_the_task_of_the_dead_is_found(
    tmp_path: Path, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bury(
        crew: Crew[object, object], worker: Worker, order: deque[tuple[int, ...]], *_more: object
    ) -> None:
        crew._workers.remove(worker)
        assert worker.key is not None
        order.remove(worker.key)
        worker.end()

    monkeypatch.setattr(Crew, "_bury", bury)
    world = filled(tmp_path)
    with sweeping(world, Death(killed, tmp_path / "marker", busy=True)) as running:
        answer = running.answer()
        done = world.maint("log", "--json").lines[-1]["done"]
    tally("planted bugs in deaths of workers", "the task of the dead is forgotten", 1)
    assert (answer.code, done) != (0, {"recover": SESSIONS})
