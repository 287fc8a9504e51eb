"""What lies in the folder of Codex: threads to be read, day by day, and the locks of their writers.

The folders of days stay when they are empty: one is made for all threads of a day.
"""

import os
import re
from collections.abc import Iterator

from store import frames, opening
from store.facts import Listing, Place, Problem
from store.frames import Damaged
from store.layout import Moment
from store.layouts.codex.grammar import ARCHIVED, COMPRESSED, LOCK, LOCKS, NAME, SESSIONS, id_of
from store.layouts.codex.records import Header, header
from store.layouts.codex.shelf import shelved
from store.listing import Entries, Listed, lists, names_in
from store.names import ZST, printable

_BEGINNINGS = 1 << 16, 1 << 20  # bytes in which a first line ends, packed or not
_YEAR, _TWO_DIGITS = re.compile(r"[0-9]{4}", re.ASCII), re.compile(r"[0-9]{2}", re.ASCII)


def list_store(place: Place, moment: Moment) -> Listing:
    """Everything but the threads themselves; OSError when the folder of the program cannot be read."""
    root = opening.open_folder(place.path)
    try:
        return _Lister(place, root).listing(moment)
    finally:
        os.close(root)


class _Lister:
    """One look at a store."""

    def __init__(self, place: Place, root: int) -> None:
        self._place = place
        self._root = root
        self._entries = Listed()
        self._compressed: list[str] = []
        self._bases: dict[str, str] = {}
        self._problems: list[Problem] = []

    def listing(self, moment: Moment) -> Listing:
        os.close(os.open(".", opening.FOLDER_FLAGS, dir_fd=self._root))
        self._take(ARCHIVED)
        for year in self._folders(SESSIONS, _YEAR):
            for month in self._folders(year, _TWO_DIGITS):
                for day in self._folders(month, _TWO_DIGITS):
                    self._take(day)
        if self._compressed:
            self._look_into_compressed()
        locked = [match[1] for names in self._names(LOCKS) for match in map(LOCK.fullmatch, names) if match]
        entries = self._entries.in_order()
        compressed = (id_of(path.removesuffix(ZST)) for path in self._compressed)
        shelf = shelved(_ids(entries), locked, moment.now - moment.grace, compressed)
        problems = sorted(self._problems, key=lambda found: found.path)
        return Listing(entries, shelf, problems=problems, bases=self._bases)

    def _take(self, path: str) -> None:
        """Take in the threads of a folder."""
        is_thread, is_compressed = NAME.fullmatch, COMPRESSED.fullmatch
        for names in self._names(path):
            self._entries.take([f"{path}/{name}" for name in names if is_thread(name)])
            self._compressed += [f"{path}/{name}" for name in names if is_compressed(name)]

    def _folders(self, path: str, named: re.Pattern[str]) -> list[str]:
        """The paths of what lies in a folder under such a name; what is no folder, is told when it is listed."""
        return sorted(
            f"{path}/{name}" for names in self._names(path) for name in names if named.fullmatch(name)
        )

    def _names(self, path: str) -> Iterator[list[str]]:
        """The names in a folder below the root; none where there is no such folder, or it is not to be looked into."""
        try:
            folder = opening.open_below(self._root, path, opening.FOLDER_FLAGS)
        except FileNotFoundError:
            return
        except OSError as error:
            what = "it is none, or a link" if isinstance(error, NotADirectoryError) else error.strerror
            text = f"expected a folder of Codex's, but it cannot be read ({what}); left alone"
            self._problems.append(Problem(self._place.name, printable(path), text, grave=True, hides=True))
            return
        try:
            yield from names_in(folder)
        finally:
            os.close(folder)

    def _look_into_compressed(self) -> None:
        """Read what the threads rest on that the program has compressed; nothing else is done about them."""
        for path in self._compressed:
            try:
                told = self._header_of(path)
            except (OSError, Damaged) as error:
                text = f"cannot be read ({error}); left alone"
                self._problems.append(Problem(self._place.name, printable(path), text, hides=True))
                continue
            if told is None or (told.is_fork and told.base is None):
                text = "its first line does not say what it rests on; left alone"
                self._problems.append(Problem(self._place.name, printable(path), text, hides=True))
            elif told.base is not None:
                self._bases[told.base] = told.id
        text = (
            f"{len(self._compressed)} sessions that Codex has compressed itself (*.jsonl.zst) are left alone"
        )
        self._problems.append(Problem(self._place.name, "", text))

    def _header_of(self, path: str) -> Header | None:
        with open(opening.open_below(self._root, path), "rb", buffering=0) as file:
            for most in _BEGINNINGS:
                file.seek(0)
                line, ends, _ = frames.beginning(file.read(most) or b"", most).partition(b"\n")
                if ends:
                    return header(line)
        return None


def _ids(entries: Entries) -> Iterator[str]:
    return (id_of(entry) for some in lists(entries) for entry in some)
