"""What must hold of a run that something on its disk hinders: there is no room, it may not write, a file is locked.

A run ends by the contract of its exit codes, shows no traceback, and does not pass over in silence what it has not
done; nothing is lost; and when nothing hinders it any more, one more sweep completes everything and leaves nothing
over.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from errors import ENDS, lost
from kill_points import changes
from oracle import Oracle, Treasure
from stories import ManyFiles, Story, World, alone
from test_many_files_killed import is_usual
from tracing import run_traced

Call = tuple[str, int]
Act = Callable[[World], None]
KILLED = -signal.SIGKILL
UNREADABLE = 74


class Disk(Protocol):
    """A disk with the store of one story on it."""

    def fresh(self) -> World:
        """The store as it was at first, and nothing that hinders anybody."""


class Hindrance(NamedTuple):
    """What hinders a run, and how that ends."""

    begin: Act
    end: Act


class Hindered:
    """One story, and what becomes of it; ``calls`` are those of its run that change something."""

    def __init__(self, disk: Disk, story: Story, folder: Path) -> None:
        self._disk, self._story = disk, story
        world = disk.fresh()
        with alone():
            self.calls = changes(world, story.arguments(world), folder)
        self._done = self._oracle(world).in_store().keys()
        self.had_enough = False
        """Whether the last run did all that it was to do."""

    def wrong(self, hindrance: Hindrance) -> str | None:
        """What is wrong with a run that is hindered from the beginning, if anything."""
        world, arguments, treasure = self._begin()
        hindrance.begin(world)
        with alone():
            answer = world.maint(*arguments)
        return self._wrong(world, treasure, answer.code, answer.err, hindrance)

    def wrong_midway(self, at: Call, hindrance: Hindrance) -> str | None:
        """The same of one that is hindered from that call on."""
        world, arguments, treasure = self._begin()
        call, number = at
        stop = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal=STOP:when={number}"]
        with alone():
            code, said = run_traced(world, arguments, stop, stopped=lambda: hindrance.begin(world))
        return self._wrong(world, treasure, code, said, hindrance)

    def wrong_after_kill(self, at: Call, hindrance: Hindrance) -> str | None:
        """The same of the sweep that comes after a run that was killed at a call."""
        world, arguments, treasure = self._begin()
        call, number = at
        kill = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        with alone():
            code, said = run_traced(world, arguments, kill)
        if code not in {0, KILLED}:
            return f"the run ended with {code}: {said}"
        hindrance.begin(world)
        answer = world.maint("sweep")
        return self._wrong(world, treasure, answer.code, answer.err or "nothing", hindrance)

    def _begin(self) -> tuple[World, list[str], Treasure]:
        world = self._disk.fresh()
        return world, self._story.arguments(world), self._oracle(world).treasure()

    def _oracle(self, world: World) -> Oracle:
        return Oracle(self._story.roots(world))

    def _wrong(
        self, world: World, treasure: Treasure, code: int, said: str, hindrance: Hindrance
    ) -> str | None:
        oracle = self._oracle(world)
        if "Traceback" in said or code not in ENDS:
            return f"it ended with {code}: {said}"
        if code == UNREADABLE and str(world.sessions) not in said:
            return f"it names no store: {said}"
        hindrance.end(world)
        if what := lost(oracle, treasure, self._story):
            return f"lost at once: {what}"
        done = oracle.in_store().keys() == self._done
        self.had_enough = done and not code
        if not (done or code or said):
            return "it ended with 0, said nothing, and has not done it"
        answer = world.maint("sweep", "--json")
        if answer.code or "Traceback" in answer.err:
            return f"the next sweep: {answer}"
        if odd := [each for each in answer.summary["problems"] if not is_usual(each["text"])]:
            return f"the next sweep tells of {odd}"
        if what := lost(oracle, treasure, self._story):
            return f"lost after the next sweep: {what}"
        if left := world.waiting("tmp") + sorted(path.name for path in world.ours.glob("archive/*.new")):
            return f"left over: {left}"
        return world.wrong() if isinstance(world, ManyFiles) else None
