"""Another user swaps what lies in the store for links and worse while root works there: nothing outside is touched or told.

In the one form the store is his, so that root must work there with his rights; in the other it is root's own, and
everybody may write to it, so that nothing but care keeps root from following him.
How many rounds are gone, each with every verb, is in `tried`.
"""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from robbed_world import Robbed
from swapper import swapping
from thief import folder, needs_root, needs_zstd
from tried import LONG, Tally, at_most

__all__ = ["folder"]

KINDS = ("rec", "opendev", "outrig", "opendev-snapshots", "codex") if LONG else ("rec", "outrig")
ROUNDS = at_most(1, 50) or 200

pytestmark = [needs_root, needs_zstd]


@pytest.mark.parametrize("shared", [False, True], ids=["his", "shared"])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_swapped_nothing_outside_is_touched_or_told(
    kind: str, shared: bool, folder: Path, tally: Tally
) -> None:
    whose = "shared" if shared else "his"
    found: Counter[str] = Counter()
    swaps = 0
    for number in range(ROUNDS):
        world = Robbed(folder / str(number), kind, shared=shared)
        with swapping(world, number) as made:
            answers = world.all_as_root(world.verbs())
        swaps += made.count
        found.update(world.wrong(answers))
        shutil.rmtree(world.top)
    tally("swapped while root works", f"{kind}: {whose}, verbs", ROUNDS * len(answers), wrong=found.total())
    tally("swapped while root works", f"{kind}: {whose}, swaps", swaps)
    assert not found, "\n".join(found)
