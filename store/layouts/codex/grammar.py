"""The names that Codex gives: which paths are threads, and of which id."""

import re

ROOT = "home"
"""The label of the folder of the program, its only root."""

SESSIONS, ARCHIVED, LOCKS = "sessions", "archived_sessions", "thread-writer-locks"

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}"
_FOLDER = f"{SESSIONS}/[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}}|{ARCHIVED}"

NAME = re.compile(rf"rollout-({_TIME})-({_UUID})\.jsonl", re.ASCII)
COMPRESSED = re.compile(rf"rollout-{_TIME}-{_UUID}\.jsonl\.zst", re.ASCII)
LOCK = re.compile(rf"({_UUID})\.lock", re.ASCII)
ID = re.compile(_UUID, re.ASCII)
_PATH = re.compile(rf"(?:{_FOLDER})/rollout-{_TIME}-({_UUID})\.jsonl", re.ASCII)

_LONGEST_ID, _ENDING = 36, len(".jsonl")


def id_in(path: str) -> str | None:
    """The id of the thread whose file would have this path; ``None`` where none would."""
    match = _PATH.fullmatch(path)
    return match[1] if match is not None else None


def id_of(entry: str) -> str:
    """The id in the path of a thread."""
    return entry[-_LONGEST_ID - _ENDING : -_ENDING]


def told_apart(entry: str) -> str:
    """What a thread is called whose id is that of another file, too: no two files have one path."""
    folder, _, name = entry.rpartition("/")
    match = NAME.fullmatch(name)
    assert match is not None
    return f"{match[2]}@{folder.replace('/', '.')}.{match[1]}"
