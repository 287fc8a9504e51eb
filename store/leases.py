"""Asking the kernel whether somebody has a file open for writing, and being told when somebody wants to.

What is guarded: nothing that a live writer appends is missed.
A read lease is granted only while nobody on this machine has the file open for writing, and while it is held
an open for writing waits, for ``/proc/sys/fs/lease-break-time`` seconds at most.
It costs a microsecond.

Not guarded: writers on other machines, file systems that know no leases (UNAVAILABLE: nothing was learned), and
whoever waited for longer than the break time.

When a lease is broken the kernel sends SIGIO, which ends a process that does nothing about it.
So the first lease of a process sets SIGIO to be ignored, if nobody has set a handler, and leaves it that way;
only the main thread can, in any other one the answer is UNAVAILABLE until that was done.
"""

import contextlib
import enum
import errno
import fcntl
import signal
import sys
from collections.abc import Iterator


class Lease(enum.Enum):
    """What came of asking for a lease."""

    HELD = "held"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"


def read_lease(fd: int) -> Lease:
    """Ask for a read lease on the file behind ``fd``, which must be open for reading only.

    HELD: nobody has it open for writing, and whoever tries waits until ``drop_lease`` or the last close.
    BUSY: somebody has it open for writing.
    """
    return _take(fd, fcntl.F_RDLCK)


def write_lease(fd: int) -> Lease:
    """Ask for a write lease: HELD means that nobody else has the file open at all, and that opening it waits."""
    return _take(fd, fcntl.F_WRLCK)


def drop_lease(fd: int) -> None:
    """Give back what ``fd`` holds, if it holds anything; who waited for it goes on at once."""
    if sys.platform == "linux":
        try:  # noqa: SIM105  every removal pays for this, and the context manager would cost thrice the call
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError:
            pass


def broken(fd: int) -> bool:
    """Whether somebody waits for the read lease on ``fd``, or it is not held any more."""
    if sys.platform != "linux":
        return True
    return fcntl.fcntl(fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK


def probe(fd: int) -> Lease:
    """The answer to ``read_lease``, without keeping the lease."""
    lease = read_lease(fd)
    drop_lease(fd)
    return lease


@contextlib.contextmanager
def leased(fd: int) -> Iterator[Lease]:
    """``read_lease`` for the time of the context."""
    try:
        yield read_lease(fd)
    finally:
        drop_lease(fd)


def _take(fd: int, kind: int) -> Lease:
    if sys.platform != "linux" or not _sigio_is_harmless():
        return Lease.UNAVAILABLE
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, kind)
    except OSError as error:
        return Lease.BUSY if error.errno == errno.EAGAIN else Lease.UNAVAILABLE
    return Lease.HELD


def _sigio_is_harmless() -> bool:
    if signal.getsignal(signal.SIGIO) is signal.SIG_DFL:
        try:
            signal.signal(signal.SIGIO, signal.SIG_IGN)
        except ValueError:  # not the main thread
            return False
    return True
