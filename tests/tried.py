"""How much is tried: what is asked for, what a test that tries many points says of them, and the table made of it.

`MAINT_FAULTS=bars` asks for the long form: of every verb as many points as make up what is wanted in all, in some
hours. `MAINT_FAULTS=all` asks for every point there is, for days, and a number for so many a verb where points are
dear. Without it some points of a few verbs are tried, in some minutes.
"""

import os
import random
import time
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")

FAULTS = os.environ.get("MAINT_FAULTS", "")
LONG = bool(FAULTS)


def at_most(few: int, bar: int) -> int | None:
    """How many points of a verb are tried, so ``few`` in the short form and up to the ``bar`` in the long one.

    ``None`` is all.
    """
    match FAULTS:
        case "":
            return few
        case "bars":
            return bar
        case "all":
            return None
        case number:
            return int(number)


def every(step: int) -> int:
    """The step by which points are taken: all of them in the long form."""
    return 1 if LONG else step


def some(points: list[T], most: int | None) -> list[T]:
    """So many of them, always the same ones, from everywhere."""
    if most is None or len(points) <= most:
        return points
    return random.Random(len(points)).sample(points, most)


class Tried(NamedTuple):
    """What a test tried by one method on one subject: a verb, a parser, a file system."""

    method: str
    subject: str
    there_are: int
    tried: int
    wrong: int
    seconds: float


PROPERTY = "tried"
"""The name under which a test's report carries what it tried, from whichever process it ran in."""


class Tally:
    """Takes down what one test has tried; the time is that since the test began."""

    def __init__(self, properties: list[tuple[str, object]]) -> None:
        self._properties = properties
        self._began = time.monotonic()

    def __call__(
        self, method: str, subject: str, tried: int, *, there_are: int | None = None, wrong: int = 0
    ) -> None:
        """So many points were ``tried`` of those that ``there_are``, and so many of them went ``wrong``."""
        now = time.monotonic()
        said = Tried(
            method, subject, tried if there_are is None else there_are, tried, wrong, now - self._began
        )
        self._properties.append((PROPERTY, tuple(said)))
        self._began = now


def table(every: list[Tried]) -> Iterator[str]:
    """A line a subject, in the order of the methods, and one for all of a method."""
    yield "| method | subject | there are | tried | wrong | seconds |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for method in dict.fromkeys(each.method for each in every):
        rows = [each for each in every if each.method == method]
        if len(rows) > 1:
            yield _row(method, "**all**", rows)
        for subject in dict.fromkeys(each.subject for each in rows):
            yield _row(method, subject, [each for each in rows if each.subject == subject])


def _row(method: str, subject: str, rows: list[Tried]) -> str:
    figures = (
        sum(each.there_are for each in rows),
        sum(each.tried for each in rows),
        sum(each.wrong for each in rows),
        round(sum(each.seconds for each in rows)),
    )
    return " | ".join((f"| {method}", subject, *(f"{figure:,}" for figure in figures))) + " |"
