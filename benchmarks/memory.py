"""How much memory a process takes with all its descendants; a page that several share counts once."""

import contextlib
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import whole

_PAUSE = 0.005  # seconds between two looks


def peak(arguments: Sequence[str]) -> int:
    """The most bytes that the process and its descendants took together whenever it was looked; it must succeed."""
    most = 0
    with subprocess.Popen(
        arguments,
        env=whole.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            most = max(most, sum(map(_own_share, _family(process.pid))))
            time.sleep(_PAUSE)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(arguments))
    return most


def _family(pid: int) -> list[int]:
    """A process with all its descendants."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{each}/task"):
                found += map(int, Path(f"/proc/{each}/task/{task}/children").read_text().split())
    return found


def _own_share(pid: int) -> int:
    """The bytes of memory that a process takes, each shared page divided among those who share it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
