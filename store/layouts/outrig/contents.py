"""What of outrig's lies in the folder of one session, and what lies there that is not outrig's.

What is guarded: only regular files that are the session's own become members (`store.tree` reads the logs).
"""

import contextlib
import os
from collections.abc import Iterable

from store import leases, opening
from store.facts import Fingerprint, Member
from store.layouts.outrig.grammar import LAUNCHER, OWN, is_temp
from store.leases import Lease
from store.names import printable

_ASKED = 64
"""Logs that are asked whether somebody writes to them; the last ones, because old ones are not written to."""

_SHOWN = 3


def launcher(folder: int, root: str, prefix: str, around: os.stat_result) -> Member | str | None:
    """The launcher that outrig copies into the folder of some sessions; or why what has its name is none."""
    try:
        found = os.stat(LAUNCHER, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    why = opening.refuse_reason(found, around)
    return Member(root, f"{prefix}{LAUNCHER}", opening.fingerprint(found)) if why is None else why


def temps(folder: int, root: str, prefix: str, names: Iterable[str], around: os.stat_result) -> list[Member]:
    """The files of interrupted writes of the record among these names; what only looks like one is left out."""
    found: list[Member] = []
    for name in sorted(names):
        if is_temp(name) is not None:
            with contextlib.suppress(FileNotFoundError):
                looked = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if opening.refuse_reason(looked, around) is None:
                    found.append(Member(root, f"{prefix}{name}", opening.fingerprint(looked)))
    return found


def strangers(names: Iterable[str], ours: Iterable[Member] = ()) -> list[str]:
    """What outrig did not make of what lies in a session's folder, ``ours`` left out too, in order."""
    known = {member.path.rpartition("/")[2] for member in ours}
    return sorted(name for name in names if name not in OWN and name not in known)


def shown(names: list[str]) -> str:
    """A few of these names, for a person."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(printable, names[:_SHOWN])) + more


def is_written(folder: int, prefix: str, files: list[Member]) -> bool:
    """Whether somebody has one of these logs open for writing, as far as that can be told."""
    for member in sorted(files, key=_changed, reverse=True)[:_ASKED]:
        with contextlib.suppress(OSError):
            fd = opening.open_below(folder, member.path.removeprefix(prefix))
            try:
                if leases.probe(fd) is Lease.BUSY:
                    return True
            finally:
                os.close(fd)
    return False


def _changed(member: Member) -> int:
    return member.fingerprint.mtime_ns


def mtime(fingerprint: Fingerprint) -> float:
    return fingerprint.mtime_ns / 1e9
