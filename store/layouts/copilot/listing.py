"""What lies in the folder of Copilot's sessions: a folder each, and what says of some that they are in use.

A process that uses a session makes ``inuse.<pid>.lock`` with its number in it, and, in later versions, holds the
kernel's lock on ``inuse.<pid>.hold`` beside that. It takes both away when it ends; one that is killed leaves them for
ever, and whoever has its number one day makes the session look used to those versions that ask for nothing else.
"""

import os
from collections import defaultdict

import msgspec

from store import locks, opening, processes
from store.facts import Leftover, Listing, Lock, Member, Owner, Place, Problem
from store.layout import Moment
from store.layouts.copilot.grammar import SESSIONS, is_id, is_lock
from store.layouts.copilot.opened import opened
from store.names import printable

_LONGEST_NUMBER = 64


class Context(msgspec.Struct, frozen=True):
    """What reading a session takes besides its folder: who uses it, in words, by its id.

    One whose events break off may be written at this moment if it changed after ``live_after``.
    """

    live_after: float
    used: dict[str, str]


def list_store(place: Place, moment: Moment) -> Listing:
    """Everything in a store but the sessions themselves; OSError when the folder cannot be read."""
    root = opening.open_folder(place.path)
    try:
        return _Lister(place, root, moment).listing()
    finally:
        os.close(root)


class _Lister:
    """One look at a store."""

    def __init__(self, place: Place, root: int, moment: Moment) -> None:
        self._place = place
        self._root = root
        self._moment = moment
        self._entries: list[str] = []
        self._used: dict[str, str] = {}
        self._locks: list[Lock] = []
        self._leftovers: list[Leftover] = []
        self._problems: list[Problem] = []

    def listing(self) -> Listing:
        with os.scandir(self._root) as listed:
            found = sorted(each.name for each in listed if is_id(each.name))
        for name in found:
            self._look(name)
        used = opened(self._root, self._moment.now) | self._used
        context = Context(self._moment.now - self._moment.grace, used)
        return Listing(self._entries, context, self._locks, self._leftovers, self._problems)

    def _look(self, name: str) -> None:
        """One folder of a session: who uses it, and whether there is anything in it at all."""
        try:
            folder = os.open(name, opening.FOLDER_FLAGS, dir_fd=self._root)
        except FileNotFoundError:
            return
        except OSError as error:
            what = "it is none, or a link" if isinstance(error, NotADirectoryError) else error.strerror
            self._tell(name, f"expected the folder of a session, but it cannot be read ({what}); left alone")
            return
        try:
            names = os.listdir(folder)
            around = os.fstat(folder)
            numbers: dict[str, list[str]] = defaultdict(list)
            for each in sorted(names):
                if (match := is_lock(each)) is not None:
                    numbers[match[1]].append(each)
            for number, files in numbers.items():
                self._lock(name, folder, around, number, files)
            if names:
                self._entries.append(name)
            else:
                self._bare(name, around)
        except OSError as error:
            self._tell(name, f"cannot be read ({error.strerror}); left alone")
        finally:
            os.close(folder)

    def _bare(self, name: str, around: os.stat_result) -> None:
        member = Member(SESSIONS, name, opening.fingerprint(around))
        self._leftovers.append(
            Leftover(
                store=self._place.name,
                kind=self._place.kind,
                id=name,
                what="folder of a session with nothing in it",
                members=(member,),
                bytes=0,
                last_changed=around.st_mtime,
            )
        )

    def _lock(self, name: str, folder: int, around: os.stat_result, number: str, files: list[str]) -> None:
        """What a process has left, or has, in the folder of a session."""
        members: list[Member] = []
        changed = 0.0
        for file in files:
            try:
                found = os.stat(file, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return  # it has just ended
            why = opening.refuse_reason(found, around)
            if why is not None:
                self._used[name] = f"its {file} {why}"
                self._tell(f"{name}/{file}", f"expected a lock of a session, but it {why}; left alone")
                return
            changed = max(changed, found.st_mtime)
            members.append(Member(SESSIONS, f"{name}/{file}", opening.fingerprint(found)))
        hold = next((each for each in members if each.path.endswith(".hold")), None)
        try:
            owner, evidence = self._owner(folder, number, files, hold, changed)
        except FileNotFoundError:
            return
        except OSError as error:
            owner, evidence = Owner.UNKNOWN, f"its lock cannot be read ({error.strerror})"
        if owner is not Owner.GONE:
            self._used[name] = evidence
        self._locks.append(
            Lock(
                store=self._place.name,
                kind=self._place.kind,
                id=f"{name}/inuse.{number}",
                what="mark of a process that uses a session",
                owner=owner,
                evidence=evidence,
                members=tuple(members),
                bytes=sum(each.fingerprint.size for each in members),
                last_changed=changed,
                session=name,
                guard=hold,
            )
        )

    def _owner(
        self, folder: int, number: str, files: list[str], hold: Member | None, changed: float
    ) -> tuple[Owner, str]:
        """Whether that process still uses the session: the kernel's lock tells, and without one its number."""
        if hold is not None:
            with locks.probe_flock(self._root, hold.path) as (free, _):
                if not free:
                    return Owner.HOLDS, f"process {number} holds it"
            return Owner.GONE, f"process {number} holds it no more"
        fd = opening.open_session(folder, files[0])
        try:
            text = os.read(fd, _LONGEST_NUMBER).decode("ascii", "replace").strip()
        finally:
            os.close(fd)
        return processes.owner_of(text or number, changed, self._moment.now)

    def _tell(self, path: str, text: str) -> None:
        self._problems.append(Problem(self._place.name, printable(path), text, grave=True))
