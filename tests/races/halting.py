"""A run that is stopped right after one of its calls, and goes on when somebody else has done what he wanted.

`strace` makes the kernel stop it: the signal waits until the call has ended.
"""

import tempfile
from collections.abc import Callable
from typing import NamedTuple

from gaps import Gap
from stories import World
from tracing import run_traced

LONGEST = 120
"""Seconds after which a process that hangs is ended by a signal of its own."""


class Run(NamedTuple):
    """How a run ended, what it said on stderr, whether it was stopped, and after which call that was."""

    code: int
    said: str
    stopped: bool
    call: str


def run_halted(world: World, arguments: list[str], gap: Gap, act: Callable[[], None]) -> Run:
    """Run the program, and ``act`` while it is stopped in that gap."""
    stops = 0

    def stopped() -> None:
        nonlocal stops
        stops += 1
        act()

    with tempfile.NamedTemporaryFile() as log:
        strace = ["-y", "-o", log.name, *gap.strace]
        code, said = run_traced(world, arguments, strace, stopped, LONGEST)
        return Run(code, said, bool(stops), _last_call(log.name))


def _last_call(log: str) -> str:
    """The call after which it was stopped, as strace shows it."""
    with open(log, errors="replace") as file:
        before = ""
        for line in file:
            if line.startswith("--- SIGSTOP"):
                return before.strip()
            before = line
    return ""
