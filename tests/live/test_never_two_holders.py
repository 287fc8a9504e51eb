"""Several sweeps at once, of which leaders and workers are stopped and killed at any moment: one at a time works."""

import os
import random
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from archive_world import archive_pass
from children import Others, Running, nothing
from maint_world import EVERYTHING, World
from oracle import Oracle
from reachable import lost, recorded
from tried import LONG, Tally, at_most
from witness import ACT, IN, Witness

from maint import worker
from store import syscalls
from store.layouts.rec.specimens import session_id
from store.locks import StoreLock

ROUNDS = at_most(4, 400) or 400
MOMENT = 30.0
"""Seconds that an orphan may take to end; the kernel kills it at once, but processors are busy."""


def filled(folder: Path, dice: random.Random) -> World:
    """Sessions that crashed, with nothing in them, or for a pack: enough of them for several workers."""
    world = World(folder)
    world.rules(EVERYTHING + archive_pass(), "limits: {max_removed: unlimited}\n")
    for kind, days in (("crashed", 3.0), ("empty", 3.0), ("complete", 40.0)):
        first = dice.randrange(10_000) * 1000
        made = world.add(kind, first, days).read_bytes()
        for number in range(first + 1, first + 150):
            id_ = session_id(number)
            world.put(f"{id_}.ndjson", made.replace(session_id(first).encode(), id_.encode()), days)
    return world


def meddled(running: list[Running], dice: random.Random, moment: float) -> int:
    """Stop and kill leaders and workers at random moments; how many orphans went on for more than a moment."""
    going = list(running)
    outlived = 0
    while going:
        one = dice.choice(going)
        if one.ended(dice.uniform(0, 0.15)):
            going.remove(one)
            continue
        workers = one.workers
        match dice.choice(("leave", "leave", "leader", "worker", "stop", "worker stop")):
            case "leader":
                orphans = Others(workers)
                one.send(signal.SIGKILL)
                outlived += not orphans.end(moment)
                going.remove(one)
            case "worker" if workers:
                _kill(dice.choice(workers), signal.SIGKILL)
            case "stop":
                one.send(signal.SIGSTOP)
                for other in going:
                    other.ended(0.01)  # the others come meanwhile
                one.send(signal.SIGCONT)
            case "worker stop" if workers:
                victim = dice.choice(workers)
                _kill(victim, signal.SIGSTOP)
                one.ended(0.02)
                _kill(victim, signal.SIGCONT)
            case _:
                pass
    return outlived


def _kill(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def wrong(
    folder: Path, seed: int, plant: Callable[[], None] = nothing, *, most: int = 8, moment: float = MOMENT
) -> tuple[list[str], Witness]:
    """What is wrong after a round of two to so many sweeps at once, and one more sweep; and who saw it."""
    dice = random.Random(seed)
    world = filled(folder, dice)
    wanted = {
        ("sessions", path.name): recorded(path.read_bytes()) for path in world.sessions.glob("*.ndjson")
    }
    witness = Witness(folder / "witness")

    def first() -> None:
        witness.watch()
        plant()

    with ExitStack() as stack:
        running = [
            stack.enter_context(
                Running(
                    world, "sweep", "--jobs", "2", "--wait", dice.choice(("1s", "60s", "60s")), first=first
                )
            )
            for _ in range(dice.randint(2, most))
        ]
        found = [f"{outlived} orphans went on"] if (outlived := meddled(running, dice, moment)) else []
        for each in running:
            answer = each.answer()
            # Where two workers die over one action, that is told, and the next sweep does it.
            told = answer.code == 1 and "ended by SIGKILL" in answer.err
            if (answer.code not in {0, 75, -signal.SIGKILL} and not told) or "Traceback" in answer.err:
                found.append(f"one ended with {answer.code}: {answer.err}")
    last = world.maint("sweep", "--wait", "60s")
    if last.code or last.err:
        found.append(f"the last sweep ended with {last.code}: {last.err}")
    if intruders := witness.intruders():
        found.append(f"{len(intruders)} moves of those who had been followed by others")
    if gone := lost(Oracle({"sessions": world.sessions}), wanted):
        found.append(f"{len(gone)} of {len(wanted)} sessions are lost")
    if left := world.waiting("tmp"):
        found.append(f"left over: {left}")
    return found, witness


def test_sweeps_at_once_have_one_holder_at_a_time_whoever_dies(tmp_path: Path, tally: Tally) -> None:
    found: dict[int, list[str]] = {}
    let_in = moves = 0
    for seed in range(ROUNDS):
        folder = tmp_path / str(seed)
        why, witness = wrong(folder, seed)
        let_in, moves = let_in + witness.times(IN), moves + witness.times(ACT)
        if why:
            found[seed] = why
    tally("sweeps at once", "rounds", ROUNDS, wrong=len(found))
    tally("sweeps at once", "holders one after the other", let_in, wrong=len(found))
    tally("sweeps at once", "moves of files", moves, wrong=len(found))
    assert not found, found
    assert let_in > ROUNDS


# Planted bugs.


def lock_of_everybody() -> None:
    """The lock is given to whoever asks."""
    real = StoreLock._try

    def trying(lock: StoreLock) -> bool:
        if not real(lock):
            lock._fds.append(os.open(os.devnull, os.O_RDONLY))
        return True

    StoreLock._try = trying  # type: ignore[assignment,method-assign]


def workers_without_lock() -> None:
    """Workers do not hold the store's lock, nor end with their leader."""
    real = worker._serve

    def serve(pipe: Connection, *more: Any) -> None:
        for entry in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/self/fd/{entry}").endswith((".maint/lock", "rec/sessions")):
                    os.close(int(entry))
        real(pipe, *more)

    syscalls.die_with_parent = lambda _=None: None  # type: ignore[assignment]
    worker._serve = serve  # type: ignore[assignment]


def workers_for_themselves() -> None:
    """Workers do not end with their leader."""
    syscalls.die_with_parent = lambda _=None: None  # type: ignore[assignment]
    worker._serve = _serve_for_ever  # type: ignore[assignment]


def _serve_for_ever(pipe: Connection, *_: object) -> None:
    pipe.poll(None)
    while True:
        signal.pause()


PLANTS = [lock_of_everybody, workers_for_themselves, *([workers_without_lock] if LONG else [])]
"""The last one shows only if a leader dies while his workers move files and the next one comes in: that is rare."""


@pytest.mark.parametrize("plant", PLANTS)
def test_planted_second_holder_is_seen(plant: Callable[[], None], tmp_path: Path, tally: Tally) -> None:
    found: list[str] = []
    for seed in range(400):  # whether two meet is chance
        found, _ = wrong(tmp_path / str(seed), seed, plant, most=3, moment=0.5)
        if found:
            break
    tally("planted bugs in sweeps at once", str(plant.__doc__), 1, wrong=not found)
    assert found
