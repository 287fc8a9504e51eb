"""What was read of a store, as data.

Nothing here opens a file, and nothing here decides: facts are what the layouts give and what policies and
passes take.
Times are seconds since the epoch as floats, sizes are bytes, paths are relative to the root they name.
"""

from collections.abc import Container, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from store.listing import Entries


class State(StrEnum):
    """What a session's own files and the evidence around them say about it."""

    LIVE = "live"
    COMPLETE = "complete"
    RECOVERED = "recovered"
    CRASHED = "crashed"
    CORRUPT = "corrupt"
    UNKNOWN = "unknown"


class Owner(StrEnum):
    """What is known of the process that a lock or a state file speaks for."""

    HOLDS = "holds"
    GONE = "gone"
    UNKNOWN = "unknown"


class Fingerprint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which file was read, and in which condition.

    The change time is part of it because a user can set the modification time back, but not that one.

    What a journal or a saved plan tells is compared with what is there days later, and a disk may have another number
    after the machine was started again; so no comparison asks for the device.
    None needs to: a file that lies on another file system than its folder is refused by itself.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    def same_file(self, other: "Fingerprint") -> bool:
        """Whether both name one inode; while a descriptor to it is open this is proof, else a hint."""
        return self.inode == other.inode

    def same_content(self, other: "Fingerprint") -> bool:
        """Whether nothing was written between the two; a rename or a link in between does not matter."""
        return self.inode == other.inode and self.size == other.size and self.mtime_ns == other.mtime_ns

    def same_condition(self, other: "Fingerprint") -> bool:
        """Whether nothing at all was done to it between the two."""
        return (
            self.inode == other.inode
            and self.size == other.size
            and self.mtime_ns == other.mtime_ns
            and self.ctime_ns == other.ctime_ns
        )


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file of a session: the root it lies under, its path below that root, and its fingerprint.

    A symbolic link or an empty folder may be one, too, where a layout says so; a link is never followed.
    """

    root: str
    path: str
    fingerprint: Fingerprint


class Beside(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What lies beside a session of one file, under the name that it would have as a compressed file: in words.

    ``is_older`` says that it is such a file, of another state of the session.
    """

    what: str
    is_older: bool = False


class Session(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One recorded run, with all files that carry its id, the one that names it first.

    Layouts that read very many give the facts by position, in this order, which takes a fifth of the time.

    ``None`` means that the fact could not be read, or not without reading the whole session.
    """

    store: str
    kind: str
    id: str
    state: State
    evidence: str
    members: tuple[Member, ...]
    bytes: int
    last_changed: float
    name: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    last_record_at: float | None = None
    has_footer: bool = False
    records: int | None = None
    empty: bool | None = None
    project: str | None = None
    tags: tuple[str, ...] | None = None
    archived: bool = False
    """Whether a pack holds a copy of it as it is now."""

    mendable: bool = True
    """Whether a crashed session can be made whole at all; of some it can only be told that they crashed."""

    parent: str | None = None
    """The session that began this one, if it is no session of its own: it stays for as long as that one does."""

    payload: tuple[Member, ...] = ()
    """Those of the members that the session's own record can do without, and that hold most of its bytes."""

    pointers: tuple[Member, ...] = ()
    """What leads to the session and holds nothing of it (a link): no member, but removed when the session is."""

    ages_strictly: bool = False
    """Whether a session of exactly an age is not yet older, to its program: some say so, others the contrary."""

    beside: Beside | None = None
    """What would be in the way of a compressed file beside it, where somebody asked for that."""

    rests_on: str | None = None
    """The id of the session whose records this one goes on from without having them, whether that is in the store or
    not: it stays for as long as this one does.
    """

    recording: bool = False
    """Whether its recorder still has it marked as the one that it records, although it has crashed: it would go on
    into whatever has the name of it.
    """

    @property
    def path(self) -> str:
        return self.members[0].path

    def ended_before(self, limit: float) -> bool:
        """Whether it is older than what ended at this moment, as its program compares ages."""
        ended = self.ended
        return ended < limit or (ended == limit and not self.ages_strictly)

    @property
    def ended(self) -> float:
        """When the session ended by its own records, which is what retention counts from.

        The last record's time stands in for a missing footer, and the modification time for unreadable
        records.
        """
        if self.ended_at is not None:
            return self.ended_at
        if self.last_record_at is not None:
            return self.last_record_at
        return self.last_changed


FIRST_TIME, LAST_TIME = -62_135_700_000.0, 253_402_400_000.0
"""The years 1 to 9999, in any zone: what a session says of other times is kept by no pack, because no calendar has them."""


class Account(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What a session's own records said of it when it was archived: the facts that its manifest line keeps."""

    state: State = State.COMPLETE
    name: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    last_record_at: float | None = None
    records: int | None = None
    empty: bool | None = False
    project: str | None = None
    tags: tuple[str, ...] | None = ()
    rests_on: str | None = None


def account_of(session: Session) -> Account:
    """What is worth keeping of the facts of a session once its files are elsewhere."""
    return Account(
        state=session.state,
        name=session.name,
        started_at=_in_calendar(session.started_at),
        ended_at=_in_calendar(session.ended_at),
        last_record_at=None if session.ended_at is not None else _in_calendar(session.last_record_at),
        records=session.records,
        empty=session.empty,
        project=session.project,
        tags=session.tags,
        rests_on=session.rests_on,
    )


def _in_calendar(time: float | None) -> float | None:
    return time if time is not None and FIRST_TIME <= time <= LAST_TIME else None


class Lock(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A lock, state or pending file of a recorder, and what is known of its owner.

    ``session`` is the session it points at, if that is in the store.
    ``guard`` is the lock that its owner takes while changing it: whoever removes it must hold that one too.
    ``order`` places files that belong together: lower ones are removed first, as their owner does it.
    """

    store: str
    kind: str
    id: str
    what: str
    owner: Owner
    evidence: str
    members: tuple[Member, ...]
    bytes: int
    last_changed: float
    session: str | None = None
    guard: Member | None = None
    order: int = 0


class Leftover(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Litter that a layout recognises by name and place: what it is, and the session it was made for.

    One that leads to the place of that session, a link, is none while that is in a pack.
    """

    store: str
    kind: str
    id: str
    what: str
    members: tuple[Member, ...]
    bytes: int
    last_changed: float
    session: str | None = None
    leads_to_session: bool = False


class Index(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A file in which a program lists its own sessions, and which is damaged: it does not tell what is there.

    ``members`` is the file as it is, or nothing where it is missing; ``root`` and ``path`` are where it belongs.
    ``evidence`` says what is wrong with it, as a clause.
    """

    store: str
    kind: str
    id: str
    root: str
    path: str
    evidence: str
    members: tuple[Member, ...]
    bytes: int
    last_changed: float


class Problem(msgspec.Struct, frozen=True, gc=False):
    """Something in a store that is left alone, and why: what was expected, what was found, what to do.

    ``path`` is printable. ``grave`` problems need a person; the others are only worth knowing.
    With ``hides`` it is about what may be a session that nobody could look into, and that may rest on others; ``rests_on``
    is the id of a session on which what it is about is known to rest.
    """

    store: str
    path: str
    text: str
    grave: bool = False
    hides: bool = False
    rests_on: str | None = None


class Place(msgspec.Struct, frozen=True):
    """A store as it is addressed: its name in the policy, its kind, and its absolute roots by label.

    The first root is the one that holds the sessions, and our own ``.maint`` folder.
    """

    name: str
    kind: str
    roots: Mapping[str, str]

    @property
    def path(self) -> str:
        return next(iter(self.roots.values()))

    def absolute(self, member: Member) -> str:
        """Where a member lies, for people to read."""
        return f"{self.roots[member.root]}/{member.path}"


def is_store(name: str, wanted: Container[str]) -> bool:
    """Whether a store is meant by one of these names.

    Where a program keeps its sessions at more than one default place, all are meant by the name of the first, and
    each by its own, which is that name, an ``@``, and what tells it apart.
    """
    return name in wanted or name.partition("@")[0] in wanted


class Listing(msgspec.Struct, frozen=True):
    """What a layout found by listing: entries still to be read, and everything that is no session.

    The entries are in order, each is there once, and they are a list unless there are very many.
    ``context`` is the layout's own (a recorder's state, an index): it travels to the workers with the entries.
    """

    entries: Entries
    context: Any
    locks: list[Lock] = []
    leftovers: list[Leftover] = []
    problems: list[Problem] = []
    indexes: list[Index] = []
    bases: Mapping[str, str] = {}
    """What is rested on, by what lies there and is no session to be read, such as one that its program has compressed."""
