"""The index of a project: the list that opendev shows of its sessions, which it believes more than the files.

A session that is not in it is invisible, and one that is, but has no files, is shown all the same.
The program loses entries (two processes write at once, and its lock does not lock), has no way to make the list anew,
and reads an index with one wrong value as none at all, so that its next save writes one with a single entry.

What is guarded: an entry that is kept keeps its bytes, unknown keys and all, and so does everything else in the file;
entries stay in their order, and new ones go behind them, where the program puts them.
Only what has neither record nor transcript any more loses its entry: where a transcript is left alone, the entry is
the last that is known of the session.
An index of another version is a newer program's: what it says is not for us to judge, and it is left as it is.
"""

import os
from collections.abc import Iterable, Sequence

import msgspec

from store import opening
from store.facts import Index, Member, Place, Problem
from store.layout import Unmendable
from store.layouts.opendev import records
from store.layouts.opendev.bounded import read_whole
from store.layouts.opendev.entries import (
    Entry,
    count,
    decode_entry,
    decode_fields,
    entry_of,
    is_same,
    may_be_counted,
    pretty,
    read_listed,
    renewed,
)
from store.layouts.opendev.filenames import INDEX, RECORD, TRANSCRIPT, parse_session_file
from store.layouts.opendev.records import Natural
from store.layouts.opendev.shelf import plain_id
from store.names import printable

VERSION = 1
LIMIT = 32 << 20
"""The largest index that is read; sixty thousand entries take that much."""

_MOST_OBJECTS = 400_000
_MOST_ELSE = 1 << 20
"""What an index of that size cannot have, unless it was made to fill our memory: more objects, more beside them."""


class _Typed(msgspec.Struct):
    version: Natural
    entries: list[Entry]


class _Versioned(msgspec.Struct):
    version: int


class _AsWritten(msgspec.Struct):
    version: Natural
    entries: list[msgspec.Raw]


_decode_typed = records.decoder(_Typed)
_decode_version = records.decoder(_Versioned)
_decode_as_written = records.decoder(_AsWritten)


def check(
    place: Place, folder: int, path: str, recorded: set[str], there: set[str], live_after: float
) -> Index | Problem | None:
    """Whether the index of a project's folder tells what is there; ``None`` if it does, or if there is nothing to tell.

    ``recorded`` are the sessions with a record, ``there`` those with a record or a transcript.
    A record that changed after ``live_after`` may be about to be listed, and is not missed.
    """
    at = f"{path}/{INDEX}"
    around = os.fstat(folder)
    data: bytes | None = None
    changed = 0.0
    members: tuple[Member, ...] = ()
    size = 0
    try:
        fd = opening.open_session(folder, INDEX)
    except FileNotFoundError:
        if not recorded:
            return None
    except OSError as error:
        return _left(place, at, opening.refused_open(error) or f"cannot be read ({error.strerror})")
    else:
        try:
            seen = os.fstat(fd)
            if (reason := opening.refuse_reason(seen, around)) is not None:
                return _left(place, at, reason)
            if seen.st_size > LIMIT:
                return _left(place, at, f"is larger than {LIMIT >> 20} MiB")
            data = read_whole(fd, seen.st_size)
            if data.count(b"{") > _MOST_OBJECTS:
                return _left(place, at, "holds more than any list of sessions")
        except OSError as error:
            return _left(place, at, f"cannot be read ({error.strerror})")
        finally:
            os.close(fd)
        changed, size = seen.st_mtime, seen.st_size
        members = (Member("data", at, opening.fingerprint(seen)),)
    read = None if data is None else _decode_typed(data)
    if data is not None and (read is None or read.version != VERSION):
        if (version := _other_version(data)) is not None:
            return _left(place, at, f"has version {version}, which belongs to another opendev")
        read = None
    listed = [entry.session_id for entry in read.entries] if read is not None else []
    known = set(listed)
    missing = 0
    for session in sorted(recorded - known):
        mtime = _missed(folder, session, live_after)
        if mtime is not None:
            missing += 1
            changed = max(changed, mtime)
    stray = sum(1 for session in listed if session not in there)
    told = _told(missing, stray)
    if data is None:
        evidence = f"it is missing; {told}" if missing else None
    elif read is None:
        evidence = "it cannot be read by its program" + (f"; {told}" if missing else "")
    else:
        evidence = told
    if not evidence:
        return None
    return Index(
        store=place.name,
        kind=place.kind,
        id=at,
        root="data",
        path=at,
        evidence=evidence,
        members=members,
        bytes=size,
        last_changed=changed,
    )


def reindexed(
    folder: int, index: int | None, sessions: frozenset[str] | None, older: Sequence[int]
) -> bytes | None:
    """The bytes of an index that tells the truth about these sessions, or all; ``None`` if it does already."""
    data = None
    if index is not None:
        if os.fstat(index).st_size > LIMIT:
            raise Unmendable(f"the index is larger than {LIMIT >> 20} MiB")
        data = read_whole(index, os.fstat(index).st_size)
        if data.count(b"{") > _MOST_OBJECTS:
            raise Unmendable("the index holds more than any list of sessions")
    fields, listed = ({}, []) if data is None else _taken_apart(data)
    usable = bool(fields)
    recorded, there = _sessions_in(folder)
    named = None if sessions is None or not usable else {plain_id(session) for session in sessions}
    left: list[msgspec.Raw] = []
    changed = not usable
    for entry, raw in listed:
        session = entry.session_id
        if named is not None and session not in named:
            left.append(raw)
        elif session not in there:
            changed = True
        else:
            new = renewed(folder, entry, raw) if named is not None and session in recorded else None
            left.append(raw if new is None else new)
            changed = changed or new is not None
    known = {entry.session_id for entry, _ in listed}
    absent = sorted((recorded if named is None else recorded & named) - known)
    added = _entries_for(folder, absent, older)
    return _render(fields, [*left, *added]) if changed or added else None


def _taken_apart(data: bytes) -> tuple[dict[str, msgspec.Raw], list[tuple[Entry, msgspec.Raw]]]:
    """All that stands in an index, and its entries as they are read and as they are written; nothing if it is damaged.

    Raises `Unmendable` for one that is not ours to write.
    """
    typed = _decode_typed(data)
    if typed is None or typed.version != VERSION:
        if (version := _other_version(data)) is not None:
            raise Unmendable(f"the index has version {version}, which belongs to another opendev")
        return {}, []
    written, fields = _decode_as_written(data), decode_fields(data)
    if written is None or fields is None:
        raise Unmendable("the index holds what could not be written again as it is")
    if len(data) - sum(memoryview(raw).nbytes + 16 for raw in written.entries) > _MOST_ELSE:
        raise Unmendable("the index holds more than a list of sessions")
    return fields, list(zip(typed.entries, written.entries, strict=True))


def _other_version(data: bytes) -> int | None:
    """The version of an index that another program wrote, whatever else stands in it."""
    read = _decode_version(data)
    return None if read is None or read.version == VERSION else read.version


def _entries_for(folder: int, sessions: Iterable[str], older: Sequence[int]) -> list[msgspec.Raw]:
    """Entries for sessions that have none, those first that were begun first."""
    before = _remembered(older)
    made: list[tuple[str, str, msgspec.Raw]] = []
    for session in sessions:
        record = read_listed(folder, session)
        if record is None:
            continue
        told = count(folder, record)
        if told is None:
            continue
        entry = entry_of(record, told)
        raw = next(
            (raw for raw, known in before.get(session, ()) if is_same(known, entry)),
            msgspec.Raw(pretty(msgspec.json.encode(entry))),
        )
        made.append((entry.created, session, raw))
    return [raw for _, _, raw in sorted(made, key=lambda each: each[:2])]


def _remembered(older: Sequence[int]) -> dict[str, list[tuple[msgspec.Raw, Entry]]]:
    """What earlier selves of an index say, the newest first."""
    found: dict[str, list[tuple[msgspec.Raw, Entry]]] = {}
    for fd in older:
        size = os.fstat(fd).st_size
        data = read_whole(fd, size) if size <= LIMIT else b""
        written = _decode_as_written(data) if data.count(b"{") <= _MOST_OBJECTS else None
        for raw in written.entries if written is not None else ():
            entry = decode_entry(bytes(raw))
            if entry is not None:
                found.setdefault(entry.session_id, []).append((raw, entry))
    return found


def _missed(folder: int, session: str, live_after: float) -> float | None:
    """When the record of a session changed that ought to be in the index; ``None`` if it need not be."""
    record = read_listed(folder, session)
    if record is None or not may_be_counted(folder, session):
        return None
    try:
        mtime = os.stat(f"{session}.{RECORD}", dir_fd=folder, follow_symlinks=False).st_mtime
    except OSError:
        return None
    return mtime if mtime <= live_after else None


def _sessions_in(folder: int) -> tuple[set[str], set[str]]:
    """The sessions of a folder that have a record, and those that have a record or a transcript."""
    recorded: set[str] = set()
    there: set[str] = set()
    for name in os.listdir(folder):
        named = parse_session_file(name)
        if named is not None and named.kind in {RECORD, TRANSCRIPT}:
            there.add(named.session)
            if named.kind == RECORD:
                recorded.add(named.session)
    return recorded, there


def _render(fields: dict[str, msgspec.Raw], entries: list[msgspec.Raw]) -> bytes:
    """The file as the program lays it out; every value that was there keeps its bytes."""
    body = b",\n".join(b"    " + bytes(entry) for entry in entries)
    values = {"version": msgspec.Raw(b"%d" % VERSION)} | fields
    values["entries"] = msgspec.Raw(b"[\n" + body + b"\n  ]" if entries else b"[]")
    pairs = [b"  " + msgspec.json.encode(key) + b": " + bytes(value) for key, value in values.items()]
    return b"{\n" + b",\n".join(pairs) + b"\n}"


def _told(missing: int, stray: int) -> str:
    """What is wrong with an index, in words; empty if nothing is."""
    parts = []
    if missing:
        parts.append(
            "1 session is missing from it" if missing == 1 else f"{missing} sessions are missing from it"
        )
    if stray:
        parts.append("1 entry leads nowhere" if stray == 1 else f"{stray} entries lead nowhere")
    return ", ".join(parts)


def _left(place: Place, path: str, why: str) -> Problem:
    return Problem(place.name, printable(path), f"the index of a project {why}; left alone")
