"""Sums over sessions, small enough to travel between processes and to be added up."""

from collections import Counter

import msgspec

from store.facts import Session, State

DAY = 86_400.0
AGES = (("under a day", DAY), ("under a week", 7 * DAY), ("under a month", 30 * DAY), ("under a year", 365 * DAY))
OLDEST = "a year and more"


class Share(msgspec.Struct):
    """A number of sessions and their bytes."""

    sessions: int = 0
    bytes: int = 0

    def add(self, sessions: int, size: int) -> None:
        self.sessions += sessions
        self.bytes += size


class Tally(msgspec.Struct):
    """What there is in a store: sessions and bytes, by state and by age, and those that nobody may touch."""

    total: Share = msgspec.field(default_factory=Share)
    states: dict[State, Share] = msgspec.field(default_factory=dict)
    ages: dict[str, Share] = msgspec.field(default_factory=dict)
    empty: int = 0
    future: int = 0
    unread: Counter[str] = msgspec.field(default_factory=Counter)

    def count(self, session: Session, now: float) -> None:
        """Take in one session."""
        size = session.bytes
        self.total.add(1, size)
        self.states.setdefault(session.state, Share()).add(1, size)
        age = now - session.ended
        for label, limit in AGES:
            if age < limit:
                break
        else:
            label = OLDEST
        self.ages.setdefault(label, Share()).add(1, size)
        self.empty += session.empty is True

    def merge(self, other: "Tally") -> None:
        """Take in another tally."""
        self.total.add(other.total.sessions, other.total.bytes)
        for state, share in other.states.items():
            self.states.setdefault(state, Share()).add(share.sessions, share.bytes)
        for label, share in other.ages.items():
            self.ages.setdefault(label, Share()).add(share.sessions, share.bytes)
        self.empty += other.empty
        self.future += other.future
        self.unread.update(other.unread)
