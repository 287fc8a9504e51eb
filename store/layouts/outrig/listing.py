"""What lies in a root of outrig's: sessions to be read, litter, and what is left alone.

What is guarded: a folder or a link is litter only if outrig made it, by its name, and nothing of anybody else's lies
in it; and only if no container runs that would belong to it.
outrig lists whatever holds a record, and says nothing of the rest: of folders that lost theirs, or never had one, of
the files that a killed write leaves, and, until 0.2.2, of links that lead nowhere.

Each folder is listed once here, which is what it takes to find that litter, so that reading sessions need not.
"""

import os
from collections.abc import Iterable

import msgspec

from store import opening
from store.facts import Leftover, Listing, Member, Place, Problem
from store.layout import Moment
from store.layouts.outrig import contents, podman
from store.layouts.outrig.grammar import LAUNCHER, LOGS, RECORD, SESSIONS, is_entry, is_sid
from store.layouts.outrig.links import Lead, Link, follow
from store.layouts.outrig.podman import Containers
from store.layouts.outrig.records import LIMIT, Record, as_record, undecodable
from store.names import FOLDER, printable
from store.tree import Tree

NO_RECORD = "session folder without a record"
DANGLING = "link to a session folder that is gone"
TEMP = "temp file of an interrupted write of a record"


class Context(msgspec.Struct, frozen=True):
    """What reading a session takes besides its folder.

    A session that changed after ``live_after`` may be about to start its container.
    ``links`` has the label of the root that an entry leads to; ``crowded`` are the entries in whose folder there is
    something that outrig did not make, and ``missed`` those beside whose record lies another one with the end that it
    lacks.
    """

    live_after: float
    containers: Containers
    links: dict[str, str]
    crowded: frozenset[str]
    missed: frozenset[str]


def list_store(place: Place, moment: Moment) -> Listing:
    """Everything in a store but the sessions themselves; OSError when the root cannot be read."""
    root = opening.open_folder(place.path)
    try:
        return _Lister(place, root).listing(moment)
    finally:
        os.close(root)


def _record_in(folder: int, name: str) -> Record:
    """The record in a file; OSError, or one of `undecodable`, where there is none."""
    fd = opening.open_session(folder, name)
    try:
        return as_record(os.pread(fd, LIMIT, 0))
    finally:
        os.close(fd)


def _has_ended(folder: int, temp: str, session: str) -> bool:
    """Whether a temp file is the record of a session as outrig leaves it, so that there was one before."""
    try:
        record = _record_in(folder, temp)
    except (*undecodable, OSError):
        return False
    return record.id == session and record.exit_code is not None


class _Lister:
    """One look at a root."""

    def __init__(self, place: Place, root: int) -> None:
        self._place = place
        self._root = root
        self._around = os.fstat(root)
        self._entries: list[str] = []
        self._labels: dict[str, str] = {}
        self._crowded: set[str] = set()
        self._missed: set[str] = set()
        self._bare: list[str] = []
        self._dangling: dict[str, Link] = {}
        self._leftovers: list[Leftover] = []
        self._problems: list[Problem] = []

    def listing(self, moment: Moment) -> Listing:
        folders: list[str] = []
        links: list[str] = []
        with os.scandir(self._root) as entries:
            for entry in entries:
                if entry.is_symlink():
                    links.append(entry.name)
                elif entry.is_dir(follow_symlinks=False) and entry.name != FOLDER:
                    folders.append(entry.name)
        for name in sorted(folders):
            self._look(name)
        for name, link in follow(self._root, self._place, sorted(filter(is_entry, links))).items():
            self._look_behind(name, link)
        containers = Containers(frozenset())
        if self._entries or self._bare or self._dangling:
            containers = podman.ask(self._around.st_uid)
        self._judge_litter(containers.running or frozenset())
        context = Context(
            moment.now - moment.grace,
            containers,
            self._labels,
            frozenset(self._crowded),
            frozenset(self._missed),
        )
        self._leftovers.sort(key=lambda found: found.id)
        return Listing(sorted(self._entries), context, [], self._leftovers, self._problems)

    def _look(self, name: str) -> None:
        """One folder in the root: a session, litter, or somebody's own."""
        try:
            fd = os.open(name, opening.FOLDER_FLAGS, dir_fd=self._root)
        except FileNotFoundError:
            return
        except OSError as error:
            self._tell(name, f"cannot be read ({error.strerror}); left alone", grave=is_sid(name) is not None)
            return
        try:
            found = os.listdir(fd)
            if RECORD not in found:
                if is_sid(name) is not None:
                    self._bare.append(name)
            elif is_entry(name) is None:
                self._tell(name, "holds a record, but no session of outrig's has such a name; left alone")
            else:
                self._entries.append(name)
                if len(found) > 2 or LOGS not in found:
                    self._look_beside(name, fd, found, SESSIONS, f"{name}/")
        finally:
            os.close(fd)

    def _look_behind(self, name: str, link: Link) -> None:
        """One link in the root."""
        if link.lead is Lead.LEFT:
            self._tell(name, f"{link.why}; left alone")
            return
        if link.lead is Lead.DANGLING:
            if is_sid(name) is not None:
                self._dangling[name] = link
            return
        if self._place.roots.get(link.label) != link.target:
            self._tell(name, f"leads to {printable(link.target)}, which is not looked after; left alone")
            return
        try:
            fd = os.open(link.target, opening.FOLDER_FLAGS)
        except OSError as error:
            self._tell(
                name,
                f"leads to {printable(link.target)}, which cannot be read ({error.strerror}); left alone",
            )
            return
        try:
            found = os.listdir(fd)
            if RECORD not in found:
                text = f"leads to {printable(link.target)}, where no record is; it stays, in case that comes back"
                self._tell(name, text)
                return
            self._entries.append(name)
            self._labels[name] = link.label
            self._look_beside(name, fd, found, link.label, "")
        finally:
            os.close(fd)

    def _look_beside(self, name: str, fd: int, found: list[str], root: str, prefix: str) -> None:
        """What lies beside a record: leftovers of killed writes, and what is not outrig's."""
        temps = contents.temps(fd, root, prefix, found, os.fstat(fd))
        for member in temps:
            if self._is_missed(fd, member.path.rpartition("/")[2]):
                what = f"{member.path.rpartition('/')[2]}, a record with the end that its own lacks"
                self._tell(name, f"holds {what}: give it the name {RECORD}, or remove it", grave=True)
                self._missed.add(name)
                continue
            id_ = f"{name}/{member.path.rpartition('/')[2]}"
            self._leave(id_, TEMP, (member,), member.fingerprint.size, session=name)
        others = [each for each in contents.strangers(found, temps) if each != FOLDER]
        if others:
            self._crowded.add(name)
            if root == SESSIONS:  # in a folder of the user's choice they are only to be expected
                self._tell(
                    name,
                    f"holds what outrig did not make, and will go on holding it: {contents.shown(others)}",
                )

    @staticmethod
    def _is_missed(fd: int, temp: str) -> bool:
        """Whether a temp file is the record as outrig meant to leave it, and had no time to put it in its place."""
        try:
            new, own = _record_in(fd, temp), _record_in(fd, RECORD)
        except (*undecodable, OSError):
            return False
        return new.id == own.id and new.exit_code is not None and own.exit_code is None

    def _judge_litter(self, running: frozenset[str]) -> None:
        for name in (*self._bare, *self._dangling):
            if f"outrig-{name}" in running:
                self._tell(name, "has no record, but its container runs; left alone")
            elif name in self._dangling:
                member = Member(SESSIONS, name, self._dangling[name].found)
                self._leave(name, DANGLING, (member,), 0, session=name, leads=True)
            else:
                self._judge_bare(name)

    def _judge_bare(self, name: str) -> None:
        """A folder that has the name of a session, but no record."""
        try:
            fd = os.open(name, opening.FOLDER_FLAGS, dir_fd=self._root)
        except OSError:
            return  # gone since it was listed, or told already
        try:
            around = os.fstat(fd)
            names = os.listdir(fd)
            if RECORD in names:
                return  # it has just begun
            why = self._why_kept(around) or self._take(name, fd, names, around)
        except OSError as error:
            why = f"has parts that cannot be read ({error.strerror})"
        finally:
            os.close(fd)
        if why is not None:
            self._tell(name, f"has no record, but {why}; left alone")

    def _why_kept(self, around: os.stat_result) -> str | None:
        return "lies on another file system" if around.st_dev != self._around.st_dev else None

    def _take(self, name: str, fd: int, names: list[str], around: os.stat_result) -> str | None:
        """Take a folder for litter, or say what speaks against it."""
        prefix = f"{name}/"
        members = contents.temps(fd, SESSIONS, prefix, names, around)
        for temp in (member.path.removeprefix(prefix) for member in members):
            if _has_ended(fd, temp, name):
                return f"holds {temp}, a record with its end: give that the name {RECORD}, or remove it"
        others = contents.strangers(names, members)
        if others:
            return f"holds what outrig did not make: {contents.shown(others)}"
        start = contents.launcher(fd, SESSIONS, prefix, around)
        if isinstance(start, str):
            return f"its {LAUNCHER} {start}"
        logs = Tree()
        logs.read_within(fd, LOGS, SESSIONS, f"{prefix}{LOGS}", around)
        if logs.odd:
            path, why = logs.odd[0]
            return f"{printable(path)} {why}"
        if logs.beyond:
            return "has more logs than are looked at"
        files = [*members, *([start] if start is not None else []), *logs.files]
        # Folders with nothing in them are members of their own, deepest first: only what is empty is ever moved.
        bare = sorted(logs.bare, key=lambda member: -member.path.count("/"))
        whole = (*files, *bare) or (Member(SESSIONS, name, opening.fingerprint(around)),)
        self._leave(name, NO_RECORD, whole, sum(member.fingerprint.size for member in files))
        return None

    def _leave(
        self,
        id_: str,
        what: str,
        members: Iterable[Member],
        size: int,
        session: str | None = None,
        *,
        leads: bool = False,
    ) -> None:
        members = tuple(members)
        self._leftovers.append(
            Leftover(
                store=self._place.name,
                kind=self._place.kind,
                id=id_,
                what=what,
                members=members,
                bytes=size,
                last_changed=max(contents.mtime(member.fingerprint) for member in members),
                session=session,
                leads_to_session=leads,
            )
        )

    def _tell(self, name: str, text: str, *, grave: bool = False) -> None:
        self._problems.append(Problem(self._place.name, printable(name), text, grave))
