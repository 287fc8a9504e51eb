"""Files and folders that may not be changed (immutable), or only grow (append-only): told, kept, and all else goes on.

Every file and folder of a store is locked once in either way, and a verb run; then the lock is taken off.
How many points are tried is in `tried`.
"""

from collections import Counter
from pathlib import Path

import pytest
from file_systems import BY_NAME
from hindered import Hindered, Hindrance
from images import require, run
from maint_world import World
from small_disks import OnImage
from stories import STORIES
from test_power_cut import folder
from tried import LONG, Tally, at_most, some

__all__ = ["folder"]

SHORT = {"ext4": ("rec: sweep", "outrig: sweep"), "xfs": ("rec: undo",)}
CASES = (
    [(name, story) for name in ("ext4", "xfs", "btrfs") for story in STORIES]
    if LONG
    else [(name, story) for name, stories in SHORT.items() for story in stories]
)
MOST = at_most(4, 10)
KINDS = {"i": "immutable", "a": "append-only"}


def locking(path: Path, flag: str) -> Hindrance:
    """Lock this path, and unlock everything, wherever it has come to."""

    def lock(_: World) -> None:
        run("chattr", f"+{flag}", str(path))

    def unlock(world: World) -> None:
        run("chattr", f"-{flag}", *map(str, lockable(world)))

    return Hindrance(lock, unlock)


def lockable(world: World) -> list[Path]:
    """All files and folders: links cannot be locked."""
    return sorted(
        path
        for path in world.folder.rglob("*")
        if not path.is_symlink() and (path.is_dir() or path.is_file())
    )


@pytest.mark.parametrize(("name", "story"), CASES)
def test_locked_file_is_kept_and_told_of(name: str, story: str, folder: Path, tally: Tally) -> None:
    require("chattr", "strace", "zstd", "tar")
    found: Counter[str] = Counter()
    with OnImage.new(STORIES[story], BY_NAME[name], folder) as disk:
        hindered = Hindered(disk, STORIES[story], folder)
        world = disk.fresh()
        points = [(path, flag) for path in lockable(world) for flag in KINDS]
        tried = some(points, MOST)
        for path, flag in tried:
            if (why := hindered.wrong(locking(path, flag))) is not None:
                found[f"{KINDS[flag]} {path.relative_to(world.folder)}: {why}"] += 1
    tally("locked files", name, len(tried), there_are=len(points), wrong=found.total())
    assert not found, "\n".join(found)
