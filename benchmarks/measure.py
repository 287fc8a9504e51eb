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
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import corpora, memory, whole
from benchmarks.beside import ratio, shown
from benchmarks.floor import Floor, compiled

SESSIONS, PAIRS = 100_000, 7
MOST_TIMES, MOST_MEMORY = 3.0, 400e6
"""What is promised: at most so many times the floor, and so many bytes."""


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
    print(whole.machine())
    times = 0.0
    for sessions in (given.sessions // 10, given.sessions * 3 // 10, given.sessions):
        times = _pairs(floor, given.corpora, sessions, given.pairs)
    most = _memory(given.corpora, given.sessions)
    print(f"memory: {most / 1e6:.0f} MB of {MOST_MEMORY / 1e6:.0f} MB, in all processes together")
    print(f"time: {times:.2f} of {MOST_TIMES:.2f} times the floor")
    return int(times > MOST_TIMES or most > MOST_MEMORY)


def _pairs(floor: Floor, folder: Path, sessions: int, pairs: int) -> float:
    """How many times as long as the floor a plan over so many sessions takes; prints it."""
    store = corpora.realistic(folder, sessions)
    with tempfile.TemporaryDirectory() as scratch:
        policy = whole.policy_file(Path(scratch, "policy.yaml"), store, whole.TIDYING)
        ours = whole.command(*whole.plan(policy, store.at))
        theirs = whole.command(floor.program, "survey", store.paths["path"])
        ours(), theirs()  # warm
        measured = [(whole.spent(ours), whole.spent(theirs)) for _ in range(pairs)]
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


def _memory(folder: Path, sessions: int) -> float:
    """The most bytes that a plan's processes took together whenever it was looked."""
    store = corpora.realistic(folder, sessions)
    with tempfile.TemporaryDirectory() as scratch:
        policy = whole.policy_file(Path(scratch, "policy.yaml"), store, whole.KEEPING)
        return memory.peak(whole.plan(policy, store.at))


if __name__ == "__main__":
    sys.exit(main())
