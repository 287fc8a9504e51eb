"""Measuring something beside its references, turn by turn, so that what disturbs one disturbs the others too.

What counts is the ratio: the median of the quotients of neighbours.
Times are shown for orientation; they are this machine's, at that moment.

Each call is timed by the clock, which is what the tables show, and by the processors, which is what the regression
check (`benchmarks.check`) judges: other people's work on the machine makes us wait, but hardly work longer.
All quotients go into ``extra_info``, so that the check can pool those of several processes.

Python collects no garbage meanwhile, as the program does not either: when it would, and how long it took, depends on
what else the process holds.
"""

import gc
import math
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

Work = Callable[[], object]

ROUNDS = 7

TURNS_FOR, MOST_ROUNDS = 0.3, 60
"""What is quick is measured more often than it asks for: as often as it can be in so many seconds, up to so often."""

QUICK, MOST_TIMES = 2e-3, 50
"""A reference that takes less than so many seconds is called until it takes that long, up to so often, and what is
that quick is called once before: else it would be measured how much of it was still in the processor's cache."""


class Times(NamedTuple):
    """A reference that does another number of pieces of work at a call, because each takes so long."""

    work: Work
    per: int


@dataclass(frozen=True)
class Row:
    """One piece of work beside one reference: seconds apiece, and how many times as long ours takes."""

    work: str
    ours: float
    reference: str
    theirs: float
    ratio: float


def nothing() -> None:
    """What there is to prepare where there is nothing to prepare."""


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the quotients of what was measured side by side."""
    return statistics.median(quotients(ours, theirs))


def quotients(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """How many times as long each of ours took as its neighbour."""
    return [our / their for our, their in zip(ours, theirs, strict=True)]


def seconds(work: Work) -> float:
    """How long it takes, once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class Taken(NamedTuple):
    """Seconds by the clock, and by the processors of this process and of all its children that have ended."""

    clock: float
    processors: float


def taken(work: Work, times: int = 1) -> Taken:
    """What it takes once, if it is done so many times."""
    processors, clock = _processors(), time.perf_counter()
    for _ in range(times):
        work()
    return Taken((time.perf_counter() - clock) / times, (_processors() - processors) / times)


def _processors() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@contextmanager
def _without_collection() -> Iterator[None]:
    gc.collect()
    gc.freeze()  # what is there already is not looked at again between rounds
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


class Beside:
    """One benchmark of pytest-benchmark with its references; what comes of it goes into ``rows`` and extra_info.

    ``patience`` says how many times as many rounds are measured as were otherwise.
    """

    def __init__(self, benchmark: Any, rows: list[Row], patience: int = 1) -> None:
        self._benchmark = benchmark
        self._rows = rows
        self._patience = patience

    def __call__(
        self,
        name: str,
        ours: Work,
        references: Mapping[str, Work | Times | None],
        *,
        per: int = 1,
        fresh: Work = nothing,
        rounds: int = ROUNDS,
    ) -> None:
        """Measure ``ours`` and the references in turn, ``per`` pieces of work at a call; ``None`` is left out.

        ``fresh`` is called before each of them, untimed.
        """
        known = {
            label: each if isinstance(each, Times) else Times(each, per)
            for label, each in references.items()
            if each is not None
        }
        if self._benchmark.disabled:
            self._benchmark.pedantic(ours, setup=fresh)
            return
        theirs: dict[str, list[Taken]] = {label: [] for label in known}
        measured: list[Taken] = []

        def times(work: Work) -> int:
            """How often a call is repeated, told by its first time, which does not count."""
            fresh()
            once = seconds(work)
            return 1 if fresh is not nothing else min(MOST_TIMES, math.ceil(QUICK / once))

        def prepare(work: Work, often: int) -> None:
            fresh()
            gc.collect()
            if often > 1:
                work()

        with _without_collection():
            began = time.perf_counter()
            repeats, own = {label: times(work) for label, (work, _) in known.items()}, times(ours)
            quick = min(MOST_ROUNDS, math.ceil(TURNS_FOR / (time.perf_counter() - began)))

            def others_first() -> None:
                for label, (work, _) in known.items():
                    prepare(work, repeats[label])
                    theirs[label].append(taken(work, repeats[label]))
                prepare(ours, own)

            self._benchmark.pedantic(
                lambda: measured.append(taken(ours)),
                setup=others_first,
                rounds=max(rounds, quick) * self._patience,
            )
        info = self._benchmark.extra_info
        info |= {"work": name, "per": per, "ratios": {}, "by clock": {}, "by processors": {}}
        for label, (_, count) in known.items():
            pieces = [[each.clock / per for each in measured], [each.clock / count for each in theirs[label]]]
            info["by clock"][label] = quotients(*pieces)
            info["by processors"][label] = quotients(
                [each.processors / per for each in measured],
                [each.processors / count for each in theirs[label]],
            )
            our, their = map(statistics.median, pieces)
            row = Row(name, our, label, their, ratio(*pieces))
            self._rows.append(row)
            info["ratios"][label] = row.ratio


def table(rows: Sequence[Row]) -> list[str]:
    """The rows as text: each piece of work once, with a line for each of its references."""
    cells = [("work", "ours", "reference", "theirs", "ratio")]
    before = ""
    for row in rows:
        again = row.work == before
        before = row.work
        ours = "" if again else shown(row.ours)
        cells.append(("" if again else row.work, ours, row.reference, shown(row.theirs), f"{row.ratio:.3g}"))
    return aligned(cells, "<><>>")


def aligned(cells: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Lines of cells under one another, each column to its side."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            f"{text:{side}{width}}" for text, side, width in zip(line, sides, widths, strict=True)
        ).rstrip()
        for line in cells
    ]


def shown(span: float) -> str:
    """Seconds for a person."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if span >= size:
            return f"{span / size:.3g} {unit}"
    return f"{span / 1e-9:.3g} ns"
