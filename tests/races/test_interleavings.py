"""Somebody comes in between, in every gap of every verb, and nothing is lost of what there was or of what he wrote.

How many interleavings are tried is in `tried`.
"""

import random
import shutil
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from actors import ACTORS
from gaps import Gap, whole
from interleaving import IDLE, Point, interleaved
from stories import STORIES
from test_power_cut import folder
from tried import LONG, Tally, at_most

__all__ = ["folder"]

NEEDED = pytest.mark.skipif(
    any(shutil.which(each) is None for each in ("strace", "zstd", "tar")),
    reason="there is no strace to stop a run with, or no zstd or tar to look into packs",
)
pytestmark = NEEDED

SHORT = (
    "rec: sweep",
    "rec: undo",
    "rec: archive",
    "rec: restore an archive",
    "rec: archive as files",
    "opendev: archive",
    "outrig: sweep",
)
MOST = at_most(4, 84)
"""Interleavings a verb."""


@pytest.mark.parametrize("story", STORIES if LONG else SHORT)
def test_whoever_comes_in_between_loses_nothing(story: str, folder: Path, tally: Tally) -> None:
    told = STORIES[story]
    found: Counter[str] = Counter()
    run = whole(told, folder)
    points = mixed(story, run.gaps)
    for point in points:
        if found.total() == MOST:
            break
        found[interleaved(told, folder, point, run.ends) or "nothing"] += 1
        found.pop(IDLE, None)
    wrong = [why for why in found if why != "nothing"]
    tally("come in between", story, found.total(), there_are=len(points), wrong=len(wrong))
    assert not wrong, "\n".join(wrong)
    assert found.total() > 0


def mixed(story: str, gaps: list[Gap]) -> list[Point]:
    """All interleavings, always in the same order: first come as many from where the run acts as from before."""
    dice = random.Random(story)
    early, acting = (
        [Point(gap, actor) for gap in gaps if gap.acting is acts for actor in ACTORS]
        for acts in (False, True)
    )
    dice.shuffle(early)
    dice.shuffle(acting)
    both = min(len(early), len(acting))
    return [*chain(*zip(early, acting, strict=False)), *early[both:], *acting[both:]]
