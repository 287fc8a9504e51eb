"""What must hold of a run on a disk that is full, or is soon, and of the next one when there is room again.

A run ends by the contract of its exit codes, shows no traceback, and does not pass over in silence what it has not
done; nothing is lost; and when there is room, one more sweep completes everything and leaves nothing over.
"""

import os
import signal
from pathlib import Path
from typing import NamedTuple

from errors import ENDS, lost
from oracle import Oracle
from small_disks import SmallDisk
from stories import ManyFiles, Story, World, alone
from test_archive_killed import changes
from test_many_files_killed import is_usual
from tracing import run_traced

Call = tuple[str, int]
KILLED = -signal.SIGKILL


class Free(NamedTuple):
    """What is free; ``None`` is as much as anybody wants."""

    blocks: int | None = None
    inodes: int | None = None


class FullDisk:
    """One story on a disk that can be filled; ``calls`` are those of its run that change something."""

    def __init__(self, disk: SmallDisk, story: Story, folder: Path) -> None:
        self._disk, self._story = disk, story
        world = disk.fresh()
        with alone():
            self.calls = changes(world, story.arguments(world), folder)
        self._done = self._oracle(world).in_store().keys()

    def wrong(self, free: Free) -> tuple[str | None, bool]:
        """What is wrong with a run that has so much room, if anything; and whether it had enough."""
        world = self._disk.fresh()
        arguments = self._story.arguments(world)
        oracle = self._oracle(world)
        treasure = oracle.treasure()
        self._disk.leave(free.blocks, free.inodes)
        with alone():
            answer = world.maint(*arguments)
        if "Traceback" in answer.err or answer.code not in ENDS:
            return f"it ended with {answer}", False
        if why := lost(oracle, treasure, self._story):
            return f"lost at once: {why}", False
        done = oracle.in_store().keys() == self._done
        if not (done or answer.code or answer.err):
            return "it ended with 0, said nothing, and has not done it", False
        why = self._wrong_with_room(world) or lost(oracle, treasure, self._story)
        return why or None, done and not answer.code

    def wrong_after_kill(self, at: Call, free: Free) -> str | None:
        """What is wrong with a sweep that has so little room, after a run that was killed at a call."""
        world = self._disk.fresh()
        arguments = self._story.arguments(world)
        oracle = self._oracle(world)
        treasure = oracle.treasure()
        call, number = at
        kill = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        with alone():
            code, said = run_traced(world, arguments, kill)
        if code not in {0, KILLED}:
            return f"the run ended with {code}: {said}"
        self._disk.leave(free.blocks, free.inodes)
        answer = world.maint("sweep")
        if "Traceback" in answer.err or answer.code not in ENDS:
            return f"the sweep on a full disk: {answer}"
        if why := lost(oracle, treasure, self._story):
            return f"lost on a full disk: {why}"
        return self._wrong_with_room(world) or lost(oracle, treasure, self._story) or None

    def _oracle(self, world: World) -> Oracle:
        return Oracle(self._story.roots(world))

    def _wrong_with_room(self, world: World) -> str | None:
        self._disk.make_room()
        answer = world.maint("sweep", "--json")
        if answer.code or "Traceback" in answer.err:
            return f"the next sweep: {answer}"
        if odd := [each for each in answer.summary["problems"] if not is_usual(each["text"])]:
            return f"the next sweep tells of {odd}"
        left = world.waiting("tmp") + sorted(path.name for path in world.ours.glob("archive/*.new"))
        if left:
            return f"left over: {left}"
        return world.wrong() if isinstance(world, ManyFiles) else None
