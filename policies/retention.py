"""Which sessions of one group are kept, and why; and how many go when a store is over its cap.

Pure, and in bounded memory: the sessions of a group are asked about one by one, the newest first.
Each rule is asked by itself, and one yes keeps; every kept session has its reasons.
The newest session of an hour, day, week, month or year stands for it; the bounds are those of the calendar in
the zone; only those that have a session count.

What cannot be judged is kept: a time that is no time, a time after ``now``, tags that could not be read.
Such sessions take no place of another one, for a session from a wrong clock must not crowd out the real ones.
"""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from policies.keep import Keep
from policies.terms import any_match

# What every calendar and every zone can express, with a year to spare on both sides.
_FIRST_DATE: Final = datetime(2, 1, 1, tzinfo=UTC).timestamp()
_LAST_DATE: Final = datetime(9998, 12, 31, tzinfo=UTC).timestamp()

_UNTRUSTED: Final = ("its time is not to be trusted",)

Rule = Callable[[float], str | None]
"""Asked about one time after the other, never a later one: why it is kept, "" if it is not, ``None`` if neither it
nor any older one is."""


class Ranks:
    """The rules that hold a session for its place among those of its group.

    To be asked about all sessions of one group, the newest first; of those of the same time, in an order that does
    not depend on how they were found.
    """

    def __init__(self, keep: Keep, zone: ZoneInfo, *, now: float = math.inf) -> None:
        self._latest = min(now, _LAST_DATE)
        self._rules: list[Rule] = []
        if keep.last is not None:
            self._rules.append(_last(keep.last))
        if keep.within is not None:
            within = keep.within
            self._rules.append(_within(lambda newest: within.before(newest, zone), f"within {within}"))
        for count, calendar in (
            (keep.hourly, _hour),
            (keep.daily, _day),
            (keep.weekly, _week),
            (keep.monthly, _month),
            (keep.yearly, _year),
        ):
            if count is not None:
                self._rules.append(_newest_of_each(count, calendar, zone))

    def reasons(self, time: float) -> tuple[str, ...]:
        """Why the next session of the group, which ended then, is kept; nothing if no rule holds it."""
        if not _FIRST_DATE <= time <= self._latest:
            return _UNTRUSTED
        if not self._rules:
            return ()
        found = []
        for rule in self._rules.copy():
            said = rule(time)
            if said is None:
                self._rules.remove(rule)
            elif said:
                found.append(said)
        return tuple(found)


def marks(keep: Keep) -> Callable[[str | None, tuple[str, ...] | None], tuple[str, ...]]:
    """What tells of a session's name and tags why it is kept, whatever others there are.

    A name of ``None`` is no name; tags of ``None`` could not be read.
    """
    tags = frozenset(keep.tags)
    globs = [(any_match((glob,)), f"name matches {glob}") for glob in dict.fromkeys(keep.names)]

    def reasons(name: str | None, of: tuple[str, ...] | None) -> tuple[str, ...]:
        found: list[str] = []
        if tags and of is None:
            found.append("its tags could not be read")
        elif tags and of:
            found += [f"tag {tag}" for tag in dict.fromkeys(of) if tag in tags]
        if name is not None:
            found += [text for matches, text in globs if matches(name)]
        return tuple(found)

    return reasons


def beyond(
    removable: Sequence[int], total: int, count: int, max_total: int | None, max_count: int | None
) -> int:
    """How many go, the oldest first, until all that stays is within the caps.

    ``removable`` are the bytes of those that may go, the newest first; ``total`` and ``count`` are the bytes and the
    number of all sessions that count. Where too few may go, the caps stay exceeded.
    """
    gone = 0
    for size in reversed(removable):
        if (max_total is None or total <= max_total) and (max_count is None or count <= max_count):
            break
        gone += 1
        total -= size
        count -= 1
    return gone


def _last(count: int) -> Rule:
    left = count

    def rule(_time: float) -> str | None:
        nonlocal left
        left -= 1
        return f"among the last {count}" if left >= 0 else None

    return rule


def _within(limit_from: Callable[[float], float], text: str) -> Rule:
    limit: float | None = None

    def rule(time: float) -> str | None:
        nonlocal limit
        if limit is None:
            limit = limit_from(time)
        return f"{text} of the newest" if time >= limit else None

    return rule


class _Span(NamedTuple):
    """One hour, day, week, month or year: when it began, and what it is called."""

    began: datetime
    called: str


_Calendar = Callable[[datetime], _Span]


def _newest_of_each(count: int, calendar: _Calendar, zone: ZoneInfo) -> Rule:
    left = count
    began = math.inf

    def rule(time: float) -> str | None:
        nonlocal left, began
        if time >= began:
            return ""
        if not left:
            return None
        left -= 1
        span = calendar(datetime.fromtimestamp(time, zone))
        began = span.began.timestamp()
        return f"newest of {span.called}"

    return rule


# The beginnings are wall times; where the clocks repeat one, the first is meant, except for an hour, which is
# itself one of two.


def _hour(moment: datetime) -> _Span:
    return _Span(moment.replace(minute=0, second=0, microsecond=0), f"hour {moment:%Y-%m-%d %H}:00")


def _day(moment: datetime) -> _Span:
    return _Span(_midnight(moment), f"day {moment:%Y-%m-%d}")


def _week(moment: datetime) -> _Span:
    monday = _midnight(moment) - timedelta(days=moment.weekday())
    return _Span(monday, f"week {moment:%G-W%V}")


def _month(moment: datetime) -> _Span:
    return _Span(_midnight(moment).replace(day=1), f"month {moment:%Y-%m}")


def _year(moment: datetime) -> _Span:
    return _Span(_midnight(moment).replace(month=1, day=1), f"year {moment:%Y}")


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


__all__: Final = ["Ranks", "beyond", "marks"]
