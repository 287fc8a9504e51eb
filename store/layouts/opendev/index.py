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
from typing import NamedTuple

import msgspec

from store import edges, opening
from store.facts import Index, Member, Place, Problem
from store.layout import Unmendable
from store.layouts.opendev import records
from store.layouts.opendev.bounded import LINE_LIMIT, RECORD_LIMIT, read_whole
from store.layouts.opendev.filenames import INDEX, RECORD, TRANSCRIPT, parse_session_file
from store.layouts.opendev.records import Listed, Natural
from store.layouts.opendev.shelf import plain_id
from store.layouts.opendev.times import instant_of, normalised
from store.names import printable

VERSION = 1
LIMIT = 32 << 20
"""The largest index that is read; sixty thousand entries take that much."""

_MOST_OBJECTS = 400_000
_MOST_ELSE = 1 << 20
"""What an index of that size cannot have, unless it was made to fill our memory: more objects, more beside them."""


class Entry(msgspec.Struct, rename="camel", gc=False):
    """An entry, as strictly typed as the program has it: where one does not fit, it reads no entry at all."""

    session_id: str
    created: str
    modified: str
    message_count: Natural = 0
    total_tokens: Natural = 0
    title: str | None = None
    summary: str | None = None
    tags: list[str] = []
    working_directory: str | None = None
    has_session_model: bool = False
    channel: str = "cli"
    channel_user_id: str = ""
    thread_id: str | None = None
    owner_id: str | None = None
    summary_additions: Natural = 0
    summary_deletions: Natural = 0
    summary_files: Natural = 0
    time_archived: str | None = None


class _Told(NamedTuple):
    """What the messages of a session come to; ``is_whole`` is false where it crashed, and more was said."""

    messages: int
    tokens: int
    is_whole: bool


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
_decode_fields = records.decoder(dict[str, msgspec.Raw])
_decode_entry = records.decoder(Entry)
_decode_tags = records.decoder(list[str])


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
            new = _renewed(folder, entry, raw) if named is not None and session in recorded else None
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
    written, fields = _decode_as_written(data), _decode_fields(data)
    if written is None or fields is None:
        raise Unmendable("the index holds what could not be written again as it is")
    if len(data) - sum(memoryview(raw).nbytes + 16 for raw in written.entries) > _MOST_ELSE:
        raise Unmendable("the index holds more than a list of sessions")
    return fields, list(zip(typed.entries, written.entries, strict=True))


def _other_version(data: bytes) -> int | None:
    """The version of an index that another program wrote, whatever else stands in it."""
    read = _decode_version(data)
    return None if read is None or read.version == VERSION else read.version


def _renewed(folder: int, entry: Entry, raw: msgspec.Raw) -> msgspec.Raw | None:
    """An entry with what a save would write now, if its files are longer, shorter, or of another moment; else nothing.

    What it holds besides stays, and so does the order.
    Of a session that crashed, what its program said last is better than what its files say now.
    """
    record = read_listed(folder, entry.session_id)
    told = None if record is None else _count(folder, record)
    fields = _decode_fields(raw)
    if record is None or told is None or not told.is_whole or fields is None:
        return None
    now = _entry(record, told)
    if now.message_count == entry.message_count and instant_of(now.modified) == instant_of(entry.modified):
        return None
    said = _decode_fields(msgspec.json.encode(now)) or {}
    pairs = [
        msgspec.json.encode(key) + b": " + (bytes(value) if key not in said else _value(said[key]))
        for key, value in (fields | said).items()
    ]
    return msgspec.Raw(b"{\n      " + b",\n      ".join(pairs) + b"\n    }")


def _value(value: msgspec.Raw) -> bytes:
    """A value of an entry as the program lays it out."""
    return msgspec.json.format(bytes(value), indent=2).replace(b"\n", b"\n      ")


def _entries_for(folder: int, sessions: Iterable[str], older: Sequence[int]) -> list[msgspec.Raw]:
    """Entries for sessions that have none, those first that were begun first."""
    before = _remembered(older)
    made: list[tuple[str, str, msgspec.Raw]] = []
    for session in sessions:
        record = read_listed(folder, session)
        if record is None:
            continue
        told = _count(folder, record)
        if told is None:
            continue
        entry = _entry(record, told)
        raw = next(
            (raw for raw, known in before.get(session, ()) if _same(known, entry)),
            msgspec.Raw(_pretty(msgspec.json.encode(entry))),
        )
        made.append((entry.created, session, raw))
    return [raw for _, _, raw in sorted(made, key=lambda each: each[:2])]


def _same(known: Entry, entry: Entry) -> bool:
    """Whether an older entry is of the session as it is now: as long, and saved at the same moment."""
    return (
        instant_of(known.modified) == instant_of(entry.modified)
        and known.message_count == entry.message_count
        and known.time_archived == entry.time_archived
    )


def _remembered(older: Sequence[int]) -> dict[str, list[tuple[msgspec.Raw, Entry]]]:
    """What earlier selves of an index say, the newest first."""
    found: dict[str, list[tuple[msgspec.Raw, Entry]]] = {}
    for fd in older:
        size = os.fstat(fd).st_size
        data = read_whole(fd, size) if size <= LIMIT else b""
        written = _decode_as_written(data) if data.count(b"{") <= _MOST_OBJECTS else None
        for raw in written.entries if written is not None else ():
            entry = _decode_entry(bytes(raw))
            if entry is not None:
                found.setdefault(entry.session_id, []).append((raw, entry))
    return found


def read_listed(folder: int, session: str) -> Listed | None:
    """The record of a session that may be listed; ``None`` where the program could not read it as that session."""
    try:
        fd = opening.open_session(folder, f"{session}.{RECORD}")
    except OSError:
        return None
    try:
        seen = os.fstat(fd)
        if opening.refuse_reason(seen, os.fstat(folder)) is not None or seen.st_size > RECORD_LIMIT:
            return None
        record = records.decode_listed(read_whole(fd, seen.st_size))
    except OSError:
        return None
    finally:
        os.close(fd)
    return record if record is not None and record.id == session and _has_times(record) else None


def _missed(folder: int, session: str, live_after: float) -> float | None:
    """When the record of a session changed that ought to be in the index; ``None`` if it need not be."""
    record = read_listed(folder, session)
    if record is None or not _may_be_counted(folder, session):
        return None
    try:
        mtime = os.stat(f"{session}.{RECORD}", dir_fd=folder, follow_symlinks=False).st_mtime
    except OSError:
        return None
    return mtime if mtime <= live_after else None


def _may_be_counted(folder: int, session: str) -> bool:
    """Whether the transcript of a session, if there is one, is a file that may be touched."""
    try:
        fd = opening.open_session(folder, f"{session}.{TRANSCRIPT}")
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        return opening.refuse_reason(os.fstat(fd), os.fstat(folder)) is None
    finally:
        os.close(fd)


def _has_times(record: Listed) -> bool:
    return all(
        text is not None and instant_of(text) is not None for text in (record.created_at, record.updated_at)
    ) and (record.time_archived is None or instant_of(record.time_archived) is not None)


def _entry(record: Listed, told: _Told) -> Entry:
    """The entry that the program would make of a session when it saved it."""
    metadata, changes = record.metadata, record.file_changes
    tags = _decode_tags(metadata.tags) if memoryview(metadata.tags).nbytes <= records.SMALL else None
    return Entry(
        session_id=record.id,
        created=normalised(record.created_at or "") or "",
        modified=normalised(record.updated_at or "") or "",
        message_count=told.messages,
        total_tokens=told.tokens,
        title=records.text_of(metadata.title),
        summary=records.text_of(metadata.summary),
        tags=tags or [],
        working_directory=record.working_directory,
        has_session_model=not records.is_null(metadata.session_model),
        channel=record.channel,
        channel_user_id=record.channel_user_id,
        thread_id=record.thread_id,
        owner_id=record.owner_id,
        summary_additions=sum(change.lines_added for change in changes),
        summary_deletions=sum(change.lines_removed for change in changes),
        summary_files=len({change.file_path for change in changes}),
        time_archived=None if record.time_archived is None else normalised(record.time_archived),
    )


def _count(folder: int, record: Listed) -> _Told | None:
    """The messages that the program would read, and how many tokens it takes them for.

    ``None`` if the transcript is not to be touched.
    """
    count = tokens = 0
    is_whole = True
    try:
        fd = opening.open_session(folder, f"{record.id}.{TRANSCRIPT}")
    except FileNotFoundError:
        is_whole = bool(record.messages)
    except OSError:
        return None
    else:
        try:
            if opening.refuse_reason(os.fstat(fd), os.fstat(folder)) is not None:
                return None
            for line in edges.iter_lines(fd, limit=LINE_LIMIT, size=os.fstat(fd).st_size):
                message = None if line.data is None else records.decode_message(line.data)
                if message is not None:
                    count += 1
                    tokens += _tokens(message)
                elif not line.terminated:
                    is_whole = False
        finally:
            os.close(fd)
    if not count:
        # Without one, the program keeps the messages of the record, as its oldest form has them.
        count, tokens = len(record.messages), sum(map(_tokens, record.messages))
    return _Told(count, tokens, is_whole)


def _tokens(message: records.Message) -> int:
    """The program's own estimate: a quarter of the bytes, where no count was recorded."""
    if message.tokens is not None:
        return message.tokens
    calls = sum(len(_compact(bytes(call.parameters))) // 4 for call in message.tool_calls)
    return len(message.content.encode()) // 4 + calls


def _compact(data: bytes) -> bytes:
    try:
        return msgspec.json.format(data, indent=-1)
    except RecursionError:
        return data


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


def _pretty(entry: bytes) -> bytes:
    """An entry in the form that it has within a list within the file: no value of it holds a newline."""
    return msgspec.json.format(entry, indent=2).replace(b"\n", b"\n    ")


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
