"""The roots of a store while it is worked on, and the folders of our own below them.

What is guarded: a folder that is about to receive a file is ours and durable in its parent before it does, or the
file would be gone with it after a power cut.

Folders are kept open, because a run works in few; nothing is decided by a descriptor that was kept but which
folder a name is looked up in.
"""

import contextlib
import errno
import os
from collections.abc import Mapping
from typing import Self

from store import opening
from store.durable import sync_folder

_KEPT = 8


class RootFds:
    """One descriptor for each root of a store, by label, and what it was when it was opened.

    The first root is the one that holds the sessions.
    """

    def __init__(self, roots: Mapping[str, str]) -> None:
        self._fds: dict[str, int] = {}
        self._stats: dict[str, os.stat_result] = {}
        self._kept: dict[tuple[str, str, bool], int] = {}
        self._left: dict[tuple[str, str], int] = {}
        self._durable: dict[str, set[str]] = {label: set() for label in roots}
        try:
            for label, path in roots.items():
                self._fds[label] = opening.open_folder(path)
                self._stats[label] = os.fstat(self._fds[label])
        except BaseException:
            self.close()
            raise
        self.first = next(iter(self._fds))

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self._fds)

    def __getitem__(self, label: str) -> int:
        return self._fds[label]

    def add(self, label: str, path: str) -> None:
        """Open one more root, whose label is new; OSError if it cannot be."""
        if label in self._fds:
            raise ValueError(f"there is a root {label} already")
        self._fds[label] = opening.open_folder(path)
        self._stats[label] = os.fstat(self._fds[label])
        self._durable[label] = set()

    def stat(self, label: str) -> os.stat_result:
        return self._stats[label]

    def home(self, label: str) -> str:
        """The root whose ``.maint`` keeps what leaves this one: the first, if a rename can get there."""
        return self.first if self._stats[label].st_dev == self._stats[self.first].st_dev else label

    def folder(self, label: str, relative: str) -> int:
        """A descriptor of a folder of ours below that root, made if missing.

        It stays ours, is not to be closed, and is good until this was asked for ``_KEPT`` other folders.
        """
        key = (label, relative, True)
        fd = self._kept.pop(key, None)
        if fd is None:
            fd = make_folders(self._fds[label], relative, durable=self._durable[label])
            self._make_room()
        self._kept[key] = fd  # behind the others: the first one is the one unused for longest
        return fd

    def existing(self, label: str, relative: str) -> int:
        """As ``folder``, but nothing is made, and nothing is known to be durable; FileNotFoundError if missing."""
        key = (label, relative, False)
        fd = self._kept.pop(key, None)
        if fd is None:
            fd = opening.open_below(self._fds[label], relative, opening.FOLDER_FLAGS)
            self._make_room()
        self._kept[key] = fd
        return fd

    def put_one(self, label: str, relative: str) -> None:
        """Note that a file has come into a folder of ours, so that ``took_one`` goes on counting from there."""
        key = (label, relative)
        if key in self._left:
            self._left[key] += 1

    def took_one(self, label: str, relative: str, keep: str) -> None:
        """Note that a file has left a folder of ours, and remove the folder, up to ``keep``, if that was its last one.

        The folder is listed once and counted down from there: listing it, or trying to remove it, each time takes
        longer than removing the file.
        A wrong count, because others work there, costs an attempt that fails, or leaves an empty folder.
        """
        key = (label, relative)
        try:
            left = (
                self._left[key] - 1 if key in self._left else len(os.listdir(self.existing(label, relative)))
            )
        except OSError:  # somebody has removed it, or it cannot be listed
            return
        if left > 0:
            self._left[key] = left
            return
        self._left.pop(key, None)
        if remove_empty(self._fds[label], relative, keep):
            self.forget()

    def forget(self) -> None:
        """Close the folders that are kept open, and take nothing for durable: somebody may have removed one."""
        for paths in self._durable.values():
            paths.clear()
        while self._kept:
            os.close(self._kept.popitem()[1])

    def close(self) -> None:
        self.forget()
        while self._fds:
            os.close(self._fds.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_room(self) -> None:
        if len(self._kept) >= _KEPT:
            os.close(self._kept.pop(next(iter(self._kept))))


def make_folders(dir_fd: int, relative: str, mode: int = 0o700, *, durable: set[str] | None = None) -> int:
    """A descriptor of the folder at ``relative``, made with its parents where they are missing.

    A new folder is durable in its parent before this returns.
    So is, with ``durable``, one that exists, because whoever made it may have been killed before he could see to
    that; paths in the set are known to be, and the others are added.
    PermissionError if one that exists is another user's or lies on another file system: then it is not ours.
    """
    top = os.fstat(dir_fd)
    fd = dir_fd
    try:
        path = ""
        for folder in opening.components(relative):
            path = f"{path}/{folder}"
            deeper = _make_folder(fd, folder, mode, sync=durable is not None and path not in durable)
            if durable is not None:
                durable.add(path)
            if fd != dir_fd:
                os.close(fd)
            fd = deeper
            _require_ours(os.fstat(fd), top, relative)
    except BaseException:
        if fd != dir_fd:
            os.close(fd)
        raise
    return fd


def remove_empty(dir_fd: int, relative: str, keep: str) -> bool:
    """Remove the folder and those above it that are empty then, up to ``keep``, which stays; whether any went."""
    removed = False
    while relative != keep:
        try:
            with opening.parent_of(dir_fd, relative) as (folder, name):
                os.rmdir(name, dir_fd=folder)
        except OSError:  # not empty, or somebody else was faster
            break
        removed = True
        relative = relative.rpartition("/")[0]
    return removed


def _require_ours(found: os.stat_result, top: os.stat_result, relative: str) -> None:
    if found.st_dev != top.st_dev or found.st_uid not in {top.st_uid, os.geteuid()}:
        raise PermissionError(errno.EPERM, "not a folder of this store's owner", relative)


def _make_folder(dir_fd: int, name: str, mode: int, *, sync: bool) -> int:
    try:
        fd = os.open(name, opening.FOLDER_FLAGS, dir_fd=dir_fd)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # somebody was faster: theirs is checked like any other
            os.mkdir(name, mode, dir_fd=dir_fd)
        sync_folder(dir_fd, name)
        return os.open(name, opening.FOLDER_FLAGS, dir_fd=dir_fd)
    if sync:
        try:
            sync_folder(dir_fd, name)
        except BaseException:
            os.close(fd)
            raise
    return fd
