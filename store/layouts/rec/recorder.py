"""What rec's state folder says of the one recording that may be going on.

Two traps decide this module.
The process id in ``recording.lock`` and ``recording.json`` is that of ``rec start``, which ends some milliseconds
later: a dead owner is the normal state of a live recording, so only silence for a while tells a crash.
And the id in ``recording.json`` is a random one that names no file: only ``session_path`` points at the session.
"""

import os
import stat
from collections.abc import Collection

import msgspec

from store import opening, processes
from store.facts import Lock, Member, Owner, Place, Problem
from store.layout import Moment
from store.layouts.rec.records import Header
from store.names import printable

LOCK, STATE, PENDING = "recording.lock", "recording.json", "pending.json"
STATE_LIMIT = 64 * 1024
"""Far more than rec writes to any of the three; a larger one is not rec's."""

CLOSE = 5.0
"""Seconds by which ``recording.json`` may be younger than the header written just before it."""


class Recording(msgspec.Struct):
    """``recording.json``; all fields are required by rec, unknown ones ignored."""

    id: str
    name: str
    session_path: str
    started_at: float
    pid: int


class Recorder(msgspec.Struct, frozen=True):
    """The recording that the state folder speaks of, as far as it could be read.

    ``entry`` is the session file it points at; without one, ``name`` and ``started_at`` may still identify it.
    ``suspects_all`` holds when something is recorded and nobody can tell what: any session may be the one.
    ``silent_since`` is the last sign of life; before ``live_after``, silence has lasted long enough to tell a crash.
    ``treasured`` are the session files beside which something lies that holds more (`store.layouts.rec.leftovers`).
    """

    live_after: float
    entry: str | None = None
    name: str | None = None
    started_at: float | None = None
    silent_since: float = 0.0
    owner: Owner = Owner.GONE
    evidence: str = ""
    suspects_all: bool = False
    treasured: frozenset[str] = frozenset()

    def points_at(self, entry: str, header: Header) -> bool:
        """Whether this session may be the one that is being recorded."""
        if self.entry is not None:
            return entry == self.entry
        if self.name is not None and self.started_at is not None:
            return header.name == self.name and 0 <= self.started_at - header.started_at <= CLOSE
        return self.suspects_all


class StateFile(msgspec.Struct, frozen=True):
    """One of the three files: where it lies, which it is, and its bytes."""

    member: Member
    content: bytes
    mtime: float


def read_recorder(
    place: Place, moment: Moment, entries: Collection[str]
) -> tuple[Recorder, list[Lock], list[Problem]]:
    """What the state folder of a store holds: the recording it speaks of, its files as locks, and problems.

    A missing state folder means that nothing is recorded; one that cannot be read, that anything may be.
    """
    nothing = Recorder(live_after=moment.now - moment.grace)
    root = place.roots.get("state")
    if root is None:
        unknown = msgspec.structs.replace(
            nothing, suspects_all=True, evidence="its state folder is not known"
        )
        return unknown, [], []
    try:
        folder = opening.open_folder(root)
    except FileNotFoundError:
        return nothing, [], []
    except OSError as error:
        text = f"the state folder cannot be read ({error.strerror}): every session without a footer counts as live"
        problem = Problem(place.name, printable(root), text, grave=True)
        return _suspicious(nothing, "the state folder cannot be read"), [], [problem]
    try:
        files, problems = _read_files(place, folder)
    finally:
        os.close(folder)
    if not files:
        return (_suspicious(nothing, "its state files cannot be read") if problems else nothing), [], problems
    recorder = _interpret(place, files, nothing, entries, moment)
    if problems:
        recorder = _suspicious(recorder, f"{problems[0].path} cannot be read")
    return recorder, _locks(place, files, recorder), problems


def _suspicious(recorder: Recorder, why: str) -> Recorder:
    """The same, where something could not be read that may speak of a living recorder: then silence proves nothing."""
    return msgspec.structs.replace(
        recorder, suspects_all=recorder.entry is None, owner=Owner.UNKNOWN, evidence=why
    )


def _read_files(place: Place, folder: int) -> tuple[dict[str, StateFile], list[Problem]]:
    files: dict[str, StateFile] = {}
    problems: list[Problem] = []
    around = os.fstat(folder)
    for name in (LOCK, STATE, PENDING):
        try:
            fd = opening.open_session(folder, name)
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(
                Problem(place.name, name, f"cannot be read ({error.strerror}); left alone", grave=True)
            )
            continue
        try:
            found = os.fstat(fd)
            refusal = opening.refuse_reason(found, around)
            if refusal is not None or not stat.S_ISREG(found.st_mode):
                problems.append(
                    Problem(place.name, name, f"expected a plain file of rec: {refusal}; left alone")
                )
                continue
            content = os.read(fd, STATE_LIMIT)
        except OSError as error:
            problems.append(
                Problem(place.name, name, f"cannot be read ({error.strerror}); left alone", grave=True)
            )
            continue
        finally:
            os.close(fd)
        print_of = opening.fingerprint(found)
        files[name] = StateFile(Member("state", name, print_of), content, found.st_mtime)
    return files, problems


def _interpret(
    place: Place, files: dict[str, StateFile], nothing: Recorder, entries: Collection[str], moment: Moment
) -> Recorder:
    recording = _decode(files.get(STATE))
    entry = _entry_of(recording, entries)
    silent_since = max(file.mtime for file in files.values())
    if entry is not None:
        silent_since = max(silent_since, _mtime_of(os.path.join(place.path, entry)))
    if recording is not None and recording.session_path.startswith("/"):
        # It may be written to outside of this store: two stores of one user share his state folder.
        silent_since = max(silent_since, _mtime_of(recording.session_path))
    owner, evidence = _owner(files, recording, moment.now)
    return Recorder(
        live_after=nothing.live_after,
        entry=entry,
        name=recording.name if recording else None,
        started_at=recording.started_at if recording else None,
        silent_since=silent_since,
        owner=owner,
        evidence=evidence,
        suspects_all=recording is None and (STATE in files or LOCK in files),
    )


def _decode(file: StateFile | None) -> Recording | None:
    if file is None:
        return None
    try:
        return msgspec.json.decode(file.content, type=Recording)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _entry_of(recording: Recording | None, entries: Collection[str]) -> str | None:
    """The session file meant: by the path's last part, because stores are moved and homes are mounted elsewhere.

    That part is a random UUID, so a match in this store is no accident.
    """
    if recording is None:
        return None
    for candidate in (os.path.basename(recording.session_path), f"{recording.id}.ndjson"):
        if candidate in entries:
            return candidate
    return None


def _mtime_of(path: str) -> float:
    try:
        return os.stat(path, follow_symlinks=False).st_mtime
    except (OSError, ValueError):  # the path is somebody's text, which may hold anything
        return 0.0


def _owner(files: dict[str, StateFile], recording: Recording | None, now: float) -> tuple[Owner, str]:
    """Whether the process that wrote these files still runs; the lock's own words count before the state's."""
    if LOCK in files:
        text = files[LOCK].content.decode("ascii", "replace").strip()
        return processes.owner_of(text, files[LOCK].mtime, now)
    if recording is not None:
        return processes.owner_of(str(recording.pid), files[STATE].mtime, now)
    return Owner.GONE, "there is no lock"


def _locks(place: Place, files: dict[str, StateFile], recorder: Recorder) -> list[Lock]:
    whats = {
        PENDING: "command waiting for its end",
        STATE: "state of a recording",
        LOCK: "lock of a recording",
    }
    guard = files[LOCK].member if LOCK in files else None
    session = recorder.entry.removesuffix(".ndjson") if recorder.entry else None
    return [
        Lock(
            store=place.name,
            kind=place.kind,
            id=name,
            what=what,
            owner=recorder.owner,
            evidence=recorder.evidence,
            members=(files[name].member,),
            bytes=files[name].member.fingerprint.size,
            last_changed=recorder.silent_since,
            session=session,
            guard=guard,
            order=order,
        )
        for order, (name, what) in enumerate(whats.items())
        if name in files
    ]
