"""One whole run: lock, settle, plan, check, carry out; or the plan alone."""

import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from maint import journal, laps
from maint.actions import Outcome, Verb
from maint.carrying_out import carry_out, new_run
from maint.holding import hold, settle_store
from maint.judge import Protected, leaves_in_place
from maint.owner import as_owner, as_owner_of
from maint.packed import shelf_of
from maint.planned import Plan
from maint.planning import Ground, StoreUnreadable, make_plan
from maint.reaching import describe, open_roots
from maint.run import Listener, Run, Summary, Unreachable
from maint.version import VERSION
from policies import Policy
from store import names, trash
from store.facts import Place
from store.file_systems import unknown
from store.memory import Learned, about, recall
from store.roots import RootFds


def only_plan(
    policy: Policy,
    places: list[Place],
    *,
    at: float | None,
    jobs: int,
    expire: bool,
    listener: Listener,
    asked: str | None = None,
) -> Run:
    """The plan and nothing else: no lock is taken, nothing is written anywhere in the stores.

    ``at`` asks about another time; whether the clock can be trusted is no question then.
    ``asked`` is the key of a session of which the plan is to tell what comparing passes said.
    """
    now = time.time() if at is None else at
    began = time.monotonic()
    run = Run(new_run(), Summary())
    laps.enter("settle")
    with ExitStack() as stack:
        grounds: list[Ground] = []
        for place in places:
            try:
                with as_owner(place.path):
                    roots = stack.enter_context(open_roots(place))
                    ground = ground_of(place, roots, policy, now)
                stack.callback(ground.memory.close)
                grounds.append(ground if at is None else replace(ground, last_run=None))
            except OSError as error:
                run.unreachable.append(Unreachable(place, describe(error)))
        run.plan = _plan(
            run, policy, grounds, at=now, jobs=jobs, expire=expire, listener=listener, asked=asked
        )
    _sum_up_plan(run)
    run.summary.seconds = time.monotonic() - began
    return run


def sweep(
    policy: Policy,
    places: list[Place],
    *,
    now: float,
    jobs: int,
    expire: bool,
    wait: float,
    listener: Listener,
    command: str = "sweep",
) -> Run:
    """Survey, plan, and carry out what the limits allow."""
    began = time.monotonic()
    run = Run(new_run(), Summary())
    laps.enter("settle")
    with ExitStack() as stack:
        held = hold(stack, run, places, wait, listener.stop)
        grounds: list[Ground] = []
        settled: list[Outcome] = []
        for store in held:
            try:
                with as_owner_of(store.roots):
                    settled += settle_store(run, store)
                    ground = ground_of(store.place, store.roots, policy, now)
                    stack.callback(ground.memory.close)
                    grounds.append(replace(ground, learns=partial(_remember, store.roots)))
            except OSError as error:
                run.unreachable.append(Unreachable(store.place, describe(error)))
        run.plan = _plan(run, policy, grounds, at=now, jobs=jobs, expire=expire, listener=listener)
        _sum_up_plan(run)
        listener.planned(run.plan)
        for outcome in settled:
            listener.outcome(outcome)
        if run.plan.complete and not run.refused:
            by_name = {store.place.name: store for store in held}
            for planned in run.plan.stores:
                carry_out(run, by_name[planned.place.name], planned, command, jobs, listener)
        run.summary.stopped = not run.plan.complete or listener.stop()
    run.summary.seconds = time.monotonic() - began
    return run


def ground_of(place: Place, roots: RootFds, policy: Policy, now: float) -> Ground:
    """What the plan must know of a store besides its sessions."""
    keep_for, min_idle, zone = policy.trash.keep_for, policy.limits.min_idle, policy.zone
    ripe = keep_for.before(now, zone)
    spared: dict[str, Protected] = {}
    for session, when in journal.done_since(roots, min_idle.before(now, zone), Verb.RECOVER).items():
        spared[session] = Protected("it was recovered a moment ago", min_idle.after(when, zone))
    for session, when in journal.done_since(roots, ripe, Verb.RESTORE).items():
        spared[session] = Protected("it was brought back by hand", keep_for.after(when, zone), by_hand=True)
    copied: frozenset[str] = frozenset()
    if any(map(leaves_in_place, policy.passes)):
        copied = frozenset(journal.done_since(roots, min_idle.before(now, zone), Verb.ARCHIVE))
    return Ground(
        place,
        lambda: trash.list_trash(roots, lambda run: names.run_time(run) < ripe),
        spared,
        copied,
        shelf_of(place, roots),
        journal.last_run_time(roots),
        recall(roots[roots.first], about(place, VERSION)),
        # Packs may lie anywhere: nobody writes to them but us, and they are read back before anything goes.
        file_systems=unknown(
            (place.roots[label], roots.stat(label).st_dev)
            for label in roots.labels
            if not names.is_archive_root(label)
        ),
    )


def _remember(roots: RootFds, learned: Learned) -> None:
    learned.write(roots[roots.first])


def _plan(
    run: Run,
    policy: Policy,
    grounds: list[Ground],
    *,
    at: float,
    jobs: int,
    expire: bool,
    listener: Listener,
    asked: str | None = None,
) -> Plan:
    """The plan over those stores that can be read; one that cannot be is noted in the run, and left out."""
    remaining = list(grounds)
    while True:
        try:
            return make_plan(
                run.id,
                policy,
                remaining,
                now=at,
                jobs=jobs,
                expire=expire,
                stop=listener.stop,
                progress=listener.progress,
                asked=asked,
            )
        except StoreUnreadable as unreadable:
            run.unreachable.append(Unreachable(unreadable.place, unreadable.why))
            remaining = [ground for ground in remaining if ground.place is not unreadable.place]


def _sum_up_plan(run: Run) -> None:
    if run.plan is None:
        return
    for store in run.plan.stores:
        run.summary.sessions += store.tally.total.sessions
        run.summary.planned += store.planned
        run.summary.problems += store.problems
