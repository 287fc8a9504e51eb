"""Recorders that go on recording, each a process of its own: what they do differs in how they get at their file.

Each keeps several sessions going and writes a burst of lines now to one, now to another, so that at any moment most
are silent and any may wake up.
One that is gone when its recorder comes back to it (it was archived, or moved to the trash) is over, and another one
is begun, as recorders do.
"""

import mmap
import os
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from numbered import foot, head, line

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

    rest = 0.0
    """Seconds before each line, in which the others may look at what is half written."""

    def append(self, path: Path, numbers: Sequence[int]) -> Iterator[int]:
        lines = [line(number) for number in numbers]
        fd = os.open(path, os.O_RDWR)
        at = os.fstat(fd).st_size
        size = at + sum(map(len, lines))
        os.ftruncate(fd, size)
        with mmap.mmap(fd, size) as mapping:
            os.close(fd)
            for number, each in zip(numbers, lines, strict=True):
                time.sleep(self.rest)
                mapping[at : at + len(each)] = each
                at += len(each)
                yield number


class SlowlyMapped(Mapped):
    """Rests so long that whoever looks sees half of a burst more often than not."""

    rest = 0.001


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
