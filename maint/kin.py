"""Sessions that others began: a child stays for as long as the session that began it does.

A program looks for the children of a session where it left them, so that none of them may go before it does; what
becomes of a session is known only when all passes have been asked about all, so this is settled behind them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from maint.actions import REMOVES_SESSIONS, Action, Verb


class _Outline(msgspec.Struct, frozen=True, gc=False):
    """What is needed of an action to know whose it is."""

    session: str


_decode: Callable[[bytes], _Outline] = msgspec.json.Decoder(_Outline).decode


class Child(NamedTuple):
    """An action that would take a session away from the one that began it."""

    line: bytes
    verb: Verb
    bytes: int
    parent: str


def takes_away(action: Action) -> bool:
    """Whether a session is no longer in its store when this has been done."""
    if action.packing is not None:
        return action.packing.originals != "keep" and action.packing.part == "whole"
    return action.verb in REMOVES_SESSIONS


def with_their_parents(children: Iterable[Child], going: set[str]) -> Iterator[Child]:
    """Those children whose parents go in the same plan, ``going`` being the sessions that do; children of these, too."""
    waiting = list(children)
    while waiting:
        left = []
        for child in waiting:
            if child.parent in going:
                going.add(_decode(child.line).session)
                yield child
            else:
                left.append(child)
        if len(left) == len(waiting):
            return
        waiting = left
