"""The events of a session, a line each, as Copilot has written them since 1.0.11.

Every event has a type, data, an id, a time and the id of the one before it. Unknown types and fields are passed over.
"""

from typing import Any

import msgspec

from store.stamps import seconds

KNOWN_VERSION = 1
"""The version that sessions have had so far."""

_NULL = msgspec.Raw(b"null")
_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_SAYS_NOTHING = ("session.start", "session.resume", "session.shutdown", "session.model_change")


class Event(msgspec.Struct, gc=False):
    """Any line: as much as is needed of it; what it carries is decoded only where it is asked for."""

    type: str
    data: msgspec.Raw = _NULL
    timestamp: Any = None


class _Context(msgspec.Struct, gc=False):
    cwd: Any = None


class _Start(msgspec.Struct, gc=False, rename="camel"):
    session_id: str
    version: Any = None
    start_time: Any = None
    context: _Context | None = None


class _Said(msgspec.Struct, gc=False, rename="camel"):
    content: Any = None
    tool_name: Any = None
    arguments: Any = None


class Start(msgspec.Struct, gc=False):
    """What the first event says of its session."""

    id: str
    version: object
    started_at: float | None
    project: str | None


_decode = msgspec.json.Decoder(Event).decode
_decode_start = msgspec.json.Decoder(_Start).decode
_decode_said = msgspec.json.Decoder(_Said).decode


def event(line: bytes) -> Event | None:
    """A line as an event; ``None`` if it is none."""
    try:
        return _decode(line)
    except _ERRORS:
        return None


def start(line: bytes) -> Start | None:
    """What a first line says of its session; ``None`` if it begins none."""
    first = event(line)
    if first is None or first.type != "session.start":
        return None
    try:
        told = _decode_start(first.data)
    except _ERRORS:
        return None
    began = seconds(told.start_time)
    project = told.context.cwd if told.context is not None else None
    return Start(
        told.session_id,
        told.version,
        began if began is not None else seconds(first.timestamp),
        project if isinstance(project, str) and project else None,
    )


def said(found: Event) -> tuple[object, object, object]:
    """What an event carries that a person is shown: a content, the name of a tool, and what that is called with."""
    try:
        told = _decode_said(found.data)
    except _ERRORS:
        return None, None, None
    return told.content, told.tool_name, told.arguments


def says_nothing(line: bytes) -> bool:
    """Whether a line is an event for which nobody has to say or do anything."""
    found = event(line)
    return found is not None and found.type in _SAYS_NOTHING


def name_in(workspace: bytes) -> str | None:
    """The name of a session in its ``workspace.yaml``, of which the program writes a key a line.

    ``None`` where there is none, or it is written in a way that needs more than a look at that line.
    """
    for line in workspace.split(b"\n"):
        if not line.startswith(b"name: "):
            continue
        value = line.removeprefix(b"name: ").strip()
        try:
            if value.startswith(b'"'):
                text = msgspec.json.decode(value, type=str)
            elif value.startswith(b"'"):
                text = value[1:-1].decode().replace("''", "'")
            else:
                text = value.decode() if value[:1] not in b"|>&*![{#%@`" else ""
        except _ERRORS:
            return None
        return text or None
    return None
