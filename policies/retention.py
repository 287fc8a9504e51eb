"""Which sessions of one group are kept, and why; and which go when a store is over its cap.

Pure: rows in, verdicts out, whatever the order of the rows.
Each rule is asked by itself, and one yes keeps; every kept session has its reasons.
The newest session of an hour, day, week, month or year stands for it; the bounds are those of the calendar in
the zone; only those that have a session count.
Of sessions of the same time, the one with the greater id is the newer one.

What cannot be judged is kept: a time that is no time, a time after ``now``, tags that could not be read.
Such rows take no place of another one, for a session from a wrong clock must not crowd out the real ones.
"""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from policies.keep import Keep
from policies.terms import any_match

# What every calendar and every zone can express, with a year to spare on both sides.
_FIRST_DATE: Final = datetime(2, 1, 1, tzinfo=UTC).timestamp()
_LAST_DATE: Final = datetime(9998, 12, 31, tzinfo=UTC).timestamp()


class Row(NamedTuple):
    """What the rules need of a session: its id within the group, when it ended, its name and its tags.

    A name of None is no name; tags of None could not be read.
    """

    id: str
    time: float
    name: str | None = None
    tags: tuple[str, ...] | None = ()


class Weight(NamedTuple):
    """What the caps need of a session: its id, when it ended, its bytes, and whether it may go at all."""

    id: str
    time: float
    bytes: int
    removable: bool


def decide(
    rows: Iterable[Row], keep: Keep, zone: ZoneInfo, *, now: float = math.inf
) -> dict[str, tuple[str, ...]]:
    """The ids of one group that are kept, each with every reason for it; what is not named is not kept.

    Rows that share an id share their verdict.
    """
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    placed = []
    latest = min(now, _LAST_DATE)
    for row in rows:
        if _FIRST_DATE <= row.time <= latest:
            placed.append(row)
        else:
            reasons[row.id].append("its time is not to be trusted")
    placed.sort(key=attrgetter("time", "id"), reverse=True)

    if keep.last is not None:
        for row in placed[: keep.last]:
            reasons[row.id].append(f"among the last {keep.last}")
    if keep.within is not None and placed:
        limit = keep.within.before(placed[0].time, zone)
        for row in placed[: bisect_right(placed, -limit, key=_backwards)]:
            reasons[row.id].append(f"within {keep.within} of the newest")
    for count, calendar in (
        (keep.hourly, _hour),
        (keep.daily, _day),
        (keep.weekly, _week),
        (keep.monthly, _month),
        (keep.yearly, _year),
    ):
        if count is not None:
            _keep_newest_of_each(placed, count, calendar, zone, reasons)
    if keep.tags:
        _keep_tagged(placed, keep.tags, reasons)
    if keep.names:
        _keep_named(placed, keep.names, reasons)
    return {each: tuple(dict.fromkeys(why)) for each, why in reasons.items()}


def beyond(rows: Iterable[Weight], max_total: int | None, max_count: int | None) -> set[str]:
    """The ids to remove, oldest first, until all that stays is within the caps.

    ``rows`` are all sessions that count; only removable ones with a real time are ever named, so the caps may
    stay exceeded.
    """
    everything = list(rows)
    total = sum(row.bytes for row in everything)
    count = len(everything)
    candidates = [row for row in everything if row.removable and math.isfinite(row.time)]
    candidates.sort(key=attrgetter("time", "id"))
    gone = set()
    for row in candidates:
        if (max_total is None or total <= max_total) and (max_count is None or count <= max_count):
            break
        gone.add(row.id)
        total -= row.bytes
        count -= 1
    return gone


class _Span(NamedTuple):
    """One hour, day, week, month or year: when it began, and what it is called."""

    began: datetime
    called: str


_Calendar = Callable[[datetime], _Span]


def _keep_newest_of_each(
    newest_first: Sequence[Row],
    count: int,
    calendar: _Calendar,
    zone: ZoneInfo,
    reasons: defaultdict[str, list[str]],
) -> None:
    """Name the newest row of each of the newest ``count`` spans that have one.

    Leaps from span to span by their beginnings, so that the cost is by spans kept, not by rows.
    """
    at = 0
    while at < len(newest_first) and count:
        row = newest_first[at]
        span = calendar(datetime.fromtimestamp(row.time, zone))
        reasons[row.id].append(f"newest of {span.called}")
        count -= 1
        at = bisect_right(newest_first, -span.began.timestamp(), lo=at + 1, key=_backwards)


def _keep_tagged(rows: Iterable[Row], tags: tuple[str, ...], reasons: defaultdict[str, list[str]]) -> None:
    for row in rows:
        if row.tags is None:
            reasons[row.id].append("its tags could not be read")
            continue
        for tag in row.tags:
            if tag in tags:
                reasons[row.id].append(f"tag {tag}")


def _keep_named(rows: Iterable[Row], globs: tuple[str, ...], reasons: defaultdict[str, list[str]]) -> None:
    for glob in globs:
        matches = any_match((glob,))
        for row in rows:
            if row.name is not None and matches(row.name):
                reasons[row.id].append(f"name matches {glob}")


def _backwards(row: Row) -> float:
    """The key that makes newest-first an ascending order, which is what bisection takes."""
    return -row.time


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


__all__: Final = ["Row", "Weight", "beyond", "decide"]
