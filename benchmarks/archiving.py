"""What the archive promises, beside tar and zstd: `python -m benchmarks.archiving`.

- How long it takes to archive a store, and how many bytes that makes, beside one solid stream of the same sessions
  whose files are removed after.
- How long it takes to have one session back beyond the start of Python, to list all, to have all back, to verify.
- How much memory all processes take together at the most: a page that several share counts once.
- How both bear one session that is larger than everything else, and one in which the same images stand again and
  again.

All are whole processes, ours and theirs turn by turn, over fresh copies of one store; what counts is the median of
the quotients.
Copying and settling the disk before each are not measured.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import corpora, giants, memory, promises, tarball, whole
from benchmarks.corpora import Corpus
from benchmarks.promises import Figure
from benchmarks.stands import CannotTell, Stand, copied, spread, unused
from benchmarks.whole import Spent, command, spent

SESSIONS, PAIRS = 100_000, 5
MOST_TIME, MOST_BYTES, MOST_TIME_BACK = 1.0, 1.05, 1.0
"""What is promised beside the solid stream: so many times its time, its bytes, and the time to unpack it."""

MOST_FOR_ONE, MOST_FOR_LIST, MOST_MEMORY = 0.060, 1.0, 300e6
"""And besides: seconds beyond the start of Python to have one session back, seconds to list all, and bytes."""

GIANT, REPETITIVE, NEIGHBOURS = 2 << 30, 120_000_000, 1_000
"""The bytes of the largest session and of the most repetitive one, and how many small ones lie beside the former."""

BACK_ONE, LISTED = 9, 5
"""How often one session is brought back, each time another, and how often all are listed."""

_LEAST_ARCHIVED = 0.8  # of the sessions; less is not the work that is to be measured


class Archived(NamedTuple):
    """What is left of the last turn: a store in packs, and the same sessions as one stream."""

    stand: Stand
    stream: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a promise is not kept, 2 if it cannot be told."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archiving", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--pairs", type=int, default=PAIRS, help="runs of each of both")
    parser.add_argument("--corpora", type=Path, default=corpora.cache_folder(), metavar="DIR")
    parser.add_argument(
        "--giant", type=int, default=GIANT, metavar="BYTES", help="of the largest session; 0 for none"
    )
    given = parser.parse_args(arguments)
    if lacking := tarball.missing():
        print(f"without {', '.join(lacking)} there is nothing to compare with", file=sys.stderr)
        return 2
    corpus = corpora.realistic(given.corpora, given.sessions)
    figures: list[Figure] = []
    try:
        # Beside the corpora, not in the system's folder for such things, which may be memory.
        with tempfile.TemporaryDirectory(dir=given.corpora, prefix="archiving-") as scratch:
            spread(Path(scratch))
            figures += _all(Path(scratch), corpus, given.pairs, given.giant)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip()
        print(f"{' '.join(map(str, error.cmd[:8]))}: exit code {error.returncode}\n{said}", file=sys.stderr)
        return 2
    except CannotTell as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{whole.machine()}; {given.sessions} sessions")
    for line in promises.table(figures):
        print(line)
    return int(promises.broken(figures))


def _all(scratch: Path, corpus: Corpus, pairs: int, giant: int) -> list[Figure]:
    archived, figures = _packing(scratch, corpus, pairs)
    figures += _listing(archived)
    figures += _verifying(archived, pairs)
    figures += _all_back(scratch, archived, pairs)
    figures += _one_back(scratch, archived)
    archived.stand.gone()
    archived.stream.unlink()
    figures += _memory("of the store", copied(corpus, scratch, "watched"))
    if giant:
        figures += _giant(scratch, giant)
    figures += _repetitive(scratch, corpus.at)
    return figures


def _packing(scratch: Path, corpus: Corpus, pairs: int) -> tuple[Archived, list[Figure]]:
    """Archive everything, and make a stream of the same files and remove them."""
    ours: list[Spent] = []
    theirs: list[tuple[Spent, Spent, Spent]] = []
    young: set[str] = set()
    stands: list[Stand] = []
    stream = scratch / "solid.tar.zst"

    def we() -> None:
        while stands:
            stands.pop().gone()
        stands.append(copied(corpus, scratch, "ours"))
        ours.append(spent(command(*stands[0].archive())))
        young.clear()
        young.update(stands[0].files())

    def they() -> None:
        stand = copied(corpus, scratch, "theirs")
        for name in young:  # what was not archived has no place in the stream either
            (stand.sessions / name).unlink(missing_ok=True)
        os.sync()
        steps = tarball.pack(stand.sessions, stream), tarball.settle(stream), tarball.remove(stand.sessions)
        theirs.append(steps)
        stand.gone()

    for turn in range(pairs):
        _say(f"archiving, {turn + 1} of {pairs}")
        for one in whole.in_turn(turn, we, they):
            one()
    everything = len(Stand(corpus).files())
    if len(young) > everything * (1 - _LEAST_ARCHIVED):
        raise CannotTell(f"only {everything - len(young)} of {everything} files were archived")
    packed = sum(each.stat().st_size for each in stands[0].packs())
    raw = sum(each.stat().st_size for each in os.scandir(corpus.paths["path"]) if each.name not in young)
    clock = [our.clock for our in ours]
    figures = [
        promises.times(
            "archive all | tar, zstd, sync, rm",
            clock,
            [sum(step.clock for step in steps) for steps in theirs],
            most=MOST_TIME,
        ),
        promises.times("  the same without the sync", clock, [tar.clock + rm.clock for tar, _, rm in theirs]),
        promises.times(
            "  the same by the processors",
            [our.processors for our in ours],
            [sum(step.processors for step in steps) for steps in theirs],
        ),
        promises.sizes("bytes of packs | of the stream", packed, stream.stat().st_size, most=MOST_BYTES),
        promises.sizes("  bytes of packs | of the sessions", packed, raw),
    ]
    return Archived(stands[0], stream), figures


def _listing(archived: Archived) -> list[Figure]:
    _say("listing")
    rows, lines, theirs = [], [], []
    for _ in range(LISTED):
        rows.append(spent(command(*archived.stand.verb("list", "--archived"))).clock)
        lines.append(spent(command(*archived.stand.verb("list", "--archived", "--json"))).clock)
        theirs.append(tarball.names(archived.stream).clock)
    return [
        promises.under("list --archived | tar -t", rows, theirs, most=MOST_FOR_LIST),
        promises.under("list --archived --json | tar -t", lines, theirs, most=MOST_FOR_LIST),
    ]


def _verifying(archived: Archived, pairs: int) -> list[Figure]:
    _say("verifying")
    packs = archived.stand.packs()
    measured = [
        (spent(command(*archived.stand.verb("verify"))).clock, tarball.test(packs).clock)
        for _ in range(pairs)
    ]
    return [promises.times("verify all | zstd -t", *zip(*measured, strict=True))]


def _all_back(scratch: Path, archived: Archived, pairs: int) -> list[Figure]:
    """Bring all sessions back into a copy of the archived store, and unpack the stream into an empty folder."""
    ours: list[float] = []
    theirs: list[float] = []
    durable: list[float] = []
    expected = len(archived.stand.files()) + len(archived.stand.ids())

    def we() -> None:
        stand = copied(archived.stand.corpus, scratch, "ours-back")
        stand.ids()  # the catalogue is a copy, too, and so not of these packs: where they were made, it is
        ours.append(spent(command(*stand.restore_all())).clock)
        if len(stand.files()) < expected:
            raise CannotTell(f"{len(stand.files())} of {expected} files are there after all were restored")
        stand.gone()

    def they() -> None:
        folder = unused(scratch, "theirs-back")
        folder.mkdir()
        os.sync()
        theirs.append(tarball.unpack(archived.stream, folder).clock)
        durable.append(theirs[-1] + tarball.settle(folder).clock)
        shutil.rmtree(folder)

    for turn in range(pairs):
        _say(f"restoring all, {turn + 1} of {pairs}")
        for one in whole.in_turn(turn, we, they):
            one()
    return [
        promises.times("restore all | tar -x", ours, theirs, most=MOST_TIME_BACK),
        promises.times("  restore all | tar -x, sync", ours, durable),
    ]


def _one_back(scratch: Path, archived: Archived) -> list[Figure]:
    """Bring back single sessions from all over the archive: copies elsewhere, then in place."""
    _say("restoring one")
    ids = archived.stand.ids()
    chosen = ids[:: max(1, len(ids) // BACK_ONE)][:BACK_ONE]
    python = command(sys.executable, "-c", "pass")
    figures = []
    elsewhere = scratch / "elsewhere"
    elsewhere.mkdir()
    for where, more in (("elsewhere", ("--to", str(elsewhere))), ("in place", ())):
        measured = [
            (
                spent(command(*archived.stand.verb("restore", each, *more))).clock,
                spent(python).clock,
            )
            for each in chosen
        ]
        ours, theirs = zip(*measured, strict=True)
        figures.append(
            promises.within(f"restore one, {where} | python -c pass", ours, theirs, most=MOST_FOR_ONE)
        )
    return figures


def _memory(what: str, stand: Stand) -> list[Figure]:
    """The memory of everything that touches all sessions; the store is gone after."""
    figures = []
    for verb, arguments in (
        ("archive", stand.archive()),
        ("verify", stand.verb("verify")),
        ("restore all", stand.restore_all()),
    ):
        _say(f"memory {what}, {verb}")
        figures.append(promises.memory(f"memory {what}, {verb}", memory.peak(arguments), most=MOST_MEMORY))
    stand.gone()
    return figures


def _giant(scratch: Path, size: int) -> list[Figure]:
    _say("writing the largest session")
    stand = copied(corpora.realistic(scratch, NEIGHBOURS), scratch, "giant")
    giants.add_varied(stand.corpus, size)
    os.sync()
    return _memory(f"with a session of {promises.megabytes(size)}", stand)


def _repetitive(scratch: Path, at: float) -> list[Figure]:
    _say("images again and again")
    corpus = giants.empty_store(scratch / "repetitive", at)
    stand = Stand(corpus)
    whole.policy_file(stand.policy, corpus, whole.TIDYING)
    session = giants.add_repetitive(corpus, REPETITIVE)
    beside = scratch / "repetitive.zst"
    near, far = tarball.compressed(session, beside), tarball.compressed(session, beside, "--long=27")
    command(*stand.archive())()
    packed = sum(each.stat().st_size for each in stand.packs())
    stand.gone()
    return [
        promises.sizes("bytes of repeated images | zstd -3", packed, near),
        promises.sizes("bytes of repeated images | zstd -3 --long=27", packed, far),
    ]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
