"""A witness of who works on a store: whoever is let in says so, and whoever moves a file says so, in one file.

Each line is appended by one write, so that their order is the order of time.
Once somebody is let in, nobody else may move anything any more: neither another maintainer, nor a worker whose leader
has died.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from store import syscalls
from store.locks import StoreLock

IN, ACT = "in", "act"


class Witness:
    """What was seen, in a file outside of the store."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def watch(self) -> None:
        """See what this process, which was forked for a run, and its workers do from here on."""
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        run = os.getpid()
        acquire = StoreLock.acquire

        def say(what: str) -> None:
            os.write(fd, f"{run} {what}\n".encode())

        def acquiring(lock: StoreLock, *given: Any, **named: Any) -> bool:
            taken = acquire(lock, *given, **named)
            if taken:
                say(IN)
            return taken

        def seen(real: Callable[..., None]) -> Callable[..., None]:
            def moving(*given: Any, **named: Any) -> None:
                real(*given, **named)
                say(
                    ACT
                )  # behind it: who is killed between the two has moved it before anybody else was let in

            return moving

        StoreLock.acquire = acquiring  # type: ignore[assignment,method-assign]
        syscalls.rename_exchange = seen(syscalls.rename_exchange)
        syscalls.rename_noreplace = seen(syscalls.rename_noreplace)

    @property
    def seen(self) -> list[tuple[int, str]]:
        """Who did what, in the order of time."""
        lines = (line.split() for line in self._path.read_text().splitlines())
        return [(int(run), what) for run, what in lines]

    def times(self, what: str) -> int:
        return sum(each == what for _, each in self.seen)

    def intruders(self) -> list[int]:
        """The runs that moved something after another one had been let in."""
        return list(intruding(self.seen))


def intruding(seen: Iterable[tuple[int, str]]) -> Iterable[int]:
    inside: int | None = None
    for run, what in seen:
        if what == IN:
            inside = run
        elif run != inside:
            yield run
