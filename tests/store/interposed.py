"""Calls of ours that somebody else comes before or behind, or at which this process dies."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from store import syscalls


def acting(
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    *,
    before: Callable[[], object] | None = None,
    after: Callable[[], object] | None = None,
) -> None:
    """Let an actor do something just before or after our first call of that rename."""
    real = getattr(syscalls, what)
    steps = iter([True])

    def call(*args: Any, **kwargs: Any) -> None:
        first = next(steps, False)
        if first and before:
            before()
        real(*args, **kwargs)
        if first and after:
            after()

    monkeypatch.setattr(syscalls, what, call)


def failing_over(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the disk fail whoever syncs a folder in which something has this name."""
    real = os.fsync

    def fsync(fd: int) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.stat(name, dir_fd=fd, follow_symlinks=False)
            raise OSError(errno.EIO, "input/output error")
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)


def deadly(point: int, *, after: bool) -> Callable[[Any, str], None]:
    """What makes calls deadly: at the one of that number, among all of them, this process ends, before it or ``after``."""
    count = iter(range(1000))

    def make_deadly(module: Any, name: str) -> None:
        real = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            dies = next(count) == point
            if dies and not after:
                os._exit(9)
            result = real(*args, **kwargs)
            if dies:
                os._exit(9)
            return result

        setattr(module, name, call)

    return make_deadly
