"""All candidates of the passes that compare sessions, until the last store has been read, in bounded memory.

They wait in a temporary database, which sorts them: a pass is shown one group after the other, the newest session
first, and what is kept of its verdicts is a byte a session.
"""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import NamedTuple, Self

from maint.contract import Candidate
from maint.verdicts import Act, Compare, Kept
from store.spool import temporary

_TABLE = """CREATE TABLE candidates (
    number INTEGER PRIMARY KEY, position INTEGER, "group" BLOB, key BLOB, time REAL, bytes INTEGER, old INTEGER,
    held BLOB
)"""
_ENTER = (
    'INSERT INTO candidates (position, "group", key, time, bytes, old, held) VALUES (?, ?, ?, ?, ?, ?, ?)'
)
_INDEX = "CREATE INDEX IF NOT EXISTS by_key ON candidates (key)"
# SQLite takes NaN for NULL; like that, an infinite time is one that nobody trusts.
_SORTED = """SELECT position, "group", number, IFNULL(time, -9e999), bytes, old, held FROM candidates
    ORDER BY position, "group", time DESC, key DESC"""
_HOLD = "UPDATE candidates SET old = 0 WHERE number = ?"
_OF_KEY = "SELECT number FROM candidates WHERE key = ?"
_NUMBER = f"{_OF_KEY} AND position = ?"

_CACHE = 16 << 20
"""Bytes that are kept in memory, and as many while they are sorted: some 100,000 sessions need no file."""

_SEPARATOR = b"\x1f"
_MOST = 2**63 - 1  # bytes that SQLite can count; two files with enormous holes are more


class Entry(NamedTuple):
    """A candidate as it is entered: for the pass of which place in the policy, its group, and the session's key.

    Text is bytes, because ids and paths may be no text, and sorts as the text would.
    """

    position: int
    group: bytes
    key: bytes
    time: float
    size: int
    old: bool
    held: bytes


def entry(position: int, key: str, size: int, compare: Compare) -> Entry:
    """A session of ``size`` bytes as it is entered for this comparison."""
    group = _SEPARATOR.join(map(_as_bytes, compare.group))
    held = _SEPARATOR.join(map(_as_bytes, compare.held))
    return Entry(position, group, _as_bytes(key), compare.since, min(size, _MOST), compare.old, held)


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class Candidates:
    """The candidates of one plan; to be closed, which removes what they take on the disk.

    What is entered gets numbers, from 1 on, in the order of entering.
    Whatever it is asked raises OSError when the temporary disk is full or fails.
    """

    def __init__(self) -> None:
        self._count = 0
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget them."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def enter(self, entries: list[Entry]) -> int:
        """Enter some, and say how many there were before: the first of them has the next number."""
        before = self._count
        if entries:
            with self._database() as db:
                db.executemany(_ENTER, entries)
            self._count += len(entries)
        return before

    def hold(self, numbers: Iterable[int]) -> None:
        """Have some of them stay, whatever their age."""
        found = [(number,) for number in numbers]
        if found:
            with self._database() as db:
                db.executemany(_HOLD, found)

    def number_of(self, position: int, key: str) -> int | None:
        """The number of a session that was entered for the pass at this place."""
        if self._db is None:
            return None
        with self._database() as db:
            db.execute(_INDEX)
            row = db.execute(_NUMBER, (_as_bytes(key), position)).fetchone()
        return None if row is None else int(row[0])

    def settle(
        self,
        compare: Callable[[int, Iterator[Candidate]], Iterable[tuple[int, Act | Kept]]],
        asked: str | None = None,
    ) -> "Settled":
        """Have ``compare`` give the verdicts of each group, for which it gets the pass's place in the policy and its
        candidates, the newest first; of those of one time, the one with the greater key is the newer one.

        Of the session with the key ``asked`` the verdicts themselves are kept.
        """
        going = bytearray(self._count + 1)
        told: dict[int, Act | Kept] = {}
        if self._db is None:
            return Settled(going, told)
        with self._database() as db:
            of_asked: set[int] = set()
            if asked is not None:
                of_asked.update(number for (number,) in db.execute(_OF_KEY, (_as_bytes(asked),)))
            for (position, _), rows in groupby(db.execute(_SORTED), itemgetter(0, 1)):
                for number, verdict in compare(position, map(_candidate, rows)):
                    going[number] = isinstance(verdict, Act)
                    if number in of_asked:
                        told[position] = verdict
        return Settled(going, told)

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._db is None:
                # Without a name it is a file in $TMPDIR (or /var/tmp, or /tmp) that nobody else sees, and no file at
                # all while it is small.
                self._db = sqlite3.connect("", isolation_level=None)
                self._db.execute("PRAGMA journal_mode = OFF")
                self._db.execute(f"PRAGMA cache_size = -{_CACHE >> 10}")
                self._db.execute("BEGIN")  # and never an end: it is read here alone, and then gone
                self._db.execute(_TABLE)
            yield self._db
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            folder = os.environ.get("SQLITE_TMPDIR") or os.environ.get("TMPDIR") or "/var/tmp"  # noqa: S108  its own
            raise temporary(errno.ENOSPC if full else errno.EIO, folder) from error


class Settled(NamedTuple):
    """What became of all candidates: a byte by number that says whether it goes, and the verdicts on one session that
    was asked for, by the pass's place.
    """

    going: bytearray
    told: Mapping[int, Act | Kept]


def _candidate(row: tuple[int, bytes, int, float, int, int, bytes]) -> Candidate:
    _, _, number, time, size, old, held = row
    texts = tuple(each.decode("utf-8", "surrogatepass") for each in held.split(_SEPARATOR)) if held else ()
    return Candidate(number, time, size, bool(old), texts)
