"""What is left of a damaged pack: its manifest, if it can be had, and its frames, wherever they are.

What is guarded: memory, and the time of whoever looks. Nothing that a file says of itself is believed before it is
small enough, and no more than a few times the file is read in vain.

Frames are independent of each other.
Where the seek table is gone or wrong they are found by what zstd itself says: a frame has a header, and blocks, each
of which begins with its length.
Where that breaks, the next frame is looked for by the four bytes that it begins with, and counts if all of its
blocks are there and something sensible follows upon it, or if it can be decoded.
"""

import errno
import os
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from store import frames, manifest, names, untarring
from store.frames import Damaged, Span
from store.manifest import Head
from store.tarring import BLOCK

_MOST_TABLE = 4 << 20  # the seek table of half a million frames: terabytes
_MOST_HEADER = 18  # bytes of the header of a frame
_FLAGS = 4  # where they stand in it
_CHECKED, _DICTIONARY, _RESERVED = 4, 3, 8
_BLOCK_HEADER, _CHECKSUM = 3, 4
_MOST_BLOCK = 128 << 10
_REPEATED, _COMPRESSED = 1, 2
_SKIPPABLE_HEADER = 8
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_SECTOR = 4096
_WINDOW = 1 << 16
_SEARCH = 1 << 20
_MOST_IN_VAIN = 1 << 30  # bytes that are decoded in vain, to begin with
_BLOCK_COSTS = 256  # as many of these as looking at a block takes
_ENDS = 2  # frames at the end of which one may be that of the manifest


def pread(fd: int, size: int, at: int) -> bytes:
    """Bytes of a file, with zeros for what the disk cannot read: no checksum takes them for right."""
    try:
        return os.pread(fd, size, at)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    if size <= _SECTOR:
        return bytes(size)
    return b"".join(pread(fd, min(_SECTOR, size - start), at + start) for start in range(0, size, _SECTOR))


class Piece(NamedTuple):
    """A frame, or a stretch of the pack in which there is none that can be read.

    Without ``data``, ``size`` is how much of the tar is missing, if that is known, and ``why`` a clause.
    """

    offset: int
    end: int
    data: bytes | None
    size: int | None = None
    why: str = ""


class Wreck:
    """A file that is, or was, a pack, by a descriptor that stays the caller's."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size
        self._table = self._read_table()

    def manifest(self) -> tuple[Head, list[bytes]] | None:
        """The pack's own line and those of its sessions, if the frame of the manifest can be decoded."""
        if self._table:
            found = self._manifest_in(self._table[-1])
            if found is not None:
                return found
        for span in reversed(deque(self.walk(), maxlen=_ENDS)):
            found = self._manifest_in(span)
            if found is not None:
                return found
        return None

    def content(self, span: Span) -> bytes:
        """The content of a frame that lies there, by its own checksum; `Damaged` if none does."""
        if not 0 <= span.size <= frames.MOST_CONTENT or not 0 < span.packed <= frames.most_packed(span.size):
            raise Damaged("there is no such frame")
        raw = self.raw(span)
        if len(raw) > _FLAGS and not raw[_FLAGS] & _CHECKED:
            raise Damaged("a frame has no checksum, and so is none of ours")
        return frames.decompress(raw, span.size)

    def raw(self, span: Span) -> bytes:
        """A frame as it lies there; `Damaged` if the file ends before it does."""
        if span.end > self.size:
            raise Damaged("the pack is cut off before")
        data = pread(self._fd, span.packed, span.offset)
        if len(data) != span.packed:
            raise Damaged("the pack is cut off before")
        return data

    def pieces(self) -> Iterator[Piece]:
        """All of the pack, frame by frame in order, where no manifest says what there is."""
        at = 0
        for span in self._table or self.walk():
            if span.offset > at:
                yield Piece(at, span.offset, None, None, "no frame is there")
            at = span.end
            try:
                yield Piece(span.offset, span.end, self.content(span))
            except Damaged as reason:
                if self._table and span is self._table[-1]:
                    return  # that of the manifest, in which no session is
                yield Piece(span.offset, span.end, None, span.size, str(reason))
        if at < self.size and not self._table and not self._is_skippable(at):
            yield Piece(at, self.size, None, None, "no frame is there")

    def walk(self) -> Iterator[Span]:
        """All frames that are there from the first byte to the last, by what they say of themselves."""
        window = _Window(self._fd, self.size)
        vain = _MOST_IN_VAIN + 64 * self.size
        at = 0
        while 0 <= at < self.size:
            if self._is_skippable(at):
                at += self._skippable_length(at)
                continue
            span, blocks = _measure(window, at)
            if span is not None and (self._is_followed(span) or self._decodes(span)):
                yield span
                at = span.end
                continue
            vain -= blocks * _BLOCK_COSTS + (span.size if span is not None else 0)
            if vain < 0:
                return
            at = _next_magic(self._fd, at + 1)

    def _read_table(self) -> list[Span]:
        """The frames by the seek table, the last of which is that of the manifest; none if it does not fit the file."""
        try:
            footer = pread(self._fd, frames.FOOTER_SIZE, max(0, self.size - frames.FOOTER_SIZE))
            length = frames.table_size(footer)
            if length > min(self.size, _MOST_TABLE):
                return []
            spans = frames.parse_seek_table(pread(self._fd, length, self.size - length))
        except Damaged:
            return []
        # The last one is the note, which holds nothing that could be saved.
        return spans[:-1] if spans and spans[-1].end + length == self.size else []

    def _manifest_in(self, span: Span) -> tuple[Head, list[bytes]] | None:
        try:
            content = self.content(span)
            length = untarring.header_length(content[:BLOCK]) or 0
            member = untarring.parse_header(content[:length])
            if member is None or member.path != names.MANIFEST:
                return None
            found = manifest.parse(content[length : length + member.size])
            manifest.spans_of(found[0])
            manifest.digests_of(found[0])
        except Damaged:
            return None
        return found

    def _is_followed(self, span: Span) -> bool:
        if span.end == self.size or self._is_skippable(span.end):
            return True
        return pread(self._fd, len(frames.FRAME_MAGIC), span.end) == frames.FRAME_MAGIC

    def _decodes(self, span: Span) -> bool:
        try:
            self.content(span)
        except Damaged:
            return False
        return True

    def _is_skippable(self, at: int) -> bool:
        length = self._skippable_length(at)
        return length > 0 and at + length <= self.size

    def _skippable_length(self, at: int) -> int:
        head = pread(self._fd, _SKIPPABLE_HEADER, at)
        if len(head) < _SKIPPABLE_HEADER or int.from_bytes(head[:4], "little") not in _SKIPPABLE:
            return 0
        return _SKIPPABLE_HEADER + int.from_bytes(head[4:], "little")


def _most_blocks(size: int) -> int:
    """More blocks than zstd makes of so many bytes, even where it splits them."""
    return 64 + size // 512


class _Window:
    """Small reads of a file, some kilobytes at a time."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self.size = size
        self._start = 0
        self._data = b""

    def read(self, at: int, length: int) -> bytes:
        start = at - self._start
        if start < 0 or start + length > len(self._data):
            self._start, start = at, 0
            self._data = pread(self._fd, _WINDOW, at)
        return self._data[start : start + length]


def _measure(window: _Window, at: int) -> tuple[Span | None, int]:
    """The frame that begins there, if it can be one of ours and all of it is there; and how many blocks were seen."""
    head = window.read(at, _MOST_HEADER)
    parsed = _parse_header(head)
    if parsed is None:
        return None, 1
    length, size = parsed
    most = frames.most_packed(size)
    blocks = 0
    end = at + length
    while end - at <= most:
        field = int.from_bytes(window.read(end, _BLOCK_HEADER), "little")
        blocks += 1
        last, kind, block = field & 1, field >> 1 & 3, field >> 3
        if kind > _COMPRESSED or block > _MOST_BLOCK or blocks > _most_blocks(size):
            break
        end += _BLOCK_HEADER + (1 if kind == _REPEATED else block)
        if end > window.size:
            break
        if last:
            end += _CHECKSUM
            return (Span(at, end - at, size) if end <= window.size else None), blocks
    return None, blocks


def _parse_header(head: bytes) -> tuple[int, int] | None:
    """How long the header of a frame is, and how much the frame holds; ``None`` if it is none of ours.

    Ours have a checksum, say how much they hold, and need no dictionary.
    """
    if head[:4] != frames.FRAME_MAGIC or len(head) < _MOST_HEADER:
        return None
    flags = head[_FLAGS]
    single = flags >> 5 & 1
    if not flags & _CHECKED or flags & _DICTIONARY or flags & _RESERVED:
        return None
    start = 5 if single else 6
    width = (single, 2, 4, 8)[flags >> 6]
    if not width:
        return None
    size = int.from_bytes(head[start : start + width], "little") + (256 if width == 2 else 0)
    return (start + width, size) if size <= frames.MOST_CONTENT else None


def _next_magic(fd: int, at: int) -> int:
    """Where the next frame may begin; -1 if nowhere."""
    overlap = len(frames.FRAME_MAGIC) - 1
    while data := pread(fd, _SEARCH, at):
        found = data.find(frames.FRAME_MAGIC)
        if found >= 0:
            return at + found
        if len(data) <= overlap:
            return -1
        at += len(data) - overlap
    return -1
