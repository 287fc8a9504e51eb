"""What a corpus holds, counted: states and ailments in shares, sizes, ages, and how heavy its tail is."""

import argparse
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import corpora
from benchmarks.beside import aligned
from benchmarks.corpora import Corpus
from benchmarks.promises import megabytes
from benchmarks.recordings import DAY
from store.facts import Problem
from store.layout import Moment

PERCENTILES = (10, 50, 90, 99)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build a realistic store unless it is there, and print what is in it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.corpora", description="Build a realistic store, and count what is in it."
    )
    parser.add_argument("--kind", choices=sorted(corpora.REALISTIC), default="rec")
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpora", type=Path, default=corpora.cache_folder(), metavar="DIR")
    given = parser.parse_args(arguments)
    corpus = corpora.realistic(given.corpora, given.sessions, given.seed, given.kind)
    print(corpus.folder)
    for line in counted(corpus):
        print(line)
    return 0


class Census(NamedTuple):
    """How often each state is, and what else there is; the bytes of all sessions, and days since they ended."""

    states: Counter[str]
    others: Counter[str]
    sizes: list[int]
    ages: list[float]


def census(corpus: Corpus) -> Census:
    """By a survey, as a plan makes one."""
    place, layout = corpus.place, corpus.layout
    listing = layout.discover(place, Moment(corpus.at, DAY))
    found = Census(Counter(), Counter(), [], [])
    found.others["locks"] += len(listing.locks)
    found.others["leftovers"] += len(listing.leftovers)
    found.others["indexes"] += len(listing.indexes)
    found.others["problems"] += len(listing.problems)
    for session in layout.read(place, listing.context, listing.entries):
        if isinstance(session, Problem):
            found.others["problems"] += 1
            continue
        found.states[f"{session.state}{', empty' if session.empty else ''}"] += 1
        found.sizes.append(session.bytes)
        found.ages.append((corpus.at - session.ended) / DAY)
    return found


def counted(corpus: Corpus) -> list[str]:
    """The census as lines of text."""
    states, others, sizes, ages = census(corpus)
    return [
        f"{len(sizes)} sessions, {megabytes(sum(sizes))}",
        f"the largest hundredth holds {tail(sizes):.0%} of all bytes",
        *aligned(
            [(name, str(count), f"{count / len(sizes):.2%}") for name, count in states.most_common()], "<>>"
        ),
        *aligned([(name, str(count), "") for name, count in others.most_common() if count], "<><"),
        f"bytes a session: {_percentiles(sizes)}, at most {max(sizes):,}",
        f"days since it ended: {_percentiles(ages)}",
    ]


def tail(sizes: Sequence[int]) -> float:
    """The share of all bytes that the largest hundredth holds."""
    return sum(sorted(sizes)[-max(1, len(sizes) // 100) :]) / sum(sizes)


def _percentiles(values: Sequence[float]) -> str:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return ", ".join(f"{each} % up to {cuts[each - 1]:,.0f}" for each in PERCENTILES)
