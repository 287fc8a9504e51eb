"""Following a path for root, who can follow any: a link takes him only where its maker could have sent him to work.

What is guarded: a link of another user, on the way to a folder that root named, leads root to that user's own folders
and nowhere else.
Where it leads to somebody else's, root would do there, with that one's rights or his own, what was meant for the user.
A link that root made may lead anywhere: he meant where it leads.
What can only be opened by its path is opened by one on which nobody but root can put a link.

Not guarded: a user who moves folders that are not his, because they lie in one of his own.
"""

import errno
import os
import stat

from store import names

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH = getattr(os, "O_PATH", 0)
_MOST_LINKS = 40  # as the kernel has it


def open_for_root(path: str, flags: int) -> int:
    """A descriptor of the folder at ``path``; PermissionError if another user's link leads there, who does not own it."""
    fd = os.open(path, flags)
    try:
        if not _is_plain(path, fd):
            _require_trusted(path, os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def fixed_path(path: str) -> str | None:
    """A path of this folder by which only root decides what lies there, if we are root; ``None`` if others do, too.

    It is for what must be opened by its path. Whoever is not root can lose nothing by it that is not his, and keeps it.
    """
    if os.geteuid() != 0:
        return path
    real = os.path.realpath(path)
    try:
        entry = os.lstat(real)
        if not stat.S_ISDIR(entry.st_mode):
            return None
        above = real
        while above != "/":
            above = os.path.dirname(above)
            folder = os.lstat(above)
            is_open = folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not folder.st_mode & stat.S_ISVTX
            if is_open or {folder.st_uid, entry.st_uid} != {0}:
                return None
            entry = folder
    except OSError:
        return None
    return real


def _is_plain(path: str, fd: int) -> bool:
    """Whether the kernel says that no link was followed: then the path of what was opened is the one that was asked for."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == path
    except OSError:
        return False


def _require_trusted(path: str, opened: os.stat_result) -> None:
    """Walk the path, one link after the other, and see whose these are."""
    makers = {0, opened.st_uid}
    ahead = path.split("/")[::-1]
    folder = os.open("/" if path.startswith("/") else ".", _FOLDER | _PATH)
    links = 0
    try:
        while ahead:
            name = ahead.pop()
            if name in {"", "."}:
                continue
            maker, target = _look(name, folder)
            if target is None:
                deeper = os.open(name, _FOLDER | _PATH, dir_fd=folder)
            else:
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                if maker not in makers:
                    text = "a link of another user leads to a folder that is not his"
                    raise PermissionError(errno.EPERM, text, names.printable(path))
                ahead += target.split("/")[::-1]
                deeper = os.open("/" if target.startswith("/") else ".", _FOLDER | _PATH, dir_fd=folder)
            os.close(folder)
            folder = deeper
        if not os.path.samestat(os.fstat(folder), opened):
            raise OSError(errno.ESTALE, "another folder is there now", path)
    finally:
        os.close(folder)


def _look(name: str, folder: int) -> tuple[int, str | None]:
    """Who made what lies there, and where it leads if it is a link; of one and the same link, where the system can."""
    if not _PATH:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return found.st_uid, os.readlink(name, dir_fd=folder) if stat.S_ISLNK(found.st_mode) else None
    fd = os.open(name, _PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = os.fstat(fd)
        return found.st_uid, os.readlink("", dir_fd=fd) if stat.S_ISLNK(found.st_mode) else None
    finally:
        os.close(fd)
