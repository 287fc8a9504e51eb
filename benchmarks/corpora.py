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
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import AnyStr, NamedTuple

from benchmarks.agents import (
    File,
    Folder,
    Link,
    codex_files,
    copilot_files,
    opendev_files,
    outrig_files,
    snapshot_files,
)
from benchmarks.recordings import rec_files
from store.facts import Place
from store.layout import Layout, Specimen, layout_of
from store.targets import with_targets

VERSION = 3
"""To be raised when files are written in another way, or the few huge ones are; what is in the others is compared
by itself."""

SPECIMENS = 0.02
"""The share of a realistic store of the other kinds that is made of the layout's specimens, at least one of each: so
they hold every ailment that is known, the rare ones too."""

_SAMPLE, _MOMENT = 300, 1_800_000_000.0  # what the digest is made of
_DIGITS = 7  # of the numbers that tell the copies of a specimen apart


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
    "codex": _with_specimens("codex", codex_files),
    "copilot": _with_specimens("copilot", copilot_files),
}
"""What makes a realistic store of each kind, from how many sessions it has, a seed, and the moment it is for."""


if __name__ == "__main__":
    from benchmarks import census

    sys.exit(census.main())
