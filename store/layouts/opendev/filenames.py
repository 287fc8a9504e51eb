"""Every file name that opendev makes and that a maintainer may touch, both ways.

What is guarded: what is not recognised here never becomes a member, a lock or litter.
Ids reach the file names unchecked, some of them from a language model, so that a name counts only if its id is one
plain word: no folder, no leading dot, nothing that hides.

Paths are relative to the data folder, in which sessions lie in the folder of their project, ``projects/<project>``,
or in ``sessions``, which one global store of an older age had.
"""

import functools
import re
from typing import NamedTuple

SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)

PROJECTS, GLOBAL, HISTORY, PLANS, MEMORY = "projects", "sessions", "file-history", "plans", "memory"
INDEX = "sessions-index.json"
MARKER = "OPENDEV_PROJECT_PATH"
MANIFEST = "manifest.json"

RECORD, TRANSCRIPT, EVENTS, DEBUG = "json", "jsonl", "events.jsonl", "debug"
KINDS = (RECORD, TRANSCRIPT, EVENTS, DEBUG)
"""The files of a session beside each other, by what follows the id and a dot; the order is that of its members."""

RECORD_TMP, TRANSCRIPT_TMP, INDEX_TMP = "json.tmp", "jsonl.tmp", ".sessions-index-tmp.json"
EVENTS_LOCK, INDEX_LOCK = "events.jsonl.lock", "sessions-index.json.lock"
CONSOLIDATION_LOCK = ".consolidation.lock"
MEMORY_FILE, MEMORY_TMP = "MEMORY.md", "MEMORY.md.tmp"
PLANS_INDEX, PLANS_TMP = "plans-index.json", ".plans-idx-tmp"

_RESERVED = frozenset({"sessions-index", "file-history"})
"""Stems of files that are no sessions; opendev keeps a list of artifacts as ``file-history.json``."""

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# The id comes as short as it can, so that `x.events.jsonl` is the log of `x`.
_SESSION_FILE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,127}?)\.(json|jsonl|events\.jsonl|debug)", re.ASCII)
_TEMP = re.compile(r"\.([A-Za-z0-9][A-Za-z0-9._-]{0,127}?)\.(json\.tmp|jsonl\.tmp)", re.ASCII)
_LOCK = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,127}?)\.(events\.jsonl\.lock)", re.ASCII)
_COPY = re.compile(r"manifest\.json|[0-9a-f]{16}@v[0-9]{1,10}", re.ASCII)
_COPY_TMP = re.compile(rf"\.(manifest\.)?{_UUID}\.tmp", re.ASCII)
_REMOTE = re.compile(r"remote-[0-9a-f]{16}\.pid", re.ASCII)


class Named(NamedTuple):
    """What a name says: the session, and which of its files."""

    session: str
    kind: str


def parse_session_file(name: str) -> Named | None:
    """The session that a file in a project's folder is one of."""
    match = _SESSION_FILE.fullmatch(name)
    return None if match is None or not _may_be_id(match[1]) else Named(match[1], match[2])


def parse_leftover(name: str) -> Named | None:
    """The session that a temp file or a lock file in a project's folder was made for."""
    match = _TEMP.fullmatch(name) or _LOCK.fullmatch(name)
    return None if match is None or not _may_be_id(match[1]) else Named(match[1], match[2])


def looks_like_session(name: str) -> bool:
    """Whether opendev would take this for a session's file, by its last letters alone."""
    return name.endswith((".json", ".jsonl")) and name not in {INDEX, INDEX_TMP, f"{HISTORY}.json"}


def is_copy(name: str) -> bool:
    """Whether a file in the history of one session is the list of copies, or a copy of what the session changed."""
    return _COPY.fullmatch(name) is not None


def is_copy_tmp(name: str) -> bool:
    return _COPY_TMP.fullmatch(name) is not None


def is_session_id(name: str) -> bool:
    return SESSION_ID.fullmatch(name) is not None and _may_be_id(name)


def is_remote_pid(name: str) -> bool:
    """Whether this is the file in which a remote control of the program leaves its process id."""
    return _REMOTE.fullmatch(name) is not None


def is_project(name: str) -> bool:
    """Whether a folder of projects is one whose paths can be written down, and that is not ours."""
    return (
        name.isprintable()
        and not name.startswith(".maint")
        and name not in {"", ".", ".."}
        and "/" not in name
    )


class Parsed(NamedTuple):
    """A path taken apart: the folder of the project or of the copies, the file's name, and what it is.

    ``what`` is ``session``, ``leftover``, ``lock``, ``index``, ``copy``; ``session`` is its id, where it may be a member
    of one: the temp file of a transcript may, where there is no transcript.
    """

    folder: str
    name: str
    what: str
    session: str | None


@functools.lru_cache(maxsize=4096)
def parse_path(path: str) -> Parsed | None:
    """What lies at a path below the data folder, by its name alone; ``None`` for what opendev would not put there."""
    folder, _, name = path.rpartition("/")
    match folder.split("/"):
        case ["projects", project] if is_project(project):
            return _in_project(folder, name)
        case ["sessions"]:
            return _in_project(folder, name)
        case ["projects", project, "memory"] if is_project(project):
            what = {CONSOLIDATION_LOCK: "lock", MEMORY_TMP: "leftover"}.get(name)
            return None if what is None else Parsed(folder, name, what, None)
        case ["file-history", session] if is_session_id(session):
            if is_copy(name):
                return Parsed(folder, name, "copy", session)
            return Parsed(folder, name, "leftover", None) if is_copy_tmp(name) else None
        case ["plans"]:
            return Parsed(folder, name, "leftover", None) if name == PLANS_TMP else None
        case _:
            return None


def history_of(path: str) -> str | None:
    """The session whose copies lie in the folder at this path."""
    above, _, session = path.rpartition("/")
    return session if above == HISTORY and is_session_id(session) else None


def _in_project(folder: str, name: str) -> Parsed | None:
    if name == INDEX:
        return Parsed(folder, name, "index", None)
    left = parse_leftover(name)
    if name in {INDEX_TMP, INDEX_LOCK} or left is not None:
        of = left.session if left is not None and left.kind == TRANSCRIPT_TMP else None
        return Parsed(folder, name, "leftover", of)
    named = parse_session_file(name)
    return None if named is None else Parsed(folder, name, "session", named.session)


def _may_be_id(session: str) -> bool:
    # The record of an `x.events` would have the event log of `x` for its transcript.
    return session not in _RESERVED and not session.endswith(".events")
