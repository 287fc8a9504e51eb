"""The facts of one rec session, from both ends of its file.

A typical session costs one open, one look, one read and one close; nothing here depends on how long it is.
"""

import os
import re
from collections.abc import Iterator

import msgspec

from store import edges, leases, opening
from store.edges import Edges
from store.leases import Lease
from store.facts import Member, Owner, Place, Problem, Session, State
from store.layouts.rec.records import (
    KNOWN_VERSION,
    Command,
    Footer,
    Header,
    decode,
    decode_header,
    is_leaked_stop,
)
from store.layouts.rec.recorder import Recorder
from store.names import printable

SUFFIX = ".ndjson"
ENTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.ndjson", re.ASCII)
"""Names that may be a session: rec writes UUIDs, people and imports write other plain words."""


class Ends(msgspec.Struct, gc=False):
    """What the two ends of a session file say, before anybody asks whether its recorder still lives."""

    header: Header | None
    state: State
    evidence: str
    footer: Footer | None = None
    last: Command | None = None
    records: int | None = None
    empty: bool | None = None


def read_sessions(place: Place, recorder: Recorder, entries: list[str]) -> Iterator[Session | Problem]:
    """The facts of each entry of the sessions folder; what is no session of rec's gives a problem."""
    folder = opening.open_folder(place.path)
    try:
        around = os.fstat(folder)
        for entry in entries:
            try:
                fd = opening.open_session(folder, entry)
            except FileNotFoundError:
                continue  # deleted since it was listed: rec's own delete, nothing to say
            except OSError as error:
                yield _unreadable(place, folder, entry, error)
                continue
            try:
                found = os.fstat(fd)
                refusal = opening.refuse_reason(found, around)
                if refusal is not None:
                    text = f"expected a session file of rec, found {refusal}; left alone"
                    yield Problem(place.name, printable(entry), text)
                    continue
                yield _read_one(place, recorder, entry, fd, found)
            except OSError as error:
                yield _unreadable(place, folder, entry, error)
            finally:
                os.close(fd)
    finally:
        os.close(folder)


def _read_one(place: Place, recorder: Recorder, entry: str, fd: int, found: os.stat_result) -> Session:
    ends = read_ends(edges.read_edges(fd, found.st_size))
    header = ends.header
    last_changed = found.st_mtime
    if header is not None:
        if header.id != entry[: -len(SUFFIX)]:
            ends.state = State.UNKNOWN
            ends.evidence = f"its header names another session, {printable(header.id)!r:.60}"
        elif header.version > KNOWN_VERSION:
            ends.state = State.UNKNOWN
            ends.evidence = f"its header has version {header.version}; known is up to {KNOWN_VERSION}"
        elif ends.footer is None and recorder.points_at(entry, header):
            last_changed = max(last_changed, recorder.silent_since)
            _judge_recording(recorder, ends, last_changed)
    if ends.state is State.CRASHED and leases.probe(fd) is Lease.BUSY:
        ends.state, ends.evidence = State.LIVE, "a process has it open for writing"
    footer, last = ends.footer, ends.last
    return Session(
        store=place.name,
        kind=place.kind,
        id=entry[: -len(SUFFIX)],
        state=ends.state,
        evidence=ends.evidence,
        members=(Member("sessions", entry, opening.fingerprint(found)),),
        bytes=found.st_size,
        last_changed=last_changed,
        name=header.name if header else None,
        started_at=header.started_at if header else None,
        ended_at=footer.ended_at if footer else None,
        last_record_at=(last.started_at if last.ended_at is None else last.ended_at) if last else None,
        has_footer=footer is not None,
        records=ends.records,
        empty=ends.empty,
        project=header.env.PWD if header and header.env else None,
        tags=header.tags if header else None,
    )


def _judge_recording(recorder: Recorder, ends: Ends, last_changed: float) -> None:
    """A session without footer that the recorder's state points at: still recorded, or crashed?"""
    if recorder.owner is not Owner.GONE and recorder.evidence:
        ends.state, ends.evidence = State.LIVE, f"its recorder holds on: {recorder.evidence}"
    elif last_changed > recorder.live_after:
        ends.state, ends.evidence = State.LIVE, "it is being recorded, and was active lately"
    else:
        ends.evidence = f"{ends.evidence}; still marked as being recorded, but silent ({recorder.evidence})"


def read_ends(ends: Edges) -> Ends:
    """What the first and last records make of a session, by rec's own rules for its list.

    The first record must be the header, and the last one decides about the footer.
    A file without a byte is a recording that broke off before its header.
    """
    if ends.first is None:
        return _without_line(ends)
    header = decode_header(ends.first)
    if header is None:
        return Ends(None, State.CORRUPT, _why_headerless(ends.first))
    tail = decode(ends.tail) if ends.tail is not None else None
    last_line = ends.tail if tail is not None else ends.last
    last = tail if tail is not None else (decode(ends.last) if ends.last is not None else None)
    torn = 0 if tail is not None else ends.torn
    ended = Ends(header, State.CRASHED, "", records=None)
    if isinstance(last, Footer):
        ended.footer = last
    elif isinstance(last, Command):
        ended.last = last
    _count(ended, ends, header, last_line, whole_tail=tail is not None)
    if ends.too_long:
        ended.state, ended.evidence = State.UNKNOWN, "its last line is too long to be read"
    elif torn:
        ended.evidence = f"it ends in {torn} bytes that are no complete record"
    elif last is None:
        ended.evidence = "its last line is no record"
    elif header.recovered:
        ended.state, ended.evidence = State.RECOVERED, "its header says that it was recovered"
    elif ended.footer is not None:
        ended.state, ended.evidence = State.COMPLETE, "it has a footer"
    else:
        ended.evidence = "it has no footer"
    return ended


def _without_line(ends: Edges) -> Ends:
    """A file in which no line ends: nothing at all, a header whose newline is missing, or a torn one."""
    if ends.whole is not None and not ends.whole.strip():
        return Ends(None, State.CRASHED, "it holds no record at all", records=0, empty=True)
    header = decode_header(ends.tail) if ends.tail is not None else None
    if header is not None:
        return Ends(header, State.CRASHED, "it has no footer", records=1, empty=True)
    return Ends(None, State.CORRUPT, "it holds no complete record")


def _why_headerless(first: bytes) -> str:
    match decode(first):
        case Command():
            return "it has no header: its first record is a command"
        case Footer():
            return "it has no header: its first record is a footer"
        case _:
            return "its first line is no header"


def _count(ended: Ends, ends: Edges, header: Header, last: bytes | None, *, whole_tail: bool) -> None:
    """How many records there are, and whether any of them is a command of a person.

    Exact where the whole file was read; beyond that the footer's own count is taken, and a session is only
    called empty when nothing at all fits between header and footer.
    """
    if ends.whole is None:
        if ended.footer is not None:
            ended.records = ended.footer.command_count + 2
            between = ends.size - len(ends.first or b"") - len(last or b"")
            ended.empty = between <= 4  # the newlines, of either kind
        elif ended.last is not None:
            ended.empty = False
        return
    content = ends.whole if whole_tail else ends.whole[: ends.last_end]
    lines = content.count(b"\n") + whole_tail
    between = lines - 1 - (ended.footer is not None)
    if between > 1 or b"\n\n" in content or b"\r" in content:
        inner = [line for line in content.split(b"\n") if line.strip()]
        lines = len(inner)
        between = lines - 1 - (ended.footer is not None)
    ended.records = lines
    if between <= 0:
        ended.empty = True
    elif between > 1:
        ended.empty = False
    else:
        only = decode([line for line in content.split(b"\n") if line.strip()][1])
        ended.empty = isinstance(only, Command) and is_leaked_stop(only, header.started_at)


def _unreadable(place: Place, folder: int, entry: str, error: OSError) -> Problem:
    """Why an entry could not be opened, told by what it is rather than by its error."""
    try:
        found = os.stat(entry, dir_fd=folder, follow_symlinks=False)
        what = opening.refuse_reason(found, os.fstat(folder))
    except OSError:
        what = None
    if what is not None:
        return Problem(place.name, printable(entry), f"expected a session file of rec, found {what}; left alone")
    text = f"cannot be read ({error.strerror}); left alone"
    return Problem(place.name, printable(entry), text, grave=True)
