"""What must hold of a store whatever becomes of a run, told by the oracle.

- every record that counted before counts still;
- every session that is not as it was before is in a journal, so that it can be explained and undone;
- every session in the store is as it was or as the run makes it, never a mixture.
"""

from collections.abc import Callable
from dataclasses import dataclass

from oracle import Key, Oracle, Treasure
from stories import Story, World


@dataclass(frozen=True)
class Promises:
    """What there was before a run, and what its sessions may be from then on."""

    story: Story
    oracle: Oracle
    treasure: Treasure
    selves: dict[Key, set[bytes]]
    before: dict[Key, bytes | None]
    journals: frozenset[str]

    @classmethod
    def of(cls, story: Story, world: World, run: Callable[[], None]) -> "Promises":
        """Those of a store as it is now; ``run`` runs the story upon it, undisturbed, and one more sweep follows."""
        oracle = Oracle(story.roots(world))
        treasure, journals, packs = oracle.treasure(), oracle.journals(), oracle.packs()
        states = [oracle.in_store()]
        run()
        states.append(oracle.in_store())
        assert world.maint("sweep").code == 0
        states.append(oracle.in_store())
        selves: dict[Key, set[bytes]] = {}
        for key, data in (item for each in states for item in each.items()):
            selves.setdefault(key, set()).add(data)
        before = {key: states[0].get(key) for key in treasure.all if story.is_session(key)} | packs
        kept = oracle.treasure()
        ended = _less(treasure.counting, kept.counting)
        assert ended == story.ends, f"{ended} contents have ended"
        for had, has in zip(treasure, kept, strict=True):
            for key in had:
                had[key] &= has.get(key, set())
        return cls(story, oracle, treasure, selves, before, frozenset() if story.settles else journals)

    def broken(self, when: str) -> str | None:
        """What does not hold of the store as it is now; ``None`` if all does."""
        if missing := self.oracle.missing(self.treasure):
            return f"lost {when}: {'; '.join(map(str, missing))}"
        if untold := self.oracle.untold(self.before, self.journals):
            return f"no journal tells of it {when}: {untold}"
        if mixed := self.oracle.mixed(self.selves, self.story.is_session):
            return f"a mixture {when}: {mixed}"
        return None


def _less(had: dict[Key, set[bytes]], has: dict[Key, set[bytes]]) -> int:
    return sum(len(contents - has.get(key, set())) for key, contents in had.items())
