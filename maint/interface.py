"""The Python interface: a handful of functions over whole stores.

    from maint import load, places, plan, sweep

    policy = load("policy.yaml")
    run = sweep(policy, places(policy))
    print(run.summary.done)

Times are seconds since the epoch; ``None`` for ``now`` or ``at`` is the present.
"""

import os
import time
from collections.abc import Iterator

from maint import journal, undoing
from maint.actions import Action
from maint.engine import carry_out_actions, default_jobs, only_plan
from maint.engine import sweep as engine_sweep
from maint.execute import open_roots
from maint.finding import NotFound, find_trashed, id_of
from maint.run import Listener, Run
from maint.saved import SavedPlan
from policies import Policy
from store import change
from store.facts import Place


def plan(
    policy: Policy,
    stores: list[Place],
    *,
    at: float | None = None,
    jobs: int | None = None,
    expire: bool = True,
    listener: Listener | None = None,
) -> Run:
    """What a sweep would do at that moment; changes nothing. Its ``plan`` has the actions with their reasons."""
    return only_plan(
        policy,
        stores,
        at=at,
        jobs=jobs or default_jobs(),
        expire=expire,
        listener=listener or Listener(),
    )


def sweep(
    policy: Policy,
    stores: list[Place],
    *,
    jobs: int | None = None,
    expire: bool = True,
    wait: float = 0.0,
    listener: Listener | None = None,
) -> Run:
    """One whole run: survey, plan, apply. ``wait`` is how many seconds to wait for a busy store."""
    return engine_sweep(
        policy,
        stores,
        now=time.time(),
        jobs=jobs or default_jobs(),
        expire=expire,
        wait=wait,
        listener=listener or Listener(),
    )


def apply(
    saved: SavedPlan, *, jobs: int | None = None, wait: float = 0.0, listener: Listener | None = None
) -> Run:
    """Carry out a saved plan, as far as its files still are what they were."""
    work = [(place, saved.actions(name)) for name, place in saved.places.items()]
    return carry_out_actions(
        "apply",
        saved.head.run,
        work,
        jobs=jobs or default_jobs(),
        wait=wait,
        listener=listener or Listener(),
    )


def undo(
    run: str, stores: list[Place], *, wait: float = 0.0, listener: Listener | None = None
) -> tuple[Run, list[str]]:
    """Take a run back in all stores that know it; what cannot be taken back is named.

    Raises `NotFound` when none of them knows the run, OSError when a store cannot be read.
    """
    work = []
    impossible: list[str] = []
    for place in stores:
        with open_roots(place) as roots:
            undone = undoing.undo_of(roots, place, run)
        if undone is not None:
            work.append((place, undone.actions))
            impossible += undone.impossible
    if not work:
        raise NotFound(f"no store has a run {run!r}; `maint log` lists them")
    done = carry_out_actions("undo", run, work, jobs=1, wait=wait, listener=listener or Listener())
    return done, impossible


def restore(
    sessions: list[str], stores: list[Place], *, wait: float = 0.0, listener: Listener | None = None
) -> Run:
    """Bring sessions back from the trash to their places, never over anything.

    Raises `NotFound` and `Ambiguous`.
    """
    work: dict[str, tuple[Place, list[Action]]] = {}
    for session in sessions:
        place, kept = find_trashed(session, stores)
        if kept.backup:
            raise NotFound(
                f"{session}: what waits is the old self of a recovered session: take its run back with "
                f"`maint undo {kept.run}`, or copy it out with --to"
            )
        action = undoing.restoring(place, kept, id_of(place, kept), "brought back by hand")
        work.setdefault(place.name, (place, []))[1].append(action)
    return carry_out_actions(
        "restore", None, list(work.values()), jobs=1, wait=wait, listener=listener or Listener()
    )


def copy_out(session: str, stores: list[Place], folder: str) -> str:
    """Copy a session from the trash or the backups to a folder, byte for byte; the path it has there."""
    place, kept = find_trashed(session, stores)
    name = os.path.basename(kept.path)
    with open_roots(place) as roots:
        change.copy_out(roots, kept.kept, folder, name, root=kept.home)
    return os.path.join(folder, name)


def log(run: str | None, stores: list[Place]) -> Iterator[journal.Line]:
    """The first and last lines of all runs, oldest first, or every line of one run."""
    for place in stores:
        with open_roots(place) as roots:
            for each in journal.runs(roots) if run is None else [run]:
                if run is None:
                    yield from journal.frame(roots, each)
                elif each in journal.runs(roots):
                    yield from journal.read(roots, each)
