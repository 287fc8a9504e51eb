"""Owners of sessions, who begin, go on with, end, tag and delete them, and know by themselves what they have recorded.

What they know is the model: a session must be found for as long as no rule of `town.POLICY` can have ended it.
"""

import json
import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from maint_world import DAY
from oracle import Key

from store.layouts.opendev import specimens as opendev
from store.layouts.opendev_snapshots import specimens as snapshots
from store.layouts.rec import specimens as rec

TRASHED_AFTER, TRASH, PACKED = 4.0, 3.0, 12.0
"""Days: after which what is short goes to the trash, how long it waits there, and how long all else is kept in packs."""


@dataclass
class Life:
    """A session as its owner knows it: the lines of its files, when it ended, and what is to become of it."""

    id: str
    short: bool
    ended: float
    going: bool = True
    tagged: bool = False
    lines: dict[Key, frozenset[bytes]] = field(default_factory=dict)

    @property
    def due(self) -> float:
        """Before this moment nothing can have ended it for good."""
        return self.ended + (TRASHED_AFTER + TRASH if self.short else PACKED) * DAY


class Owner(ABC):
    """Whoever records sessions of one kind into the folder ``top``, which is the root ``label`` of its store."""

    label: str

    def __init__(self, top: Path, dice: random.Random) -> None:
        self.top = top
        self.dice = dice
        self.lives: dict[str, Life] = {}
        self.born = 0
        self.gone: list[str] = []
        top.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def begin(self, life: Life) -> None:
        """Make the files of a new session."""

    @abstractmethod
    def go_on(self, life: Life) -> None:
        """Record something more, or end, or fall silent for ever; FileNotFoundError if it is not there any more."""

    @abstractmethod
    def new_id(self) -> str: ...

    def be_born(self, now: float) -> None:
        """Begin a session."""
        life = Life(self.new_id(), self.dice.random() < 0.3, now)
        self.lives[life.id] = life
        self.born += 1
        self.begin(life)

    def act(self, now: float) -> None:
        """Do something with one of the sessions that go on, or with any."""
        going = [life for life in self.lives.values() if life.going]
        if going and self.dice.random() < 0.8:
            life = self.dice.choice(going)
            before = life.ended
            life.ended = now
            try:
                self.go_on(life)
            except FileNotFoundError:
                life.going, life.ended = False, before
        elif self.lives:
            life = self.dice.choice(list(self.lives.values()))
            if self.dice.random() < 0.7:
                self.tag(life)
            else:
                self.delete(life)

    def tag(self, life: Life) -> None:
        """Mark a session as one to be kept, where that can be done."""
        return

    def delete(self, life: Life) -> None:
        """Remove a session that is in its place; from then on nobody asks for it."""
        if any((self.top / path).exists() for _, path in life.lines):
            for _, path in life.lines:
                with suppress(FileNotFoundError):
                    (self.top / path).unlink()
            del self.lives[life.id]
            self.gone.append(life.id)

    def forget(self, latest: float) -> None:
        """Ask no more for what may have ended by now; ``latest`` is the latest moment that any clock has shown."""
        for life in list(self.lives.values()):
            if not life.tagged and life.due <= latest:
                del self.lives[life.id]
                self.gone.append(life.id)

    # What the kinds need.

    def write(
        self, life: Life, path: str, data: bytes, *, append: bool = False, headed: bool = False
    ) -> None:
        """Write or append to a file at the session's last moment; the line of a header, which may change, is not asked for."""
        full = self.top / path
        full.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | (os.O_APPEND if append else os.O_CREAT | os.O_TRUNC)
        fd = os.open(full, flags, 0o600)
        os.write(fd, data)
        os.utime(fd, (life.ended, life.ended))
        os.close(fd)
        lines = frozenset(data.split(b"\n")[1 if headed else 0 : -1])
        known = life.lines.get((self.label, path), frozenset()) if append else frozenset()
        life.lines[self.label, path] = known | lines


class RecOwner(Owner):
    """Records as rec does, and tags by a save."""

    label = "sessions"

    def new_id(self) -> str:
        digits = f"{self.dice.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

    def begin(self, life: Life) -> None:
        head = rec.header(life.id, "short" if life.short else "long", life.ended)
        first = rec.command(0, "make", life.ended, 0.0) if self.dice.random() < 0.8 else b""
        self.write(life, f"{life.id}.ndjson", head + first, headed=True)

    def go_on(self, life: Life) -> None:
        path = f"{life.id}.ndjson"
        at = len(life.lines[self.label, path])
        ends = self.dice.random()
        some = [rec.command(at + n, f"make {n}", life.ended, 0.0) for n in range(self.dice.randint(1, 3))]
        if ends < 0.3:
            some.append(rec.footer(life.ended, at + len(some)))
        if ends < 0.5:
            life.going = False
        self.write(life, path, b"".join(some), append=True)
        if 0.3 <= ends < 0.4:
            self.write(life, path, b'{"type":"command","ind', append=True)

    def tag(self, life: Life) -> None:
        path = self.top / f"{life.id}.ndjson"
        with suppress(FileNotFoundError):
            head, rest = path.read_bytes().split(b"\n", 1)
            new = path.with_name(f"{path.name}.tmp")
            changed = json.dumps(json.loads(head) | {"tags": ["keep"]}, separators=(",", ":"))
            new.write_bytes(changed.encode() + b"\n" + rest)
            before = path.stat()
            os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
            new.rename(path)
            life.tagged = True


class OpendevOwner(Owner):
    """Saves a record and a transcript, or crashes before the first save and leaves a log of events."""

    label = "data"

    def new_id(self) -> str:
        return f"{self.dice.getrandbits(48):012x}"

    def begin(self, life: Life) -> None:
        life.short = False  # this kind has no name to go by
        if self.dice.random() < 0.3:
            log = opendev.created(life.id, life.ended)
            log += opendev.added(life.id, 2, "user", f"{life.id}?", life.ended)
            self.write(life, f"{opendev.PROJECT}/{life.id}.events.jsonl", log)
            life.going = False
        else:
            self._save(life, new=True)

    def go_on(self, life: Life) -> None:
        if not (self.top / f"{opendev.PROJECT}/{life.id}.json").exists():
            raise FileNotFoundError
        self._save(life, new=False)
        life.going = self.dice.random() < 0.6

    def _save(self, life: Life, *, new: bool) -> None:
        said = opendev.line(opendev.message("user", f"{self.dice.random()}?", life.ended))
        self.write(life, f"{opendev.PROJECT}/{life.id}.jsonl", said, append=not new)
        record = opendev.record(life.id, life.ended, life.ended, playbook={"n": self.dice.random()})
        self.write(life, f"{opendev.PROJECT}/{life.id}.json", record)


class SnapshotOwner(Owner):
    """Leaves a snapshot of work that was done, or was cut short."""

    label = "snapshots"

    def new_id(self) -> str:
        digits = f"{self.dice.getrandbits(44):011x}"
        return f"{digits[:8]}-{digits[8:]}"

    def begin(self, life: Life) -> None:
        life.short = False
        life.going = False
        data = snapshots.snapshot(life.id, life.ended, completed=self.dice.random() < 0.7)
        self.write(life, f"{life.id}{snapshots.SUFFIX}", data)

    def go_on(self, life: Life) -> None:
        raise FileNotFoundError


KINDS: dict[str, Callable[[Path, random.Random], Owner]] = {
    "rec": RecOwner,
    "opendev": OpendevOwner,
    "opendev-snapshots": SnapshotOwner,
}
