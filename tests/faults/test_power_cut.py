"""The power is cut at every moment of every verb, and every record is still there.

How many states are tried is in `tried`.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cuts
import pytest
from explained import why_not_found
from mutants import Mutant, mutants, never
from replay import Replay
from stories import STORIES
from tried import LONG, Tally, at_most, some

SHORT = (
    "rec: sweep",
    "rec: undo",
    "rec: archive",
    "rec: compact",
    "rec: restore an archive",
    "snapshots: sweep",
    "opendev: archive",
)
MOST = at_most(40, 230)
"""States a verb."""

MUTATED = (
    "rec: sweep",
    "rec: undo",
    "rec: archive",
    "rec: undo an archive",
    "rec: restore an archive",
    "rec: compact",
    "rec: archive as files",
)
A_MUTANT = at_most(8, 8)
"""States in which a planted bug may show."""

pytestmark = pytest.mark.skipif(
    any(shutil.which(each) is None for each in ("strace", "zstd", "tar")),
    reason="there is no strace to record a run with, or no zstd or tar to look into packs",
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory if there is one: what outlives a power cut is computed here, and no disk need be waited for."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made)


@pytest.mark.parametrize("story", STORIES if LONG else SHORT)
def test_power_cut_at_any_moment_loses_nothing(story: str, folder: Path, tally: Tally) -> None:
    replay = Replay.of(STORIES[story], folder)
    found: Counter[str] = Counter()
    states = list(replay.states(replay.recording, cuts.cuts(replay.recording)))
    tried = some(states, MOST)
    for cut, state in tried:
        if (why := replay.wrong(replay.recording, cut, state)) is not None:
            found[f"{why}\n    {cut.told(replay.recording.steps)}"] += 1
    tally("power cut", story, len(tried), there_are=len(states), wrong=found.total())
    assert not found, "\n".join(found)


@pytest.mark.parametrize("story", MUTATED if LONG else MUTATED[:1])
def test_every_planted_bug_is_found_or_explained(story: str, folder: Path, tally: Tally) -> None:
    replay = Replay.of(STORIES[story], folder)
    every = list(mutants(replay.recording))
    planted = {mutant.what: mutant for mutant in every}
    told = {what: is_found(replay, mutant) for what, mutant in planted.items()}
    harmless = {at for what, how in told.items() if how != "found" for at in planted[what].without}
    for what, how in told.items():
        mutant = planted[what]
        all_of_it = never(every, mutant.without) if len(mutant.without) == 1 else None
        if how != "not found":
            continue
        if why_not_found(story, what) is not None:
            told[what] = "explained"
        elif all_of_it is not None and told[all_of_it.what] == "found":
            told[what] = "another sync does its work"
        elif " before " in what and harmless.issuperset(mutant.without) and mutant.without:
            told[what] = "that sync is not needed anyway"
    left = [what for what, how in told.items() if how == "not found"]
    for how, many in Counter(told.values()).items():
        tally(f"planted bugs: {how}", story, many, wrong=many if how == "not found" else 0)
    assert not left, "\n".join(left)
    assert Counter(told.values())["found"] > 5


def is_found(replay: Replay, mutant: Mutant) -> str:
    """Whether a planted bug shows in one of its states; those that the run as it is may leave are none of them."""
    replay.know()
    states = list(replay.states(mutant.recording, cuts.cuts(mutant.recording)))
    if not states:
        return "no disk can tell"
    many = some(states, A_MUTANT and 20 * A_MUTANT)  # looking is cheap, and shows most of it
    if any(replay.wrong_at_once(mutant.recording, cut, state) for cut, state in many):
        return "found"
    found = any(replay.wrong(mutant.recording, cut, state) for cut, state in some(states, A_MUTANT))
    return "found" if found else "not found"
