"""What every row of the table is given, and the figures that most of them give."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import corpora, promises, whole
from benchmarks.corpora import Corpus
from benchmarks.floor import Floor
from benchmarks.promises import Figure
from benchmarks.whole import Spent


class Ground(NamedTuple):
    """Where and how thoroughly to measure; ``scratch`` is a folder for what is used up."""

    corpora: Path
    scratch: Path
    floor: Floor
    sessions: int
    pairs: int
    giant: int

    def realistic(self, sessions: int) -> Corpus:
        say(f"  a store of {sessions:,}")
        return corpora.realistic(self.corpora, sessions)

    def alike(self, sessions: int, state: str, commands: int | None = None) -> Corpus:
        say(f"  a store of {sessions:,}, all of them {state}")
        return corpora.alike(self.corpora, sessions, state, commands)

    def plan(self, corpus: Corpus, passes: Sequence[str] = whole.TIDYING, *more: str) -> tuple[str, ...]:
        """The arguments that plan for a corpus at its moment."""
        policy = self.scratch / f"{corpus.folder.parent.name}-{len(passes)}.yaml"
        whole.policy_file(policy, corpus, passes)
        return (*whole.plan(policy, corpus.at), *more)


Row = Callable[[Ground], list[Figure]]


def compared(
    measure: str, ours: Sequence[Spent], theirs: Sequence[Spent], *, most: float | None = None
) -> list[Figure]:
    """By the clock, about which something may be promised, and by the processors."""
    return [
        promises.times(measure, [each.clock for each in ours], [each.clock for each in theirs], most=most),
        promises.times(
            "  by the processors", [each.processors for each in ours], [each.processors for each in theirs]
        ),
    ]


def each(spent: Sequence[Spent], count: int) -> list[Spent]:
    """The same for one of so many."""
    return [Spent(one.clock / count, one.processors / count) for one in spent]


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)
