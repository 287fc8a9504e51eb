"""The system calls that Python lacks, each with a fallback that is safe before it is complete.

Errors are OSErrors of the proper class with the name that was asked for, as if Python itself had made the call.
The C library is loaded at the first call, because loading it costs as much as surveying a thousand sessions.
"""

import errno
import functools
import os
import platform
import signal
import stat
import sys
from collections.abc import Callable
from typing import Any

_NOREPLACE, _EXCHANGE = 1, 2
_MAC_EXCL, _MAC_SWAP = 4, 2
_PR_SET_PDEATHSIG = 1
_SYNC_FILE_RANGE_WRITE = 2

# Where a C library is too old to know renameat2, the kernel still does: its number by machine.
_RENAMEAT2 = {
    "aarch64": 276,
    "armv7l": 382,
    "i686": 353,
    "loongarch64": 276,
    "ppc64le": 357,
    "riscv64": 276,
    "s390x": 347,
    "x86_64": 316,
}

# What kernels and file systems answer to a rename flag that they do not have.
_NOT_HERE = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})


class Unsupported(OSError):
    """The kernel or this file system cannot do it; nothing was changed."""


def rename_noreplace(src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
    """Rename, unless something has the new name: FileExistsError, and nothing is changed.

    Where the system has no such call, a file gets its new name by a link and loses the old one by an unlink:
    nothing is ever replaced, but a kill between the two leaves it under both names, and a file that takes the
    old name between a last look and the unlink loses it.
    A folder is renamed plainly there: that can replace nothing but an empty folder.
    """
    try:
        _rename(src, dst, src_dir_fd, dst_dir_fd, exchange=False)
    except Unsupported:
        _rename_by_link(src, dst, src_dir_fd, dst_dir_fd)


def rename_exchange(src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
    """Let two names that both exist swap what they name, in one step; Unsupported where that cannot be."""
    _rename(src, dst, src_dir_fd, dst_dir_fd, exchange=True)


def syncfs(fd: int) -> None:
    """Make the whole file system of ``fd`` durable; every file system where that one cannot be named."""
    call = getattr(_libc(), "syncfs", None)
    if call is None:
        os.sync()
    elif call(fd) != 0:
        raise _error(None, None)


def begin_writing(fd: int, start: int, size: int) -> None:
    """Have the kernel begin to write these bytes of a file to the disk, and wait for nothing; it makes nothing durable.

    Advice, as `os.posix_fadvise` gives it: nothing where there is no such call, and errors are those of a later sync.
    """
    call = getattr(_libc(), "sync_file_range", None) if sys.platform == "linux" else None
    if call is not None:
        import ctypes  # noqa: PLC0415  loaded already

        call(fd, ctypes.c_int64(start), ctypes.c_int64(size), _SYNC_FILE_RANGE_WRITE)


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when the thread that forked it ends; nothing where there is no such call.

    ``parent`` is the pid that the child expects: if it is gone already, the child ends here and now.
    """
    if sys.platform == "linux":
        if _libc().prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise _error(None, None)
        if parent is not None and os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def _rename(src: str, dst: str, src_dir_fd: int, dst_dir_fd: int, *, exchange: bool) -> None:
    if "\0" in src + dst:
        raise ValueError("embedded null byte")  # as Python says it: C would take the name for a shorter one
    call = _rename_call()
    if call is None:
        raise Unsupported(errno.ENOSYS, os.strerror(errno.ENOSYS), src, None, dst)
    if call(src_dir_fd, os.fsencode(src), dst_dir_fd, os.fsencode(dst), exchange) != 0:
        raise _error(src, dst)


@functools.cache
def _rename_call() -> Callable[[int, bytes, int, bytes, bool], int] | None:
    import ctypes  # noqa: PLC0415  not needed to survey

    libc = _libc()
    known = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    if sys.platform == "darwin":
        name, flags = "renameatx_np", (_MAC_EXCL, _MAC_SWAP)
    else:
        name, flags = "renameat2", (_NOREPLACE, _EXCHANGE)
    function = getattr(libc, name, None)
    if function is not None:
        function.argtypes = known
        return lambda src_fd, src, dst_fd, dst, exchange: function(src_fd, src, dst_fd, dst, flags[exchange])
    number = _RENAMEAT2.get(platform.machine()) if sys.platform == "linux" else None
    if number is None:
        return None
    syscall = libc.syscall
    syscall.argtypes = [ctypes.c_long, *known]
    syscall.restype = ctypes.c_long
    return lambda src_fd, src, dst_fd, dst, exchange: syscall(
        number, src_fd, src, dst_fd, dst, flags[exchange]
    )


def _rename_by_link(src: str, dst: str, src_dir_fd: int, dst_dir_fd: int) -> None:
    try:
        os.link(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=False)
    except PermissionError as error:
        # A folder, or a file system without hard links. rename(2) puts a folder only over an empty folder.
        # For a file there is no way left that is sure not to replace another one.
        if not _is_folder(src, src_dir_fd):
            raise Unsupported(error.errno, error.strerror, src, None, dst) from error
        os.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        return
    old = os.stat(src, dir_fd=src_dir_fd, follow_symlinks=False)
    new = os.stat(dst, dir_fd=dst_dir_fd, follow_symlinks=False)
    if (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino):
        os.unlink(src, dir_fd=src_dir_fd)


def _is_folder(name: str, dir_fd: int) -> bool:

    return stat.S_ISDIR(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode)


@functools.cache
def _libc() -> Any:
    import ctypes  # noqa: PLC0415  not needed to survey

    return ctypes.CDLL(None, use_errno=True)


def _error(src: str | None, dst: str | None) -> OSError:
    import ctypes  # noqa: PLC0415  loaded already

    number = ctypes.get_errno()
    kind = Unsupported if number in _NOT_HERE and src is not None else OSError
    if src is None:
        return OSError(number, os.strerror(number))
    return kind(number, os.strerror(number), src, None, dst)
