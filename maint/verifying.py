"""Verifying: every pack is read, and all that it says is compared with what it holds.

What waited longest comes first, whichever store it is of; a budget of time ends the beginning of packs, and what
was begun is read to its end, so that even the largest one has its turn.
Nothing is changed in packs, and nobody is kept from working on the store meanwhile: a pack that was rewritten or
has gone while it was read is none of our business any more.
When a pack was found sound is remembered, if that can be done at once.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby

import msgspec

from maint.finding import NotFound
from maint.loading import Done, Job, Loader
from maint.owner import as_owner, as_owner_of
from maint.reaching import describe, open_roots
from maint.run import Listener
from maint.verifiable import Archive, File, Pack
from maint.verification import Bad, Soundness, Unread, Verification, Verified
from maint.workers import Crew, Died, default_jobs
from store import archives, looking, manifest, names, single, verified
from store.facts import Place
from store.frames import Damaged
from store.layout import layout_of
from store.packs import Verdict
from store.roots import RootFds

REMEMBER_EVERY = 60.0
"""Seconds of reading after which is remembered what was found sound, lest a kill cost all of it."""

_STRANGER = "packs"
"""The label of the folder of a pack that belongs to no store that is known."""


class _Shelf(msgspec.Struct):
    """A store while its packs are read: which there are, when they were verified, and whether all can be seen."""

    place: Place
    roots: RootFds
    name: str | None
    there: list[Archive] = msgspec.field(default_factory=list)
    known: dict[str, float] = msgspec.field(default_factory=dict)
    fresh: dict[str, float] = msgspec.field(default_factory=dict)
    complete: bool = True


_Chosen = tuple[_Shelf, Archive]


class _Reading(msgspec.Struct):
    """An archive while it is read: what is known of it, and how many of its tasks have no answer yet."""

    archive: Archive
    began: float
    sessions: int = 0
    bytes: int = 0
    pending: int = 0
    handed_out: bool = False
    broken: str | None = None
    unread: str | None = None
    damaged: list[Bad] = msgspec.field(default_factory=list)


def verify(
    stores: Sequence[Place],
    wanted: Sequence[str] = (),
    *,
    max_duration: float | None = None,
    jobs: int | None = None,
    listener: Listener | None = None,
    told: Callable[[Verified], None] = lambda _verified: None,
    clock: Callable[[], float] = time.time,
) -> Verification:
    """Read the packs of these stores, or only the ``wanted`` ones, by their names or paths.

    No pack is begun more than ``max_duration`` seconds after the beginning; ``told`` hears of each as soon as it
    was read.
    Raises `maint.finding.NotFound` for a pack that is nowhere, and OSError for one at a path that cannot be read.
    """
    began = time.monotonic()
    result = Verification()
    with ExitStack() as stack:
        shelves = list(_shelves(stack, stores, result, clock()))
        chosen: list[_Chosen] = [(shelf, pack) for shelf in shelves for pack in shelf.there]
        if wanted:
            chosen = list(_named(stack, shelves, wanted))
            result.unread.clear()
        chosen.sort(key=lambda each: (each[0].known.get(each[1].name, -1.0), each[1].name))
        deadline = None if max_duration is None else began + max_duration
        reader = _Reader(result, listener or Listener(), told, clock, deadline)
        reader.read(chosen, jobs or default_jobs())
        result.oldest = _oldest(shelves)
    result.seconds = time.monotonic() - began
    return result


class _Reader:
    """Reads archives, and tells what it found."""

    def __init__(
        self,
        result: Verification,
        listener: Listener,
        told: Callable[[Verified], None],
        clock: Callable[[], float],
        deadline: float | None,
    ) -> None:
        self._result = result
        self._listener = listener
        self._told = told
        self._clock = clock
        self._deadline = deadline
        self._flying: dict[int, tuple[_Reading, list[bytes]]] = {}
        self._begun: list[_Reading] = []
        self._done = 0.0
        self._total = 0
        self._remember_at = time.monotonic() + REMEMBER_EVERY

    def read(self, chosen: Sequence[_Chosen], jobs: int) -> None:
        """Read archives in this order, side by side as far as they are of one store."""
        self._total = sum(archive.packed for _, archive in chosen)
        self._result.left = len(chosen)
        for _, group in groupby(chosen, lambda each: id(each[0])):
            some = list(group)
            shelf = some[0][0]
            with as_owner_of(shelf.roots):
                self._read_from(shelf, [archive for _, archive in some], jobs)
        self._result.stopped = self._listener.stop()

    def _read_from(self, shelf: _Shelf, some: list[Archive], jobs: int) -> None:
        loader = Loader(shelf.place, "")
        crew: Crew[Job, Done] = Crew(jobs, loader, self._listener.stop)
        try:
            for (job,), answer in crew.run(self._tasks(shelf, some)):
                self._take(shelf, job, answer)
            for reading in list(self._begun):  # somebody said stop: of these is told what is known by now
                if reading.damaged or reading.broken or reading.unread:
                    self._finish(shelf, reading)
        finally:
            self._begun.clear()
            self._flying.clear()
            loader.close()
            _remember(shelf, self._clock())

    def _tasks(self, shelf: _Shelf, some: list[Archive]) -> Iterator[list[Job]]:
        for archive in some:
            if self._listener.stop() or (self._deadline is not None and time.monotonic() >= self._deadline):
                return
            reading = _Reading(archive, time.monotonic())
            self._begun.append(reading)
            try:
                opened = archive.open(shelf.roots)
                reading.sessions = opened.sessions
                for job, lines in opened.tasks:
                    reading.pending += 1
                    self._flying[id(job)] = reading, lines
                    yield [job]
            except Damaged as reason:
                reading.broken = str(reason)
            except OSError as error:
                if error.errno == errno.EIO:  # the disk itself says so
                    reading.broken = describe(error)
                else:
                    reading.unread = describe(error)
            reading.handed_out = True
            if not reading.pending:
                self._finish(shelf, reading)

    def _take(self, shelf: _Shelf, job: Job, answer: Done | Died) -> None:
        reading, lines = self._flying.pop(id(job))
        reading.pending -= 1
        if isinstance(answer, Verdict):
            reading.bytes += answer.bytes
            reading.damaged += _bad(answer, lines)
        else:
            assert isinstance(answer, Died)
            reading.unread = f"{len(lines):,} of its sessions could not be read: {answer.how}"
        self._done += reading.archive.packed * len(lines) / reading.sessions
        self._listener.read(shelf.name or reading.archive.name, int(self._done), self._total)
        if reading.handed_out and not reading.pending:
            self._finish(shelf, reading)

    def _finish(self, shelf: _Shelf, reading: _Reading) -> None:
        self._begun.remove(reading)
        self._result.left -= 1
        archive = reading.archive
        if reading.broken or reading.damaged:
            result = Soundness.DAMAGED
        else:
            result = Soundness.UNREADABLE if reading.unread else Soundness.SOUND
        if result is not Soundness.SOUND and not archive.is_there(shelf.roots):
            return
        marked = archive.marked(shelf.roots) if reading.damaged else {}
        found = Verified(
            store=shelf.name,
            pack=archive.name,
            path=archive.path,
            packed=archive.packed,
            result=result,
            form=archive.form,
            sessions=reading.sessions,
            bytes=reading.bytes,
            detail=reading.broken or reading.unread,
            damaged=tuple(
                msgspec.structs.replace(bad, marked=marked.get(bad.session)) for bad in reading.damaged
            ),
            marks=archive.marks_problem(shelf.roots),
            seconds=time.monotonic() - reading.began,
        )
        self._result.packs.append(found)
        self._told(found)
        if result is Soundness.SOUND:
            shelf.fresh[archive.name] = self._clock()
        if time.monotonic() >= self._remember_at:
            self._remember_at = time.monotonic() + REMEMBER_EVERY
            _remember(shelf, self._clock())


def _bad(verdict: Verdict, lines: list[bytes]) -> list[Bad]:
    if not verdict.damaged:
        return []
    called = {entry.id: entry.account.name for entry in manifest.entries(lines)}
    return [Bad(session, detail, called.get(session)) for session, detail in verdict.damaged]


def _shelves(stack: ExitStack, stores: Sequence[Place], result: Verification, now: float) -> Iterator[_Shelf]:
    """The stores that can be opened, with their packs; what cannot is noted in the result."""
    for place in stores:
        try:
            with as_owner(place.path):
                roots = stack.enter_context(open_roots(place))
                shelf = _Shelf(place, roots, place.name)
                _list_packs(shelf, result)
                if shelf.there:
                    shelf.known = verified.read(roots[roots.first], now)
        except OSError as error:
            result.unread.append(Unread(place.name, place.path, describe(error)))
        else:
            yield shelf


def _list_packs(shelf: _Shelf, result: Verification) -> None:
    place, roots = shelf.place, shelf.roots
    lost = [(path, "it cannot be opened: is it mounted?") for path in archives.unreachable(place, roots)]
    for label in archives.labels(roots):
        folder = roots[label]
        try:
            found = [name for name in os.listdir(folder) if names.parse_pack_name(name) is not None]
        except OSError as error:
            lost.append((place.roots[label], describe(error)))
            continue
        shelf.there += [_pack(label, name, place.roots[label], folder) for name in found]
    is_session = layout_of(place.kind).session_of
    for path in single.find(roots, is_session):
        found_there = looking.stat_below(roots[roots.first], path)
        if found_there is not None:
            shelf.there.append(File(path, f"{place.path}/{path}", found_there.st_size))
    shelf.complete = not lost
    result.unread += [Unread(place.name, path, why) for path, why in lost]


def _pack(label: str, name: str, path: str, folder: int) -> Pack:
    try:
        size = os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
    except OSError:  # whoever opens it says what is wrong with it
        size = 0
    return Pack(label, name, f"{path}/{name}", size)


def _named(stack: ExitStack, shelves: Sequence[_Shelf], wanted: Sequence[str]) -> Iterator[_Chosen]:
    for text in dict.fromkeys(wanted):
        found = [
            (shelf, pack)
            for shelf in shelves
            for pack in shelf.there
            if pack.name == text or ("/" in text and _same_file(pack.path, text))
        ]
        if found:
            yield from found
        elif os.path.lexists(text):
            yield _stranger(stack, text)
        else:
            raise NotFound(
                f"there is no pack {names.printable(text)!r} in "
                f"{', '.join(shelf.place.name for shelf in shelves) or 'any store: none can be read'}"
            )


def _stranger(stack: ExitStack, path: str) -> _Chosen:
    """A pack by itself, in a folder that belongs to no store that is known."""
    above, name = os.path.split(os.path.abspath(path))
    place = Place("", "", {_STRANGER: above})
    with as_owner(above):
        roots = stack.enter_context(open_roots(place))
    return _Shelf(place, roots, None), _pack(_STRANGER, name, above, roots[_STRANGER])


def _same_file(path: str, other: str) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.lstat(other))
    except OSError:
        return False


def _remember(shelf: _Shelf, now: float) -> None:
    if shelf.name is None or not shelf.fresh:
        return
    shelf.known |= shelf.fresh
    there = {pack.name for pack in shelf.there} if shelf.complete else None
    verified.remember(shelf.roots[shelf.roots.first], shelf.fresh, now, there)
    shelf.fresh = {}


def _oldest(shelves: Sequence[_Shelf]) -> float | None:
    moments = [shelf.known.get(pack.name, -1.0) for shelf in shelves for pack in shelf.there]
    oldest = min(moments, default=-1.0)
    return oldest if oldest >= 0 else None
