"""The names that Copilot gives: which folders are sessions, and which of their files say that they are in use."""

import re

from store.tree import DEPTH, is_shown

SESSIONS = "sessions"
"""The label of the folder of all sessions, the only root."""

EVENTS, WORKSPACE, FORK_LOCK = "events.jsonl", "workspace.yaml", ".workspace-fork.lock"

SILENT = frozenset(
    {EVENTS, WORKSPACE, FORK_LOCK, "checkpoints/index.md", "rewind-file-snapshots/tracking.json"}
)
"""Files that the program makes for every session, whatever is said in it."""

UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
"""An id that the program makes up is in small letters; one that it is given stays as it is."""

_UUID = re.compile(UUID, re.ASCII)
LOCK = re.compile(r"inuse\.([0-9]{1,10})\.(lock|hold)", re.ASCII)

is_id = _UUID.fullmatch
"""Whether a folder of this name is a session."""

is_lock = LOCK.fullmatch
"""Whether a file in the folder of a session says that a process uses it: its number, and what that process locks."""


def inside(path: str) -> tuple[str, str] | None:
    """The id of the session in whose folder a path lies, and where in it; ``None`` for a path in none."""
    id_, _, rest = path.partition("/")
    parts = rest.split("/")
    if is_id(id_) is None or len(parts) > DEPTH or not all(map(is_shown, parts)):
        return None
    return id_, rest


def session_of(path: str) -> str | None:
    """The id of the session that a file is part of; a lock is part of none."""
    found = inside(path)
    return found[0] if found is not None and is_lock(found[1]) is None else None


def owns_folder(path: str) -> bool:
    """Whether a folder was made for one session: that of the session, and all in it."""
    return is_id(path) is not None or inside(path) is not None
