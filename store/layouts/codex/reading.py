"""The facts of one thread, from both ends of its file.

The process that has a thread keeps its file open for writing for as long as it has it, waiting for its user or not: the
kernel knows. Whoever has none goes on from any file, from one that broke off within a turn, too, and from one with a
torn last line, behind which it begins a new one. So only a thread that is torn has crashed.

A usual thread costs one open, one look, two reads of its ends, a question about writers, and one close.
"""

import os
import stat
from collections.abc import Iterable, Iterator

import msgspec

from store import edges, leases, opening
from store.edges import Edges
from store.facts import Fingerprint, Member, Place, Problem, Session, State
from store.layouts.codex.grammar import ROOT, id_of
from store.layouts.codex.records import Header, base_in, header, says_nothing, time_of
from store.layouts.codex.shelf import Shelf
from store.leases import Lease
from store.names import printable
from store.refusals import refused, unreadable

_EXPECTED = "a session file of Codex"
_WINDOW = 1 << 16  # later first lines hold all that a model is told: 22 kB
_NAMELESS = "it rests on another session, and does not say on which"
_TOO_LONG = "its first line is too long to be read"
_LIVE, _COMPLETE, _CRASHED = State.LIVE, State.COMPLETE, State.CRASHED
_CORRUPT, _UNKNOWN = State.CORRUPT, State.UNKNOWN


class Ends(msgspec.Struct, gc=False):
    """What the two ends of a file say, before anybody asks whether it is still written."""

    header: Header | None
    state: State
    evidence: str
    last_record_at: float | None = None
    records: int | None = None
    empty: bool | None = None
    base: str | None = None
    """What a thread rests on whose header is damaged."""


def read_sessions(place: Place, shelf: Shelf, entries: Iterable[str]) -> Iterator[Session | Problem]:
    """The facts of each entry of a listing; what is no thread of Codex's gives a problem."""
    root = opening.open_folder(place.path)
    folder, at = -1, ""
    try:
        for entry in entries:
            path, _, name = entry.rpartition("/")
            try:
                if path != at:
                    if folder >= 0:
                        os.close(folder)
                        folder, at = -1, ""
                    folder = opening.open_below(root, path, opening.FOLDER_FLAGS)
                    at = path
                    around = os.fstat(folder)
                fd = os.open(name, opening.SESSION_FLAGS, dir_fd=folder)
            except FileNotFoundError:
                # Deleted since it was listed; or put away, and then nobody has read what it rests on.
                text = "it was put away, or deleted, while the store was read"
                yield Problem(place.name, printable(entry), text, hides=True)
                continue
            except OSError as error:
                yield _unreadable(place, folder, entry, name, error)
                continue
            try:
                found = os.fstat(fd)
                # The usual file, told by the cheapest questions; `refuse_reason` says what is wrong with another.
                if (
                    found.st_nlink != 1
                    or found.st_uid != around.st_uid
                    or found.st_dev != around.st_dev
                    or not stat.S_ISREG(found.st_mode)
                ):
                    yield _refused(place, entry, fd, found, around)
                    continue
                ends = read_ends(edges.read_edges(fd, found.st_size, window=_WINDOW), id_of(entry))
                if ends.state is _CORRUPT:
                    ends.base = base_in(os.pread(fd, _WINDOW, 0))
                _judge(shelf, id_of(entry), fd, found, ends)
                yield _session(place, shelf, entry, ends, found)
                if (problem := _unknown_base(place, shelf, entry, ends)) is not None:
                    yield problem
            except OSError as error:
                yield _unreadable(place, folder, entry, name, error)
            finally:
                os.close(fd)
    finally:
        if folder >= 0:
            os.close(folder)
        os.close(root)


def _unreadable(place: Place, folder: int, entry: str, name: str, error: OSError) -> Problem:
    if folder < 0:
        text = f"cannot be read ({error.strerror}); left alone"
        return Problem(place.name, printable(entry), text, grave=True, hides=True)
    problem = unreadable(place, folder, name, _EXPECTED, error)
    return msgspec.structs.replace(problem, path=printable(entry), hides=True)


def _refused(place: Place, entry: str, fd: int, found: os.stat_result, around: os.stat_result) -> Problem:
    """A file that is not to be touched; but the program reads it, and so what it rests on stays."""
    problem = refused(place, entry, _EXPECTED, opening.refuse_reason(found, around))
    if not stat.S_ISREG(found.st_mode):
        return msgspec.structs.replace(problem, hides=True)
    try:
        return msgspec.structs.replace(problem, rests_on=base_of(fd))
    except (OSError, ValueError):
        return msgspec.structs.replace(problem, hides=True)


def base_of(fd: int) -> str | None:
    """The thread on which that of an open file rests; ValueError if that cannot be told, OSError if it cannot be read."""
    first = edges.read_edges(fd, os.fstat(fd).st_size, window=_WINDOW).first
    told = header(first) if first is not None else None
    if told is None:
        return base_in(os.pread(fd, _WINDOW, 0))
    if told.is_fork and told.base is None:
        raise ValueError(_NAMELESS)
    return told.base


def _unknown_base(place: Place, shelf: Shelf, entry: str, ends: Ends) -> Problem | None:
    """What a person must know of a thread besides its facts: that nobody knows, or has, what it rests on."""
    if ends.header is None:
        if ends.evidence is not _TOO_LONG and ends.state is not _LIVE:
            return None  # damaged: what can still be read of it was
        text = f"{ends.evidence}, and so nobody knows what it rests on"
        return Problem(place.name, printable(entry), text, hides=True)
    base = ends.header.base
    if not ends.header.is_fork or shelf.has(base):
        return None
    if base is None:
        return Problem(place.name, printable(entry), _NAMELESS, hides=True)
    text = f"it rests on session {printable(base):.60}, which is not in the store; `maint restore` brings that back"
    return Problem(place.name, printable(entry), text)


def _judge(shelf: Shelf, id_: str, fd: int, found: os.stat_result, ends: Ends) -> None:
    """Mend the state by what the system says of writers."""
    if ends.state is _UNKNOWN:
        return
    writer = leases.probe(fd)
    if writer is Lease.BUSY:
        ends.state, ends.evidence = _LIVE, "a process has it open for writing"
    elif writer is Lease.UNAVAILABLE and id_ in shelf.locked:
        ends.state = _LIVE
        ends.evidence = "the lock of its writer is there, and this system cannot tell whether anybody writes"
    elif found.st_mtime > shelf.live_after and (ends.state is not _COMPLETE or writer is Lease.UNAVAILABLE):
        ends.state, ends.evidence = _LIVE, "it changed lately"


def _session(place: Place, shelf: Shelf, entry: str, ends: Ends, found: os.stat_result) -> Session:
    size = found.st_size
    fingerprint = Fingerprint(found.st_dev, found.st_ino, size, found.st_mtime_ns, found.st_ctime_ns)
    started_at = project = parent = None
    base = ends.base
    if (told := ends.header) is not None:
        started_at, project = told.started_at, told.project
        base = told.base if told.base != id_of(entry) else None
        # What rests on the one that began it goes by its own age: if each waited for the other, neither would ever go.
        parent = shelf.known(told.parent) if told.parent != base else None
    return Session(
        place.name,
        place.kind,
        shelf.called(id_of(entry), entry),
        ends.state,
        ends.evidence,
        (Member(ROOT, entry, fingerprint),),
        size,
        found.st_mtime,
        None,
        started_at,
        None,
        ends.last_record_at,
        has_footer=False,
        records=ends.records,
        empty=ends.empty,
        project=project,
        tags=(),
        parent=parent,
        rests_on=base,
    )


def read_ends(ends: Edges, id_: str) -> Ends:
    """What the first and the last line make of the thread of this id."""
    if ends.first is None:
        if ends.too_long:
            return Ends(None, _UNKNOWN, _TOO_LONG)
        return Ends(None, _CORRUPT, "it holds no complete record")
    told = header(ends.first)
    if told is None:
        return Ends(None, _CORRUPT, "its first line is none with which Codex begins a session")
    if told.id != id_:
        return Ends(told, _UNKNOWN, f"its first line names another session, {printable(told.id):.60}")
    if ends.too_long:
        return Ends(told, _UNKNOWN, "its last line is too long to be read")
    last_record_at = time_of(ends.last) if ends.last is not None else None
    records: int | None = None
    empty: bool | None = False
    if ends.whole is not None:
        lines = [line for line in ends.whole[: ends.last_end].split(b"\n") if line.strip()]
        records = len(lines)
        empty = not ends.torn and not told.is_fork and all(map(says_nothing, lines[1:]))
        if last_record_at is None:
            last_record_at = next(filter(None, map(time_of, reversed(lines))), None)
    if ends.torn:
        evidence = f"it ends in {ends.torn} bytes that are no complete record"
        return Ends(told, _CRASHED, evidence, last_record_at, records, empty)
    return Ends(told, _COMPLETE, "nobody writes it, and it ends with a line", last_record_at, records, empty)
