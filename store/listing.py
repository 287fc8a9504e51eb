"""The names in a folder, sorted, in bounded memory.

A million names are a hundred megabytes of Python, and three hundred once two workers were forked, because counting
references to what is shared copies it.
Up to `MANY` names are a list.
Beyond that they wait in a temporary file without a name, spread over as many parts as it takes for one part to be
small, each of them before the next one in order, and are sorted part by part when somebody asks.
Where there is no room for that file, they wait in memory all the same: a full disk is no reason not to look.
"""

import os
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import IO, TypeAlias

MANY = 200_000
_AT_ONCE = 20_000
_PARTS = 64
_WAITING = 4_000  # names of a part that are written at once

Entries: TypeAlias = "list[str] | Names"


def names_in(folder: int) -> Iterator[list[str]]:
    """The names in a folder, some at a time, as the system lists them: what is renamed meanwhile may be there twice."""
    with os.scandir(folder) as found:
        while some := [each.name for each in islice(found, _AT_ONCE)]:
            yield some


class Names(Collection[str]):
    """Very many names, in order."""

    def __init__(self, first: list[str]) -> None:
        """``first`` are some of them, which tell how the others are likely to be spread."""
        import tempfile  # noqa: PLC0415  whoever has few names does without it

        self._file: IO[bytes] | None = None
        with suppress(OSError):  # where there is no room they stay in memory
            self._file = tempfile.TemporaryFile(buffering=0)
        ordered = sorted(first)
        step = max(1, len(ordered) // _PARTS)
        self._bounds = ordered[step::step]
        self._waiting: list[list[str]] = [[] for _ in range(len(self._bounds) + 1)]
        self._written: list[list[tuple[int, int]]] = [[] for _ in self._waiting]
        self._count = 0
        self._has_room = True
        self.take(first)

    def take(self, names: Iterable[str]) -> None:
        """Take in more names; none of them holds a NUL, as no file's name does."""
        bounds, waiting = self._bounds, self._waiting
        for name in names:
            part = bisect_right(bounds, name)
            waiting[part].append(name)
            if len(waiting[part]) >= _WAITING and self._has_room:
                self._has_room = self._write(part)

    def _write(self, part: int) -> bool:
        """Write the names of a part that are waiting; ``False`` if they cannot be, and go on waiting."""
        if self._file is None:
            return False
        data = memoryview(os.fsencode("\0".join(self._waiting[part])))
        place = self._file.seek(0, os.SEEK_END), len(data)
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError:
            return False
        self._written[part].append(place)
        self._count += len(self._waiting[part])
        self._waiting[part].clear()
        return True

    def lists(self) -> Iterator[list[str]]:
        """All of them, in order, as lists that are made one at a time."""
        for part in range(len(self._waiting)):
            if names := self._part(part):
                names.sort()
                yield names

    def _part(self, part: int) -> list[str]:
        names = self._waiting[part].copy()
        if self._file is None:
            return names
        for at, size in self._written[part]:
            names += os.fsdecode(os.pread(self._file.fileno(), size, at)).split("\0")
        return names

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return self._count + sum(map(len, self._waiting))

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.lists())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._part(bisect_right(self._bounds, name))


class Listed:
    """Names that come some at a time, as they are to be listed."""

    def __init__(self) -> None:
        self._few: list[str] = []
        self._many: Names | None = None

    def take(self, names: list[str]) -> None:
        """Take in more names."""
        if self._many is not None:
            self._many.take(names)
            return
        self._few += names
        if len(self._few) > MANY:
            self._many, self._few = Names(self._few), []

    def in_order(self) -> Entries:
        """All of them, sorted."""
        self._few.sort()
        return self._few if self._many is None else self._many


def lists(entries: Entries) -> Iterator[list[str]]:
    """Entries in order, as one list or as many."""
    return entries.lists() if isinstance(entries, Names) else iter((entries,))
