"""Every call that changes something fails, once or from then on: nothing is lost, and what was not done is said.

`MAINT_FAULTS` is as in `test_power_cut`.
"""

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from errors import points, wrong
from stories import STORIES
from test_power_cut import FAULTS, folder

__all__ = ["folder"]

SHORT = ("rec: sweep", "rec: archive", "rec: undo")
MOST = None if FAULTS == "all" else int(FAULTS or 30)

pytestmark = pytest.mark.skipif(
    any(shutil.which(each) is None for each in ("strace", "zstd", "tar")),
    reason="there is no strace to have calls fail with, or no zstd or tar to look into packs",
)


@pytest.mark.parametrize("story", list(STORIES) if FAULTS else SHORT)
def test_error_at_any_call_loses_nothing_and_is_told(story: str, folder: Path) -> None:
    told = STORIES[story]
    every, done = points(told, folder)
    tried = every if MOST is None or len(every) <= MOST else random.Random(len(every)).sample(every, MOST)
    found: Counter[str] = Counter()
    for point in tried:
        world = told.build(folder / "world")
        if (why := wrong(told, world, point, done)) is not None:
            found[f"{' '.join(map(str, point))}: {why}"] += 1
        shutil.rmtree(world.folder)
    print(f"\n{story}: {len(every)} points, {len(tried)} tried, {found.total()} wrong")
    assert not found, "\n".join(found)
