"""The facts of one session, from its record, both ends of its transcript, and the last line of its event log.

No lock and no process id tells whether a session still runs, so that silence does: a session of which any file
changed within the grace counts as living.
A usual session costs an open, a look, a read and a close for each of its files; nothing depends on how long it is,
but for a log that is alone, of which `eventlog` says what has to be known, and for records, which are read whole up to
a limit.

What they add up to is told in `judging`.

A session of which one file is not to be touched (a link, a second name, somebody else's) is left alone as a whole.
"""

import os
import stat
from collections.abc import Iterable, Iterator

from store import leases, opening
from store.facts import Fingerprint, Member, Place, Problem, Session, State
from store.layouts.opendev import mend
from store.layouts.opendev.bounded import EVENTS_LIMIT, RECORD_LIMIT, read_whole
from store.layouts.opendev.filenames import (
    DEBUG,
    EVENTS,
    HISTORY,
    RECORD,
    RECORD_TMP,
    TRANSCRIPT,
    TRANSCRIPT_TMP,
)
from store.layouts.opendev.judging import Found, Verdict, has_transcript, recorded, unsaved
from store.layouts.opendev.shelf import Shelf, split_entry
from store.leases import Lease
from store.names import printable

_LIVE, _CRASHED, _CORRUPT, _UNKNOWN = State.LIVE, State.CRASHED, State.CORRUPT, State.UNKNOWN

_STALE = 60.0
"""Seconds by which a save may be older than the last event of its turn."""

_PAYLOADS = "only its payloads are left: it crashed before its first save, or its delete was interrupted"
_LATELY = (
    "it changed lately, and nothing else tells whether it runs: opendev leaves no lock and no process id"
)


def read_sessions(place: Place, shelf: Shelf, entries: Iterable[str]) -> Iterator[Session | Problem]:
    """The facts of each entry of a listing; one that cannot be a session gives a problem."""
    root = opening.open_folder(place.path)
    folder, at = -1, ""
    try:
        for entry in entries:
            path, session, kinds, has_tmp = split_entry(entry)
            if path != at:
                if folder >= 0:
                    os.close(folder)
                    folder, at = -1, ""
                try:
                    folder = opening.open_below(root, path, opening.FOLDER_FLAGS)
                except OSError as error:
                    yield _unreadable(place, f"{path}/{session}", error)
                    continue
                at = path
            found = Found(session, has_tmp)
            found.unclear = (
                has_tmp or TRANSCRIPT_TMP in kinds or session in shelf.shared & shelf.histories.keys()
            )
            try:
                refusal = _read_files(folder, path, kinds, found)
                if refusal is None and session in shelf.histories and session not in shelf.shared:
                    refusal = _read_copies(root, shelf.histories[session], found)
            except FileNotFoundError:
                continue  # deleted since it was listed
            except OSError as error:
                yield _unreadable(place, f"{path}/{session}", error)
                continue
            if refusal is not None:
                yield Problem(place.name, printable(refusal[0]), f"{refusal[1]}; its session is left alone")
            else:
                yield _session(place, shelf, folder, path, found)
    finally:
        if folder >= 0:
            os.close(folder)
        os.close(root)


def _read_files(folder: int, path: str, kinds: tuple[str, ...], found: Found) -> tuple[str, str] | None:
    """Read what is needed of each file; the first that is not to be touched, and why."""
    around = os.fstat(folder)
    alone = RECORD not in kinds and TRANSCRIPT not in kinds
    for kind in kinds:
        name = f"{found.session}.{kind}"
        if kind == TRANSCRIPT_TMP:
            if RECORD not in kinds or has_transcript(found):
                continue
            name = f".{name}"
        if kind == DEBUG:
            seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if (reason := opening.refuse_reason(seen, around)) is not None:
                return f"{path}/{name}", reason
        else:
            try:
                fd = os.open(name, opening.SESSION_FLAGS, dir_fd=folder)
            except OSError as error:
                if (reason := _why_unopened(folder, name, error)) is None:
                    raise
                return f"{path}/{name}", reason
            try:
                seen = os.fstat(fd)
                if (
                    seen.st_nlink != 1
                    or seen.st_uid != around.st_uid
                    or seen.st_dev != around.st_dev
                    or not stat.S_ISREG(seen.st_mode)
                ):
                    return f"{path}/{name}", opening.refuse_reason(
                        seen, around
                    ) or "is none of opendev's files"
                _read_file(fd, kind, seen.st_size, found, alone=alone)
                if kind == EVENTS and alone and found.has_tmp:
                    found.has_tmp = _is_of_now(folder, found.session, seen.st_mtime)
            finally:
                os.close(fd)
        _add(found, kind, f"{path}/{name}", seen)
    return None


def _is_of_now(folder: int, session: str, last_event: float) -> bool:
    """Whether the temp file of a record was written behind the log that is alone: an older one outlived a delete."""
    try:
        found = os.stat(f".{session}.{RECORD_TMP}", dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return found.st_mtime > last_event - _STALE


def _read_file(fd: int, kind: str, size: int, found: Found, *, alone: bool) -> None:
    if kind == RECORD:
        if size <= RECORD_LIMIT:
            found.record = os.pread(fd, size + 1, 0)
        return
    if kind == EVENTS and alone:
        if size <= EVENTS_LIMIT:
            found.alone = read_whole(fd, size)
        found.busy = leases.probe(fd) is Lease.BUSY
        return
    ends = mend.ends_of(fd, size)
    if kind == TRANSCRIPT_TMP or (ends.torn and mend.is_torn(ends)):
        found.busy = found.busy or leases.probe(fd) is Lease.BUSY
    if kind == TRANSCRIPT:
        found.transcript = ends
    elif kind == TRANSCRIPT_TMP:
        found.unfinished = ends if size else None
    else:
        found.log = ends


def _read_copies(root: int, names: tuple[str, ...], found: Found) -> tuple[str, str] | None:
    """The copies of files that the session changed; they are looked at, never read."""
    path = f"{HISTORY}/{found.session}"
    folder = opening.open_below(root, path, opening.FOLDER_FLAGS)
    try:
        around = os.fstat(folder)
        members = []
        for name in names:
            seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if (reason := opening.refuse_reason(seen, around)) is not None:
                return f"{path}/{name}", reason
            members.append(_member(f"{path}/{name}", seen))
            found.newest = max(found.newest, seen.st_mtime)
            found.size += seen.st_size
    finally:
        os.close(folder)
    found.copies = tuple(members)
    return None


def _add(found: Found, kind: str, path: str, seen: os.stat_result) -> None:
    found.members[kind] = _member(path, seen)
    found.size += seen.st_size
    found.newest = max(found.newest, seen.st_mtime)


def _member(path: str, seen: os.stat_result) -> Member:
    print_of = Fingerprint(seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    return Member("data", path, print_of)


def _session(place: Place, shelf: Shelf, folder: int, path: str, found: Found) -> Session:
    if RECORD in found.members:
        verdict = recorded(found)
    elif TRANSCRIPT in found.members:
        verdict = Verdict(_CORRUPT, "its record is gone, only its transcript is left: an interrupted delete")
    elif EVENTS in found.members:
        verdict = unsaved(found)
    else:
        verdict = Verdict(_CORRUPT, _PAYLOADS)
    state, evidence = verdict.state, verdict.evidence
    if state is not _UNKNOWN and found.newest > shelf.live_after:
        state, evidence = _LIVE, _LATELY
    elif state is _CRASHED and found.busy:
        state, evidence = _LIVE, "a process has it open for writing"
    members = found.members
    if verdict.torn is not None:
        # What is to be mended stands behind the file that names the session: that is all that `mend` gets to know.
        first = next(iter(members))
        members = {first: members[first], verdict.torn: members[verdict.torn]} | members
    debug = members.get(DEBUG)
    parent = verdict.parent
    if parent is not None:
        parent = shelf.id_of(path, parent) if _is_saved(folder, parent) else None
    return Session(
        place.name,
        place.kind,
        shelf.id_of(path, found.session) if shelf.shared else found.session,
        state,
        evidence,
        (*members.values(), *found.copies),
        found.size,
        found.newest,
        verdict.name,
        verdict.started_at,
        verdict.ended_at,
        verdict.last_record_at,
        verdict.record is not None,
        verdict.records,
        verdict.empty,
        verdict.project or shelf.projects[path].marker,
        verdict.tags,
        archived=False,
        mendable=verdict.mendable,
        parent=parent,
        payload=() if debug is None or len(found.members) == 1 else (debug,),
    )


def _is_saved(folder: int, session: str) -> bool:
    """Whether a project has the record of a session; what cannot be told is taken to be there."""
    try:
        os.stat(f"{session}.{RECORD}", dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _why_unopened(folder: int, name: str, error: OSError) -> str | None:
    """Why a file could not be opened, told by what it is rather than by the error; ``None`` if that is no reason."""
    if isinstance(error, FileNotFoundError):
        return None
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return opening.refuse_reason(found, os.fstat(folder)) or opening.refused_open(error)


def _unreadable(place: Place, path: str, error: OSError) -> Problem:
    text = f"cannot be read ({error.strerror}); left alone"
    return Problem(place.name, printable(path), text, grave=True)
