"""A forked process that has stopped itself, and goes on under `strace`."""

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

LONGEST = 60.0


def followed(child: int, strace: list[str], stopped: Callable[[], None] | None = None) -> int:
    """Let a stopped child go on under strace with these options, until it ends; its wait status.

    If it stops on its way, ``stopped`` is done before it goes on; when that fails, the child is killed.
    """
    os.waitpid(child, os.WUNTRACED)
    tracer = subprocess.Popen(
        ["strace", "-p", str(child), *strace],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    attached = b"attached" in said
    os.kill(child, signal.SIGCONT if attached else signal.SIGKILL)
    try:
        status = _waited(child, stopped)
    finally:
        tracer.communicate(timeout=LONGEST)
    if not attached:
        pytest.skip(f"strace cannot attach here: {said.decode().strip()}")  # a reason that only it can give
    return status


def _waited(child: int, stopped: Callable[[], None] | None) -> int:
    while True:
        _, status = os.waitpid(child, os.WUNTRACED if stopped else 0)
        if stopped is None or not os.WIFSTOPPED(status):
            return status
        try:
            stopped()
        except BaseException:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        os.kill(child, signal.SIGCONT)
