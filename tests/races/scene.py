"""Where an actor acts: on one session of a store, whose files he opens as any program would."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deeds import LATE
from oracle import Key
from stories import World


@dataclass
class Scene:
    """A session of a store by its place, ``content`` that it has had, and the folders of others beside the store.

    ``waits`` is called when an open has to wait until somebody gives back his lease.
    """

    world: World
    key: Key
    top: Path
    content: bytes
    journals: frozenset[str]
    waits: Callable[[], None] = lambda: None

    @property
    def path(self) -> Path:
        return self.top / self.key[1]

    @property
    def aside(self) -> Path:
        """A name beside the store, on the same file system."""
        return self.world.folder / "aside" / "his"

    @property
    def outside(self) -> Path:
        """A folder beside the store which holds files of the same names, and is none of its business."""
        return self.world.folder / "outside"

    @property
    def run(self) -> str | None:
        """The run that has begun, if it has."""
        new = set(self.world.journals()) - self.journals
        return max(new, default=None)

    @property
    def is_held(self) -> bool:
        """Whether a run holds the lock of the store."""
        return (self.world.ours / "holder.json").exists()

    def wherever(self) -> Path:
        """Where the file lies: in its place, or where `maint` keeps it."""
        if self.path.exists():
            return self.path
        kept = sorted(self.world.ours.glob(f"*/*/{self.key[0]}/{self.key[1]}"))
        if not kept:
            raise FileNotFoundError(self.path)
        return kept[-1]

    @contextmanager
    def open(self, flags: int, path: Path | None = None) -> Iterator[int]:
        """A descriptor of the file, as fresh at the end as the clock of the program says."""
        target = path or self.path
        try:
            fd = os.open(target, flags | os.O_NONBLOCK, 0o600)
        except BlockingIOError:
            self.waits()
            fd = os.open(target, flags, 0o600)
        try:
            yield fd
            self.freshen(fd)
        finally:
            os.close(fd)

    def freshen(self, file: int | Path) -> None:
        """Give what was written a time of the clock that the program has, where that is ahead."""
        if self.world.ahead:
            now = os.stat(file).st_mtime + self.world.ahead
            os.utime(file, (now, now))

    def write(self, path: Path, data: bytes) -> None:
        """A new file, which must not be there."""
        with self.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL, path) as fd:
            os.write(fd, data)

    @contextmanager
    def seen(self) -> Iterator[Callable[[], dict[Key, bytes]]]:
        """What lies in the place now; its content can be read later, whatever becomes of its name.

        It is not opened, which might have to wait.
        """
        fd = -1
        with suppress(FileNotFoundError):
            fd = os.open(self.path, os.O_PATH | os.O_NOFOLLOW)

        def content() -> dict[Key, bytes]:
            return {} if fd < 0 else {self.key: Path(f"/proc/self/fd/{fd}").read_bytes()}

        try:
            yield content
        finally:
            if fd >= 0:
                os.close(fd)

    def altered(self, content: bytes) -> bytes:
        """The content with other letters in it, as long as before, and with as many lines."""
        return content.swapcase()

    def longer(self) -> bytes:
        """The content with one more record."""
        whole = self.content if self.content.endswith(b"\n") or not self.content else self.content + b"\n"
        return whole + LATE
