"""Stores of any size to measure against: seeded, with realistic sizes, ages and ailments.

There are two makes of them.
`realistic` is a store as they are found (of rec here, of the others in `agents`): nearly all sessions are whole and a
few kilobytes long, one in a hundred holds most of the bytes, a large store of rec has some of a hundred megabytes, and
few have anything wrong with them.
`alike` is one of rec in which all sessions have the same state.
`multiplied` repeats the specimens of any layout, so that a new kind of store is measured unasked; there every
ailment is as frequent as health.

A corpus is built once and used again.
Its stamp holds the moment that all its ages are relative to, at which everything is planned, so that a plan comes
out the same years later; and a digest of what is built, so that a corpus of another make is built anew.

    python -m benchmarks.corpora --kind rec --sessions 1000000

builds one, if it is not there, and counts what is in it.
"""

import fcntl
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import AnyStr, NamedTuple, TypeVar

from benchmarks.agents import File, Folder, Link, opendev_files, outrig_files, snapshot_files
from benchmarks.commands import stretch
from store.facts import Place
from store.layout import Layout, Specimen, layout_of
from store.layouts.rec import specimens as rec
from store.targets import with_targets

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

SPECIMENS = 0.02
"""The share of a realistic store of the other kinds that is made of the layout's specimens, at least one of each: so
they hold every ailment that is known, the rare ones too."""

LONG_SHARE, LONG_COMMANDS, MOST_COMMANDS = 0.01, (7.8, 1.0), 50_000
"""The long ones among them, half of which have 2,400 commands or more: half a megabyte, up to ten."""

HUGE_EVERY, HUGE_COMMANDS = 30_000, (430_000, 500_000)
"""One session in so many is huge, whole, and has from so many to so many commands: about a hundred megabytes."""

_SAMPLE, _MOMENT = 300, 1_800_000_000.0  # what the digest is made of
_DIGITS = 7  # of the numbers that tell the copies of a specimen apart
_NOBODY = 4_000_000_000  # no process can have this id


Drawn = TypeVar("Drawn")
Made = File | Link | Folder
Maker = Callable[[int, int, float], Iterator[Made]]


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
        """It, with the folders that its links lead to."""
        alone = Place("bench", self.kind, self.layout.roots(self.paths, {}, "/nonexistent"))
        return with_targets(alone, self.layout.targets(alone))


def cache_folder() -> Path:
    """Where corpora are kept if nobody says otherwise."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "session-maint" / "corpora"


def realistic(folder: Path, sessions: int, seed: int = 1, kind: str = "rec") -> Corpus:
    """A store of that kind with so many sessions, in a folder of its own below this one.

    KeyError for a kind of which nobody wrote down what is realistic: `REALISTIC` has the others.
    """
    make = REALISTIC[kind]
    return _kept(
        folder / f"{kind}-{sessions}-{seed}", kind, sessions, lambda count, now: make(count, seed, now)
    )


def alike(folder: Path, sessions: int, state: str, commands: int | None = None) -> Corpus:
    """A store of rec whose sessions all have this one of the `KINDS`, and so many commands each, or as realistic ones."""
    size = "" if commands is None else f"-of-{commands}"
    return _kept(
        folder / f"rec-{state}{size}-{sessions}",
        "rec",
        sessions,
        lambda count, now: rec_files(count, 1, now, {state: 1.0}, commands),
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
    """A copy to be changed, whose links lead to what was copied, and not to the corpus itself."""
    subprocess.run(("cp", "-a", str(corpus.folder), str(folder)), check=True)
    copy = corpus._replace(folder=folder)
    if any(specimen.links for specimen in corpus.layout.specimens(corpus.at)):
        for root in copy.paths.values():
            _lead_back(root, str(corpus.folder), str(folder))
    return copy


def _lead_back(root: str, there: str, here: str) -> None:
    with os.scandir(root) as entries:
        links = [entry.path for entry in entries if entry.is_symlink()]
    for path in links:
        target, changed = os.readlink(path), os.lstat(path).st_mtime
        os.unlink(path)
        os.symlink(target.replace(there, here, 1), path)
        os.utime(path, (changed, changed), follow_symlinks=False)


def _kept(root: Path, kind: str, sessions: int, make: Callable[[int, float], Iterator[Made]]) -> Corpus:
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


def _write(corpus: Corpus, made: Iterator[Made]) -> None:
    roots = corpus.layout.roots(corpus.paths, {}, "/nonexistent")
    folders = {path: _open_folder(path) for path in (*roots.values(), *corpus.paths.values())}
    for each in made:
        above, _, name = each.path.rpartition("/")
        full = f"{roots[each.root]}/{above}" if above else roots[each.root]
        if full not in folders:
            folders[full] = _open_folder(full)
        match each:
            case File():
                _write_file(folders[full], name, each.content)
            case Link():
                os.symlink(os.path.normpath(f"{roots[each.root]}/{each.target}"), name, dir_fd=folders[full])
            case Folder():
                os.mkdir(name, dir_fd=folders[full])
        # With the fractions of a second that real files have.
        os.utime(name, (each.changed, each.changed), dir_fd=folders[full], follow_symlinks=False)
        if len(folders) > 64:
            os.close(folders.pop(next(reversed(folders))))
    for folder in folders.values():
        os.close(folder)


def _write_file(folder: int, name: str, content: bytes) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.close(fd)


def _open_folder(path: str) -> int:
    os.makedirs(path, exist_ok=True)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


# Realistic stores of rec.


def rec_files(
    sessions: int,
    seed: int,
    now: float,
    kinds: Mapping[str, float] = KINDS,
    commands_each: int | None = None,
) -> Iterator[File]:
    """Every file of a realistic store; the last session to crash is still marked as being recorded.

    Other shares, or the same number of commands in each session, make a store that shows one thing alone.
    """
    rng, typing = random.Random(seed), random.Random(f"commands-{seed}")
    crashed: tuple[str, float] | None = None
    for number in range(sessions):
        id_, kind = rec.session_id(number + 1), _drawn(rng, kinds)
        ended = round(now - DAY * rng.uniform(*_drawn(rng, AGES)), 6)
        long = rng.random() < LONG_SHARE
        commands = max(1, min(MOST_COMMANDS, int(rng.lognormvariate(*(LONG_COMMANDS if long else COMMANDS)))))
        if commands_each is not None:
            commands = commands_each
        elif kinds is KINDS and number % HUGE_EVERY == HUGE_EVERY - 1:
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


def specimen_files(layout: Layout, sessions: int, now: float) -> Iterator[Made]:
    """Everything in a store that holds a layout's specimens again and again, each time under other ids.

    What carries no id (a recorder's lock, an index) is there once, as the first specimen that has it gives it.
    """
    specimens = layout.specimens(now)
    once: set[tuple[str, str]] = set()
    for number in range(sessions):
        copy, which = divmod(number, len(specimens))
        specimen = specimens[which]
        renamed = _renaming(specimen, number)
        for made in _made_of(specimen):
            path = renamed(made.path)
            if path == made.path:  # it carries no id
                if copy or (made.root, path) in once:
                    continue
                once.add((made.root, path))
            match made:
                case File():
                    yield made._replace(path=path, content=renamed(made.content))
                case Link():
                    yield made._replace(path=path, target=renamed(made.target))
                case Folder():
                    yield made._replace(path=path)


def _made_of(specimen: Specimen) -> Iterator[Made]:
    for (root, path), content in specimen.files.items():
        yield File(root, path, content, specimen.changed)
    for (root, path), target in specimen.links.items():
        yield Link(root, path, _beside(target), specimen.changed)
    for root, path in specimen.folders:
        yield Folder(root, path, specimen.changed)


def _beside(target: str) -> str:
    """Where a link leads, from its own root: specimens write ``{sessions}-of-ana`` for a folder beside the root."""
    return "../" + target.format_map({label: label for label in re.findall(r"{(.*?)}", target)})


def _renaming(specimen: Specimen, number: int) -> Callable[[AnyStr], AnyStr]:
    """What gives a copy of a specimen its own id, and its own folder where a link leads to one."""
    names: dict[str, str] = {}
    if specimen.id is not None:
        names[specimen.id] = _renumbered(specimen.id, number)
        names |= {_beside(each): f"{_beside(each)}-{number}" for each in specimen.links.values()}

    def renamed(text: AnyStr) -> AnyStr:
        for old, new in names.items():
            if isinstance(text, bytes):
                text = text.replace(old.encode(), new.encode())
            else:
                text = text.replace(old, new)
        return text

    return renamed


def _with_specimens(kind: str, make: Maker) -> Maker:
    """Realistic stores in which the rare is there as well."""

    def files(sessions: int, seed: int, now: float) -> Iterator[Made]:
        layout = layout_of(kind)
        rare = max(int(sessions * SPECIMENS), len(layout.specimens(now)))
        there = set()
        for made in specimen_files(layout, rare, now):
            there.add((made.root, made.path))
            yield made
        for made in make(max(1, sessions - rare), seed, now):
            if (made.root, made.path) not in there:  # of the recorder's own files there is only one of each
                yield made

    return files


def _renumbered(id_: str, number: int) -> str:
    """An id of the same form whose last letters and digits are this number, which no form of id forbids."""
    digits = iter(reversed(f"{number:0{_DIGITS}}"))
    left = itertools.count()
    kept = [next(digits, char) if char.isalnum() and next(left) < _DIGITS else char for char in reversed(id_)]
    return "".join(reversed(kept))


REALISTIC: Mapping[str, Maker] = {
    "rec": rec_files,
    "opendev": _with_specimens("opendev", opendev_files),
    "opendev-snapshots": _with_specimens("opendev-snapshots", snapshot_files),
    "outrig": _with_specimens("outrig", outrig_files),
}
"""What makes a realistic store of each kind, from how many sessions it has, a seed, and the moment it is for."""


if __name__ == "__main__":
    from benchmarks import census

    sys.exit(census.main())
