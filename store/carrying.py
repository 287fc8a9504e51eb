"""Carrying late lines over: what was appended to a session's old file after its successor was written.

What is guarded: a line that a writer appends through a descriptor of the old file ends up in the new one too, once,
behind what is there.
As long as somebody has the old file open for writing nothing of it is carried over: what he has written so far may be
half a line, or room that he is about to fill.
"""

import os
import stat
import time

from store import durable, edges, leases, looking, names, opening
from store.barriers import LATER, Durable, Steps
from store.facts import Member
from store.leases import Lease
from store.looking import Skip
from store.roots import RootFds

_PATIENCE = 2.0  # seconds for a writer that was kept waiting to finish his line


def carry_over(roots: RootFds, member: Member, run: str, *, carried: int = 0) -> int:
    """Append to a rewritten session what was added to its backup since, unless it holds that already; how many bytes.

    ``member`` is what was planned before the rewrite; so many bytes behind that are known to be ``carried`` over.
    Nothing is done while somebody has the backup open for writing: ask again later.
    Raises Skip if there is no such backup, or the session is gone.
    """
    since = member.fingerprint.size + carried
    backup = names.backup_path(run, member.root, member.path)
    try:
        old = opening.open_below(roots[roots.home(member.root)], backup)
    except FileNotFoundError:
        raise Skip("has no backup of that run") from None
    try:
        # Whoever opens it behind this look writes behind it, too, and is seen by the next one.
        writes = leases.probe(old) is Lease.BUSY
        found = os.fstat(old)
        if writes or not stat.S_ISREG(found.st_mode) or found.st_size <= since:
            return 0
        if found.st_size - since > edges.RECORD_LIMIT:
            raise Skip("was appended to by more than can be carried over at once")
        late = os.pread(old, found.st_size - since, since)
    finally:
        os.close(old)
    with looking.opened(roots, member, os.O_RDWR | os.O_APPEND) as (fd, folder, _):
        reason = opening.refuse_reason(os.fstat(fd), os.fstat(folder))
        if reason:
            raise Skip(reason)
        if _holds(fd, late):
            return 0
        durable.write_all(fd, late)
        durable.sync_file(fd, member.path)
    return len(late)


def carry_tail(old: int, since: int, new: int, what: str) -> Steps[tuple[int, bool]]:
    """Append to the new file what late writers have added to the old one, when there are none any more.

    How many bytes that was, and whether they take too long: then it is none, and somebody still has the old one open
    for writing.
    """
    deadline = time.monotonic() + _PATIENCE
    while (lease := leases.read_lease(old)) is Lease.BUSY:
        if time.monotonic() > deadline:
            return 0, True
        yield LATER
    carried = 0
    while more := durable.append_rest(old, since + carried, new):
        carried += more
        yield Durable(new, what)
        if lease is Lease.HELD:
            break  # it was held before the copy, so that the copy is all there will be
    return carried, False


def _holds(fd: int, needle: bytes) -> bool:
    """Whether the file contains these bytes in one piece."""
    position = 0
    overlap = b""
    while data := os.pread(fd, 1 << 20, position):
        if needle in overlap + data:
            return True
        overlap = (overlap + data)[-(len(needle) - 1) :] if len(needle) > 1 else b""
        position += len(data)
    return False
