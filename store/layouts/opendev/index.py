"""The index of a project: the list that opendev shows of its sessions, which it believes more than the files.

A session that is not in it is invisible, and one that is, but has no files, is shown all the same.
The program loses entries (two processes write at once, and its lock does not lock), has no way to make the list anew,
and reads an index with one wrong value as none at all, so that its next save writes one with a single entry.

What is guarded: an entry that is kept keeps its bytes, unknown keys and all, and so does everything else in the file;
entries stay in their order, and new ones go behind them, where the program puts them.
Only what has neither record nor transcript any more loses its entry: where a transcript is left alone, the entry is
the last that is known of the session.
"""

import os
from collections.abc import Iterable, Sequence

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


class _Typed(msgspec.Struct):
    version: Natural
    entries: list[Entry]


class _AsWritten(msgspec.Struct):
    version: Natural
    entries: list[msgspec.Raw]


_decode_typed = records.decoder(_Typed)
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
    usable = read is not None and read.version == VERSION
    listed = [entry.session_id for entry in read.entries] if usable and read is not None else []
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
    elif not usable:
        evidence = f"its version is {read.version}, which its program takes for none" + (
            f"; {told}" if told else ""
        )
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
    typed = None if data is None else _decode_typed(data)
    usable = typed is not None and typed.version == VERSION
    fields: dict[str, msgspec.Raw] = {}
    kept: list[msgspec.Raw] = []
    listed: list[str] = []
    if usable and typed is not None and data is not None:
        written = _decode_as_written(data)
        kept = written.entries if written is not None else []
        if len(data) - sum(memoryview(raw).nbytes + 16 for raw in kept) > _MOST_ELSE:
            raise Unmendable("the index holds more than a list of sessions")
        fields = _decode_fields(data) or {}
        listed = [entry.session_id for entry in typed.entries]
    recorded, there = _sessions_in(folder)
    named = None if sessions is None or not usable else {plain_id(session) for session in sessions}
    left = [
        raw
        for session, raw in zip(listed, kept, strict=True)
        if session in there or (named is not None and session not in named)
    ]
    absent = sorted((recorded if named is None else recorded & named) - set(listed))
    added = _entries_for(folder, absent, older)
    if usable and len(left) == len(listed) and not added:
        return None
    return _render(fields, [*left, *added])


def _entries_for(folder: int, sessions: Iterable[str], older: Sequence[int]) -> list[msgspec.Raw]:
    """Entries for sessions that have none, those first that were begun first."""
    before = _remembered(older)
    made: list[tuple[str, str, msgspec.Raw]] = []
    for session in sessions:
        record = read_listed(folder, session)
        if record is None:
            continue
        entry = _entry(folder, record)
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
    if record is None:
        return None
    try:
        mtime = os.stat(f"{session}.{RECORD}", dir_fd=folder, follow_symlinks=False).st_mtime
    except OSError:
        return None
    return mtime if mtime <= live_after else None


def _has_times(record: Listed) -> bool:
    return all(
        text is not None and instant_of(text) is not None for text in (record.created_at, record.updated_at)
    ) and (record.time_archived is None or instant_of(record.time_archived) is not None)


def _entry(folder: int, record: Listed) -> Entry:
    """The entry that the program would make of a session when it saved it."""
    count, tokens = _count(folder, record.id)
    if not count:
        count, tokens = len(record.messages), sum(map(_tokens, record.messages))
    metadata, changes = record.metadata, record.file_changes
    tags = _decode_tags(metadata.tags) if memoryview(metadata.tags).nbytes <= records.SMALL else None
    return Entry(
        session_id=record.id,
        created=normalised(record.created_at or "") or "",
        modified=normalised(record.updated_at or "") or "",
        message_count=count,
        total_tokens=tokens,
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


def _count(folder: int, session: str) -> tuple[int, int]:
    """How many messages a transcript has that the program can read, and how many tokens it takes them for."""
    try:
        fd = opening.open_session(folder, f"{session}.{TRANSCRIPT}")
    except FileNotFoundError:
        return 0, 0
    try:
        if opening.refuse_reason(os.fstat(fd), os.fstat(folder)) is not None:
            return 0, 0
        count = tokens = 0
        for line in edges.iter_lines(fd, limit=LINE_LIMIT, size=os.fstat(fd).st_size):
            message = None if line.data is None else records.decode_message(line.data)
            if message is not None:
                count += 1
                tokens += _tokens(message)
        return count, tokens
    finally:
        os.close(fd)


def _tokens(message: records.Message) -> int:
    """The program's own estimate: a quarter of the bytes, where no count was recorded."""
    if message.tokens is not None:
        return message.tokens
    calls = sum(len(_compact(bytes(call.parameters))) // 4 for call in message.tool_calls)
    return len(message.content.encode()) // 4 + calls


def _compact(data: bytes) -> bytes:
    return msgspec.json.format(data, indent=-1)


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
