"""Files that are written from what can still be read: whole under their names, else in parts beside them.

What is guarded: a name stands for a whole file only, and whatever has one already keeps it.
A part is called after the byte it begins with: ``NAME.from-OFFSET``.
No link is followed, and modes are never widened, as in `store.unpacking`.
"""

import contextlib
import hashlib
import os
import stat
from typing import NamedTuple

import msgspec

from store import durable, opening, syscalls
from store.folders import make_folders
from store.manifest import PackedMember

_READ = 1 << 20


class Part(msgspec.Struct, frozen=True):
    """A file that was written: its path below the folder, and which bytes of the one it is of are in it.

    ``whole`` says that these are all, and that they are proven as far as can be.
    """

    path: str
    start: int
    bytes: int
    whole: bool


class _Run(NamedTuple):
    """Bytes that follow upon each other, in a file that has no name of its own yet."""

    name: str
    start: int
    stop: int
    digest: str


class Rescued:
    """One file, below a folder, while it is written from its beginning to its end; `drop` it in any case."""

    def __init__(self, top: int, path: str, member: PackedMember | None, start: int = 0) -> None:
        """Without ``member`` nothing is known of it, and all that there is of it is in parts."""
        self._top = top
        self._path = path
        self._member = member
        self._above, _, self._name = path.rpartition("/")
        self._folder = -1
        self._fd = -1
        self._start = self._position = start
        self._digest = hashlib.sha256()
        self._runs: list[_Run] = []

    def put(self, data: bytes | memoryview) -> None:
        """Write what comes next."""
        if self._fd < 0:
            self._begin()
        durable.write_all(self._fd, data)
        self._digest.update(data)
        self._position += len(data)

    def gap(self, size: int) -> None:
        """Leave out what cannot be read."""
        self._end()
        self._position += size

    def settle(self) -> list[Part]:
        """Give what was written its name, or its names; FileExistsError if something else has one."""
        member = self._member
        if member is not None and member.link is not None:
            return self._settle_link(member, member.link)
        if member is not None and self._position == member.size == 0:
            self._begin()
        self._end()
        return [self._place(run) for run in list(self._runs)]

    def drop(self) -> None:
        """Leave nothing but what has its name."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._unlink(self._tmp)
        for run in self._runs:
            self._unlink(run.name)
        self._runs.clear()
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    @property
    def _tmp(self) -> str:
        return f".maint-salvage.{os.getpid()}.{len(self._runs)}"

    def _begin(self) -> None:
        self._open_folder()
        self._fd = durable.create(self._folder, self._tmp)
        self._start = self._position
        self._digest = hashlib.sha256()

    def _end(self) -> None:
        if self._fd < 0:
            return
        if self._member is not None:
            _dress(self._fd, self._member)
        fd, self._fd = self._fd, -1
        self._runs.append(_Run(self._tmp, self._start, self._position, self._digest.hexdigest()))
        os.close(fd)

    def _place(self, run: _Run) -> Part:
        whole = self._is_whole(run)
        suffix = "" if whole else f".from-{run.start}"
        try:
            syscalls.rename_noreplace(
                run.name, self._name + suffix, src_dir_fd=self._folder, dst_dir_fd=self._folder
            )
        except FileExistsError:
            if not self._has(self._name + suffix, run):
                raise
            self._unlink(run.name)  # a salvage before this one has saved it
        self._runs.remove(run)
        return Part(self._path + suffix, run.start, run.stop - run.start, whole)

    def _is_whole(self, run: _Run) -> bool:
        member = self._member
        if member is None or run.start != 0 or run.stop != member.size:
            return False
        return member.sha256 in {run.digest, ""}

    def _has(self, name: str, run: _Run) -> bool:
        """Whether the file of this name has the same content."""
        digest = hashlib.sha256()
        fd = opening.open_session(self._folder, name)
        with open(fd, "rb", buffering=0) as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_size != run.stop - run.start:
                return False
            while data := file.read(_READ):
                digest.update(data)
        return digest.hexdigest() == run.digest

    def _settle_link(self, member: PackedMember, link: str) -> list[Part]:
        digest = hashlib.sha256(link.encode()).hexdigest()
        if member.sha256 not in {digest, ""}:
            return []
        self._open_folder()
        try:
            os.symlink(link, self._name, dir_fd=self._folder)
        except FileExistsError:
            if not self._leads_to(link):
                raise
        return [Part(self._path, 0, 0, whole=True)]

    def _leads_to(self, link: str) -> bool:
        with contextlib.suppress(OSError):
            return os.readlink(self._name, dir_fd=self._folder) == link
        return False

    def _open_folder(self) -> None:
        if self._folder < 0:
            self._folder = make_folders(self._top, self._above, 0o755) if self._above else os.dup(self._top)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._folder)


def _dress(fd: int, member: PackedMember) -> None:
    """Give a file its owner where that is permitted, its mode and its time, as far as these can be."""
    with contextlib.suppress(OSError, OverflowError):
        if os.geteuid() == 0 and (member.uid, member.gid) != (0, 0):
            os.fchown(fd, member.uid, member.gid)
    os.fchmod(fd, member.mode & 0o777)
    with contextlib.suppress(OSError, OverflowError):
        os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))
