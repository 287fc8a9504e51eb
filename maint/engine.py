"""One whole run: lock, settle, plan, check, journal, carry out, end.

Everything that changes a store goes through `carry_out_plan`, and every change is in the journal before it is
made.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from maint import journal, settle
from maint.actions import Action, Outcome, Result, Verb
from maint.dispatch import outcomes_of
from maint.execute import describe, open_roots, sync_roots
from maint.journal import EndLine, Journal
from maint.judge import Protected
from maint.owner import as_owner
from maint.planning import Ground, Plan, PlannedStore, StoreUnreadable, make_plan
from maint.run import Busy, Listener, Run, Summary, Unreachable
from maint.version import VERSION
from policies import Policy
from store import durable, names, trash
from store.facts import Place, Problem
from store.locks import StoreLock, holder
from store.names import new_run_id
from store.roots import RootFds

_ASK_AFTER = 0.2
"""Seconds of waiting for a store after which it is asked whether that is still wanted."""


@dataclass(frozen=True)
class Held:
    """A store that this process holds the lock of."""

    place: Place
    roots: RootFds
    lock: StoreLock


def default_jobs() -> int:
    """How many workers to use where nobody says: a processor each, as far as this process may use them."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(8, len(affinity(0)) if affinity is not None else os.cpu_count() or 1)


def only_plan(
    policy: Policy, places: list[Place], *, at: float | None, jobs: int, expire: bool, listener: Listener
) -> Run:
    """The plan and nothing else: no lock is taken, nothing is written anywhere in the stores.

    ``at`` asks about another time; whether the clock can be trusted is no question then.
    """
    now = time.time() if at is None else at
    began = time.monotonic()
    run = Run(new_run(), Summary())
    with ExitStack() as stack:
        grounds: list[Ground] = []
        for place in places:
            try:
                roots = stack.enter_context(open_roots(place))
                ground = ground_of(place, roots, policy, now)
                grounds.append(ground if at is None else replace(ground, last_run=None))
            except OSError as error:
                run.unreachable.append(Unreachable(place, describe(error)))
        run.plan = _plan(run, policy, grounds, at=now, jobs=jobs, expire=expire, listener=listener)
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
) -> Run:
    """Survey, plan, and carry out what the limits allow."""
    began = time.monotonic()
    run = Run(new_run(), Summary())
    with ExitStack() as stack:
        held = _hold(stack, run, places, wait, listener.stop)
        grounds: list[Ground] = []
        settled: list[Outcome] = []
        for store in held:
            try:
                with as_owner(store.place.path):
                    settled += _settle(run, store)
                    grounds.append(ground_of(store.place, store.roots, policy, now))
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
                _carry_out(run, by_name[planned.place.name], planned, "sweep", jobs, listener)
        run.summary.stopped = not run.plan.complete or listener.stop()
    run.summary.seconds = time.monotonic() - began
    return run


def carry_out_actions(
    command: str,
    about: str | None,
    work: Sequence[tuple[Place, Iterable[Action]]],
    *,
    jobs: int,
    wait: float,
    listener: Listener,
) -> Run:
    """Carry out actions that were decided elsewhere: a saved plan, an undo, a restore."""
    began = time.monotonic()
    run = Run(new_run(), Summary())
    with ExitStack() as stack:
        wanted = [place for place, _ in work]
        held = {store.place.name: store for store in _hold(stack, run, wanted, wait, listener.stop)}
        for place, actions in work:
            if place.name not in held:
                continue
            planned = PlannedStore(place)
            for action in actions:
                planned.add(action)
            run.summary.planned += planned.planned
            _carry_out(run, held[place.name], planned, command, jobs, listener, about=about, settled=False)
        run.summary.stopped = listener.stop()
    run.summary.seconds = time.monotonic() - began
    return run


def new_run() -> str:
    """A new run's id."""
    return new_run_id(time.time(), os.urandom(3))


def _hold(
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
                    stack.callback(lock.release)
                    _introduce(roots)
                    held.append(Held(place, roots, lock))
                else:
                    run.busy.append(Busy(place, holder(roots[roots.first]), lock.note_skip()))
        except OSError as error:
            run.unreachable.append(Unreachable(place, describe(error)))
    return held


def _acquire(lock: StoreLock, wait: float, stop: Callable[[], bool]) -> bool:
    """Take the lock, waiting for as long as that is wanted and nobody says stop."""
    deadline = time.monotonic() + wait
    while not lock.acquire(max(0.0, min(deadline - time.monotonic(), _ASK_AFTER))):
        if stop() or time.monotonic() >= deadline:
            return False
    return True


def _settle(run: Run, store: Held) -> list[Outcome]:
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


def ground_of(place: Place, roots: RootFds, policy: Policy, now: float) -> Ground:
    """What the plan must know of a store besides its sessions."""
    keep_for, min_idle, zone = policy.trash.keep_for, policy.limits.min_idle, policy.zone
    ripe = keep_for.before(now, zone)
    spared: dict[str, Protected] = {}
    for session, when in journal.done_since(roots, min_idle.before(now, zone), Verb.RECOVER).items():
        spared[session] = Protected("it was recovered a moment ago", min_idle.after(when, zone))
    for session, when in journal.done_since(roots, ripe, Verb.RESTORE).items():
        spared[session] = Protected("it was brought back by hand", keep_for.after(when, zone))
    return Ground(
        place,
        lambda: trash.list_trash(roots, lambda run: names.run_time(run) < ripe),
        spared,
        journal.last_run_time(roots),
    )


def _plan(
    run: Run, policy: Policy, grounds: list[Ground], *, at: float, jobs: int, expire: bool, listener: Listener
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


def _carry_out(
    run: Run,
    store: Held,
    planned: PlannedStore,
    command: str,
    jobs: int,
    listener: Listener,
    *,
    about: str | None = None,
    settled: bool = True,
) -> None:
    """Do what is planned for one store; when its journal cannot be written, say so and do no more."""
    try:
        with as_owner(store.place.path):
            if not settled:
                for outcome in _settle(run, store):
                    listener.outcome(outcome)
            _journalled(run, store, planned, command, jobs, listener, about)
    except OSError as error:
        why = f"{describe(error)}; what was begun is seen to by the next run"
        run.unreachable.append(Unreachable(store.place, why))


def _journalled(
    run: Run,
    store: Held,
    planned: PlannedStore,
    command: str,
    jobs: int,
    listener: Listener,
    about: str | None,
) -> None:
    """Journal what is intended for one store, do it, and journal what became of it."""
    began = time.monotonic()
    policy = run.plan.policy if run.plan is not None else None
    at = journal.timestamp(time.time(), policy)
    head = journal.run_line(run.id, command, at, store.place, policy, VERSION, about)
    book = Journal.start(store.roots, head, planned.lines())
    summary = Summary()
    try:
        for outcomes in outcomes_of(run.id, store.place, planned, jobs, listener.stop):
            book.outcomes(outcomes)
            for outcome in outcomes:
                summary.count(outcome)
                run.summary.count(outcome)
                if outcome.result is Result.SKIPPED and outcome.verb is Verb.RECOVER:
                    text = f"could not be recovered: {outcome.detail}"
                    run.summary.problems.append(Problem(store.place.name, outcome.path, text))
                listener.outcome(outcome)
        if planned.planned:
            sync_roots(store.roots, run.id)
        book.end(
            EndLine(
                done={str(verb): count for verb, count in summary.done.items()},
                skipped=summary.skipped,
                failed=summary.failed,
                lost=summary.lost,
                bytes_freed=summary.bytes_freed,
                bytes_trashed=summary.bytes_trashed,
                seconds=round(time.monotonic() - began, 3),
                stopped=listener.stop(),
            )
        )
    finally:
        book.close()
