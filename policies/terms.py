"""The keys of a selector: what each takes, what it means, and how it is tested.

One row a key; a new key is a new row.
Every test is specialised when it is made, so that a session costs a field, a comparison and nothing else.
Where the fact is ``None``, the answer is.
"""

import fnmatch
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from policies.durations import Duration
from policies.kleene import Test
from policies.sizes import Size
from policies.words import Glob, Kind, Place
from store.facts import Session, State, is_store

Value: TypeAlias = tuple[str, ...] | Duration | Size | int | str


@dataclass(frozen=True)
class Key:
    """A key of a selector: the type of its value, what it holds for, and a maker of its test."""

    takes: Any
    doc: str
    test: Callable[[Any, float, ZoneInfo], Test]
    since: Callable[[Session], float] | None = None
    """For a key of time: the moment of a session from which its value is counted."""


def any_match(globs: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a whole text matches one of the globs; case counts, and ``*`` crosses slashes."""
    match = re.compile("|".join(map(fnmatch.translate, globs))).match
    return lambda text: match(text) is not None


def _store(names: tuple[str, ...], _now: float, _zone: ZoneInfo) -> Test:
    named = frozenset(names)
    return lambda session: is_store(session.store, named)


def _kind(kinds: tuple[str, ...], _now: float, _zone: ZoneInfo) -> Test:
    named = frozenset(kinds)
    return lambda session: session.kind in named


def _state(states: tuple[str, ...], _now: float, _zone: ZoneInfo) -> Test:
    named = frozenset(map(State, states))
    return lambda session: session.state in named


def _id(globs: tuple[str, ...], _now: float, _zone: ZoneInfo) -> Test:
    matches = any_match(globs)
    return lambda session: matches(session.id)


def _name(globs: tuple[str, ...], _now: float, _zone: ZoneInfo) -> Test:
    matches = any_match(globs)
    return lambda session: None if session.name is None else matches(session.name)


def _project(globs: tuple[str, ...], _now: float, _zone: ZoneInfo) -> Test:
    matches = any_match(globs)
    return lambda session: None if session.project is None else matches(session.project)


def _tags(tags: tuple[str, ...], _now: float, _zone: ZoneInfo) -> Test:
    carries_none = frozenset(tags).isdisjoint
    return lambda session: None if session.tags is None else not carries_none(session.tags)


def _empty(word: str, _now: float, _zone: ZoneInfo) -> Test:
    wanted = {"true": True, "false": False}[word]
    return lambda session: None if session.empty is None else session.empty is wanted


# Of a time that is not a number nothing can be said, hence two comparisons where one would do for any other.


def _older_than(age: Duration, now: float, zone: ZoneInfo) -> Test:
    limit = age.before(now, zone)

    def test(session: Session) -> bool | None:
        return None if math.isnan(session.ended) else session.ended_before(limit)

    return test


def _younger_than(age: Duration, now: float, zone: ZoneInfo) -> Test:
    limit = age.before(now, zone)

    def test(session: Session) -> bool | None:
        return None if math.isnan(session.ended) else not session.ended_before(limit)

    return test


def _idle_for(idle: Duration, now: float, zone: ZoneInfo) -> Test:
    limit = idle.before(now, zone)

    def test(session: Session) -> bool | None:
        changed = session.last_changed
        return True if changed <= limit else False if changed > limit else None

    return test


def _idle_under(idle: Duration, now: float, zone: ZoneInfo) -> Test:
    limit = idle.before(now, zone)

    def test(session: Session) -> bool | None:
        changed = session.last_changed
        return True if changed > limit else False if changed <= limit else None

    return test


def _larger_than(size: Size, _now: float, _zone: ZoneInfo) -> Test:
    limit = size.bytes
    return lambda session: session.bytes > limit


def _smaller_than(size: Size, _now: float, _zone: ZoneInfo) -> Test:
    limit = size.bytes
    return lambda session: session.bytes < limit


def _records_over(count: int, _now: float, _zone: ZoneInfo) -> Test:
    return lambda session: None if session.records is None else session.records > count


def _records_under(count: int, _now: float, _zone: ZoneInfo) -> Test:
    return lambda session: None if session.records is None else session.records < count


def _ended(session: Session) -> float:
    return session.ended


def _last_changed(session: Session) -> float:
    return session.last_changed


TERMS: Final[dict[str, Key]] = {
    "store": Key(tuple[Place, ...], "The session's store is named.", _store),
    "kind": Key(tuple[Kind, ...], "The kind of the session's store is named.", _kind),
    "state": Key(tuple[State, ...], "The session is in one of the states.", _state),
    "id": Key(tuple[Glob, ...], "The session's id matches the glob.", _id),
    "name": Key(tuple[Glob, ...], "The session's name matches the glob.", _name),
    "project": Key(tuple[Glob, ...], "The session's working directory matches the glob.", _project),
    "tags": Key(tuple[str, ...], "The session carries one of the tags, exactly as written.", _tags),
    "empty": Key(
        Literal["true", "false"], "Whether nobody typed, asked or caused anything in the session.", _empty
    ),
    "older_than": Key(
        Duration, "The session ended at least this long ago, by its own records.", _older_than, _ended
    ),
    "younger_than": Key(
        Duration, "The session ended less than this long ago, by its own records.", _younger_than, _ended
    ),
    "idle_for": Key(
        Duration, "No file of the session changed for at least this long.", _idle_for, _last_changed
    ),
    "idle_under": Key(
        Duration, "A file of the session changed less than this long ago.", _idle_under, _last_changed
    ),
    "larger_than": Key(Size, "The files of the session are larger than this, together.", _larger_than),
    "smaller_than": Key(Size, "The files of the session are smaller than this, together.", _smaller_than),
    "records_over": Key(int, "The session has more records than this.", _records_over),
    "records_under": Key(int, "The session has fewer records than this.", _records_under),
}

# Of one selector: where the first is at least the second, nothing can hold both.
OPPOSED: Final = (
    ("older_than", "younger_than"),
    ("idle_for", "idle_under"),
    ("larger_than", "smaller_than"),
    ("records_over", "records_under"),
)
