"""Recorders that go on recording, each a process of its own: what they do differs in how they get at their file.

Each keeps several sessions going and writes a burst of lines now to one, now to another, so that at any moment most
are silent and any may wake up.
One that is gone when its recorder comes back to it (it was archived, or moved to the trash) is over, and another one
is begun, as recorders do.
"""

import json
import mmap
import os
import random
import signal
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from numbered import Written, foot, head, line

SESSIONS = 16
"""That one recorder keeps going."""

LONGEST = 1500
"""Lines of a session, or somewhat more; then its recorder ends it."""

BURST = 40
"""Lines that are written at most before the recorder turns to another session."""

PAUSE = 0.004
"""Seconds that a recorder rests at most between two bursts: it is no faster than somebody who types with both hands."""


class Recorder(ABC):
    """Writes lines to sessions in a folder until it is told to stop; ``written`` is what came of it."""

    in_order = True
    """Whether a session's lines must be in their order: whoever holds on for too long is told that they may not be."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.dice = random.Random(seed)
        self.written: dict[str, int] = {}
        self.going: list[str] = []

    @abstractmethod
    def append(self, path: Path, numbers: Sequence[int]) -> Iterator[int]:
        """Write lines of these numbers behind a file, telling after each that it is written.

        FileNotFoundError if the session is gone.
        """

    def burst(self) -> int:
        """Write some lines to one of the sessions; how many that were."""
        if len(self.going) < SESSIONS:
            self.begin()
            return 0
        id_ = self.dice.choice(self.going)
        path = self.folder / f"{id_}.ndjson"
        before = self.written[id_]
        try:
            for number in self.append(path, range(before, before + self.dice.randint(1, BURST))):
                self.written[id_] = number + 1
        except FileNotFoundError:
            self.going.remove(id_)
        else:
            if self.written[id_] >= LONGEST:
                self.end(path)
                self.going.remove(id_)
        return self.written[id_] - before

    def begin(self) -> None:
        """Make a new session, whole from the start as far as others can see."""
        id_ = _new_id(self.dice)
        new = self.folder / f"new-{id_}"
        new.write_bytes(head(id_))
        new.rename(self.folder / f"{id_}.ndjson")
        self.written[id_] = 0
        self.going.append(id_)

    def end(self, path: Path) -> None:
        """Write the footer, if the session is still there."""
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:
            return
        os.write(fd, foot(self.written[path.stem]))
        os.close(fd)

    def close(self) -> None:
        """Let go of whatever is still open when it is told to stop."""
        return


class PerLine(Recorder):
    """Opens the file for each line, as the hooks of rec do."""

    def append(self, path: Path, numbers: Sequence[int]) -> Iterator[int]:
        for number in numbers:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND)
            os.write(fd, line(number))
            os.close(fd)
            yield number


class Held(Recorder):
    """Holds a descriptor for as long as a burst lasts."""

    def append(self, path: Path, numbers: Sequence[int]) -> Iterator[int]:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            for number in numbers:
                os.write(fd, line(number))
                yield number
        finally:
            os.close(fd)


class Mapped(Recorder):
    """Makes the file longer, and fills it through a mapping, after its descriptor was closed."""

    def append(self, path: Path, numbers: Sequence[int]) -> Iterator[int]:
        lines = [line(number) for number in numbers]
        fd = os.open(path, os.O_RDWR)
        at = os.fstat(fd).st_size
        size = at + sum(map(len, lines))
        os.ftruncate(fd, size)
        with mmap.mmap(fd, size) as mapping:
            os.close(fd)
            for number, each in zip(numbers, lines, strict=True):
                mapping[at : at + len(each)] = each
                at += len(each)
                yield number
                os.sched_yield()  # the others may look at what is half written


class Saving(Recorder):
    """Writes the whole file beside itself and renames it over the old one, as a save does."""

    def append(self, path: Path, numbers: Sequence[int]) -> Iterator[int]:
        old = path.read_bytes()
        new = path.with_name(f"{path.name}.tmp")
        new.write_bytes(old + b"".join(map(line, numbers)))
        new.rename(path)
        yield numbers[-1]


class Lingering(Recorder):
    """Holds the descriptor of one session for seconds, while it writes to it as to others; see `store.carrying`."""

    in_order = False
    held: tuple[Path, int, float] | None = None

    def append(self, path: Path, numbers: Sequence[int]) -> Iterator[int]:
        if self.held is not None and time.monotonic() > self.held[2]:
            self.close()
        if self.held is None:
            self.held = path, os.open(path, os.O_WRONLY | os.O_APPEND), time.monotonic() + 3.0
        fd = self.held[1] if path == self.held[0] else os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            for number in numbers:
                os.write(fd, line(number))
                yield number
        finally:
            if fd != self.held[1]:
                os.close(fd)

    def close(self) -> None:
        if self.held is not None:
            os.close(self.held[1])
            self.held = None


def _new_id(dice: random.Random) -> str:
    digits = f"{dice.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


class Crowd:
    """Recorders at work: how many lines they have written so far, and, when they have ended, to which sessions."""

    def __init__(self, kinds: Sequence[type[Recorder]], folder: Path, reports: Path, seed: int) -> None:
        self._reports = reports
        self._kinds = kinds
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._said_stop, self._stop = os.pipe()
        self._children = [
            self._forked(number, kind(folder, seed + number)) for number, kind in enumerate(kinds)
        ]

    @property
    def lines(self) -> int:
        slots = range(0, 8 * len(self._kinds), 8)
        return sum(int.from_bytes(self._shared[at : at + 8], "little") for at in slots)

    def ended(self) -> dict[str, Written]:
        """Tell them to stop; what they have written."""
        os.close(self._stop)
        self._stop = -1
        while self._children:
            _, status = os.waitpid(self._children.pop(), 0)
            assert status == 0, self._complaints()
        found: dict[str, Written] = {}
        for number, kind in enumerate(self._kinds):
            report: dict[str, int] = json.loads((self._reports / f"{number}.json").read_text())
            found |= {id_: Written(kind.__name__, lines, kind.in_order) for id_, lines in report.items()}
        return found

    def close(self) -> None:
        """Kill those that still work."""
        while self._children:
            child = self._children.pop()
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for fd in (self._said_stop, self._stop):
            if fd >= 0:
                os.close(fd)
        self._shared.close()

    def _forked(self, number: int, recorder: Recorder) -> int:
        child = os.fork()
        if child == 0:
            self._record(number, recorder)
        return child

    def _record(self, number: int, recorder: Recorder) -> NoReturn:
        try:
            os.close(self._stop)
            os.set_blocking(self._said_stop, False)
            lines = 0
            while self._goes_on():
                lines += recorder.burst()
                self._shared[8 * number : 8 * number + 8] = lines.to_bytes(8, "little")
                time.sleep(recorder.dice.uniform(0, PAUSE))
            recorder.close()
            (self._reports / f"{number}.json").write_text(json.dumps(recorder.written))
        except BaseException:  # noqa: BLE001  whatever it was, it is shown
            (self._reports / f"{number}.failed").write_text(traceback.format_exc())
            os._exit(1)
        os._exit(0)

    def _goes_on(self) -> bool:
        try:
            return bool(os.read(self._said_stop, 1))
        except BlockingIOError:
            return True

    def _complaints(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self._reports.glob("*.failed")))


@contextmanager
def recording(kinds: Sequence[type[Recorder]], folder: Path, reports: Path, seed: int) -> Iterator[Crowd]:
    """Recorders of these kinds at work in one folder; those that were not told to stop are killed at the end."""
    reports.mkdir()
    crowd = Crowd(kinds, folder, reports, seed)
    try:
        yield crowd
    finally:
        crowd.close()
