"""What does not wobble: system calls and bytes a session, and how often something is made durable.

A plan is made over a small and a larger store of the same make; the difference, divided by the difference of their
sizes, is what one more session costs, without start-up.
It is made by one process, so that no waiting for one another is counted.

Every kind of store that is known takes part, with its specimens and, where there is one, as a realistic store; so does
every pass, which sweeps a store of specimens alone, for the times that it asks the disk to be durable.
"""

import collections
import contextlib
import dataclasses
import json
import re
import shutil
import typing
from collections.abc import Callable, Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks import contained, corpora, whole
from benchmarks.corpora import Corpus
from maint.contract import known_passes
from policies import Duration, Size
from store.layout import known_layouts

FEW, MANY, BATCH = 1_000, 3_000, 120
"""Sessions of the two stores that are planned for, and of the one that a pass sweeps."""

SYNCS = {
    "fsync",
    "fdatasync",
    "syncfs",
    "sync",
    "msync",
}  # and not sync_file_range, which makes nothing durable
_READS = {"read", "pread64", "readv", "preadv", "preadv2"}
_SHOWN = 0.02  # calls of a name a session: those of fewer are only in the sum
_CALL = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)(\(| resumed>)(?:.*= (\d+)$)?", re.MULTILINE)
_WORDS: Mapping[type, str] = {Duration: "1d", Size: "1MB", int: "1"}

Counts = dict[str, float]


class Failed(Exception):
    """What was to be counted did not end well."""


def available() -> bool:
    return shutil.which("strace") is not None


def traced(arguments: list[str], scratch: Path, *, only: str = "all") -> Counts:
    """How often a command and all its children made each system call; ``bytes`` is what its reads returned."""
    trace = scratch / "trace"
    command = ["strace", "-f", "-qq", "-s", "0", "-e", "signal=none", "-e", f"trace={only}", "-o", str(trace)]
    code, said = contained.run([*command, *arguments], whole.environment())
    if code:
        raise Failed(f"{' '.join(arguments)} under strace ended with {code}: {said.strip()[-500:]}")
    return parsed(trace.read_text(errors="replace"))


def parsed(trace: str) -> Counts:
    """The counts of what strace wrote, where a call that another process interrupted stands on two lines."""
    counts: Counts = collections.defaultdict(int)
    for name, began, result in _CALL.findall(trace):
        counts[name] += began == "("
        counts["bytes"] += int(result) if name in _READS and result else 0
    return counts


def marginal(few: Mapping[str, float], many: Mapping[str, float]) -> Counts:
    """What one more session costs: all calls, the bytes read, and each name that is often enough to matter."""
    each = {name: (many[name] - few.get(name, 0)) / (MANY - FEW) for name in many}
    size = each.pop("bytes", 0.0)
    often = {name: round(number, 3) for name, number in sorted(each.items()) if abs(number) >= _SHOWN}
    return {"calls": round(sum(each.values()), 3), "bytes": round(size), **often}


def everything(
    folder: Path, scratch: Path, say: Callable[[str], None], only: Container[str] | None = None
) -> dict[str, Counts]:
    """All that is counted, by subject, or only some of it."""
    work = [each for each in (*_plans(folder), *_starts(), *_batches()) if only is None or each[0] in only]

    def one(numbered: tuple[int, tuple[str, Callable[[Path], Counts]]]) -> tuple[str, Counts]:
        number, (subject, count) = numbered
        own = scratch / f"count-{number}"
        own.mkdir()
        try:
            return subject, count(own)
        finally:
            shutil.rmtree(own, ignore_errors=True)

    with ThreadPoolExecutor(2) as pool:
        try:
            found = dict(pool.map(one, enumerate(work)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            contained.end_all()
            raise
    say(f"{len(found)} subjects counted")
    return found


_Work = Iterator[tuple[str, Callable[[Path], Counts]]]


def _plans(folder: Path) -> _Work:
    for kind, layout in known_layouts().items():
        yield f"plan of {kind}, a specimen", partial(_plan, partial(corpora.multiplied, folder, layout))
        with contextlib.suppress(KeyError):  # there need not be a realistic store of a kind
            corpora.realistic(folder, FEW, kind=kind)
            yield f"plan of {kind}, a session", partial(_plan, partial(corpora.realistic, folder, kind=kind))


def _plan(make: Callable[[int], Corpus], own: Path) -> Counts:
    return marginal(_planned(make(FEW), own), _planned(make(MANY), own))


def _planned(corpus: Corpus, own: Path) -> Counts:
    policy = whole.policy_file(own / "policy.yaml", corpus, whole.TIDYING)
    arguments = whole.plan(policy, corpus.at, "--jobs", "1")
    whole.command(
        *arguments
    )()  # what it remembers, and what Python compiles, is there from the second time on
    return traced(arguments, own)


def _starts() -> _Work:
    for word in ("--version", "--help"):
        yield f"start of maint {word}", partial(_start, word)


def _start(word: str, own: Path) -> Counts:
    whole.command(whole.PROGRAM, word)()
    counts = traced([whole.PROGRAM, word], own)
    size = counts.pop("bytes", 0)
    return {"calls": sum(counts.values()), "bytes": size}


def _batches() -> _Work:
    for kind in known_layouts():
        for name in known_passes():
            yield f"durability of sweep, {name}, {kind}", partial(_sweep, kind, name)
        for name, verb in (("prune", "apply"), ("prune", "undo"), ("archive", "restore")):
            yield f"durability of {verb}, {name}, {kind}", partial(_after, kind, name, verb)


def _prepared(own: Path, kind: str, name: str) -> str:
    """A policy with this pass alone, over a new store of specimens."""
    store = corpora.multiplied(own, known_layouts()[kind], BATCH)
    pass_ = known_passes()[name]
    types = typing.get_type_hints(pass_.options_type)
    said = [
        f"{field.name}: {_WORDS[types[field.name]]}"
        for field in dataclasses.fields(pass_.options_type)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    return str(whole.policy_file(own / "policy.yaml", store, [f"{name}: {{{', '.join(said)}}}"]))


def _syncs(own: Path, *arguments: str) -> Counts:
    counts = traced([whole.PROGRAM, *arguments], own, only=",".join(sorted(SYNCS)))
    found = {name: number for name, number in sorted(counts.items()) if number and name in SYNCS}
    return {"syncs": sum(found.values()), **found}


def _sweep(kind: str, name: str, own: Path) -> Counts:
    return _syncs(own, "sweep", "--json", "--jobs", "1", "--policy", _prepared(own, kind, name))


def _after(kind: str, name: str, verb: str, own: Path) -> Counts:
    policy = _prepared(own, kind, name)
    if verb == "apply":
        plan = str(own / "plan.ndjson")
        whole.command(whole.PROGRAM, "plan", "--json", "--policy", policy, "-o", plan)()
        return _syncs(own, "apply", "--json", "--jobs", "1", plan)
    _, said = contained.run([whole.PROGRAM, "sweep", "--json", "--policy", policy], whole.environment())
    run = json.loads(said.splitlines()[-1])["run"]
    which = (run,) if verb == "undo" else ("--older-than", "1s", "--store", "bench")
    return _syncs(own, verb, *which, "--policy", policy)
