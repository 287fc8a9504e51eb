"""Waiting for the disk together: pieces of work that stop where something must be durable, done side by side.

What is guarded: within each piece of work the order is the one it is written in, and nothing behind a barrier is
begun before all that it names is durable.
Waiting is what makes changes slow, and one wait is as good as a hundred: where many files must be durable, the whole
file system is synced once, which takes a tenth of the time.

A wait that fails is told to everyone who waited for it, so that whoever relied on it gives up: `Poisoned`, or
MemoryError where there was no memory to wait with.

A piece of work is a generator that yields a `Durable`, `NEXT` or `LATER`, and returns what came of it.
"""

import functools
import os
import re
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack
from enum import Enum
from typing import Final, NamedTuple, TypeVar

from store import durable
from store.durable import Poisoned

T = TypeVar("T")

FEW = 3
"""Up to so many files are made durable one by one, and the rest of the file system is left in peace."""

_PAUSE = 0.001
_OTHERS = 64  # descriptors that a process has open besides


class Durable(NamedTuple):
    """Go on when this is durable: the content of the file ``fd``, or the names in that folder."""

    fd: int
    what: str
    folder: bool = False


class Turn(Enum):
    NEXT = "go on when the others have come as far"
    LATER = "go on a moment later"


NEXT: Final = Turn.NEXT
LATER: Final = Turn.LATER

Steps = Generator[Durable | Turn, None, T]


def side_by_side(most: int, descriptors: int) -> int:
    """How many pieces of work to do side by side, at most so many, if each holds up to so many descriptors open.

    A process may have few: 256 is what some systems allow it.
    """
    try:
        import resource  # noqa: PLC0415  not everywhere

        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (ImportError, OSError, ValueError):
        return 1
    if allowed == resource.RLIM_INFINITY:
        return most
    return max(1, min(most, (allowed - _OTHERS) // descriptors))


def alone(steps: Steps[T]) -> T:
    """Do one piece of work; what it raises is passed on."""
    return together([steps])[0]


def together(many: Iterable[Steps[T]]) -> list[T]:
    """Do pieces of work side by side, and give what each returns, in order.

    What one of them raises ends all: the others are closed, which each must bear at every barrier.
    """
    started = list(many)
    done: dict[int, T] = {}
    errors: Mapping[int, Poisoned | MemoryError] = {}
    going = dict(enumerate(started))
    with ExitStack() as stack:
        for steps in started:
            stack.callback(steps.close)  # each, even where another one cannot end as it should
        while going:
            wanted: dict[int, Durable] = {}
            late = False
            for number, steps in list(going.items()):
                error = errors.get(number)
                try:
                    want = next(steps) if error is None else steps.throw(error)
                except StopIteration as end:
                    done[number] = end.value
                    del going[number]
                    continue
                if isinstance(want, Durable):
                    wanted[number] = want
                late = late or want is LATER
            try:
                errors = _wait(wanted)
            except MemoryError as error:
                errors = dict.fromkeys(wanted, error)
            if late:
                time.sleep(_PAUSE)
    return [done[number] for number in range(len(started))]


def _wait(wanted: dict[int, Durable]) -> dict[int, Poisoned]:
    """Return when all of it is durable, but for those to whom an error is to be told."""
    places: dict[int, list[int]] = {}
    for number, want in wanted.items():
        if not want.folder:
            places.setdefault(os.fstat(want.fd).st_dev, []).append(number)
    errors: dict[int, Poisoned] = {}
    synced: set[int] = set()
    for device, numbers in places.items():
        if len(numbers) <= FEW or not _is_told():
            continue
        # The one that was opened first is told of every error since: of all that the others have written.
        first = wanted[numbers[0]]
        try:
            durable.sync_file_system(first.fd, first.what)
        except Poisoned as error:
            errors |= {
                number: Poisoned(error.errno, error.strerror, wanted[number].what) for number in numbers
            }
        synced.add(device)
    folders: dict[tuple[int, int], Poisoned | None] = {}
    for number, (fd, what, folder) in wanted.items():
        found = os.fstat(fd)
        if folder:
            key = found.st_dev, found.st_ino
            if key not in folders:
                folders[key] = _failure(durable.sync_folder, fd, what)
            failed = folders[key]
        else:
            failed = None if found.st_dev in synced else _failure(durable.sync_file, fd, what)
        if failed is not None:
            errors[number] = failed
    return errors


@functools.cache
def _is_told() -> bool:
    """Whether who syncs a whole file system is told of what failed: Linux does so since 5.8."""
    numbers = re.findall(r"\d+", os.uname().release)
    return sys.platform == "linux" and tuple(map(int, numbers[:2])) >= (5, 8)


def _failure(sync: Callable[[int, str], None], fd: int, what: str) -> Poisoned | None:
    try:
        sync(fd, what)
    except Poisoned as error:
        return error
    return None
