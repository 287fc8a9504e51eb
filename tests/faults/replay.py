"""Replaying power cuts: a run is recorded, every state it may leave is made, the next sweep runs, the oracle is asked.

What must hold in each state, and after one more sweep:

- every record that counted before counts still (`oracle`);
- every session that is not as it was before is in a journal, so that it can be explained and undone;
- every session in the store is as it was or as the run makes it, never a mixture;
- the sweep ends with 0 and says nothing where the file system has a journal; where it has none, it may say that it
  found something odd, but it never fails in a way that nobody has thought of;
- nothing that was being written is left;
- what a run has done that has ended is still done.
"""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cuts
import disk
from calls import STRACE
from following import record
from oracle import Key, Oracle, Treasure
from recording import Recording, snapshot
from states import Cut, State, final, state_of
from stories import Story, World, alone
from test_many_files_killed import is_usual
from tracing import run_traced

_NOT_PROMISED = frozenset({".maint", ".cache"})


@dataclass
class Replay:
    """One run of one story: its recording, and what may be found afterwards."""

    story: Story
    world: World
    recording: Recording
    treasure: Treasure
    selves: dict[Key, set[bytes]]
    oracle: Oracle
    before: dict[Key, bytes | None]
    journals: frozenset[str]
    tried: set[bytes] = field(default_factory=set)
    _known: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, story: Story, folder: Path) -> "Replay":
        """Record the story, in a folder that must be on a file system of its own kind for as long as this is used."""
        with alone():
            world = story.build(folder / "world")
            oracle = Oracle(story.roots(world))
            treasure, journals, packs = oracle.treasure(), oracle.journals(), oracle.packs()
            selves = [oracle.in_store()]
            before = snapshot(world.folder)
            arguments = story.arguments(world)
            log = folder / "calls"
            code, said = run_traced(world, arguments, ["-o", str(log), *STRACE])
            assert code == 0, f"{arguments} ended with {code}: {said}"
        selves.append(oracle.in_store())
        of_sessions = {key: selves[0].get(key) for key in treasure.all if story.is_session(key)} | packs
        replay = cls(
            story,
            world,
            record(before, log),
            treasure,
            {},
            oracle,
            of_sessions,
            frozenset() if story.settles else journals,
        )
        replay._require_true(snapshot(world.folder))
        assert world.maint("sweep").code == 0
        selves.append(oracle.in_store())
        for key, data in (item for each in selves for item in each.items()):
            replay.selves.setdefault(key, set()).add(data)
        kept = oracle.treasure()
        ended = _less(treasure.counting, kept.counting)
        assert ended == story.ends, f"{ended} contents have ended"
        for had, has in zip(treasure, kept, strict=True):
            for key in had:
                had[key] &= has.get(key, set())
        return replay

    def _require_true(self, after: Recording) -> None:
        """The abstract file system must have ended where the real one did, but for thousandths of seconds."""
        one = dict(_told(self.recording, self.whole()))
        real = state_of(after, Cut("journalled", 0, frozenset()))
        other = dict(_told(after, real))
        assert one == other, sorted(
            path for path in one.keys() | other.keys() if one.get(path) != other.get(path)
        )

    def whole(self) -> State:
        return state_of(self.recording, final(self.recording))

    def know(self) -> None:
        """Take the states of the run as it is for tried, and no others."""
        if not self._known:
            for _ in self.states(self.recording, cuts.cuts(self.recording)):
                pass
            self._known = frozenset(self.tried)
        self.tried = set(self._known)

    def states(self, recording: Recording, wanted: Iterable[Cut]) -> Iterator[tuple[Cut, State]]:
        """The states of some cuts that were not tried before."""
        for cut in wanted:
            state = state_of(recording, cut)
            told = disk.digest(recording, state)
            if cut.at == len(recording.steps):
                told += b"the end"
            if told not in self.tried:
                self.tried.add(told)
                yield cut, state

    def wrong_at_once(self, recording: Recording, cut: Cut, state: State) -> str | None:
        """What is wrong with a state as it is, which is not tidied up; ``None`` if nothing is."""
        disk.put(recording, state)
        if (why := self._wrong_now("at once")) is not None:
            return why
        if cut.at < len(recording.steps):
            return None
        return self._wrong_with_end(recording, state)

    def wrong(self, recording: Recording, cut: Cut, state: State) -> str | None:
        """What is wrong with a state, or with what the next sweep makes of it; ``None`` if nothing is."""
        if why := self.wrong_at_once(recording, cut, state):
            return why
        answer = self.world.maint("sweep", "--json")
        if "Traceback" in answer.err or answer.code not in {0, 1}:
            return f"the next sweep: {answer}"
        odd = [each for each in answer.summary["problems"] if not is_usual(each["text"])]
        if cut.model == "journalled" and (answer.code or odd):
            return f"the next sweep ends with {answer.code} and tells of {odd}"
        if why := self._wrong_now("after the next sweep"):
            return why
        left = self.world.waiting("tmp") + sorted(path.name for path in self.world.ours.glob("archive/*.new"))
        return f"left over: {left}" if left else None

    def _wrong_now(self, when: str) -> str | None:
        if missing := self.oracle.missing(self.treasure):
            return f"lost {when}: {'; '.join(map(str, missing))}"
        if untold := self.oracle.untold(self.before, self.journals):
            return f"no journal tells of it {when}: {untold}"
        if mixed := self.oracle.mixed(self.selves, self.story.is_session):
            return f"a mixture {when}: {mixed}"
        return None

    def _wrong_with_end(self, recording: Recording, state: State) -> str | None:
        """What a run said was done, and is not: nobody expects that of a run that has ended."""
        one = disk.digest(recording, state, without=_NOT_PROMISED)
        if one != disk.digest(recording, self.whole(), without=_NOT_PROMISED):
            return "not done, although the run has ended"
        return None


def _less(had: dict[Key, set[bytes]], has: dict[Key, set[bytes]]) -> int:
    return sum(len(contents - has.get(key, set())) for key, contents in had.items())


def _told(recording: Recording, state: State) -> Iterator[tuple[str, tuple[object, ...]]]:
    for path, number in disk.walk(recording, state):
        node = recording.nodes[number]
        data = state.data[number]
        when = state.times[number] // 60_000_000_000 if stat.S_ISREG(node.kind) else 0
        yield path, (node.kind, state.modes[number], data, when)
