"""How much of a file is read at most, and reading that much: what lies in a store may have any size."""

import os
import stat

from store import opening

RECORD_LIMIT = 16 << 20
"""The largest record that is read; one of the oldest form, with a long conversation in it, has a few mebibytes."""

LINE_LIMIT = 16 << 20
"""The longest line that is looked at."""

EVENTS_LIMIT = 4 << 20
"""The most of an event log that is read when nothing else is left: before the first save there is hardly anything."""


def read_whole(fd: int, size: int) -> bytes:
    """The first ``size`` bytes of a file, or what there is of them; the position of ``fd`` stays."""
    data = os.pread(fd, size, 0)
    while len(data) < size and (more := os.pread(fd, size - len(data), len(data))):
        data += more
    return data


def read_small(folder: int, name: str, limit: int) -> bytes | None:
    """All bytes of a file of at most so many; ``None`` if there is none that can be read."""
    try:
        fd = opening.open_session(folder, name)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            return None
        return read_whole(fd, found.st_size)
    except OSError:
        return None
    finally:
        os.close(fd)
