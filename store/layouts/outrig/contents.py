"""What of outrig's lies in the folder of one session, and what lies there that is not outrig's.

What is guarded: only regular files that are the session's own become members.
Links, FIFOs, files with a second name, of another user or on another file system, and names that cannot be shown are
told and left alone; nothing is followed, nothing but folders is opened.
How deep and how many is bounded, because a server in a container can be made to write whatever somebody likes.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable

from store import leases, opening
from store.facts import Fingerprint, Member
from store.layouts.outrig.grammar import DEPTH, LAUNCHER, LOGS, OWN, is_log_name, is_temp
from store.leases import Lease
from store.names import printable

MOST = 100_000
"""Logs of one session; outrig makes some for each server and helper."""

_ASKED = 64
"""Logs that are asked whether somebody writes to them; the last ones, because old ones are not written to."""

_SHOWN = 3

_NO_FOLDER = (errno.ENOTDIR, errno.ELOOP)
"""What an open of a folder says of a file or, by the system, of a link."""


class Logs:
    """The files below the logs of one session, and what else was found there.

    ``odd`` are the paths of what is no member, with the reason as a clause; ``bare`` are the folders with nothing in
    them, as members; ``beyond`` says that there is more than is looked at.
    """

    __slots__ = ("bare", "beyond", "bytes", "files", "newest", "odd")

    def __init__(self) -> None:
        self.files: list[Member] = []
        self.odd: list[tuple[str, str]] = []
        self.bare: list[Member] = []
        self.beyond = False
        self.bytes = 0
        self.newest = 0.0

    def read(self, folder: int, root: str, prefix: str, around: os.stat_result) -> None:
        """Look at all logs in the folder of a session, whose paths begin with ``prefix``; OSError if one cannot.

        ``around`` is that folder: what lies on another file system, or belongs to somebody else, is not taken.
        """
        path = f"{prefix}{LOGS}"
        try:
            fd = os.open(LOGS, opening.FOLDER_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise
            self.odd.append((path, "is no folder"))
            return
        try:
            self._walk(fd, root, path, around.st_dev, around.st_uid, 1)
        finally:
            os.close(fd)
        self.files.sort(key=_path_of)

    def _walk(self, fd: int, root: str, path: str, device: int, owner: int, depth: int) -> None:
        bare = True
        with os.scandir(fd) as entries:
            for entry in entries:
                bare = False
                name = entry.name
                inner = f"{path}/{name}"
                if len(self.files) + len(self.odd) + len(self.bare) >= MOST or depth > DEPTH:
                    self.beyond = True
                    return
                if not is_log_name(name):
                    self.odd.append((inner, "has a name that cannot be shown"))
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        self._descend(fd, name, root, inner, device, owner, depth)
                        continue
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                # The usual file, told by the cheapest questions; `refuse_reason` says what is wrong with another.
                if (
                    found.st_nlink != 1
                    or found.st_uid != owner
                    or found.st_dev != device
                    or not stat.S_ISREG(found.st_mode)
                ):
                    why = opening.refuse_reason(found, os.fstat(fd))
                    if why is not None or found.st_dev != device:
                        self.odd.append((inner, why or "lies on another file system"))
                        continue
                self.bytes += found.st_size
                self.newest = max(self.newest, found.st_mtime)
                self.files.append(Member(root, inner, opening.fingerprint(found)))
        if bare:
            self.bare.append(Member(root, path, opening.fingerprint(os.fstat(fd))))

    def _descend(self, fd: int, name: str, root: str, path: str, device: int, owner: int, depth: int) -> None:
        try:
            deeper = os.open(name, opening.FOLDER_FLAGS, dir_fd=fd)
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise
            self.odd.append((path, "is no folder any more"))
            return
        try:
            self._walk(deeper, root, path, device, owner, depth + 1)
        finally:
            os.close(deeper)


def _path_of(member: Member) -> str:
    return member.path


def launcher(folder: int, root: str, prefix: str, around: os.stat_result) -> Member | str | None:
    """The launcher that outrig copies into the folder of some sessions; or why what has its name is none."""
    try:
        found = os.stat(LAUNCHER, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    why = opening.refuse_reason(found, around)
    return Member(root, f"{prefix}{LAUNCHER}", opening.fingerprint(found)) if why is None else why


def temps(folder: int, root: str, prefix: str, names: Iterable[str], around: os.stat_result) -> list[Member]:
    """The files of interrupted writes of the record among these names; what only looks like one is left out."""
    found: list[Member] = []
    for name in sorted(names):
        if is_temp(name) is not None:
            with contextlib.suppress(FileNotFoundError):
                looked = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if opening.refuse_reason(looked, around) is None:
                    found.append(Member(root, f"{prefix}{name}", opening.fingerprint(looked)))
    return found


def strangers(names: Iterable[str], ours: Iterable[Member] = ()) -> list[str]:
    """What outrig did not make of what lies in a session's folder, ``ours`` left out too, in order."""
    known = {member.path.rpartition("/")[2] for member in ours}
    return sorted(name for name in names if name not in OWN and name not in known)


def shown(names: list[str]) -> str:
    """A few of these names, for a person."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(printable, names[:_SHOWN])) + more


def is_written(folder: int, prefix: str, files: list[Member]) -> bool:
    """Whether somebody has one of these logs open for writing, as far as that can be told."""
    for member in sorted(files, key=_changed, reverse=True)[:_ASKED]:
        with contextlib.suppress(OSError):
            fd = opening.open_below(folder, member.path.removeprefix(prefix))
            try:
                if leases.probe(fd) is Lease.BUSY:
                    return True
            finally:
                os.close(fd)
    return False


def _changed(member: Member) -> int:
    return member.fingerprint.mtime_ns


def mtime(fingerprint: Fingerprint) -> float:
    return fingerprint.mtime_ns / 1e9
