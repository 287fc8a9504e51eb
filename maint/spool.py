"""Lines of a plan that wait until it is whole, in bounded memory."""

import os
import tempfile
from typing import Any

IN_MEMORY = 8 * 1024 * 1024
"""Bytes of a spool that are kept in memory; beyond that they wait in a temporary file."""


_LINE = 2048  # bytes that are read for a line, which most are shorter than


class Spool(tempfile.SpooledTemporaryFile[bytes]):
    """Lines that wait in memory, and beyond a size in a file without a name; they go with the plan they are of."""

    def __init__(self) -> None:
        super().__init__(max_size=IN_MEMORY)
        self._flushed = False
        self._in_file = False

    def line_at(self, offset: int) -> bytes:
        """The line that begins there; what was written is never changed."""
        if not self._in_file:
            self.seek(offset)
            return self.readline()
        if not self._flushed:
            self.flush()
            self._flushed = True
        # Seeking and reading a line of a file takes four times as long.
        line = os.pread(self.fileno(), _LINE, offset)
        end = line.find(b"\n") + 1
        if end:
            return line[:end]
        self.seek(offset)
        return self.readline()

    def rollover(self) -> None:
        """Go on in a file, as happens when there is too much for the memory."""
        super().rollover()
        self._in_file = True

    def write(self, s: Any) -> int:
        """Append a line."""
        self._flushed = False
        return super().write(s)

    def __del__(self) -> None:
        self.close()
