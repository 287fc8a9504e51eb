"""One sweep over stores of all kinds, beside a sweep over each of them: `python -m benchmarks.mixed`.

- How long the one takes, and how long all the others together.
- How long a sweep takes that removes many sessions of one large project, for a session: what rewriting the file that
  lists them costs, which is done once.

All are whole processes over fresh copies of the same stores, turn by turn; what counts is the median of the quotients.
Copying is not measured.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import corpora, whole
from benchmarks.beside import ratio, shown
from benchmarks.corpora import Corpus
from benchmarks.whole import Spent

SESSIONS, PAIRS = 100_000, 3
MOST_TIMES = 1.3
"""What is promised of a mixed sweep: at most so many times the sum of the sweeps of each kind alone."""

SHARES = {
    "rec": 0.3,
    "opendev": 0.2,
    "opendev-snapshots": 0.1,
    "outrig": 0.2,
    "codex": 0.1,
    "copilot": 0.1,
}
"""How many of the sessions are of each kind."""

PASSES = (*whole.TIDYING, "prune: {older_than: 300d}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if the promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mixed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--pairs", type=int, default=PAIRS, help="runs of both")
    parser.add_argument("--corpora", type=Path, default=corpora.cache_folder(), metavar="DIR")
    given = parser.parse_args(arguments)
    print(whole.machine())
    stores = [
        corpora.realistic(given.corpora, max(1, int(given.sessions * share)), kind=kind)
        for kind, share in SHARES.items()
    ]
    together: list[Spent] = []
    alone: dict[str, list[Spent]] = {store.kind: [] for store in stores}
    for turn in range(given.pairs):
        for store in stores:
            alone[store.kind].append(_sweep([store], given.corpora))
        together.append(_sweep(stores, given.corpora))
        print(f"turn {turn + 1}: together {shown(together[-1].clock)}", flush=True)
    sums = [sum(each[turn].clock for each in alone.values()) for turn in range(given.pairs)]
    times = ratio([each.clock for each in together], sums)
    for store in stores:
        clock = statistics.median(each.clock for each in alone[store.kind])
        count = max(1, int(given.sessions * SHARES[store.kind]))
        print(f"{store.kind:>18}: {count:>7} sessions, swept in {shown(clock)}, {shown(clock / count)} each")
    print(
        f"all in one sweep: {shown(statistics.median(each.clock for each in together))}, "
        f"{times:.2f} of {MOST_TIMES:.2f} times the sum of each alone"
    )
    return int(times > MOST_TIMES)


def _sweep(stores: Sequence[Corpus], folder: Path) -> Spent:
    """What a sweep over copies of these stores takes."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="mixed-") as scratch:
        copies = [corpora.copied(store, Path(scratch, store.kind)) for store in stores]
        policy = whole.policy_file(Path(scratch, "policy.yaml"), copies, PASSES)
        taken = whole.spent(whole.command(whole.PROGRAM, "sweep", "--json", "--policy", str(policy)))
        shutil.rmtree(scratch, ignore_errors=True)
        Path(scratch).mkdir()
        return taken


if __name__ == "__main__":
    sys.exit(main())
