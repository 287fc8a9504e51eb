"""A run that is stopped right after one of its calls, and goes on when somebody else has done what he wanted.

`strace` makes the kernel stop it: the signal waits until the call has ended.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import pytest
from gaps import Gap
from stories import World
from tracing import become

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
    with tempfile.TemporaryFile() as said, tempfile.NamedTemporaryFile() as log:
        child = os.fork()
        if child == 0:
            signal.alarm(LONGEST)
            become(world, arguments, said)
        tracer = None
        try:
            os.waitpid(child, os.WUNTRACED)
            tracer = _strace(child, ["-y", "-o", log.name, *gap.strace])
            os.kill(child, signal.SIGCONT)
            _, status = os.waitpid(child, os.WUNTRACED)
            if stopped := os.WIFSTOPPED(status):
                act()
                os.kill(child, signal.SIGCONT)
                _, status = os.waitpid(child, 0)
            child = 0
        finally:
            if child:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            if tracer is not None:
                tracer.communicate(timeout=LONGEST)
        text = os.pread(said.fileno(), 1 << 20, 0).decode(errors="replace")
        return Run(os.waitstatus_to_exitcode(status), text, stopped, _last_call(log.name))


def _strace(child: int, options: list[str]) -> subprocess.Popen[bytes]:
    tracer = subprocess.Popen(
        ["strace", "-p", str(child), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if b"attached" not in said:
        tracer.communicate(timeout=LONGEST)
        pytest.skip(f"strace cannot attach here: {said.decode().strip()}")  # a reason that only it can give
    return tracer


def _last_call(log: str) -> str:
    """The call after which it was stopped, as strace shows it."""
    with open(log, errors="replace") as file:
        before = ""
        for line in file:
            if line.startswith("--- SIGSTOP"):
                return before.strip()
            before = line
    return ""
