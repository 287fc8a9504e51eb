"""Handing out the actions of one store, in the order that keeps what leads to a session until it is seen to."""

from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from maint.actions import Action, Outcome, Result, Verb, outcome_of
from maint.execute import Hands
from maint.planning import PlannedStore
from maint.workers import Crew, Died
from store.facts import Place

BATCH = 128
"""Actions a task: few enough that a stop is prompt, enough that sending them costs nothing."""

LAST_VERBS = (Verb.UNLOCK, Verb.EXPIRE_TRASH)
"""Verbs that wait until the sessions are done, because they take away what leads to them."""

_Numbered = tuple[int, bytes]

_decode = msgspec.json.Decoder(Action).decode


def outcomes_of(
    run: str, place: Place, planned: PlannedStore, jobs: int, stop: Callable[[], bool]
) -> Iterator[list[Outcome]]:
    """The outcomes of all actions of a store in batches: sessions first, then what leads to them.

    An action that waits for a session is skipped when that session's own action was not done.
    """
    undone: set[str] = set()
    first = sum(count for verb, count in planned.planned.items() if verb not in LAST_VERBS)
    hands = Hands(place, run)
    crew: Crew[_Numbered, list[Outcome]] = Crew(jobs if first > BATCH else 1, hands, stop)
    try:
        for task, answer in crew.run(_batches(planned, 0, first)):
            outcomes = _unanswered(task, answer) if isinstance(answer, Died) else answer
            undone.update(outcome.session for outcome in outcomes if outcome.result is not Result.DONE)
            yield outcomes
        for task in _batches(planned, first, None):
            if stop():
                return
            yield [_after(hands, n, _decode(line), undone) for n, line in task]
    finally:
        hands.close()


def _after(hands: Hands, n: int, action: Action, undone: set[str]) -> Outcome:
    if action.after is not None and action.after in undone:
        return outcome_of(n, action, Result.SKIPPED, f"session {action.after} was not seen to")
    return hands.carry_out(n, action)


def _unanswered(task: list[_Numbered], died: Died) -> list[Outcome]:
    return [outcome_of(n, _decode(line), Result.LOST, died.how) for n, line in task]


def _batches(planned: PlannedStore, start: int, stop: int | None) -> Iterator[list[_Numbered]]:
    """The actions from one place to another, with their places, some at a time."""
    remaining = islice(enumerate(planned.lines()), start, stop)
    while batch := list(islice(remaining, BATCH)):
        yield batch
