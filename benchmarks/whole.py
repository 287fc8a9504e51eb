"""Whole processes: the program as its users start it, and what they would start otherwise."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.beside import seconds
from benchmarks.corpora import Corpus, cache_folder

PROGRAM = shutil.which("maint", path=os.path.dirname(sys.executable)) or "maint"

_LARGE = "limits: {max_removed: unlimited, max_expired: unlimited}\n"


class Spent(NamedTuple):
    """Seconds by the clock, and by the processors of a process with all its children."""

    clock: float
    processors: float


def machine() -> str:
    """What is measured on, in a line."""
    system = os.uname()
    return f"{os.cpu_count()} processors, {system.sysname} {system.release}, Python {sys.version.split()[0]}"


def command(*arguments: str) -> Callable[[], None]:
    """A process with these arguments, from start to end; it must succeed, and what it answers is dropped."""

    def run() -> None:
        subprocess.run(
            arguments,
            check=True,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,  # for the error that is raised when it fails
        )

    return run


def spent(process: Callable[[], None]) -> Spent:
    """What a process takes with all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    clock = seconds(process)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def in_turn(turn: int, *works: Callable[[], None]) -> tuple[Callable[[], None], ...]:
    """Who comes first changes, lest one of them always finds what the other left behind."""
    return works[::-1] if turn % 2 else works


def turns(
    pairs: int, ours: Callable[[], None], theirs: Callable[[], None]
) -> tuple[list[Spent], list[Spent]]:
    """What both processes take side by side, so many times, after one run of each that warms the cache."""
    we: list[Spent] = []
    they: list[Spent] = []
    steps: tuple[Callable[[], None], ...] = (
        lambda: we.append(spent(ours)),
        lambda: they.append(spent(theirs)),
    )
    for step in steps:
        step()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_inblock
    for turn in range(pairs):
        for step in in_turn(turn, *steps):
            step()
    if blocks := resource.getrusage(resource.RUSAGE_CHILDREN).ru_inblock - before:
        print(f"the cache was not warm: {blocks * 512 / 1e6:.3g} MB came from the disk", file=sys.stderr)
    return we[1:], they[1:]


def environment() -> dict[str, str]:
    """What the processes are given: nothing of the user's own policies, and leave to keep what they may keep.

    So a policy is one that was read before, as it is from the second run on.
    """
    cache = str(cache_folder())
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "XDG_CACHE_HOME": cache,
        "TZ": "UTC",
        "LANG": "C.UTF-8",
    }


def plan(policy: Path, at: float, *more: str) -> list[str]:
    """The arguments that plan at that moment."""
    moment = datetime.fromtimestamp(at, UTC).isoformat()
    return [PROGRAM, "plan", "--json", "--policy", str(policy), "--at", moment, *more]


def policy_file(path: Path, corpus: Corpus | Sequence[Corpus], passes: Sequence[str]) -> Path:
    """A policy over one corpus (or some, of different kinds) with these passes, each a line of YAML.

    It lets a run do as much as it wants.
    """
    named = (
        {"bench": corpus} if isinstance(corpus, Corpus) else {f"bench-{each.kind}": each for each in corpus}
    )
    stores = ""
    for name, each in named.items():
        paths = "".join(f", {key}: '{value}'" for key, value in each.paths.items())
        stores += f"  {name}: {{kind: {each.kind}{paths}}}\n"
    lines = "".join(f"  - {each}\n" for each in passes)
    path.write_text(f"version: 1\nstores:\n{stores}passes:\n{lines}{_LARGE}")
    return path


TIDYING = (
    "stale-locks: {idle_for: 24h}",
    "recover: {idle_for: 24h}",
    "delete-empty: {idle_for: 2d}",
    "litter: {older_than: 2d}",
)
"""The passes of the shipped default policy."""

KEEPING = (
    *TIDYING,
    "prune: {older_than: 1y, keep: {last: 20, monthly: 36, tags: [release]}, group_by: [store, project]}",
)
"""Those, and one that must compare all sessions, as in the shipped policy for a laptop."""
