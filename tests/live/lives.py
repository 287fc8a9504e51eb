"""What an owner knows of the sessions that he records: the model of the soak.

A session must be found for as long as no rule of `town.POLICY` can have ended it.
"""

import os
import random
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from maint_world import DAY
from oracle import Key

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
