"""Carrying out what was decided: take the store, journal what is intended, do it, journal what became of it.

Everything that changes a store goes through `carry_out`, and every change is in the journal before it is made.
"""

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import count

from maint import journal, laps
from maint.actions import Action, Result, Verb
from maint.desk import Desk
from maint.dispatch import outcomes_of
from maint.holding import Held, hold, settle_store
from maint.journal import EndLine, Journal, SealedLine
from maint.owner import as_owner_of
from maint.planned import PlannedStore
from maint.reaching import describe
from maint.run import Bytes, Listener, Run, Summary, Unreachable
from maint.version import VERSION
from store.facts import Place, Problem
from store.layout import layout_of
from store.names import new_run_id


def new_run() -> str:
    """A new run's id."""
    return new_run_id(time.time(), os.urandom(3))


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
        held = {store.place.name: store for store in hold(stack, run, wanted, wait, listener.stop)}
        for place, actions in work:
            if place.name not in held:
                continue
            planned = PlannedStore(place)
            for action in actions:
                planned.add(action)
            run.summary.planned += planned.planned
            carry_out(run, held[place.name], planned, command, jobs, listener, about=about, settled=False)
        run.summary.stopped = listener.stop()
    run.summary.seconds = time.monotonic() - began
    return run


def carry_out(
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
        with as_owner_of(store.roots):
            if not settled:
                for outcome in settle_store(run, store):
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
    laps.enter("journal")
    began = time.monotonic()
    refused = _refused(store, planned)  # before anybody could take it for begun, if this is the end of us
    policy = run.plan.policy if run.plan is not None else None
    at = journal.timestamp(time.time(), policy)
    head = journal.run_line(run.id, command, at, store.place, policy, VERSION, about)
    book = Journal.start(store.roots, head, planned.spool.blocks())
    summary = Summary()

    def sealed(line: SealedLine) -> None:
        book.sealed(line)
        summary.seal(line.packed)
        run.summary.seal(line.packed)

    desk = Desk(
        place=store.place,
        roots=store.roots,
        run=run.id,
        at=at,
        now=time.time(),
        policy_sha256=head.policy_sha256,
        jobs=jobs,
        numbers=count(),
        stop=listener.stop,
        sealed=sealed,
        indexed=book.indexed,
        read=Bytes(store.place.name, planned.planned_bytes, listener.read),
        problem=run.summary.problems.append,
        unwritten=run.unwritten.append,
    )
    try:
        for outcomes in outcomes_of(desk, planned, refused):
            book.outcomes(outcomes)
            for outcome in outcomes:
                summary.count(outcome)
                run.summary.count(outcome)
                if outcome.result is Result.SKIPPED and outcome.verb is Verb.RECOVER:
                    text = f"could not be recovered: {outcome.detail}"
                    run.summary.problems.append(Problem(store.place.name, outcome.path, text))
                listener.outcome(outcome)
        laps.enter("make durable")
        if planned.planned:
            store.roots.moves.sync_of(run.id, flat=layout_of(store.place.kind).flat)
        book.end(
            EndLine(
                done={str(verb): count for verb, count in summary.done.items()},
                skipped=summary.skipped,
                failed=summary.failed,
                lost=summary.lost,
                bytes_freed=summary.bytes_freed,
                bytes_trashed=summary.bytes_trashed,
                bytes_packed=summary.bytes_packed,
                seconds=round(time.monotonic() - began, 3),
                stopped=listener.stop(),
            )
        )
    finally:
        book.close()
        laps.enter("end")


def _refused(store: Held, planned: PlannedStore) -> dict[int, str]:
    """What must not be done, because of what rests on it; what it takes is imported where there may be such a thing."""
    if not layout_of(store.place.kind).has_lineage:
        return {}
    from maint import lineage  # noqa: PLC0415

    return lineage.refused(store.place, store.roots, planned, time.time())
