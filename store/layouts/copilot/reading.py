"""The facts of one session, from both ends of its events, and from what else lies in its folder.

A process that uses a session says so beside its events (`store.layouts.copilot.listing`), because it does not keep these
open. Whoever uses none goes on from any session whose events are whole, shut down or not. Later versions drop a torn
last line themselves, and keep all as it was beside; earlier ones refuse to load the session. So only one that is torn has
crashed.
"""

import os
from collections.abc import Iterable, Iterator

import msgspec

from store import edges, opening
from store.edges import Edges
from store.facts import Place, Problem, Session, State
from store.layouts.copilot.grammar import EVENTS, SESSIONS, SILENT, WORKSPACE, is_lock
from store.layouts.copilot.listing import Context
from store.layouts.copilot.records import (
    KNOWN_VERSION,
    Start,
    event,
    name_in,
    says_nothing,
    start,
)
from store.names import printable
from store.stamps import seconds
from store.tree import Tree

_WINDOW = 1 << 16  # the second message is all that a model is told: 25 kB
_LONGEST_WORKSPACE = 1 << 14
_TOLD = 5
_LIVE, _COMPLETE, _CRASHED = State.LIVE, State.COMPLETE, State.CRASHED
_CORRUPT, _UNKNOWN = State.CORRUPT, State.UNKNOWN


def read_sessions(place: Place, context: Context, entries: Iterable[str]) -> Iterator[Session | Problem]:
    """The facts of each entry; what is no session of Copilot's gives a problem."""
    root = opening.open_folder(place.path)
    try:
        reader = _Reader(place, context, root)
        for entry in entries:
            session = reader.read(entry)
            yield from reader.problems
            reader.problems.clear()
            if session is not None:
                yield session
    finally:
        os.close(root)


class _Reader:
    """Reads the sessions of one folder; ``problems`` are those of the session read last."""

    def __init__(self, place: Place, context: Context, root: int) -> None:
        self._place = place
        self._context = context
        self._root = root
        self._device = os.fstat(root).st_dev
        self.problems: list[Problem] = []

    def read(self, entry: str) -> Session | None:
        try:
            folder = os.open(entry, opening.FOLDER_FLAGS, dir_fd=self._root)
        except FileNotFoundError:
            return None  # deleted since it was listed: the program's own doing
        except OSError as error:
            self._tell(entry, f"cannot be read ({error.strerror}); left alone", grave=True)
            return None
        try:
            around = os.fstat(folder)
            if around.st_dev != self._device:
                self._tell(entry, "lies on another file system than the store; left alone")
                return None
            tree = Tree()
            tree.read(folder, SESSIONS, entry, around)
            return self._session(entry, folder, tree)
        except OSError as error:
            self._tell(entry, f"cannot be read ({error.strerror}); left alone", grave=True)
            return None
        finally:
            os.close(folder)

    def _session(self, entry: str, folder: int, tree: Tree) -> Session | None:
        files = {member.path.removeprefix(f"{entry}/"): member for member in tree.files}
        for name in [name for name in files if is_lock(name)]:
            del files[name]
        if not files:
            return None  # nothing but marks of processes, which are told by themselves
        first = EVENTS if EVENTS in files else WORKSPACE if WORKSPACE in files else next(iter(files))
        members = (files[first], *(member for name, member in files.items() if name != first))
        found = Ends(_COMPLETE, "nothing was ever said in it", records=0, empty=True)
        if EVENTS in files:
            fd = opening.open_session(folder, EVENTS)
            try:
                found = read_ends(edges.read_edges(fd, os.fstat(fd).st_size, window=_WINDOW), fd, entry)
            finally:
                os.close(fd)
        if found.empty and not files.keys() <= SILENT:
            found.empty = None if files.keys() <= SILENT | {"session.db"} else False
        last_changed = max(member.fingerprint.mtime_ns for member in members) / 1e9
        self._judge(entry, found, last_changed)
        self._tell_odd(entry, tree, found)
        told = found.start
        return Session(
            self._place.name,
            self._place.kind,
            entry,
            found.state,
            found.evidence,
            members,
            sum(member.fingerprint.size for member in members),
            last_changed,
            self._name(folder) if WORKSPACE in files else None,
            told.started_at if told is not None else None,
            found.ended_at,
            found.last_record_at,
            found.ended_at is not None,
            found.records,
            found.empty,
            told.project if told is not None else None,
            (),
            mendable=found.mendable,
        )

    def _judge(self, entry: str, found: "Ends", last_changed: float) -> None:
        """Mend the state by who uses the session."""
        if (evidence := self._context.used.get(entry)) is not None:
            found.state, found.evidence = _LIVE, f"it is in use: {evidence}"
        elif found.state is _CRASHED and last_changed > self._context.live_after:
            found.state, found.evidence = _LIVE, "its events break off, and it changed lately"

    def _tell_odd(self, entry: str, tree: Tree, found: "Ends") -> None:
        """What lies in the folder and is none of its files: then nobody knows what the session is without it."""
        for path, why in tree.odd[:_TOLD]:
            self._tell(path, f"{why}; left alone")
        if tree.odd or tree.beyond:
            what = (
                f"{printable(tree.odd[0][0])} {tree.odd[0][1]}"
                if tree.odd
                else "has more files than are looked at"
            )
            if found.state is not _LIVE:
                found.state, found.evidence = _UNKNOWN, f"what lies in its folder cannot all be moved: {what}"
            found.empty = False if found.empty is False else None

    def _name(self, folder: int) -> str | None:
        fd = opening.open_session(folder, WORKSPACE)
        try:
            return name_in(os.read(fd, _LONGEST_WORKSPACE))
        finally:
            os.close(fd)

    def _tell(self, path: str, text: str, *, grave: bool = False) -> None:
        self.problems.append(Problem(self._place.name, printable(path), text, grave))


class Ends(msgspec.Struct, gc=False):
    """What the two ends of the events say, before anybody asks who uses the session."""

    state: State
    evidence: str
    start: Start | None = None
    records: int | None = None
    empty: bool | None = None
    mendable: bool = True
    ended_at: float | None = None
    last_record_at: float | None = None


def read_ends(ends: Edges, fd: int, id_: str) -> Ends:
    """What the first and the last event make of the session of this id; ``fd`` is the file."""
    if ends.first is None:
        if ends.too_long:
            return Ends(_UNKNOWN, "its first line is too long to be read")
        return Ends(_CORRUPT, "its events are gone" if ends.size == 0 else "its events hold no whole line")
    told = start(ends.first)
    if told is None:
        return Ends(_CORRUPT, "its first event does not begin a session")
    if told.id != id_:
        return Ends(_UNKNOWN, f"its events are of another session, {printable(told.id):.60}", start=told)
    if told.version != KNOWN_VERSION:
        return Ends(
            _UNKNOWN,
            f"it has version {printable(str(told.version)):.20}; known is {KNOWN_VERSION}",
            start=told,
        )
    if ends.too_long:
        return Ends(_UNKNOWN, "its last line is too long to be read", start=told)
    torn = ends.torn if ends.tail is None or event(ends.tail) is None else 0
    last = event(ends.tail if ends.torn and not torn and ends.tail is not None else ends.last or b"")
    found = Ends(_COMPLETE, "its last event is whole, and no process uses it", start=told)
    if torn:
        found.state, found.evidence = _CRASHED, f"it ends in {torn} bytes that are no event"
    elif last is None:
        found.state, found.evidence = _CRASHED, "its last line is no event"
    _count(found, ends, fd)
    if last is not None:
        found.last_record_at = seconds(last.timestamp)
        if not torn and last.type == "session.shutdown":
            found.evidence, found.ended_at = "it was shut down", found.last_record_at
    return found


def _count(found: Ends, ends: Edges, fd: int) -> None:
    """How many events there are, and whether nobody has to have said or done anything for any of them."""
    lines = ends.whole if ends.whole is not None else os.pread(fd, _WINDOW, 0).rpartition(b"\n")[0]
    whole = [line for line in lines.split(b"\n") if line.strip(b"\0 \t\r")]
    silent = all(map(says_nothing, whole))
    if ends.whole is None:
        found.empty = None if silent else False
        return
    found.records = len(whole) - (found.state is _CRASHED)
    found.empty = silent
    if found.state is _CRASHED and not silent and all(map(says_nothing, whole[:-1])):
        found.mendable = False
        found.evidence += ", and that is all that was said in it"
