"""Ways in which a worker ends without an answer, or never gives one; each happens once, in one worker of a run."""

import ctypes
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mishaps import dies_at

from maint import worker
from maint.execute import Hands


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segmentation_fault() -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # pytest would tell of it
    ctypes.string_at(0)


def aborted() -> None:
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    os.abort()


def left() -> None:
    os._exit(3)


def raised() -> None:
    raise RuntimeError(lambda: None)  # which no pickle can carry


def out_of_memory() -> None:
    """Without any more room from here on; what the worker still manages to do it does."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))
    bytearray(1 << 26)


def hung() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


WAYS: tuple[Callable[[], None], ...] = (
    killed,
    segmentation_fault,
    aborted,
    left,
    raised,
    out_of_memory,
    hung,
)


class Death:
    """A worker of the next run ends in a way: ``busy``, when it has done half of its first task, or idle behind it.

    ``marker`` is there once that has begun.
    """

    def __init__(self, way: Callable[[], None], marker: Path, *, busy: bool) -> None:
        self._way = way
        self.marker = marker
        self._busy = busy

    def plant(self) -> None:
        """Have it happen in a worker of this process, which was forked for the run."""
        if not self._busy:
            serve = worker._serve
            worker._serve = lambda pipe, *more: serve(Idle(pipe, self), *more)  # type: ignore[arg-type]
            return
        leader = os.getpid()
        real = Hands.__call__

        def working(hands: Hands, work: list[tuple[int, bytes]]) -> Any:
            if os.getpid() == leader:
                return real(hands, work)
            done = real(hands, work[: len(work) // 2])
            self.happen()
            return done + real(hands, work[len(work) // 2 :])

        Hands.__call__ = working  # type: ignore[assignment,method-assign]

    def happen(self) -> None:
        """It happens now, unless it has happened to another worker."""
        with suppress(FileExistsError):
            os.close(os.open(f"{self.marker}.begun", os.O_CREAT | os.O_EXCL))
            self.marker.write_text(str(os.getpid()))
            self._way()


class Idle:
    """The pipe of a worker to which something happens when it waits for a task behind its first one."""

    def __init__(self, pipe: Connection, death: Death) -> None:
        self._pipe = pipe
        self._death = death
        self._waits = 0

    def recv_bytes(self) -> bytes:
        self._waits += 1
        if self._waits == 2:
            with suppress(MemoryError):
                self._death.happen()
        return self._pipe.recv_bytes()

    def send_bytes(self, data: bytes) -> None:
        self._pipe.send_bytes(data)


def dying_over(number: int, at: int) -> Callable[[], None]:
    """Every worker dies over the action of this number: with others among them at once, by itself at its call ``at``."""

    def plant() -> None:
        leader = os.getpid()
        real = Hands.__call__

        def working(hands: Hands, work: list[tuple[int, bytes]]) -> Any:
            if os.getpid() != leader and number in (n for n, _ in work):
                if len(work) > 1:
                    killed()
                dies_at(at)()
            return real(hands, work)

        Hands.__call__ = working  # type: ignore[assignment,method-assign]

    return plant
