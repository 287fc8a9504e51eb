"""The catalogue: an index of all packs of a store, made from their manifests and marks, and nothing but a cache.

Whoever opens it compares it with the folders of packs first, and takes in what is new or changed; one that is
lost, damaged, of another make, or that cannot be written is made anew, in memory if need be.
So it is never wrong for long, and nobody need ask for it.

What it says is where to look. What is restored is checked against digests all the same, and a session that it
does not know is looked for in the packs themselves before anybody is told that there is none.
"""

import contextlib
import errno
import functools
import itertools
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from typing import Any, Self, TypeVar

import msgspec

from store import catalogue_file, looking, manifest, names, resolving, single
from store.archived import Archived, PackFacts
from store.catalogue_file import Replaced, sum_of, sum_of_line
from store.facts import Place
from store.frames import Damaged, Span
from store.manifest import Entry
from store.packs import PackReader
from store.roots import RootFds

_T = TypeVar("_T")
_COLUMNS = "packs.label, packs.name, sessions.id, sessions.dead, sessions.sum, sessions.line"
_FROM = "FROM sessions JOIN packs ON packs.id = sessions.pack"
_ROWS = "SELECT pack, id, dead, sum, line FROM sessions"
_ALIVE = "sessions.dead IS NULL"
_MOST_FOUND = 1000
_ROTTEN = (sqlite3.Error, Damaged, msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)
"""What reading a database raises that somebody has changed, or a disk."""

_encode = msgspec.json.Encoder().encode
_decode_frames = msgspec.json.Decoder(tuple[tuple[int, int, str], ...]).decode


_MANY = 100
"""Sessions of a pack from which on all of it is looked through, instead of asking for each."""


class Catalogue:
    """The packs of one store, as they are when it is opened. Use it as a context."""

    def __init__(
        self,
        roots: RootFds,
        db: sqlite3.Connection,
        file: catalogue_file.Identity | None = None,
        path: str | None = None,
    ) -> None:
        self._roots = roots
        self._db = db
        self._path = path  # none if it is in memory
        self._file = file

    @classmethod
    def open(cls, place: Place, roots: RootFds, *, fresh: bool = False) -> Self:
        """The catalogue of a store, brought up to date; OSError when a folder of packs cannot be read.

        With ``fresh`` every pack is read, whatever is known of it. Nothing is written where there are no packs, nor by
        root where others could put something else in the place of our folder: a database is opened by its path.
        """
        path = _path(place, roots)
        if path is None or not catalogue_file.listed(roots):
            return cls(roots, catalogue_file.in_memory(roots))
        if fresh:
            catalogue_file.remove(path)
        for _ in range(2):
            try:
                return cls(roots, *catalogue_file.connect(path, roots), path)
            except Replaced:
                continue
            except sqlite3.Error as error:
                if catalogue_file.says_nothing(error):
                    break
                catalogue_file.remove(path)
        return cls(roots, catalogue_file.in_memory(roots))

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sessions(self, *, dead: bool = False) -> Iterator[Archived]:
        """All archived sessions in the order of their ids; with ``dead`` also those that count no more."""
        which = "" if dead else f"WHERE {_ALIVE}"
        taken = 0
        try:
            for each in self._by_id(which):
                yield each
                taken += 1
            self._require_same_file()
        except _ROTTEN as error:
            self._make_anew(error)
            yield from self._found(f"{which} ORDER BY sessions.id, packs.name", make=_listed_row, taken=taken)

    def find(self, name: str, *, dead: bool = False) -> list[Archived]:
        """The sessions of this id, or else of an id that begins so, or else of this name; an id's oldest copy first."""
        if not _is_text(name):
            return []
        alive = "" if dead else f" AND {_ALIVE}"
        for condition, values in (
            ("sessions.id = ?", (name,)),
            ("sessions.id >= ? AND sessions.id < ?", (name, name + "\U0010ffff")),
            ("sessions.name = ?", (name,)),
        ):
            every = self._found(f"WHERE {condition}{alive} ORDER BY sessions.id, packs.name", values)
            if found := list(itertools.islice(every, _MOST_FOUND)):
                return found
        return []

    def copies(self, session: str) -> list[Archived]:
        """Every copy of the session of exactly this id, the dead ones too, the oldest first."""
        if not _is_text(session):
            return []
        return list(self._found("WHERE sessions.id = ? ORDER BY packs.name", (session,)))

    def has(self, session: str) -> bool:
        """Whether a copy that counts of the session of exactly this id is in a pack."""
        return any(each.dead is None for each in self.copies(session))

    def sessions_of(self, label: str, pack: str, *, dead: bool = False) -> Iterator[Archived]:
        """The sessions of one pack in the order in which they lie there."""
        alive = "" if dead else f" AND {_ALIVE}"
        which = f"WHERE packs.label = ? AND packs.name = ?{alive} ORDER BY sessions.rowid"
        return self._found(which, (label, pack))

    def lines_of(self, pack: str, sessions: Collection[str]) -> Iterator[tuple[str, str, bytes]]:
        """Those of these sessions that a pack of this name has, as they lie there: its root, their ids, their lines.

        One that is taken out of ``sessions`` meanwhile is left out from then on.
        """
        if len(sessions) <= _MANY:
            which = "WHERE packs.name = ? AND sessions.id = ?"
            found = [each for session in sessions for each in self._found(which, (pack, session))]
            for each in sorted(found, key=lambda each: (each.entry.frame, each.entry.at)):
                yield each.label, each.entry.id, manifest.encode_entry(each.entry)[:-1]
            return
        # Whoever brings them back looks at what the lines say: here it is enough that they are as they were written.
        for row in self._found("WHERE packs.name = ? ORDER BY sessions.rowid", (pack,), make=_line_row):
            if row[1] in sessions:
                yield row

    def count(self) -> tuple[int, int]:
        """How many archived sessions there are, and how many bytes they take."""
        counted = f"SELECT COUNT(*), TOTAL(packed) {_FROM} WHERE {_ALIVE}"
        ((sessions, packed),) = self._rows(counted, (), lambda row: (int(row[0]), int(row[1])))
        return sessions, packed

    def packs(self) -> list[PackFacts]:
        """All packs in the order of their names."""
        return self._rows(
            "SELECT label, packs.name, size, COUNT(sessions.id), COUNT(sessions.dead), TOTAL(packed),"
            " TOTAL(CASE WHEN dead IS NULL THEN 0 ELSE packed END), problem"
            " FROM packs LEFT JOIN sessions ON sessions.pack = packs.id GROUP BY packs.id ORDER BY packs.name",
            (),
            _pack_facts,
        )

    def damaged(self) -> list[tuple[str, str, str]]:
        """The packs whose manifests cannot be read: the labels of their roots, their names, and why."""
        query = "SELECT label, name, problem FROM packs WHERE problem IS NOT NULL ORDER BY name"
        return self._rows(query, (), _damaged_pack)

    def bases(self) -> set[str]:
        """The ids of the sessions that sessions in packs rest on, those too that count no more."""
        which = "WHERE instr(sessions.line, CAST('\"rests_on\"' AS BLOB)) ORDER BY sessions.rowid"
        found = (each.entry.account.rests_on for each in self._found(which))
        return {base for base in found if base is not None}

    def ids_ending(self, ending: str) -> set[str]:
        """The ids that end so, of sessions whether they count or not."""
        like = ending.replace("%", "").replace("_", "")
        found = self._rows(
            "SELECT DISTINCT id FROM sessions WHERE id LIKE ?", (f"%{like}",), lambda row: str(row[0])
        )
        return {id_ for id_ in found if id_.endswith(ending)}

    def latest(self) -> dict[str, tuple[int, float]]:
        """The size and the time of change of the newest copy of each session, whether it counts or not."""
        return {
            each.entry.id: (each.entry.size, each.entry.last_changed)
            for each in self._found("ORDER BY packs.name")
        }

    def frames_of(self, label: str, pack: str) -> tuple[str, list[Span], list[bytes]]:
        """The label of the first root of the store, and the frames of a pack with their digests.

        FileNotFoundError if there is no such pack.
        """
        found = self._rows(
            "SELECT first, frames, sum FROM packs WHERE label = ? AND name = ?", (label, pack), _frames
        )
        if not found:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), pack)
        return found[0]

    def reader(self, copy: Archived) -> PackReader:
        """The pack of a session, opened without reading its manifest; OSError if it cannot be.

        A session that is a file by itself is read from that, which may be `Damaged`.
        """
        if copy.made_by is not None:
            return single.open_single(self._roots, copy.label, copy.pack)
        first, spans, digests = self.frames_of(copy.label, copy.pack)
        return PackReader.open(self._roots[copy.label], copy.pack, spans, digests, first)

    def superseded_by(self, label: str, pack: str) -> list[Archived]:
        """Older copies of the sessions of a pack that count, and that are earlier states of the same recordings.

        Two sessions of one id need not be: only equal content, or an equal start, tells.
        """
        found = self._rows(
            "SELECT older.label, older.name, old.id, old.dead, old.sum, old.line, new.sum, new.line FROM packs newer"
            " JOIN sessions new ON new.pack = newer.id"
            " JOIN sessions old ON old.id = new.id AND old.pack != new.pack AND old.dead IS NULL"
            " JOIN packs older ON older.id = old.pack"
            " WHERE newer.label = ? AND newer.name = ? AND new.dead IS NULL AND older.name < newer.name",
            (label, pack),
            lambda row: (_archived(row[:6]), _entry(None, *row[6:])),
        )
        return [old for old, new in found if _same_recording(old.entry, new)]

    # Reading what may be damaged.

    def _by_id(self, which: str) -> Iterator[Archived]:
        """The sessions of a condition in the order of their ids and packs.

        The packs are looked up here and not by the query, which takes half as long then: there may be very many rows,
        and there are few packs.
        """
        packs = {
            int(id_): (label, name)
            for id_, label, name in self._db.execute("SELECT id, label, name FROM packs")
            if _is_place(label, name)
        }
        decode = manifest.decode_entry
        same: list[Archived] = []  # copies of one session
        last = None
        query = f"{_ROWS} {which} ORDER BY id"
        for pack, id_, dead, told, line in self._db.execute(query):
            if pack not in packs or sum_of_line(dead, line) != told:
                raise Damaged("a row of the catalogue is not what was written")
            label, name = packs[pack]
            each = Archived(label, name, decode(line), dead)
            if id_ != last and same:
                yield from same if len(same) == 1 else sorted(same, key=_pack_of)
                same = [each]
            else:
                same.append(each)
            last = id_
        yield from sorted(same, key=_pack_of)

    def _found(
        self,
        which: str,
        values: tuple[str, ...] = (),
        make: Callable[[tuple[Any, ...]], Any] | None = None,
        taken: int = 0,
    ) -> Iterator[Any]:
        """The sessions of a query behind those that were taken; where a row is damaged, the rest comes from a catalogue
        that is made anew.
        """
        while True:
            rows = f"SELECT {_COLUMNS} {_FROM} {which} LIMIT -1 OFFSET {taken}"
            try:
                for row in self._db.execute(rows, values):
                    yield (make or _archived)(row)
                    taken += 1
                self._require_same_file()
            except _ROTTEN as error:
                self._make_anew(error)
            else:
                return

    def _rows(self, query: str, values: tuple[str, ...], make: Callable[[Any], _T]) -> list[_T]:
        while True:
            try:
                found = [make(row) for row in self._db.execute(query, values)]
                self._require_same_file()
            except _ROTTEN as error:
                self._make_anew(error)
            else:
                return found

    def _require_same_file(self) -> None:
        """`Replaced` if somebody has made the file anew meanwhile: what this one has told may not be all."""
        if self._path is not None:
            catalogue_file.require_same(self._path, self._file)

    def _make_anew(self, error: Exception) -> None:
        """Go on in memory, and have whoever comes next make the file anew."""
        if self._path is None:
            raise OSError(errno.EIO, f"the catalogue cannot be read: {error}")
        self._db.close()
        says_nothing = isinstance(error, sqlite3.Error) and catalogue_file.says_nothing(error)
        if not says_nothing and not isinstance(error, Replaced):
            catalogue_file.remove(self._path)
        self._path = None
        self._db = catalogue_file.in_memory(self._roots)


def _pack_of(each: Archived) -> str:
    return each.pack


def _same_recording(old: Entry, new: Entry) -> bool:
    started = old.account.started_at
    if started is not None and started == new.account.started_at:
        return True
    return [each.sha256 for each in old.members] == [each.sha256 for each in new.members]


def _archived(row: tuple[Any, ...]) -> Archived:
    """A session by its row; `Damaged`, or what Python says, if that was never written so."""
    label, pack, session, dead, told, line = row
    entry = _entry(dead, told, line)
    if entry.id != session or not _is_place(label, pack):
        raise Damaged("a row of the catalogue is not what was written")
    return Archived(label, pack, entry, dead)


def _listed_row(row: tuple[Any, ...]) -> Archived:
    """As `_archived`, for very many: a row that is as it was written needs no more looking at to be listed."""
    label, pack, _, dead, told, line = row
    if sum_of_line(dead, line) != told:
        raise Damaged("a row of the catalogue is not what was written")
    return Archived(label, pack, manifest.decode_entry(line), dead)


def _line_row(row: tuple[Any, ...]) -> tuple[str, str, bytes]:
    label, _, session, dead, told, line = row
    if sum_of_line(dead, line) != told:
        raise Damaged("a row of the catalogue is not what was written")
    return label, session, line.rstrip(b"\n")


def _entry(dead: str | None, told: int, line: bytes) -> Entry:
    if sum_of(dead, line) != told:
        raise Damaged("a row of the catalogue is not what was written")
    return manifest.checked_entry(line)


def _pack_facts(row: tuple[Any, ...]) -> PackFacts:
    label, name, size, sessions, dead, packed, dead_packed, problem = row
    if not _is_place(label, name) or not (problem is None or isinstance(problem, str)):
        raise Damaged("a row of the catalogue is not what was written")
    return PackFacts(label, name, int(size), sessions, dead, int(packed), int(dead_packed), problem)


def _damaged_pack(row: tuple[Any, ...]) -> tuple[str, str, str]:
    label, name, problem = row
    if not _is_place(label, name) or not isinstance(problem, str):
        raise Damaged("a row of the catalogue is not what was written")
    return label, name, problem


def _frames(row: tuple[Any, ...]) -> tuple[str, list[Span], list[bytes]]:
    first, told, found = row
    if sum_of(first, told) != found:
        raise Damaged("a row of the catalogue is not what was written")
    frames = _decode_frames(told)
    return first, manifest.spans(frames), manifest.digests(frames)


@functools.lru_cache(maxsize=64)
def _is_place(label: str, pack: str) -> bool:
    return names.is_archive_root(label) and names.parse_pack_name(pack) is not None


def _path(place: Place, roots: RootFds) -> str | None:
    """Where the file is, or is to be; ``None`` where nobody can be sure of that."""
    folder = resolving.fixed_path(os.path.join(place.path, names.FOLDER))
    if folder is None:
        return None
    with contextlib.suppress(OSError):
        found = looking.stat_below(roots[roots.first], names.FOLDER)
        if found is not None and os.path.samestat(found, os.stat(folder)):
            return os.path.join(folder, os.path.basename(names.CATALOGUE))
    return None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
