"""Spans of time as a policy writes them: ``30d``, ``1d12h``, ``1y6mo``.

Seconds, minutes, hours, days of 24 hours and weeks are exact.
Months and years are steps in the calendar of a time zone: a month before 31 March is the last day of February,
at the same time of day.
Where a clock was set forward or back on that day, the reading is taken that makes things younger, because age
is what lets sessions be removed.
"""

import math
import re
from calendar import monthrange
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from policies.mistakes import Misread, shown

_MONTHS: Final = {"y": 12, "mo": 1}
_SECONDS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "min": 60, "s": 1}
UNITS: Final = (*_MONTHS, *_SECONDS)

_PART = re.compile(r"([0-9]{1,18})([a-z]+)")
_WHOLE = re.compile(r"(?:[0-9]{1,18}[a-z]+)+")
_LOOSE = re.compile(r"\s*([0-9]+)\s*([A-Za-z]+)\s*")
_BARE_M = re.compile(r"(?<=[0-9])\s*([mM])(?![A-Za-z])")
_MEANT: Final = {
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("wk", "wks", "week", "weeks"), "w"),
    **dict.fromkeys(("mon", "mth", "mths", "month", "months"), "mo"),
    **dict.fromkeys(("yr", "yrs", "year", "years"), "y"),
}

# Far beyond any retention, and safely inside what dates can express.
_LONGEST_YEARS: Final = 1000
_LONGEST_SECONDS: Final = _LONGEST_YEARS * 365 * 86_400

# Samoa left out a whole day once.
_MOST_HOURS_SKIPPED: Final = 50

PATTERN: Final = r"^([0-9]+(s|min|h|d|w|mo|y))+$"


@dataclass(frozen=True)
class Duration:
    """A span of ``months`` calendar months and ``seconds`` seconds; ``text`` is how it was written."""

    months: int
    seconds: int
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Read a number and a unit, repeated: ``s min h d w mo y``.

        Raises `Misread`, a ValueError, for everything else: bare numbers, zero, the unit ``m``, spaces.
        """
        if not _WHOLE.fullmatch(text):
            raise _no_duration(text)
        parts = _PART.findall(text)
        _check_units(text, [unit for _, unit in parts])
        for number, unit in parts:
            if number[0] == "0" and len(number) > 1:
                raise Misread(
                    f"{shown(number + unit)} starts with a zero", f"write {shown(number.lstrip('0') + unit)}"
                )
        months = sum(int(number) * _MONTHS.get(unit, 0) for number, unit in parts)
        seconds = sum(int(number) * _SECONDS.get(unit, 0) for number, unit in parts)
        if not months and not seconds:
            raise Misread("a time of zero", "a time of zero would mean everything: write how long")
        if months > _LONGEST_YEARS * 12 or seconds > _LONGEST_SECONDS:
            raise Misread(f"{shown(text)} is longer than a thousand years", "write a shorter time")
        return cls(months, seconds, text)

    def before(self, now: float, zone: ZoneInfo) -> float:
        """The moment this long before ``now``, in seconds since the epoch.

        Minus infinity where the calendar does not reach: nothing is that old.
        """
        if not self.months:
            return now - self.seconds
        try:
            return _stepped(datetime.fromtimestamp(now, zone), -self.months).timestamp() - self.seconds
        except (ValueError, OverflowError, OSError):
            return -math.inf

    def after(self, then: float, zone: ZoneInfo) -> float:
        """When something from ``then`` comes of age: at that moment ``before`` does not fall short of it.

        Plus infinity where the calendar does not reach: it never comes of age.
        """
        if not self.months:
            return then + self.seconds
        try:
            start = datetime.fromtimestamp(then + self.seconds, zone)
            landed = _stepped(start, self.months)
            if landed.day < start.day:
                # 31 January and a month is 28 February, but a month before 28 February is only 28 January:
                # what comes a month before 31 January has passed when March begins.
                landed = _midnight(landed.replace(day=28) + timedelta(days=4)).replace(day=1)
            moment = landed.timestamp()
            # Where the clocks were set in between, an hour may still be missing.
            for _ in range(_MOST_HOURS_SKIPPED):
                if self.before(moment, zone) >= then:
                    return moment
                moment += 3_600
        except (ValueError, OverflowError, OSError):
            pass
        return math.inf

    def surely_within(self, other: "Duration") -> bool:
        """Whether this is no longer than the other, wherever in the calendar both are counted."""
        if self.months <= other.months and self.seconds <= other.seconds:
            return True
        return self._longest() <= other._shortest()  # noqa: SLF001  its own kind

    def _shortest(self) -> int:
        years, months = divmod(self.months, 12)
        return self.seconds + (years * 365 + months * 28) * 86_400

    def _longest(self) -> int:
        # A day more than the longest months, for the clocks that may be set in between.
        years, months = divmod(self.months, 12)
        return self.seconds + (years * 366 + months * 31 + bool(self.months)) * 86_400


def _stepped(start: datetime, months: int) -> datetime:
    """The same day and time of day, or the last day of a shorter month, so many months later."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = start.day if start.day <= 28 else min(start.day, monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day, fold=0)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def _check_units(text: str, units: list[str]) -> None:
    for unit, times in Counter(units).items():
        if unit not in UNITS:
            raise _no_duration(text)
        if times > 1:
            raise Misread(f"{shown(text)} has the unit `{unit}` twice", "write each unit once")


def _no_duration(text: str) -> Misread:
    """What to say of a text that is no duration, and what was probably meant."""
    known = "a time is a number and a unit: s, min, h, d, w, mo or y, such as `30d` or `1d12h`"
    if not text.strip():
        return Misread("no time is written here", known)
    if text[0] in "-+\N{MINUS SIGN}":
        return Misread(
            f"{shown(text)} has a sign", "write the time without it: it always counts back from now"
        )
    if re.fullmatch(r"[0-9]+", text):
        if not text.strip("0"):
            return Misread("a time of zero", "a time of zero would mean everything: write how long")
        number = text.lstrip("0")[:18]
        return Misread(f"{shown(text)} has no unit", f"write `{number}d` for days or `{number}h` for hours")
    if re.fullmatch(r"[0-9]+:[0-9:]+", text):
        return Misread(f"{shown(text)} is a time of day", "write `1h30min` for an hour and a half")
    if re.fullmatch(r"[0-9]*[.,][0-9]+\s*[A-Za-z]+", text):
        return Misread(f"{shown(text)} is no whole number", "write `1h30min` instead of a fraction")
    bare = _BARE_M.search(text)
    if bare is not None:
        minutes, months = (_BARE_M.sub(unit, text) for unit in ("min", "mo"))
        return Misread(
            f"`{bare[1]}` in {shown(text)} is minutes to some tools and months to others",
            f"write {shown(minutes)} for minutes or {shown(months)} for months",
        )
    meant = _guess(text)
    if meant is not None:
        return Misread(f"{shown(text)} is no time", f"did you mean {shown(meant)}?")
    if text.startswith("P") and text[1:2].isdigit():
        return Misread(f"{shown(text)} is no time", f"write it without the P: {known}")
    return Misread(f"{shown(text)} is no time", known)


def _guess(text: str) -> str | None:
    """The text with spaces closed and units shortened, if that is a duration."""
    if len(text) > 40:
        return None
    parts = _LOOSE.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != re.sub(r"\s+", "", text):
        return None
    meant = "".join(number + _MEANT.get(unit.lower(), unit.lower()) for number, unit in parts)
    if meant == text:
        return None
    try:
        Duration.parse(meant)
    except Misread:
        return None
    return meant
