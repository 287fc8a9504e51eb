"""Reading whole stores: every layout that is known, in one process, beside the same calls in C and a line loop."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import corpora, recordings
from benchmarks.beside import Beside
from benchmarks.corpora import Corpus
from benchmarks.floor import Floor
from benchmarks.test_primitives import read_lines
from store.facts import Problem, Session
from store.layout import Layout, Moment, known_layouts

OTHERS = 5
"""One in so many sessions is enough of the other kinds: theirs are several files each, and most bytes are not read."""


def facts(corpus: Corpus) -> Iterator[Session | Problem]:
    """Everything that a survey reads of a store."""
    layout, place = corpus.layout, corpus.place
    listing = layout.discover(place, Moment(corpus.at, recordings.DAY))
    return layout.read(place, listing.context, listing.entries)


def beside_the_others(beside: Beside, floor: Floor | None, name: str, corpus: Corpus, sessions: int) -> None:
    def ours() -> None:
        for _ in facts(corpus):
            pass

    def in_c() -> None:
        assert floor is not None
        for path in corpus.paths.values():
            floor.bind("survey", path)()

    def by_hand() -> None:
        for path in corpus.paths.values():
            for above, _, files in os.walk(path):
                for file in files:
                    read_lines(Path(above, file))

    references = {
        "both ends of every file, in C": None if floor is None else in_c,
        "a line loop with json": by_hand,
    }
    beside(name, ours, references, per=sessions, rounds=3)


@pytest.mark.parametrize("layout", known_layouts().values(), ids=lambda layout: layout.kind)
def test_survey_of_specimens(
    beside: Beside, floor: Floor | None, corpora_folder: Path, sessions: int, layout: Layout
) -> None:
    corpus = corpora.multiplied(corpora_folder, layout, sessions)
    beside_the_others(beside, floor, f"survey of {layout.kind}, a session of its specimens", corpus, sessions)


@pytest.mark.parametrize("kind", corpora.REALISTIC)
def test_survey_of_a_realistic_store(
    beside: Beside, floor: Floor | None, corpora_folder: Path, sessions: int, kind: str
) -> None:
    count = sessions if kind == "rec" else max(1, sessions // OTHERS)
    corpus = corpora.realistic(corpora_folder, count, kind=kind)
    beside_the_others(beside, floor, f"survey of {kind}, a session of a realistic store", corpus, count)
