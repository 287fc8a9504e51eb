"""The facts of one session, from its record, both ends of its transcript, and the last line of its event log.

No lock and no process id tells whether a session still runs, so that silence does: a session of which any file
changed within the grace counts as living.
A usual session costs an open, a look, a read and a close for each of its files; nothing depends on how long it is,
but for a log that is alone, of which `eventlog` says what has to be known, and for records, which are read whole up to
a limit.

What is guarded: a session is called empty only if nothing shows that somebody said or did anything in it.
A first save that is killed between its two renames leaves all that was said in a temp file, so that this one is read
where there is no transcript, and is one of the session's files for as long.
Half a line counts as somebody's word, too: a file of nothing else is left as it is, because what would be left of it
could be taken for a session in which nothing was said.

A session of which one file is not to be touched (a link, a second name, somebody else's) is left alone as a whole.
"""

import os
import stat
from collections.abc import Iterator

import msgspec

from store import leases, opening
from store.edges import Edges
from store.facts import Fingerprint, Member, Place, Problem, Session, State
from store.layout import Unmendable
from store.layouts.opendev import eventlog, mend, records
from store.layouts.opendev.bounded import EVENTS_LIMIT, RECORD_LIMIT, read_whole
from store.layouts.opendev.filenames import (
    DEBUG,
    EVENTS,
    HISTORY,
    RECORD,
    TRANSCRIPT,
    TRANSCRIPT_TMP,
    is_session_id,
)
from store.layouts.opendev.records import Record
from store.layouts.opendev.shelf import Shelf, split_entry
from store.layouts.opendev.times import seconds_of
from store.leases import Lease
from store.names import printable

_LIVE, _COMPLETE, _RECOVERED = State.LIVE, State.COMPLETE, State.RECOVERED
_CRASHED, _CORRUPT, _UNKNOWN = State.CRASHED, State.CORRUPT, State.UNKNOWN

_WHOLE = "its record and its transcript are whole"
_LATELY = (
    "it changed lately, and nothing else tells whether it runs: opendev leaves no lock and no process id"
)
_DELETED = "only its event log is left: deleted by its program, or crashed while it saved"
_PAYLOADS = "only its payloads are left: it crashed before its first save, or its delete was interrupted"
_UNFINISHED = "its save was interrupted: what was said stands in a temp file alone"


class _Verdict(msgspec.Struct):
    """What a session's own files say, before anybody asks when they changed."""

    state: State
    evidence: str
    record: Record | None = None
    name: str | None = None
    project: str | None = None
    parent: str | None = None
    tags: tuple[str, ...] | None = None
    started_at: float | None = None
    ended_at: float | None = None
    last_record_at: float | None = None
    records: int | None = None
    empty: bool | None = None
    mendable: bool = True
    torn: str | None = None


class _Found(msgspec.Struct):
    """The files of a session as they were read: members by kind, and what stands in them."""

    session: str
    has_tmp: bool
    members: dict[str, Member] = {}
    newest: float = 0.0
    size: int = 0
    record: bytes | None = None
    transcript: Edges | None = None
    log: Edges | None = None
    unfinished: Edges | None = None
    alone: bytes | None = None
    busy: bool = False
    copies: tuple[Member, ...] = ()


def read_sessions(place: Place, shelf: Shelf, entries: list[str]) -> Iterator[Session | Problem]:
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
            found = _Found(session, has_tmp)
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


def _read_files(folder: int, path: str, kinds: tuple[str, ...], found: _Found) -> tuple[str, str] | None:
    """Read what is needed of each file; the first that is not to be touched, and why."""
    around = os.fstat(folder)
    alone = RECORD not in kinds and TRANSCRIPT not in kinds
    for kind in kinds:
        name = f"{found.session}.{kind}"
        if kind == TRANSCRIPT_TMP:
            if RECORD not in kinds or _has_transcript(found):
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
            finally:
                os.close(fd)
        _add(found, kind, f"{path}/{name}", seen)
    return None


def _has_transcript(found: _Found) -> bool:
    transcript = found.members.get(TRANSCRIPT)
    return transcript is not None and transcript.fingerprint.size > 0


def _read_file(fd: int, kind: str, size: int, found: _Found, *, alone: bool) -> None:
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


def _read_copies(root: int, names: tuple[str, ...], found: _Found) -> tuple[str, str] | None:
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


def _add(found: _Found, kind: str, path: str, seen: os.stat_result) -> None:
    found.members[kind] = _member(path, seen)
    found.size += seen.st_size
    found.newest = max(found.newest, seen.st_mtime)


def _member(path: str, seen: os.stat_result) -> Member:
    print_of = Fingerprint(seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    return Member("data", path, print_of)


def _session(place: Place, shelf: Shelf, folder: int, path: str, found: _Found) -> Session:
    if RECORD in found.members:
        verdict = _recorded(found)
    elif TRANSCRIPT in found.members:
        verdict = _Verdict(_CORRUPT, "its record is gone, only its transcript is left: an interrupted delete")
    elif EVENTS in found.members:
        verdict = _unsaved(found)
    else:
        verdict = _Verdict(_CORRUPT, _PAYLOADS)
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


def _recorded(found: _Found) -> _Verdict:
    """A session with a record."""
    data = found.record
    if data is None:
        return _Verdict(_UNKNOWN, f"its record is larger than {RECORD_LIMIT >> 20} MiB, and was not read")
    record = records.decode_record(data)
    if record is None or not records.is_list(record.messages):
        if record is not None or records.is_json(data):
            return _Verdict(_UNKNOWN, "its record is JSON, but none that opendev could read")
        return _Verdict(_CORRUPT, "its record cannot be read" if data else "its record is empty")
    if record.id is None:
        return _Verdict(_UNKNOWN, "its record carries no id: to opendev it is a new session each time")
    if record.id != found.session:
        return _Verdict(_UNKNOWN, f"its record is of another session, {printable(record.id):.60}")
    timeless = record.created_at is None and record.updated_at is None
    if timeless and TRANSCRIPT not in found.members and records.is_empty(record.messages):
        # opendev would load it, but never writes such a one: it may be somebody's own JSON that has an id.
        return _Verdict(_UNKNOWN, "its record carries neither times nor messages, and there is no transcript")
    started = None if record.created_at is None else seconds_of(record.created_at)
    ended = None if record.updated_at is None else seconds_of(record.updated_at)
    if (started is None and record.created_at is not None) or (
        ended is None and record.updated_at is not None
    ):
        return _Verdict(_UNKNOWN, "its record carries a time that opendev could not read")
    metadata = record.metadata
    verdict = _Verdict(
        _COMPLETE,
        _WHOLE,
        record,
        records.text_of(metadata.title),
        record.working_directory,
        _parent(record.parent_id, found.session),
        records.tags_of(metadata),
        started,
        ended,
    )
    if found.unfinished is not None and records.is_empty(record.messages):
        verdict.records = _messages(record, found.unfinished)
        _judge_unfinished(verdict, found, found.unfinished)
        return verdict
    verdict.records = _messages(record, found.transcript)
    _judge_ends(verdict, found)
    verdict.empty = _is_empty(verdict, found)
    if verdict.empty and verdict.state is _CRASHED and found.log is not None and found.log.tail is not None:
        verdict.empty = verdict.mendable = False
        verdict.evidence += ", and that is all that was said in it"
    return verdict


def _judge_unfinished(verdict: _Verdict, found: _Found, ends: Edges) -> None:
    """A session with all that was said in the temp file of a save."""
    verdict.state, verdict.evidence, verdict.empty = _CRASHED, _UNFINISHED, False
    if ends.too_long:
        verdict.state, verdict.evidence = _UNKNOWN, f"{_UNFINISHED}, a line of which is too long to be read"
    elif TRANSCRIPT in found.members:
        verdict.mendable, verdict.evidence = False, f"{_UNFINISHED}, and its transcript is empty"
    elif not mend.has_messages(ends):
        verdict.mendable, verdict.evidence = False, f"{_UNFINISHED}, which begins with no complete message"
    else:
        verdict.torn = TRANSCRIPT_TMP


def _judge_ends(verdict: _Verdict, found: _Found) -> None:
    """Whether the transcript and the event log are whole."""
    transcript, log = found.transcript, found.log
    for kind, what, ends in ((TRANSCRIPT, "transcript", transcript), (EVENTS, "event log", log)):
        if ends is None:
            continue
        if ends.too_long:
            verdict.state, verdict.evidence = _UNKNOWN, f"the last line of its {what} is too long to be read"
            return
        if ends.torn and mend.is_torn(ends):
            verdict.state, verdict.torn = _CRASHED, kind
            if ends.last is None:
                verdict.evidence = f"its {what} is nothing but {ends.torn} bytes that are no complete line"
                verdict.mendable = False
                return
            verdict.evidence = f"its {what} ends in {ends.torn} bytes that are no complete line"
            if kind == EVENTS:
                last = records.decode_envelope(ends.last)
                verdict.mendable = last is not None and last.aggregate_id == found.session
            return
    assert verdict.record is not None
    if records.is_true(verdict.record.metadata.recovered):
        verdict.state, verdict.evidence = _RECOVERED, "its record says that it was recovered"


def _messages(record: Record, transcript: Edges | None) -> int | None:
    """How many messages a session has, if that can be seen."""
    if transcript is None:
        return records.count(record.messages)
    if transcript.whole is None:
        return None
    lines = _lines(transcript.whole) - (transcript.torn > 0 and mend.is_torn(transcript))
    # Without a single line the program keeps the messages of the record, as its older form has them.
    return lines or records.count(record.messages)


def _lines(whole: bytes) -> int:
    """How many lines are no blank ones."""
    if b"\n\n" in whole or whole[:1] <= b" ":
        return sum(1 for line in whole.split(b"\n") if line.strip())
    return whole.count(b"\n") + (not whole.endswith(b"\n"))


def _is_empty(verdict: _Verdict, found: _Found) -> bool | None:
    """Whether nobody said or caused anything in the session; ``None`` where only a long log could tell.

    What is torn off the event log is not asked: that is half an event, or zeros.
    """
    record = verdict.record
    assert record is not None
    said_or_done = (record.messages, record.subagent_sessions, record.file_changes)
    if verdict.records or not all(map(records.is_empty, said_or_done)):
        return False
    debug, transcript, log = found.members.get(DEBUG), found.transcript, found.log
    if found.copies or verdict.state is _RECOVERED or (debug is not None and debug.fingerprint.size):
        return False  # what was recovered was not empty, or it would not have been
    if transcript is None:
        # Each save writes one, so that this one did not come to an end; titles are made from what was said.
        if not records.is_null(record.metadata.title):
            return False
    elif transcript.torn or transcript.whole is None:
        return False
    if log is None:
        return True
    if log.whole is None:
        return None
    return b"MessageAdded" not in (log.whole[: log.size - log.torn] if verdict.torn else log.whole)


def _unsaved(found: _Found) -> _Verdict:
    """A session of which there is an event log, and perhaps payloads."""
    debug = found.members.get(DEBUG)
    beside = "its payloads" if debug is not None else "the temp file of its record" if found.has_tmp else None
    if found.alone is None:
        text = f"only its event log is left, of more than {EVENTS_LIMIT >> 20} MiB"
        return _Verdict(_CRASHED if beside else _UNKNOWN, text, empty=False, mendable=False)
    log = eventlog.parse(found.alone, found.session)
    if log.foreign is not None:
        return _Verdict(_UNKNOWN, f"only its event log is left, and {log.foreign}")
    if log.was_recovered:
        return _Verdict(_UNKNOWN, "only its event log is left: deleted after it was recovered")
    if log.was_saved and beside is None:
        return _Verdict(_UNKNOWN, _DELETED)
    evidence = "it crashed before its first save: only its event log is left"
    if beside is not None:
        evidence += f", and {beside}"
    if log.torn:
        evidence += f"; the log ends in {log.torn} bytes that are no complete event"
    empty = not (
        log.has_messages or log.untold or found.copies or (debug is not None and debug.fingerprint.size)
    )
    verdict = _Verdict(_CRASHED, evidence, empty=empty)
    try:
        session = eventlog.project(log)
    except Unmendable as reason:
        verdict.mendable, verdict.evidence = False, f"{evidence}; {reason}"
        return verdict
    title = session.metadata.get("title")
    verdict.name = None if title is None else records.text_of(title)
    verdict.tags = ()
    verdict.project = session.created.working_directory
    verdict.parent = _parent(session.created.parent_id, found.session)
    verdict.started_at = seconds_of(session.created_at)
    verdict.last_record_at = seconds_of(session.updated_at)
    verdict.records = len(session.messages)
    return verdict


def _parent(parent: str | None, session: str) -> str | None:
    """The session that began this one, if what stands there can be one."""
    return parent if parent is not None and parent != session and is_session_id(parent) else None


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
