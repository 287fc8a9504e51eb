"""One entry of an index: what the program writes of a session into the list that it shows.

An entry is made of the record and the transcript, as a save would make it; one that is there and no longer fits them is
renewed, with all that it holds besides.
"""

import os
from typing import NamedTuple

import msgspec

from store import edges, opening
from store.layouts.opendev import records
from store.layouts.opendev.bounded import LINE_LIMIT, RECORD_LIMIT, read_whole
from store.layouts.opendev.filenames import RECORD, TRANSCRIPT
from store.layouts.opendev.records import Listed, Natural
from store.layouts.opendev.times import instant_of, normalised


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


class Told(NamedTuple):
    """What the messages of a session come to; ``is_whole`` is false where it crashed, and more was said."""

    messages: int
    tokens: int
    is_whole: bool


decode_fields = records.decoder(dict[str, msgspec.Raw])
decode_entry = records.decoder(Entry)
_decode_tags = records.decoder(list[str])


def renewed(folder: int, entry: Entry, raw: msgspec.Raw) -> msgspec.Raw | None:
    """An entry with what a save would write now, if its files are longer, shorter, or of another moment; else nothing.

    What it holds besides stays, and so does the order.
    Of a session that crashed, what its program said last is better than what its files say now.
    """
    record = read_listed(folder, entry.session_id)
    told = None if record is None else count(folder, record)
    fields = decode_fields(raw)
    if record is None or told is None or not told.is_whole or fields is None:
        return None
    now = entry_of(record, told)
    if now.message_count == entry.message_count and instant_of(now.modified) == instant_of(entry.modified):
        return None
    said = decode_fields(msgspec.json.encode(now)) or {}
    pairs = [
        msgspec.json.encode(key) + b": " + (bytes(value) if key not in said else _value(said[key]))
        for key, value in (fields | said).items()
    ]
    return msgspec.Raw(b"{\n      " + b",\n      ".join(pairs) + b"\n    }")


def _value(value: msgspec.Raw) -> bytes:
    """A value of an entry as the program lays it out."""
    return msgspec.json.format(bytes(value), indent=2).replace(b"\n", b"\n      ")


def is_same(known: Entry, entry: Entry) -> bool:
    """Whether an older entry is of the session as it is now: as long, and saved at the same moment."""
    return (
        instant_of(known.modified) == instant_of(entry.modified)
        and known.message_count == entry.message_count
        and known.time_archived == entry.time_archived
    )


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


def may_be_counted(folder: int, session: str) -> bool:
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


def entry_of(record: Listed, told: Told) -> Entry:
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


def count(folder: int, record: Listed) -> Told | None:
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
    return Told(count, tokens, is_whole)


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


def pretty(entry: bytes) -> bytes:
    """An entry in the form that it has within a list within the file: no value of it holds a newline."""
    return msgspec.json.format(entry, indent=2).replace(b"\n", b"\n    ")
