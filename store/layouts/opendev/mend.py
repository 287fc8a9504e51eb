"""Making a crashed session whole: its whole lines byte for byte, in the files that the program looks for.

There are three ways to crash.
A file of lines ends in the middle of one, after a power cut: it is cut behind its last whole line, and nothing is
added, so that it is what the program would have written up to there.
A save was killed between its two renames, so that the transcript is still a temp file: it gets the name it was
written for, by a copy of its whole lines.
A session that was never saved has nothing but its event log: the transcript and the record are made from that, as the
program would have saved them, with a mark in the record, and the log gets events that tell of the new name and of the
mending.
The mark in the log matters, because a log that has it and is alone again belongs to a session that its owner deleted
after it was recovered, and is left alone for ever.

What is guarded: no line is cut away but a last one that was never finished, and no file is left without a line.
All bytes are a function of the file that is read, of the id, and of the new name.
"""

import os
import re
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec

from store import edges
from store.edges import Edges
from store.facts import Member
from store.layout import Mend, Unmendable
from store.layouts.opendev import eventlog, records
from store.layouts.opendev.bounded import EVENTS_LIMIT, LINE_LIMIT, read_whole
from store.layouts.opendev.eventlog import RECOVERED_KEY, Projected
from store.layouts.opendev.filenames import EVENTS, RECORD, TRANSCRIPT
from store.layouts.opendev.times import normalised

_BLOCK = 1 << 20
_NOT_IN_SLUGS = re.compile("[^a-z0-9]+")
_LONGEST_SLUG = 50


def ends_of(fd: int, size: int) -> Edges:
    """The ends of a file of lines."""
    return edges.read_edges(fd, size, limit=LINE_LIMIT)


def is_torn(ends: Edges) -> bool:
    """Whether the file ends in a line that was never finished; one that lacks only its newline is whole."""
    return ends.torn > 0 and (ends.tail is None or not records.is_json(ends.tail)) and not ends.too_long


def has_messages(ends: Edges) -> bool:
    """Whether a file of lines begins with a message, as all transcripts do."""
    first = ends.first if ends.first is not None else None if is_torn(ends) else ends.tail
    return first is not None and records.decode_message(first) is not None


def whole_lines(fd: int, ends: Edges) -> Iterator[bytes]:
    """All of a file but a last line that was never finished."""
    whole = ends.size - ends.torn if is_torn(ends) else ends.size
    at = 0
    while at < whole:
        data = os.pread(fd, min(_BLOCK, whole - at), at)
        if not data:
            raise Unmendable("it shrank while it was read")
        at += len(data)
        yield data


class TornMend(Mend):
    """A transcript or an event log whose last line is torn; `build` may be started once."""

    def __init__(self, source: Member, session: str, *, is_log: bool) -> None:
        self.source = source
        self.paths = (source.path,)
        self._session = session
        self._is_log = is_log
        self._set_aside = 0

    def build(self, fd: int, path: str) -> Iterator[bytes]:
        ends = ends_of(fd, os.fstat(fd).st_size)
        if not is_torn(ends):
            raise Unmendable(
                "its last line is whole" if not ends.too_long else "its last line is too long to be read"
            )
        if ends.last is None:
            raise Unmendable("there is no whole line in it")
        if self._is_log:
            self._require_ours(ends.last)
        self._set_aside = ends.torn
        yield from whole_lines(fd, ends)

    def account(self) -> str:
        return f"kept every whole line, set aside {self._set_aside} bytes, which stay in the backup"

    def _require_ours(self, last: bytes) -> None:
        event = records.decode_envelope(last)
        if event is None:
            raise Unmendable("the last whole line of its event log is no event")
        if event.aggregate_id != self._session:
            raise Unmendable("its event log is of another session")


class UnfinishedMend(Mend):
    """A session whose transcript is still the temp file of a save, which stays as it is; `build` may be started once."""

    def __init__(self, source: Member, transcript: str) -> None:
        self.source = source
        self.paths = (transcript,)
        self._left_out = 0

    def build(self, fd: int, path: str) -> Iterator[bytes]:
        ends = ends_of(fd, os.fstat(fd).st_size)
        if ends.too_long:
            raise Unmendable("a line of its temp file is too long to be read")
        if not has_messages(ends):
            raise Unmendable("its temp file begins with no complete message")
        torn = is_torn(ends)
        self._left_out = ends.torn if torn else 0
        yield from whole_lines(fd, ends)
        if ends.torn and not torn:
            yield b"\n"

    def account(self) -> str:
        told = "made its transcript from the temp file of the save that was interrupted"
        return told + (f", but for {self._left_out} bytes, which stay there" if self._left_out else "")


class UnsavedMend(Mend):
    """A session of which there is only an event log."""

    def __init__(self, source: Member, session: str, name: str | None) -> None:
        stem = source.path.removesuffix(EVENTS)
        self.source = source
        self._transcript, self._record = stem + TRANSCRIPT, stem + RECORD
        self.paths = (self._transcript, self._record, source.path)
        self._session = session
        self._name = name
        self._messages = 0
        self._set_aside = 0

    def build(self, fd: int, path: str) -> Iterator[bytes]:
        size = os.fstat(fd).st_size
        if size > EVENTS_LIMIT:
            raise Unmendable("its event log is too long for a session that was never saved")
        data = read_whole(fd, size)
        log = eventlog.parse(data, self._session)
        if log.was_recovered:
            raise Unmendable("it was recovered before, and deleted since")
        session = eventlog.project(log)
        if log.untold and not log.tells:
            raise Unmendable("half an event is all that was said in it")
        self._messages, self._set_aside = len(session.messages), log.torn
        if path == self._transcript:
            for message in session.messages:
                yield msgspec.json.encode(message) + b"\n"
        elif path == self._record:
            yield self._pretty(session)
        else:
            whole = data[: log.whole]
            yield whole if not whole or whole.endswith(b"\n") else whole + b"\n"
            seq = session.next_seq
            if self._name is not None:
                yield title_event(self._session, seq, session.updated_at, self._name)
                seq += 1
            yield mark_event(self._session, seq, session.updated_at)

    def account(self) -> str:
        what = "1 message" if self._messages == 1 else f"{self._messages} messages"
        told = f"made its record and its transcript of {what} from its event log"
        if self._set_aside:
            told += f", set aside {self._set_aside} bytes, which stay in the backup"
        return told

    def _pretty(self, session: Projected) -> bytes:
        """The record as the program would have saved it, and as it lays it out."""
        created = session.created
        metadata = dict(session.metadata)
        if self._name is not None:
            metadata["title"] = msgspec.Raw(msgspec.json.encode(self._name))
        metadata[RECOVERED_KEY] = msgspec.Raw(b"true")
        fields: dict[str, Any] = {
            "id": self._session,
            "created_at": normalised(session.created_at),
            "updated_at": normalised(session.updated_at),
            "messages": [],
            "context_files": [],
            "working_directory": created.working_directory,
            "metadata": metadata,
            "file_changes": session.file_changes,
            "channel": created.channel,
            "chat_type": "direct",
            "channel_user_id": "",
            "delivery_context": {},
            "workspace_confirmed": False,
            "parent_id": created.parent_id,
            "subagent_sessions": {},
            "time_archived": session.time_archived,
            "slug": None if self._name is None else _slug(self._name, self._session),
        }
        written = {key: value for key, value in fields.items() if value is not None}
        try:
            return msgspec.json.format(msgspec.json.encode(written), indent=2)
        except RecursionError:
            raise Unmendable("its event log holds values that are nested too deeply") from None


def mark_event(session: str, seq: int, timestamp: str) -> bytes:
    """The event that says that the session was made whole; its id is a function of its place."""
    return _event(session, seq, timestamp, "MetadataUpdated", {"key": RECOVERED_KEY, "value": True})


def title_event(session: str, seq: int, timestamp: str, title: str) -> bytes:
    """The event that gives a recovered session its new name."""
    return _event(session, seq, timestamp, "TitleChanged", {"title": title})


def _event(session: str, seq: int, timestamp: str, type_: str, data: dict[str, Any]) -> bytes:
    fields = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{session}/{seq}/{type_}")),
        "aggregate_id": session,
        "seq": seq,
        "event_type": type_,
        "data": {"type": type_} | data,
        "timestamp": timestamp,
    }
    return msgspec.json.encode(fields) + b"\n"


def _slug(title: str, session: str) -> str:
    """The program's own word for addresses, made from a title."""
    slug = _NOT_IN_SLUGS.sub("-", title.lower()).strip("-")[:_LONGEST_SLUG].rstrip("-")
    return slug or session[:8]
