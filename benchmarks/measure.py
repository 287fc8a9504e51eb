"""The figures that are promised, over a hundred thousand sessions: `python -m benchmarks.measure`.

- How long `maint plan --json` takes beside the floor in C: whole processes, turn by turn, the median of the
  quotients.
- How much memory all its processes take together at the most: a page that several share counts once.
- How both grow: the time a session at a tenth, a third and all of that size.

Beside the time by the clock stands the time of the processors, of all processes together: other people's work on
the machine changes it far less.
Where the two disagree with what they were, it is the machine that changed, and not the program.
"""

import argparse
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import corpora, whole
from benchmarks.beside import ratio, seconds, shown
from benchmarks.floor import Floor, compiled

SESSIONS, PAIRS = 100_000, 7
MOST_TIMES, MOST_MEMORY = 3.0, 400e6
"""What is promised: at most so many times the floor, and so many bytes."""

_PAUSE = 0.005  # seconds between two looks at the memory


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a promise is not kept, 2 if it cannot be told."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--pairs", type=int, default=PAIRS, help="runs of each of both at the full size")
    parser.add_argument("--corpora", type=Path, default=corpora.cache_folder(), metavar="DIR")
    given = parser.parse_args(arguments)
    floor = compiled(given.corpora)
    if floor is None:
        print("there is no floor without a C compiler on Linux", file=sys.stderr)
        return 2
    print(
        f"{os.cpu_count()} processors, {os.uname().sysname} {os.uname().release}, Python {sys.version.split()[0]}"
    )
    times = 0.0
    for sessions in (given.sessions // 10, given.sessions * 3 // 10, given.sessions):
        times = _pairs(floor, given.corpora, sessions, given.pairs)
    memory = _memory(given.corpora, given.sessions)
    print(f"memory: {memory / 1e6:.0f} MB of {MOST_MEMORY / 1e6:.0f} MB, in all processes together")
    print(f"time: {times:.2f} of {MOST_TIMES:.2f} times the floor")
    return int(times > MOST_TIMES or memory > MOST_MEMORY)


def _pairs(floor: Floor, folder: Path, sessions: int, pairs: int) -> float:
    """How many times as long as the floor a plan over so many sessions takes; prints it."""
    store = corpora.realistic(folder, sessions)
    with tempfile.TemporaryDirectory() as scratch:
        policy = whole.policy_file(Path(scratch, "policy.yaml"), store, whole.TIDYING)
        ours = whole.command(*whole.plan(policy, store.at))
        theirs = whole.command(floor.program, "survey", store.paths["path"])
        ours(), theirs()  # warm
        measured = [(_spent(ours), _spent(theirs)) for _ in range(pairs)]
    our, their = zip(*measured, strict=True)
    times = ratio([wall for wall, _ in our], [wall for wall, _ in their])
    processor = ratio([cpu for _, cpu in our], [cpu for _, cpu in their])
    whole_time = statistics.median(wall for wall, _ in our)
    floor_time = statistics.median(wall for wall, _ in their)
    print(
        f"{sessions:>9} sessions: plan {shown(whole_time)}, {shown(whole_time / sessions)} a session; "
        f"floor {shown(floor_time / sessions)} a session; "
        f"ratio {times:.2f} by the clock, {processor:.2f} by the processors"
    )
    return times


def _spent(process: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock and by the processors, of a process with all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = seconds(process)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _memory(folder: Path, sessions: int) -> float:
    """The most bytes that a plan's processes took together whenever it was looked."""
    store = corpora.realistic(folder, sessions)
    most = 0
    with tempfile.TemporaryDirectory() as scratch:
        policy = whole.policy_file(Path(scratch, "policy.yaml"), store, whole.KEEPING)
        with subprocess.Popen(
            whole.plan(policy, store.at),
            env=whole.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            while process.poll() is None:
                most = max(most, sum(map(_own_share, _family(process.pid))))
                time.sleep(_PAUSE)
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


if __name__ == "__main__":
    sys.exit(main())
