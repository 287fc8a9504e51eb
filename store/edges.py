r"""The two ends of a session, read without reading what lies between them.

Nearly all that is asked of a session stands in its first and its last line, and nearly all sessions fit one read.
So this module is written for that case, and for memory that stays bounded in every other one: a line of
gigabytes, a header longer than any window, a tail of zero bytes that a power cut left.

A line ends at ``b"\n"`` and nowhere else.
Lines of spaces, tabs and carriage returns are blank, and blank lines are no records.
What is read is what the file was at some moment between the call and its return; whether it stayed so is for
the caller to find out, by comparing fingerprints from before and after.
"""

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

WINDOW = 8192  # a typical session, whole
RECORD_LIMIT = 64 * 1024 * 1024
BLOCK = 1 << 16

_SPACE = b" \t\r\n"
_NEWLINE, _RETURN = b"\n\r"
_SPACE_BYTE = 32  # no byte above it is white space
_LARGEST_BLOCK = 1 << 20  # where doubling stops: larger blocks are not faster
_edges_from = _line_from = (
    tuple.__new__
)  # what Edges() and Line() do, without the detour through their keywords
_TRIES = 8  # how often a file may shrink under the reader before it is given up


class Edges(NamedTuple):
    """The ends of one file.

    ``first`` and ``last`` are the first and the last complete line that is not blank, without line ending; they
    may be the same line.
    ``last_end`` is the offset just behind the newline of ``last``, 0 if there is no such line.
    ``torn`` counts the bytes at the very end that no newline follows, if they are anything but blank; they start
    at ``size - torn``.
    ``tail`` is these bytes, unless they are only zeros, or more than the limit: a record that only lacks its
    newline looks the same as a torn one, so whoever knows the format may try to decode it.
    ``whole`` is everything, if it came with one read.
    ``too_long`` means that a line (or a run of blank lines) beyond the limit hides ``first``, ``last`` or ``tail``:
    what is ``None`` then is unknown, not absent. If it hides where the last line ends, then ``last_end`` is
    ``size`` and ``torn`` is 0, so that nobody cuts there.
    """

    size: int
    first: bytes | None
    last: bytes | None
    last_end: int
    torn: int
    whole: bytes | None
    too_long: bool
    tail: bytes | None


class Line(NamedTuple):
    r"""One line: where it starts, where the next one does, and its bytes without ``b"\n"`` (a carriage return stays).

    ``data`` is ``None`` for a line longer than the limit; ``terminated`` is false for a last line without newline.
    """

    offset: int
    end: int
    data: bytes | None
    terminated: bool


class _ShrunkError(Exception):
    """Fewer bytes than the file had a moment ago."""


def read_edges(fd: int, size: int, *, window: int = WINDOW, limit: int = RECORD_LIMIT) -> Edges:
    """The ends of the file behind ``fd``, of which ``size`` bytes are expected.

    Reads at offsets of its own and leaves the position of ``fd`` alone.
    A file that grew is read as far as ``size``; one that shrank, as far as it goes.
    Raises OSError as reading does.
    """
    if size <= window:
        data = os.pread(fd, window, 0)
        seen = len(data)
        if seen < window or seen == size:
            # The common case, in as few steps as Python has: it decides what a survey costs.
            # A first byte that is no white space makes its line a record, and so on the last line.
            if seen and data[-1] == _NEWLINE and data[0] > _SPACE_BYTE and seen <= limit:
                start = data.rfind(b"\n", 0, -1) + 1
                first = data[: data.find(b"\n")]
                if data[start] > _SPACE_BYTE and first[-1] != _RETURN and data[-2] != _RETURN:
                    return _edges_from(Edges, (seen, first, data[start:-1], seen, 0, data, False, None))
            return _edges(_Content(data), seen, limit, data)
        size = os.fstat(fd).st_size  # it grew past the window
    elif window <= limit:
        # The same for larger files, whose first line is seldom as long as their last ones.
        shorter = (window + 1) // 2
        head = os.pread(fd, shorter, 0)
        tail = os.pread(fd, window, size - window)
        if len(tail) == window and len(head) == shorter and tail[-1] == _NEWLINE and head[0] > _SPACE_BYTE:
            end = head.find(b"\n")
            start = tail.rfind(b"\n", 0, -1) + 1
            if (
                end > 0
                and start
                and tail[start] > _SPACE_BYTE
                and head[end - 1] != _RETURN
                and tail[-2] != _RETURN
            ):
                return _edges_from(Edges, (size, head[:end], tail[start:-1], size, 0, None, False, None))
    for _ in range(_TRIES):
        try:
            return _edges(_File(fd, size, window), size, limit, None)
        except _ShrunkError:
            size = os.fstat(fd).st_size
            if size <= window:
                data = os.pread(fd, size, 0)
                return _edges(_Content(data), len(data), limit, data)
    return Edges(size, None, None, size, 0, None, True, None)


def iter_lines(
    fd: int, *, block: int = BLOCK, limit: int = RECORD_LIMIT, size: int | None = None, start: int = 0
) -> Iterator[Line]:
    """Every line, blank ones too, in order, with at most about ``limit`` + ``block`` bytes held at a time.

    Begins at ``start``, where a line must begin. Ends at ``size`` if that is given, else where the file ends: one that grows faster than it is read has no end.
    """
    return split_lines(_blocks(fd, block, size, start), limit, start)


def split_lines(
    blocks: Iterable[bytes | memoryview], limit: int = RECORD_LIMIT, start: int = 0
) -> Iterator[Line]:
    """Every line of a file that comes in blocks, as `iter_lines` gives them."""
    offset = position = start
    parts: list[bytes] = []
    for data in map(bytes, blocks):
        begin = 0
        while (stop := data.find(b"\n", begin)) >= 0:
            end = position + stop + 1
            if end - 1 - offset > limit:
                line = None
            elif parts:
                line = b"".join((*parts, data[begin:stop]))
            else:
                line = data[begin:stop]
            parts.clear()
            yield _line_from(Line, (offset, end, line, True))
            offset = end
            begin = stop + 1
        position += len(data)
        if position - offset > limit:
            parts.clear()  # it is too long already: only its end is still of interest
        elif begin < len(data):
            parts.append(data[begin:])
    if position > offset:
        yield Line(offset, position, b"".join(parts) if position - offset <= limit else None, False)


def pieces(line: bytes, begins: re.Pattern[bytes]) -> list[bytes]:
    """A line that is no record, cut before everything that looks like the beginning of one; all its bytes, in order.

    Where a newline is missing, the next append lands behind a torn record, or behind the zeros of a power cut.
    No record is cut apart where what it ``begins`` with has quotes, which would be escaped within a string.
    """
    starts = [found.start() for found in begins.finditer(line)]
    return [line[low:high] for low, high in itertools.pairwise([0, *starts, len(line)]) if low < high]


def _blocks(fd: int, block: int, size: int | None, position: int) -> Iterator[bytes]:
    while data := os.pread(fd, block if size is None else min(block, size - position), position):
        yield data
        position += len(data)


def _edges(source: "_Content", size: int, limit: int, whole: bytes | None) -> Edges:
    first, first_hidden = _first(source, size, limit)
    newline = source.last_newline(max(0, size - limit - 1), size)
    torn = size - newline - 1
    if torn > limit:
        return Edges(size, first, None, size, 0, whole, True, None)
    tail = None
    if torn and source.last_solid(newline + 1, size) < 0:
        torn = 0
    elif torn:
        tail = source.read(newline + 1, size)
        if not tail.strip(b"\0 \t\r"):
            tail = None
    last, last_end, last_hidden = _last(source, newline, limit)
    return Edges(size, first, last, last_end, torn, whole, first_hidden or last_hidden, tail)


def _first(source: "_Content", size: int, limit: int) -> tuple[bytes | None, bool]:
    """The first record, and whether something too long hides it."""
    solid = source.first_solid(0, min(size, limit + 1))
    if solid < 0:
        return None, size > limit + 1
    start = source.last_newline(0, solid) + 1
    end = source.first_newline(solid, min(size, start + limit + 1))
    if end < 0:
        return None, size - start > limit
    return source.read(start, end).removesuffix(b"\r"), False


def _last(source: "_Content", newline: int, limit: int) -> tuple[bytes | None, int, bool]:
    """The last record before the last newline, where it ends, and whether something too long hides it."""
    if newline < 0:
        return None, 0, False
    floor = max(0, newline - limit - 1)
    solid = source.last_solid(floor, newline)
    if solid < 0:
        return None, newline + 1 if floor else 0, floor > 0
    end = source.first_newline(solid, newline + 1)
    start = source.last_newline(max(0, end - limit - 1), solid) + 1
    if end - start > limit:
        return None, end + 1, True
    return source.read(start, end).removesuffix(b"\r"), end + 1, False


class _Content:
    """Content to search in: offsets go in and come out, -1 means that there is none.

    "Solid" is every byte that is no white space.
    This one has everything in memory.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, start: int, stop: int) -> bytes:
        return self._data[start:stop]

    def first_newline(self, start: int, stop: int) -> int:
        return self._data.find(b"\n", start, stop)

    def last_newline(self, start: int, stop: int) -> int:
        return self._data.rfind(b"\n", start, stop)

    def first_solid(self, start: int, stop: int) -> int:
        solid = self._data[start:stop].lstrip(_SPACE)
        return stop - len(solid) if solid else -1

    def last_solid(self, start: int, stop: int) -> int:
        solid = self._data[start:stop].rstrip(_SPACE)
        return start + len(solid) - 1 if solid else -1


class _File(_Content):
    """Content on disk, searched block by block: it never holds more than a block, save what ``read`` returns.

    The two windows at the ends are kept, because nearly every search ends within them.
    """

    def __init__(self, fd: int, size: int, window: int) -> None:
        self._fd = fd
        self._size = size
        self._window = window
        self._head = self._fetch(0, window)
        self._tail = self._fetch(size - window, size)

    def read(self, start: int, stop: int) -> bytes:
        if stop <= self._window:
            return self._head[start:stop]
        behind = self._size - self._window
        if start >= behind:
            return self._tail[start - behind : stop - behind]
        return self._fetch(start, stop)

    def first_newline(self, start: int, stop: int) -> int:
        for low, block in self._onward(start, stop):
            if (at := block.find(b"\n")) >= 0:
                return low + at
        return -1

    def last_newline(self, start: int, stop: int) -> int:
        for low, block in self._back(start, stop):
            if (at := block.rfind(b"\n")) >= 0:
                return low + at
        return -1

    def first_solid(self, start: int, stop: int) -> int:
        for low, block in self._onward(start, stop):
            if solid := block.lstrip(_SPACE):
                return low + len(block) - len(solid)
        return -1

    def last_solid(self, start: int, stop: int) -> int:
        for low, block in self._back(start, stop):
            if solid := block.rstrip(_SPACE):
                return low + len(solid) - 1
        return -1

    def _fetch(self, start: int, stop: int) -> bytes:
        data = os.pread(self._fd, stop - start, start)
        while len(data) < stop - start:  # one read gives at most 2 GiB, and some file systems give less
            more = os.pread(self._fd, stop - start - len(data), start + len(data))
            if not more:
                raise _ShrunkError
            data += more
        return data

    def _onward(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        step = self._window
        while start < stop:
            end = min(stop, self._window if start < self._window else start + step)
            yield start, self.read(start, end)
            start = end
            step = min(step * 2, max(step, _LARGEST_BLOCK))

    def _back(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        step = self._window
        behind = self._size - self._window
        while start < stop:
            low = max(start, behind if stop > behind else stop - step)
            yield low, self.read(low, stop)
            stop = low
            step = min(step * 2, max(step, _LARGEST_BLOCK))
