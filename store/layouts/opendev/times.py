"""Times as opendev writes and reads them: RFC 3339 with nanoseconds, and naive ones of its Python age, which are UTC."""

import datetime as dt
import re
from typing import NamedTuple

_FRACTION = re.compile(r"\.([0-9]{1,9})[0-9]*(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST, _LAST = -62_135_596_800, 253_402_300_800
"""The years 1 to 9999, in UTC: a time that is in another one there can be read here, and not be written."""

_parse = dt.datetime.fromisoformat
_UTC = dt.UTC


class Instant(NamedTuple):
    """A moment: whole seconds since the epoch, and nanoseconds beyond."""

    seconds: int
    nanos: int


def seconds_of(text: str) -> float | None:
    """Seconds since the epoch, to the microsecond; ``None`` for what is no time. Every session asks this twice."""
    try:
        time = _parse(text)
        found = (time if time.tzinfo is not None else time.replace(tzinfo=_UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return found if _FIRST <= found < _LAST else None


def instant_of(text: str) -> Instant | None:
    """The moment to the nanosecond, or ``None`` for what is no time."""
    try:
        time = _parse(text)
        aware = time if time.tzinfo is not None else time.replace(tzinfo=_UTC)
        since = aware.replace(microsecond=0) - _EPOCH
    except (ValueError, OverflowError):
        return None
    seconds = since.days * 86_400 + since.seconds
    if not _FIRST <= seconds < _LAST:
        return None
    fraction = _FRACTION.search(text)
    return Instant(seconds, int(fraction[1].ljust(9, "0")) if fraction else 0)


def render(instant: Instant) -> str:
    """The moment as opendev writes it: in UTC, with as many groups of three digits as it needs."""
    text = f"{_EPOCH + dt.timedelta(seconds=instant.seconds):%Y-%m-%dT%H:%M:%S}"
    year, _, rest = text.partition("-")  # strftime does not pad years everywhere
    digits = f"{instant.nanos:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{year:0>4}-{rest}{'.' if digits else ''}{digits}+00:00"


def normalised(text: str) -> str | None:
    """A time, however it was written, as opendev writes it."""
    instant = instant_of(text)
    return None if instant is None else render(instant)
