"""What may happen to a run: it is killed at a moment or at a call, stopped, finds a full disk, or a clock that is wrong."""

import os
import random
import resource
import signal
from collections.abc import Callable
from typing import Any

from maint_world import DAY

from store import syscalls

_CALLS = (
    "open",
    "write",
    "link",
    "unlink",
    "mkdir",
    "rmdir",
    "fsync",
    "replace",
    "ftruncate",
    "utime",
    "fchmod",
)
_OURS = ("rename_exchange", "rename_noreplace", "syncfs")


def dies_at(number: int) -> Callable[[], None]:
    """The run is killed when it is about to make its call of this number, or one of its workers is."""

    def plant() -> None:
        left = number

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*given: Any, **named: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*given, **named)

            return call

        for module, names in ((os, _CALLS), (syscalls, _OURS)):
            for name in names:
                setattr(module, name, counted(getattr(module, name)))

    return plant


def no_room(size: int) -> Callable[[], None]:
    """No file can become longer than so many bytes, as on a disk that is full."""

    def plant() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return plant


def step(dice: random.Random) -> float:
    """Seconds by which a clock is wrong for the time of one run."""
    return dice.uniform(-2, 2) * DAY
