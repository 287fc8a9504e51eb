"""The file that the catalogue is in: a database that is used if it is exactly ours, and made anew if it is not.

What is guarded: nothing is believed of a file that somebody may have made, and nothing is read or written through a
link; and nobody but its owner can read the names of sessions in it.
Whoever reads a row compares its sum, because a database does not notice that its content has changed on the disk.

Not guarded: two processes of which one finds the file damaged while the other writes it. Both have what they need,
and whoever comes next finds that it is ours, or makes it anew. But a database is rolled back by the name of its
journal: whoever still reads a file that another one has replaced may be shown what that one had when it began. So he
asks behind each answer whether the file is still the one that he has open (`require_same`).
"""

import os
import sqlite3
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import msgspec

from store import archives, looking, marks, names, packs
from store.frames import Damaged
from store.manifest import Entry
from store.roots import RootFds

_VERSION = 1
_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WAIT = 5.0
_LONGEST = 80 << 20  # bytes of a value: more than any line of a manifest has
_SCHEMA = (
    (
        "CREATE TABLE packs (id INTEGER PRIMARY KEY, label TEXT NOT NULL, name TEXT NOT NULL,"
        " state TEXT NOT NULL, size INTEGER NOT NULL, first TEXT NOT NULL, frames BLOB NOT NULL,"
        " sum INTEGER NOT NULL, problem TEXT, UNIQUE (label, name))"
    ),
    (
        "CREATE TABLE sessions (id TEXT NOT NULL, name TEXT, pack INTEGER NOT NULL, packed INTEGER NOT NULL,"
        " dead TEXT, sum INTEGER NOT NULL, line BLOB NOT NULL)"
    ),
    "CREATE INDEX by_id ON sessions (id)",
    "CREATE INDEX by_name ON sessions (name) WHERE name IS NOT NULL",
    "CREATE INDEX by_pack ON sessions (pack)",
)
_CACHE = 96 << 20
"""Bytes of the file that are kept while it is read, as far as they are: by id, its pages are visited again and again."""

_encode = msgspec.json.Encoder().encode

# What says nothing against the file: it is in use, or there is no room.
_OF_THE_MOMENT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
    }
)


class Replaced(Damaged):
    """The file that is open is not the one that has its path: somebody has made it anew."""


Identity = tuple[int, int]


def connect(path: str, roots: RootFds) -> tuple[sqlite3.Connection, Identity | None]:
    """The database at this path, made if it is missing, and brought up to date; and which file it is.

    sqlite3.Error if it is not exactly ours, or cannot be used, `Replaced` if somebody else makes it anew meanwhile;
    OSError when a folder of packs cannot be read.
    """
    _require_files(path)
    with suppress(OSError):  # it is there; or it cannot be made, and then SQLite says so
        os.close(os.open(path, _NEW_FLAGS, 0o600))  # it would let everybody read it
    before = _identity(path)
    address = f"file:{''.join(f'%{byte:02x}' for byte in os.fsencode(path))}?mode=rw"
    db = sqlite3.connect(address, uri=True, timeout=_WAIT, isolation_level=None)
    try:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA cell_size_check = ON")
        db.execute(f"PRAGMA cache_size = -{_CACHE >> 10}")
        if not _schema(db):
            _create(db)
        _require_ours(db)
        _refresh(db, roots)
        require_same(path, before)
    except UnicodeDecodeError as error:
        db.close()
        raise sqlite3.DatabaseError("what is wrong with it quotes what is in it, and is no text") from error
    except BaseException:
        db.close()
        raise
    return db, before


def require_same(path: str, file: Identity | None) -> None:
    """`Replaced` unless this is still the file of that path."""
    if _identity(path) != file:
        raise Replaced("somebody has made it anew")


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def in_memory(roots: RootFds) -> sqlite3.Connection:
    """One that is made anew, and gone when it is closed."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        _create(db)
        _refresh(db, roots)
    except BaseException:
        db.close()
        raise
    return db


def remove(path: str) -> None:
    """Remove what has the place of the file, as far as that can be, so that the next one is made anew."""
    for each in _files(path):
        with suppress(OSError):
            os.unlink(each)


def says_nothing(error: sqlite3.Error) -> bool:
    """Whether an error is of the moment, and says nothing against the file."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_MOMENT


def sum_of(*values: Any) -> int:
    """What is kept beside some values, to see that they are still what was written."""
    found = 0
    for value in values:
        if not isinstance(value, str | bytes | None):
            raise TypeError("a database gives what it likes")
        data = b"\xff" if value is None else value.encode() if isinstance(value, str) else value
        found = zlib.crc32(data, zlib.crc32(b"%d " % len(data), found))
    return found


def sum_of_line(dead: Any, line: Any) -> int:
    """As `sum_of`, for very many: nearly all sessions count, which is nothing to be summed up again."""
    if dead is None and type(line) is bytes:
        return zlib.crc32(line, zlib.crc32(b"%d " % len(line), _SUM_OF_NONE))
    return sum_of(dead, line)


_SUM_OF_NONE = sum_of(None)


def listed(roots: RootFds) -> dict[tuple[str, str], str]:
    """The packs of a store, and what tells each apart from what it was, its marks included."""
    found: dict[tuple[str, str], str] = {}
    for label in archives.labels(roots):
        folder = roots[label]
        there = set(os.listdir(folder))
        for name in there:
            if names.parse_pack_name(name) is not None and (state := _state(folder, name)):
                marked = names.marks_name(name)
                found[label, name] = f"{state} {_state(folder, marked) if marked in there else ''}"
    return found


def _refresh(db: sqlite3.Connection, roots: RootFds) -> None:
    there = listed(roots)
    if {key: state for key, (_, state) in _known(db).items()} == there:
        return
    with db:
        db.execute("BEGIN IMMEDIATE")
        known = _known(db)  # once more: others may have been at it
        for key, (number, state) in known.items():
            if there.get(key) != state:
                db.execute("DELETE FROM sessions WHERE pack = ?", (number,))
                db.execute("DELETE FROM packs WHERE id = ?", (number,))
        for label, name in sorted(there):
            if there[label, name] != known.get((label, name), (0, ""))[1]:
                _read(db, roots[label], label, name, there[label, name])


def _known(db: sqlite3.Connection) -> dict[tuple[str, str], tuple[int, str]]:
    return {
        (label, name): (number, state)
        for number, label, name, state in db.execute("SELECT id, label, name, state FROM packs")
    }


def _read(db: sqlite3.Connection, folder: int, label: str, name: str, state: str) -> None:
    """Take in a pack and its marks, which are at least as new as ``state`` says."""
    first, told, problem = "", b"[]", None
    rows: list[tuple[Entry, bytes]] = []
    try:
        with packs.open_pack(folder, name) as pack:
            rows = list(zip(pack.entries(), pack.lines, strict=True))
            first, told = pack.head.first, _encode(pack.head.frames)
    except FileNotFoundError:
        return
    except Damaged as reason:
        problem = str(reason)
    except OSError as error:
        problem = (error.strerror or str(error)).lower()
    number = db.execute(
        "INSERT INTO packs (label, name, state, size, first, frames, sum, problem)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (label, name, state, int(state.split()[1]), first, told, sum_of(first, told), problem),
    ).lastrowid
    dead = marks.read(folder, name)
    db.executemany("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)", _rows(number, rows, dead))


def _state(folder: int, name: str) -> str:
    found = looking.stat_at(folder, name)
    if found is None:
        return ""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _rows(
    number: int | None, sessions: Iterable[tuple[Entry, bytes]], dead: dict[str, marks.Mark]
) -> Iterator[tuple[str, str | None, int | None, int, str | None, int, bytes]]:
    for entry, line in sessions:
        mark = dead.get(entry.id) if dead else None
        why = mark.why.value if mark else None
        yield entry.id, entry.account.name, number, entry.packed, why, sum_of(why, line), line


def _require_files(path: str) -> None:
    for each in _files(path):
        with suppress(FileNotFoundError, NotADirectoryError):
            found = os.lstat(each)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                raise sqlite3.DatabaseError("no file of ours")


def _require_ours(db: sqlite3.Connection) -> None:
    if _schema(db) != set(_SCHEMA) or db.execute("PRAGMA user_version").fetchone() != (_VERSION,):
        raise sqlite3.DatabaseError("a catalogue of another make")


def _files(path: str) -> tuple[str, str]:
    return path, f"{path}-journal"


def _schema(db: sqlite3.Connection) -> set[str]:
    return {sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}


def _create(db: sqlite3.Connection) -> None:
    with db:
        db.execute("BEGIN IMMEDIATE")
        if _schema(db):  # somebody was faster
            return
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {_VERSION}")
