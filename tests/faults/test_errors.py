"""Every call that changes something fails, once or from then on: nothing is lost, and what was not done is said.

How many points are tried is in `tried`.
"""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from errors import points, wrong
from stories import STORIES
from test_power_cut import folder
from tried import LONG, Tally, at_most, some

__all__ = ["folder"]

SHORT = ("rec: sweep", "rec: archive", "rec: undo")
MOST = at_most(30, 200)

pytestmark = pytest.mark.skipif(
    any(shutil.which(each) is None for each in ("strace", "zstd", "tar")),
    reason="there is no strace to have calls fail with, or no zstd or tar to look into packs",
)


@pytest.mark.parametrize("story", list(STORIES) if LONG else SHORT)
def test_error_at_any_call_loses_nothing_and_is_told(story: str, folder: Path, tally: Tally) -> None:
    told = STORIES[story]
    every, done = points(told, folder)
    tried = some(every, MOST)
    found: Counter[str] = Counter()
    for point in tried:
        world = told.build(folder / "world")
        if (why := wrong(told, world, point, done)) is not None:
            found[f"{' '.join(map(str, point))}: {why}"] += 1
        shutil.rmtree(world.folder)
    tally("failing calls", story, len(tried), there_are=len(every), wrong=found.total())
    assert not found, "\n".join(found)
