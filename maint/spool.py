"""Lines of a plan that wait until it is whole, in bounded memory.

Whatever is asked of a spool raises OSError when the disk for temporary files is full or fails, and names its folder.
"""

import os
import tempfile
from typing import Any

IN_MEMORY = 8 * 1024 * 1024
"""Bytes of a spool that are kept in memory; beyond that they wait in a temporary file."""

_BUFFER = 1 << 16
_LINE = 2048  # bytes that are read for a line, which most are shorter than


def temporary(code: int | None, folder: str | None = None) -> OSError:
    """The error of a temporary file, which has no name: in which folder it is."""
    text = os.strerror(code) if code is not None else "it failed"
    return OSError(code or 0, f"{text}, for temporary files", folder or tempfile.gettempdir())


class Spool(tempfile.SpooledTemporaryFile[bytes]):
    """Lines that wait in memory, and beyond a size in a file without a name; they go with the plan they are of."""

    def __init__(self) -> None:
        super().__init__(max_size=IN_MEMORY, buffering=_BUFFER)
        self._flushed = False
        self._fd = -1
        self._ahead, self._ahead_from, self._next = b"", 0, 0

    def line_at(self, offset: int) -> bytes:
        """The line that begins there; what was written is never changed."""
        if self._fd < 0:
            self.seek(offset)
            return self.readline()
        if not self._flushed:
            self.flush()
            self._flushed = True
        start = offset - self._ahead_from
        if 0 <= start < len(self._ahead) and (end := self._ahead.find(b"\n", start) + 1):
            self._next = self._ahead_from + end
            return self._ahead[start:end]
        # Seeking and reading a line of a file takes four times as long. Whoever asks for the next line asks for many.
        in_order = offset == self._next
        read = os.pread(self._fd, _BUFFER if in_order else _LINE, offset)
        end = read.find(b"\n") + 1
        if not end:
            self.seek(offset)
            return self.readline()
        if in_order:
            self._ahead, self._ahead_from = read, offset
        self._next = offset + end
        return read[:end]

    def rollover(self) -> None:
        """Go on in a file, as happens when there is too much for the memory."""
        super().rollover()
        self._fd = self._file.fileno()

    def write(self, s: Any) -> int:
        """Append a line."""
        self._flushed = False
        try:
            return super().write(s)
        except OSError as error:
            raise temporary(error.errno) from error

    def seek(self, *args: Any) -> int:
        """Go to a place, before which what was written reaches the file."""
        try:
            return super().seek(*args)
        except OSError as error:
            raise temporary(error.errno) from error

    def __del__(self) -> None:
        self.close()
