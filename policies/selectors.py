"""Which sessions a rule speaks of.

A selector is data: it can be compared, written down again as the policy's own words, and compiled for a moment.
What it compiles to answers yes, no, or ``None`` where a fact is not known.
``None`` travels through ``any``, ``all`` and ``not`` as in Kleene's logic, so that the caller can tell "no" from
"cannot say" and never removes what it cannot judge.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar
from zoneinfo import ZoneInfo

from policies.durations import Duration
from policies.kleene import Test, all_hold, any_holds, inverted
from policies.terms import TERMS, Value
from policies.wording import listed, mapped
from store.facts import Session, State


class Selector(ABC):
    """A selection of sessions; ``Selector.ALL`` selects every one."""

    ALL: ClassVar["Selector"]

    @abstractmethod
    def compile(self, now: float, zone: ZoneInfo) -> Callable[[Session], bool | None]:
        """A fast test for the moment ``now``: true, false, or None where a fact is unknown."""

    def turns(self, session: Session, zone: ZoneInfo) -> Iterator[float]:
        """The moments at which the answer about a session may change by itself, in no order."""
        return iter(())

    def names_state(self, state: State) -> bool:
        """Whether the selector asks for this state by its name, and not only to leave it out."""
        return self._asks_for(state, wanted=True)

    @property
    @abstractmethod
    def text(self) -> str:
        """The selector on one line, in the words of the policy language."""

    def __str__(self) -> str:
        return self.text

    @abstractmethod
    def _asks_for(self, state: State, *, wanted: bool) -> bool:
        """Whether a state is asked for, or, with ``wanted`` false, left out."""


@dataclass(frozen=True)
class Everything(Selector):
    """Selects every session: ``all``, written out."""

    def compile(self, now: float, zone: ZoneInfo) -> Test:
        return lambda _session: True

    @property
    def text(self) -> str:
        return "all"

    def _asks_for(self, state: State, *, wanted: bool) -> bool:
        return False


Selector.ALL = Everything()


@dataclass(frozen=True)
class Term(Selector):
    """One key of a selector and its value, which has the type that `TERMS` gives for the key."""

    key: str
    value: Value

    def compile(self, now: float, zone: ZoneInfo) -> Test:
        return TERMS[self.key].test(self.value, now, zone)

    def turns(self, session: Session, zone: ZoneInfo) -> Iterator[float]:
        since = TERMS[self.key].since
        if since is not None and isinstance(self.value, Duration):
            moment = since(session)
            if math.isfinite(moment):
                yield self.value.after(moment, zone)

    @property
    def text(self) -> str:
        return mapped({self.key: self._words()})

    def _words(self) -> str:
        return listed(self.value) if isinstance(self.value, tuple) else str(self.value)

    def _asks_for(self, state: State, *, wanted: bool) -> bool:
        return wanted and self.key == "state" and isinstance(self.value, tuple) and state in self.value


@dataclass(frozen=True)
class AllOf(Selector):
    """Holds where every part does."""

    parts: tuple[Selector, ...]

    def compile(self, now: float, zone: ZoneInfo) -> Test:
        return all_hold(tuple(part.compile(now, zone) for part in self.parts))

    def turns(self, session: Session, zone: ZoneInfo) -> Iterator[float]:
        return chain.from_iterable(part.turns(session, zone) for part in self.parts)

    @property
    def text(self) -> str:
        entries = [_entry(part) for part in self.parts]
        keys = {key for key, _ in entries}
        if len(keys) == len(entries) and "" not in keys:
            return mapped(dict(entries))
        return mapped({"all": _listed(self.parts)})

    def _asks_for(self, state: State, *, wanted: bool) -> bool:
        return any(part._asks_for(state, wanted=wanted) for part in self.parts)  # noqa: SLF001  its own kind


@dataclass(frozen=True)
class AnyOf(Selector):
    """Holds where at least one part does."""

    parts: tuple[Selector, ...]

    def compile(self, now: float, zone: ZoneInfo) -> Test:
        return any_holds(tuple(part.compile(now, zone) for part in self.parts))

    def turns(self, session: Session, zone: ZoneInfo) -> Iterator[float]:
        return chain.from_iterable(part.turns(session, zone) for part in self.parts)

    @property
    def text(self) -> str:
        return mapped({"any": _listed(self.parts)})

    def _asks_for(self, state: State, *, wanted: bool) -> bool:
        return any(part._asks_for(state, wanted=wanted) for part in self.parts)  # noqa: SLF001  its own kind


@dataclass(frozen=True)
class Not(Selector):
    """Holds where its part does not."""

    part: Selector

    def compile(self, now: float, zone: ZoneInfo) -> Test:
        return inverted(self.part.compile(now, zone))

    def turns(self, session: Session, zone: ZoneInfo) -> Iterator[float]:
        return self.part.turns(session, zone)

    @property
    def text(self) -> str:
        return mapped({"not": self.part.text})

    def _asks_for(self, state: State, *, wanted: bool) -> bool:
        return self.part._asks_for(state, wanted=not wanted)  # noqa: SLF001  its own kind


def every(parts: tuple[Selector, ...]) -> Selector:
    """The conjunction of the parts: a single one stands for itself."""
    return parts[0] if len(parts) == 1 else AllOf(parts)


def some(parts: tuple[Selector, ...]) -> Selector:
    """The disjunction of the parts: a single one stands for itself."""
    return parts[0] if len(parts) == 1 else AnyOf(parts)


def conjuncts(selector: Selector) -> frozenset[Selector]:
    """The conditions that must all hold for the selector to hold: none for everything."""
    match selector:
        case Everything():
            return frozenset()
        case AllOf(parts):
            return frozenset().union(*map(conjuncts, parts))
        case _:
            return frozenset({selector})


def _entry(part: Selector) -> tuple[str, str]:
    """The part as one key of a mapping, or an empty key where it can only stand in a list."""
    match part:
        case Term(key, _):
            return key, part._words()  # noqa: SLF001  its own kind
        case AnyOf(parts):
            return "any", _listed(parts)
        case Not(inner):
            return "not", inner.text
        case _:
            return "", ""


def _listed(parts: tuple[Selector, ...]) -> str:
    return "[" + ", ".join(part.text for part in parts) + "]"
