"""The roots of a store while it is worked on, and the folders of our own below them.

What is guarded: nobody works in another folder than the one that a root was at first.
How folders of ours are made is a matter of `store.folders`, and when those that files have left may go of
`store.moves`.

Folders are kept open, because a run works in few; nothing is decided by a descriptor that was kept but which
folder a name is looked up in.
A folder of our trash has the mode of the one that it stands for, so that whoever makes that one again knows it.
"""

import errno
import os
import stat
from collections.abc import Mapping
from typing import Self

from store import names, opening
from store.folders import make_folders, mode_of
from store.moves import Moves

_KEPT = 8

_AT_ONCE = 8
"""Roots that are opened at once; a store may have hundreds more, and a worker seldom needs them."""


class RootFds:
    """One descriptor for each root of a store, by label, and what it was at first.

    The first root is the one that holds the sessions.
    Those behind the first few are looked at at once, and opened when they are first needed.
    A path may lead to another folder from one moment to the next: OSError if one leads elsewhere than it did at
    first, or, for whoever opens them once more, than it does for those who ``held`` them.
    """

    def __init__(self, roots: Mapping[str, str], held: Mapping[str, os.stat_result] | None = None) -> None:
        self._fds: dict[str, int] = {}
        self._paths = dict(roots)
        self._stats: dict[str, os.stat_result] = {}
        self._kept: dict[tuple[str, str, bool], int] = {}
        self._durable: dict[str, set[str]] = {label: set() for label in roots}
        self.moves = Moves(self)
        try:
            for label, path in roots.items():
                if len(self._fds) < _AT_ONCE:
                    self._fds[label] = opening.open_folder(path)
                    self._stats[label] = os.fstat(self._fds[label])
                else:
                    self._stats[label] = _stat_folder(path)
                if held is not None and label in held:
                    require_same(self._stats[label], held[label], path)
        except BaseException:
            self.close()
            raise
        self.first = next(iter(self._fds))

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self._stats)

    def __getitem__(self, label: str) -> int:
        fd = self._fds.get(label)
        return fd if fd is not None else self._open(label)

    def reach(self, label: str) -> int:
        """The descriptor of a root that may have gone since its label was learnt; FileNotFoundError then."""
        if label not in self._stats:
            raise FileNotFoundError(errno.ENOENT, "the folder that it is in is not there now", label)
        return self[label]

    def add(self, label: str, path: str) -> None:
        """Open one more root, whose label is new; OSError if it cannot be."""
        if label in self._stats:
            raise ValueError(f"there is a root {label} already")
        self._fds[label] = opening.open_folder(path)
        self._stats[label] = os.fstat(self._fds[label])
        self._paths[label] = path
        self._durable[label] = set()

    def stat(self, label: str) -> os.stat_result:
        return self._stats[label]

    @property
    def stats(self) -> Mapping[str, os.stat_result]:
        """What each root was at first: for whoever is to open the same ones once more."""
        return dict(self._stats)

    def home(self, label: str) -> str:
        """The root whose ``.maint`` keeps what leaves this one: the first, if a rename can get there."""
        return self.first if self._stats[label].st_dev == self._stats[self.first].st_dev else label

    def folder(self, label: str, relative: str, *, lasting: bool = True) -> int:
        """A descriptor of a folder of ours below that root, made if missing.

        It stays ours, is not to be closed, and is good until this was asked for ``_KEPT`` other folders.
        One that is not ``lasting`` is for what may be gone after a power cut, which spares waiting for the disk.
        """
        key = (label, relative, lasting)
        fd = self._kept.pop(key, None)
        if fd is None:
            self.moves.made(label, relative)
            durable = self._durable[label] if lasting else None
            fd = make_folders(
                self[label], relative, durable=durable, modes=self._mode_behind, lasting=lasting
            )
            self._make_room()
        self._kept[key] = fd  # behind the others: the first one is the one unused for longest
        return fd

    def existing(self, label: str, relative: str) -> int:
        """As ``folder``, but nothing is made, and nothing is known to be durable; FileNotFoundError if missing."""
        key = (label, relative, False)
        fd = self._kept.pop(key, None)
        if fd is None:
            fd = opening.open_below(self[label], relative, opening.FOLDER_FLAGS)
            self._make_room()
        self._kept[key] = fd
        return fd

    def lost(self, label: str, relative: str) -> None:
        """Note that a folder is gone, whatever is known of it; what was in it went before."""
        for lasting in (True, False):
            fd = self._kept.pop((label, relative, lasting), None)
            if fd is not None:
                os.close(fd)
        self.moves.lost(label, relative)
        self._durable[label].discard(f"/{relative}")

    def forget(self) -> None:
        """Close the folders that are kept open, and take nothing for durable: somebody may have removed one."""
        for paths in self._durable.values():
            paths.clear()
        while self._kept:
            os.close(self._kept.popitem()[1])

    def close(self) -> None:
        self.forget()
        self._stats.clear()
        self._paths.clear()
        while self._fds:
            os.close(self._fds.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, label: str) -> int:
        path = self._paths[label]
        fd = opening.open_folder(path)
        try:
            require_same(os.fstat(fd), self._stats[label], path)
        except OSError:
            os.close(fd)
            raise
        self._fds[label] = fd
        return fd

    def _mode_behind(self, path: str) -> int | None:
        """The mode of the folder that one in our trash stands for, if it is there."""
        kept = names.parse_trash_path(path)
        return mode_of(self[kept.root], kept.path) if kept is not None and kept.root in self._stats else None

    def _make_room(self) -> None:
        if len(self._kept) >= _KEPT:
            os.close(self._kept.pop(next(iter(self._kept))))


def require_same(found: os.stat_result, expected: os.stat_result, path: str) -> None:
    """OSError unless the folder found at a path is the expected one."""
    if not os.path.samestat(found, expected):
        raise OSError(errno.ESTALE, "another folder is there now", path)


def _stat_folder(path: str) -> os.stat_result:
    """What lies at the path of a root, if it is a folder, or a link to one."""
    found = os.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return found
