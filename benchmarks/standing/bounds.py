"""Rows about what must not grow: time a session and memory with the store, both with one enormous session."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks import giants, memory, promises, whole
from benchmarks.corpora import Corpus
from benchmarks.promises import Figure
from benchmarks.standing.ground import Ground, compared, each, say
from benchmarks.stands import copied

MOST_GROWTH, MOST_MEMORY, MOST_MEMORY_GROWTH, MOST_BESIDE_GIANT = 1.15, 300e6, 1.2, 1.1
"""Ten times the sessions: time each. Bytes of memory; twice the sessions: memory. With a giant beside them: both."""

HOLE = 100 * 10**9
"""Bytes of the session that is nearly all hole."""

_LEAN = 1  # command a session: a corpus of two million must fit on a disk


def million(ground: Ground) -> list[Figure]:
    """Ten times as many sessions, and twenty: time a session, and memory of all processes."""
    most = ground.sessions * 10
    small, large = ground.realistic(ground.sessions), ground.realistic(most)
    ours, theirs = whole.turns(
        ground.pairs, whole.command(*ground.plan(large)), whole.command(*ground.plan(small))
    )
    figures = compared(
        f"plan of {most:,}, a session | of {ground.sessions:,}",
        each(ours, most),
        each(theirs, ground.sessions),
        most=MOST_GROWTH,
    )
    lean = [ground.alike(count, "complete", _LEAN) for count in (most, 2 * most)]
    for what, passes in (("", whole.TIDYING), (", with keep rules over all", whole.KEEPING)):
        say(f"  memory{what}")
        figures.append(
            promises.memory(
                f"memory of a plan of {most:,}{what}",
                memory.peak(ground.plan(large, passes)),
                most=MOST_MEMORY,
            )
        )
        once, twice = (memory.peak(ground.plan(each, passes)) for each in lean)
        figures.append(
            promises.sizes(f"  of {2 * most:,} small ones | {most:,}", twice, once, most=MOST_MEMORY_GROWTH)
        )
    return figures


def giant(ground: Ground) -> list[Figure]:
    """One enormous session in a store of others."""
    corpus = ground.realistic(max(10, ground.sessions // 10))
    alone = copied(corpus, ground.scratch, "alone").corpus
    beside = copied(corpus, ground.scratch, "beside").corpus
    figures = []
    for what in ("100 GB, a header, a hole and a footer", "100 GB, nothing but a hole", "real bytes"):
        if what == "real bytes":
            if not ground.giant:
                continue
            path = giants.add_varied(beside, ground.giant)
            name = f"{ground.giant / 1e9:.1f} GB of commands"
        else:
            path = giants.add_hollow(beside, HOLE, ends="header" in what)
            name = what
        os.sync()
        figures += _beside(ground, name, alone, beside, path)
        path.unlink()
    if ground.giant:
        stand = copied(corpus, ground.scratch, "torn")
        giants.add_varied(stand.corpus, ground.giant, crashed=True)
        os.sync()
        figures.append(
            promises.memory(
                f"memory of a sweep that recovers a session of {ground.giant / 1e9:.1f} GB",
                memory.peak(stand.verb("sweep")),
                most=MOST_MEMORY,
            )
        )
    return figures


def _beside(ground: Ground, name: str, alone: Corpus, beside: Corpus, path: Path) -> list[Figure]:
    """What a plan takes with the giant and without, and whether it says the same of the others."""
    say(f"  {name}")
    with_it, without = ground.plan(beside), ground.plan(alone)
    ours, theirs = whole.turns(ground.pairs, whole.command(*with_it), whole.command(*without))
    figures = compared(f"plan with one session of {name} | without", ours, theirs, most=MOST_BESIDE_GIANT)
    figures.append(
        promises.sizes("  memory", memory.peak(with_it), memory.peak(without), most=MOST_BESIDE_GIANT)
    )
    same = _said(with_it, path.stem) == _said(without, path.stem)
    figures.append(
        Figure(
            "  what is planned for the others", "the same" if same else "differs", "", "", "the same", same
        )
    )
    return figures


def _said(arguments: Sequence[str], giant: str) -> set[tuple[str, str, str]]:
    """What a plan says of all sessions but the giant."""
    said = subprocess.run(arguments, check=True, capture_output=True, env=whole.environment()).stdout
    lines = [json.loads(line) for line in said.splitlines()]
    actions = [line for line in lines if line["type"] == "action" and line["session"] != giant]
    return {(each["verb"], str(each["session"]), each["reason"]) for each in actions}
