"""Lines of a plan that wait until it is whole, in bounded memory.

Whatever is asked of a spool raises OSError when the disk for temporary files is full or fails, and names its folder.
"""

import os
import tempfile
from typing import Any

IN_MEMORY = 8 * 1024 * 1024
"""Bytes of a spool that are kept in memory; beyond that they wait in a temporary file."""


_LINE = 2048  # bytes that are read for a line, which most are shorter than


def temporary(code: int | None, folder: str | None = None) -> OSError:
    """The error of a temporary file, which has no name: in which folder it is."""
    text = os.strerror(code) if code is not None else "it failed"
    return OSError(code or 0, f"{text}, for temporary files", folder or tempfile.gettempdir())


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
