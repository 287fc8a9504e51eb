"""Rows about what only reads: planning, starting, and what both cost in system calls."""

import sys
import time
from pathlib import Path

from benchmarks import counts, line_loop, promises, whole
from benchmarks.corpora import Corpus
from benchmarks.promises import Figure
from benchmarks.standing.ground import Ground, compared, say
from benchmarks.stands import copied
from store import memory

MOST_FLOORS, LEAST_LOOPS, LEAST_JOBS = 1.5, 5.0, 1.7
"""At most so many times the floor, and at least so many times as fast as a line loop, and as with one job."""

MOST_CALLS, MOST_READ, MOST_START = 4, 16_384, 0.120
"""For a session that stays as it is: system calls, and bytes; to start: seconds beyond Python's own."""

_SMALL, _LARGE = 1, 200  # commands
_STARTS = 15
_SHARED = 0.05  # calls a session that are made for many at once: listing a folder, handing out work


def plan(ground: Ground) -> list[Figure]:
    """A plan beside the floor in C: of a store that nobody has swept, and of one that was swept before."""
    corpus = ground.realistic(ground.sessions)
    figures = []
    for what, store in (("nobody has swept", corpus), ("was swept before", _swept(ground, corpus))):
        ours, theirs = whole.turns(
            ground.pairs,
            whole.command(*ground.plan(store)),
            whole.command(ground.floor.program, "survey", store.paths["path"]),
        )
        measure = f"plan of {ground.sessions:,}, a store that {what} | the same reads in C"
        figures += compared(measure, ours, theirs, most=MOST_FLOORS)
    return figures


def _swept(ground: Ground, corpus: Corpus) -> Corpus:
    """A copy of it, which a sweep has tidied, and of which it remembers what it read."""
    say("  sweeping a copy")
    stand = copied(corpus, ground.scratch, "swept")
    time.sleep(memory.SETTLING + 1)  # what changed shortly before it was read is not remembered
    for _ in range(2):
        whole.command(*stand.verb("sweep"))()
    return stand.corpus


def loop(ground: Ground) -> list[Figure]:
    """A plan beside what anybody would write first."""
    corpus = ground.realistic(ground.sessions)
    ours, theirs = whole.turns(
        ground.pairs,
        whole.command(*ground.plan(corpus)),
        whole.command(sys.executable, str(Path(line_loop.__file__)), corpus.paths["path"]),
    )
    measure = f"plan of {ground.sessions:,} | a loop over all lines with json"
    return compared(measure, ours, theirs, most=1 / LEAST_LOOPS)


def counted(ground: Ground) -> list[Figure]:
    """System calls and bytes of one more session that stays as it is."""
    if not counts.available():
        return [promises.unknown("system calls a session", "no strace", f"<= {MOST_CALLS}")]
    few = max(2_500, ground.sessions // 40)  # fewer are not worth remembering
    many = 2 * few
    figures = []
    for what, commands in (("small", _SMALL), ("large", _LARGE)):
        stores = [ground.alike(count, "complete", commands) for count in (few, many)]
        for how, looked_at in (
            ("that nobody has swept", stores),
            ("that was swept before", [_swept(ground, store) for store in stores]),
        ):
            less, more = (counts.traced(list(ground.plan(store)), ground.scratch) for store in looked_at)
            read = (more.pop("bytes") - less.pop("bytes")) / (many - few)
            calls = (sum(more.values()) - sum(less.values())) / (many - few)
            figures += [
                promises.count(f"calls of a plan, a {what} session {how}", calls, most=MOST_CALLS + _SHARED),
                promises.count("  bytes read", round(read), most=MOST_READ),
            ]
    return figures


def jobs(ground: Ground) -> list[Figure]:
    """Two jobs beside one, where what is done is ours: making facts of bytes, and comparing digests."""
    corpus = ground.realistic(ground.sessions)
    ours, theirs = whole.turns(
        ground.pairs,
        whole.command(*ground.plan(corpus, whole.TIDYING, "--jobs", "2")),
        whole.command(*ground.plan(corpus, whole.TIDYING, "--jobs", "1")),
    )
    figures = compared("plan with two jobs | with one", ours, theirs, most=1 / LEAST_JOBS)
    stand = copied(corpus, ground.scratch, "verified")
    whole.command(*stand.archive())()
    ours, theirs = whole.turns(
        ground.pairs,
        whole.command(*stand.verb("verify", "--jobs", "2")),
        whole.command(*stand.verb("verify", "--jobs", "1")),
    )
    packs = len(stand.packs())
    stand.gone()
    # One pack is read by one worker: fewer than four leave one of two idle for a while.
    most = 1 / LEAST_JOBS if packs >= 4 else None
    return figures + compared(f"verify of {packs} packs with two jobs | with one", ours, theirs, most=most)


def start(ground: Ground) -> list[Figure]:
    """Starting, beside the start of Python."""
    figures = []
    for option in ("--version", "--help"):
        ours, theirs = whole.turns(
            max(ground.pairs, _STARTS),
            whole.command(whole.PROGRAM, option),
            whole.command(sys.executable, "-c", "pass"),
        )
        figures.append(
            promises.within(
                f"maint {option} | python -c pass",
                [one.clock for one in ours],
                [one.clock for one in theirs],
                most=MOST_START,
            )
        )
    return figures
