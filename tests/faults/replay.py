"""Replaying power cuts: a run is recorded, every state it may leave is made, the next sweep runs, the oracle is asked.

What must hold in each state, and after one more sweep:

- what holds whatever becomes of a run (`promises`);
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
from promises import Promises
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
    promises: Promises
    tried: set[bytes] = field(default_factory=set)
    _known: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, story: Story, folder: Path) -> "Replay":
        """Record the story, in a folder that must be on a file system of its own kind for as long as this is used."""
        recordings: list[Recording] = []
        with alone():
            world = story.build(folder / "world")
            before = snapshot(world.folder)
            arguments = story.arguments(world)
            log = folder / "calls"

        def run() -> None:
            with alone():
                code, said = run_traced(world, arguments, ["-o", str(log), *STRACE])
            assert code == 0, f"{arguments} ended with {code}: {said}"
            recordings.append(record(before, log))
            _require_true(recordings[0], snapshot(world.folder))

        promises = Promises.of(story, world, run)
        return cls(story, world, recordings[0], promises)

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
        if (why := self.promises.broken("at once")) is not None:
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
        if why := self.promises.broken("after the next sweep"):
            return why
        left = self.world.waiting("tmp") + sorted(path.name for path in self.world.ours.glob("archive/*.new"))
        return f"left over: {left}" if left else None

    def _wrong_with_end(self, recording: Recording, state: State) -> str | None:
        """What a run said was done, and is not: nobody expects that of a run that has ended."""
        one = disk.digest(recording, state, without=_NOT_PROMISED)
        if one != disk.digest(recording, self.whole(), without=_NOT_PROMISED):
            return "not done, although the run has ended"
        return None


def _require_true(recording: Recording, after: Recording) -> None:
    """The abstract file system must have ended where the real one did, but for thousandths of seconds."""
    one = dict(_told(recording, state_of(recording, final(recording))))
    real = state_of(after, Cut("journalled", 0, frozenset()))
    other = dict(_told(after, real))
    assert one == other, sorted(
        path for path in one.keys() | other.keys() if one.get(path) != other.get(path)
    )


def _told(recording: Recording, state: State) -> Iterator[tuple[str, tuple[object, ...]]]:
    for path, number in disk.walk(recording, state):
        node = recording.nodes[number]
        data = state.data[number]
        when = state.times[number] // 60_000_000_000 if stat.S_ISREG(node.kind) else 0
        yield path, (node.kind, state.modes[number], data, when)
