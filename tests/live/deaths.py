"""Ways in which a worker ends without an answer, or never gives one; each happens once, in one worker of a run."""

import ctypes
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

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
        """Have it happen in this process, which was forked for the run, or rather in a worker of it."""
        leader = os.getpid()
        real = Hands.__call__

        def working(hands: Hands, work: list[tuple[int, bytes]]) -> Any:
            if os.getpid() == leader:
                return real(hands, work)
            if self._busy:
                done = real(hands, work[: len(work) // 2])
                self._happen()
                return done + real(hands, work[len(work) // 2 :])
            if self._is_mine():
                # Everybody else is at work until this one is idle, and has ended so.
                signal.signal(signal.SIGALRM, lambda *_: self._happen(mine=True))
                signal.setitimer(signal.ITIMER_REAL, 0.2)
                return real(hands, work)
            while not self._has_happened():
                os.sched_yield()
            return real(hands, work)

        Hands.__call__ = working  # type: ignore[assignment,method-assign]

    def _is_mine(self) -> bool:
        with suppress(FileExistsError):
            os.close(os.open(f"{self.marker}.mine", os.O_CREAT | os.O_EXCL))
            return True
        return False

    def _has_happened(self) -> bool:
        return self.marker.exists()

    def _happen(self, *, mine: bool = False) -> None:
        if mine or self._is_mine():
            self.marker.write_text(str(os.getpid()))
            self._way()
