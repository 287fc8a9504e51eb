"""What a pass is: facts, options and the time in, a verdict with its reason out.

A pass opens no file, starts nothing and reads no clock; so it is tested by value, and cannot get locking, backup
or durability wrong.
Each pass is one module in ``maint/passes`` with a constant ``PASS``; its options become part of the policy
language by being there.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, ClassVar, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from maint import passes
from maint.verdicts import Act, Kept, Verdict
from policies import ArchiveRules, PassOptions
from store.facts import Index, Leftover, Lock, Session
from store.plugs import plugged_into

Subject = TypeVar("Subject", Session, Lock, Leftover)


class Setting(msgspec.Struct, frozen=True):
    """The moment for which is planned, the zone in which calendars and names are meant, and where packs go."""

    now: float
    zone: ZoneInfo
    archive: ArchiveRules = ArchiveRules()


class Candidate(NamedTuple):
    """A session in a comparison: its number there, when it ended, its bytes, and what `Compare` said of it."""

    number: int
    time: float
    bytes: int
    old: bool
    held: tuple[str, ...]


class Pass(ABC):
    """One kind of maintenance."""

    name: ClassVar[str]
    subject: ClassVar[type[Session] | type[Lock] | type[Leftover]]
    options_type: ClassVar[type[PassOptions]]
    judges_liveness: ClassVar[bool] = False
    """Whether its ``idle_for`` says how long a recorder may be silent and still count as living."""

    @abstractmethod
    def bind(self, options: Any, setting: Setting) -> Callable[[Any], Verdict]:
        """The verdict function for these options at this moment; it is called once a subject, so it is fast.

        It never sees what is protected, nor what ``where`` and ``stores`` exclude.
        """

    def bind_index(self, options: Any, setting: Setting) -> Callable[[Index], Verdict] | None:
        """The same for files in which a program lists its sessions, if the pass sees to those that are damaged."""
        return None

    def compare(
        self, options: Any, setting: Setting, group: Iterable[Candidate]
    ) -> Iterable[tuple[int, Act | Kept]]:
        """The verdicts, by number, on all old enough candidates of one group, which come the newest first.

        For passes that answer `Compare`. A group may be all sessions that there are: it is not to be held in memory.
        """
        raise TypeError(f"pass {self.name} compares nothing")


@cache
def known_passes() -> Mapping[str, Pass]:
    """All passes by name."""
    found = [importlib.import_module(f"{passes.__name__}.{name}").PASS for name in plugged_into(passes)]
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}
