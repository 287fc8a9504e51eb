"""Folders below a root: made where they are missing, and removed where they are empty.

What is guarded: a folder that is about to receive a file is ours and durable in its parent before it does, or the
file would be gone with it after a power cut; and no folder goes that holds anything.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable

from store import opening
from store.durable import sync_folder

_OWNER = 0o700  # of a folder that we make its owner can always do everything, or we could not work in it
_MODE = 0o777


def make_folders(
    dir_fd: int,
    relative: str,
    mode: int = 0o700,
    *,
    durable: set[str] | None = None,
    modes: Callable[[str], int | None] | None = None,
    made: list[str] | None = None,
    lasting: bool = True,
) -> int:
    """A descriptor of the folder at ``relative``, made with its parents where they are missing.

    A new folder is durable in its parent before this returns, unless it need not be ``lasting``.
    So is, with ``durable``, one that exists, because whoever made it may have been killed before he could see to
    that; paths in the set are known to be, and the others are added.
    ``modes`` may know of a missing folder which bits of reading, writing and running it is to have, but that its
    owner may always do everything; ``made`` is given the paths of those that were made, from the top.
    PermissionError if one that exists is another user's or lies on another file system: then it is not ours.
    """
    top = os.fstat(dir_fd)
    fd = dir_fd
    try:
        path = ""
        for folder in opening.components(relative):
            path = f"{path}/{folder}"
            sync = durable is not None and path not in durable
            try:
                deeper = os.open(folder, opening.FOLDER_FLAGS, dir_fd=fd)
            except FileNotFoundError:
                own = modes(path[1:]) if modes is not None else None
                deeper = _make_folder(fd, folder, mode, own, lasting=lasting)
                if made is not None:
                    made.append(path[1:])
            else:
                if sync:
                    _sync(fd, folder, deeper)
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


def unmake(dir_fd: int, made: Iterable[str]) -> None:
    """Remove folders that were made for nothing, the deepest first, as far as they are empty."""
    for path in sorted(made, reverse=True):
        with contextlib.suppress(OSError), opening.parent_of(dir_fd, path) as (folder, name):
            os.rmdir(name, dir_fd=folder)


def mode_of(dir_fd: int, relative: str) -> int | None:
    """The bits of reading, writing and running of a folder, or ``None`` where there is none, or a link."""
    try:
        with opening.parent_of(dir_fd, relative) as (folder, name):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return stat.S_IMODE(found.st_mode) & _MODE if stat.S_ISDIR(found.st_mode) else None


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


def _make_folder(dir_fd: int, name: str, mode: int, own: int | None, *, lasting: bool) -> int:
    mode = mode if own is None else own & _MODE | _OWNER
    ours = True
    try:
        os.mkdir(name, mode, dir_fd=dir_fd)
    except FileExistsError:  # somebody was faster: his is checked like any other
        ours = False
    if lasting:
        try:
            sync_folder(dir_fd, name)
        except OSError:
            if ours:
                with contextlib.suppress(OSError):
                    os.rmdir(name, dir_fd=dir_fd)
            raise
    fd = os.open(name, opening.FOLDER_FLAGS, dir_fd=dir_fd)
    if ours and own is not None:
        try:
            now = stat.S_IMODE(os.fstat(fd).st_mode)
            if now & _MODE != mode:  # a umask has taken some away
                os.fchmod(fd, now & ~_MODE | mode)
        except BaseException:
            os.close(fd)
            raise
    return fd


def _sync(dir_fd: int, name: str, fd: int) -> None:
    """Make a folder that exists durable in its parent; its descriptor is closed if that fails."""
    try:
        sync_folder(dir_fd, name)
    except BaseException:
        os.close(fd)
        raise
