"""The program in a process of its own that was forked for it, and is not waited for: to be stopped, killed and seen."""

import os
import select
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn, Self

from maint_world import Answer, World, _become, set_clock

LONGEST = 60.0
"""Seconds after which a process that should have ended is said to hang."""

LONGEST_DYING = 5.0
"""Seconds after which a killed process is no longer waited for."""


def nothing() -> None:
    """What is done to a program before it begins, as a rule."""


class Running:
    """A run of the program that goes on beside us; at the end of the context it and all its children are killed.

    ``first`` is called in the new process before the program begins: what it plants there is planted nowhere else.
    """

    def __init__(self, world: World, *arguments: str, first: Callable[[], None] = nothing) -> None:
        self._stack = ExitStack()
        self._said = [self._stack.enter_context(tempfile.TemporaryFile()) for _ in range(2)]
        self.pid = os.fork()
        if self.pid == 0:
            self._be(world, arguments, first)
        self._handle = os.pidfd_open(self.pid)
        self._stack.callback(os.close, self._handle)
        self._status: int | None = None

    def _be(self, world: World, arguments: tuple[str, ...], first: Callable[[], None]) -> NoReturn:
        try:
            os.setpgid(0, 0)
            set_clock(world.ahead)
            first()
        except BaseException:  # noqa: BLE001  whatever it was, it is shown
            os.write(self._said[1].fileno(), traceback.format_exc().encode())
            os._exit(99)
        out, err = (file.fileno() for file in self._said)
        _become(arguments, world.env, world.folder, (out, err), -1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # the group that it made: orphans of its own are in it
        self._reap()
        self._await_orphans()
        self._stack.close()

    @property
    def workers(self) -> list[int]:
        """The processes that it has forked and that have not ended."""
        return children(self.pid)

    def ended(self, within: float) -> bool:
        """Whether it has ended within so many seconds."""
        return self._status is not None or has_ended(self._handle, within)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def answer(self) -> Answer:
        """What it said, and how it ended; it must."""
        assert self.ended(LONGEST), f"it hangs: {self.told()}"
        self._reap()
        assert self._status is not None
        return Answer(os.waitstatus_to_exitcode(self._status), *self.told())

    def told(self) -> list[str]:
        """What it has said so far on stdout and stderr."""
        return [os.pread(file.fileno(), 1 << 24, 0).decode(errors="replace") for file in self._said]

    def _await_orphans(self) -> None:
        """Wait until its orphans have let go of the store's lock, which on a busy machine they hold a little longer.

        Where nobody reaps them they seem to go on for ever, and are not waited for that long.
        """
        until = time.monotonic() + LONGEST_DYING
        with suppress(ProcessLookupError):
            while time.monotonic() < until:
                os.killpg(self.pid, 0)
                time.sleep(0.001)

    def _reap(self) -> None:
        if self._status is None:
            _, self._status = os.waitpid(self.pid, 0)


class Others:
    """Processes that are not our children, held so that their numbers mean no others; those that run on are killed."""

    def __init__(self, pids: list[int]) -> None:
        self._handles: list[int] = []
        for pid in pids:
            with suppress(ProcessLookupError):
                self._handles.append(os.pidfd_open(pid))

    def end(self, within: float) -> bool:
        """Whether all of them end within so many seconds; they do then, in one way or another."""
        by_themselves = [has_ended(handle, within) for handle in self._handles]
        while self._handles:
            handle = self._handles.pop()
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
        return all(by_themselves)


def children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def has_ended(handle: int, within: float) -> bool:
    """Whether the process behind a descriptor ends within so many seconds."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(1000 * within))
