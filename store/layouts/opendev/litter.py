"""What opendev leaves behind when it is killed, or forgets when it deletes: told by name, and by what it was made for.

What is guarded: a temp file that may hold more than the file it was to become is no litter.
The program writes a new record or transcript beside the old one and renames it, so that a crash between the two
leaves the newest words of a conversation in the temp file alone; it stays, and somebody is told, unless the session
itself is made whole from it.
Lock files are litter, because their presence means nothing: the program's lock does not lock, and lives for
milliseconds.
"""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress

from store import edges, opening
from store.facts import Leftover, Member, Place, Problem
from store.layouts.opendev import mend, records
from store.layouts.opendev.bounded import RECORD_LIMIT, read_small
from store.layouts.opendev.filenames import (
    EVENTS_LOCK,
    INDEX_LOCK,
    INDEX_TMP,
    MANIFEST,
    MEMORY_FILE,
    MEMORY_TMP,
    PLANS_INDEX,
    PLANS_TMP,
    RECORD,
    RECORD_TMP,
    TRANSCRIPT,
    TRANSCRIPT_TMP,
    parse_leftover,
)
from store.layouts.opendev.records import Record
from store.names import printable

_SAVE = "temp file of an interrupted save"
_WHAT = {
    RECORD_TMP: _SAVE,
    TRANSCRIPT_TMP: _SAVE,
    EVENTS_LOCK: "lock file of an event log that nobody holds",
    INDEX_TMP: f"{_SAVE} of the index",
    INDEX_LOCK: "lock file of the index that nobody holds",
    MEMORY_TMP: f"{_SAVE} of the memory",
    PLANS_TMP: f"{_SAVE} of the list of plans",
}
_BESIDE = {MEMORY_TMP: MEMORY_FILE, PLANS_TMP: PLANS_INDEX}
"""Temp files by the file that they were to become, and that must be there before they are litter."""


def look_at(place: Place, folder: int, path: str, name: str) -> Leftover | Problem | None:
    """What to make of a temp or lock file in a folder of the store.

    ``None`` if it is gone by now, or if a session is made whole from it, of which it is a file until then.
    """
    at = f"{path}/{name}"
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if (reason := opening.refuse_reason(found, os.fstat(folder))) is not None:
            return Problem(
                place.name, printable(at), f"expected a file of opendev's, but it {reason}; left alone"
            )
        named = parse_leftover(name)
        kind, session = (named.kind, named.session) if named is not None else (name, None)
        if kind == TRANSCRIPT_TMP and session is not None and _is_its_transcript(folder, name, session):
            return None
        why = _why_kept(folder, kind, session, found.st_size)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Problem(
            place.name, printable(at), f"cannot be read ({error.strerror}); left alone", grave=True
        )
    if why is not None:
        return Problem(place.name, printable(at), f"the temp file is kept, because {why}")
    return leftover(place, at, _WHAT.get(kind, "temp file of an interrupted copy"), [(at, found)], session)


def leftover(
    place: Place, id_: str, what: str, files: Sequence[tuple[str, os.stat_result]], session: str | None
) -> Leftover:
    """Files that belong to nothing any more."""
    return Leftover(
        store=place.name,
        kind=place.kind,
        id=id_,
        what=what,
        members=tuple(Member("data", path, opening.fingerprint(found)) for path, found in files),
        bytes=sum(found.st_size for _, found in files),
        last_changed=max(found.st_mtime for _, found in files),
        session=session,
    )


def _why_kept(folder: int, kind: str, session: str | None, size: int) -> str | None:
    """Why a temp file is no litter, as a clause; ``None`` if it is. An empty one holds nothing."""
    if not size:
        return None
    if kind == RECORD_TMP:
        record = read_record(folder, f"{session}.{RECORD}")
        if record is None:
            return f"the record of session {session} is missing or damaged: compare the two and remove one"
        if records.is_true(record.metadata.recovered):
            return f"session {session} was recovered without it: compare the two and remove it"
        new = read_record(folder, f".{session}.{RECORD_TMP}")
        if new is not None and not records.is_empty(new.messages):
            return f"it holds messages of session {session}: compare the two and remove one"
        if new is None and not records.is_empty(record.messages) and size > _size_of(folder, session):
            return f"it may hold more messages of session {session}: compare the two and remove one"
        if new is not None and _tells_more(new, record):
            return f"it tells of session {session} what its record does not: compare the two and remove one"
    elif kind == TRANSCRIPT_TMP:
        try:
            written = os.stat(f"{session}.{TRANSCRIPT}", dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return f"session {session} has no transcript but this"
        record = read_record(folder, f"{session}.{RECORD}")
        if record is not None and records.is_true(record.metadata.recovered):
            return f"session {session} was recovered without it: compare the two and remove it"
        if size > written.st_size or not stat.S_ISREG(written.st_mode):
            return (
                f"it may hold more of session {session} than its transcript: compare the two and remove one"
            )
        if not _has_its_messages(folder, f".{session}.{TRANSCRIPT_TMP}", f"{session}.{TRANSCRIPT}"):
            return f"it holds messages of session {session} that its transcript does not: compare the two and remove one"
    elif kind in _BESIDE or kind.startswith(".manifest."):
        beside = _BESIDE.get(kind, MANIFEST)
        try:
            os.stat(beside, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return f"there is no {beside} but this"
    return None


def _size_of(folder: int, session: str | None) -> int:
    return os.stat(f"{session}.{RECORD}", dir_fd=folder, follow_symlinks=False).st_size


def _tells_more(new: Record, record: Record) -> bool:
    """Whether a record that has its place only in a temp file tells of anything else than the one that has it."""
    pairs = (
        (new.metadata.title, record.metadata.title),
        (new.metadata.summary, record.metadata.summary),
        (new.metadata.tags, record.metadata.tags),
        (new.file_changes, record.file_changes),
        (new.subagent_sessions, record.subagent_sessions),
    )
    return any(
        not (records.is_null(told) or records.is_empty(told)) and bytes(told) != bytes(known)
        for told, known in pairs
    )


def _has_its_messages(folder: int, temp: str, transcript: str) -> bool:
    """Whether a transcript begins with all whole messages of a temp file, which is not longer than it."""
    new, old = opening.open_session(folder, temp), -1
    try:
        old = opening.open_session(folder, transcript)
        ends = mend.ends_of(new, os.fstat(new).st_size)
        whole = ends.last_end
        if not mend.has_messages(ends) or not whole:
            return True
        return all(
            os.pread(new, min(edges.BLOCK, whole - at), at) == os.pread(old, min(edges.BLOCK, whole - at), at)
            for at in range(0, whole, edges.BLOCK)
        )
    finally:
        for fd in (new, old):
            if fd >= 0:
                os.close(fd)


def _is_its_transcript(folder: int, name: str, session: str) -> bool:
    """Whether a saved session has no transcript but this temp file, and can be made whole from it."""
    with suppress(FileNotFoundError):
        os.stat(f"{session}.{TRANSCRIPT}", dir_fd=folder, follow_symlinks=False)
        return False
    record = read_record(folder, f"{session}.{RECORD}")
    if record is None or record.id != session or not records.is_empty(record.messages):
        return False
    fd = opening.open_session(folder, name)
    try:
        ends = mend.ends_of(fd, os.fstat(fd).st_size)
        return mend.has_messages(ends) and not ends.too_long
    finally:
        os.close(fd)


def read_record(folder: int, name: str) -> Record | None:
    """The record in this file, or ``None`` if there is none that can be read."""
    data = read_small(folder, name, RECORD_LIMIT)
    return records.decode_record(data) if data is not None else None
