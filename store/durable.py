"""Bytes that are still there after the power was cut, or an error that is not forgotten.

What is guarded: nobody takes a file for durable that is not.
A kernel reports a failed write-back once; the next fsync says that all is well while the bytes are gone.
So a failed fsync raises ``Poisoned``, as does a file that reads back as another one than was written,
and whoever gets that must not try again, must not rename the file into place, and must not remove anything for its
sake.

Not guarded: disks that say they have written and have not.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import sys
from collections.abc import Iterable

from store import opening, syscalls

_NEW_FLAGS = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK = 1 << 20
_TOGETHER = 1 << 16


class Poisoned(OSError):
    """The kernel could not make something durable; what the disk holds of it is not known any more."""


def sync_file(fd: int, what: str) -> None:
    """Return when the content of ``fd`` is durable; ``what`` names it in the error."""
    try:
        if sys.platform == "darwin":
            try:
                # There, fsync alone leaves the bytes in the cache of the disk.
                fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            except OSError as error:
                if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.ENOTTY}:
                    raise
                os.fsync(fd)
        else:
            os.fsync(fd)
    except OSError as error:
        raise Poisoned(error.errno, error.strerror, what) from error


def sync_folder(fd: int, what: str) -> None:
    """Return when the names in the folder ``fd`` are durable; ``what`` names it in the error."""
    try:
        os.fsync(fd)
    except OSError as error:
        raise Poisoned(error.errno, error.strerror, what) from error


def sync_file_system(fd: int, what: str) -> None:
    """Return when everything written so far to the file system of ``fd`` is durable: cheaper for many files."""
    try:
        syscalls.syncfs(fd)
    except OSError as error:
        raise Poisoned(error.errno, error.strerror, what) from error


def ask_disk(fd: int) -> None:
    """Tell the kernel to forget its copy of a durable file, and to begin reading that from the disk."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):  # it is advice
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED)


def require_on_disk(fd: int, digest: bytes, what: str) -> None:
    """Read a durable file back and compare it with the SHA-256 of what was written to it; Poisoned if it differs.

    It proves something about the disk if that was asked before (`ask_disk`) and the kernel listened; else only that
    the right bytes were written.
    """
    found = hashlib.sha256()
    position = 0
    try:
        while data := os.pread(fd, _BLOCK, position):
            found.update(data)
            position += len(data)
    except OSError as error:
        raise Poisoned(error.errno, error.strerror, what) from error
    if found.digest() != digest:
        raise Poisoned(errno.EIO, "other bytes were read back than were written", what)


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write every byte: one write may take fewer, on a full disk for example, without being an error."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_pieces(fd: int, pieces: Iterable[bytes]) -> bytes:
    """Write every piece; the SHA-256 of them all. Small ones are written together, for each write takes its time."""
    digest = hashlib.sha256()
    some: list[bytes] = []
    size = 0
    for piece in pieces:
        some.append(piece)
        size += len(piece)
        if size >= _TOGETHER:
            _write_some(fd, some, digest)
            size = 0
    _write_some(fd, some, digest)
    return digest.digest()


def _write_some(fd: int, some: list[bytes], digest: "hashlib._Hash") -> None:
    data = b"".join(some)
    some.clear()
    write_all(fd, data)
    digest.update(data)


def append_rest(source: int, position: int, target: int) -> int:
    """Write everything in ``source`` from ``position`` on to where ``target`` stands; how many bytes that was."""
    start = position
    while data := os.pread(source, _BLOCK, position):
        write_all(target, data)
        position += len(data)
    return position - start


def dress_like(target: int, source: int) -> None:
    """Give the file ``target`` the owner, the extended attributes, the mode and the times of ``source``, in this order.

    Changing the owner takes mode bits away, and every step changes the times.
    PermissionError if this user may not give it that owner.
    """
    found = os.fstat(source)
    own = os.fstat(target)
    if (own.st_uid, own.st_gid) != (found.st_uid, found.st_gid):
        os.fchown(target, found.st_uid, found.st_gid)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # not every file system has them, and some are the system's own
            for attribute in os.listxattr(source):
                with contextlib.suppress(OSError):
                    os.setxattr(target, attribute, os.getxattr(source, attribute))
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def create(dir_fd: int, name: str, mode: int = 0o600, flags: int = os.O_WRONLY) -> int:
    """A descriptor of a new file ``name`` in the folder ``dir_fd``; FileExistsError if the name is taken."""
    return os.open(name, flags | _NEW_FLAGS, mode, dir_fd=dir_fd)


def write_new(dir_fd: int, rel: str, data: bytes, mode: int = 0o600) -> None:
    """Write a file that did not exist; its content is durable on return, its name once its folder is synced.

    On any error the name is free again.
    """
    with opening.parent_of(dir_fd, rel) as (folder, name):
        fd = create(folder, name, mode)
        try:
            write_all(fd, data)
            sync_file(fd, rel)
        except BaseException:
            remove_exactly(folder, name, fd)
            raise
        finally:
            os.close(fd)


def replace_file(dir_fd: int, rel: str, data: bytes, tmp_rel: str, mode: int = 0o600) -> None:
    """Give ``rel`` new content: readers see the old or the new, and so does the next boot; durable on return.

    For small files of our own, under the store lock: it replaces whatever has the name.
    """
    write_new(dir_fd, tmp_rel, data, mode)
    with (
        opening.parent_of(dir_fd, tmp_rel) as (tmp_folder, tmp),
        opening.parent_of(dir_fd, rel) as (folder, name),
    ):
        os.replace(tmp, name, src_dir_fd=tmp_folder, dst_dir_fd=folder)
        sync_folder(folder, rel)


def remove_exactly(dir_fd: int, name: str, fd: int) -> None:
    """Unlink ``name`` if it is the file behind ``fd``; for files that this process has just made."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.stat(name, dir_fd=dir_fd, follow_symlinks=False), os.fstat(fd)):
            os.unlink(name, dir_fd=dir_fd)
