"""Sums over sessions, small enough to travel between processes and to be added up."""

from bisect import bisect_right
from collections import Counter

import msgspec

from store.facts import Session, State

DAY = 86_400.0
AGES = ("under a day", "under a week", "under a month", "under a year", "a year and more")
_LIMITS = (DAY, 7 * DAY, 30 * DAY, 365 * DAY)


class Share(msgspec.Struct):
    """A number of sessions and their bytes."""

    sessions: int = 0
    bytes: int = 0


class Tally(msgspec.Struct):
    """What there is in a store, by state and age, and how much of it nobody may judge.

    ``cells`` has a share for each pair of a state and a place in `AGES`.
    ``unread`` counts, by pass, the sessions that lack a fact its ``where`` asks for.
    """

    cells: dict[tuple[State, int], Share] = msgspec.field(default_factory=dict)
    empty: int = 0
    future: int = 0
    unread: Counter[str] = msgspec.field(default_factory=Counter)

    def count(self, session: Session, now: float) -> None:
        """Take in one session."""
        ended = session.ended_at
        if ended is None:  # asked of every session of every store, and nearly all have it
            ended = session.ended
        key = session.state, bisect_right(_LIMITS, now - ended)
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = Share()
        cell.sessions += 1
        cell.bytes += session.bytes
        if session.empty:
            self.empty += 1

    def merge(self, other: "Tally") -> None:
        """Take in another tally."""
        for key, share in other.cells.items():
            cell = self.cells.setdefault(key, Share())
            cell.sessions += share.sessions
            cell.bytes += share.bytes
        self.empty += other.empty
        self.future += other.future
        self.unread.update(other.unread)

    @property
    def total(self) -> Share:
        """All sessions."""
        return Share(
            sum(cell.sessions for cell in self.cells.values()),
            sum(cell.bytes for cell in self.cells.values()),
        )

    @property
    def states(self) -> dict[State, Share]:
        """The sessions by state, in the order of `State`."""
        found = {state: Share() for state in State}
        for (state, _), cell in self.cells.items():
            found[state].sessions += cell.sessions
            found[state].bytes += cell.bytes
        return {state: share for state, share in found.items() if share.sessions}

    @property
    def ages(self) -> dict[str, Share]:
        """The sessions by age, youngest first."""
        found = {age: Share() for age in AGES}
        for (_, place), cell in self.cells.items():
            found[AGES[place]].sessions += cell.sessions
            found[AGES[place]].bytes += cell.bytes
        return {age: share for age, share in found.items() if share.sessions}
