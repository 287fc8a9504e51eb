"""What a run is once it is over, and who hears of it while it goes on: data for the door."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from maint.actions import Outcome, Result, Verb
from maint.planning import Plan
from maint.survey import Progress
from store.facts import Place, Problem
from store.locks import Holder

SPEAK_AFTER = 3
"""Skips in a row after which a busy store is worth a word to nobody in particular."""


@dataclass(frozen=True)
class Busy:
    """A store that another maintainer holds: who, and how many runs in a row have found it so."""

    place: Place
    holder: Holder | None
    skips: int


@dataclass(frozen=True)
class Unreachable:
    """A store that could not be read or written, and why."""

    place: Place
    why: str


@dataclass
class Summary:
    """What a run came to."""

    sessions: int = 0
    planned: Counter[Verb] = field(default_factory=Counter)
    done: Counter[Verb] = field(default_factory=Counter)
    skipped: int = 0
    failed: int = 0
    lost: int = 0
    bytes_freed: int = 0
    bytes_trashed: int = 0
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)
    stopped: bool = False

    def count(self, outcome: Outcome) -> None:
        """Take in one outcome."""
        match outcome.result:
            case Result.DONE:
                self.done[outcome.verb] += 1
                if outcome.verb is Verb.EXPIRE_TRASH:
                    self.bytes_freed += outcome.bytes
                elif outcome.verb not in (Verb.RECOVER, Verb.RESTORE):
                    self.bytes_trashed += outcome.bytes
            case Result.SKIPPED:
                self.skipped += 1
            case Result.FAILED:
                self.failed += 1
            case Result.LOST:
                self.lost += 1


@dataclass
class Listener:
    """Who wants to hear of a run while it goes on; every part may be left out.

    ``stop`` is asked between tasks: once it says yes the run finishes what is in flight and ends.
    """

    progress: Progress = lambda _store, _done, _total: None
    planned: Callable[[Plan], None] = lambda _plan: None
    outcome: Callable[[Outcome], None] = lambda _outcome: None
    stop: Callable[[], bool] = lambda: False


@dataclass
class Run:
    """A run that is over (or a plan that was only made): its plan, its sums, and what stood in its way."""

    id: str
    summary: Summary
    plan: Plan | None = None
    busy: list[Busy] = field(default_factory=list)
    unreachable: list[Unreachable] = field(default_factory=list)

    @property
    def refused(self) -> list[str]:
        return self.plan.refused if self.plan is not None else []
