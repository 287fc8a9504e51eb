"""A run that is stopped on a real file system from which the power is cut, and all that must hold afterwards.

What must hold when the file system is mounted again, and after one more sweep, and when the power is cut behind that:
what is promised whatever becomes of a run (`promises`), and that nothing is left over.
What a run has done that has ended is done for good.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from blocks import Kept
from file_systems import FileSystem
from images import Image, Loss
from kill_points import changes
from promises import Promises
from stories import ManyFiles, Story, World, alone
from test_many_files_killed import is_usual
from tracing import run_traced

Call = tuple[str, int]
Listing = dict[str, tuple[int, int, bytes]]


class Point(NamedTuple):
    """Where the power is cut: at a call, or where the run has ended; and maybe once more, at a call of the sweep.

    ``numbers`` say by which of its devices the disk goes before that and after; it was made under the first.
    """

    at: Call | None
    loss: Loss
    again: Call | None = None
    numbers: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Cuts:
    """One story on one file system, as it was before: and what may become of it."""

    image: Image
    start: Kept
    world: World
    arguments: list[str]
    calls: list[Call]
    promises: Promises

    @classmethod
    @contextmanager
    def of(cls, story: Story, file_system: FileSystem, folder: Path) -> Iterator["Cuts"]:
        with Image.new(file_system, folder) as image:
            with alone():
                world = story.build(image.top / "world")
                arguments = story.arguments(world)
            start = image.settled()
            found: list[Call] = []

            def run() -> None:
                with alone():
                    found.extend(changes(world, arguments, folder))

            promises = Promises.of(story, world, run)
            image.unmount()
            yield cls(image, start, world, arguments, found, promises)

    def wrong(self, point: Point) -> str | None:
        """What is wrong after a power cut there; ``None`` if nothing is."""
        self.image.put_back(self.start)
        self.image.mount(point.numbers[0])
        try:
            return self._wrong(point)
        finally:
            self.image.unmount()

    def _wrong(self, point: Point) -> str | None:
        code, said = self._run(self.arguments, point.at)
        if code not in {0, -9}:
            return f"the run ended with {code}: {said}"
        done = self._listing() if code == 0 else None
        self.image.cut(point.loss, point.numbers[1])
        if done is not None and (lost := _differing(done, self._listing())):
            return f"not done, although the run has ended: {lost}"
        if (why := self.promises.broken("at once")) is not None:
            return why
        if point.again is not None and self._run(["sweep"], point.again)[0] == -9:
            self.image.cut(point.loss)
            if (why := self.promises.broken("after another power cut")) is not None:
                return why
        return self._wrong_with_sweep() or self._wrong_behind(point.loss)

    def _wrong_with_sweep(self) -> str | None:
        answer = self.world.maint("sweep", "--json")
        if answer.code or "Traceback" in answer.err:
            return f"the next sweep: {answer}"
        if odd := [each for each in answer.summary["problems"] if not is_usual(each["text"])]:
            return f"the next sweep tells of {odd}"
        ours = self.world.ours
        if left := self.world.waiting("tmp") + sorted(path.name for path in ours.glob("archive/*.new")):
            return f"left over: {left}"
        if isinstance(self.world, ManyFiles) and (why := self.world.wrong()) is not None:
            return f"after the next sweep: {why}"
        return self.promises.broken("after the next sweep")

    def _wrong_behind(self, loss: Loss) -> str | None:
        """What the sweep has done must be done for good, too."""
        done = self._listing()
        self.image.cut(loss)
        if lost := _differing(done, self._listing()):
            return f"not done, although the sweep has ended: {lost}"
        return self.promises.broken("after a power cut behind the sweep")

    def _run(self, arguments: list[str], at: Call | None) -> tuple[int, str]:
        if at is None:
            answer = self.world.maint(*arguments)
            return answer.code, answer.err
        call, number = at
        kill = ["-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        with alone():
            return run_traced(self.world, arguments, kill)

    def _listing(self) -> Listing:
        """Every file that is none of ours, with its mode and time; of folders nothing but that they are there."""
        found: Listing = {}
        for path in self.world.folder.rglob("*"):
            if {".maint", ".cache"}.isdisjoint(path.parts):
                seen = path.lstat()
                is_file = path.is_file() and not path.is_symlink()
                data = path.read_bytes() if is_file else b""
                found[str(path)] = (seen.st_mode, seen.st_mtime_ns if is_file else 0, data)
        return found


def _differing(one: Listing, other: Listing) -> list[str]:
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
