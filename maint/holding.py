"""Taking stores to work on: opened, locked, introduced to strangers, and rid of what killed runs left half done."""

import time
from collections.abc import Callable
from contextlib import ExitStack

import msgspec

from maint import settle
from maint.actions import Outcome
from maint.owner import as_owner, as_owner_of
from maint.reaching import describe, open_roots
from maint.run import Busy, Run, Unreachable
from store import durable, names, targets
from store.facts import Place
from store.locks import StoreLock, holder
from store.roots import RootFds

_ASK_AFTER = 0.2
"""Seconds of waiting for a store after which it is asked whether that is still wanted."""


class Held(msgspec.Struct, frozen=True):
    """A store that this process holds the lock of."""

    place: Place
    roots: RootFds
    lock: StoreLock


def hold(
    stack: ExitStack, run: Run, places: list[Place], wait: float, stop: Callable[[], bool]
) -> list[Held]:
    """Open and lock the stores that can be had; what cannot is noted in the run."""
    held: list[Held] = []
    for place in places:
        try:
            with as_owner(place.path):
                roots = stack.enter_context(open_roots(place))
                lock = StoreLock(roots[roots.first])
                if _acquire(lock, wait, stop):
                    stack.callback(_release, lock, roots)
                    _introduce(roots)
                    targets.record(place, roots)
                    held.append(Held(place, roots, lock))
                else:
                    run.busy.append(Busy(place, holder(roots[roots.first]), lock.note_skip()))
        except OSError as error:
            run.unreachable.append(Unreachable(place, describe(error)))
    return held


def _release(lock: StoreLock, roots: RootFds) -> None:
    with as_owner_of(roots):
        lock.release()


def _acquire(lock: StoreLock, wait: float, stop: Callable[[], bool]) -> bool:
    """Take the lock, waiting for as long as that is wanted and nobody says stop."""
    deadline = time.monotonic() + wait
    while not lock.acquire(max(0.0, min(deadline - time.monotonic(), _ASK_AFTER))):
        if stop() or time.monotonic() >= deadline:
            return False
    return True


def settle_store(run: Run, store: Held) -> list[Outcome]:
    """See to what earlier runs left half done; what was done."""
    settled, problems = settle.settle(store.roots, store.place, run.id)
    run.summary.problems += problems
    return settled


def _introduce(roots: RootFds) -> None:
    """Leave word for strangers in our folder."""
    try:
        durable.write_new(roots[roots.first], names.README, names.README_TEXT.encode(), 0o644)
    except FileExistsError:
        return
