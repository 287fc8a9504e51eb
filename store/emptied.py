"""The folders that a session leaves behind when its files go: those that were made for it alone.

What is guarded: a folder goes only by a call that takes no folder which holds anything, and only if the program that
owns the store makes folders of that name for one session; what somebody has put into one stays, and is named.

Nothing here changes anything: whoever asked moves or removes what he is told of.
"""

import itertools
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import NamedTuple

from store import names, opening
from store.facts import Fingerprint, Member
from store.folders import mode_of
from store.roots import RootFds

Owned = Callable[[str, str], bool]
"""Whether the program makes a folder of this path, below the root of this label, for one session alone."""

MOST_TOLD = 5
"""Names of what others have put there that are told, before it is only said that there are more."""

_MOST_LISTED = (
    1000  # entries of a folder that are looked at: one with more is none that only a session was in
)
_DEEPEST = 32


class Emptied(NamedTuple):
    """What the files of a session leave behind.

    ``folders`` are owned ones by root and path, the deepest first.
    ``bare`` are empty ones that no file of the session lay in, as far as they go with one that a file lay in: whoever
    makes that one again finds them there.
    ``foreign`` is what else is there, printable, below the topmost owned folder.
    """

    folders: list[tuple[str, str]]
    bare: list[Member]
    foreign: list[str]


def look(roots: RootFds, members: Iterable[Member], owned: Owned) -> Emptied:
    """What lies in the owned folders of files that are gone by now."""
    return _look(roots, members, owned, gone=True)


def told(foreign: list[str]) -> list[str]:
    """Some names of many, in the order of the alphabet."""
    more = len(foreign) - MOST_TOLD
    return sorted(foreign)[:MOST_TOLD] + ([f"and {more} more"] if more > 0 else [])


def folders_of(roots: RootFds, members: Iterable[Member], owned: Owned) -> tuple[tuple[str, str, int], ...]:
    """The owned folders of files that are in their places, from the top: root, path and mode, as packs remember them."""
    known = tuple(members)
    found = _look(roots, known, owned, gone=False)
    paths = {(member.root, member.path) for member in found.bare}.union(found.folders)
    for member in known:  # of a folder that holds very many, not all are looked at
        paths.update((member.root, folder) for folder in _above(member.path) if owned(member.root, folder))
    modes = ((root, path, mode_of(roots[root], path)) for root, path in sorted(paths))
    return tuple((root, path, mode) for root, path, mode in modes if mode is not None)


def _look(roots: RootFds, members: Iterable[Member], owned: Owned, *, gone: bool) -> Emptied:
    places = {(member.root, member.path) for member in members if "/" in member.path}
    if not places:  # they lie in the root itself, as all of a flat store do
        return Emptied([], [], [])
    used = {(root, folder) for root, path in places for folder in _above(path)}
    look = _Look(roots, owned, used, frozenset() if gone else places)
    for root, top in _tops(sorted(places), owned):
        with suppress(OSError):  # gone, or no folder any more
            look.into(root, top, top)
    return look.found


def _above(path: str) -> Iterator[str]:
    """The folders that a path lies in, the deepest first."""
    while path := posixpath.dirname(path):
        yield path


def _tops(places: Iterable[tuple[str, str]], owned: Owned) -> dict[tuple[str, str], None]:
    """The topmost owned folder that each file lies in, in order."""
    tops: dict[tuple[str, str], None] = {}
    for root, path in places:
        ours = [folder for folder in _above(path) if owned(root, folder)]
        if ours:
            tops[root, ours[-1]] = None
    return tops


class _Look:
    """A look through owned folders; ``used`` are those that files of the session lie or lay in, ``files`` those files."""

    def __init__(
        self,
        roots: RootFds,
        owned: Owned,
        used: AbstractSet[tuple[str, str]],
        files: AbstractSet[tuple[str, str]],
    ) -> None:
        self._roots = roots
        self._owned = owned
        self._used = used
        self._files = files
        self.found = Emptied([], [], [])

    def into(self, root: str, path: str, top: str) -> tuple[bool, list[Member]]:
        """Whether a folder holds nothing of others, and the bare ones in it that may go if the next one above does."""
        entries, print_of = self._entries(root, path)
        clean = True
        bare: list[Member] = []
        for name, is_folder in entries:
            below = f"{path}/{name}"
            if (root, below) in self._files:
                continue
            if is_folder and below.count("/") < _DEEPEST and self._owned(root, below):
                try:
                    clean_below, bare_below = self.into(root, below, top)
                except OSError:
                    pass
                else:
                    clean = clean and clean_below
                    bare += bare_below
                    continue
            clean = False
            self.found.foreign.append(names.printable(below[len(top) + 1 :]))
        used = (root, path) in self._used or self._roots.moves.is_emptied(root, path)
        if not entries and not used:
            return True, [Member(root, path, print_of)]
        self.found.folders.append((root, path))
        if used:
            self.found.bare.extend(bare if clean else ())
            bare = []
        return clean, bare

    def _entries(self, root: str, path: str) -> tuple[list[tuple[str, bool]], Fingerprint]:
        """What a folder holds, by name and whether it is a folder itself, and the folder's own fingerprint."""
        fd = opening.open_below(self._roots[root], path, opening.FOLDER_FLAGS)
        try:
            with os.scandir(fd) as listing:
                entries = sorted(
                    (entry.name, entry.is_dir(follow_symlinks=False))
                    for entry in itertools.islice(listing, _MOST_LISTED)
                )
            return entries, opening.fingerprint(os.fstat(fd))
        finally:
            os.close(fd)
