"""Every file name that this project creates on disk, both ways, and nothing else.

All of it lies in one folder of a store's root, ``.maint``; paths here are relative to that root.
A parser returns ``None`` for whatever the builder beside it would not have built, so that what it recognises is
ours, and what it does not is never touched.
"""

import datetime as dt
import functools
import re
from typing import NamedTuple

FOLDER = ".maint"
README = f"{FOLDER}/README.txt"
LOCK = f"{FOLDER}/lock"
HOLDER = f"{FOLDER}/holder.json"
HOLDER_NEW = f"{FOLDER}/holder.new"  # while it is being written
SKIPS = f"{FOLDER}/skips"
REPORTED = f"{FOLDER}/reported"  # the problems that were spoken of, so that cron says each only once
REPORTED_NEW = f"{FOLDER}/reported.new"  # while it is being written
JOURNAL = f"{FOLDER}/journal"
TMP = f"{FOLDER}/tmp"  # noqa: S108  a folder of our own
BACKUP = f"{FOLDER}/backup"
TRASH = f"{FOLDER}/trash"
ARCHIVE = f"{FOLDER}/archive"  # packs, unless the policy names another folder for them
ARCHIVES = f"{FOLDER}/archives"  # the other folders that hold packs of this store
ARCHIVES_NEW = f"{FOLDER}/archives.new"  # while it is being written
TARGETS = f"{FOLDER}/targets"  # the folders elsewhere that links in this store led to
TARGETS_NEW = f"{FOLDER}/targets.new"  # while it is being written
CATALOGUE = f"{FOLDER}/catalogue.sqlite"  # made from the packs, and made anew when it is lost
FACTS = f"{FOLDER}/facts"  # what was read of sessions, for the next survey; read anew when it is lost
FACTS_NEW = f"{FOLDER}/facts.new"  # while it is being written
VERIFIED = f"{FOLDER}/verified"  # when each pack was last read and found sound
VERIFIED_NEW = f"{FOLDER}/verified.new"  # while it is being written

ARCHIVE_ROOT = "archive"
"""The label of the root that holds packs; those of other folders are ``archive-`` and six hex digits."""

MANIFEST = "MANIFEST.ndjson"  # the member of a pack that lists the others
ZST = ".zst"  # behind the name of a session that is archived as a file by itself

README_TEXT = """\
This folder belongs to `maint`, which keeps this store of recorded sessions tidy.
Nothing in it is needed to read the sessions outside of it.

archive/  packs of old sessions: tar files, compressed with zstd, that open with
          tar --zstd -xf archive/NAME.tar.zst
          A .marks file beside a pack says which of its sessions have expired since.
trash/    sessions that were removed, each under the run that removed it and the place it had.
          They wait here for a grace period before they are deleted for good.
backup/   sessions as they were before they were changed, in the same order.
journal/  what every run did and why, one line a step: read it with `less`.
tmp/      files being written. Without a `maint` at work, they are leftovers of a killed one.
catalogue.sqlite   an index of the packs; it may be deleted, and is made anew.
targets   folders elsewhere to which links in this store led, for what may go back there.
archives  other folders that hold packs of this store.
verified  when each pack was last verified.
facts     what was read of sessions, so that they need not be read again; it may be deleted.
lock      held by a running `maint`. That it exists means nothing; do not delete it.

To get a session back:     maint restore ID       (from the trash or from a pack)
To take a run back:        maint undo RUN
To do it by hand:          mv -n .maint/trash/RUN/ROOT/NAME NAME
                           (from the folder above this one; ROOT is the label of the root it came from)
"""

_RUN = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})-[0-9a-f]{6}")
_RANDOM_BYTES = 3
_SEALED, _MARKS, _UNSEALED = ".tar.zst", ".marks", ".new"
_MOST_PACKS = 999_999
_LONGEST_NUMBER = 18
_NOT_NAMES = frozenset({"", ".", ".."})


_PACK = re.compile(r"([0-9]{8}T[0-9]{6}-[0-9a-f]{6})-([0-9]{4,6})\.(tar\.zst|marks|new)")
_ROOT = re.compile(r"archive(-[0-9a-f]{6})?")


class Kept(NamedTuple):
    """What a path in our trash or our backups stands for: a run, and the place that the file had."""

    run: str
    root: str
    path: str


def new_run_id(now: float, random: bytes) -> str:
    """A name for the run that starts ``now``: UTC to the second, milliseconds in three hex digits, three random ones.

    So the names of runs of one second, too, sort as the runs began.
    """
    if len(random) != _RANDOM_BYTES:
        raise ValueError(f"a run id takes {_RANDOM_BYTES} random bytes, not {len(random)}")
    second, thousandth = divmod(int(now * 1000), 1000)
    stamp = f"{dt.datetime.fromtimestamp(second, dt.UTC):%Y%m%dT%H%M%S}"
    return f"{stamp}-{thousandth:03x}{random.hex()[-3:]}"


@functools.lru_cache(maxsize=64)
def run_time(run: str) -> float:
    """When the run started, to the second; ValueError for what is no run id."""
    match = _RUN.fullmatch(run)
    if match is None:
        raise ValueError(f"not a run id: {printable(run)}")
    year, month, day, hour, minute, second = map(int, match.groups())
    return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC).timestamp()


@functools.lru_cache(maxsize=64)
def is_run_id(text: str) -> bool:
    try:
        run_time(text)
    except ValueError:
        return False
    return True


def journal_path(run: str) -> str:
    return f"{JOURNAL}/{_checked(run)}.ndjson"


def parse_journal_path(path: str) -> str | None:
    """The run that the journal belongs to."""
    run = path.removeprefix(f"{JOURNAL}/").removesuffix(".ndjson")
    return run if is_run_id(run) and path == journal_path(run) else None


def tmp_path(run: str, number: int, part: int = 0) -> str:
    """Where a run writes what its action of that number makes; ``part`` tells several files of one action apart."""
    if number < 0 or part < 0:
        raise ValueError(f"temporary files are counted from 0, not {min(number, part)}")
    return f"{TMP}/{_checked(run)}.{number}" + (f".{part}" if part else "")


def parse_tmp_path(path: str) -> tuple[str, int] | None:
    """The run and the number of the action that the file was written for."""
    run, _, numbers = path.removeprefix(f"{TMP}/").partition(".")
    number, _, part = numbers.partition(".")
    digits = number + part
    if not (is_run_id(run) and digits.isascii() and digits.isdecimal()) or not number:
        return None
    if max(len(number), len(part)) > _LONGEST_NUMBER:
        return None
    return (run, int(number)) if path == tmp_path(run, int(number), int(part or 0)) else None


def pack_name(run: str, number: int) -> str:
    """The name of the pack of this number that a run makes, in a folder of packs."""
    if not 0 <= number <= _MOST_PACKS:
        raise ValueError(f"packs are counted from 0 to {_MOST_PACKS}, not {number}")
    return f"{_checked(run)}-{number:04}{_SEALED}"


def parse_pack_name(name: str) -> tuple[str, int] | None:
    """The run that made the pack, and its number."""
    return _parse_pack(name, _SEALED)


def unsealed_name(pack: str) -> str:
    """The name of a pack while it is being written."""
    return _beside(pack, _UNSEALED)


def parse_unsealed_name(name: str) -> tuple[str, int] | None:
    """The run that was writing the pack, and its number."""
    return _parse_pack(name, _UNSEALED)


def marks_name(pack: str) -> str:
    """The name of the file that says which sessions of a pack have expired."""
    return _beside(pack, _MARKS)


def parse_marks_name(name: str) -> tuple[str, int] | None:
    """The run that made the pack which the marks are for, and its number."""
    return _parse_pack(name, _MARKS)


def is_archive_root(label: str) -> bool:
    """Whether this is the label of a root that holds packs."""
    return _ROOT.fullmatch(label) is not None


def zst_path(path: str) -> str:
    """Where a session that is archived as a file by itself lies: beside its place."""
    if not is_clean(path) or is_ours(path):
        raise ValueError(f"no place for a session: {printable(path)}")
    return path + ZST


def parse_zst_path(path: str) -> str | None:
    """The place of the session whose archive would have this path."""
    stem = path.removesuffix(ZST)
    return stem if stem != path and is_clean(stem) and not is_ours(stem) else None


def trash_path(run: str, root: str, path: str) -> str:
    return _kept_path(TRASH, run, root, path)


def parse_trash_path(path: str) -> Kept | None:
    return _parse_kept(TRASH, path)


def backup_path(run: str, root: str, path: str) -> str:
    return _kept_path(BACKUP, run, root, path)


def parse_backup_path(path: str) -> Kept | None:
    return _parse_kept(BACKUP, path)


def is_ours(path: str) -> bool:
    """Whether the path is our folder or lies in it."""
    return path == FOLDER or path.startswith(f"{FOLDER}/")


def is_clean(path: str) -> bool:
    """Whether this is a relative path that stays below where it starts, written the one way there is."""
    return "\0" not in path and _NOT_NAMES.isdisjoint(path.split("/"))


def printable(text: str) -> str:
    r"""Any file name as one line that a terminal shows, a log keeps and UTF-8 encodes.

    Bytes that are no UTF-8 become ``\xff``, characters that control or hide something become escapes as in
    Python's source, and a backslash is doubled, so that no two names look the same.
    """
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_shown, text))


def one_line(text: str) -> str:
    """Text as one line that a terminal shows, as `printable` does it; but names in it may be printable already.

    So a backslash stays one, and two texts may look the same.
    """
    return text if text.isprintable() else "".join(char if char == "\\" else _shown(char) for char in text)


def _shown(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii") if code > 0xFF or code < 0x80 else f"\\u{code:04x}"


def _checked(run: str) -> str:
    if not is_run_id(run):
        raise ValueError(f"not a run id: {printable(run)}")
    return run


def _beside(pack: str, suffix: str) -> str:
    if parse_pack_name(pack) is None:
        raise ValueError(f"not the name of a pack: {printable(pack)}")
    return pack.removesuffix(_SEALED) + suffix


@functools.lru_cache(maxsize=64)  # every session of a list is asked for its pack's
def _parse_pack(name: str, suffix: str) -> tuple[str, int] | None:
    match = _PACK.fullmatch(name)
    if match is None or f".{match[3]}" != suffix or not is_run_id(match[1]):
        return None
    found = match[1], int(match[2])
    return found if name == f"{found[0]}-{found[1]:04}{suffix}" else None


def _kept_path(place: str, run: str, root: str, path: str) -> str:
    if "/" in root or not is_clean(root) or not is_clean(path):
        raise ValueError(f"no place for {printable(path)} of root {printable(root)}")
    return f"{place}/{_checked(run)}/{root}/{path}"


def _parse_kept(place: str, path: str) -> Kept | None:
    if not path.startswith(f"{place}/") or not is_clean(path):
        return None
    parts = path[len(place) + 1 :].split("/", 2)
    if len(parts) != len(Kept._fields) or not is_run_id(parts[0]):
        return None
    return Kept(*parts)
