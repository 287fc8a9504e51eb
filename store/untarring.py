"""Headers of members read back from a tar of ours, where no manifest says what they should be.

Only what `store.tarring` writes counts as a header, byte for byte: what was read is made anew and compared, so that
no content of a session is taken for one by accident, and nothing hostile means two things.
"""

from store import manifest, names, tarring
from store.manifest import PackedMember

_NAME, _MODE, _UID, _GID = slice(0, 100), slice(100, 108), slice(108, 116), slice(116, 124)
_SIZE, _MTIME, _LINK = slice(124, 136), slice(136, 148), slice(157, 257)
_TYPE = 156
_MAGIC, _MAGIC_VALUE = slice(257, 265), b"ustar\x0000"
_PAX = ord("x")
_MOST_RECORDS = 1 << 16
_LONGEST_NUMBER = 20
_BILLION = 1_000_000_000


def header_length(block: bytes) -> int | None:
    """How long the header is that begins with these `tarring.BLOCK` bytes; ``None`` if none does."""
    if block[_MAGIC] != _MAGIC_VALUE:
        return None
    if block[_TYPE] != _PAX:
        return tarring.BLOCK
    records = _octal(block[_SIZE])
    if records is None or not 0 < records <= _MOST_RECORDS:
        return None
    return 2 * tarring.BLOCK + tarring.padded(records)


def parse_header(data: bytes) -> PackedMember | None:
    """The member that has this header, all of it, by its name in the tar and without a digest; else ``None``."""
    block = data[-tarring.BLOCK :]
    told = _told(data)
    values = [_octal(block[field]) for field in (_SIZE, _MODE, _UID, _GID, _MTIME)]
    if told is None or None in values:
        return None
    size, mode, uid, gid, seconds = (value or 0 for value in values)
    try:
        name = (told.get(b"path") or block[_NAME].rstrip(b"\0")).decode()
        link = (told.get(b"linkpath") or block[_LINK].rstrip(b"\0")).decode()
        member = PackedMember(
            root="",
            path=name,
            size=int(told.get(b"size", size)),
            mtime_ns=_nanoseconds(told[b"mtime"]) if b"mtime" in told else seconds * _BILLION,
            mode=mode,
            sha256="",
            uid=int(told.get(b"uid", uid)),
            gid=int(told.get(b"gid", gid)),
            link=link if block[_TYPE] == tarring.SYMLINK[0] else None,
        )
        made = member.header("")
    except ValueError:
        return None
    return member if made == data else None


def is_harmless(member: PackedMember) -> bool:
    """Whether the member lies below the folder that it is unpacked in, and is none of our own files."""
    return (
        names.is_clean(member.path)
        and not names.is_ours(member.path)
        and member.size >= 0
        and (member.link is None or (not member.size and not manifest.leads_out(member.path, member.link)))
    )


def _told(data: bytes) -> dict[bytes, bytes] | None:
    """What stands in the pax header, if there is one."""
    found: dict[bytes, bytes] = {}
    if len(data) == tarring.BLOCK:
        return found
    length = _octal(data[_SIZE])
    rest = data[tarring.BLOCK : tarring.BLOCK + (length or 0)]
    while rest:
        digits, _, _ = rest.partition(b" ")
        if not digits.isdigit() or len(digits) > _LONGEST_NUMBER:
            return None
        end = int(digits)
        key, equals, value = rest[len(digits) + 1 : end].partition(b"=")
        if not equals or not value.endswith(b"\n") or end > len(rest):
            return None
        found[key] = value[:-1]
        rest = rest[end:]
    return found


def _octal(field: bytes) -> int | None:
    digits = field.rstrip(b"\0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _nanoseconds(text: bytes) -> int:
    """The nanoseconds of seconds with a fraction of nine digits; ValueError for anything else."""
    whole, _, fraction = text.partition(b".")
    if len(text) > 2 * _LONGEST_NUMBER or len(fraction) != 9 or not fraction.isdigit():
        raise ValueError("no time of ours")
    nanoseconds = abs(int(whole)) * _BILLION + int(fraction)
    return -nanoseconds if whole.startswith(b"-") else nanoseconds
