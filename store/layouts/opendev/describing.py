"""Lines of a session's files for a person: the conversation, what the record says of it, and the events around it."""

import re
from typing import Any

import msgspec

from store.layouts.opendev import records
from store.layouts.opendev.filenames import EVENTS, RECORD, TRANSCRIPT, TRANSCRIPT_TMP
from store.names import printable

_SHOWN = re.compile(
    rb'\s*"(title|summary|working_directory|created_at|updated_at|parent_id)":\s*("(?:[^"\\]|\\.)*"),?\s*'
)
_WIDTH = 12
_text = records.decoder(str)
_title = records.decoder(records.TitleChanged)


class _Said(msgspec.Struct):
    role: str
    content: str
    tool_calls: list[Any] = []


_said = records.decoder(_Said)


def describe(kind: str, line: bytes) -> str | None:
    """One line of a file of this kind; ``None`` for what is not worth showing."""
    show = _BY_KIND.get(kind)
    return None if show is None else show(line)


def _of_record(line: bytes) -> str | None:
    """A line of a record, which is laid out with a value on each; of one that is not, the title."""
    match = _SHOWN.fullmatch(line)
    if match is not None:
        value = _text(match[2])
        return None if value is None else _pair(match[1].decode(), value)
    if not line.startswith(b"{") or len(line) < 2:
        return None
    record = records.decode_record(line)
    if record is None:
        return None
    return _pair("session", records.text_of(record.metadata.title) or record.id or "-")


def _of_transcript(line: bytes) -> str | None:
    if not line.strip():
        return None
    said = _said(line)
    if said is None:
        return f"no message of opendev's: {printable(line[:80].decode(errors='replace'))}"
    calls = len(said.tool_calls)
    told = said.content if not calls else f"{said.content} [{calls} tool call{'s' if calls > 1 else ''}]"
    return _pair(said.role, told.strip())


def _of_log(line: bytes) -> str | None:
    if not line.strip():
        return None
    event = records.decode_envelope(line)
    if event is None:
        return f"no event of opendev's: {printable(line[:80].decode(errors='replace'))}"
    said = _said(event.data) if event.event_type == "MessageAdded" else None
    title = _title(event.data) if event.event_type == "TitleChanged" else None
    more = f": {said.role}, {len(said.content)} characters" if said else f": {title.title}" if title else ""
    return _pair(f"event {event.seq}", event.event_type + more)


def _pair(what: str, text: str) -> str:
    return f"{printable(what):<{_WIDTH}} {printable(text)}"


_BY_KIND = {RECORD: _of_record, TRANSCRIPT: _of_transcript, TRANSCRIPT_TMP: _of_transcript, EVENTS: _of_log}
