"""What a kind of store must tell us, and where the kinds are found.

A layout knows how one kind of store arranges and encodes its sessions; it knows no policy and changes nothing.
Each layout is one module (or package) in ``store/layouts`` with a constant ``LAYOUT``; nothing else registers it.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar

import msgspec

from store import layouts
from store.facts import Listing, Place, Problem, Session, State


class Moment(msgspec.Struct, frozen=True):
    """When a store is looked at, and how long a recorder may be silent and still count as living."""

    now: float
    grace: float


class Mend(ABC):
    """How one crashed session is made whole: ask for the new bytes, then for what was done."""

    @abstractmethod
    def build(self, fd: int) -> Iterator[bytes]:
        """The bytes of the mended session, read from the descriptor of the crashed one, in bounded memory.

        Raises `Unmendable` when the session holds what this layout does not know.
        """

    @abstractmethod
    def account(self) -> str:
        """What was kept, added and set aside, in one clause; valid once `build` is exhausted."""


class Unmendable(Exception):
    """A session that cannot be made whole, and is left as it is; the text says why, as a clause."""


class Specimen(msgspec.Struct, frozen=True):
    """One ailment (or picture of health) as files: what a survey must make of it, and a default sweep do with it.

    ``files`` maps (root label, path) to content; all get the modification time ``changed``, in seconds.
    ``fate`` is the verb that the shipped default policy plans for it, or ``None`` where it stays.
    """

    title: str
    id: str | None
    files: Mapping[tuple[str, str], bytes]
    changed: float
    state: State | None
    fate: str | None
    empty: bool | None = None


class Layout(ABC):
    """One kind of store."""

    kind: ClassVar[str]
    paths: ClassVar[Mapping[str, str]]
    """The keys under which a policy may name this kind's folders, each with a line of documentation."""

    @abstractmethod
    def default_roots(self, env: Mapping[str, str], home: str, platform: str) -> Mapping[str, str]:
        """Where the program keeps its sessions when nobody says otherwise: absolute roots by label.

        ``platform`` is as `sys.platform` has it. The folders need not exist.
        """

    @abstractmethod
    def roots(self, paths: Mapping[str, str], env: Mapping[str, str], home: str) -> Mapping[str, str]:
        """The roots of a store whose folders a policy names; ``paths`` are absolute and hold ``path``."""

    @abstractmethod
    def discover(self, place: Place, moment: Moment) -> Listing:
        """What there is, by listing folders and reading the recorder's own state, but no session.

        Raises OSError when the folder of the sessions itself cannot be read.
        """

    @abstractmethod
    def read(self, place: Place, context: Any, entries: list[str]) -> Iterator[Session | Problem]:
        """The facts of each entry; one that cannot be a session gives a problem instead, never an error."""

    @abstractmethod
    def mend(self, session: str, name: str | None, changed: float) -> Mend:
        """The way to make a crashed session whole, under a new name or (``None``) its own.

        ``changed`` is its modification time, for sessions whose records carry no time.
        """

    @abstractmethod
    def knows(self, root: str, path: str) -> bool:
        """Whether the program itself makes files of this name at this place: nothing else may be planned for."""

    @abstractmethod
    def session_of(self, root: str, path: str) -> str | None:
        """The id of the session that a file belongs to by its name, wherever it lies now."""

    @abstractmethod
    def describe(self, record: bytes) -> str | None:
        """One record as a line for a person, or ``None`` for what is not worth showing."""

    @abstractmethod
    def specimens(self, now: float) -> tuple[Specimen, ...]:
        """A store with every ailment this kind knows, for the demo, the contract tests and the benchmarks."""


@cache
def known_layouts() -> Mapping[str, Layout]:
    """All layouts by kind."""
    found = [
        importlib.import_module(f"{layouts.__name__}.{module.name}").LAYOUT
        for module in pkgutil.iter_modules(layouts.__path__)
    ]
    return {layout.kind: layout for layout in sorted(found, key=lambda layout: layout.kind)}
