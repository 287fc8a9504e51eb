"""Bringing sessions back from packs, many at a time: those of one frame together, so that it is decoded once.

Each task of a worker is durable by one sync: its files are written, the file system is synced, and only then do they
get their names.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import msgspec

from maint.actions import Action, Outcome, Result, outcome_of
from maint.desk import Desk
from maint.marking import set_marks
from maint.planned import PlannedStore
from maint.reaching import describe, open_roots
from maint.unfiling import unfiled
from maint.workers import Crew, Died
from store import durable, manifest, names, unpacking
from store.catalogue import Catalogue
from store.change import Skip
from store.durable import Poisoned
from store.facts import Place
from store.frames import Damaged, Span
from store.marks import Why
from store.packs import PackReader
from store.roots import RootFds
from store.unpacking import Written

_TASK_BYTES, _TASK_SESSIONS = 32 << 20, 2000
_FEW = 8  # sessions that are synced one by one

_decode = msgspec.json.Decoder(Action).decode


class _Outline(msgspec.Struct, frozen=True, gc=False):
    """What is needed of an action to find its session."""

    session: str
    bytes: int
    pack: str


_decode_outline = msgspec.json.Decoder(_Outline).decode


class _Place(NamedTuple):
    """An action that waits for its session to be found: its place, where its line begins, and the bytes it is about."""

    n: int
    offset: int
    size: int


class Source(NamedTuple):
    """A pack to read from: its root and name, and its frames as the catalogue has them."""

    label: str
    name: str
    first: str
    spans: list[Span]
    digests: list[bytes]


class Wanted(NamedTuple):
    """A session to be brought back: its place in the plan, its action as JSON, its pack, and its line there."""

    n: int
    action: bytes
    source: Source
    line: bytes


class Unpacker:
    """What brings back the sessions of one run; a worker opens the roots when it first needs them."""

    def __init__(self, place: Place, run: str) -> None:
        self._place = place
        self._run = run
        self._roots: RootFds | None = None

    def close(self) -> None:
        if self._roots is not None:
            self._roots.close()
            self._roots = None

    def __call__(self, work: list[Wanted]) -> list[Outcome]:
        """Bring back sessions, whose packs follow upon each other; an outcome each."""
        if self._roots is None:
            self._roots = open_roots(self._place)
        roots = self._roots
        outcomes: list[Outcome] = []
        few = len(work) <= _FEW
        ready: list[tuple[Wanted, list[Written]]] = []
        pack: PackReader | None = None
        source: Source | None = None
        try:
            for each in work:
                try:
                    if pack is None or source != each.source:
                        if pack is not None:
                            pack.close()
                            pack = None
                        source = each.source
                        pack = _open(roots, source)
                    entry = manifest.checked_entry(each.line)
                    if unpacking.is_there(roots, entry):
                        raise Skip("another file has its place now")  # noqa: TRY301  one way out for all reasons
                    ready.append((each, unpacking.write(pack, entry, roots, self._run, each.n, sync=few)))
                except (Skip, Damaged, OSError) as error:
                    outcomes.append(_refused(each, error))
        finally:
            if pack is not None:
                pack.close()
        if not few:
            try:
                for home in {file.tmp_root for _, files in ready for file in files}:
                    durable.sync_file_system(roots[home], home)
            except OSError as error:
                for _, files in ready:
                    unpacking.drop(roots, files)
                return outcomes + [_refused(each, error) for each, _ in ready]
        return outcomes + self._place_all(roots, ready)

    @staticmethod
    def _place_all(roots: RootFds, ready: list[tuple[Wanted, list[Written]]]) -> list[Outcome]:
        """Give files that are durable their names."""
        outcomes: list[Outcome] = []
        for each, files in ready:
            try:
                unpacking.settle(roots, files)
            except (Skip, OSError) as error:
                outcomes.append(_refused(each, error))
            else:
                outcomes.append(outcome_of(each.n, _decode(each.action), Result.DONE))
        return outcomes


def restored(desk: Desk, planned: PlannedStore, wanted: Sequence[tuple[int, int]]) -> Iterator[list[Outcome]]:
    """Bring back the sessions of some actions, by their places in the plan and where their lines begin there."""
    by_pack: dict[str, dict[str, _Place]] = {}
    files: list[tuple[int, int]] = []
    for n, offset in wanted:
        found = _decode_outline(planned.line_at(offset))
        if names.parse_pack_name(found.pack) is None:
            files.append((n, offset))
            continue
        by_pack.setdefault(found.pack, {})[found.session] = _Place(n, offset, found.bytes)
    unpacker = Unpacker(desk.place, desk.run)
    crew: Crew[Wanted, list[Outcome]] = Crew(desk.jobs if len(wanted) > 1 else 1, unpacker, desk.stop)
    tasks = _tasks(desk, planned, by_pack)
    try:
        for task, answer in crew.run(tasks):
            outcomes = answer if not isinstance(answer, Died) else [_lost(each, answer) for each in task]
            _mark(desk, outcomes, {each.n: each.action for each in task})
            desk.read(sum(outcome.bytes for outcome in outcomes))
            yield outcomes
    finally:
        tasks.close()
        unpacker.close()
    if not desk.stop():
        missing = [place for places in by_pack.values() for place in places.values()]
        yield [_missing(planned, place) for place in missing]
        if files:
            yield from unfiled(desk, planned, files)


def _tasks(
    desk: Desk, planned: PlannedStore, by_pack: dict[str, dict[str, _Place]]
) -> Generator[list[Wanted]]:
    """The sessions in the order in which they lie in their packs; what was found is taken out of ``by_pack``."""
    task: list[Wanted] = []
    size = 0
    with Catalogue.open(desk.place, desk.roots) as catalogue:
        for pack, places in by_pack.items():
            source: Source | None = None
            for label, session, line in catalogue.lines_of(pack, places):
                place = places.pop(session)
                if source is None:
                    source = Source(label, pack, *catalogue.frames_of(label, pack))
                task.append(Wanted(place.n, planned.line_at(place.offset), source, line))
                size += place.size
                if size >= _TASK_BYTES or len(task) >= _TASK_SESSIONS:
                    yield task
                    task, size = [], 0
    if task:
        yield task


def _missing(planned: PlannedStore, place: _Place) -> Outcome:
    action = _decode(planned.line_at(place.offset))
    return outcome_of(place.n, action, Result.SKIPPED, f"it is not in {action.pack} now")


def _open(roots: RootFds, source: Source) -> PackReader:
    return PackReader.open(roots[source.label], source.name, source.spans, source.digests, source.first)


def _mark(desk: Desk, outcomes: list[Outcome], actions: dict[int, bytes]) -> None:
    """Mark in their packs what was brought back for good, because its archiving was undone."""
    told: dict[str, list[tuple[str, Why]]] = {}
    for outcome in outcomes:
        action = _decode(actions[outcome.n])
        if outcome.result is Result.DONE and action.mark is not None and action.pack is not None:
            told.setdefault(action.pack, []).append((action.session, Why(action.mark)))
    for pack, sessions in told.items():
        set_marks(desk, pack, sessions)


def _refused(each: Wanted, error: Skip | Damaged | OSError) -> Outcome:
    action = _decode(each.action)
    if isinstance(error, Skip):
        return outcome_of(each.n, action, Result.SKIPPED, str(error))
    if isinstance(error, Damaged):
        return outcome_of(each.n, action, Result.FAILED, f"its pack is damaged: {error}; see `maint verify`")
    if isinstance(error, Poisoned):
        return outcome_of(each.n, action, Result.FAILED, f"the disk did not take it ({error.strerror})")
    return outcome_of(each.n, action, Result.FAILED, describe(error))


def _lost(each: Wanted, died: Died) -> Outcome:
    return outcome_of(each.n, _decode(each.action), Result.LOST, died.how)
