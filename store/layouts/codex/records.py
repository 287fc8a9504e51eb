"""The lines of a thread, as Codex has written them since 0.8.

Until 0.3x a line is the record itself, the first one has the id, and no other one has a time. Since then each has a time,
a type and a payload, and the first is a ``session_meta``. Later ones are numbered, and tell where turns begin and end.

Unknown fields and types are passed over, as the program does.
"""

import datetime as dt
from typing import Any

import msgspec


class Header(msgspec.Struct, gc=False):
    """What the first line says of its thread; what is not of the type that it should be is ``None``.

    ``parent`` is the thread whose agent began this one, ``base`` the one whose records it goes on from without having
    them.
    """

    id: str
    started_at: float | None
    project: str | None
    version: str | None
    parent: str | None
    base: str | None


class Record(msgspec.Struct, gc=False):
    """Any line: as much as is needed of it."""

    type: Any = None
    timestamp: Any = None
    record_type: Any = None
    id: Any = None
    payload: Any = None
    role: Any = None
    content: Any = None
    name: Any = None
    arguments: Any = None
    output: Any = None


class _Stamp(msgspec.Struct, gc=False):
    type: str
    timestamp: str


_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode = msgspec.json.Decoder(Record).decode
_decode_stamp = msgspec.json.Decoder(_Stamp).decode
# No sets: what stands in the place of a word may be anything.
_SILENT_EVENTS = ("thread_settings_applied", "session_configured")
_SILENT_TYPES = ("session_meta", "turn_context", "world_state")
_SURROUNDINGS = ("<environment_context>", "<user_instructions>")


def decode(line: bytes) -> Record | None:
    """A line as a record; ``None`` if it is no object, or none that can be read."""
    try:
        return _decode(line)
    except _ERRORS:
        return None


def header(line: bytes) -> Header | None:
    """What the first line of a thread says; ``None`` if it is none."""
    record = decode(line)
    if record is None:
        return None
    if record.type is None and isinstance(record.id, str):
        return Header(record.id, seconds(record.timestamp), None, None, None, None)
    told = record.payload
    if record.type != "session_meta" or not isinstance(told, dict) or not isinstance(told.get("id"), str):
        return None
    began = seconds(told.get("timestamp"))
    base = told.get("history_base")
    return Header(
        told["id"],
        began if began is not None else seconds(record.timestamp),
        _text(told.get("cwd")),
        _text(told.get("cli_version")),
        _text(told.get("parent_thread_id")) or _spawned_by(told.get("source")),
        _text(base.get("thread_id")) if isinstance(base, dict) else None,
    )


def time_of(line: bytes) -> float | None:
    """When a line was written, if it says so."""
    try:
        return seconds(_decode_stamp(line).timestamp)
    except _ERRORS:
        return None


def seconds(text: object) -> float | None:
    """Seconds since the epoch; ``None`` for what is no time with an offset."""
    try:
        time = dt.datetime.fromisoformat(text) if isinstance(text, str) else None
        return time.timestamp() if time is not None and time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def says_nothing(line: bytes) -> bool:
    """Whether a line is one that the program writes before anybody has said anything."""
    record = decode(line)
    if record is None:
        return False
    if record.type is None:
        return record.record_type == "state" or isinstance(record.id, str)
    if record.type in _SILENT_TYPES:
        return True
    told = record.payload
    if record.type == "event_msg":
        return isinstance(told, dict) and told.get("type") in _SILENT_EVENTS
    if record.type == "response_item" and isinstance(told, dict):
        return told.get("type") == "message" and _is_surroundings(told.get("role"), told.get("content"))
    return record.type == "message" and _is_surroundings(record.role, record.content)


def _is_surroundings(role: object, content: object) -> bool:
    """Whether a message is what the program tells a model of itself and of where it runs."""
    if role in ("developer", "system"):
        return True
    texts = texts_of(content)
    return role == "user" and bool(texts) and all(text.startswith(_SURROUNDINGS) for text in texts)


def texts_of(content: object) -> list[str]:
    """The texts of a message; anything else in it, such as an image, as an empty one."""
    if not isinstance(content, list):
        return []
    return [str(each.get("text") or "") if isinstance(each, dict) else "" for each in content]


def _spawned_by(source: object) -> str | None:
    """The parent, where only the source of a thread tells of it."""
    spawned: object = source
    for key in ("subagent", "thread_spawn"):
        spawned = spawned.get(key) if isinstance(spawned, dict) else None
    return _text(spawned.get("parent_thread_id")) if isinstance(spawned, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
