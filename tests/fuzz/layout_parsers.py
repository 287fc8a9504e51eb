"""The parsers of each kind of store: any bytes in the place of each file that its program writes.

What is read is a store of one specimen alone, in which one file is another; the seeds are what lies at such places in
all specimens.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from fuzzing import Parser

from maint.demo import write_specimens
from store import edges
from store.facts import Place, Problem, Session, State
from store.layout import Layout, Moment, Specimen, Unmendable, known_layouts
from store.targets import with_targets

_DAY = 86_400.0
_MOST_SEEDS = 40
_ID = re.compile(r"[0-9a-f]{8}[0-9a-f-]{3,}|[0-9]{8}T[0-9]{6}-[0-9a-f]{4}")
_TEXT = 4096
"""Bytes of a seed that is only text."""

Place_ = tuple[str, str]


def parsers(folder: Path) -> dict[str, Parser]:
    found: dict[str, Parser] = {}
    for kind, layout in known_layouts().items():
        now = float(int(time.time()))
        specimens = layout.specimens(now)
        hosts: dict[Place_, tuple[Specimen, Place_]] = {}
        seeds: dict[Place_, list[bytes]] = {}
        for specimen in specimens:
            for place, data in specimen.files.items():
                shape = _shape(place)
                host, _ = hosts.setdefault(shape, (specimen, place))
                seeds.setdefault(shape, []).append(_as_of(host, specimen, data))
        for shape, (host, place) in hosts.items():
            name = f"{kind}: {shape[1]}"
            where = folder / kind / str(len(found))
            found[name] = Parser(seeds[shape][:_MOST_SEEDS], Reader(layout, where, host, place, now).answer)
    return found


def _shape(place: Place_) -> Place_:
    """The place of a file as a pattern: its root and its name, and neither the folder it is in nor whose it is."""
    return place[0], _ID.sub("*", os.path.basename(place[1]))


def _as_of(host: Specimen, specimen: Specimen, data: bytes) -> bytes:
    """The bytes of a file as if its session had the id of another."""
    if host.id is None or specimen.id is None:
        return data
    return data.replace(specimen.id.encode(), host.id.encode())


class Reader:
    """A store of one specimen, one file of which is what is given."""

    def __init__(self, layout: Layout, folder: Path, specimen: Specimen, place: Place_, now: float) -> None:
        self._layout = layout
        self._now = now
        others = {key: f"{folder}/store/{key}" for key in layout.paths if key != "path"}
        roots = layout.roots({"path": f"{folder}/store/sessions"} | others, {}, str(folder))
        shutil.rmtree(folder, ignore_errors=True)
        for root in roots.values():
            os.makedirs(root, exist_ok=True)
        write_specimens(roots, [specimen])
        self._place = Place(layout.kind, layout.kind, roots)
        self._root, self._relative = place
        self._path = Path(os.path.normpath(f"{roots[place[0]]}/{place[1]}"))
        self._changed = specimen.changed
        self._last: bytes | None = None

    def answer(self, data: bytes) -> object:
        """All that a survey learns, and what a recovery would make of it."""
        if data != self._last:  # else the file would be another one
            self._path.write_bytes(data)
            os.utime(self._path, (self._changed, self._changed))
            self._last = data
        place = with_targets(self._place, self._layout.targets(self._place))
        listing = self._layout.discover(place, Moment(self._now, _DAY))
        found = list(self._layout.read(place, listing.context, listing.entries))
        problems = [*listing.problems, *(each for each in found if isinstance(each, Problem))]
        assert all(f"{each.path}{each.text}".isprintable() for each in problems)
        sessions = [each for each in found if isinstance(each, Session)]
        assert all(each.evidence.isprintable() for each in sessions)
        told = [
            msgspec.json.encode(each) for each in (*sessions, *listing.locks, *listing.leftovers, *problems)
        ]
        mended = [list(self._mended(place, each)) for each in sessions if each.state is State.CRASHED]
        return told, mended, list(self._described()), list(self._lists(place))

    def _mended(self, place: Place, session: Session) -> Iterator[object]:
        """The files of a session that was made whole; of what is rewritten every whole line stays, or is counted."""
        if not session.mendable:
            return
        members = tuple(each for each in session.members if each not in session.payload)
        try:
            mend = self._layout.mend(session.id, members, "recovered", session.last_changed)
            with open(place.absolute(mend.source), "rb") as source:
                for path in mend.paths:
                    yield path, [bytes(block) for block in mend.build(source.fileno(), path)]
            yield mend.account()
        except Unmendable as why:
            yield _one_line(str(why))

    def _described(self) -> Iterator[str | None]:
        with self._path.open("rb") as file:
            for line in edges.iter_lines(file.fileno(), limit=1 << 20):
                if line.data is not None:
                    text = self._layout.describe(self._root, self._relative, line.data[:_TEXT])
                    assert text is None or text.isprintable()
                    yield text

    def _lists(self, place: Place) -> Iterator[bytes | str | None]:
        """The files that list sessions, made true."""
        if not self._layout.has_index:
            return
        path = self._layout.index_of(self._root, self._relative) or (
            self._relative if self._layout.is_index(self._root, self._relative) else None
        )
        if path is None:
            return
        index = Path(place.roots[self._root], path)
        folder = os.open(index.parent, os.O_RDONLY)
        fd = os.open(index, os.O_RDONLY) if index.exists() else None
        try:
            for sessions in (None, frozenset[str](), frozenset(("a", "b"))):
                yield self._layout.reindex(folder, fd, sessions)
        except Unmendable as why:
            yield str(why)
        finally:
            os.close(folder)
            if fd is not None:
                os.close(fd)


def _one_line(text: str) -> str:
    assert text.isprintable()
    return text
