"""A forked process that has stopped itself, and goes on under `strace`."""

import os
import signal
import subprocess

import pytest

LONGEST = 60.0


def followed(child: int, strace: list[str]) -> int:
    """Let a stopped child go on under strace with these options, until it ends; its wait status."""
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
    _, status = os.waitpid(child, 0)
    tracer.communicate(timeout=LONGEST)
    if not attached:
        pytest.skip(f"strace cannot attach here: {said.decode().strip()}")  # a reason that only it can give
    return status
