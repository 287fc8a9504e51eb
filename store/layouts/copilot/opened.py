"""Which sessions are open in a terminal before anything is said in them.

1.0.102 marks a session that it goes on from with its first prompt only, and writes nothing to it until then: one that is
open and silent since a month looks like one that nobody has. But it lists it beside the sessions, in
``open-sessions-state.json``, from which a process that is killed does not take it away again; and every process has a
log of its own, ``logs/process-<milliseconds>-<pid>.log``. So one that is listed is open for as long as any of these
processes runs. Which of them has it is written nowhere; and one with its logs elsewhere (``--log-dir``) is not seen.
"""

import contextlib
import os
import re

from store import opening, processes
from store.facts import Owner
from store.layouts.copilot.grammar import UUID

_LISTED, _LOGS = "open-sessions-state.json", "logs"
_LONGEST = 1 << 22
_LOG = re.compile(r"process-[0-9]{1,16}-([0-9]{1,10})\.log", re.ASCII)
_ID = re.compile(UUID.encode(), re.ASCII)


def opened(sessions: int, now: float) -> dict[str, str]:
    """The sessions that a process has open, and the evidence, by id; ``sessions`` is the folder that holds them all.

    The list is searched for ids and not decoded: half of one, or one of a later version, tells them as well.
    """
    try:
        home = os.open("..", opening.FOLDER_FLAGS, dir_fd=sessions)
    except OSError:
        return {}  # whoever may not look there may look after the sessions nevertheless
    try:
        listed = _listed(home)
        evidence = _running(home, now) if listed else None
    finally:
        os.close(home)
    return dict.fromkeys(listed, evidence) if evidence is not None else {}


def _listed(home: int) -> set[str]:
    try:
        fd = opening.open_session(home, _LISTED)
    except OSError:
        return set()  # earlier versions have none
    try:
        return {each.decode() for each in _ID.findall(os.pread(fd, _LONGEST, 0))}
    finally:
        os.close(fd)


def _running(home: int, now: float) -> str | None:
    """That a process of the program runs, or that nobody can tell, in words; ``None`` if none does."""
    latest: dict[str, float] = {}
    try:
        logs = os.open(_LOGS, opening.FOLDER_FLAGS, dir_fd=home)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it is listed as open, and the logs of processes cannot be read ({error.strerror})"
    try:
        for name in os.listdir(logs):
            if (match := _LOG.fullmatch(name)) is not None:
                with contextlib.suppress(
                    FileNotFoundError
                ):  # one that goes at this moment says nothing of the others
                    changed = os.stat(name, dir_fd=logs, follow_symlinks=False).st_mtime
                    latest[match[1]] = max(changed, latest.get(match[1], 0.0))
    finally:
        os.close(logs)
    for number, changed in sorted(latest.items(), key=lambda each: -each[1]):
        owner, evidence = processes.owner_of(number, changed, now)
        if owner is not Owner.GONE:
            return f"it is listed as open, and {evidence}"
    return None
