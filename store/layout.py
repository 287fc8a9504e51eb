"""What a kind of store must tell us, and where the kinds are found.

A layout knows how one kind of store arranges and encodes its sessions; it knows no policy and changes nothing.
Each layout is one module (or package) in ``store/layouts`` with a constant ``LAYOUT``; nothing else registers it.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import msgspec

from store import layouts
from store.facts import Listing, Member, Place, Problem, Session, State
from store.plugs import plugged_into


class Moment(msgspec.Struct, frozen=True):
    """When a store is looked at, and how long a recorder may be silent and still count as living."""

    now: float
    grace: float


class Mend(ABC):
    """How one crashed session is made whole: ask for the new bytes, then for what was done.

    One of its files is read (``source``), and one is written at a time: ``paths``, below the root of the source, in
    that order.
    The path of the source itself means that it is rewritten; any other is a file that is made, where there is none.
    """

    source: Member
    paths: tuple[str, ...]

    @abstractmethod
    def build(self, fd: int, path: str) -> Iterator[bytes]:
        """The bytes of the file at ``path``, read from the descriptor of the source, in bounded memory.

        Raises `Unmendable` when the session holds what this layout does not know.
        """

    @abstractmethod
    def account(self) -> str:
        """What was kept, added and set aside, in one clause; valid once all that `build` gave is exhausted."""


class Unmendable(Exception):
    """A session that cannot be made whole, and is left as it is; the text says why, as a clause."""


class Specimen(msgspec.Struct, frozen=True):
    """One ailment (or picture of health) as files: what a survey must make of it, and a default sweep do with it.

    ``files`` maps (root label, path) to content, ``links`` to where a symbolic link leads (a ``{label}`` in it stands
    for that root's folder), and ``folders`` are empty ones; all get the modification time ``changed``, in seconds.
    ``fate`` is the verb that the shipped default policy plans for it, or ``None`` where it stays.
    """

    title: str
    id: str | None
    files: Mapping[tuple[str, str], bytes]
    changed: float
    state: State | None
    fate: str | None
    empty: bool | None = None
    links: Mapping[tuple[str, str], str] = {}
    folders: tuple[tuple[str, str], ...] = ()


class Layout(ABC):
    """One kind of store."""

    kind: ClassVar[str]
    paths: ClassVar[Mapping[str, str]]
    """The keys under which a policy may name this kind's folders, each with a line of documentation."""

    names_sessions: ClassVar[bool] = True
    """Whether a session has a name that recovering it may change."""

    has_payload: ClassVar[bool] = False
    """Whether sessions may have a payload, a part that can be archived by itself."""

    has_index: ClassVar[bool] = False
    """Whether the program keeps files that list its sessions, which `index_of` names and `reindex` keeps true."""

    has_lineage: ClassVar[bool] = False
    """Whether a session may rest on the records of another one (`store.facts.Session.rests_on`)."""

    flat: ClassVar[bool] = False
    """Whether all files of all sessions lie in the roots themselves, and none in a folder below them."""

    mends: ClassVar[bool] = True
    """Whether sessions that crashed are mended at all; where none is, none is told of because it cannot be."""

    lasting: ClassVar[State | None] = None
    """The state, if there is one, in which all facts of a session stand in its only file, and nowhere else.

    Sessions of that state are remembered from one survey to the next (`store.memory`). The file lies in the first
    root itself, its name is the session's entry, and entries are listed in order.
    """

    @abstractmethod
    def default_roots(
        self, env: Mapping[str, str], home: str, platform: str
    ) -> Mapping[str, Mapping[str, str]]:
        """Where the program keeps its sessions when nobody says otherwise: absolute roots by label, for each store.

        A program that keeps them now here, now there has more than one; each is known by what is added to the name
        of the first, which is added nothing (``""``).
        ``platform`` is as `sys.platform` has it. The folders need not exist.
        """

    @abstractmethod
    def roots(self, paths: Mapping[str, str], env: Mapping[str, str], home: str) -> Mapping[str, str]:
        """The roots of a store whose folders a policy names; ``paths`` are absolute and hold ``path``."""

    def targets(self, place: Place) -> Mapping[str, str]:
        """Folders elsewhere that entries of the store lead to, as further roots: absolute paths by label.

        A label is made from the path alone, so that it means the same folder for ever.
        """
        return {}

    @abstractmethod
    def discover(self, place: Place, moment: Moment) -> Listing:
        """What there is, by listing folders and reading the recorder's own state, but no session.

        Raises OSError when the folder of the sessions itself cannot be read.
        """

    @abstractmethod
    def read(self, place: Place, context: Any, entries: Iterable[str]) -> Iterator[Session | Problem]:
        """The facts of each entry; one that cannot be a session gives a problem instead, never an error."""

    @abstractmethod
    def mend(self, session: str, members: tuple[Member, ...], name: str | None, changed: float) -> Mend:
        """The way to make a crashed session whole, under a new name or (``None``) its own.

        ``members`` are those of the session's facts; ``changed`` is when the newest was modified, for sessions whose
        records carry no time.
        """

    @abstractmethod
    def knows(self, root: str, path: str) -> bool:
        """Whether the program itself makes files of this name at this place: nothing else may be planned for."""

    @abstractmethod
    def session_of(self, root: str, path: str) -> str | None:
        """The id of the session that a file belongs to by its name, wherever it lies now."""

    def owns_folder(self, root: str, path: str) -> bool:
        """Whether the program makes a folder of this name for the files of one session alone.

        It goes when it is empty.
        """
        return False

    def rests_on(self, fd: int) -> str | None:
        """The id of the session on which that of an open file rests, wherever that lies now.

        ValueError where that cannot be told, OSError where it cannot be read.
        """
        return None

    def index_of(self, root: str, path: str) -> str | None:
        """The file, below the same root, in which the program lists the session that a file belongs to."""
        return None

    def is_index(self, root: str, path: str) -> bool:
        """Whether this is such a file, by its name."""
        return False

    def reindex(
        self, folder: int, index: int | None, sessions: frozenset[str] | None, older: Sequence[int] = ()
    ) -> bytes | None:
        """The bytes of an index that tells the truth about these sessions, or about all (``None``).

        ``folder`` is a descriptor of the folder it lies in, ``index`` one of the file, if there is one, and ``older``
        are those of earlier selves of it, the newest first: what they say of a session that has come back is better
        than what could be made up, if it is of the session as it is now.
        What it says of other sessions, and what the layout does not know, stays.
        ``None`` if it tells the truth already. Raises `Unmendable` and OSError.
        """
        raise TypeError(f"{self.kind} keeps no index")

    @abstractmethod
    def describe(self, root: str, path: str, record: bytes) -> str | None:
        """One line of a member as a line for a person, or ``None`` for what is not worth showing."""

    @abstractmethod
    def specimens(self, now: float) -> tuple[Specimen, ...]:
        """A store with every ailment this kind knows, for the demo, the contract tests and the benchmarks."""


def xdg_folder(env: Mapping[str, str], key: str, default: str) -> str:
    """An XDG folder; the variables count only when they are absolute, as the crates that programs use have it."""
    value = env.get(key, "")
    return value.rstrip("/") or "/" if value.startswith("/") else default


@cache
def known_kinds() -> tuple[str, ...]:
    """The names of all kinds, in order; each is that of its module, with hyphens. None is imported for it."""
    return tuple(sorted(name.replace("_", "-") for name in plugged_into(layouts)))


@cache
def layout_of(kind: str) -> Layout:
    """The layout of a kind; KeyError for an unknown one. Whoever works on one store does without the others."""
    if kind not in known_kinds():
        raise KeyError(kind)
    found: Layout = importlib.import_module(f"{layouts.__name__}.{kind.replace('-', '_')}").LAYOUT
    return found


def known_layouts() -> Mapping[str, Layout]:
    """All layouts by kind."""
    return {kind: layout_of(kind) for kind in known_kinds()}
