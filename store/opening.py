"""Opening files and folders of a store that other people can write to.

What is guarded: nothing outside a root is ever read or changed through a path of the store, and no file makes us
wait.
Every path is walked from the root's descriptor, one component at a time, without following links, so that nobody
can swap a folder for a link between a look and an act.
A FIFO, a device or a file under another process's lease does not block an open.

Only the root itself may be a link: whoever named it in a policy meant where it leads.
Not guarded: what is done with a descriptor once it is open, and a user who moves folders within his own store.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Self

from store import names
from store.facts import Fingerprint

SESSION_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ROOT_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_KEPT = 8
_NOT_NAMES = frozenset({"", ".", ".."})

_KINDS = {
    stat.S_IFDIR: "is a folder",
    stat.S_IFLNK: "is a symbolic link",
    stat.S_IFIFO: "is a FIFO",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}

# What an open for reading says of files that are none of a session's.
_REFUSED_OPENS = {
    errno.ELOOP: "is a symbolic link",
    errno.ENXIO: "is a socket or a device",
    errno.EAGAIN: "is under another process's lease",
}


def open_folder(path: str) -> int:
    """A descriptor of the folder at ``path``, the root of a store; a link to a folder will do."""
    return os.open(path, _ROOT_FLAGS)


def open_below(dir_fd: int, relative: str, flags: int = SESSION_FLAGS) -> int:
    """A descriptor of what lies at ``relative`` below the folder ``dir_fd``; no component may be a link.

    ValueError for a path that is absolute or has empty, ``.`` or ``..`` components.
    OSError as opening does: ELOOP or ENOTDIR where there is a link on the way.
    """
    with parent_of(dir_fd, relative) as (folder, name):
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)


def open_session(dir_fd: int, name: str) -> int:
    """A descriptor of the file ``name`` in the folder ``dir_fd``, for reading, without waiting or following."""
    if name in _NOT_NAMES or "/" in name:
        raise ValueError(f"not the name of a file: {names.printable(name)!r}")
    return os.open(name, SESSION_FLAGS, dir_fd=dir_fd)


@contextlib.contextmanager
def parent_of(dir_fd: int, relative: str) -> Iterator[tuple[int, str]]:
    """The folder that holds ``relative``, as a descriptor for the time of the context, and the last component."""
    *folders, name = _components(relative)
    fd = dir_fd
    try:
        for folder in folders:
            deeper = os.open(folder, FOLDER_FLAGS, dir_fd=fd)
            if fd != dir_fd:
                os.close(fd)
            fd = deeper
        yield fd, name
    finally:
        if fd != dir_fd:
            os.close(fd)


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
        for folder in _components(relative):
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


def fingerprint(found: os.stat_result) -> Fingerprint:
    return Fingerprint(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def refuse_reason(found: os.stat_result, folder: os.stat_result) -> str | None:
    """Why a file in this folder is not to be touched, as a clause, or ``None``."""
    if not stat.S_ISREG(found.st_mode):
        return _KINDS.get(stat.S_IFMT(found.st_mode), "is no regular file")
    if found.st_nlink > 1:
        return "has more than one hard link"
    if found.st_dev != folder.st_dev:
        return "lies on another file system than its folder"
    if found.st_uid != folder.st_uid:
        return "belongs to another user than its folder"
    return None


def refused_open(error: OSError) -> str | None:
    """What a failed open says of the file, as a clause, if it says that the file is none to be touched."""
    return _REFUSED_OPENS.get(error.errno or 0)


class RootFds:
    """One descriptor for each root of a store, by label, and what it was when it was opened.

    The first root is the one that holds the sessions.
    Our own folders are opened through this too, and the last ones are kept open, because a run works in few.
    """

    def __init__(self, roots: Mapping[str, str]) -> None:
        self._fds: dict[str, int] = {}
        self._stats: dict[str, os.stat_result] = {}
        self._kept: dict[tuple[str, str], int] = {}
        self._durable: dict[str, set[str]] = {label: set() for label in roots}
        try:
            for label, path in roots.items():
                self._fds[label] = open_folder(path)
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

    def stat(self, label: str) -> os.stat_result:
        return self._stats[label]

    def home(self, label: str) -> str:
        """The root whose ``.maint`` keeps what leaves this one: the first, if a rename can get there."""
        return self.first if self._stats[label].st_dev == self._stats[self.first].st_dev else label

    def folder(self, label: str, relative: str) -> int:
        """A descriptor of a folder of ours below that root, made if missing.

        It stays ours, is not to be closed, and is good until this was asked for ``_KEPT`` other folders.
        """
        key = (label, relative)
        fd = self._kept.pop(key, None)
        if fd is None:
            fd = make_folders(self._fds[label], relative, durable=self._durable[label])
            if len(self._kept) >= _KEPT:
                os.close(self._kept.pop(next(iter(self._kept))))
        self._kept[key] = fd  # behind the others: the first one is the one unused for longest
        return fd

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


def _require_ours(found: os.stat_result, top: os.stat_result, relative: str) -> None:
    if found.st_dev != top.st_dev or found.st_uid not in {top.st_uid, os.geteuid()}:
        raise PermissionError(errno.EPERM, "not a folder of this store's owner", relative)


def _make_folder(dir_fd: int, name: str, mode: int, *, sync: bool) -> int:
    from store.durable import sync_folder  # noqa: PLC0415  that module walks paths with this one

    try:
        fd = os.open(name, FOLDER_FLAGS, dir_fd=dir_fd)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # somebody was faster: theirs is checked like any other
            os.mkdir(name, mode, dir_fd=dir_fd)
        sync_folder(dir_fd, name)
        return os.open(name, FOLDER_FLAGS, dir_fd=dir_fd)
    if sync:
        try:
            sync_folder(dir_fd, name)
        except BaseException:
            os.close(fd)
            raise
    return fd


def _components(relative: str) -> list[str]:
    components = relative.split("/")
    if "\0" in relative or not _NOT_NAMES.isdisjoint(components):
        raise ValueError(f"not a path below a root: {names.printable(relative)!r}")
    return components
