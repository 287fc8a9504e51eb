"""What is decided about facts: every pass that is known, and whole policies, beside one comparison a subject."""

import dataclasses
import typing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from benchmarks import corpora, whole
from benchmarks.beside import Beside
from benchmarks.corpora import Corpus
from benchmarks.recordings import DAY
from benchmarks.test_survey import facts
from maint import selection
from maint.contract import Pass, Setting, known_passes
from maint.judge import Judge
from policies import Duration, PassOptions, Size
from store.facts import Leftover, Lock, Session
from store.layout import Moment, known_layouts

Subject = Session | Lock | Leftover

_WORDS = {Duration: "30d", Size: "100MB", int: "10"}
"""Something to write for each type of option that has no default."""

_ONE_COMPARISON = "one comparison a subject"


@pytest.fixture(scope="module")
def subjects(corpora_folder: Path, store: Corpus, sessions: int) -> dict[type[Subject], list[Subject]]:
    """Facts of every type, as many as there are sessions: those of the realistic store, and of all specimens."""
    found: dict[type[Subject], list[Subject]] = {Session: [], Lock: [], Leftover: []}
    found[Session] += [each for each in facts(store) if isinstance(each, Session)]
    for layout in known_layouts().values():
        corpus = corpora.multiplied(corpora_folder, layout, 100)
        listing = layout.discover(corpus.place, Moment(corpus.at, DAY))
        found[Lock] += listing.locks
        found[Leftover] += listing.leftovers
    return {kind: (some * (sessions // len(some) + 1))[:sessions] for kind, some in found.items()}


def options_of(pass_: Pass, folder: Path) -> PassOptions:
    """The pass's options with everything that must be said about them."""
    types = typing.get_type_hints(pass_.options_type)
    given = [
        f"{field.name}: {_WORDS[types[field.name]]}"
        for field in dataclasses.fields(pass_.options_type)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    path = folder / "policy.yaml"
    path.write_text(f"version: 1\npasses: [{pass_.name}: {{{', '.join(given)}}}]\n")
    return selection.load(str(path)).passes[0]


@pytest.mark.parametrize("name", known_passes())
def test_pass(
    beside: Beside,
    tmp_path: Path,
    store: Corpus,
    subjects: dict[type[Subject], list[Subject]],
    sessions: int,
    name: str,
) -> None:
    pass_ = known_passes()[name]
    some = subjects[pass_.subject]
    judge = pass_.bind(options_of(pass_, tmp_path), Setting(store.at, ZoneInfo("UTC")))

    def ours() -> None:
        for subject in some:
            judge(subject)

    references = {_ONE_COMPARISON: lambda: compare(some, store.at)}
    beside(f"verdicts of {name}, {pass_.subject.__name__.lower()}s", ours, references, per=sessions)


@pytest.mark.parametrize(
    ("what", "passes"), [("the default passes", whole.TIDYING), ("keep rules", whole.KEEPING)]
)
def test_policy(
    beside: Beside,
    tmp_path: Path,
    store: Corpus,
    subjects: dict[type[Subject], list[Subject]],
    sessions: int,
    what: str,
    passes: tuple[str, ...],
) -> None:
    policy = selection.load(str(whole.policy_file(tmp_path / "policy.yaml", store, passes)))
    judge = Judge(policy, known_passes(), "bench", store.at)
    some = [each for each in subjects[Session] if isinstance(each, Session)]

    def ours() -> None:
        for session in some:
            if judge.protection(session) is None:
                judge.claim(session)

    references = {_ONE_COMPARISON: lambda: compare(some, store.at)}
    beside(f"judging by a policy, {what}", ours, references, per=sessions)


def compare(some: typing.Sequence[Subject], threshold: float) -> None:
    """The least that a verdict takes: a call, and one comparison."""

    def is_old(subject: Subject) -> bool:
        return subject.last_changed > threshold

    for subject in some:
        is_old(subject)
