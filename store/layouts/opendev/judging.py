"""What the files of one session say of it, once they were read: its state, and the facts that stand in its records.

Nothing here opens a file, and nothing asks when anything changed.

What is guarded: a session is called empty only if nothing shows that somebody said or did anything in it.
A first save that is killed between its two renames leaves all that was said in a temp file, so that this one is read
where there is no transcript, and is one of the session's files for as long.
Half a line counts as somebody's word, too: a file of nothing else is left as it is, because what would be left of it
could be taken for a session in which nothing was said.
"""

import msgspec

from store.edges import Edges
from store.facts import Member, State
from store.layout import Unmendable
from store.layouts.opendev import eventlog, mend, records
from store.layouts.opendev.bounded import EVENTS_LIMIT, RECORD_LIMIT
from store.layouts.opendev.filenames import (
    DEBUG,
    EVENTS,
    TRANSCRIPT,
    TRANSCRIPT_TMP,
    is_session_id,
)
from store.layouts.opendev.records import Record
from store.layouts.opendev.times import seconds_of
from store.names import printable

_COMPLETE, _RECOVERED = State.COMPLETE, State.RECOVERED
_CRASHED, _CORRUPT, _UNKNOWN = State.CRASHED, State.CORRUPT, State.UNKNOWN

_WHOLE = "its record and its transcript are whole"
_DELETED = "only its event log is left: deleted by its program, or crashed while it saved"
_UNFINISHED = "its save was interrupted: what was said stands in a temp file alone"


class Verdict(msgspec.Struct):
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


class Found(msgspec.Struct):
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
    unclear: bool = False
    """Whether there is something that may belong to it, or hold more than it does."""

    copies: tuple[Member, ...] = ()


def has_transcript(found: Found) -> bool:
    transcript = found.members.get(TRANSCRIPT)
    return transcript is not None and transcript.fingerprint.size > 0


def recorded(found: Found) -> Verdict:
    """A session with a record."""
    data = found.record
    if data is None:
        return Verdict(_UNKNOWN, f"its record is larger than {RECORD_LIMIT >> 20} MiB, and was not read")
    record = records.decode_record(data)
    if record is None or not records.is_list(record.messages):
        if record is not None or records.is_json(data):
            return Verdict(_UNKNOWN, "its record is JSON, but none that opendev could read")
        return Verdict(_CORRUPT, "its record cannot be read" if data else "its record is empty")
    if record.id is None:
        return Verdict(_UNKNOWN, "its record carries no id: to opendev it is a new session each time")
    if record.id != found.session:
        return Verdict(_UNKNOWN, f"its record is of another session, {printable(record.id):.60}")
    timeless = record.created_at is None and record.updated_at is None
    if timeless and TRANSCRIPT not in found.members and records.is_empty(record.messages):
        # opendev would load it, but never writes such a one: it may be somebody's own JSON that has an id.
        return Verdict(_UNKNOWN, "its record carries neither times nor messages, and there is no transcript")
    started = None if record.created_at is None else seconds_of(record.created_at)
    ended = None if record.updated_at is None else seconds_of(record.updated_at)
    if (started is None and record.created_at is not None) or (
        ended is None and record.updated_at is not None
    ):
        return Verdict(_UNKNOWN, "its record carries a time that opendev could not read")
    metadata = record.metadata
    verdict = Verdict(
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
    verdict.ended_at = _latest(ended, found)
    _judge_ends(verdict, found)
    verdict.empty = _is_empty(verdict, found)
    if verdict.empty and verdict.state is _CRASHED and found.log is not None and found.log.tail is not None:
        verdict.empty = verdict.mendable = False
        verdict.evidence += ", and that is all that was said in it"
    return verdict


def _latest(ended: float | None, found: Found) -> float | None:
    """When a session ended: its record is as old as its last save, and what was said since stands in its log alone."""
    last = found.log.last if found.log is not None else None
    stamp = records.decode_stamp(last) if ended is not None and last is not None else None
    when = seconds_of(stamp.timestamp) if stamp is not None else None
    return when if ended is not None and when is not None and when > ended else ended


def _judge_unfinished(verdict: Verdict, found: Found, ends: Edges) -> None:
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


def _judge_ends(verdict: Verdict, found: Found) -> None:
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


def _is_empty(verdict: Verdict, found: Found) -> bool | None:
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
    if found.unclear or (found.record is not None and records.holds_more(found.record)):
        return False
    if log is None:
        return True
    if log.whole is None:
        return None
    return not eventlog.tells(log.whole[: log.size - log.torn] if verdict.torn else log.whole)


def unsaved(found: Found) -> Verdict:
    """A session of which there is an event log, and perhaps payloads."""
    debug = found.members.get(DEBUG)
    beside = "its payloads" if debug is not None else "the temp file of its record" if found.has_tmp else None
    if found.alone is None:
        text = f"only its event log is left, of more than {EVENTS_LIMIT >> 20} MiB"
        return Verdict(_CRASHED if beside else _UNKNOWN, text, empty=False, mendable=False)
    log = eventlog.parse(found.alone, found.session)
    if log.foreign is not None:
        return Verdict(_UNKNOWN, f"only its event log is left, and {log.foreign}")
    if log.was_recovered:
        return Verdict(_UNKNOWN, "only its event log is left: deleted after it was recovered")
    if log.was_saved and beside is None:
        return Verdict(_UNKNOWN, _DELETED)
    evidence = "it crashed before its first save: only its event log is left"
    if beside is not None:
        evidence += f", and {beside}"
    if log.torn:
        evidence += f"; the log ends in {log.torn} bytes that are no complete event"
    empty = not (
        log.tells
        or found.unclear
        or log.untold
        or found.copies
        or (debug is not None and debug.fingerprint.size)
    )
    verdict = Verdict(_CRASHED, evidence, empty=empty)
    if log.untold and not log.tells:
        verdict.mendable, verdict.evidence = False, f"{evidence}, and that is all that was said in it"
        return verdict
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
