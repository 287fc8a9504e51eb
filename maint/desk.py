"""What every step of a run in one store needs to know, and whom it tells."""

from collections.abc import Callable, Iterator

import msgspec

from maint.journal import IndexedLine, SealedLine
from store.facts import Place, Problem
from store.roots import RootFds


class Desk(msgspec.Struct, frozen=True):
    """The store, its roots, the run, and who hears of it.

    ``at`` and ``policy_sha256`` go into the packs; ``numbers`` are those of the packs of this run.
    ``sealed`` is told of each pack, and returns when that is durable; ``indexed`` of each file that lists sessions
    and was made true; ``read`` is told of bytes as they are done, and
    ``problem`` of what needs a person, and ``unwritten`` of what could not be written down and harms no session.
    """

    place: Place
    roots: RootFds
    run: str
    at: str
    now: float
    policy_sha256: str
    jobs: int
    numbers: Iterator[int]
    stop: Callable[[], bool]
    sealed: Callable[[SealedLine], None]
    indexed: Callable[[IndexedLine], None]
    read: Callable[[int], None]
    problem: Callable[[Problem], None]
    unwritten: Callable[[Problem], None]
