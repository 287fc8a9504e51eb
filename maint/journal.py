"""The journal of a store: an append-only file a run, readable with ``less``.

Its lines are, in this order: the run and its circumstances; every action that is intended; ``begin``; what became
of each; ``end`` with the sums.
The intents are durable before ``begin`` is, and ``begin`` before the first action: one fsync for all of them.
Outcomes are only made durable in batches, because the store itself tells what was done; a journal without ``end``
is that of a run that was killed.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from maint.actions import LONGEST_LINE, Action, Outcome, Result, Verb
from store import durable, names, opening
from store.facts import Fingerprint, Place
from store.folders import make_folders
from store.roots import RootFds

if TYPE_CHECKING:  # reading a journal needs no policy
    from policies import Policy

_BATCH = 4096
_APPEND = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class RunLine(msgspec.Struct, frozen=True, tag_field="type", tag="run", kw_only=True):
    """The first line: which run this is, who asked for it, and by which policy."""

    run: str
    command: str
    at: str
    store: str
    kind: str
    roots: dict[str, str]
    policy: str
    policy_sha256: str
    version: str
    host: str
    user: int
    pid: int
    about: str | None = None
    """The run that this one undoes."""


class BeginLine(msgspec.Struct, frozen=True, tag_field="type", tag="begin"):
    """All intents are above; from here on the store may differ."""


class EndLine(msgspec.Struct, frozen=True, tag_field="type", tag="end", kw_only=True):
    """The run has ended: how many of what was intended was done, and whether it was told to stop."""

    done: dict[str, int]
    skipped: int
    failed: int
    lost: int
    bytes_freed: int
    bytes_trashed: int
    bytes_packed: int = 0
    seconds: float
    stopped: bool = False
    settled_by: str | None = None
    """The later run that found this one killed."""


class SealedLine(msgspec.Struct, frozen=True, tag_field="type", tag="sealed", kw_only=True):
    """A pack was written, made durable, read back and compared, and has its name: from here on originals may go.

    ``bytes`` are those of the sessions in it, ``packed`` its own; ``replaces`` is the pack it was made from, if any.
    """

    pack: str
    path: str
    sessions: int
    bytes: int
    packed: int
    replaces: str | None = None


class IndexedLine(msgspec.Struct, frozen=True, tag_field="type", tag="indexed", kw_only=True):
    """A file that lists sessions was made to tell what the run did: what it was left as, and whether it is new."""

    root: str
    path: str
    left: Fingerprint
    made: bool = False


Line = RunLine | Action | BeginLine | SealedLine | IndexedLine | Outcome | EndLine
_decode: Callable[[bytes], Line] = msgspec.json.Decoder(Line).decode
_encode = msgspec.json.Encoder().encode
_NO_LINE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Journal:
    """The journal of one run over one store, while it is written."""

    def __init__(self, roots: RootFds, run: str) -> None:
        self._fd = _open(roots, run, _APPEND)
        self._unsynced = 0
        self._failure: OSError | None = None

    @classmethod
    def resume(cls, roots: RootFds, run: str) -> "Journal":
        """Go on with the journal of a run that was killed, behind whatever it was writing."""
        journal = cls(roots, run)
        size = os.fstat(journal._fd).st_size
        if size and os.pread(journal._fd, 1, size - 1) != b"\n":
            durable.write_all(journal._fd, b"\n")
        return journal

    @classmethod
    def amend(cls, roots: RootFds, run: str, outcomes: list[Outcome]) -> None:
        """Add what became later of actions of a run that has ended; its end stays the last line."""
        end = _last(roots, run)
        journal = cls.resume(roots, run)
        try:
            journal.outcomes(outcomes)
            if isinstance(end, EndLine):
                journal.end(end)
        finally:
            journal.close()

    @classmethod
    def start(cls, roots: RootFds, head: RunLine, intents: Iterable[bytes]) -> "Journal":
        """Write the run and what it intends, lines in parts of any length; durable on return."""
        path = names.journal_path(head.run)
        folder = make_folders(roots[roots.first], names.JOURNAL)
        try:
            fd = durable.create(folder, path.rpartition("/")[2])
            try:
                buffer = bytearray(_encode(head) + b"\n")
                for part in intents:
                    buffer += part
                    if len(buffer) > 1 << 20:
                        durable.write_all(fd, buffer)
                        buffer.clear()
                buffer += _encode(BeginLine()) + b"\n"
                durable.write_all(fd, buffer)
                durable.sync_file(fd, path)
            finally:
                os.close(fd)
            durable.sync_folder(folder, names.JOURNAL)
        except OSError:
            # Without room for the intents nothing is done, and nothing is left of the attempt.
            with suppress(OSError):
                os.unlink(path.rpartition("/")[2], dir_fd=folder)
            raise
        finally:
            os.close(folder)
        return cls(roots, head.run)

    def outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Append what became of some actions."""
        lines = [_encode(outcome) + b"\n" for outcome in outcomes]
        self._unsynced += len(lines)
        self._append(b"".join(lines), sync=self._unsynced >= _BATCH)

    def sealed(self, line: SealedLine) -> None:
        """Note a pack; durable on return."""
        self._append(_encode(line) + b"\n", sync=True)

    def indexed(self, line: IndexedLine) -> None:
        """Note that a file which lists sessions was made true."""
        self._append(_encode(line) + b"\n", sync=False)

    def end(self, line: EndLine) -> None:
        """Write the last line; durable on return."""
        self._append(_encode(line) + b"\n", sync=True)
        self.close()

    def _append(self, data: bytes, *, sync: bool) -> None:
        """Write lines; once that has failed it fails for good: the next line would stand behind half of another one."""
        if self._failure is not None:
            raise self._failure
        try:
            durable.write_all(self._fd, data)
            if sync:
                durable.sync_file(self._fd, names.JOURNAL)
                self._unsynced = 0
        except OSError as error:
            self._failure = error
            raise

    def close(self) -> None:
        """Let go of the file; without an end line the next run takes this one for killed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def runs(roots: RootFds) -> list[str]:
    """The ids of all runs that a store has journals of, oldest first."""
    try:
        folder = opening.open_below(roots[roots.first], names.JOURNAL, opening.FOLDER_FLAGS)
    except FileNotFoundError:
        return []
    try:
        found = [names.parse_journal_path(f"{names.JOURNAL}/{name}") for name in os.listdir(folder)]
    finally:
        os.close(folder)
    return sorted(run for run in found if run is not None)


def read(roots: RootFds, run: str) -> Iterator[Line]:
    """The lines of a journal; torn ones, as a kill leaves them, are passed over, and so are those that lead out of the store."""
    fd = _open(roots, run, opening.SESSION_FLAGS)
    with open(fd, "rb") as file:
        while line := file.readline(LONGEST_LINE):  # of a longer one come pieces, which are torn, too
            with suppress(*_NO_LINE):
                found = _decode(line)
                if _stays_below(found):
                    yield found


def _stays_below(line: Line) -> bool:
    """Whether all files that a line is about lie below roots of the store, as they do in every line that we have written."""
    match line:
        case Action():
            about = [member.path for member in line.members]
            if line.guard is not None:
                about.append(line.guard.path)
            if line.index is not None:
                about.append(line.index[1])
        case IndexedLine():
            about = [line.path]
        case _:
            return True
    return all(map(names.is_clean, about))


def head(roots: RootFds, run: str) -> RunLine | None:
    """The first line of a journal, or ``None`` if it has none that can be read."""
    first = next(read(roots, run), None)
    return first if isinstance(first, RunLine) else None


def frame(roots: RootFds, run: str) -> Iterator[Line]:
    """The first and the last line of a journal, without reading what is between them."""
    first = head(roots, run)
    if first is not None:
        yield first
    last = _last(roots, run)
    if isinstance(last, EndLine):
        yield last


def has_ended(roots: RootFds, run: str) -> bool:
    """Whether the journal's last line says that its run came to its end, and that nobody need see to what it left.

    What was lost with a worker may be half done, as in a run that was killed.
    """
    end = _last(roots, run)
    return isinstance(end, EndLine) and (not end.lost or end.settled_by is not None)


def _last(roots: RootFds, run: str) -> Line | None:
    """The last line of a journal if it can be read; only the tail of the file is."""
    fd = _open(roots, run, opening.SESSION_FLAGS)
    try:
        size = os.fstat(fd).st_size
        tail = os.pread(fd, 8192, max(0, size - 8192))
    finally:
        os.close(fd)
    with suppress(*_NO_LINE):
        return _decode(tail.rstrip(b"\n").rpartition(b"\n")[2])
    return None


_ONLY_IN = {
    Verb.RESTORE: ("undo", "restore"),
    Verb.RECOVER: ("sweep", "apply"),
    Verb.ARCHIVE: ("sweep", "apply", "archive"),
}
"""The commands in whose journals a verb is to be looked for; others are not read beyond their first line."""


def done_since(roots: RootFds, since: float, verb: Verb) -> dict[str, float]:
    """The sessions to which this was done by runs that began since then, with the time of the last one."""
    found: dict[str, float] = {}
    for run in runs(roots):
        when = names.run_time(run)
        first = head(roots, run) if when >= since else None
        if first is None or first.command not in _ONLY_IN[verb]:
            continue
        for line in read(roots, run):
            if isinstance(line, Outcome) and line.verb is verb and line.result is Result.DONE:
                found[line.session] = when
    return found


def last_run_time(roots: RootFds) -> float | None:
    """When the last run that is on record began; to the second."""
    known = runs(roots)
    return names.run_time(known[-1]) if known else None


def timestamp(moment: float, policy: "Policy | None") -> str:
    """A moment as journals and reports write it: RFC 3339, with the offset of the policy's zone (or UTC)."""
    zone = policy.zone if policy is not None else UTC
    try:
        return datetime.fromtimestamp(moment, zone).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):  # what a session says may be no time of any calendar
        return f"{moment:.6g} seconds after 1970"


def run_line(
    run: str, command: str, at: str, place: Place, policy: "Policy | None", version: str, about: str | None
) -> RunLine:
    """The first line for a run that this process is about to do."""
    return RunLine(
        run=run,
        command=command,
        at=at,
        store=place.name,
        kind=place.kind,
        roots=dict(place.roots),
        policy=policy.source if policy is not None else "",
        policy_sha256=policy.sha256 if policy is not None else "",
        version=version,
        host=os.uname().nodename,
        user=os.getuid(),
        pid=os.getpid(),
        about=about,
    )


def _open(roots: RootFds, run: str, flags: int) -> int:
    return opening.open_below(roots[roots.first], names.journal_path(run), flags)
