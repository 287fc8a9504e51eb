"""Pieces that wait until all of them are there, such as the lines of a plan: in bounded memory, found by their numbers.

Whatever is asked of a spool raises OSError when the disk for temporary files is full or fails, and names its folder.
"""

import errno
import os
from array import array
from collections.abc import Iterator
from typing import IO, Self

IN_MEMORY = 1 << 20
"""Bytes that are kept in memory; beyond that all of them wait in a temporary file."""

_TOGETHER = 1 << 18  # bytes that are written to the file with one call
_AHEAD = 1 << 16  # bytes that are read for whoever asks for one piece after the other
_BLOCK = 1 << 20


def temporary(code: int | None, folder: str | None = None) -> OSError:
    """The error of a temporary file, which has no name: in which folder it is."""
    import tempfile  # noqa: PLC0415  see `Spool._spill`

    text = os.strerror(code) if code is not None else "it failed"
    return OSError(code or 0, f"{text}, for temporary files", folder or tempfile.gettempdir())


class Spool:
    """Pieces in the order in which they were appended; what waits in a file, which has no name, goes with the spool."""

    def __init__(self) -> None:
        self._starts = array("Q")
        self._file: IO[bytes] | None = None
        self._fd = -1
        self._written = 0  # bytes that are in the file: always whole pieces
        self._tail = bytearray()  # what follows upon them
        self._ahead, self._ahead_from, self._next = b"", 0, 0

    def append(self, piece: bytes) -> int:
        """Append a piece, which may be empty; its number, which counts from 0."""
        self._starts.append(self._written + len(self._tail))
        self._tail += piece
        if len(self._tail) > (IN_MEMORY if self._fd < 0 else _TOGETHER):
            self._spill()
        return len(self._starts) - 1

    @property
    def size(self) -> int:
        """The bytes of all pieces."""
        return self._written + len(self._tail)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, n: int) -> bytes:
        start = self._starts[n]
        stop = self._starts[n + 1] if n + 1 < len(self._starts) else self.size
        if start >= self._written:
            return bytes(self._tail[start - self._written : stop - self._written])
        at = start - self._ahead_from
        if at < 0 or stop - self._ahead_from > len(self._ahead):
            # Whoever asks for what follows upon the last piece asks for many.
            size = max(stop - start, _AHEAD if start == self._next else 0)
            self._ahead, self._ahead_from, at = self._read(size, start), start, 0
        self._next = stop
        return self._ahead[at : at + stop - start]

    def __iter__(self) -> Iterator[bytes]:
        for n in range(len(self)):
            yield self[n]

    def blocks(self) -> Iterator[bytes]:
        """All of it as large parts, which do not end where pieces end."""
        for start in range(0, self._written, _BLOCK):
            yield self._read(_BLOCK, start)
        for start in range(0, len(self._tail), _BLOCK):
            yield bytes(self._tail[start : start + _BLOCK])

    def close(self) -> None:
        """Let go of all of it."""
        self._starts, self._tail, self._ahead = array("Q"), bytearray(), b""
        self._written = 0
        if self._file is not None:
            self._file.close()
            self._file, self._fd = None, -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _spill(self) -> None:
        """Write what is in memory to the file, which is made if there is none yet."""
        try:
            if self._file is None:
                import tempfile  # noqa: PLC0415  most spools stay in memory, and some commands must be quick

                self._file = tempfile.TemporaryFile(buffering=0)
                self._fd = self._file.fileno()
            with memoryview(self._tail) as view:
                done = 0
                while done < len(view):
                    done += os.pwrite(self._fd, view[done:], self._written + done)
        except OSError as error:
            raise temporary(error.errno) from error
        self._written += len(self._tail)
        self._tail.clear()

    def _read(self, size: int, start: int) -> bytes:
        """So many bytes of the file, or as many as there are from there on."""
        size = min(size, self._written - start)
        try:
            data = os.pread(self._fd, size, start)
            while len(data) < size:  # what is in the way is told only to whoever asks from there on
                more = os.pread(self._fd, size - len(data), start + len(data))
                if not more:
                    raise OSError(errno.EIO, "it ended early")  # noqa: TRY301  as any other error of the file
                data += more
        except OSError as error:
            raise temporary(error.errno) from error
        return data
