"""Measuring something beside its references, turn by turn, so that what disturbs one disturbs the others too.

What counts is the ratio: the median of the quotients of neighbours.
Times are shown for orientation; they are this machine's, at that moment.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Work = Callable[[], object]

ROUNDS = 7


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
    return statistics.median(our / their for our, their in zip(ours, theirs, strict=True))


def seconds(work: Work) -> float:
    """How long it takes, once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class Beside:
    """One benchmark of pytest-benchmark with its references; what comes of it goes into ``rows`` and extra_info."""

    def __init__(self, benchmark: Any, rows: list[Row]) -> None:
        self._benchmark = benchmark
        self._rows = rows

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
        theirs: dict[str, list[float]] = {label: [] for label in known}

        def others_first() -> None:
            for label, (work, count) in known.items():
                fresh()
                theirs[label].append(seconds(work) / count)
            fresh()
            gc.collect()

        self._benchmark.pedantic(ours, setup=others_first, rounds=rounds, warmup_rounds=1)
        if self._benchmark.disabled:
            return
        times = [each / per for each in self._benchmark.stats.stats.data]
        info = self._benchmark.extra_info
        info["work"], info["per"], info["ratios"] = name, per, {}
        for label, (_, *warm) in theirs.items():
            row = Row(name, statistics.median(times), label, statistics.median(warm), ratio(times, warm))
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
