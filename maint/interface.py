"""The Python interface: a handful of functions over whole stores.

    from maint import load, places, plan, sweep

    policy = load("policy.yaml")
    run = sweep(policy, places(policy))
    print(run.summary.done)

Times are seconds since the epoch; ``None`` for ``now`` or ``at`` is the present.
"""

import time
from functools import partial
from typing import TYPE_CHECKING

from maint import archived, undoing, waiting
from maint.actions import Action
from maint.carrying_out import carry_out_actions
from maint.finding import NotFound
from maint.owner import as_owner
from maint.reaching import open_roots
from maint.run import Listener, Run
from maint.workers import default_jobs
from store.archived import Archived
from store.facts import Place, Problem

if TYPE_CHECKING:
    from maint.saved import SavedPlan
    from policies import Policy


def plan(
    policy: "Policy",
    stores: list[Place],
    *,
    at: float | None = None,
    jobs: int | None = None,
    expire: bool = True,
    listener: Listener | None = None,
) -> Run:
    """What a sweep would do at that moment; changes nothing. Its ``plan`` has the actions with their reasons."""
    from maint import engine  # noqa: PLC0415  passes and policies, which bringing something back need not load

    return engine.only_plan(
        policy,
        stores,
        at=at,
        jobs=jobs or default_jobs(),
        expire=expire,
        listener=listener or Listener(),
    )


def sweep(
    policy: "Policy",
    stores: list[Place],
    *,
    jobs: int | None = None,
    expire: bool = True,
    wait: float = 0.0,
    listener: Listener | None = None,
    command: str = "sweep",
) -> Run:
    """One whole run: survey, plan, apply. ``wait`` is how many seconds to wait for a busy store.

    ``command`` is what the journal calls it.
    """
    from maint import engine  # noqa: PLC0415  see plan

    return engine.sweep(
        policy,
        stores,
        now=time.time(),
        jobs=jobs or default_jobs(),
        expire=expire,
        wait=wait,
        listener=listener or Listener(),
        command=command,
    )


def apply(
    saved: "SavedPlan", *, jobs: int | None = None, wait: float = 0.0, listener: Listener | None = None
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
        with as_owner(place.path), open_roots(place) as roots:
            undone = undoing.undo_of(roots, place, run)
        if undone is not None:
            work.append((place, undone.actions))
            impossible += undone.impossible
    if not work:
        raise NotFound(f"no store has a run {run!r}; `maint log` lists them")
    done = carry_out_actions(
        "undo", run, work, jobs=default_jobs(), wait=wait, listener=listener or Listener()
    )
    done.impossible = impossible
    return done, impossible


def restore(
    sessions: list[str],
    stores: list[Place],
    *,
    jobs: int | None = None,
    wait: float = 0.0,
    listener: Listener | None = None,
) -> Run:
    """Bring sessions back from the trash or from packs to their places, never over anything.

    Where both have one, the later of the two comes back; from the trash all files that one run took of it.
    So does its payload, if that was archived by itself.
    Raises `NotFound` and `Ambiguous`.
    """
    work: dict[str, tuple[Place, list[Action]]] = {}
    for place, id_, found in waiting.chosen(sessions, stores):
        actions = work.setdefault(place.name, (place, []))[1]
        if isinstance(found, Archived):
            actions.append(archived.restoring(place, found))
        elif found[0].backup:
            raise NotFound(
                f"{id_}: what waits is the old self of a recovered session: take its run back with "
                f"`maint undo {found[0].run}`, or copy it out with --to"
            )
        else:
            actions += (
                undoing.restoring(place, each, id_, "brought back by hand")
                for each in waiting.fit(place, found)
            )
    return carry_out_actions(
        "restore",
        None,
        list(work.values()),
        jobs=jobs or default_jobs(),
        wait=wait,
        listener=listener or Listener(),
    )


def restore_all(
    globs: list[str],
    stores: list[Place],
    *,
    ended_before: float | None = None,
    met: set[str] | None = None,
    jobs: int | None = None,
    wait: float = 0.0,
    listener: Listener | None = None,
) -> Run:
    """Bring back all sessions in packs whose id or name matches a glob (any, if there are none) and that are old enough.

    The run's ``unseen`` has the packs that could not be looked into: there may be more in them. ``met`` takes in the
    globs that something matched.
    Raises OSError when a store cannot be read.
    """
    problems: list[Problem] = []
    met = met if met is not None else set()
    work = [
        (place, map(partial(archived.restoring, place), chosen))
        for place, chosen in archived.select(stores, globs, ended_before, problems.append, met)
    ]
    run = carry_out_actions(
        "restore", None, work, jobs=jobs or default_jobs(), wait=wait, listener=listener or Listener()
    )
    run.unseen += problems
    return run
