"""Handing out the actions of one store, in the order that keeps what leads to a session until it is seen to.

First what is done to sessions one by one; then what is about packs, which is done many at a time: bringing sessions
back from them, making them, marking what has expired in them, rewriting them; then sessions that wait for the ones
that began them; then the files that list sessions, which must tell what was done; and last what takes away what
leads to a session.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from itertools import islice

import msgspec

from maint import laps
from maint.actions import Action, Outcome, Result, Verb, outcome_of
from maint.desk import Desk
from maint.execute import Hands
from maint.indexing import Touched, keep_true
from maint.planned import PlannedStore
from maint.workers import Crew, Died

BATCH = 128
"""Actions a task: few enough that a stop is prompt, enough that sending them costs nothing."""

LAST_VERBS = (Verb.UNLOCK, Verb.EXPIRE_TRASH)
"""Verbs that wait until the sessions are done, because they take away what leads to them."""


class Phase(IntEnum):
    """When an action is done; those of one phase are done together."""

    SINGLY = 0
    RESTORE = 1
    ARCHIVE = 2
    MARK = 3
    COMPACT = 4
    CHILDREN = 5
    INDEX = 6
    LAST = 7


class _Kind(msgspec.Struct, gc=False):
    """What is needed of an action to tell its phase."""

    verb: Verb
    pack: str | None = None
    mark: str | None = None
    members: tuple[msgspec.Raw, ...] = ()
    index: tuple[str, str] | None = None
    after: str | None = None


_CALLED = {
    Phase.RESTORE: "restore from packs",
    Phase.ARCHIVE: "archive",
    Phase.MARK: "expire in packs",
    Phase.COMPACT: "rewrite packs",
}

_Numbered = tuple[int, bytes]
_Waiting = dict[Phase, list[tuple[int, int]]]

_decode = msgspec.json.Decoder(Action).decode
_decode_kind: Callable[[bytes], _Kind] = msgspec.json.Decoder(_Kind).decode


def outcomes_of(desk: Desk, planned: PlannedStore) -> Iterator[list[Outcome]]:
    """The outcomes of all actions of a store, some at a time.

    An action that waits for a session is skipped when that session's own action was not done.
    """
    undone: set[str] = set()
    touched = Touched(desk.place)
    waiting: _Waiting = {phase: [] for phase in Phase}
    hands = Hands(desk.place, desk.run, desk.roots.stats)
    crew: Crew[_Numbered, list[Outcome]] = Crew(_jobs(desk, planned), hands, desk.stop)
    try:
        laps.enter("change sessions")
        for task, answer in crew.run(_batches(_single(planned, waiting))):
            outcomes = _unanswered(task, answer) if isinstance(answer, Died) else answer
            undone.update(outcome.session for outcome in outcomes if outcome.result is not Result.DONE)
            touched.take(outcomes)
            yield outcomes
        for phase in (Phase.RESTORE, Phase.ARCHIVE, Phase.MARK, Phase.COMPACT):
            if waiting[phase] and not desk.stop():
                laps.enter(_CALLED[phase])
                for outcomes in _of_packs(desk, planned, phase, waiting[phase], undone):
                    undone.update(each.session for each in outcomes if each.result is not Result.DONE)
                    touched.take(outcomes)
                    yield outcomes
        for some in _some(waiting[Phase.CHILDREN]):
            if desk.stop():
                break
            outcomes = hands.made_durable(
                [_after(hands, n, _decode(planned.line_at(offset)), undone) for n, offset in some]
            )
            undone.update(each.session for each in outcomes if each.result is not Result.DONE)
            touched.take(outcomes)
            yield outcomes
        laps.enter("make indexes true")
        yield from _indexed(desk, planned, hands, waiting[Phase.INDEX], touched)
        laps.enter("remove locks and old trash")
        for some in _some(waiting[Phase.LAST]):
            if desk.stop():
                return
            yield hands.made_durable(
                [_after(hands, n, _decode(planned.line_at(offset)), undone) for n, offset in some]
            )
    finally:
        hands.close()


def _indexed(
    desk: Desk, planned: PlannedStore, hands: Hands, wanted: list[tuple[int, int]], touched: Touched
) -> Iterator[list[Outcome]]:
    """The outcomes of actions on files that list sessions; those that list what was touched are made true, too.

    That is part of what was begun, so that nobody's stop prevents it.
    Each is told before the next one is begun, so that whoever settles a killed run knows which was being written.
    """
    for n, offset in wanted:
        action = _decode(planned.line_at(offset))
        if desk.stop() and action.index not in touched:
            continue
        named = touched.pop(action.index) if action.index is not None else frozenset()
        yield [hands.carry_out(n, action, named)]
    first = sum(planned.planned.values())
    for problem in keep_true(desk.roots, desk.place, touched, desk.run, first, desk.indexed):
        desk.problem(problem)


def _of_packs(
    desk: Desk, planned: PlannedStore, phase: Phase, wanted: list[tuple[int, int]], undone: set[str]
) -> Iterator[list[Outcome]]:
    """The outcomes of a phase that is about packs; what it takes is imported when there is such a thing."""
    match phase:
        case Phase.RESTORE:
            from maint.unpacking import restored  # noqa: PLC0415

            return restored(desk, planned, wanted)
        case Phase.ARCHIVE:
            from maint.archiving import archived  # noqa: PLC0415

            return archived(desk, planned, wanted)
        case Phase.MARK:
            from maint.marking import marked  # noqa: PLC0415

            return marked(desk, planned, wanted, undone)
        case _:
            from maint.compacting import compacted  # noqa: PLC0415

            return compacted(desk, planned, wanted)


def phase_of(kind: _Kind) -> Phase:
    """When an action of this kind is done."""
    if kind.index is not None:
        return Phase.INDEX
    if kind.pack is not None and kind.mark is not None and not kind.members:
        return Phase.MARK
    match kind.verb:
        case Verb.ARCHIVE:
            return Phase.ARCHIVE
        case Verb.COMPACT:
            return Phase.COMPACT
        case Verb.RESTORE:
            return Phase.RESTORE if kind.pack is not None else Phase.SINGLY
        case Verb.UNLOCK | Verb.EXPIRE_TRASH:
            return Phase.LAST
        case _:
            return Phase.SINGLY if kind.after is None else Phase.CHILDREN


def _jobs(desk: Desk, planned: PlannedStore) -> int:
    together = (*LAST_VERBS, Verb.ARCHIVE, Verb.COMPACT)
    singly = sum(count for verb, count in planned.planned.items() if verb not in together)
    return desk.jobs if singly > BATCH else 1


def _single(planned: PlannedStore, waiting: _Waiting) -> Iterator[_Numbered]:
    """The actions that are done one by one; the others are noted, by their places and where their lines begin."""
    offset = 0
    for n, line in enumerate(planned.lines()):
        phase = phase_of(_decode_kind(line))
        if phase is Phase.SINGLY:
            yield n, line
        else:
            waiting[phase].append((n, offset))
        offset += len(line)


def _after(hands: Hands, n: int, action: Action, undone: set[str]) -> Outcome:
    if action.after is not None and action.after in undone:
        return outcome_of(n, action, Result.SKIPPED, f"session {action.after} was not seen to")
    return hands.carry_out(n, action)


def _unanswered(task: list[_Numbered], died: Died) -> list[Outcome]:
    return [outcome_of(n, _decode(line), Result.LOST, died.how) for n, line in task]


def _batches(actions: Iterator[_Numbered]) -> Iterator[list[_Numbered]]:
    while batch := list(islice(actions, BATCH)):
        yield batch


def _some(wanted: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(wanted), BATCH):
        yield wanted[start : start + BATCH]
