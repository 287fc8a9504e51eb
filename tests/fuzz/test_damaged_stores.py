"""Whatever is damaged in a store, by whomever: every verb ends as it says, and loses nothing that was still there."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import our_parsers
import pytest
from archive_world import archive_pass
from damaging import Store, arguments
from maint_world import DAY, World
from many_files_world import EVERYTHING, Opendev, Outrig
from stories import Snapshots, alone
from tried import FAULTS, LONG, Tally

SEED = int(os.environ.get("MAINT_SEED", "1"))
AT_ONCE = 20
"""Damages to a store before it is made anew."""

TIMES = max(1, int(FAULTS) // AT_ONCE) if FAULTS.isdecimal() else 40 if LONG else 1

pytestmark = pytest.mark.skipif(
    any(shutil.which(each) is None for each in ("zstd", "tar")),
    reason="there is no zstd or tar to look into packs with",
)


def _many(kind: type[Opendev | Outrig]) -> Callable[[Path], World]:
    def built(folder: Path) -> World:
        world = kind(folder, 1_770_000_000.0)
        world.rules(EVERYTHING + archive_pass())
        return _used(world)

    return built


def _snapshots(folder: Path) -> World:
    return _used(Snapshots(folder))


def _used(world: World) -> World:
    """A store that was swept, planned for again, and taken back."""
    for first in (["sweep"], ["plan", "-o", "plan"]):
        assert world.maint(*first).code == 0
    world.ahead = DAY
    assert world.maint("undo", world.journals()[0]).code == 0
    assert world.maint("plan", "-o", "plan").code == 0
    world.ahead = 2 * DAY
    return world


STORES: dict[str, Callable[[Path], World]] = {
    "rec": our_parsers.a_store,
    "opendev": _many(Opendev),
    "outrig": _many(Outrig),
    "snapshots": _snapshots,
}


@pytest.mark.parametrize("kind", STORES)
def test_no_damage_makes_any_verb_lose_something(kind: str, tmp_path: Path, tally: Tally) -> None:
    wrong: list[str] = []
    tried = 0
    with alone():
        for time in range(TIMES):
            rng = random.Random(f"{SEED}:{kind}:{time}")
            store = Store(STORES[kind](tmp_path / str(time)))
            history: list[str] = []
            for _ in range(AT_ONCE):
                history += store.damage(rng)
                wanted = arguments(rng, store)
                history.append(f"maint {' '.join(wanted)}")
                tried += 1
                if (why := store.wrong(wanted)) is not None:
                    wrong.append(f"seed {SEED}, store {time}: {why}\n    " + "\n    ".join(history[-8:]))
                    break
            store.gone()
    tally("damage", kind, tried, wrong=len(wrong))
    assert not wrong, "\n".join(wrong)
