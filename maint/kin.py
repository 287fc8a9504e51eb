"""Sessions that others began: a child stays for as long as the session that began it does.

A program looks for the children of a session where it left them, so that none of them may go before it does; what
becomes of a session is known only when all passes have been asked about all, so this is settled behind them.

The other way round is simpler: a session that another one rests on stays for as long as that one is in the store.
"""

from collections.abc import Iterable
from typing import NamedTuple

from maint.actions import REMOVES_SESSIONS, Action


class Child(NamedTuple):
    """An action that would take a session away from the one that began it: its place among those of its store that wait."""

    place: int
    session: str
    parent: str


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
