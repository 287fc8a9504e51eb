"""When each pack of a store was last read and found sound, so that the one that waited longest is read next.

What is guarded: nothing, but the order. Whoever loses this file, or finds something else in it, begins anew; a
moment that has not come yet counts for nothing, so that no clock that went wrong keeps a pack from being read.
"""

import contextlib
import math
import os
from collections.abc import Callable, Collection, Mapping

import msgspec

from store import durable, edges, names, opening
from store.locks import StoreLock
from store.marks import Mark

_MOST = 64 << 20
"""Bytes that are read: a hundred for each of very many packs."""

_MOST_MARK = 1 << 16

_decode: Callable[[bytes], dict[str, float]] = msgspec.json.Decoder(dict[str, float]).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_decode_mark: Callable[[bytes], Mark] = msgspec.json.Decoder(Mark).decode


def read(root: int, now: float) -> dict[str, float]:
    """The moments by the names of packs, in seconds since the epoch; what is none of ours is left out."""
    try:
        fd = opening.open_below(root, names.VERIFIED)
    except OSError:
        return {}
    try:
        found = _decode(os.pread(fd, _MOST, 0))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    finally:
        os.close(fd)
    return {
        name: at
        for name, at in found.items()
        if names.parse_zst_path(name) is not None and math.isfinite(at) and 0 <= at <= now
    }


def remember(root: int, found: Mapping[str, float], now: float, there: Collection[str] | None) -> bool:
    """Note that packs were found sound; ``False`` if that could not be done at once, which is no matter.

    ``there`` are all packs that the store has: the others are forgotten. ``None`` if not all can be seen.
    """
    try:
        lock = StoreLock(root)
        if not lock.acquire():
            return False
        try:
            known = read(root, now)
            known.update({name: max(at, known.get(name, at)) for name, at in found.items()})
            if there is not None:
                known = {name: at for name, at in known.items() if name in there}
            with contextlib.suppress(FileNotFoundError):  # of one that was killed while it wrote
                os.unlink(names.VERIFIED_NEW, dir_fd=root)
            durable.replace_file(root, names.VERIFIED, _encode(known), names.VERIFIED_NEW)
        finally:
            lock.release()
    except OSError:
        return False
    return True


def marks_problem(folder: int, pack: str) -> str | None:
    """What is wrong with the marks of a pack, as a clause, if anything is.

    A line that a kill has cut off is not: whoever wrote it was told that it was not written.
    """
    try:
        fd = opening.open_session(folder, names.marks_name(pack))
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be read: {(error.strerror or str(error)).lower()}"
    strange = 0
    try:
        for line in edges.iter_lines(fd, limit=_MOST_MARK):
            if line.data is None:
                strange += 1
            elif line.data.endswith(b"}"):
                try:
                    _decode_mark(line.data)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    strange += 1
    except OSError as error:
        return f"cannot be read: {(error.strerror or str(error)).lower()}"
    finally:
        os.close(fd)
    return f"have {strange:,} lines that are none: what they marked counts again" if strange else None
