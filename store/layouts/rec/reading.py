"""The facts of one rec session, from both ends of its file.

A typical session costs one open, one look, one read and one close; nothing here depends on how long it is.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator

import msgspec

from store import edges, leases, opening
from store.edges import Edges
from store.facts import Fingerprint, Member, Owner, Place, Problem, Session, State
from store.layouts.rec.recorder import Recorder
from store.layouts.rec.records import (
    KNOWN_VERSION,
    Command,
    Footer,
    Header,
    as_header,
    as_record,
    decode,
    decode_header,
    is_foreign,
    is_leaked_stop,
    split_records,
    type_error,
)
from store.leases import Lease
from store.names import printable
from store.refusals import refused, unreadable

SUFFIX = ".ndjson"
SUFFIX_LENGTH = len(SUFFIX)
ENTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.ndjson", re.ASCII)
"""Names that may be a session: rec writes UUIDs, people and imports write other plain words."""


_EXPECTED = "a session file of rec"

# An enum's member costs eight times as much to look up on its class, and every session meets several.
_LIVE, _COMPLETE, _RECOVERED = State.LIVE, State.COMPLETE, State.RECOVERED
_CRASHED, _CORRUPT, _UNKNOWN = State.CRASHED, State.CORRUPT, State.UNKNOWN


class More(msgspec.Struct, frozen=True, gc=False):
    """What is said of few sessions, and of those that have crashed alone: see `store.facts.Session`."""

    mendable: bool = True
    recording: bool = False


class Ends(msgspec.Struct, gc=False):
    """What the two ends of a session file say, before anybody asks whether its recorder still lives."""

    header: Header | None
    state: State
    evidence: str
    footer: Footer | None = None
    last: Command | None = None
    records: int | None = None
    empty: bool | None = None
    more: More | None = None


def read_sessions(place: Place, recorder: Recorder, entries: Iterable[str]) -> Iterator[Session | Problem]:
    """The facts of each entry of the sessions folder; what is no session of rec's gives a problem.

    ``entries`` match `ENTRY`, so that they can be opened without another look at them.
    """
    folder = opening.open_folder(place.path)
    try:
        around = os.fstat(folder)
        device, owner = around.st_dev, around.st_uid
        for entry in entries:
            try:
                fd = os.open(entry, opening.SESSION_FLAGS, dir_fd=folder)
            except FileNotFoundError:
                continue  # deleted since it was listed: rec's own delete, nothing to say
            except OSError as error:
                yield unreadable(place, folder, entry, _EXPECTED, error)
                continue
            try:
                found = os.fstat(fd)
                # The usual file, told by the cheapest questions; `refuse_reason` says what is wrong with another.
                if (
                    found.st_nlink != 1
                    or found.st_uid != owner
                    or found.st_dev != device
                    or not stat.S_ISREG(found.st_mode)
                ):
                    yield refused(place, entry, _EXPECTED, opening.refuse_reason(found, around))
                    continue
                ends = read_ends(edges.read_edges(fd, found.st_size))
                last_changed = found.st_mtime
                if (
                    ends.state is not _COMPLETE
                    or ends.header.id != entry[:-SUFFIX_LENGTH]  # type: ignore[union-attr]
                    or entry in recorder.treasured
                ):
                    last_changed = _judge(recorder, entry, fd, ends, last_changed)
                yield _session(place, entry, ends, found, last_changed)
            except OSError as error:
                yield unreadable(place, folder, entry, _EXPECTED, error)
            finally:
                os.close(fd)
    finally:
        os.close(folder)


def _session(place: Place, entry: str, ends: Ends, found: os.stat_result, last_changed: float) -> Session:
    header, footer, last = ends.header, ends.footer, ends.last
    size = found.st_size
    fingerprint = Fingerprint(found.st_dev, found.st_ino, size, found.st_mtime_ns, found.st_ctime_ns)
    if header is None:
        name = started_at = project = tags = None
    else:
        name, started_at, tags = header.name, header.started_at, header.tags
        project = header.env.PWD if header.env is not None else None
    last_record_at = None if last is None else last.started_at if last.ended_at is None else last.ended_at
    session = Session(
        place.name,
        place.kind,
        entry[:-SUFFIX_LENGTH],
        ends.state,
        ends.evidence,
        (Member("sessions", entry, fingerprint),),
        size,
        last_changed,
        name,
        started_at,
        None if footer is None else footer.ended_at,
        last_record_at,
        footer is not None,
        ends.records,
        ends.empty,
        project,
        tags,
    )
    if ends.more is None:
        return session
    return msgspec.structs.replace(session, mendable=ends.more.mendable, recording=ends.more.recording)


def _judge(recorder: Recorder, entry: str, fd: int, ends: Ends, last_changed: float) -> float:
    """Mend the state by what the recorder and the system say of it; when anything about it last changed.

    Asked about sessions that are not plainly complete.
    """
    header = ends.header
    if header is None:
        # Deleted by hand while it was recorded: rec goes on appending, to a file that has no header.
        if entry == recorder.entry:
            last_changed = max(last_changed, recorder.silent_since)
            _judge_recording(recorder, ends, last_changed)
    elif header.id != entry[:-SUFFIX_LENGTH]:
        ends.state = _UNKNOWN
        ends.evidence = f"its header names another session, {printable(header.id):.60}"
    elif ends.state is not _UNKNOWN and ends.footer is None and recorder.points_at(entry, header):
        last_changed = max(last_changed, recorder.silent_since)
        _judge_recording(recorder, ends, last_changed)
    if ends.state is _CRASHED and leases.probe(fd) is Lease.BUSY:
        ends.state, ends.evidence = _LIVE, "a process has it open for writing"
    elif entry in recorder.treasured and ends.state is not _LIVE:
        ends.state, ends.evidence = (
            _UNKNOWN,
            "what a save or a rename has left beside it holds more than it does",
        )
    return last_changed


def _judge_recording(recorder: Recorder, ends: Ends, last_changed: float) -> None:
    """A session without footer that the recorder's state points at: still recorded, or crashed?"""
    if recorder.owner is not Owner.GONE and recorder.evidence:
        ends.state, ends.evidence = _LIVE, f"its recorder holds on: {recorder.evidence}"
    elif last_changed > recorder.live_after:
        ends.state, ends.evidence = _LIVE, "it is being recorded, and was active lately"
    else:
        ends.more = More(ends.more is None or ends.more.mendable, recording=True)
        ends.evidence = f"{ends.evidence}; still marked as being recorded, but silent ({recorder.evidence})"


def read_ends(ends: Edges) -> Ends:
    """What the first and last records make of a session, by rec's own rules for its list.

    The first record must be the header, and the last one decides about the footer.
    A file without a byte is a recording that broke off before its header.
    """
    size, first, last_line, last_end, torn, whole, too_long, tail = ends
    if first is None:
        return _without_line(ends)
    try:
        header = as_header(first)
    except type_error:
        return Ends(None, _CORRUPT, _why_headerless(first))
    try:
        last = as_record(last_line) if last_line is not None else None
    except type_error:
        last = None
    whole_tail = False
    if tail is not None and (untied := decode(tail)) is not None:
        last_line, torn, whole_tail, last = tail, 0, True, untied
    footer = last if type(last) is Footer else None
    command = last if type(last) is Command else None
    records: int | None
    empty: bool | None
    if (
        footer is not None
        and footer.command_count > 1
        and (whole is None or whole.count(b"\n", 0, last_end) == footer.command_count + 2)
    ):
        # More than the one command that rec leaks, and as many lines as its own count tells, where that can be seen.
        records, empty = footer.command_count + 2, False
    elif whole is not None:
        records, empty = _count(whole, last_end, header, has_footer=footer is not None, tail=whole_tail)
    elif footer is not None:
        # Only when nothing fits between header and footer is it sure to be empty: their newlines, of either kind.
        records = footer.command_count + 2
        empty = size - len(first) - len(last_line or b"") <= 4
    else:
        records, empty = None, None if command is None else False
    if footer is not None and not torn and header.version <= KNOWN_VERSION and not header.recovered:
        # Nearly all sessions end here.
        return Ends(header, _COMPLETE, "it has a footer", footer, None, records, empty)
    if header.recovered:
        empty = False  # what was recovered was not empty, or it would not have been
    state, mendable = _CRASHED, True
    if header.version > KNOWN_VERSION:
        state, evidence = (
            _UNKNOWN,
            f"its header has version {header.version}; known is up to {KNOWN_VERSION}",
        )
    elif too_long:
        state, evidence = _UNKNOWN, "its last line is too long to be read"
    elif torn:
        evidence = f"it ends in {torn} bytes that are no complete record"
        if tail is not None:
            empty = False  # half a command was somebody's command, too
    elif footer is None and last is None and last_line is not None and is_foreign(last_line):
        state, evidence = _UNKNOWN, "its last record is none of rec's"
    elif header.recovered:
        state, evidence = _RECOVERED, "its header says that it was recovered"
    elif last is None:
        evidence = "its last line is no record"
    else:
        evidence = "it has no footer"
    if state is _CRASHED and whole is not None and not empty and not _is_plain(whole, header, command):
        # What is too long to be read with its ends is looked at by whoever would mend it.
        evidence, mendable = _inside(whole if whole_tail else whole[:last_end], header, evidence, torn)
    more = None if mendable else More(mendable=False)
    return Ends(header, state, evidence, footer, command, records, empty, more)


def _is_plain(whole: bytes, header: Header, last: Command | None) -> bool:
    """Whether a session ends in somebody's command, and no other header and no footer can be in it."""
    if last is None or is_leaked_stop(last, header.started_at):
        return False
    return whole.count(b'"header"') == 1 and b'"footer"' not in whole


def _inside(lines: bytes, header: Header, evidence: str, torn: int) -> tuple[str, bool]:
    """Of a crashed session that was read whole: what is wrong with it, and whether it can be made whole.

    Where all that was recorded is no complete command it is left as it is: mended, it would be one in which nothing
    was, and in the end nothing would be left of it.
    """
    kept, lost = False, torn > 0
    ended = follows = False
    for line in filter(bytes.strip, lines.split(b"\n")[1:]):
        for piece in [line] if decode(line) is not None else split_records(line):
            match decode(piece):
                case Header():
                    return "there is a second header in it", False
                case Footer():
                    ended = True
                case Command() as command:
                    kept = kept or not is_leaked_stop(command, header.started_at)
                    follows, ended = follows or ended, False
                case None:
                    lost = True
    if follows:
        evidence = f"a command follows its footer{f'; {evidence}' if torn else ''}"
    if lost and not kept:
        return f"{evidence}, and that is all that was recorded in it", False
    return evidence, True


def _without_line(ends: Edges) -> Ends:
    """A file in which no line ends: nothing at all, a header whose newline is missing, or a torn one."""
    if ends.whole is not None and not ends.whole.strip():
        return Ends(None, _CRASHED, "it holds no record at all", records=0, empty=True)
    header = decode_header(ends.tail) if ends.tail is not None else None
    if header is not None:
        return Ends(header, _CRASHED, "it has no footer", records=1, empty=True)
    if ends.too_long:
        return Ends(None, _UNKNOWN, "its first line is too long to be read")
    return Ends(None, _CORRUPT, "it holds no complete record")


def _why_headerless(first: bytes) -> str:
    match decode(first):
        case Command():
            return "it has no header: its first record is a command"
        case Footer():
            return "it has no header: its first record is a footer"
        case _:
            return "its first line is no header"


def _count(whole: bytes, end: int, header: Header, *, has_footer: bool, tail: bool) -> tuple[int, bool]:
    """How many records a session has that was read whole, and whether none of them is a command of a person.

    ``end`` is behind the last newline, ``tail`` says that a record without one follows.
    """
    lines = [line for line in (whole if tail else whole[:end]).split(b"\n") if line.strip()]
    between = len(lines) - 1 - has_footer
    if between != 1:
        return len(lines), between <= 0
    only = decode(lines[1])
    return len(lines), isinstance(only, Command) and is_leaked_stop(only, header.started_at)
