"""The record of a session, ``session.json``, as every outrig so far has written it.

The eras differ by names of fields alone: ``container_config_name`` is what ``image_config_name`` was called until
June 2026, later it may be missing; ``sidecar_container_names`` came with 0.2.0.
What outrig's strict reader requires is required here too, so that "decodes" means the same to both.
What is left of differences (a field given twice, nesting beyond 128, time stamps in forms that outrig reads and never
writes) is told, and such a session is left alone.

A record is never written anew: outrig drops fields that it does not know when it does so, and we would not.
The one change that is made to it is to put bytes in between.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from typing import Annotated, NamedTuple

import msgspec

from store.names import printable

LIMIT = 256 << 10
"""Bytes; outrig writes less than one hundredth of it."""

_Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]
_I32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class Record(msgspec.Struct, gc=False):
    """The fields that are facts, and those without which outrig does not take the record."""

    id: str
    started_at: _Time
    container_name: str
    image_tag: str
    working_dir: str
    session_dir: str
    ended_at: _Time | None = None
    exit_code: _I32 | None = None
    sidecar_container_names: tuple[str, ...] = ()
    image_config_name: str | None = None
    container_config_name: str | None = None
    agent_name: str | None = None

    @property
    def image(self) -> str | None:
        """The configuration that the image was made from, under either of its names."""
        return self.image_config_name if self.image_config_name is not None else self.container_config_name

    @property
    def containers(self) -> tuple[str, ...]:
        """The names of all containers of the session; the first may be a borrowed one."""
        return (self.container_name, *self.sidecar_container_names)


undecodable = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

as_record: Callable[[bytes], Record] = msgspec.json.Decoder(Record).decode
"""The record in these bytes; raises one of `undecodable` when outrig could not read it either."""


def why_undecodable(content: bytes, error: Exception) -> str:
    """What is wrong with a record, as a clause that names the field."""
    if not content.strip():
        return "its record is empty"
    if not content.strip(b"\0"):
        return "its record is nothing but zeros"
    try:
        content.decode()  # asked for here: msgspec 0.23 no longer says it by the class of its error
    except UnicodeDecodeError:
        return "its record is no UTF-8"
    if isinstance(error, RecursionError):
        return "its record is nested too deeply"
    return f"its record cannot be read: {printable(str(error)):.160}"


_CONTAINER = re.compile(rb'"container_name"\s*:\s*("(?:[^"\\]|\\.)*")')


def salvage_container(content: bytes) -> str | None:
    """The name of the container in a record that cannot be read, if it got as far as that."""
    match = _CONTAINER.search(content)
    if match is None:
        return None
    try:
        return msgspec.json.decode(match[1], type=str)
    except undecodable:
        return None


class Pair(NamedTuple):
    """One field of a record, and where it stands: its name begins at ``start``, its value is ``[low, high)``."""

    name: str
    start: int
    colon: int
    low: int
    high: int


_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SCALAR = re.compile(rb"[^ \t\r\n,\]}]+")
_NESTED = re.compile(rb'[^"\[\]{}]+|"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def pairs_of(content: bytes) -> Iterator[Pair]:
    """The fields of a record that decodes, in order, those of nested objects left out; ValueError for other bytes."""
    at = _token(_SPACE, content, 0)
    at = _literal(content, at, b"{")
    if content[at : at + 1] == b"}":
        return
    while True:
        start, at = at, _token(_STRING, content, at)
        name = msgspec.json.decode(content[start:at], type=str)
        colon = at
        at = low = _literal(content, _token(_SPACE, content, at), b":")
        at = high = _value(content, at)
        yield Pair(name, start, colon, low, high)
        at = _token(_SPACE, content, at)
        if content[at : at + 1] == b"}":
            return
        at = _literal(content, at, b",")


def _token(pattern: re.Pattern[bytes], content: bytes, at: int) -> int:
    match = pattern.match(content, at)
    if match is None:
        raise ValueError(f"not the record that was read, at byte {at}")
    return match.end()


def _literal(content: bytes, at: int, sign: bytes) -> int:
    """Behind this sign and the white space that follows it."""
    if content[at : at + 1] != sign:
        raise ValueError(f"not the record that was read, at byte {at}")
    return _token(_SPACE, content, at + 1)


def _value(content: bytes, at: int) -> int:
    """Behind the value that begins here."""
    first = content[at : at + 1]
    if first == b'"':
        return _token(_STRING, content, at)
    if first not in (b"[", b"{"):
        return _token(_SCALAR, content, at)
    depth = 0
    while True:
        start, at = at, _token(_NESTED, content, at)
        if content[start:at] in (b"[", b"{"):
            depth += 1
        elif content[start:at] in (b"]", b"}"):
            depth -= 1
            if not depth:
                return at


def stamp(at: float) -> str:
    """A time as outrig writes it, to the microsecond; ValueError and OverflowError where it has no such form."""
    time = dt.datetime.fromtimestamp(at, dt.UTC)
    text = time.replace(microsecond=0, tzinfo=None).isoformat()
    fraction = f"{time.microsecond:06}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"
