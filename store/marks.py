"""Marks beside a pack: which of its sessions do not count any more, and why.

A pack is never changed. That one of its sessions has expired, has a newer copy, or was put back where it came
from, stands in a small file beside it, a line each, the last one for a session being the one that holds.
Losing that file loses no session: what it marked counts again.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import BinaryIO

import msgspec

from store import durable, names, opening

_MOST, _MOST_LINE = 32 << 20, 64 << 10
_APPEND = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class Why(StrEnum):
    """Why a session of a pack does not count, or (``HELD``) that it does again."""

    EXPIRED = "expired"
    STALE = "stale"
    """It had changed before its original could be removed, which is still in the store."""

    SUPERSEDED = "superseded"
    """A newer pack has a later copy of the same session."""

    TAKEN_BACK = "taken back"
    """Its archiving was undone."""

    HELD = "held"


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One line: the session's id, what is said of it, by which run, and when (seconds since the epoch)."""

    session: str
    why: Why
    run: str
    at: float


_decode: Callable[[bytes], Mark] = msgspec.json.Decoder(Mark).decode
_encode = msgspec.json.Encoder().encode


def read(folder: int, pack: str) -> dict[str, Mark]:
    """The marks of a pack by session, those that say ``HELD`` left out; lines that are none are passed over.

    What is no regular file, or cannot be read, marks nothing.
    """
    found: dict[str, Mark] = {}
    try:
        fd = opening.open_session(folder, names.marks_name(pack))
    except OSError:
        return found
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return found
        with open(fd, "rb", closefd=False) as file, contextlib.suppress(OSError):
            for line in _lines(file):
                with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    mark = _decode(line)
                    if mark.why is Why.HELD:
                        found.pop(mark.session, None)
                    else:
                        found[mark.session] = mark
    finally:
        os.close(fd)
    return found


def add(folder: int, pack: str, marks: Iterable[Mark]) -> None:
    """Append marks to those of a pack; durable on return."""
    name = names.marks_name(pack)
    data = b"".join(_encode(mark) + b"\n" for mark in marks)
    if not data:
        return
    fd = os.open(name, _APPEND | os.O_CREAT, 0o600, dir_fd=folder)
    try:
        there = os.fstat(fd)
        if not stat.S_ISREG(there.st_mode) or there.st_nlink > 1:
            raise OSError(errno.EINVAL, "is no file of ours", name)
        size = there.st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":  # what a kill has left of a line
            data = b"\n" + data
        durable.write_all(fd, data)
        durable.sync_file(fd, name)
    finally:
        os.close(fd)
    durable.sync_folder(folder, name)  # each time: who made it may have been killed before he could


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file as far as ours go, none of them at a length that only somebody else writes."""
    read = 0
    while read < _MOST and (line := file.readline(_MOST_LINE)):
        read += len(line)
        yield line
