"""Stores on disks that cannot be written to, from the beginning or from the middle of a run on.

What only looks still works; what would change something says that it cannot, and loses nothing.
How many points are tried is in `tried`.
"""

from collections import Counter
from pathlib import Path

import pytest
from file_systems import BY_NAME
from hindered import Hindered, Hindrance
from images import require
from small_disks import OnImage
from stories import STORIES
from test_power_cut import folder
from tried import LONG, Tally, at_most, some

__all__ = ["folder"]

LOOKS = (["plan"], ["status"], ["list"], ["list", "--archived"], ["log"], ["verify"])
NAMES = ("ext4", "xfs", "btrfs")
SHORT = {"ext4": ("rec: archive once more", "opendev: sweep"), "xfs": ("rec: undo",)}
ALL = [(name, story) for name in NAMES for story in STORIES]
SOME = [(name, story) for name, stories in SHORT.items() for story in stories]
MOST = at_most(3, 10)
"""Points of a verb."""
MIDWAY = [
    (how, name, story)
    for name, story in (ALL if LONG else SOME)
    for how in {"ext4": ("breaks", "is gone"), "xfs": ("is gone",)}.get(name, ())
]


@pytest.mark.parametrize(("name", "story"), ALL if LONG else SOME)
def test_read_only_disk_is_told_of_and_can_be_looked_at(
    name: str, story: str, folder: Path, tally: Tally
) -> None:
    require("zstd", "tar")
    with OnImage.new(STORIES[story], BY_NAME[name], folder) as disk:
        world = disk.fresh()
        arguments = STORIES[story].arguments(world)
        before = [world.maint(*look) for look in LOOKS]
        disk.image.remount("ro")
        looks = [world.maint(*look) for look in LOOKS]
        answer = world.maint(*arguments)
    tally("read-only disk", name, len(LOOKS) + 1)
    assert looks == before
    assert (answer.code in {1, 74}, "read-only" in answer.err.lower(), "Traceback" in answer.err) == (
        True,
        True,
        False,
    ), answer


@pytest.mark.parametrize(("how", "name", "story"), MIDWAY)
def test_disk_that_is_written_to_no_more_loses_nothing(
    how: str, name: str, story: str, folder: Path, tally: Tally
) -> None:
    """A file system that finds itself broken is read-only from then on; a disk that is gone answers nothing."""
    require("strace", "zstd", "tar", "e2fsck")
    found: Counter[str] = Counter()
    with OnImage.new(STORIES[story], BY_NAME[name], folder) as disk:
        hindered = Hindered(disk, STORIES[story], folder)
        begin = disk.image.break_down if how == "breaks" else disk.image.shut_down
        hindrance = Hindrance(lambda _: begin(), lambda _: disk.image.start_again())
        points = hindered.calls
        tried = some(points, MOST)
        for call in tried:
            if (why := hindered.wrong_midway(call, hindrance)) is not None:
                found[f"{call}: {why}"] += 1
    tally(f"disk {how}", name, len(tried), there_are=len(points), wrong=found.total())
    assert not found, "\n".join(found)
