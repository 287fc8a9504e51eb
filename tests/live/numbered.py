"""Sessions whose lines are numbered, so that it can be told of each whether it is there once and in its place.

What a recorder has written it knows by itself: a line counts from the moment that its write has succeeded.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from oracle import Copy, Oracle

from store.layouts.rec.specimens import header

BEGAN = 1_700_000_000.0
"""When all of them began by their own records, long ago: that is old enough for every policy."""

_NUMBER = re.compile(rb'^\{"type":"command","index":(\d+),.*\}$', re.MULTILINE)


class Written(NamedTuple):
    """What was written to one session: by which kind of recorder, how many lines, and whether their order must hold."""

    by: str
    lines: int
    in_order: bool = True


def head(id_: str) -> bytes:
    return header(id_, f"live-{id_[:8]}", BEGAN)


def line(number: int) -> bytes:
    """A command as short as rec takes it."""
    return b'{"type":"command","index":%d,"command":"x","cwd":"/","started_at":%d}\n' % (
        number,
        BEGAN + number,
    )


def foot(lines: int) -> bytes:
    fields = {"type": "footer", "ended_at": BEGAN + lines, "command_count": lines, "status": "completed"}
    return json.dumps(fields).encode() + b"\n"


def numbers_in(data: bytes) -> list[int]:
    return [int(found) for found in _NUMBER.findall(data)]


def wrong(oracle: Oracle, written: Mapping[str, Written]) -> list[str]:
    """What is wrong with the sessions of this store, a line each; empty if each line is there once, and in order."""
    copies = oracle.copies()
    found: list[str] = []
    for id_, each in written.items():
        data = surviving(copies.get(("sessions", f"{id_}.ndjson"), []))
        if each.lines and data is None:
            found.append(f"{id_} ({each.by}): it is nowhere")
        elif data is not None and (why := _wrong(numbers_in(data), each)):
            found.append(f"{id_} ({each.by}): {why}")
    return found


def surviving(copies: Iterable[Copy]) -> bytes | None:
    """The copy that its owner would take for the session: that in the store, else the fullest in a pack or the trash.

    A backup is none of these: what is there alone is not where anybody would look for it.
    """
    for where in ("store", "pack", "trash"):
        there = [copy.data for copy in copies if copy.where == where and copy.counts]
        if there:
            return max(there, key=len)
    return None


def _wrong(numbers: list[int], written: Written) -> str | None:
    wanted = range(written.lines)
    if lost := sorted(set(wanted) - set(numbers)):
        return f"of {written.lines} lines {len(lost)} are lost, from {lost[0]} to {lost[-1]}"
    if len(numbers) != written.lines:
        doubled = (
            sorted({each for each in numbers if numbers.count(each) > 1}) if len(numbers) < 10_000 else []
        )
        return f"there are {len(numbers)} lines where {written.lines} were written: {doubled[:9]}"
    if written.in_order and numbers != list(wanted):
        at = next(at for at, number in enumerate(numbers) if at != number)
        return f"line {at} is number {numbers[at]}"
    return None
