"""The pictures themselves; matplotlib is imported by `prepare`, and by nothing else."""

import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

OURS, THEIRS, OTHERS, INK = "#0b6e99", "#b5651d", "#b8bec4", "#30363b"
PALE = "#8cc0d6"

NAMED = 6
"""How many subjects have a name in the history: those that changed most."""

TICKS = 5
"""How many of the checks have their date below them, at most."""

_LEAST = 0.01  # of the whole: a shorter phase is not drawn by itself

_STYLE = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 14,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that a picture is the same everywhere
    "font.size": 10,
    "lines.linewidth": 2,
    "svg.hashsalt": "maint",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

_matplotlib: Any = None
_pyplot: Any = None


def prepare() -> None:
    """Get ready to draw without a screen; ImportError where matplotlib is not installed."""
    global _matplotlib, _pyplot  # noqa: PLW0603  who only measures goes without it
    _matplotlib = importlib.import_module("matplotlib")
    _matplotlib.use("agg")
    _pyplot = importlib.import_module("matplotlib.pyplot")
    _matplotlib.rcParams.update(_matplotlib.rcParamsDefault | {"backend": "agg"} | _STYLE)


def save(figure: Any, path: Path) -> None:
    """Write a picture without anything that tells when, or by which version, it was drawn."""
    metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    figure.savefig(path, dpi=160, metadata=metadata)
    _pyplot.close(figure)


def cost(records: Sequence[Mapping[str, Any]]) -> Any:
    """Seconds against sessions, both on scales of powers of ten."""
    figure, axes = _pyplot.subplots(figsize=(7, 4.2))
    axes.set(xscale="log", yscale="log", xlabel="sessions in the store", ylabel="time of the whole process")
    axes.set_title("maint plan, beside the same reads in C")
    for key, label, colour in (
        ("plan", "maint plan", OURS),
        ("floor", "both ends of\nevery file, in C", THEIRS),
    ):
        points = sorted((each["sessions"], each[key]) for each in records if key in each)
        if not points:
            continue
        counts, seconds = zip(*points, strict=True)
        axes.plot(counts, seconds, color=colour, marker="o", markersize=5)
        axes.annotate(
            f"{label}\n{_span(seconds[-1])}",
            (counts[-1], seconds[-1]),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
        above = key == "plan"
        for count, taken in points[:-1]:
            axes.annotate(
                _span(taken),
                (count, taken),
                xytext=(0, 8 if above else -8),
                textcoords="offset points",
                ha="center",
                va="bottom" if above else "top",
                fontsize=8,
                color=colour,
            )
    axes.margins(x=0.08, y=0.14)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: _span(value))
    axes.yaxis.set_minor_formatter(_matplotlib.ticker.NullFormatter())
    axes.grid(visible=True, color="#e6e8ea", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure


def phases(records: Sequence[Mapping[str, Any]]) -> Any:
    """Bars for the phases of a run, in order, and for the passes, by what was done for them."""
    profile = records[-1]
    named, rest = _worth_showing({each["phase"]: each["seconds"] for each in profile["phases"]})
    passes = {name: _work(done) for name, done in profile.get("passes", {}).items()}
    height = 1.9 + 0.34 * (len(named) + len(passes))
    figure, (above, below) = _pyplot.subplots(
        2, figsize=(7, height), height_ratios=[max(len(named), 1), max(len(passes), 1)]
    )
    figure.get_layout_engine().set(h_pad=0.12)
    whole = sum(named.values()) + rest
    above.set_title(f"A sweep of {profile.get('sessions', 0):,} sessions: {_span(whole)}, by phase")
    rows = [*named.items()] + ([("everything else", rest)] if rest else [])
    bars = above.barh([name for name, _ in rows], [taken for _, taken in rows], color=OURS, height=0.66)
    texts = [f"{_span(taken)}, {taken / whole:.0%}" for _, taken in rows]
    above.bar_label(bars, texts, padding=5, fontsize=9)
    below.set_title("By pass, all processes together")
    left = dict.fromkeys(passes, 0.0)
    kinds = [kind for kind in ("judging", "changing") if any(kind in work for work in passes.values())]
    kinds += sorted({kind for work in passes.values() for kind in work} - set(kinds))
    for kind, colour in zip(kinds, (PALE, OURS, THEIRS, OTHERS), strict=False):
        widths = [passes[name].get(kind, 0.0) for name in passes]
        below.barh(list(passes), widths, left=list(left.values()), color=colour, height=0.66, label=kind)
        left = {name: left[name] + width for name, width in zip(passes, widths, strict=True)}
    for name, taken in left.items():
        below.annotate(
            _span(taken), (taken, name), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9
        )
    if kinds:
        below.legend(frameon=False, loc="lower right", fontsize=9)
    for axes in (above, below):
        axes.invert_yaxis()
        axes.margins(x=0.22)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xticks([])
    return figure


def history(records: Sequence[Mapping[str, Any]]) -> Any:
    """The ratio of each subject, beside what it was at first; those that changed most have names."""
    series: dict[str, list[tuple[int, float]]] = {}
    for number, check in enumerate(records):
        for subject, value in check["ratios"].items():
            series.setdefault(subject, []).append((number, value))
    lines = {
        subject: [(number, value / points[0][1]) for number, value in points]
        for subject, points in series.items()
        if len(points) > 1
    }
    changed = sorted(lines, key=lambda subject: abs(math.log(lines[subject][-1][1])), reverse=True)
    figure, axes = _pyplot.subplots(figsize=(8, 4.6))
    axes.set_yscale("log")
    axes.set_title("Accepted ratios, of the first accepted ones: below 1 is faster")
    colours = (OURS, THEIRS, "#5b8c3e", "#8a4f9e", "#c2453d", "#6b7078")
    for subject in reversed(changed):
        rank = changed.index(subject)
        numbers, values = zip(*lines[subject], strict=True)
        colour = colours[rank] if rank < NAMED else OTHERS
        axes.plot(
            numbers, values, color=colour, linewidth=2 if rank < NAMED else 0.8, zorder=2 + (rank < NAMED)
        )
    ends = _apart([(lines[subject][-1][1], subject) for subject in changed[:NAMED]])
    for place, subject in ends:
        number, value = lines[subject][-1]
        axes.annotate(
            f"{value:.2f}  {subject}",
            (number, value),
            xytext=(len(records) - 1 + 0.02 * len(records), place),
            textcoords="data",
            va="center",
            fontsize=8,
            color=colours[changed.index(subject)],
            annotation_clip=False,
        )
    axes.axhline(1, color=INK, linewidth=0.8)
    shown = range(0, len(records), -(-len(records) // TICKS))
    names = [f"{records[at]['date'][:10]}\n{records[at].get('commit') or ''}" for at in shown]
    axes.set_xticks(shown, names, fontsize=8)
    axes.set_ylabel("ratio now, of the first accepted")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    axes.tick_params(axis="y", which="both", labelsize=8)
    return figure


def _worth_showing(taken: Mapping[str, float]) -> tuple[dict[str, float], float]:
    """The phases that took a hundredth of the time, and the rest together."""
    whole = sum(taken.values())
    named = {name: seconds for name, seconds in taken.items() if seconds >= _LEAST * whole}
    return named, whole - sum(named.values())


def _work(done: Any) -> dict[str, float]:
    """Seconds of each kind of work for a pass; a bare number is all of it."""
    if not isinstance(done, Mapping):
        return {"all": float(done)}
    return {
        kind: float(each["seconds"] if isinstance(each, Mapping) else each) for kind, each in done.items()
    }


def _apart(ends: Sequence[tuple[float, str]], least: float = 1.06) -> list[tuple[float, str]]:
    """Labels on a logarithmic scale, moved up until none lies on another."""
    placed: list[tuple[float, str]] = []
    for value, subject in sorted(ends):
        place = max(value, placed[-1][0] * least) if placed else value
        placed.append((place, subject))
    return placed


def _span(seconds: float) -> str:
    """Seconds for a person."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
