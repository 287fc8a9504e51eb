"""The tar that is in a pack: headers of members, as POSIX (pax) has them, and nothing of any machine.

A member is its header, its content, and zeros up to a multiple of 512.
What the old header cannot say (nanoseconds, long or foreign names, large numbers) stands in a pax header before
it, as every tar of this century reads it.
The same values always give the same bytes: who verifies a pack makes the header anew and compares.
"""

import functools
import struct

BLOCK = 512
END = bytes(2 * BLOCK)
"""What a tar ends with."""

REGULAR, SYMLINK = b"0", b"2"
_PAX = b"x"
_PAX_NAME = b"PaxHeaders/member"  # the same for all, which compresses to nothing

# name, mode, uid, gid, size, mtime
_HEAD = struct.Struct("100s8s8s8s12s12s")
# checksum, type, link, magic and version, owner and group by name, device numbers, prefix and the rest
_TAIL = struct.Struct("8sc100s8s32s32s8s8s167s")
_MAGIC = b"ustar\x0000"
_NO_DEVICE = b"0000000\x00"
_MOST_NAME, _MOST_LINK = 100, 100
_MOST_ID = 0o7777777
_MOST_SIZE = 0o77777777777
_MOST_TIME = 0o77777777777
_BILLION = 1_000_000_000
_USUAL_RECORD = 30  # a time from 2001 to 2286
_USUAL_PADDING = bytes(BLOCK - _USUAL_RECORD)


def header(
    name: str, size: int, mode: int, mtime_ns: int, uid: int, gid: int, *, link: str | None = None
) -> bytes:
    """The header of a member: a regular file of ``size`` bytes, or with ``link`` a symbolic link to there."""
    raw = name.encode("utf-8", "surrogateescape")
    seconds, fraction = divmod(mtime_ns, _BILLION)
    if (
        fraction
        and _BILLION <= seconds < 10 * _BILLION
        and len(raw) <= _MOST_NAME
        and raw.isascii()
        and link is None
        and size <= _MOST_SIZE
        and uid <= _MOST_ID
        and gid <= _MOST_ID
    ):
        # Nearly every header there is, made in half the time.
        return b"%b30 mtime=%d.%09d\n%b%b" % (
            _pax_block(_USUAL_RECORD),
            seconds,
            fraction,
            _USUAL_PADDING,
            _block(raw, mode & 0o7777, uid, gid, size, seconds, REGULAR, b""),
        )
    records = b""
    if fraction or not 0 <= seconds <= _MOST_TIME:
        records += _record(b"mtime", _decimal(mtime_ns))
        seconds = min(max(seconds, 0), _MOST_TIME)
    if len(raw) > _MOST_NAME or not raw.isascii():
        records += _record(b"path", raw)
        raw = raw[:_MOST_NAME]
    target = b""
    if link is not None:
        target = link.encode("utf-8", "surrogateescape")
        if len(target) > _MOST_LINK or not target.isascii():
            records += _record(b"linkpath", target)
            target = target[:_MOST_LINK]
    if size > _MOST_SIZE:
        records += _record(b"size", b"%d" % size)
    if uid > _MOST_ID:
        records += _record(b"uid", b"%d" % uid)
    if gid > _MOST_ID:
        records += _record(b"gid", b"%d" % gid)
    kind = REGULAR if link is None else SYMLINK
    head = _block(
        raw,
        mode & 0o7777,
        min(uid, _MOST_ID),
        min(gid, _MOST_ID),
        min(size, _MOST_SIZE),
        seconds,
        kind,
        target,
    )
    if not records:
        return head
    return _pax_block(len(records)) + records + padding(len(records)) + head


def padding(size: int) -> bytes:
    """The zeros that follow upon so many bytes of content."""
    return bytes(-size % BLOCK)


def padded(size: int) -> int:
    """How many bytes so much content takes in a tar."""
    return size + -size % BLOCK


def _block(
    name: bytes, mode: int, uid: int, gid: int, size: int, mtime: int, kind: bytes, link: bytes
) -> bytes:
    head = _HEAD.pack(
        name, b"%07o\0" % mode, b"%07o\0" % uid, b"%07o\0" % gid, b"%011o\0" % size, b"%011o\0" % mtime
    )
    tail, partial = _tail(kind, link)
    checksum = b"%06o\0 " % (sum(head) + partial)
    return head + checksum + tail


@functools.lru_cache(maxsize=64)
def _tail(kind: bytes, link: bytes) -> tuple[bytes, int]:
    """All that follows upon the checksum, and what it and the checksum's own eight blanks add to that."""
    tail = _TAIL.pack(bytes(8), kind, link, _MAGIC, b"", b"", _NO_DEVICE, _NO_DEVICE, b"")[8:]
    return tail, sum(tail) + 8 * ord(" ")


@functools.lru_cache(maxsize=64)
def _pax_block(size: int) -> bytes:
    return _block(_PAX_NAME, 0o644, 0, 0, size, 0, _PAX, b"")


def _record(key: bytes, value: bytes) -> bytes:
    """A pax record, which begins with its own length."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def _decimal(mtime_ns: int) -> bytes:
    sign = b"-" if mtime_ns < 0 else b""
    seconds, fraction = divmod(abs(mtime_ns), _BILLION)
    return b"%s%d.%09d" % (sign, seconds, fraction)
