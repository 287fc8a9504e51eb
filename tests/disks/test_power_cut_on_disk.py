"""The power is cut on real file systems, with real journals, and every record is still there.

A run is killed at one of its calls, the file system is kept from writing anything more, and mounted again.
How many points are tried is in `tried`.
"""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_systems import BY_NAME, JOURNALLED
from images import Loss, require
from real_cuts import Cuts, Point
from stories import STORIES
from test_power_cut import folder
from tried import LONG, Tally, at_most, some

__all__ = ["folder"]

SHORT = {
    "ext4": ("rec: sweep", "rec: archive", "opendev: archive"),
    "xfs": ("rec: undo",),
    "btrfs": ("rec: archive", "opendev: bring back what was written to in the trash"),
}
MOST = at_most(5, 20)


@pytest.mark.parametrize(
    ("file_system", "story"),
    [(each.name, story) for each in JOURNALLED for story in STORIES]
    if LONG
    else [(name, story) for name, stories in SHORT.items() for story in stories],
)
def test_power_cut_on_a_disk_loses_nothing(file_system: str, story: str, folder: Path, tally: Tally) -> None:
    require("strace", "zstd", "tar")
    found: Counter[str] = Counter()
    with Cuts.of(STORIES[story], BY_NAME[file_system], folder) as cuts:
        points = list(every_point(cuts))
        tried = some(points, MOST)
        for point in tried:
            if (why := cuts.wrong(point)) is not None:
                found[f"{point}: {why}"] += 1
    tally("power cut on a disk", file_system, len(tried), there_are=len(points), wrong=found.total())
    assert not found, "\n".join(found)


def every_point(cuts: Cuts) -> Iterator[Point]:
    """Each call with each loss, every other one with a second cut during the sweep that comes after."""
    draw = random.Random(len(cuts.calls))
    for loss in Loss:
        for at, call in enumerate([None, None, *cuts.calls]):
            again = draw.choice(cuts.calls) if at % 2 else None
            yield Point(call, loss, again, (draw.randrange(2), draw.randrange(2)))
