"""Bringing sessions back from packs, many at a time: those of one frame together, so that it is decoded once.

Their bytes are durable before they get their names: a few one by one, of many some hundreds together, while the next
of them are read.
Of many, nothing is said before one sync for all names; after a power cut in between, the next run finds them unsaid.
"""

import hashlib
import os
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple

import msgspec

from maint.actions import Action, Outcome, Result, outcome_of
from maint.desk import Desk
from maint.marking import set_marks
from maint.planned import PlannedStore
from maint.reaching import Reaching, describe
from maint.workers import Crew, Died
from store import durable, manifest, names, opening, unnamed, unpacking
from store.barriers import Steps, in_waves, side_by_side, together
from store.catalogue import Catalogue
from store.durable import Poisoned
from store.frames import Damaged, Span
from store.looking import Skip
from store.manifest import Entry
from store.marks import Why
from store.packs import PackReader
from store.roots import RootFds
from store.unpacking import Written

_TASK_BYTES, _TASK_SESSIONS = 16 << 20, 1000
_FEW = 8  # sessions that are synced one by one
_SIDE_BY_SIDE = 500  # files that wait for the disk together
_DESCRIPTORS = 4  # for each: its own, and one of its folder, while as many are written as wait for the disk
_TOGETHER = 10_000  # sessions that share one sync: each takes as long as writing what was not written yet

_THERE = "it was there already"

_decode = msgspec.json.Decoder(Action).decode


class _Outline(msgspec.Struct, frozen=True, gc=False):
    """What is needed of an action to find its session."""

    session: str
    bytes: int
    pack: str


_decode_outline = msgspec.json.Decoder(_Outline).decode


class _Mark(msgspec.Struct, frozen=True, gc=False):
    """What a session is to be marked with in its pack once it is back."""

    pack: str | None = None
    mark: str | None = None


_decode_mark = msgspec.json.Decoder(_Mark).decode


class _Place(msgspec.Struct, frozen=True, gc=False):
    """An action that waits for its session to be found: its place in the plan, and the bytes it is about."""

    n: int
    size: int


class Source(NamedTuple):
    """A pack to read from: its root and name, and its frames as the catalogue has them."""

    label: str
    name: str
    first: str
    spans: list[Span]
    digests: list[bytes]


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """A session to be brought back: its place in the plan, its action as JSON, its pack, and its line there."""

    n: int
    action: bytes
    source: Source
    line: bytes


class Unpacker(Reaching):
    """What brings back the sessions of one run."""

    def __call__(self, work: list[Wanted]) -> list[Outcome]:
        """Bring back sessions, whose packs follow upon each other; an outcome each."""
        roots = self.roots
        outcomes: list[Outcome] = []
        few = len(work) <= _FEW
        ready: list[tuple[Wanted, list[Written]]] = []
        with closing(self._waves(work, outcomes, ready, few=few)) as waves:
            if few:
                for wave in waves:
                    together(wave)
            else:
                in_waves(waves)
        if not few:
            try:
                for home in {file.tmp_root for _, files in ready for file in files}:
                    durable.sync_file_system(roots[home], home)
            except OSError as error:
                for _, files in ready:
                    unpacking.drop(roots, files)
                return outcomes + [_refused(each, error) for each, _ in ready]
        return outcomes + self._place_all(roots, ready, sync=few)

    def _waves(
        self,
        work: list[Wanted],
        outcomes: list[Outcome],
        ready: list[tuple[Wanted, list[Written]]],
        *,
        few: bool,
    ) -> Generator[list[Steps[None]]]:
        """Sessions that wait for the disk together; those that get their names otherwise are added to ``ready``."""
        roots = self.roots
        most = side_by_side(_SIDE_BY_SIDE, _DESCRIPTORS)
        wave: list[Steps[None]] = []
        files = 0
        pack: PackReader | None = None
        source: Source | None = None

        def bringing_back(each: Wanted, pack: PackReader, entry: Entry) -> Steps[None]:
            try:
                if (yield from unnamed.bringing_back(pack, entry, roots, sync=few)):
                    outcomes.append(outcome_of(each.n, _decode(each.action), Result.DONE))
                    return
                unpacking.remove_unplaced(roots, _decode(each.action).members, self._run, each.n)
                ready.append((each, unpacking.write(pack, entry, roots, self._run, each.n, sync=few)))
            except (Skip, Damaged, OSError) as error:
                outcomes.append(_refused(each, error))

        try:
            for each in work:
                if wave and source != each.source:
                    yield wave
                    wave, files = [], 0
                try:
                    if pack is None or source != each.source:
                        if pack is not None:
                            pack.close()
                            pack = None
                        source = each.source
                        pack = _open(roots, source)
                    entry = manifest.checked_entry(each.line)
                    if unpacking.is_there(roots, entry):
                        if _came_back(roots, entry):
                            outcomes.append(outcome_of(each.n, _decode(each.action), Result.DONE, _THERE))
                            continue
                        raise Skip("another file has its place now")  # noqa: TRY301  one way out for all reasons
                except (Skip, Damaged, OSError) as error:
                    outcomes.append(_refused(each, error))
                    continue
                if wave and files + len(entry.members) > most:
                    yield wave
                    wave, files = [], 0
                wave.append(bringing_back(each, pack, entry))
                files += len(entry.members)
            if wave:
                yield wave
        finally:
            if pack is not None:
                pack.close()

    @staticmethod
    def _place_all(roots: RootFds, ready: list[tuple[Wanted, list[Written]]], *, sync: bool) -> list[Outcome]:
        """Give files that are durable their names, and with ``sync`` make these durable too."""
        outcomes: list[Outcome] = []
        for each, files in ready:
            try:
                unpacking.settle(roots, files)
                for file in files if sync else ():
                    with opening.parent_of(roots[file.root], file.path) as (folder, _):
                        durable.sync_folder(folder, file.path)
            except (Skip, OSError) as error:
                outcomes.append(_refused(each, error))
            else:
                outcomes.append(outcome_of(each.n, _decode(each.action), Result.DONE))
        return outcomes


def restored(desk: Desk, planned: PlannedStore, wanted: Sequence[int]) -> Iterator[list[Outcome]]:
    """Bring back the sessions of some actions, by their places in the plan."""
    unpacker = Unpacker(desk.place, desk.run, desk.roots.stats)
    crew: Crew[Wanted, list[Outcome]] = Crew(desk.jobs if len(wanted) > 1 else 1, unpacker, desk.stop)
    with ExitStack() as stack:
        stack.callback(unpacker.close)
        stack.enter_context(crew)
        if len(wanted) > desk.jobs * _TASK_SESSIONS:
            crew.start()  # who is forked before the plan is gone through keeps no copy of what is known of each session
        by_pack, files = _by_pack(planned, wanted)
        tasks = stack.enter_context(closing(_tasks(desk, planned, by_pack)))
        back = _Back(desk)
        for task, answer in stack.enter_context(closing(crew.run(tasks))):
            outcomes = (
                answer if not isinstance(answer, Died) else [_lost(desk, each, answer) for each in task]
            )
            desk.read(sum(outcome.bytes for outcome in outcomes))
            back.take(task, outcomes)
            if len(back.outcomes) >= _TOGETHER:
                yield back.settled()
    # Workers are gone by now: those of a leader that is killed hold the store until they notice.
    yield back.settled()
    if not desk.stop():
        missing = [place for places in by_pack.values() for place in places.values()]
        yield [_missing(planned, place) for place in missing]
        if files:
            from maint.unfiling import unfiled  # noqa: PLC0415  what it takes is imported when there is such a thing

            yield from unfiled(desk, planned, files)


def _by_pack(planned: PlannedStore, wanted: Sequence[int]) -> tuple[dict[str, dict[str, _Place]], list[int]]:
    """The sessions to be brought back, pack by pack, and the places of those that are files by themselves."""
    by_pack: dict[str, dict[str, _Place]] = {}
    files: list[int] = []
    for n in wanted:
        found = _decode_outline(planned.line(n))
        if names.parse_pack_name(found.pack) is None:
            files.append(n)
            continue
        by_pack.setdefault(found.pack, {})[found.session] = _Place(n, found.bytes)
    return by_pack, files


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
                task.append(Wanted(place.n, planned.line(place.n), source, line))
                size += place.size
                if size >= _TASK_BYTES or len(task) >= _TASK_SESSIONS:
                    yield task
                    task, size = [], 0
    if task:
        yield task


def _missing(planned: PlannedStore, place: _Place) -> Outcome:
    action = _decode(planned.line(place.n))
    return outcome_of(place.n, action, Result.SKIPPED, f"it is not in {action.pack} now")


def _open(roots: RootFds, source: Source) -> PackReader:
    return PackReader.open(roots[source.label], source.name, source.spans, source.digests, source.first)


class _Back:
    """Sessions that are in their places: nothing is said of them before they are durable there."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._marks: dict[str, list[tuple[str, Why]]] = {}
        self.outcomes: list[Outcome] = []

    def take(self, task: list[Wanted], outcomes: list[Outcome]) -> None:
        """Take in what became of a task, and what is to be marked in its pack because its archiving was undone."""
        self.outcomes += outcomes
        actions = {each.n: each.action for each in task}
        for outcome in outcomes:
            mark = _decode_mark(actions[outcome.n])
            if outcome.result is Result.DONE and mark.mark is not None and mark.pack is not None:
                self._marks.setdefault(mark.pack, []).append((outcome.session, Why(mark.mark)))

    def settled(self) -> list[Outcome]:
        """The outcomes so far, all of them durable, and marked in their packs; Poisoned if the disk did not take them."""
        roots = self._desk.roots
        few = len(self.outcomes) <= _FEW  # then each has seen to itself
        for home in dict.fromkeys(roots.home(label) for label in roots.labels) if not few else ():
            durable.sync_file_system(roots[home], home)
        for pack, sessions in self._marks.items():
            set_marks(self._desk, pack, sessions)
        outcomes, self.outcomes, self._marks = self.outcomes, [], {}
        return outcomes


def _refused(each: Wanted, error: Skip | Damaged | OSError) -> Outcome:
    action = _decode(each.action)
    if isinstance(error, Skip):
        return outcome_of(each.n, action, Result.SKIPPED, str(error))
    if isinstance(error, Damaged):
        return outcome_of(each.n, action, Result.FAILED, f"its pack is damaged: {error}; see `maint verify`")
    if isinstance(error, Poisoned):
        return outcome_of(each.n, action, Result.FAILED, f"the disk did not take it ({error.strerror})")
    return outcome_of(each.n, action, Result.FAILED, describe(error))


def _lost(desk: Desk, each: Wanted, died: Died) -> Outcome:
    action = _decode(each.action)
    unpacking.remove_unplaced(desk.roots, action.members, desk.run, each.n)
    return outcome_of(each.n, action, Result.LOST, died.how)


def _came_back(roots: RootFds, entry: Entry) -> bool:
    """Whether all of a session is in its place, byte for byte, as an attempt of a worker that died may leave it."""
    for member in entry.members:
        try:
            with opening.parent_of(roots[member.root], member.path) as (folder, name):
                fd = opening.open_session(folder, name)
        except (KeyError, OSError):
            return False
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or (found.st_size, found.st_mtime_ns) != (
                member.size,
                member.mtime_ns,
            ):
                return False
            if hashlib.file_digest(file, "sha256").hexdigest() != member.sha256:
                return False
    return True
