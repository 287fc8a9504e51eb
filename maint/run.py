"""What a run is once it is over, and who hears of it while it goes on: data for the door."""

from collections import Counter
from collections.abc import Callable

import msgspec

from maint.actions import Outcome, Result, Verb
from maint.planned import Plan
from store.facts import Place, Problem
from store.locks import Holder

SPEAK_AFTER = 3
"""Skips in a row after which a busy store is worth a word to nobody in particular."""

Progress = Callable[[str, int, int], None]
"""Told the store's name, how many of its sessions are done, and how many there are."""


class Busy(msgspec.Struct, frozen=True):
    """A store that another maintainer holds: who, and how many runs in a row have found it so."""

    place: Place
    holder: Holder | None
    skips: int


class Unreachable(msgspec.Struct, frozen=True):
    """A store that could not be read or written, and why."""

    place: Place
    why: str


class Summary(msgspec.Struct):
    """What a run came to."""

    sessions: int = 0
    planned: Counter[Verb] = msgspec.field(default_factory=Counter)
    done: Counter[Verb] = msgspec.field(default_factory=Counter)
    skipped: int = 0
    expired: int = 0
    """Of the `Verb.PRUNE` that were done, those of sessions in packs."""

    failed: int = 0
    lost: int = 0
    bytes_freed: int = 0
    bytes_trashed: int = 0
    bytes_archived: int = 0
    """Of the sessions that went into packs, as they were in the store."""

    bytes_packed: int = 0
    """Of the packs that were made."""

    seconds: float = 0.0
    problems: list[Problem] = msgspec.field(default_factory=list)
    stopped: bool = False

    def count(self, outcome: Outcome) -> None:
        """Take in one outcome."""
        match outcome.result:
            case Result.DONE:
                self.done[outcome.verb] += 1
                self.bytes_freed += outcome.freed
                self.expired += outcome.verb is Verb.PRUNE and outcome.pack is not None
                if outcome.verb is Verb.ARCHIVE:
                    self.bytes_archived += outcome.bytes
                    self.bytes_trashed += outcome.trashed
                    return
                if outcome.verb is Verb.EXPIRE_TRASH:
                    self.bytes_freed += outcome.bytes
                elif outcome.verb not in (Verb.RECOVER, Verb.RESTORE) and outcome.pack is None:
                    self.bytes_trashed += outcome.bytes
            case Result.SKIPPED:
                self.skipped += 1
            case Result.FAILED:
                self.failed += 1
            case Result.LOST:
                self.lost += 1

    def seal(self, packed: int) -> None:
        """Take in a pack of so many bytes, which take away from what is freed."""
        self.bytes_packed += packed
        self.bytes_freed -= packed


class Bytes:
    """Counts the bytes that are packed and unpacked, and tells of them."""

    def __init__(self, store: str, planned: Counter[Verb], tell: Progress) -> None:
        self._store = store
        self._total = planned[Verb.ARCHIVE] + planned[Verb.RESTORE]
        self._done = 0
        self._tell = tell

    def __call__(self, size: int) -> None:
        self._done += size
        self._tell(self._store, self._done, max(self._total, self._done))


class Listener(msgspec.Struct):
    """Who wants to hear of a run while it goes on; every part may be left out.

    ``stop`` is asked between tasks: once it says yes the run finishes what is in flight and ends.
    """

    progress: Progress = lambda _store, _done, _total: None
    read: Progress = lambda _store, _done, _total: None
    """Told the store's name, how many bytes were packed or unpacked, and how many there are."""

    planned: Callable[[Plan], None] = lambda _plan: None
    outcome: Callable[[Outcome], None] = lambda _outcome: None
    stop: Callable[[], bool] = lambda: False


class Run(msgspec.Struct):
    """A run that is over (or a plan that was only made): its plan, its sums, and what stood in its way."""

    id: str
    summary: Summary
    plan: Plan | None = None
    busy: list[Busy] = msgspec.field(default_factory=list)
    unreachable: list[Unreachable] = msgspec.field(default_factory=list)
    unwritten: list[Problem] = msgspec.field(default_factory=list)
    """What should have been written down about sessions, and could not be; it harms none of them."""

    unseen: list[Problem] = msgspec.field(default_factory=list)
    """Packs that could not be looked into by a run that was to bring back all sessions of some kind."""

    impossible: list[str] = msgspec.field(default_factory=list)
    """What an undo cannot take back, in words."""

    @property
    def refused(self) -> list[str]:
        return self.plan.refused if self.plan is not None else []
