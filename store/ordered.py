"""That sessions lie in a pack one behind the other, as whoever wrote it put them there.

What is guarded: no manifest makes us read, or write, more than the pack holds.
"""

from collections.abc import Iterable

from store.frames import Damaged, Span
from store.manifest import Entry


class Order:
    """The sessions of a pack with these frames, as they are gone through from the first to the last."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._sizes = [span.size for span in spans]
        self._left = sum(self._sizes)
        self._before = (0, -1)

    def require_next(self, entry: Entry) -> None:
        """`Damaged` if the session cannot lie behind those before it."""
        place = entry.frame, entry.at
        if place <= self._before or entry.frame >= len(self._sizes) or entry.at >= self._sizes[entry.frame]:
            raise Damaged("its manifest has a session where none can be")
        if entry.size > self._left:
            raise Damaged("its manifest tells of more than it holds")
        self._before = place
        self._left -= entry.size
