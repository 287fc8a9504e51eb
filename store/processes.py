"""Which process a number in a lock file speaks for, and whether it still runs.

A number alone proves nothing: pids are used again, lock files outlive reboots, and what may be asked of another
user's process depends on the system.
So a verdict comes from when the process started and when the machine did, and carries its evidence in words.
Whatever exists counts as running, whoever owns it.

Not guarded: pids of other machines or other pid namespaces, and clocks that were wrong when the file was written.
"""

import contextlib
import functools
import os
import re
import sys
from typing import NamedTuple

from store.facts import Owner

_TOLERANCE = 2.0  # seconds: start times are in clock ticks, file times in the kernel's own coarse ones
_LARGEST_PID = 1 << 22
_NUMBER = re.compile(r"\+?[0-9]{1,20}", re.ASCII)


class Identity(NamedTuple):
    """One process of one boot; the start time is in seconds since the epoch."""

    boot_id: str
    pid: int
    start_time: float


@functools.cache
def boot_id() -> str:
    """What tells this boot of this machine from every other; by its time where the kernel gives no name."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return f"booted-{boot_time():.0f}"


def boot_time() -> float:
    """When this machine started, by today's clock."""
    import psutil  # noqa: PLC0415  15 ms that most runs need not spend

    return psutil.boot_time()


def identity(pid: int) -> Identity | None:
    """Who ``pid`` is now, or ``None`` if no such process runs, or it cannot be asked."""
    if sys.platform == "linux":
        # Every run asks this about itself, and two lines of the kernel's are read sooner than psutil is imported.
        with contextlib.suppress(OSError, ValueError, LookupError):
            return Identity(boot_id(), pid, _start_time(pid))
    import psutil  # noqa: PLC0415  see boot_time

    try:
        return Identity(boot_id(), pid, psutil.Process(pid).create_time())
    except (psutil.Error, OSError, ValueError, OverflowError):
        return None


def _start_time(pid: int) -> float:
    """When a process started, as proc(5) has it: ticks since the boot, the 20th field behind its name."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        ticks = int(file.read().rpartition(b")")[2].split()[19])
    with open("/proc/stat", "rb") as file:
        booted = next(int(line.split()[1]) for line in file if line.startswith(b"btime "))
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def runs(known: Identity) -> bool:
    """Whether that very process still runs; a start time within two seconds is the same."""
    if known.boot_id != boot_id():
        return False
    now = identity(known.pid)
    return now is not None and abs(now.start_time - known.start_time) <= _TOLERANCE


def owner_of(pid: str | int, written_at: float, now: float) -> tuple[Owner, str]:
    """Whether the process that a file written at ``written_at`` names by ``pid`` still runs, and the evidence.

    A file from the future says nothing of times, so that only a missing process is evidence then.
    """
    number = _number(pid)
    if number is None or not 0 < number <= _LARGEST_PID:
        return Owner.GONE, "the lock names no process"
    import psutil  # noqa: PLC0415  see boot_time

    try:
        started = psutil.Process(number).create_time()
        booted = psutil.boot_time()
    except psutil.NoSuchProcess:
        return _hidden_or_gone(number)
    except psutil.AccessDenied:
        return Owner.HOLDS, f"process {number} runs, as another user"
    except (psutil.Error, OSError) as error:
        return Owner.UNKNOWN, f"whether process {number} runs cannot be asked: {error}"
    if written_at <= now:
        if booted > written_at + _TOLERANCE:
            return Owner.GONE, f"this machine started after process {number} was written down"
        if started > written_at + _TOLERANCE:
            return Owner.GONE, f"process {number} is another one, which started later"
    return Owner.HOLDS, f"process {number} runs"


def _number(pid: str | int) -> int | None:
    if isinstance(pid, int):
        return pid
    text = pid.strip()
    return int(text) if _NUMBER.fullmatch(text) else None


def _hidden_or_gone(pid: int) -> tuple[Owner, str]:
    """Where /proc hides other users' processes, a missing entry is no evidence, but the kernel's answer is."""
    try:
        os.kill(pid, 0)  # sends nothing, and is asked only of a number that names one process
    except PermissionError:
        return Owner.UNKNOWN, f"process {pid} runs, but this system hides which one it is"
    except OSError:
        return Owner.GONE, f"no process {pid} runs"
    return Owner.GONE, f"{pid} is no process but a thread of one"
