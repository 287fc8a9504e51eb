"""The two kinds of files with which opendev keeps others out, and what is known of their owners.

``memory/.consolidation.lock`` holds as long as it exists, and names nobody: a crash leaves it, and the memory of that
project is never tidied again. Only silence tells, of the lock and of all files in that folder.

``remote-*.pid`` holds a process id. Whoever takes over the remote control ends that process without asking which one
it is, so that a stale file is a danger to whatever has the number by then.
Their folder has a name that anybody may make first, so that one of another user is none of ours.
"""

import os
import stat

from store import opening, processes
from store.facts import Lock, Member, Owner, Place, Problem
from store.layouts.opendev.bounded import read_whole
from store.layouts.opendev.filenames import CONSOLIDATION_LOCK, MEMORY, is_remote_pid
from store.names import printable

REMOTE = "tmp"
"""The label of the root that holds the process ids of remote controls."""

_PID_LIMIT = 64
_HELD = frozenset({b"", b"locked"})


def consolidation(place: Place, folder: int, project: str, names: list[str]) -> Lock | Problem | None:
    """The lock on the memory of a project, given that folder, its path, and the names in it."""
    if CONSOLIDATION_LOCK not in names:
        return None
    path = f"{project}/{MEMORY}/{CONSOLIDATION_LOCK}"
    read = _read(place, folder, CONSOLIDATION_LOCK, path)
    if read is None or isinstance(read, Problem):
        return read
    found, content = read
    changed = found.st_mtime
    for name in names:
        try:
            changed = max(changed, os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime)
        except OSError:
            continue
    if content.strip() in _HELD:
        owner, evidence = Owner.GONE, "it names no process, and only silence tells that its owner is gone"
    else:
        owner, evidence = Owner.UNKNOWN, "it holds what opendev does not write there"
    return _lock(place, path, "lock on the memory of a project", owner, evidence, "data", found, changed)


def remotes(place: Place, now: float) -> tuple[list[Lock], list[Problem]]:
    """The process ids that remote controls left, in a root of their own."""
    root = place.roots.get(REMOTE)
    if root is None:
        return [], []
    try:
        if stat.S_ISLNK(os.stat(root, follow_symlinks=False).st_mode):
            text = "expected the folder of the remote control, but it is a symbolic link; left alone"
            return [], [Problem(place.name, printable(root), text)]
        folder = opening.open_folder(root)
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    except OSError as error:
        return [], [Problem(place.name, printable(root), f"cannot be read ({error.strerror}); left alone")]
    locks: list[Lock] = []
    problems: list[Problem] = []
    try:
        if os.fstat(folder).st_uid != os.stat(place.path).st_uid:
            return [], []
        for name in sorted(filter(is_remote_pid, os.listdir(folder))):
            read = _read(place, folder, name, name)
            if isinstance(read, Problem):
                problems.append(read)
            elif read is not None:
                found, content = read
                text = content.decode("ascii", "replace").strip()
                owner, evidence = processes.owner_of(text, found.st_mtime, now)
                what = "process id of a remote control"
                locks.append(_lock(place, name, what, owner, evidence, REMOTE, found, found.st_mtime))
    except OSError as error:
        problems.append(
            Problem(place.name, printable(root), f"cannot be read ({error.strerror}); left alone")
        )
    finally:
        os.close(folder)
    return locks, problems


def _read(place: Place, folder: int, name: str, path: str) -> tuple[os.stat_result, bytes] | Problem | None:
    try:
        fd = opening.open_session(folder, name)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = opening.refused_open(error) or f"cannot be read ({error.strerror})"
        return Problem(
            place.name, printable(path), f"expected a lock of opendev's, but it {reason}; left alone"
        )
    try:
        found = os.fstat(fd)
        reason_not = opening.refuse_reason(found, os.fstat(folder))
        if reason_not is not None:
            text = f"expected a lock of opendev's, but it {reason_not}; left alone"
            return Problem(place.name, printable(path), text)
        return found, read_whole(fd, min(found.st_size, _PID_LIMIT))
    finally:
        os.close(fd)


def _lock(
    place: Place,
    path: str,
    what: str,
    owner: Owner,
    evidence: str,
    root: str,
    found: os.stat_result,
    changed: float,
) -> Lock:
    return Lock(
        store=place.name,
        kind=place.kind,
        id=path,
        what=what,
        owner=owner,
        evidence=evidence,
        members=(Member(root, path, opening.fingerprint(found)),),
        bytes=found.st_size,
        last_changed=changed,
    )
