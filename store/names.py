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

README_TEXT = """\
This folder belongs to `maint`, which keeps this store of recorded sessions tidy.
Nothing in it is needed to read the sessions outside of it.

trash/    sessions that were removed, each under the run that removed it and the place it had.
          They wait here for a grace period before they are deleted for good.
backup/   sessions as they were before they were changed, in the same order.
journal/  what every run did and why, one line a step: read it with `less`.
tmp/      files being written. Without a `maint` at work, they are leftovers of a killed one.
lock      held by a running `maint`. That it exists means nothing; do not delete it.

To get a session back:     maint restore ID
To take a run back:        maint undo RUN
To do it by hand:          mv -n .maint/trash/RUN/ROOT/NAME NAME
                           (from the folder above this one; ROOT is the label of the root it came from)
"""

_RUN = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})-[0-9a-f]{6}")
_RANDOM_BYTES = 3
_LONGEST_NUMBER = 18
_NOT_NAMES = frozenset({"", ".", ".."})


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


def tmp_path(run: str, number: int) -> str:
    if number < 0:
        raise ValueError(f"temporary files are counted from 0, not {number}")
    return f"{TMP}/{_checked(run)}.{number}"


def parse_tmp_path(path: str) -> tuple[str, int] | None:
    """The run and the number of the action that the file was written for."""
    run, _, number = path.removeprefix(f"{TMP}/").partition(".")
    if not (is_run_id(run) and number.isascii() and number.isdecimal()) or len(number) > _LONGEST_NUMBER:
        return None
    return (run, int(number)) if path == tmp_path(run, int(number)) else None


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
