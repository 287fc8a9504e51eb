"""What interrupted saves and renames of rec leave beside a session, and whether anybody would miss it.

rec saves by way of ``<uuid>.ndjson.tmp``, and copies a session to ``<uuid>.ndjson.bak`` before it renames, tags or
edits it; it collects neither. Both are litter, as a rule: the session has all that is in them. But an import that is
killed leaves a whole session under the name of a temp file, and where the session itself was damaged its backup may
be all there is of it.

What is guarded: nothing is litter that holds a command which its session does not hold in the same place. Only the
backup of a session that ended well is older than that, and that of one that its owner has deleted serves nobody.
"""

import os
import re
from typing import NamedTuple

from store import edges, opening
from store.facts import Leftover, Member, Place, Problem, State
from store.layouts.rec.reading import SUFFIX, read_ends
from store.layouts.rec.records import Footer, decode
from store.names import printable

ALIASES_TMP = "aliases.json.tmp"

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NAME = re.compile(rf"({_UUID})\.ndjson\.(tmp|bak)", re.ASCII)
_WHAT = {"tmp": "temp file of an interrupted save", "bak": "backup of an interrupted rename, tag or edit"}
_CALLED = {"tmp": "temp file", "bak": "backup"}


class Treasure(NamedTuple):
    """A leftover that holds what its session does not: that one, and what a person is to be told."""

    session: str
    problem: Problem


def is_leftover(name: str) -> bool:
    """Whether rec leaves files of this name in the folder of its sessions."""
    return _NAME.fullmatch(name) is not None


def look_at(place: Place, folder: int, name: str) -> Leftover | Problem | Treasure | None:
    """What a file of such a name is; ``None`` if it is gone."""
    match = _NAME.fullmatch(name)
    assert match is not None
    session, suffix = match[1], match[2]
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        refusal = opening.refuse_reason(found, os.fstat(folder))
        if refusal is not None:
            text = f"expected a file of rec's, found {refusal}; left alone"
            return Problem(place.name, printable(name), text)
        fd = opening.open_session(folder, name)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Problem(place.name, printable(name), f"cannot be read ({error.strerror}); left alone")
    try:
        return _judged(place, folder, fd, name, session, suffix, found)
    except OSError as error:
        return Problem(place.name, printable(name), f"cannot be read ({error.strerror}); left alone")
    finally:
        os.close(fd)


def _judged(
    place: Place, folder: int, fd: int, name: str, session: str, suffix: str, found: os.stat_result
) -> Leftover | Problem | Treasure:
    kept = f"the {_CALLED[suffix]} is kept, because"
    try:
        beside = opening.open_session(folder, f"{session}{SUFFIX}")
    except FileNotFoundError:
        commands = _commands(fd)
        if suffix == "tmp" and commands.stop > commands.start:
            text = f"{kept} its session {session} is not there: give it that name to have one, or remove it"
            return Problem(place.name, printable(name), text)
    except OSError:
        return Problem(place.name, printable(name), f"{kept} its session {session} cannot be read")
    else:
        try:
            state = read_ends(edges.read_edges(beside, os.fstat(beside).st_size)).state
            if not (suffix == "bak" and state is State.COMPLETE) and not _holds(beside, fd, _commands(fd)):
                text = f"{kept} it holds what its session {session} does not: compare the two and remove one"
                return Treasure(session, Problem(place.name, printable(name), text))
        finally:
            os.close(beside)
        if suffix == "bak" and state not in (State.COMPLETE, State.RECOVERED):
            text = f"{kept} its session {session} is damaged: compare the two and remove one"
            return Problem(place.name, printable(name), text)
    return Leftover(
        store=place.name,
        kind=place.kind,
        id=name,
        what=_WHAT[suffix],
        members=(Member("sessions", name, opening.fingerprint(found)),),
        bytes=found.st_size,
        last_changed=found.st_mtime,
        session=session,
    )


def _commands(fd: int) -> range:
    """Where the complete lines between header and footer lie in a file; an empty range if there are none.

    A file that does not begin with a header has none that anybody could say is not somebody's: it is taken whole.
    """
    size = os.fstat(fd).st_size
    ends = edges.read_edges(fd, size)
    if ends.first is None or ends.last is None:
        return range(size) if ends.too_long else range(0)
    stop = ends.last_end
    if isinstance(decode(ends.last), Footer):
        stop = _start_of(fd, ends.last, stop)
    start = _behind_first(fd, size) if read_ends(ends).header is not None else 0
    return range(start, max(start, stop))


def _start_of(fd: int, line: bytes, end: int) -> int:
    """Where a line begins that ends at ``end``, with a newline and perhaps a carriage return."""
    returns = os.pread(fd, 2, end - 2)[:1] == b"\r"
    return end - 1 - returns - len(line)


def _behind_first(fd: int, size: int) -> int:
    """Where the line behind the first one that is not blank begins."""
    line = next((line for line in edges.iter_lines(fd) if line.data is None or line.data.strip()), None)
    return line.end if line is not None else size


def _holds(session: int, leftover: int, commands: range) -> bool:
    """Whether a session has these bytes of a leftover behind its own header."""
    at = _behind_first(session, os.fstat(session).st_size)
    for start in range(commands.start, commands.stop, edges.BLOCK):
        length = min(edges.BLOCK, commands.stop - start)
        wanted = os.pread(leftover, length, start)
        if os.pread(session, length, at + start - commands.start) != wanted:
            return False
    return True


def of_aliases(place: Place) -> list[Leftover]:
    """The temp file of an interrupted save of the aliases, beside the sessions folder."""
    name = ALIASES_TMP
    root = place.roots.get("data")
    try:
        found = os.stat(f"{root}/{name}", follow_symlinks=False)
        around = os.stat(root or "/")
    except OSError:
        return []
    if opening.refuse_reason(found, around) is not None:
        return []
    return [
        Leftover(
            store=place.name,
            kind=place.kind,
            id=name,
            what="temp file of an interrupted save of the aliases",
            members=(Member("data", name, opening.fingerprint(found)),),
            bytes=found.st_size,
            last_changed=found.st_mtime,
        )
    ]
