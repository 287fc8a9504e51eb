"""What the harnesses have found, each by itself: how it was lost, or went unsaid, and does so no more."""

import os
import shutil
from pathlib import Path

import cuts
import pytest
from replay import Replay
from states import Model
from stories import STORIES, alone
from test_power_cut import folder
from tracing import run_traced

__all__ = ["folder"]

pytestmark = pytest.mark.skipif(
    any(shutil.which(each) is None for each in ("strace", "zstd", "tar")),
    reason="there is no strace to follow calls with, or no zstd or tar to look into packs",
)

SAMPLE = 40
"""States that are swept of each; more are only looked at elsewhere."""


@pytest.mark.parametrize("model", cuts.MODELS)
@pytest.mark.parametrize("story", ["rec: restore many", "rec: undo an archive of many"])
def test_session_that_comes_back_is_whole_when_it_has_its_name(
    story: str, model: Model, folder: Path
) -> None:
    """Names came before bytes: one of the right length and time, full of zeros, passed for the session."""
    replay = Replay.of(STORIES[story], folder)
    states = list(replay.states(replay.recording, cuts.cuts(replay.recording, [model])))
    wrong = [
        f"{why}: {cut.told(replay.recording.steps)}"
        for cut, state in states[:: max(1, len(states) // SAMPLE)]
        if (why := replay.wrong(replay.recording, cut, state)) is not None
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "story",
    [
        "opendev: archive payloads",
        "opendev: restore from the trash",
        "opendev: bring back what was written to in the trash",
    ],
)
def test_what_a_run_did_below_the_roots_is_done_when_it_ends(story: str, folder: Path) -> None:
    """The run asked its trash which folders to sync, and that was empty and gone by then; or it did not sync at all."""
    replay = Replay.of(STORIES[story], folder)
    last = len(replay.recording.steps)
    ends = (cut for cut in cuts.cuts(replay.recording, ["minimal"]) if cut.at == last)
    wrong = [
        f"{why}: {cut.told(replay.recording.steps)}"
        for cut, state in replay.states(replay.recording, ends)
        if (why := replay.wrong_at_once(replay.recording, cut, state)) is not None
    ]
    assert wrong == []


def test_file_that_stays_when_its_making_is_taken_back_is_told_of(tmp_path: Path) -> None:
    """The undo ended with 0, and nobody was told that the compressed file stays beside the session."""
    story = STORIES["rec: undo files"]
    world = story.build(tmp_path)
    inject = ["-o", os.devnull, "-e", "trace=renameat2", "-e", "inject=renameat2:error=EACCES:when=6"]
    with alone():
        code, said = run_traced(world, story.arguments(world), inject)
    assert list(world.sessions.glob("*.zst")) != []
    assert (code, "stays beside it" in said) == (1, True)
