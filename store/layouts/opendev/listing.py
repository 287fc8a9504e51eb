"""What there is in a store of opendev: sessions to be read, indexes that lie, locks, litter.

Each folder is listed once, and nothing of a session is read but what an index does not know of.

What is guarded: nothing is called an orphan on the strength of a folder that could not be read.
Copies in ``file-history`` belong to a session in any of the projects, so that with one of those out of sight, none of
them is litter; and they are of somebody's own files, so that they are none for as long as the program itself keeps
them.
Payloads are what was said, and more: where nothing else is left of a session, they are that session.
"""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from store import opening
from store.facts import Leftover, Listing, Place, Problem
from store.layout import Moment
from store.layouts.opendev import filenames, index, litter, locks
from store.layouts.opendev.bounded import read_small
from store.layouts.opendev.filenames import (
    GLOBAL,
    HISTORY,
    INDEX_LOCK,
    INDEX_TMP,
    MARKER,
    MEMORY,
    MEMORY_TMP,
    PLANS,
    PLANS_TMP,
    PROJECTS,
    RECORD,
    TRANSCRIPT,
)
from store.layouts.opendev.shelf import BITS, Project, Shelf, entry_of
from store.names import printable

_MARKER_LIMIT = 4096
_COPIES_KEPT = 30 * 86_400.0
"""Seconds for which the program keeps the copies of a session, whatever became of it."""

_LISTABLE = BITS[RECORD] | BITS[TRANSCRIPT]


def list_store(place: Place, moment: Moment) -> Listing:
    """All of a store; OSError if its folder itself cannot be read."""
    root = opening.open_folder(place.path)
    try:
        return _Walk(place, moment, root).listing()
    finally:
        os.close(root)


class _Walk:
    """One walk over a store, and what it has found so far."""

    def __init__(self, place: Place, moment: Moment, root: int) -> None:
        self._place = place
        self._root = root
        self._live_after = moment.now - moment.grace
        self._copies_until = moment.now - _COPIES_KEPT
        self._projects: dict[str, Project] = {}
        self._sessions: dict[str, dict[str, int]] = {}
        self._histories: dict[str, tuple[str, ...]] = {}
        self._sees_all = True
        remote, problems = locks.remotes(place, moment.now)
        self._found = Listing([], None, remote, [], problems, [])

    def listing(self) -> Listing:
        self._folder(GLOBAL, GLOBAL)
        for project in self._names(PROJECTS):
            if not filenames.is_project(project):
                if not project.startswith("."):
                    self._problem(f"{PROJECTS}/{project}", "its name cannot be that of a project; left alone")
                    self._sees_all = False
            else:
                self._folder(
                    f"{PROJECTS}/{project}", project if project != GLOBAL else f"{PROJECTS}/{project}"
                )
        counts = Counter(session for there in self._sessions.values() for session in there)
        shared = frozenset(session for session, count in counts.items() if count > 1)
        self._history(frozenset(counts), shared)
        self._litter(PLANS, PLANS_TMP)
        shelf = Shelf(self._live_after, self._projects, shared, self._histories)
        entries = [
            entry_of(folder, session, there)
            for folder in sorted(self._sessions)
            for session, there in sorted(self._sessions[folder].items())
        ]
        found = self._found
        return Listing(
            entries,
            shelf,
            found.locks,
            sorted(found.leftovers, key=lambda each: each.id),
            found.problems,
            found.indexes,
        )

    def _folder(self, path: str, label: str) -> None:
        """A folder that may hold sessions."""
        try:
            with self._opened(path) as folder:
                if folder is not None:
                    self._project(folder, path, label)
        except OSError as error:
            self._sees_all = False
            self._problem(path, f"cannot be read ({error.strerror}); left alone", grave=True)

    def _project(self, folder: int, path: str, label: str) -> None:
        sessions: dict[str, int] = {}
        odd: list[str] = []
        parse = filenames.parse_session_file
        for name in os.listdir(folder):
            named = parse(name)
            if named is not None:
                sessions[named.session] = sessions.get(named.session, 0) | BITS[named.kind]
            else:
                odd.append(name)
        self._sessions[path] = sessions
        self._projects[path] = Project(label, self._marker(folder) if MARKER in odd else None)
        for name in sorted(odd):
            self._odd(folder, path, name, sessions)
        recorded = {id_ for id_, there in sessions.items() if there & BITS[RECORD]}
        listable = {id_ for id_, there in sessions.items() if there & _LISTABLE}
        damage = index.check(self._place, folder, path, recorded, listable, self._live_after)
        if isinstance(damage, Problem):
            self._found.problems.append(damage)
        elif damage is not None:
            self._found.indexes.append(damage)

    def _odd(self, folder: int, path: str, name: str, sessions: dict[str, int]) -> None:
        """A name in a project's folder that is none of a session's files."""
        named = filenames.parse_leftover(name)
        if named is not None or name in {INDEX_TMP, INDEX_LOCK}:
            self._take(litter.look_at(self._place, folder, path, name))
            if named is not None and named.session in sessions and named.kind in BITS:
                sessions[named.session] |= BITS[named.kind]
        elif name == MEMORY:
            self._memory(path)
        elif filenames.looks_like_session(name):
            self._problem(f"{path}/{name}", "its name cannot be one of opendev's session files; left alone")

    def _memory(self, project: str) -> None:
        path = f"{project}/{MEMORY}"
        try:
            with self._opened(path) as folder:
                if folder is None:
                    return
                names = os.listdir(folder)
                lock = locks.consolidation(self._place, folder, project, names)
                if isinstance(lock, Problem):
                    self._found.problems.append(lock)
                elif lock is not None:
                    self._found.locks.append(lock)
                if MEMORY_TMP in names:
                    self._take(litter.look_at(self._place, folder, path, MEMORY_TMP))
        except OSError as error:
            self._problem(path, f"cannot be read ({error.strerror}); left alone")

    def _litter(self, path: str, name: str) -> None:
        """A temp file of this name in a folder that is of no further interest."""
        try:
            with self._opened(path) as folder:
                if folder is not None:
                    self._take(litter.look_at(self._place, folder, path, name))
        except OSError as error:
            self._problem(path, f"cannot be read ({error.strerror}); left alone")

    def _history(self, known: frozenset[str], shared: frozenset[str]) -> None:
        """Copies of files that sessions changed, for their undo: of a session, of several, or of none."""
        for session in self._names(HISTORY):
            if not filenames.is_session_id(session):
                continue
            path = f"{HISTORY}/{session}"
            try:
                with self._opened(path) as folder:
                    if folder is None:
                        continue
                    names = sorted(os.listdir(folder))
                    copies = tuple(filter(filenames.is_copy, names))
                    for name in filter(filenames.is_copy_tmp, names):
                        self._take(litter.look_at(self._place, folder, path, name))
                    if session in shared:
                        self._problem(
                            path, "it may belong to either of several sessions of that id; left alone"
                        )
                    if session in known:
                        self._histories[session] = copies
                    elif self._sees_all:
                        self._orphaned_copies(folder, path, session, copies)
            except OSError as error:
                if session in known:  # better no copies known than a session without them moved away
                    self._histories[session] = (filenames.MANIFEST,)
                self._problem(path, f"cannot be read ({error.strerror}); left alone")

    def _orphaned_copies(self, folder: int, path: str, session: str, copies: tuple[str, ...]) -> None:
        files = [(f"{path}/{name}", self._stat(folder, path, name)) for name in copies]
        there = [(at, found) for at, found in files if found is not None]
        if (
            there
            and len(there) == len(files)
            and max(found.st_mtime for _, found in there) < self._copies_until
        ):
            what = "copies of files that a session changed which is gone"
            self._found.leftovers.append(litter.leftover(self._place, path, what, there, session))

    def _stat(self, folder: int, path: str, name: str) -> os.stat_result | None:
        """What has this name, if it may be touched; else it is told why not."""
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None
        if (reason := opening.refuse_reason(found, os.fstat(folder))) is not None:
            self._problem(f"{path}/{name}", f"expected a file of opendev's, but it {reason}; left alone")
            return None
        return found

    def _marker(self, folder: int) -> str | None:
        """Whose sessions a folder holds, as its program wrote it down."""
        data = read_small(folder, MARKER, _MARKER_LIMIT)
        try:
            return data.decode().rstrip("\n") or None if data is not None else None
        except UnicodeDecodeError:
            return None

    def _names(self, path: str) -> list[str]:
        """What is in a folder of folders, sorted; nothing where it is missing."""
        try:
            with self._opened(path) as folder:
                return [] if folder is None else sorted(os.listdir(folder))
        except OSError as error:
            self._sees_all = False
            self._problem(path, f"cannot be read ({error.strerror}); left alone", grave=True)
            return []

    @contextmanager
    def _opened(self, path: str) -> Iterator[int | None]:
        """A folder below the root, or ``None`` where there is nothing, or no folder; a link is told of."""
        try:
            folder = opening.open_below(self._root, path, opening.FOLDER_FLAGS)
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                raise
            if self._is_link(path):
                self._sees_all = False
                self._problem(path, "expected a folder, but it is a symbolic link; left alone")
            yield None
            return
        try:
            yield folder
        finally:
            os.close(folder)

    def _is_link(self, path: str) -> bool:
        try:
            with opening.parent_of(self._root, path) as (above, name):
                return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
        except OSError:
            return True

    def _take(self, found: Leftover | Problem | None) -> None:
        if isinstance(found, Problem):
            self._found.problems.append(found)
        elif found is not None:
            self._found.leftovers.append(found)

    def _problem(self, path: str, text: str, *, grave: bool = False) -> None:
        self._found.problems.append(Problem(self._place.name, printable(path), text, grave))
