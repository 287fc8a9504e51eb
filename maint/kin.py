"""Sessions that need others: those that another one began, and those that go on from the records of another one.

A child stays for as long as the session that began it does: a program looks for the children of a session where it
left them, so that none of them may go before it does.

The other way round a session that another one rests on, its base, stays for as long as that one is there: without it
the other one cannot be read. It may go once that one has gone, and not in the same plan, because that one may stay
after all. Into a pack it may follow one that is in a pack; the end of its time comes behind that of all that rest on it.

What becomes of a session is known only when all passes have been asked about all, so this is settled behind them.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from maint.actions import REMOVES_SESSIONS, Action, Verb


class Child(NamedTuple):
    """An action that would take a session away from the one that began it: its place among those of its store that wait."""

    place: int
    session: str
    parent: str


class Resting(msgspec.Struct):
    """The bases of a store, by their ids: of what lies in it, and of what is in packs.

    It is ``blind`` where something could not be looked into that may rest on any of them.
    """

    store: set[str] = msgspec.field(default_factory=set)
    packs: set[str] = msgspec.field(default_factory=set)
    blind: bool = False

    def holds(self, base: str, verb: Verb) -> bool:
        """Whether something that is known rests on this session, so that this may not be done to it."""
        return base in self.store or (verb is not Verb.ARCHIVE and base in self.packs)


def plain(session: str) -> str:
    """An id without what tells it from others: that depends on which others there are at the moment."""
    return session.partition("@")[0]


def takes_away(action: Action) -> bool:
    """Whether a session is no longer in its store when this has been done."""
    if action.packing is not None:
        return action.packing.originals != "keep" and action.packing.part == "whole"
    return action.verb in REMOVES_SESSIONS


def with_their_parents(children: Iterable[Child], going: set[str]) -> list[int]:
    """The places of those children whose parents go in the same plan, ``going`` being the sessions that do.

    Children of these are among them; a parent comes before its children.
    """
    waiting: dict[str, list[Child]] = {}
    for child in children:
        waiting.setdefault(child.parent, []).append(child)
    found: list[int] = []
    left = [parent for parent in waiting if parent in going]
    while left:
        for child in waiting.pop(left.pop(), ()):
            found.append(child.place)
            if child.session in waiting:
                left.append(child.session)
    return found
