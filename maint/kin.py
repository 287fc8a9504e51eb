"""Sessions that need others: those that another one began, and those that go on from the records of another one.

A child stays for as long as the session that began it does: a program looks for the children of a session where it
left them, so that none of them may go before it does.

The other way round a session that another one rests on, its base, stays for as long as that one is in the store:
without it the other one cannot be read. It may go once that one has gone, and not in the same plan, because that one
may stay after all. Then it may go into a pack; into the trash, and to the end of its time in a pack, it goes only when
nothing that rests on it is kept anywhere, in a pack or in the trash.

What becomes of a session is known only when all passes have been asked about all, so this is settled behind them.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from maint.actions import REMOVES_SESSIONS, Action, Verb
from store.facts import Problem, Session

UNSURE = "what could not be looked into may rest on it"


class Child(NamedTuple):
    """An action that would take a session away from the one that began it: its place among those of its store that wait."""

    place: int
    session: str
    parent: str


class Resting(msgspec.Struct):
    """The bases of a store by their plain ids: of what lies in it, with something that rests on each, and of what is
    ``kept``, in packs and in the trash.

    It is ``blind`` where something in the store could not be looked into that may rest on any session, and
    ``blind_to_kept`` where that is so of packs or of the trash.
    """

    store: dict[str, str] = msgspec.field(default_factory=dict)
    kept: set[str] = msgspec.field(default_factory=set)
    blind: bool = False
    blind_to_kept: bool = False

    def take(self, found: Session | Problem) -> None:
        """Take in what was read of an entry of the store."""
        if found.rests_on is not None:
            self.store[found.rests_on] = found.path if isinstance(found, Problem) else found.id
        if isinstance(found, Problem) and found.hides:
            self.blind = True

    def why_held(self, base: str, verb: Verb) -> str | None:
        """Why this may not be done to the session of that plain id, as a clause; ``None`` if nothing can rest on it.

        Into a pack it may go whatever is kept rests on it.
        """
        if base in self.store:
            return f"{self.store[base]} goes on from its records, and needs them"
        if verb is not Verb.ARCHIVE and base in self.kept:
            return "a session in a pack or in the trash goes on from its records"
        if self.blind or (verb is not Verb.ARCHIVE and self.blind_to_kept):
            return UNSURE
        return None


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
