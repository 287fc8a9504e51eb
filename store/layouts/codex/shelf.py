"""What listing a store gives to the workers that read its threads."""

import uuid
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

import msgspec

from store.layouts.codex.grammar import ID, told_apart

_SIZE = 16


class Shelf(msgspec.Struct, frozen=True):
    """All that is known of a store before a thread is read.

    What changed after ``live_after`` may still be written. ``locked`` are the ids whose writers' locks are there, and
    ``shared`` those that more than one file has.
    ``ids`` are all of them, sixteen bytes each, in order: there may be very many.
    """

    live_after: float
    locked: frozenset[str]
    shared: frozenset[str]
    ids: bytes

    def called(self, id_: str, entry: str) -> str:
        """What the thread of this path is called in its store, where no two may be called the same."""
        return told_apart(entry) if id_ in self.shared else id_

    def known(self, id_: str | None) -> str | None:
        """The id of another thread, as one has it in a record, if that is in the store, and is one thread."""
        return id_ if self.has(id_) and id_ not in self.shared else None

    def has(self, id_: str | None) -> bool:
        """Whether a thread of this id is in the store; five microseconds, which few threads need."""
        if id_ is None or not ID.fullmatch(id_):
            return False
        sought, ids = _packed(id_), self.ids
        place = bisect_left(range(len(ids) // _SIZE), sought, key=lambda n: ids[n * _SIZE : (n + 1) * _SIZE])
        return ids[place * _SIZE : (place + 1) * _SIZE] == sought


def shelved(
    ids: Iterable[str], locked: Iterable[str], live_after: float, compressed: Iterable[str] = ()
) -> Shelf:
    """The shelf of a store with these ids, of which some may be there twice; ``compressed`` are there, and are no sessions."""
    ordered = sorted(map(_packed, ids))
    shared = frozenset(str(uuid.UUID(bytes=one)) for one, other in pairwise(ordered) if one == other)
    if besides := set(map(_packed, compressed)):
        ordered = sorted(besides.union(ordered))
    return Shelf(live_after, frozenset(locked), shared, b"".join(ordered))


def _packed(id_: str) -> bytes:
    return bytes.fromhex(id_.replace("-", ""))
