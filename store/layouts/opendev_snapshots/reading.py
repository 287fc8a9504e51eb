"""The facts of one snapshot: one open, one look, one read and one close.

A snapshot names no process, and one that is being worked on looks like one whose agent crashed.
So silence alone tells them apart: as long as the file was saved within the grace period, its session counts as
live.
Its end, from which retention counts, is the stamp that it carries, as it is to opendev's own cleaner.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator

import msgspec

from store import opening
from store.facts import Fingerprint, Member, Place, Problem, Session, State
from store.layouts.opendev_snapshots.snapshot import LIMIT, Damaged, Snapshot, TooDeep, decode
from store.names import printable
from store.refusals import refused, unreadable

ROOT = "snapshots"
_SUFFIX_LENGTH = len("_session_snapshot.json")
ENTRY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}_session_snapshot\.json", re.ASCII)
"""Names that may be a snapshot: opendev's ids are hexadecimal digits and hyphens, those of models plain words."""

_EXPECTED = "a snapshot of opendev"

_LIVE, _COMPLETE, _CRASHED = State.LIVE, State.COMPLETE, State.CRASHED
_CORRUPT, _UNKNOWN = State.CORRUPT, State.UNKNOWN


class Recency(msgspec.Struct, frozen=True):
    """From when on a save is a sign of life."""

    live_after: float


class Finding(msgspec.Struct, gc=False):
    """What the bytes of a snapshot say, and the record in them, if there is one."""

    state: State
    evidence: str
    snapshot: Snapshot | None = None


def id_of(entry: str) -> str:
    """The session whose snapshot has this name."""
    return entry[:-_SUFFIX_LENGTH]


def read_snapshots(place: Place, recency: Recency, entries: Iterable[str]) -> Iterator[Session | Problem]:
    """The facts of each entry of the folder; what is no snapshot of opendev's gives a problem.

    ``entries`` match `ENTRY`, so that they can be opened without another look at them.
    """
    folder = opening.open_folder(place.path)
    try:
        around = os.fstat(folder)
        for entry in entries:
            try:
                fd = os.open(entry, opening.SESSION_FLAGS, dir_fd=folder)
            except FileNotFoundError:
                continue  # removed since it was listed, by its owner
            except OSError as error:
                yield unreadable(place, folder, entry, _EXPECTED, error)
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
                    yield refused(place, entry, _EXPECTED, opening.refuse_reason(found, around))
                    continue
                finding = _find(fd, found, id_of(entry), recency)
                yield _session(place, entry, finding, found)
            except OSError as error:
                yield unreadable(place, folder, entry, _EXPECTED, error)
            finally:
                os.close(fd)
    finally:
        os.close(folder)


def is_whole(folder: int, name: str) -> bool | None:
    """Whether a file is one that opendev can load; ``None`` where there is none, or nobody can tell."""
    try:
        fd = opening.open_session(folder, name)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LIMIT:
            return None
        decode(_content(fd, found))
    except Damaged:
        return False
    except (OSError, TooDeep):
        return None
    finally:
        os.close(fd)
    return True


class _Changed(OSError):
    """The file is not as long as it was a moment ago."""


def _content(fd: int, found: os.stat_result) -> bytes:
    content = os.read(fd, found.st_size + 1)
    if len(content) != found.st_size:
        raise _Changed
    return content


def _find(fd: int, found: os.stat_result, id_: str, recency: Recency) -> Finding:
    if found.st_size > LIMIT:
        return Finding(_UNKNOWN, f"it is larger than {LIMIT} bytes, which no snapshot of opendev's is")
    try:
        snapshot = decode(_content(fd, found))
    except _Changed:
        return Finding(_LIVE, "it was written to while it was read")
    except Damaged as error:
        return Finding(_CORRUPT, str(error))
    except TooDeep:
        return Finding(_UNKNOWN, "it is nested too deeply to be read")
    if snapshot.session_id != id_:
        evidence = f"it is a snapshot of another session, {printable(snapshot.session_id):.60}"
        return Finding(_UNKNOWN, evidence, snapshot)
    if snapshot.completed:
        return Finding(_COMPLETE, "it is marked as completed", snapshot)
    if found.st_mtime > recency.live_after:
        return Finding(_LIVE, "it is not marked as completed, and was saved lately", snapshot)
    return Finding(_CRASHED, "it was never marked as completed", snapshot)


def _session(place: Place, entry: str, finding: Finding, found: os.stat_result) -> Session:
    snapshot = finding.snapshot
    size = found.st_size
    fingerprint = Fingerprint(found.st_dev, found.st_ino, size, found.st_mtime_ns, found.st_ctime_ns)
    ended_at = records = empty = project = None
    if snapshot is not None:
        ended_at, records = snapshot.saved_at, snapshot.message_count
        empty = not records and not snapshot.last_tool_results
        project = snapshot.project_dir or None
    return Session(
        place.name,
        place.kind,
        id_of(entry),
        finding.state,
        finding.evidence,
        (Member(ROOT, entry, fingerprint),),
        size,
        found.st_mtime,
        None,
        None,
        ended_at,
        None,
        snapshot is not None,
        records,
        empty,
        project,
        (),
        mendable=False,
        ages_strictly=True,
    )
