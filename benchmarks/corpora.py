"""Stores of any size to measure against: seeded, with realistic sizes, ages and ailments.

There are two makes of them.
`realistic` is a store as they are found (of rec here, of the others in `agents`): nearly all sessions are whole and a few kilobytes long, one in a
hundred holds most of the bytes, a large store has some of a hundred megabytes, and few have anything wrong with
them.
`multiplied` repeats the specimens of any layout, so that a new kind of store is measured unasked; there every
ailment is as frequent as health.

A corpus is built once and used again.
Its stamp holds the moment that all its ages are relative to, at which everything is planned, so that a plan comes
out the same years later; and a digest of what is built, so that a corpus of another make is built anew.
"""

import fcntl
import hashlib
import itertools
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from benchmarks.agents import File, opendev_files, outrig_files, snapshot_files
from benchmarks.commands import stretch
from store.facts import Place
from store.layout import Layout, layout_of
from store.layouts.rec import specimens as rec

VERSION = 3
"""To be raised when files are written in another way, or the few huge ones are; what is in the others is compared
by itself."""

DAY = 86_400.0

KINDS = {
    "complete": 0.90,
    "crashed": 0.03,
    "torn": 0.02,
    "empty": 0.03,
    "leaked": 0.005,
    "recovered": 0.005,
    "headerless": 0.002,
    "nuls": 0.002,
    "live": 0.001,
    "leftover": 0.005,
}
"""What a store of rec holds, in shares of its sessions; a leftover is a whole session with a temp file beside it."""

AGES = {
    (0.0, 1.0): 0.005,
    (1.0, 7.0): 0.025,
    (7.0, 30.0): 0.08,
    (30.0, 365.0): 0.60,
    (365.0, 1000.0): 0.29,
}
"""How many days ago sessions ended, from and to, in shares of them; within these they are spread evenly."""

TAGS: dict[tuple[str, ...], float] = {(): 0.90, ("keep",): 0.02, ("deploy", "prod"): 0.08}

COMMANDS = (2.3, 1.1)
"""The lognormal distribution of commands a session: half have ten or fewer, one in ten more than forty."""

LONG_SHARE, LONG_COMMANDS, MOST_COMMANDS = 0.01, (7.8, 1.0), 50_000
"""The long ones among them, half of which have 2,400 commands or more: half a megabyte, up to ten."""

HUGE_EVERY, HUGE_COMMANDS = 30_000, (430_000, 500_000)
"""One session in so many is huge, whole, and has from so many to so many commands: about a hundred megabytes."""

_SAMPLE, _MOMENT = 300, 1_800_000_000.0  # what the digest is made of
_DIGITS = 7  # of the numbers that tell the copies of a specimen apart
_NOBODY = 4_000_000_000  # no process can have this id


Drawn = TypeVar("Drawn")


class Corpus(NamedTuple):
    """A store to measure against, in this folder; ``at`` is the moment to plan for."""

    kind: str
    folder: Path
    at: float

    @property
    def paths(self) -> dict[str, str]:
        """Its folders as a policy names them."""
        return {key: str(self.folder / key) for key in self.layout.paths}

    @property
    def layout(self) -> Layout:
        return layout_of(self.kind)

    @property
    def place(self) -> Place:
        return Place("bench", self.kind, self.layout.roots(self.paths, {}, "/nonexistent"))


def cache_folder() -> Path:
    """Where corpora are kept if nobody says otherwise."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "session-maint" / "corpora"


def realistic(folder: Path, sessions: int, seed: int = 1, kind: str = "rec") -> Corpus:
    """A store of that kind with so many sessions, in a folder of its own below this one."""
    make = {
        "rec": rec_files,
        "opendev": opendev_files,
        "opendev-snapshots": snapshot_files,
        "outrig": outrig_files,
    }[kind]
    return _kept(
        folder / f"{kind}-{sessions}-{seed}", kind, sessions, lambda count, now: make(count, seed, now)
    )


def multiplied(folder: Path, layout: Layout, sessions: int) -> Corpus:
    """A store of any kind that holds its specimens again and again, with about so many sessions."""
    return _kept(
        folder / f"{layout.kind}-specimens-{sessions}",
        layout.kind,
        sessions,
        lambda count, now: specimen_files(layout, count, now),
    )


def copied(corpus: Corpus, folder: Path) -> Corpus:
    """A copy to be changed."""
    shutil.copytree(corpus.folder, folder)
    return corpus._replace(folder=folder)


def _kept(root: Path, kind: str, sessions: int, make: Callable[[int, float], Iterator[File]]) -> Corpus:
    """The corpus in this folder, built unless its stamp says that it is the wanted one."""
    digest = hashlib.sha256(b"%d" % VERSION)
    for file in make(min(sessions, _SAMPLE), _MOMENT):
        digest.update(repr(file).encode())
    wanted = digest.hexdigest()
    root.mkdir(parents=True, exist_ok=True)
    stamp = root / "stamp.json"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs may want it at the same time
        if stamp.is_file():
            said = json.loads(stamp.read_text())
            if said["digest"] == wanted:
                return Corpus(kind, root / "store", said["at"])
        stamp.unlink(missing_ok=True)
        shutil.rmtree(root / "store", ignore_errors=True)
        corpus = Corpus(kind, root / "store", float(int(time.time())))
        _write(corpus, make(sessions, corpus.at))
        stamp.write_text(json.dumps({"digest": wanted, "at": corpus.at}))
    return corpus


def _write(corpus: Corpus, files: Iterator[File]) -> None:
    roots = corpus.place.roots
    folders = {path: _open_folder(path) for path in (*roots.values(), *corpus.paths.values())}
    for root, path, content, changed in files:
        above, _, name = path.rpartition("/")
        full = f"{roots[root]}/{above}" if above else roots[root]
        if full not in folders:
            folders[full] = _open_folder(full)
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folders[full])
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.utime(fd, (changed, changed))  # with the fractions of a second that real files have
        os.close(fd)
        if len(folders) > 64:
            os.close(folders.pop(next(reversed(folders))))
    for folder in folders.values():
        os.close(folder)


def _open_folder(path: str) -> int:
    os.makedirs(path, exist_ok=True)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


# Realistic stores of rec.


def rec_files(sessions: int, seed: int, now: float) -> Iterator[File]:
    """Every file of a realistic store; the last session to crash is still marked as being recorded."""
    rng, typing = random.Random(seed), random.Random(f"commands-{seed}")
    crashed: tuple[str, float] | None = None
    for number in range(sessions):
        id_, kind = rec.session_id(number + 1), _drawn(rng, KINDS)
        ended = round(now - DAY * rng.uniform(*_drawn(rng, AGES)), 6)
        long = rng.random() < LONG_SHARE
        commands = max(1, min(MOST_COMMANDS, int(rng.lognormvariate(*(LONG_COMMANDS if long else COMMANDS)))))
        if number % HUGE_EVERY == HUGE_EVERY - 1:
            kind, commands = "complete", typing.randrange(*HUGE_COMMANDS)
        if kind == "crashed":
            crashed = id_, ended
        yield from _session_files(id_, kind, ended, commands, now, rng, typing)
    if crashed is not None:
        id_, ended = crashed
        yield File("state", "recording.lock", b"%d" % _NOBODY, ended)
        yield File("state", "recording.json", rec.recording_state(id_, "work", ended - 60, _NOBODY), ended)


def _drawn(rng: random.Random, shares: Mapping[Drawn, float]) -> Drawn:
    return rng.choices(list(shares), list(shares.values()))[0]


def _session_files(
    id_: str,
    kind: str,
    ended: float,
    commands: int,
    now: float,
    rng: random.Random,
    typing: random.Random,
) -> Iterator[File]:
    project = f"/home/ana/project-{rng.randrange(40)}"
    tags: tuple[str, ...] = _drawn(rng, TAGS)
    typed = stretch(typing, 0 if kind in ("empty", "leaked") else commands, project)
    began = round(ended - typed.seconds - typing.uniform(0.5, 20.0), 6)
    given = {"tags": list(tags), "env": rec.ENV | {"PWD": project}}
    head = rec.header(id_, f"session-{id_[:8]}", began, **given)
    body = b"".join(typed.written(ended - typed.seconds))
    foot = rec.footer(ended, commands)
    changed = ended + typing.uniform(1e-4, 1e-2)  # nobody is done in the very moment that he writes down
    match kind:
        case "crashed":
            content = head + body
        case "torn":
            content = head + body + b'{"type":"command","index":9,"comm'
        case "empty":
            content = head + rec.footer(ended, 0)
        case "leaked":
            content = head + rec.command(0, "rec stop", began - 90) + rec.footer(ended, 1)
        case "recovered":
            content = rec.header(id_, f"recovered-{id_[:8]}", began, recovered=True, **given) + body + foot
        case "headerless":
            content = body
        case "nuls":
            content = head + body + bytes(1024)
        case "live":
            content, changed = head + body, changed + now - 30 - ended
        case _:
            content = head + body + foot
    yield File("sessions", f"{id_}.ndjson", content, changed)
    if kind == "leftover":
        yield File("sessions", f"{id_}.ndjson.tmp", head[:60], ended)


# Stores of any kind.


def specimen_files(layout: Layout, sessions: int, now: float) -> Iterator[File]:
    """Every file of a store that holds a layout's specimens again and again, each time under other ids.

    What carries no id (a recorder's lock, an index) is there once, as the first specimen that has it gives it.
    """
    specimens = layout.specimens(now)
    once: set[tuple[str, str]] = set()
    for number in range(sessions):
        copy, which = divmod(number, len(specimens))
        specimen = specimens[which]
        for (root, path), content in specimen.files.items():
            if specimen.id is not None and specimen.id in path:
                new = _renumbered(specimen.id, number)
                yield File(
                    root,
                    path.replace(specimen.id, new),
                    content.replace(specimen.id.encode(), new.encode()),
                    specimen.changed,
                )
            elif copy == 0 and (root, path) not in once:
                once.add((root, path))
                yield File(root, path, content, specimen.changed)


def _renumbered(id_: str, number: int) -> str:
    """An id of the same form whose last letters and digits are this number, which no form of id forbids."""
    digits = iter(reversed(f"{number:0{_DIGITS}}"))
    left = itertools.count()
    kept = [next(digits, char) if char.isalnum() and next(left) < _DIGITS else char for char in reversed(id_)]
    return "".join(reversed(kept))
