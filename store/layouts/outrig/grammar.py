"""The names that outrig makes in a store, and what each of them is: by name alone, nothing is opened here.

What is guarded: a path that this module does not know is somebody's own, and is never planned for.
The id of a session is the name of its entry in the root, and never what a record says of itself: outrig joins that to
its root when it removes a session, so that an id with ``..`` in it leads anywhere.

Below the root of the sessions lie entries, one a session; an entry that is a link leads to a folder elsewhere, which
is a root of its own (`store.targets`).
"""

import re

from store.targets import is_target
from store.tree import DEPTH, is_shown

SESSIONS = "sessions"
"""The label of the root that holds the entries."""

RECORD = "session.json"
LAUNCHER = "outrig-enter"
LOGS = "logs"
OWN = frozenset({RECORD, LAUNCHER, LOGS})
"""What outrig makes in the folder of a session, and what its own removal takes out of it."""

_ENTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_SID = re.compile(
    r"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]-[0-9a-f]{4}",
    re.ASCII,
)
_TEMP = re.compile(r"\.tmp[A-Za-z0-9]{6}", re.ASCII)

is_entry = _ENTRY.fullmatch
"""Whether an entry of this name can be looked after; outrig itself lists any that has a record in it."""

is_sid = _SID.fullmatch
"""Whether outrig gives sessions such names: then an entry is its own, with a record in it or without."""

is_temp = _TEMP.fullmatch
"""Whether an interrupted write of a record leaves files of this name."""


def knows(root: str, path: str) -> bool:
    """Whether a member of a session, a leftover or a link that leads to a session may lie there."""
    if root == SESSIONS:
        entry, _, inside = path.partition("/")
        return is_entry(entry) is not None and (not inside or _is_inside(inside)) and not path.endswith("/")
    return is_target(root) and _is_inside(path)


def session_of(root: str, path: str) -> str | None:
    """The id of the session of a member: that of its entry; a folder elsewhere does not say whose it is."""
    entry, _, inside = path.partition("/")
    if root != SESSIONS or is_entry(entry) is None:
        return None
    return entry if inside in (RECORD, LAUNCHER) or _is_log(inside) else None


def owns_folder(root: str, path: str) -> bool:
    """Whether a folder was made for one session: its entry, unless that is a link, and the logs in it."""
    if root == SESSIONS:
        entry, _, inside = path.partition("/")
        return is_entry(entry) is not None and (path == entry or inside == LOGS or _is_log(inside))
    return is_target(root) and (path == LOGS or _is_log(path))


def _is_inside(path: str) -> bool:
    return path in OWN or is_temp(path) is not None or _is_log(path)


def _is_log(path: str) -> bool:
    first, *rest = path.split("/")
    return first == LOGS and 0 < len(rest) <= DEPTH and all(map(is_shown, rest))
