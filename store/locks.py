"""The lock of a store, and a look at the locks of others.

What is guarded: two maintainers never work on one store.
The lock is the kernel's, on the file ``.maint/lock`` and on the root folder itself, both tried without waiting.
That the file exists means nothing; it is never deleted.
Whoever renames it, or the whole folder, does not make room for a second holder: the root has no second inode.
A killed holder frees the lock at once, unless children that it forked still run: they hold it with him until the
last one ends, which is wanted, because until then somebody works on the store.

Not guarded: other machines, where the file system's locks do not reach them, and programs that do not ask.
On file systems where a folder cannot be locked, a renamed lock file is noticed only by ``still_ours``.
"""

import contextlib
import fcntl
import os
import stat
import sys
import time
from collections.abc import Iterator
from typing import Self

import msgspec

from store import durable, folders, names, opening, processes

_POLL = 0.05  # seconds
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
_LARGEST_HOLDER = 1 << 16


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who took the lock last, in his own words; he may be gone."""

    pid: int
    start_time: float
    boot_id: str
    host: str
    command: str
    since: float

    @property
    def identity(self) -> processes.Identity:
        return processes.Identity(self.boot_id, self.pid, self.start_time)


class StoreLock:
    """The lock of the store whose first root is the folder ``root_fd``.

    The descriptor stays the caller's and must stay open as long as the lock does.
    """

    def __init__(self, root_fd: int) -> None:
        self._root = root_fd
        self._fds: list[int] = []

    @property
    def held(self) -> bool:
        return bool(self._fds)

    def acquire(self, wait: float = 0.0, *, now: float | None = None) -> bool:
        """Take the lock, trying again for ``wait`` seconds; ``False`` if somebody else kept it all the time.

        Leaves word of who took it, and forgets the runs that were skipped.
        """
        if self.held:
            raise RuntimeError("this lock is held already")
        deadline = time.monotonic() + wait
        while not self._try():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_POLL, left))
        try:
            self._introduce(time.time() if now is None else now)
            _remove(self._root, names.SKIPS)
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Let go, and take the word back; children that were forked meanwhile still hold it until they end.

        Where the disk takes no change any more the word stays, and nobody asks for it while the lock is free.
        """
        try:
            if self.held:
                with contextlib.suppress(OSError):
                    _remove(self._root, names.HOLDER)
        finally:
            self._close()

    def still_ours(self) -> bool:
        """Whether the locked file still is the one that others would try to lock."""
        return self.held and self._is_at_path(self._fds[-1])

    def note_skip(self) -> int:
        """Count a run that found the lock taken; how many there were in a row, this one included."""
        os.close(folders.make_folders(self._root, names.FOLDER))
        with opening.parent_of(self._root, names.SKIPS) as (folder, name):
            fd = os.open(name, _WRITE_FLAGS | os.O_APPEND, 0o600, dir_fd=folder)
        try:
            os.write(fd, b".")  # a byte a skip: appending needs no lock, unlike counting
            return os.fstat(fd).st_size
        finally:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _try(self) -> bool:
        os.close(folders.make_folders(self._root, names.FOLDER))
        try:
            # Closing is how a lock is freed here, and not unlocking: that would take it from forked children too.
            self._fds.append(os.open(".", opening.FOLDER_FLAGS, dir_fd=self._root))
            try:
                taken = _lock(self._fds[-1])
            except OSError:  # some file systems cannot lock a folder: the file alone must do
                taken = True
            if taken:
                with opening.parent_of(self._root, names.LOCK) as (folder, name):
                    self._fds.append(os.open(name, _LOCK_FLAGS, 0o600, dir_fd=folder))
                taken = _lock(self._fds[-1]) and self._is_at_path(self._fds[-1])
        except BaseException:
            self._close()
            raise
        if not taken:
            self._close()
        return taken

    def _close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def _is_at_path(self, fd: int) -> bool:
        try:
            with opening.parent_of(self._root, names.LOCK) as (folder, name):
                return _is_at(folder, name, fd)
        except OSError:
            return False

    def _introduce(self, now: float) -> None:
        me = processes.identity(os.getpid())
        holder = Holder(
            pid=os.getpid(),
            start_time=me.start_time if me else now,
            boot_id=processes.boot_id(),
            host=os.uname().nodename,
            command=names.printable(os.path.basename(sys.argv[0] if sys.argv else "")),
            since=now,
        )
        # Only the holder writes this, and after a power cut it means nothing: no fsync.
        _remove(self._root, names.HOLDER_NEW)
        with opening.parent_of(self._root, names.HOLDER_NEW) as (folder, name):
            fd = durable.create(folder, name)
            try:
                durable.write_all(fd, msgspec.json.encode(holder))
            finally:
                os.close(fd)
            os.replace(name, os.path.basename(names.HOLDER), src_dir_fd=folder, dst_dir_fd=folder)


def holder(root_fd: int) -> Holder | None:
    """Who wrote himself down as the holder, or ``None`` if nobody did; ask when the lock could not be had."""
    try:
        fd = opening.open_below(root_fd, names.HOLDER)
    except OSError:
        return None
    try:
        return msgspec.json.decode(os.read(fd, _LARGEST_HOLDER), type=Holder)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    finally:
        os.close(fd)


@contextlib.contextmanager
def probe_flock(dir_fd: int, rel: str) -> Iterator[tuple[bool, int]]:
    """Hold a recorder's own lock for the time of the context, if nobody else does, and the descriptor of its file.

    ``False`` means that somebody holds it, that it is no regular file, or that another file has its name now: then
    whatever it guards must be left alone.
    Nothing is created or written; FileNotFoundError if there is no such file.
    """
    with opening.parent_of(dir_fd, rel) as (folder, name):
        fd = opening.open_session(folder, name)
        try:
            held = stat.S_ISREG(os.fstat(fd).st_mode) and _lock(fd) and _is_at(folder, name, fd)
            yield held, fd
        finally:
            os.close(fd)


def _lock(fd: int) -> bool:
    """Whether the kernel's lock on an open file, or folder, could be had at once; OSError if it cannot be locked."""
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    # What a refusal means is another matter on each file system: the library knows.
    import filelock  # noqa: PLC0415  20 ms, which whoever gets the lock need not spend

    return filelock.lock_descriptor(fd, blocking=False)


def _is_at(dir_fd: int, name: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(name, dir_fd=dir_fd, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False


def _remove(root_fd: int, relative: str) -> None:
    with contextlib.suppress(FileNotFoundError), opening.parent_of(root_fd, relative) as (folder, name):
        os.unlink(name, dir_fd=folder)
