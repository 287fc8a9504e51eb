"""Making a crashed session whole: its record gets an end, which is when anything of it last changed.

outrig itself has no way to end a session that it did not end, so that ``ls`` counts it as running for ever.
No exit code is made up; nobody knows it. By its absence such a session is known as a recovered one, because outrig
always writes both.

The line goes behind ``started_at``, where outrig would write it, spelled as the lines around it are; every other byte
stays, fields that nobody knows included.
"""

import os
from collections.abc import Iterator

import msgspec

from store.facts import Member
from store.layout import Mend, Unmendable
from store.layouts.outrig.records import (
    LIMIT,
    Pair,
    Record,
    as_record,
    pairs_of,
    stamp,
    undecodable,
    why_undecodable,
)

_STARTED, _ENDED = "started_at", "ended_at"


class OutrigMend(Mend):
    """One session's mending; its record is read and written whole, being small."""

    def __init__(self, member: Member, changed: float) -> None:
        self.source = member
        self.paths = (member.path,)
        self._changed = changed

    def build(self, fd: int, path: str) -> Iterator[bytes]:
        content = os.pread(fd, LIMIT + 1, 0)
        if len(content) > LIMIT:
            raise Unmendable("its record is too long to be read")
        yield with_end(content, self._changed)

    def account(self) -> str:
        return "gave it an end, which is when it last changed, and no exit code"


def with_end(content: bytes, changed: float) -> bytes:
    """The bytes of a record with an end; one before its beginning would be none, so that it is no earlier."""
    try:
        record = as_record(content)
    except undecodable as error:
        raise Unmendable(why_undecodable(content, error)) from None
    if record.ended_at is not None:
        raise Unmendable("it has an end already")
    if record.exit_code is not None:
        raise Unmendable("it has an exit code, but no end")
    try:
        text = stamp(max(changed, record.started_at.timestamp()))
        spliced = _splice(content, f'"{text}"'.encode())
        is_same = _differ_by_end_alone(as_record(spliced), record) and _same_fields(spliced, content)
    except (ValueError, OverflowError, RecursionError, OSError):  # a decoding error is a ValueError
        is_same = False
    if not is_same:
        raise Unmendable("its record is laid out as outrig never does it")
    return spliced


def _splice(content: bytes, value: bytes) -> bytes:
    """The same record with this end: in the place of a ``null``, or else on a line of its own behind the beginning."""
    pairs = list(pairs_of(content))
    by_name = {pair.name: pair for pair in pairs}
    if len(by_name) != len(pairs):
        raise ValueError("a field is given twice")
    if (ended := by_name.get(_ENDED)) is not None:
        return content[: ended.low] + value + content[ended.high :]
    started = by_name[_STARTED]
    return b"".join(
        (
            content[: started.high],
            b",",
            _space_before(content, started),
            b'"ended_at"',
            content[started.colon : started.low],
            value,
            content[started.high :],
        )
    )


def _space_before(content: bytes, pair: Pair) -> bytes:
    """What separates a field from the sign before it: as a rule a newline and two spaces."""
    before = content[: pair.start]
    return before[len(before.rstrip(b" \t\r\n")) :]


def _differ_by_end_alone(new: Record, old: Record) -> bool:
    return new.ended_at is not None and msgspec.structs.replace(new, ended_at=None) == old


def _same_fields(new: bytes, old: bytes) -> bool:
    """Whether all other fields, known or not, have the bytes that they had."""
    fields, were = (
        {pair.name: content[pair.low : pair.high] for pair in pairs_of(content)} for content in (new, old)
    )
    fields.pop(_ENDED, None)
    were.pop(_ENDED, None)
    return fields == were
