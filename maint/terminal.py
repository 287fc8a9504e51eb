"""The terminal: whether there is one, progress on it, and the two signals of a person who wants to stop.

Progress goes to stderr and only to a terminal; ``TERM=dumb`` gets none, ``NO_COLOR`` gets it without colour.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from maint.talk import Stopped, say

REFRESH = 0.1
"""Seconds between two drawings of the progress."""


class Stop:
    """Remembers the first signal; the second one raises `Stopped`."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    def heard(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            raise Stopped(number)
        self.signal = number
        if sys.stderr.isatty():
            say("finishing what is in flight; once more to stop at once")


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Listen for SIGINT and SIGTERM for the time of the context."""
    stop = Stop()
    before = {number: signal.signal(number, stop.heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_interactive() -> bool:
    """Whether a person reads what is printed to stdout."""
    return sys.stdout.isatty()


class Progress:
    """A bar on stderr while a store is read or changed; nothing without a terminal.

    It is drawn by whoever calls it and not by a thread, because worker processes are forked meanwhile.
    """

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._bar: Any = None
        self._of_bytes = False
        self._tasks: dict[str, Any] = {}
        self._next = time.monotonic() + REFRESH

    def __call__(self, what: str, done: int, total: int) -> None:
        """So many of so many sessions or actions."""
        self._draw(what, done, total, of_bytes=False)

    def read(self, what: str, done: int, total: int) -> None:
        """So many of so many bytes, with their rate and the time that is left."""
        self._draw(what, done, total, of_bytes=True)

    def _draw(self, what: str, done: int, total: int, *, of_bytes: bool) -> None:
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + REFRESH
        if self._bar is not None and self._of_bytes is not of_bytes:
            self.clear()
        if self._bar is None:
            self._of_bytes = of_bytes
            try:
                self._bar = _new_bar(of_bytes=of_bytes)
            except ImportError:  # root works as somebody who may not read what we are installed with
                self._shown = False
                return
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)
        self._bar.refresh()

    def clear(self) -> None:
        """Take the bar away again."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            self._tasks.clear()


def _new_bar(*, of_bytes: bool) -> Any:
    from rich import progress  # noqa: PLC0415  70 ms that only a terminal needs
    from rich.console import Console  # noqa: PLC0415

    columns: tuple[Any, ...] = progress.Progress.get_default_columns()
    if of_bytes:
        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.DownloadColumn(binary_units=True),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
        )
    return progress.Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
