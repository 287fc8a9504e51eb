"""What opendev writes, as far as facts, mending and its index need it: typed, and no stricter than the program.

Unknown fields are ignored, as the program ignores them, and those that nobody here asks for are passed over without
being built; what may hold millions of small things stays bytes until somebody must know.
What msgspec passes over is not checked for UTF-8, and the program reads whole files as text: `decode` sees to that.
"""

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

import msgspec

T = TypeVar("T")

Natural = Annotated[int, msgspec.Meta(ge=0)]

NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for bytes that are no record."""


_NULL, _LIST, _OBJECT = msgspec.Raw(b"null"), msgspec.Raw(b"[]"), msgspec.Raw(b"{}")

SMALL = 1 << 16
"""The most bytes of a value that are taken apart to count or to name what is in it."""


class Metadata(msgspec.Struct, gc=False):
    """Values of people and plugins: of any type, so that none of them is trusted to have one."""

    title: msgspec.Raw = _NULL
    summary: msgspec.Raw = _NULL
    tags: msgspec.Raw = _NULL
    session_model: msgspec.Raw = _NULL
    recovered: msgspec.Raw = _NULL


class Record(msgspec.Struct):
    """``<id>.json``; all fields have defaults in the program, the id a random one."""

    id: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    messages: msgspec.Raw = _LIST
    working_directory: str | None = None
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    file_changes: msgspec.Raw = _LIST
    parent_id: str | None = None
    subagent_sessions: msgspec.Raw = _OBJECT


class FileChange(msgspec.Struct, gc=False):
    file_path: str
    lines_added: Natural = 0
    lines_removed: Natural = 0


class Call(msgspec.Struct):
    """A tool call of a message; ``parameters`` are an object."""

    id: str
    name: str
    parameters: msgspec.Raw
    result: msgspec.Raw = _NULL
    error: str | None = None


class Message(msgspec.Struct):
    """A line of ``<id>.jsonl``, or an element of the messages of an older record."""

    role: Literal["user", "assistant", "system"]
    content: str
    tokens: Natural | None = None
    tool_calls: list[Call] = []


class Listed(msgspec.Struct):
    """The same file as `Record`, with all that the index says of a session."""

    id: str
    created_at: str | None = None
    updated_at: str | None = None
    messages: list[Message] = []
    working_directory: str | None = None
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    file_changes: list[FileChange] = []
    channel: str = "cli"
    channel_user_id: str = ""
    thread_id: str | None = None
    owner_id: str | None = None
    time_archived: str | None = None


class Envelope(msgspec.Struct):
    """A line of ``<id>.events.jsonl``; all fields are required by the program."""

    id: str
    aggregate_id: str
    seq: Natural
    event_type: str
    data: msgspec.Raw
    timestamp: str


class Stamp(msgspec.Struct, gc=False):
    """When a line of an event log was written."""

    timestamp: str


class Created(msgspec.Struct):
    """The data of a SessionCreated."""

    id: str
    working_directory: str | None = None
    channel: str = "cli"
    title: str | None = None
    parent_id: str | None = None
    metadata: dict[str, msgspec.Raw] = {}


class MessageAdded(msgspec.Struct):
    """The data of a MessageAdded, with the bytes of its values."""

    role: Literal["user", "assistant", "system"]
    content: msgspec.Raw
    timestamp: msgspec.Raw
    tool_calls: msgspec.Raw = _LIST
    tokens: msgspec.Raw = _NULL
    thinking_trace: msgspec.Raw = _NULL
    reasoning_content: msgspec.Raw = _NULL


class MessageEdited(msgspec.Struct, gc=False):
    seq: Natural
    content: str


class TitleChanged(msgspec.Struct, gc=False):
    title: str


class SessionArchived(msgspec.Struct, gc=False):
    time_archived: str


class FileChangeRecorded(msgspec.Struct, gc=False):
    file_change: msgspec.Raw


class MetadataUpdated(msgspec.Struct, gc=False):
    key: str
    value: msgspec.Raw


class Tombstone(msgspec.Struct, gc=False):
    undo_to_seq: Natural


def decoder(type_: type[T]) -> Callable[[bytes | msgspec.Raw], T | None]:
    """A function from bytes to a record of that type, or ``None`` where the program could not read them as one."""
    typed = msgspec.json.Decoder(type_).decode

    def decode(data: bytes | msgspec.Raw) -> T | None:
        try:
            if isinstance(data, bytes) and not data.isascii():
                data.decode()
            return typed(data)
        except NOT_DECODED:
            return None

    return decode


decode_record = decoder(Record)
decode_listed = decoder(Listed)
decode_message = decoder(Message)
decode_envelope = decoder(Envelope)
decode_stamp = decoder(Stamp)
decode_call_list = decoder(list[Call])
_skip = msgspec.json.Decoder(msgspec.Raw).decode


_SAYS_NOTHING = frozenset(
    {"id", "created_at", "updated_at", "messages", "working_directory", "metadata", "file_changes", "channel"}
    | {"chat_type", "channel_user_id", "thread_id", "owner_id", "parent_id", "slug", "last_activity"}
    | {"time_archived", "workspace_confirmed", "subagent_sessions"}
)
"""Fields of a record in which nothing stands that was said or done, or that are asked about by themselves."""

_SETTINGS = frozenset(
    {"title", "session_model", "subagent_type", "mode", "thinking_level", "autonomy_level", "recovered"}
)
_NOTHING = frozenset({b"null", b"false", b"0", b'""', b"[]", b"{}"})


def holds_more(data: bytes) -> bool:
    """Whether a record holds anything else that somebody may have said, or that nobody here knows."""
    fields = _fields(data) or {}
    metadata = _fields(bytes(fields.get("metadata", _OBJECT))) or {}
    rest = [value for key, value in fields.items() if key not in _SAYS_NOTHING]
    rest += [value for key, value in metadata.items() if key not in _SETTINGS]
    return any(bytes(value).translate(None, b" \t\r\n") not in _NOTHING for value in rest)


def is_json(data: bytes) -> bool:
    """Whether these bytes are one JSON value and text, whatever it says."""
    try:
        data.decode()
        _skip(data)
    except NOT_DECODED:
        return False
    return True


def text_of(value: msgspec.Raw) -> str | None:
    """The string that stands there, or ``None`` where something else does."""
    return _text(value)


def tags_of(metadata: Metadata) -> tuple[str, ...]:
    """The tags that are strings; where anything else than a list of sane length stands, none."""
    if memoryview(metadata.tags).nbytes > SMALL:
        return ()
    tags = _list(metadata.tags)
    return () if tags is None else tuple(text for tag in tags if (text := _text(tag)) is not None)


def is_true(value: msgspec.Raw) -> bool:
    return bytes(value) == b"true"


def is_null(value: msgspec.Raw) -> bool:
    return bytes(value) == b"null"


def is_list(value: msgspec.Raw) -> bool:
    return bytes(memoryview(value)[:1]) == b"["


def is_empty(value: msgspec.Raw) -> bool:
    """Whether a list or an object has nothing in it."""
    view = memoryview(value)
    return view.nbytes < SMALL and not bytes(view[1:-1]).strip()


def count(value: msgspec.Raw) -> int | None:
    """How many things a list has; ``None`` where that would take long to find out."""
    if is_empty(value):
        return 0
    things = _list(value) if memoryview(value).nbytes <= SMALL else None
    return None if things is None else len(things)


_text = decoder(str)
_list = decoder(list[msgspec.Raw])
_fields = decoder(dict[str, msgspec.Raw])
