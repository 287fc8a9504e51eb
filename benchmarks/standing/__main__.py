"""The command: which rows to measure, how thoroughly, and the table with an exit code."""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import corpora, promises, standing, whole
from benchmarks.floor import compiled
from benchmarks.promises import Figure
from benchmarks.standing import bounds, reading, sweeping
from benchmarks.standing.ground import Ground, Row, say
from benchmarks.stands import CannotTell, spread

SESSIONS, PAIRS, GIANT = 100_000, 5, 2 << 30

ROWS: dict[str, Row] = {
    "plan": reading.plan,
    "calls": reading.counted,
    "loop": reading.loop,
    "prune": sweeping.prune,
    "again": sweeping.again,
    "recover": sweeping.recover,
    "million": bounds.million,
    "jobs": reading.jobs,
    "start": reading.start,
    "giant": bounds.giant,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a promise is not kept, else 2 if some of it cannot be told."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.standing", description=standing.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--only", action="append", choices=ROWS, metavar="ROW", help=f"one of {', '.join(ROWS)}"
    )
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="all other sizes follow from this one")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="runs of each of both")
    parser.add_argument("--giant", type=int, default=GIANT, metavar="BYTES", help="of real bytes; 0 for none")
    parser.add_argument("--markdown", action="store_true", help="the table as a README has it")
    parser.add_argument("--corpora", type=Path, default=corpora.cache_folder(), metavar="DIR")
    given = parser.parse_args(arguments)
    floor = compiled(given.corpora)
    if floor is None:
        print("there is no floor without a C compiler on Linux", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # scratch folders go then, too
    figures: list[Figure] = []
    try:
        for name in given.only or ROWS:
            say(name)
            # Beside the corpora, not in the system's folder for such things, which may be memory.
            with tempfile.TemporaryDirectory(dir=given.corpora, prefix="standing-") as scratch:
                spread(Path(scratch))
                ground = Ground(given.corpora, Path(scratch), floor, given.sessions, given.pairs, given.giant)
                figures += _measured(name, ground)
    finally:  # who stops it has the rows until then
        print(f"{whole.machine()}; {given.sessions:,} sessions, {given.pairs} pairs")
        for line in (promises.markdown if given.markdown else promises.table)(figures):
            print(line)
    if promises.broken(figures):
        return 1
    return 2 if any(figure.ours.startswith(promises.NOT_MEASURED) for figure in figures) else 0


def _measured(name: str, ground: Ground) -> list[Figure]:
    """The figures of a row, or that it could not be measured."""
    try:
        return ROWS[name](ground)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip()
        why = f"{' '.join(map(str, error.cmd[:8]))}: exit code {error.returncode} {said}"
    except CannotTell as error:
        why = str(error)
    say(f"  {why}")
    return [promises.unknown(name, why)]


if __name__ == "__main__":
    sys.exit(main())
