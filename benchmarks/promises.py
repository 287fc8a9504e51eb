"""What was measured beside what is promised, for a table and an exit code."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.beside import aligned, ratio, shown

NOT_MEASURED = "not measured: "

_KEPT = {None: "", True: "yes", False: "NO"}


class Figure(NamedTuple):
    """One line of the table; ``kept`` is ``None`` where nothing is promised."""

    measure: str
    ours: str
    reference: str = ""
    ratio: str = ""
    promise: str = ""
    kept: bool | None = None


def times(
    measure: str, ours: Sequence[float], theirs: Sequence[float], *, most: float | None = None
) -> Figure:
    """Seconds that were measured side by side: the medians, and the median of the quotients."""
    quotient = ratio(ours, theirs)
    return Figure(
        measure, shown(statistics.median(ours)), shown(statistics.median(theirs)), *_judged(quotient, most)
    )


def sizes(measure: str, ours: float, theirs: float, *, most: float | None = None) -> Figure:
    """Bytes of ours and theirs."""
    return Figure(measure, megabytes(ours), megabytes(theirs), *_judged(ours / theirs, most))


def memory(measure: str, ours: float, *, most: float) -> Figure:
    """Bytes of memory, of which there may be less than so many."""
    return Figure(measure, megabytes(ours), promise=f"< {megabytes(most)}", kept=ours < most)


def count(measure: str, ours: float, *, most: float) -> Figure:
    """A number, of which there may be at most so many."""
    return Figure(measure, f"{ours:,.2f}", promise=f"<= {most:,g}", kept=ours <= most)


def unknown(measure: str, why: str, promise: str = "") -> Figure:
    """What could not be measured here, said aloud."""
    return Figure(measure, NOT_MEASURED + why, promise=promise)


def within(measure: str, ours: Sequence[float], theirs: Sequence[float], *, most: float) -> Figure:
    """Seconds beyond what a reference takes side by side, of which there may be at most so many."""
    beyond = statistics.median(our - their for our, their in zip(ours, theirs, strict=True))
    return Figure(
        measure,
        shown(statistics.median(ours)),
        shown(statistics.median(theirs)),
        f"{beyond * 1e3:+.0f} ms",
        f"<= +{most * 1e3:.0f} ms",
        beyond <= most,
    )


def under(measure: str, ours: Sequence[float], theirs: Sequence[float], *, most: float) -> Figure:
    """Seconds of which the median must be below so many, whatever the reference takes."""
    middle = statistics.median(ours)
    return Figure(
        measure,
        shown(middle),
        shown(statistics.median(theirs)),
        f"{ratio(ours, theirs):.3g}",
        f"< {shown(most)}",
        middle < most,
    )


def table(figures: Sequence[Figure]) -> list[str]:
    """The figures as text."""
    cells = [("measure", "ours", "reference", "ratio", "promise", "kept")]
    cells += [(*figure[:5], _KEPT[figure.kept]) for figure in figures]
    return aligned(cells, "<>>>>>")


def markdown(figures: Sequence[Figure]) -> list[str]:
    """The figures as a table for a README."""
    lines = [
        "| measured | ours | beside | ratio | promised | kept |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in figures:
        cells = (*(cell.strip().replace("|", "beside") for cell in each[:5]), _KEPT[each.kept])
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def broken(figures: Sequence[Figure]) -> bool:
    """Whether a promise is."""
    return any(figure.kept is False for figure in figures)


def megabytes(size: float) -> str:
    return f"{size / 1e6:.3g} MB" if size < 1e8 else f"{size / 1e6:.0f} MB"


def _judged(quotient: float, most: float | None) -> tuple[str, str, bool | None]:
    """A quotient, the promise about it, and whether that is kept."""
    if most is None:
        return f"{quotient:.3f}", "", None
    return f"{quotient:.3f}", f"<= {most:.3g}", quotient <= most
