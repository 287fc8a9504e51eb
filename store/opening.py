"""Opening files and folders of a store that other people can write to.

What is guarded: nothing outside a root is ever read or changed through a path of the store, and no file makes us
wait.
Every path is walked from the root's descriptor, one component at a time, without following links, so that nobody
can swap a folder for a link between a look and an act.
A FIFO, a device or a file under another process's lease does not block an open.

Only the root itself, and what leads to it, may be a link: whoever named it in a policy meant where it leads.
What root named, another user's link leads no further than to his own folders (`store.resolving`).
Not guarded: what is done with a descriptor once it is open, and a user who moves folders within his own store.
"""

import errno
import os
import stat

from store import names
from store.facts import Fingerprint

SESSION_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ROOT_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
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
    if os.geteuid() == 0:
        from store.resolving import open_for_root  # noqa: PLC0415  nobody else need follow with such care

        return open_for_root(path, _ROOT_FLAGS)
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


class parent_of:  # noqa: N801  it is used as a function; a generator would cost as much as the walk itself
    """The folder that holds ``relative``, as a descriptor for the time of the context, and the last component."""

    __slots__ = ("_above", "_fd", "_folders", "_name")

    def __init__(self, dir_fd: int, relative: str) -> None:
        *self._folders, self._name = components(relative)
        self._above = dir_fd
        self._fd = dir_fd

    def __enter__(self) -> tuple[int, str]:
        try:
            for folder in self._folders:
                deeper = os.open(folder, FOLDER_FLAGS, dir_fd=self._fd)
                self._close()
                self._fd = deeper
        except BaseException:
            self._close()
            raise
        return self._fd, self._name

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._fd != self._above:
            fd, self._fd = self._fd, self._above
            os.close(fd)


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


def components(relative: str) -> list[str]:
    """The names in a path below a root, from the top; ValueError for any other kind of path."""
    found = relative.split("/")
    if "\0" in relative or not _NOT_NAMES.isdisjoint(found):
        raise ValueError(f"not a path below a root: {names.printable(relative)!r}")
    return found
