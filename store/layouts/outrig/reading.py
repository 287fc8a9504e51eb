"""The facts of one outrig session, from its record and from what its logs are called, but not from what they say.

What is guarded: nothing counts as crashed while there is any doubt.
A session without an end lives if one of its containers does, its helpers' included, or if it changed lately, because
an image may be built for minutes before there is any container; it may live if nobody can be asked; and somebody who
has one of its logs open speaks for it, too.
A container that runs speaks for a session that has ended as well: whoever borrowed it may go on.

Where podman cannot be asked, the start of this machine can: no container of before has a process any more.
"""

import os
import stat
from collections.abc import Iterable, Iterator

from store import opening, processes
from store.facts import Fingerprint, Member, Place, Problem, Session, State
from store.layouts.outrig import contents, links
from store.layouts.outrig.grammar import LAUNCHER, LOGS, RECORD, SESSIONS
from store.layouts.outrig.listing import Context
from store.layouts.outrig.records import (
    LIMIT,
    Record,
    as_record,
    salvage_container,
    undecodable,
    why_undecodable,
)
from store.names import printable
from store.tree import Tree

# An enum's member costs eight times as much to look up on its class, and every session meets several.
_LIVE, _COMPLETE, _RECOVERED = State.LIVE, State.COMPLETE, State.RECOVERED
_CRASHED, _CORRUPT, _UNKNOWN = State.CRASHED, State.CORRUPT, State.UNKNOWN

_TOLERANCE = 2.0
"""Seconds by which the time of a file and the start of the machine may be off; see `store.processes`."""

_TOLD = 5
"""Problems with logs of one session; somebody who has made one may have made very many."""


def read_sessions(place: Place, context: Context, entries: Iterable[str]) -> Iterator[Session | Problem]:
    """The facts of each entry; what is no session of outrig's gives a problem."""
    root = opening.open_folder(place.path)
    try:
        reader = _Reader(place, context, root)
        for entry in entries:
            session = reader.read(entry)
            if reader.problems:
                yield from reader.problems
                reader.problems.clear()
            if session is not None:
                yield session
    finally:
        os.close(root)


class _Reader:
    """Reads the sessions of one root; ``problems`` are those of the session read last."""

    def __init__(self, place: Place, context: Context, root: int) -> None:
        self._place = place
        self._context = context
        self._root = root
        self._device = os.fstat(root).st_dev
        self.problems: list[Problem] = []

    def read(self, entry: str) -> Session | None:
        label = self._context.links.get(entry)
        try:
            if label is None:
                folder = os.open(entry, opening.FOLDER_FLAGS, dir_fd=self._root)
            else:
                folder = os.open(self._place.roots[label], opening.FOLDER_FLAGS)
        except FileNotFoundError:
            return None  # deleted since it was listed: outrig's own doing, nothing to say
        except OSError as error:
            self._tell(entry, f"cannot be read ({error.strerror}); left alone", grave=True)
            return None
        try:
            around = os.fstat(folder)
            if around.st_dev != self._device:
                self._tell(entry, "lies on another file system than the store; left alone")
                return None
            if label is None:
                return self._session(entry, folder, around, SESSIONS, f"{entry}/", ())
            pointer = self._pointer(entry, label)
            return (
                self._session(entry, folder, around, label, "", (pointer,)) if pointer is not None else None
            )
        except OSError as error:
            self._tell(entry, f"cannot be read ({error.strerror}); left alone", grave=True)
            return None
        finally:
            os.close(folder)

    def _pointer(self, entry: str, label: str) -> Member | None:
        """The link that leads to the session, if it does so still."""
        if links.target_of(self._root, entry) != self._place.roots[label]:
            self._tell(entry, "leads somewhere else now; left alone")
            return None
        found = os.stat(entry, dir_fd=self._root, follow_symlinks=False)
        return Member(SESSIONS, entry, opening.fingerprint(found))

    def _session(
        self,
        entry: str,
        folder: int,
        around: os.stat_result,
        root: str,
        prefix: str,
        pointers: tuple[Member, ...],
    ) -> Session | None:
        try:
            fd = os.open(RECORD, opening.SESSION_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            if (why := opening.refused_open(error)) is None:
                raise
            self._refuse(entry, why)
            return None
        try:
            found = os.fstat(fd)
            # The usual file, told by the cheapest questions; `refuse_reason` says what is wrong with another.
            if (
                found.st_nlink != 1
                or found.st_uid != around.st_uid
                or found.st_dev != self._device
                or not stat.S_ISREG(found.st_mode)
            ):
                self._refuse(entry, opening.refuse_reason(found, around))
                return None
            content = os.read(fd, found.st_size + 1) if found.st_size <= LIMIT else None
        finally:
            os.close(fd)
        logs = Tree()
        unread = ""
        try:
            logs.read_within(folder, LOGS, root, f"{prefix}{LOGS}", around)
        except OSError as error:
            unread = f"its logs cannot be read ({error.strerror})"
        if logs.beyond:
            unread = "it has more logs than are looked at"
        size = found.st_size
        fingerprint = Fingerprint(found.st_dev, found.st_ino, size, found.st_mtime_ns, found.st_ctime_ns)
        payload = tuple(logs.files)
        members = (Member(root, f"{prefix}{RECORD}", fingerprint), *payload)
        last_changed = max(found.st_mtime, logs.newest)
        start = contents.launcher(folder, root, prefix, around)
        if isinstance(start, Member):
            members = (members[0], start, *payload)
            size += start.fingerprint.size
            last_changed = max(last_changed, contents.mtime(start.fingerprint))
        elif start is not None:
            self._tell(f"{entry}/{LAUNCHER}", f"{start}; left alone")
        for path, why in logs.odd[:_TOLD]:
            self._tell(path if not pointers else f"{entry}/{path}", f"{why}; left alone")
        if len(logs.odd) > _TOLD:
            self._tell(entry, f"has {len(logs.odd) - _TOLD} more logs that are none; left alone")
        record, state, evidence = self._judge(entry, content, last_changed)
        if state is _CRASHED and payload and contents.is_written(folder, prefix, logs.files):
            state, evidence = _LIVE, "a process has one of its logs open for writing"
        if unread:
            state, evidence = _UNKNOWN, unread
        elif entry in self._context.missed and state is not _LIVE:
            state, evidence = _UNKNOWN, "beside it lies a record with the end that its own lacks"
        is_clear = start is None or isinstance(start, Member)
        is_clear = is_clear and not unread and not logs.odd and entry not in self._context.crowded
        tags: tuple[str, ...] | None
        if record is None:
            empty = False if logs.bytes else None
            name = started_at = ended_at = project = tags = None
        else:
            empty = _emptiness(record, logs.bytes, is_clear=is_clear)
            name, project = record.agent_name, record.working_dir
            tags = () if record.image is None else (record.image,)
            started_at = record.started_at.timestamp()
            ended_at = None if record.ended_at is None else record.ended_at.timestamp()
        return Session(
            self._place.name,
            self._place.kind,
            entry,
            state,
            evidence,
            members,
            size + logs.bytes,
            last_changed,
            name,
            started_at,
            ended_at,
            None,
            ended_at is not None,
            None,
            empty,
            project,
            tags,
            payload=payload,
            pointers=pointers,
        )

    def _judge(
        self, entry: str, content: bytes | None, last_changed: float
    ) -> tuple[Record | None, State, str]:
        """What the record, the containers and the time of the last change say together."""
        running = self._context.containers.running
        if content is None:
            return None, _UNKNOWN, "its record is too long to be read"
        try:
            record = as_record(content)
        except undecodable as error:
            container = salvage_container(content) or f"outrig-{entry}"
            if running and not running.isdisjoint((container, f"outrig-{entry}")):
                return (
                    None,
                    _LIVE,
                    f"its record cannot be read, but its container {printable(container):.80} runs",
                )
            return None, _CORRUPT, why_undecodable(content, error)
        if record.id != entry:
            return record, _UNKNOWN, f"its record names another session, {printable(record.id):.60}"
        if running and not running.isdisjoint(record.containers):
            (name, *_) = (each for each in record.containers if each in running)
            return record, _LIVE, f"its container {printable(name):.80} runs"
        if record.ended_at is not None:
            if record.exit_code is not None:
                return record, _COMPLETE, "it has an end and an exit code"
            return record, _RECOVERED, "it has an end, but no exit code"
        if last_changed > self._context.live_after:
            return record, _LIVE, "it has no end, and changed lately: its image may be being built"
        if record.exit_code is not None:
            return record, _UNKNOWN, "it has an exit code, but no end"
        if running is not None:
            return record, _CRASHED, "it has no end, and none of its containers runs"
        if last_changed < processes.boot_time() - _TOLERANCE:
            return record, _CRASHED, "it has no end, and this machine started after it last changed"
        return (
            record,
            _UNKNOWN,
            f"it has no end, and whether it runs cannot be asked: {self._context.containers.why}",
        )

    def _refuse(self, entry: str, why: str | None) -> None:
        self._tell(f"{entry}/{RECORD}", f"expected a record of outrig's, but it {why}; left alone")

    def _tell(self, path: str, text: str, *, grave: bool = False) -> None:
        self.problems.append(Problem(self._place.name, printable(path), text, grave))


def _emptiness(record: Record, logged: int, *, is_clear: bool) -> bool | None:
    """Whether nothing was recorded: no byte was logged, and it did not end well.

    The record alone may be all there is of a session that ended well, or whose exit code nobody knows; and where
    something lies that is not looked at, nobody knows either.
    """
    if logged:
        return False
    if not is_clear or record.exit_code == 0 or (record.ended_at is not None and record.exit_code is None):
        return None
    return True
