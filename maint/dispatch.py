"""Handing out the actions of one store, phase by phase (`maint.phases`)."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from maint import laps
from maint.actions import Action, Outcome, Result, outcome_of
from maint.desk import Desk
from maint.phases import Phase
from maint.planned import PlannedStore
from maint.touched import Touched
from maint.workers import Crew, Died

if TYPE_CHECKING:
    from maint.execute import Hands

BATCH = 128
"""Actions a task: few enough that a stop is prompt, enough that sending them costs nothing."""


_CALLED = {
    Phase.RESTORE: "restore from packs",
    Phase.ARCHIVE: "archive",
    Phase.ARCHIVE_CHILDREN: "archive children",
    Phase.MARK: "expire in packs",
    Phase.COMPACT: "rewrite packs",
}

_Numbered = tuple[int, bytes]
_NONE: Mapping[int, str] = MappingProxyType({})

_decode = msgspec.json.Decoder(Action).decode


def outcomes_of(
    desk: Desk, planned: PlannedStore, refused: Mapping[int, str] = _NONE
) -> Iterator[list[Outcome]]:
    """The outcomes of all actions of a store, some at a time; those that are ``refused`` are skipped, for these reasons.

    An action that waits for a session is skipped when that session's own action was not done.
    """
    undone: set[str] = set()
    touched = Touched(desk.place)
    for some in _some(list(refused)):
        outcomes = [outcome_of(n, _decode(planned.line(n)), Result.SKIPPED, refused[n]) for n in some]
        undone.update(outcome.session for outcome in outcomes)
        yield outcomes

    def of(phase: Phase) -> Sequence[int]:
        places = planned.of(phase)
        return [n for n in places if n not in refused] if refused else places

    with ExitStack() as stack:

        @functools.cache
        def hands() -> "Hands":
            from maint.execute import Hands  # noqa: PLC0415  what is about packs alone needs none

            return stack.enter_context(closing(Hands(desk.place, desk.run, desk.roots.stats)))

        if singly := of(Phase.SINGLY):
            laps.enter("change sessions")
            jobs = desk.jobs if len(singly) > BATCH else 1
            crew: Crew[_Numbered, list[Outcome]] = Crew(jobs, hands(), desk.stop)
            for task, answer in crew.run(_batches(planned, singly)):
                outcomes = _unanswered(task, answer) if isinstance(answer, Died) else answer
                undone.update(each.session for each in outcomes if each.result is not Result.DONE)
                touched.take(outcomes)
                yield outcomes
        for phase, called in _CALLED.items():
            wanted = of(phase)
            if phase is Phase.ARCHIVE_CHILDREN:
                staying = _left_behind(planned, wanted, undone)
                wanted = [n for n in wanted if n not in staying]
                if staying:
                    yield list(staying.values())
            if wanted and not desk.stop():
                laps.enter(called)
                for outcomes in _of_packs(desk, planned, phase, wanted, undone):
                    undone.update(each.session for each in outcomes if each.result is not Result.DONE)
                    touched.take(outcomes)
                    yield outcomes
        for some in _some(of(Phase.CHILDREN)):
            if desk.stop():
                break
            outcomes = _by_hand(hands(), planned, some, undone)
            undone.update(each.session for each in outcomes if each.result is not Result.DONE)
            touched.take(outcomes)
            yield outcomes
        laps.enter("make indexes true")
        if (indexes := of(Phase.INDEX)) or touched.indexes():
            yield from _indexed(desk, planned, hands(), indexes, touched)
        laps.enter("remove locks and old trash")
        for some in _some(of(Phase.LAST)):
            if desk.stop():
                return
            yield _by_hand(hands(), planned, some, undone)


def _indexed(
    desk: Desk, planned: PlannedStore, hands: "Hands", wanted: Sequence[int], touched: Touched
) -> Iterator[list[Outcome]]:
    """The outcomes of actions on files that list sessions; those that list what was touched are made true, too.

    That is part of what was begun, so that nobody's stop prevents it.
    Each is told before the next one is begun, so that whoever settles a killed run knows which was being written.
    """
    for n in wanted:
        action = _decode(planned.line(n))
        if desk.stop() and action.index not in touched:
            continue
        named = touched.pop(action.index) if action.index is not None else frozenset()
        yield [hands.carry_out(n, action, named)]
    from maint.indexing import keep_true  # noqa: PLC0415  whoever has hands has that, too

    first = sum(planned.planned.values())
    for problem in keep_true(desk.roots, desk.place, touched, desk.run, first, desk.indexed):
        desk.problem(problem)


def _of_packs(
    desk: Desk, planned: PlannedStore, phase: Phase, wanted: Sequence[int], undone: set[str]
) -> Iterator[list[Outcome]]:
    """The outcomes of a phase that is about packs; what it takes is imported when there is such a thing."""
    match phase:
        case Phase.RESTORE:
            from maint.unpacking import restored  # noqa: PLC0415

            return restored(desk, planned, wanted)
        case Phase.ARCHIVE | Phase.ARCHIVE_CHILDREN:
            from maint.archiving import archived  # noqa: PLC0415

            return archived(desk, planned, wanted)
        case Phase.MARK:
            from maint.marking import marked  # noqa: PLC0415

            return marked(desk, planned, wanted, undone)
        case _:
            from maint.compacting import compacted  # noqa: PLC0415

            return compacted(desk, planned, wanted)


def _left_behind(planned: PlannedStore, wanted: Sequence[int], undone: set[str]) -> dict[int, Outcome]:
    """The outcomes of actions whose sessions stay because those that they wait for did, and so on, by their places."""
    found: dict[int, Outcome] = {}
    for n in wanted:
        action = _decode(planned.line(n))
        if action.after in undone:
            undone.add(action.session)
            found[n] = _skipped(n, action)
    return found


def _skipped(n: int, action: Action) -> Outcome:
    return outcome_of(
        n,
        action,
        Result.SKIPPED,
        f"session {action.after}, or what points at it and goes first, was not seen to",
    )


def _by_hand(hands: "Hands", planned: PlannedStore, wanted: Sequence[int], undone: set[str]) -> list[Outcome]:
    """Do some actions one after the other, each unless what it waits for was not done."""
    return hands.made_durable([_after(hands, n, _decode(planned.line(n)), undone) for n in wanted])


def _after(hands: "Hands", n: int, action: Action, undone: set[str]) -> Outcome:
    """Do an action, unless what it waits for was not done; if it is not, then what waits for it is not either."""
    waits_in_vain = action.after is not None and action.after in undone
    outcome = _skipped(n, action) if waits_in_vain else hands.carry_out(n, action)
    if outcome.result is not Result.DONE:
        undone.add(action.session)
    return outcome


def _unanswered(task: list[_Numbered], died: Died) -> list[Outcome]:
    return [outcome_of(n, _decode(line), Result.LOST, died.how) for n, line in task]


def _batches(planned: PlannedStore, wanted: Sequence[int]) -> Iterator[list[_Numbered]]:
    """The actions that are done one by one."""
    for some in _some(wanted):
        yield [(n, planned.line(n)) for n in some]


def _some(wanted: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(wanted), BATCH):
        yield wanted[start : start + BATCH]
