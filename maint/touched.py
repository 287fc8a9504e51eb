"""Which sessions something was done to, for the files in which their program lists them (`maint.indexing`)."""

from collections.abc import Iterable

from maint.actions import Action, Outcome, Result, Verb
from store.facts import Place
from store.layout import layout_of


class Touched:
    """The sessions of one store to which something was done, by the file that lists them.

    A file that was itself brought back told of its sessions when they were as they are now: it is left as it is, unless
    one of them did not come back with it.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._layout = layout_of(place.kind)
        self._sessions: dict[tuple[str, str], set[str]] = {}
        self._undone: set[tuple[str, str]] = set()
        self._brought_back: set[tuple[str, str]] = set()

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Take in what became of actions; the file itself will be asked what is there."""
        if self._layout.has_index:
            for each in outcomes:
                self._take(each.path, each.result, back=each.verb is Verb.RESTORE)

    def take_actions(self, actions: Iterable[Action]) -> None:
        """Take in actions of which nobody knows what became."""
        if self._layout.has_index:
            for each in actions:
                self._take(each.path, Result.LOST, back=False)

    def pop(self, index: tuple[str, str]) -> frozenset[str]:
        """The sessions of an index, which somebody else makes tell of them."""
        return frozenset(self._sessions.pop(index, ()))

    def __contains__(self, index: object) -> bool:
        return index in self._sessions

    def indexes(self) -> list[tuple[tuple[str, str], frozenset[str]]]:
        """The indexes that must be made to tell of these sessions, in order."""
        told = self._brought_back - self._undone
        return [
            (index, frozenset(sessions))
            for index, sessions in sorted(self._sessions.items())
            if index not in told
        ]

    def _take(self, absolute: str, result: Result, *, back: bool) -> None:
        for label, root in self._place.roots.items():
            if not absolute.startswith(f"{root}/"):
                continue
            path = absolute[len(root) + 1 :]
            index = self._layout.index_of(label, path)
            session = self._layout.session_of(label, path)
            if index is None or session is None:
                if back and result is Result.DONE:
                    self._brought_back.add((label, path))
                return
            if result is not Result.DONE:
                self._undone.add((label, index))
            if result is not Result.SKIPPED:
                self._sessions.setdefault((label, index), set()).add(session)
            return
