"""Every verb on a disk with so little room, from none to enough: what cannot be done is said, and nothing is lost.

How many points are tried is in `tried`.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from file_systems import BY_NAME
from hindered import Hindered, Hindrance
from images import require
from small_disks import InMemory, OnImage, SmallDisk
from stories import STORIES, Story
from test_power_cut import folder
from tried import LONG, Tally, at_most, some

__all__ = ["folder"]

MEMORY = "tmpfs"
SHORT = {
    MEMORY: ("rec: archive", "opendev: sweep"),
    "ext4": ("rec: sweep",),
    "xfs": (),
    "btrfs": ("rec: undo",),
}
CASES = (
    [(name, story) for name in SHORT for story in STORIES]
    if LONG
    else [(name, story) for name, stories in SHORT.items() for story in stories]
)
MOST = at_most(4, 10)
"""Points of a verb."""
ENOUGH = 512
"""More blocks or inodes than any of them needs."""
UNCOUNTED = {"xfs", "btrfs"}
"""Where inodes are made of blocks."""


def amounts() -> Iterator[int]:
    """From nothing on: each in the long form, with growing steps in any other."""
    amount = tried = 0
    while amount < ENOUGH and tried != MOST:
        yield amount
        tried += 1
        amount += 1 if MOST is None else max(1, amount // 2)


def disk_of(name: str, story: Story, folder: Path) -> AbstractContextManager[SmallDisk]:
    require("strace", "zstd", "tar")
    return InMemory.new(story, folder) if name == MEMORY else OnImage.new(story, BY_NAME[name], folder)


def with_only(disk: SmallDisk, amount: int, of: str) -> Hindrance:
    blocks, inodes = (None, amount) if of == "inodes" else (amount, None)
    return Hindrance(lambda _: disk.leave(blocks, inodes), lambda _: disk.make_room())


@pytest.mark.parametrize(("name", "story"), CASES)
def test_without_room_nothing_is_lost_and_what_is_not_done_is_said(
    name: str, story: str, folder: Path, tally: Tally
) -> None:
    found: Counter[str] = Counter()
    tried = 0
    with disk_of(name, STORIES[story], folder) as disk:
        hindered = Hindered(disk, STORIES[story], folder)
        for of in ("blocks",) if name in UNCOUNTED else ("blocks", "inodes"):
            for amount in amounts():
                tried += 1
                if (why := hindered.wrong(with_only(disk, amount, of))) is not None:
                    found[f"{amount} {of}: {why}"] += 1
                if hindered.had_enough:
                    break
    tally("full disk", name, tried, wrong=found.total())
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("name", "story"), CASES)
def test_sweep_after_a_kill_needs_no_room_to_lose_nothing(
    name: str, story: str, folder: Path, tally: Tally
) -> None:
    found: Counter[str] = Counter()
    with disk_of(name, STORIES[story], folder) as disk:
        hindered = Hindered(disk, STORIES[story], folder)
        points = hindered.calls
        tried = some(points, MOST)
        for at, call in enumerate(tried):
            of = "inodes" if at % 2 and name not in UNCOUNTED else "blocks"
            if (why := hindered.wrong_after_kill(call, with_only(disk, 0, of))) is not None:
                found[f"{call}, no {of}: {why}"] += 1
    tally("killed, then full", name, len(tried), there_are=len(points), wrong=found.total())
    assert not found, "\n".join(found)
