"""The lines of a thread, as Codex has written them since 0.8.

Until 0.3x a line is the record itself, the first one has the id, and no other one has a time. Since then each has a time,
a type and a payload, and the first is a ``session_meta``. Later ones are numbered, and tell where turns begin and end.

Unknown fields and types are passed over, as the program does.
"""

import re
from typing import Any

import msgspec

from store.stamps import seconds


class Header(msgspec.Struct, gc=False):
    """What the first line says of its thread; what is not of the type that it should be is ``None``.

    ``parent`` is the thread whose agent began this one, ``base`` the one whose records it goes on from without having
    them; ``is_fork`` says that there is such a one, whichever it is.
    """

    id: str
    started_at: float | None = None
    project: str | None = None
    parent: str | None = None
    base: str | None = None
    is_fork: bool = False


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


_NULL = msgspec.Raw(b"null")


class _First(msgspec.Struct, gc=False):
    """A first line, of which nothing is decoded that is not asked for: it holds all that a model is told."""

    type: msgspec.Raw = _NULL
    timestamp: msgspec.Raw = _NULL
    id: msgspec.Raw = _NULL
    payload: msgspec.Raw = _NULL


class _Meta(msgspec.Struct, gc=False):
    id: msgspec.Raw = _NULL
    timestamp: msgspec.Raw = _NULL
    cwd: msgspec.Raw = _NULL
    parent_thread_id: msgspec.Raw = _NULL
    source: msgspec.Raw = _NULL
    history_base: msgspec.Raw = _NULL


_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_BASE = re.compile(rb'"history_base"\s*:\s*\{\s*"thread_id"\s*:\s*"([0-9a-fA-F-]{36})"')
_MOST_SMALL = 1 << 16  # bytes of a value in a first line; longer ones are none that is asked for
_decode = msgspec.json.Decoder(Record).decode
_decode_first = msgspec.json.Decoder(_First).decode
_decode_meta = msgspec.json.Decoder(_Meta).decode
_decode_stamp = msgspec.json.Decoder(_Stamp).decode
# No sets: what stands in the place of a word may be anything.
_SILENT_EVENTS = ("thread_settings_applied", "session_configured")
_SILENT_TYPES = ("session_meta", "turn_context", "world_state")
_OF_STATE = {"record_type", "previous_response_id"}
_SURROUNDINGS = ("environment_context", "user_instructions")


def decode(line: bytes) -> Record | None:
    """A line as a record; ``None`` if it is no object, or none that can be read."""
    try:
        return _decode(line)
    except _ERRORS:
        return None


def header(line: bytes) -> Header | None:
    """What the first line of a thread says; ``None`` if it is none."""
    try:
        return _header(line)
    except _ERRORS:
        return None


def _header(line: bytes) -> Header | None:
    first = _decode_first(line)
    told = _decode_meta(first.payload) if _small(first.type) == "session_meta" else None
    id_ = _text(_small(told.id if told is not None else first.id))
    began = seconds(_small(first.timestamp))
    if id_ is None:
        return None
    if told is None:
        return Header(id_, began) if _small(first.type) is None else None
    base = _small(told.history_base)
    named = _text(base.get("thread_id")) if isinstance(base, dict) else None
    started = seconds(_small(told.timestamp))
    return Header(
        id_,
        started if started is not None else began,
        _text(_small(told.cwd)),
        _text(_small(told.parent_thread_id)) or _spawned_by(_small(told.source)),
        named.lower() if named is not None else None,
        base is not None,
    )


def base_in(content: bytes) -> str | None:
    """What a damaged thread rests on, as far as that can still be read in what it begins with."""
    match = _BASE.search(content)
    return match[1].decode().lower() if match is not None else None


def time_of(line: bytes) -> float | None:
    """When a line was written, if it says so."""
    try:
        return seconds(_decode_stamp(line).timestamp)
    except _ERRORS:
        return None


def says_nothing(line: bytes) -> bool:
    """Whether a line behind the first is one that the program writes before anybody has said anything."""
    record = decode(line)
    if record is None:
        return False
    if record.type is None:
        return record.record_type == "state" and _fields(line) <= _OF_STATE
    if record.type in _SILENT_TYPES:
        return True
    told = record.payload
    if record.type == "event_msg":
        return isinstance(told, dict) and told.get("type") in _SILENT_EVENTS
    if record.type == "response_item" and isinstance(told, dict):
        return told.get("type") == "message" and _is_surroundings(told.get("role"), told.get("content"))
    return record.type == "message" and _is_surroundings(record.role, record.content)


def _fields(line: bytes) -> set[str]:
    """The fields of an object; one more than it has where something in it cannot be read, which may be anything."""
    try:
        return set(msgspec.json.decode(line))
    except _ERRORS:
        return {""}


def _is_surroundings(role: object, content: object) -> bool:
    """Whether a message is what the program tells a model of itself and of where it runs."""
    if role in ("developer", "system"):
        return True
    texts = texts_of(content)
    return role == "user" and bool(texts) and all(map(_is_tagged, texts))


def _is_tagged(text: str) -> bool:
    """Whether a text is one of those that the program puts between tags, and nothing else."""
    whole = text.strip()
    return any(
        whole.startswith(f"<{tag}>") and whole.find(f"</{tag}>") == len(whole) - len(f"</{tag}>")
        for tag in _SURROUNDINGS
    )


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


def _small(raw: msgspec.Raw) -> Any:
    """The value of a field; ``None`` for one that is larger than any that is asked for."""
    return msgspec.json.decode(raw) if len(memoryview(raw)) <= _MOST_SMALL else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
