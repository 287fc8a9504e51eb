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
def opened(roots: RootFds, member: Member, flags: int = os.O_RDONLY) -> Iterator[tuple[int, int, str]]:
    """The file, as a descriptor that loses its lease at the end, with its folder and its name there."""
    try:
        with opening.parent_of(roots[member.root], member.path) as (folder, name):
            fd = open_file(folder, name, flags)
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
        reason = opening.refused_open(error)
        if reason is None:
            raise
        raise Skip(reason) from None


def close(fd: int) -> None:
    """Close a file that may have a lease, which a process forked meanwhile would go on holding."""
    leases.drop_lease(fd)
    os.close(fd)


def require_planned(
    found: os.stat_result, folder: os.stat_result, planned: Fingerprint, *, second_name: bool = False
) -> None:
    """Skip unless this is the planned file in the planned condition; ``second_name``: but for a link of ours."""
    now = opening.fingerprint(found)
    reason = opening.refuse_reason(found, folder)
    if reason and not (second_name and stat.S_ISREG(found.st_mode) and found.st_nlink == 2):
        raise Skip(reason)
    if now == planned or (second_name and now.same_content(planned)):
        return
    if not now.same_file(planned):
        raise Skip("is another file than the planned one")
    raise Skip("grew since it was planned" if now.size > planned.size else "changed since it was planned")


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
    except FileNotFoundError:
        return None


def stat_below(root: int, rel: str) -> os.stat_result | None:
    """What lies at this path, or ``None``; no link is followed."""
    try:
        with opening.parent_of(root, rel) as (folder, name):
            return stat_at(folder, name)
    except FileNotFoundError:
        return None


def is_file(found: os.stat_result | None, fd: int) -> bool:
    """Whether a look found the file that is open here."""
    return found is not None and os.path.samestat(found, os.fstat(fd))
