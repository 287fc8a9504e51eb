"""The looks before and after a change, and the words for what they find.

What is guarded: a change acts on the file that was examined, in the condition that was planned, and on no other.
An open descriptor is what makes that certain: while it is held no other file can be the same one.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from store import leases, names, opening
from store.facts import Fingerprint, Member
from store.leases import Lease
from store.roots import RootFds

# How a link is opened itself: without O_PATH or the like, the refusal says that it is one.
_LINK_FLAGS = os.O_CLOEXEC | (
    os.O_PATH | os.O_NOFOLLOW if hasattr(os, "O_PATH") else getattr(os, "O_SYMLINK", os.O_NOFOLLOW)
)


_NOTHING = frozenset({errno.ENOENT, errno.ENAMETOOLONG})
"""Nothing has such a name, or nothing can have it."""


class Skip(Exception):
    """The file is not to be changed now, and was not; the text is a clause that says why."""


class Gone(Skip):
    """There is no file of that name."""

    def __init__(self) -> None:
        super().__init__("is gone")


class Stranded(OSError):
    """A file could neither be changed nor given back its name: nothing is lost, and the text says where it lies."""


def stranded(path: str, reason: str) -> Stranded:
    return Stranded(errno.EBUSY, f"{reason}; it lies in {names.printable(path)}", path)


@contextlib.contextmanager
def opened(
    roots: RootFds, member: Member, flags: int = os.O_RDONLY, *, as_it_is: bool = False
) -> Iterator[tuple[int, int, str]]:
    """The file, as a descriptor that loses its lease at the end, with its folder and its name there.

    With ``as_it_is`` a symbolic link is opened too, itself and not what it leads to.
    """
    _require_root(roots, member.root)
    try:
        with opening.parent_of(roots[member.root], member.path) as (folder, name):
            fd = open_as_it_is(folder, name) if as_it_is else open_file(folder, name, flags)
            try:
                yield fd, folder, name
            finally:
                close(fd)
    except FileNotFoundError:
        raise Gone from None
    except NotADirectoryError:
        raise Skip("lies behind something that is no folder") from None


def open_file(folder: int, name: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a file that may be touched, for reading unless ``flags`` say more; else Skip."""
    try:
        if flags == os.O_RDONLY:
            return opening.open_session(folder, name)
        return os.open(name, opening.SESSION_FLAGS | flags, dir_fd=folder)
    except OSError as error:
        raise as_skip(error) from None


def as_skip(error: OSError) -> Skip:
    """What an open that failed says of the file, if that is why; else the error is raised again."""
    if error.errno == errno.ENOTDIR:
        return Skip("lies behind something that is no folder")
    reason = opening.refused_open(error)
    if reason is None:
        raise error
    return Skip(reason)


def open_as_it_is(folder: int, name: str) -> int:
    """As `open_file`; but a symbolic link is opened itself, which is good for looking at it and nothing else."""
    try:
        return opening.open_session(folder, name)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise as_skip(error) from None
    try:
        fd = os.open(name, _LINK_FLAGS, dir_fd=folder)
    except OSError as error:
        raise as_skip(error) from None
    if not stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise Skip("changed since it was planned")
    return fd


def open_below(roots: RootFds, root: str, folder: str, name: str) -> tuple[int, int]:
    """A folder of a root that is kept open, and the file of that name in it; for many files in few folders.

    A folder that was removed and made again since it was opened is opened once more. Skip if there is no such root.
    """
    _require_root(roots, root)
    if not folder:
        return roots[root], opening.open_session(roots[root], name)
    try:
        fd = roots.existing(root, folder)
        return fd, opening.open_session(fd, name)
    except FileNotFoundError:
        roots.lost(root, folder)
        fd = roots.existing(root, folder)
        return fd, opening.open_session(fd, name)


def _require_root(roots: RootFds, label: str) -> None:
    if label not in roots.labels:
        raise Skip(f"lies below the root {names.printable(label)} of the store, which is not there")


def close(fd: int) -> None:
    """Close a file that may have a lease, which a process forked meanwhile would go on holding."""
    leases.drop_lease(fd)
    os.close(fd)


def require_planned(
    found: os.stat_result,
    folder: os.stat_result,
    planned: Fingerprint,
    *,
    second_name: bool = False,
    as_it_is: bool = False,
) -> None:
    """Skip unless this is the planned file in the planned condition; ``second_name``: but for a link of ours.

    With ``as_it_is`` it may be a symbolic link or a folder, if that very one was planned: what was planned as a file
    can be neither, because no inode turns into one without losing its numbers.
    """
    now = opening.fingerprint(found)
    reason = opening.refuse_reason(found, folder)
    if (
        reason
        and not (second_name and stat.S_ISREG(found.st_mode) and found.st_nlink == 2)
        and not (as_it_is and now.same_condition(planned) and _is_no_file_but_fit(found, folder))
    ):
        raise Skip(reason)
    if now.same_condition(planned) or (second_name and now.same_content(planned)):
        return
    if not now.same_file(planned):
        raise Skip("is another file than the planned one")
    raise Skip("grew since it was planned" if now.size > planned.size else "changed since it was planned")


def _is_no_file_but_fit(found: os.stat_result, folder: os.stat_result) -> bool:
    """Whether this is a link with one name, or a folder, of the owner and on the file system of its folder."""
    if not (stat.S_ISDIR(found.st_mode) or (stat.S_ISLNK(found.st_mode) and found.st_nlink == 1)):
        return False
    return found.st_dev == folder.st_dev and found.st_uid == folder.st_uid


def is_empty(fd: int) -> bool:
    """Whether an open folder holds nothing."""
    with os.scandir(fd) as entries:
        return next(entries, None) is None


def require_quiet(fd: int, *, idle: bool = True) -> Lease:
    """Hold a lease if there are any; Skip if somebody writes, or without ``idle`` if nobody can tell."""
    lease = leases.read_lease(fd)
    if lease is Lease.BUSY:
        raise Skip("is open for writing")
    if lease is Lease.UNAVAILABLE and not idle:
        raise Skip("lies where nobody can tell whether it is open for writing")
    return lease


def stat_at(folder: int, name: str) -> os.stat_result | None:
    """What has this name, or ``None``; a link is not followed."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NOTHING:
            return None
        raise


def stat_below(root: int, rel: str) -> os.stat_result | None:
    """What lies at this path, or ``None``; no link is followed."""
    try:
        with opening.parent_of(root, rel) as (folder, name):
            return stat_at(folder, name)
    except OSError as error:
        if error.errno in _NOTHING:
            return None
        raise


def is_file(found: os.stat_result | None, fd: int) -> bool:
    """Whether a look found the file that is open here."""
    return found is not None and os.path.samestat(found, os.fstat(fd))
