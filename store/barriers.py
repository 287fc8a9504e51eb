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
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from store import durable
from store.durable import Poisoned

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

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

Errors = Mapping[int, Poisoned | MemoryError]
"""What is to be told to some of those who waited, by their numbers."""


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
    wave = _Wave(many)
    with ExitStack() as stack:
        wave.close_by(stack)
        return wave.finish({})


def in_waves(waves: Iterable[Iterable[Steps[object]]]) -> None:
    """Do some pieces of work after others, each lot side by side; while the disk takes one lot, the next is begun.

    Nothing of a lot is done behind its first barrier before the lot before it has ended. A lot is asked for when all
    of the one before it has come to its first barrier. What one piece raises ends all, as in `together`.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  5 ms that only many are worth

    beside = ThreadPoolExecutor(1)
    with ExitStack() as stack:
        try:
            before: Callable[[], object] | None = None
            for many in waves:
                wave = _Wave(many)
                wave.close_by(stack)
                errors = _beside(beside, functools.partial(wave.wait, wave.advance({})))
                if before is not None:
                    before()
                before = functools.partial(_finish, wave, errors)
            if before is not None:
                before()
        finally:
            # Nothing is closed while somebody waits for it: by then, its descriptor could be that of another file.
            beside.shutdown(cancel_futures=True)


class _Wave(Generic[T]):
    """Pieces of work that are done side by side, from barrier to barrier."""

    def __init__(self, many: Iterable[Steps[T]]) -> None:
        self._all = list(many)
        self._going = dict(enumerate(self._all))
        self._done: dict[int, T] = {}
        self._late = False

    def close_by(self, stack: ExitStack) -> None:
        """Have all closed when this is left: each, even where another one cannot end as it should."""
        for steps in self._all:
            stack.callback(steps.close)

    def advance(self, errors: Errors) -> dict[int, Durable]:
        """Do each until its next barrier; what is to be durable before it goes on. Who relied on an error is told."""
        wanted: dict[int, Durable] = {}
        self._late = False
        for number, steps in list(self._going.items()):
            error = errors.get(number)
            try:
                want = next(steps) if error is None else steps.throw(error)
            except StopIteration as end:
                self._done[number] = end.value
                del self._going[number]
                continue
            if isinstance(want, Durable):
                wanted[number] = want
            self._late = self._late or want is LATER
        return wanted

    def wait(self, wanted: dict[int, Durable]) -> Errors:
        """Return when all of it is durable, or with what those who relied on it are to be told."""
        errors: Errors
        try:
            errors = _wait(wanted)
        except MemoryError as error:
            errors = dict.fromkeys(wanted, error)
        if self._late:
            time.sleep(_PAUSE)
        return errors

    def finish(self, errors: Errors) -> list[T]:
        """Do all to their ends, and give what they return."""
        while self._going:
            errors = self.wait(self.advance(errors))
        return [self._done[number] for number in range(len(self._all))]


def _beside(executor: "ThreadPoolExecutor", wait: Callable[[], Errors]) -> Callable[[], Errors]:
    """Wait in a thread, and have what to tell when it is asked for; at once where there can be no thread."""
    try:
        return executor.submit(wait).result
    except RuntimeError:
        errors = wait()
        return lambda: errors


def _finish(wave: _Wave[T], errors: Callable[[], Errors]) -> None:
    wave.finish(errors())


def _wait(wanted: dict[int, Durable]) -> dict[int, Poisoned]:
    """Return when all of it is durable, but for those to whom an error is to be told."""
    files: dict[int, list[int]] = {}
    folders: dict[tuple[int, int], list[int]] = {}
    for number, want in wanted.items():
        found = os.fstat(want.fd)
        if want.folder:
            folders.setdefault((found.st_dev, found.st_ino), []).append(number)
        else:
            files.setdefault(found.st_dev, []).append(number)
    errors: dict[int, Poisoned] = {}
    for numbers in files.values():
        if len(numbers) <= FEW or not _is_told():
            singly = ((number, _failure(durable.sync_file, *wanted[number][:2])) for number in numbers)
            errors |= {number: failed for number, failed in singly if failed is not None}
            continue
        # The one that was opened first is told of every error since: of all that the others have written.
        failed = _failure(durable.sync_file_system, *wanted[numbers[0]][:2])
        if failed is not None:
            told = failed.errno, failed.strerror
            errors |= {number: Poisoned(*told, wanted[number].what) for number in numbers}
    for numbers in folders.values():
        failed = _failure(durable.sync_folder, *wanted[numbers[0]][:2])
        if failed is not None:
            errors |= dict.fromkeys(numbers, failed)
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
