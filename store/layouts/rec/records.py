"""The three records of a rec session file, as rec 0.2.0 writes and reads them.

One JSON object a line, told apart by ``type``, which stands first but is accepted anywhere; unknown fields are
ignored.
What rec's strict reader would refuse is refused here too (a command without ``cwd``, an index beyond 32 bits),
so that "decodes" means the same to both; what is left of differences (fields given twice, numbers beyond 64 bits,
nesting beyond 128, bytes that are no UTF-8 in fields nobody knows) is on the side of seeing a session.
The header is the exception: only what facts need is asked of it, because a session is not to be lost from view
for want of a host name.
"""

import re
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec

from store import edges

KNOWN_VERSION = 2
"""The version rec 0.2.0 writes; it never checks it, so a higher one may mean anything."""

U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
U64 = Annotated[int, msgspec.Meta(ge=0)]  # beyond 64 bits, which rec would refuse, is no clock
I32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class Environment(msgspec.Struct, gc=False):
    """The one variable of the recorded environment that is a fact: where the recording began."""

    PWD: str | None = None


class Header(msgspec.Struct, tag_field="type", tag="header", gc=False):
    id: str
    name: str
    started_at: float
    version: int = KNOWN_VERSION
    env: Environment | None = None
    tags: tuple[str, ...] = ()
    recovered: bool | None = None


class Command(msgspec.Struct, tag_field="type", tag="command", gc=False):
    index: U32
    command: str
    cwd: str
    started_at: float
    ended_at: float | None = None
    exit_code: I32 | None = None
    duration_ms: U64 | None = None


class Footer(msgspec.Struct, tag_field="type", tag="footer", gc=False):
    ended_at: float
    command_count: U32
    status: Literal["recording", "completed", "interrupted"]


type_error = (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError)

as_header: Callable[[bytes], Header] = msgspec.json.Decoder(Header).decode
"""The header on a line; raises one of `type_error` when the line is none. For those who read very many."""

as_record: Callable[[bytes], Header | Command | Footer] = msgspec.json.Decoder(
    Header | Command | Footer
).decode
"""The record on a line; raises one of `type_error` when rec could not read it either."""

as_commands: Callable[[bytes], list[Command]] = msgspec.json.Decoder(Command).decode_lines
"""The commands on lines that hold nothing else; raises one of `type_error` where one of them does."""

_anything = msgspec.json.Decoder().decode
_START = re.compile(rb'\{"type":"')


def decode_header(line: bytes) -> Header | None:
    """The header on this line, or ``None`` when the line is no header."""
    try:
        return as_header(line)
    except type_error:
        return None


def decode(line: bytes) -> Header | Command | Footer | None:
    """The record on this line, or ``None`` when rec could not read it either."""
    try:
        return as_record(line)
    except type_error:
        return None


def is_foreign(line: bytes) -> bool:
    """Whether a line that is none of the three records is whole JSON all the same: somebody else's record."""
    try:
        return isinstance(_anything(line), dict)
    except type_error:
        return False


def split_records(line: bytes) -> list[bytes]:
    """A line that is no record, cut before everything that looks like the start of one; all its bytes, in order."""
    return edges.pieces(line, _START)


def is_leaked_stop(command: Command, started_at: float) -> bool:
    """Whether this is the ``rec stop`` of the session before, which rec's hooks leak into the next one.

    Its hook saved it as pending, nothing consumed it, and the first prompt of the next recording appended it, with
    a start time before that recording began.
    """
    return command.command.strip() == "rec stop" and command.started_at < started_at


def render_footer(ended_at: float, commands: int) -> bytes:
    """The footer line of a session that was interrupted, in rec's own form."""
    return b'{"type":"footer","ended_at":%s,"command_count":%d,"status":"interrupted"}\n' % (
        repr(float(ended_at)).encode(),
        commands,
    )


def rename_header(line: bytes, name: str | None) -> bytes:
    """The header line with the new name (``None`` keeps it) and the mark of a recovered session.

    Every other value keeps its bytes: numbers, escapes and unknown fields are not written anew.
    """
    fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    if name is not None:
        fields["name"] = msgspec.Raw(msgspec.json.encode(name))
    fields.pop("recovered", None)
    pairs: list[bytes] = []
    for key, value in fields.items():
        if key == "started_at":
            pairs.append(b'"recovered":true')
        pairs.append(msgspec.json.encode(key) + b":" + bytes(value))
    return b"{" + b",".join(pairs) + b"}\n"
