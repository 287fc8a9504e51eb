"""One interleaving: a run of a story is stopped in a gap, an actor acts, the run goes on, and it is asked what is wrong."""

import shutil
from pathlib import Path
from typing import NamedTuple

from actors import ACTORS
from beside import beside
from deeds import LATE
from gaps import WORLD, Gap
from halting import run_halted
from oracle import Key, Oracle
from scene import Scene
from stories import Story, World, alone
from verdict import Verdict, outside


class Point(NamedTuple):
    """A gap, and who comes in between."""

    gap: Gap
    actor: str

    def __str__(self) -> str:
        return f"{self.actor} {self.gap}"


IDLE = "there was nothing to do for him"


def interleaved(story: Story, folder: Path, point: Point, ends: frozenset[Key] = frozenset()) -> str | None:
    """What is wrong after that; ``None`` if nothing is, `IDLE` if the actor could do nothing.

    The store is built in a folder of the name that all have here, because some of its names are made from paths.
    """
    try:
        with alone():
            return _interleaved(story, story.build(folder / WORLD), point, ends)
    finally:
        shutil.rmtree(folder / WORLD)


def _interleaved(story: Story, world: World, point: Point, ends: frozenset[Key]) -> str | None:
    roots = story.roots(world)
    oracle = Oracle(roots)
    treasure = oracle.treasure()
    key = point.gap.key
    content = min(treasure.all.get(key, {LATE}))
    scene = Scene(world, key, roots[key[0]], content, frozenset(world.journals()))
    scene.aside.parent.mkdir()
    scene.outside.mkdir()
    (scene.outside / Path(key[1]).name).write_bytes(scene.content)
    counting = {key: found for key, found in treasure.counting.items() if key not in ends}
    untouched = outside(scene.outside)
    with beside(ACTORS[point.actor], scene) as actor:
        run = run_halted(world, story.arguments(world), point.gap, actor.act)
        deed = actor.end() if run.stopped else None
    if deed is None:
        return IDLE
    why = Verdict(scene, oracle, counting, untouched, deed).wrong(run)
    return why and f"{why}\n    {point}: {run.call}\n    it ended with {run.code}, and said {run.said!r}"
