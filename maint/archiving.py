"""Archiving: sessions into packs, and only then out of the store.

The order never changes, and no step for a pack begins before the one before it is done:
read the sessions into frames over the workers, and write these into one file; make it durable; read it back over
the workers and compare every digest; give it its name; write that down; let go of the originals, each looked at
again; mark what had changed meanwhile.

While one pack is filled, the originals of the one before it go; each is half of what a pack may be, so that a disk
needs room for one.
Where it has not even that, half as many sessions are tried, and so on: the first that fit make room for more.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec

from maint.actions import Action, Outcome, Packing, Result, outcome_of
from maint.desk import Desk
from maint.filing import filed
from maint.filling import Beside, Chosen, Draft, Filler
from maint.journal import SealedLine
from maint.loading import Done, Index, Job, Leave, Left, Loader, Older
from maint.marking import unmarked
from maint.planned import PlannedStore
from maint.reaching import describe
from maint.sealing import seal
from maint.workers import Crew, Died
from store import archives, looking, marks, names, opening, tarring
from store.archived import Archived
from store.change import remove_empty_folders
from store.durable import Poisoned
from store.facts import Place
from store.layout import layout_of
from store.marks import Mark, Why
from store.packs import PackWriter

MOST_FILES = 20_000
"""Files that a pack holds at most, but for a single session, so that its manifest stays a matter of megabytes."""

_LEAVE = 250  # originals a task
_OVERHEAD = 4 * tarring.BLOCK  # what a member takes of a tar besides its content, at the most
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

_decode = msgspec.json.Decoder(Action).decode


class _Account(msgspec.Struct, frozen=True, gc=False):
    project: str | None = None
    started_at: float | None = None


class _Outline(msgspec.Struct, frozen=True, gc=False):
    """What is needed of an action to put its session in its place."""

    bytes: int
    members: tuple[msgspec.Raw, ...]
    packing: Packing = Packing()
    account: _Account = _Account()


_decode_outline = msgspec.json.Decoder(_Outline).decode


def archived(desk: Desk, planned: PlannedStore, wanted: Sequence[tuple[int, int]]) -> Iterator[list[Outcome]]:
    """Archive the sessions of some actions, by their places in the plan and where their lines begin there."""
    for how, sessions in _in_order(planned, wanted):
        if how.form == "file":
            yield from filed(desk, planned, how, sessions)
            continue
        try:
            into = os.path.expanduser(how.into) if how.into is not None else None
            place, label = archives.ensure(desk.place, desk.roots, into)
        except OSError as error:
            why = f"there is no folder for packs: {describe(error)}"
            yield [_outcome(planned, each, Result.FAILED, why) for each in sessions]
            continue
        archiver = _Archiver(desk, place, label, how, planned)
        try:
            for some in _portions(sessions, how.pack_size // 2):  # two at a time take the room of one
                if desk.stop():
                    break
                yield from archiver.pack(some)
            yield from archiver.finish()
        finally:
            archiver.close()
            remove_empty_folders(desk.roots, desk.run)


class _Archiver:
    """Makes packs of one make in one folder.

    While a pack is filled, the originals of the one before it go: one waits for processors, the other for the disk.
    """

    def __init__(self, desk: Desk, place: Place, label: str, how: Packing, planned: PlannedStore) -> None:
        self._desk = desk
        self._place = place
        self._label = label
        self._how = how
        self._planned = planned
        self._may_stop = True
        self._no_room = False  # the disk was full, so that the next pack needs what originals take
        self._loader = Loader(place, desk.run, desk.roots.stats)
        self._crew: Crew[Job, Done] = Crew(desk.jobs, self._loader, self._stop)
        self._crew.__enter__()
        self._filler = Filler(
            self._crew,
            desk.roots,
            how.level,
            planned.line_at,
            desk.read,
            layout_of(place.kind).owns_folder,
        )
        self._sealed = ""
        self._leaving: Iterator[list[Job]] = iter(())
        self._outcomes: list[Outcome] = []

    def close(self) -> None:
        self._crew.__exit__()
        self._loader.close()

    def pack(self, sessions: Sequence[Chosen]) -> Iterator[list[Outcome]]:
        """Archive some sessions in one pack, or in more where the disk has no room for one."""
        folder = self._desk.roots[self._label]
        try:
            writer = PackWriter(folder, names.pack_name(self._desk.run, next(self._desk.numbers)))
            try:
                draft = Draft(writer)
                sealed = self._fill_and_seal(draft, sessions)
            finally:
                writer.drop()
                yield self._left()
        except Poisoned as error:
            why = f"the disk could not be made to keep the pack ({error.strerror}); the session stays"
            yield [_outcome(self._planned, each, Result.FAILED, why) for each in sessions]
            return
        except OSError as error:
            if error.errno in _NO_ROOM and len(sessions) > 1:
                yield from self._in_halves(sessions)
                return
            why = f"the pack could not be written: {describe(error)}; the session stays"
            yield [_outcome(self._planned, each, Result.FAILED, why) for each in sessions]
            return
        yield draft.left_out
        if sealed is not None:
            self._desk.sealed(sealed)
            offsets = {each.n: each.offset for each in sessions}
            self._leave(writer.name, [(n, offsets[n]) for n in draft.packed])

    def _in_halves(self, sessions: Sequence[Chosen]) -> Iterator[list[Outcome]]:
        """Archive what had no room in one pack in two, the second when the originals of the first are gone."""
        self._no_room = True
        half = len(sessions) // 2
        for some in (sessions[:half], sessions[half:]):
            yield from self.pack(some)
            yield from self.finish()

    def finish(self) -> Iterator[list[Outcome]]:
        """Let the originals of the last pack go, whatever anybody says: it is sealed."""
        self._may_stop = False
        for task, answer in self._crew.run(self._leaving):
            self._take_left(task, answer)
            yield self._left()
        self._may_stop = True

    def _fill_and_seal(self, draft: Draft, sessions: Sequence[Chosen]) -> SealedLine | None:
        """What the journal is to say of the pack, which is sealed now; ``None`` if nothing is left of it."""
        beside = Beside(self._leaving, self._take_left)
        if not self._filler.fill(draft, sessions, beside) or not draft.lines:
            return None
        return seal(self._desk, self._crew, self._place, self._label, draft, self._how.level)

    def _leave(self, pack: str, packed: list[tuple[int, int]]) -> None:
        """From here on the originals of a sealed pack may go, as the policy wants it."""
        jobs: Iterator[Job] = (
            Leave(n, self._planned.line_at(offset).rstrip(b"\n"), self._how.originals, pack, self._no_room)
            for n, offset in packed
        )
        first: list[Job] = [Index(self._label, pack)]
        self._sealed = pack
        self._leaving = chain([first], _some(jobs, _LEAVE))

    def _take_left(self, task: list[Job], answer: Done | Died) -> None:
        """What became of originals; the copies of those that had changed before they could go are marked."""
        match answer:
            case Older(copies):
                self._mark_older(copies)
            case Left(outcomes):
                self._take_outcomes({job.n: job for job in task if isinstance(job, Leave)}, outcomes)
            case Died(how):
                # Without an answer about the catalogue, whoever opens it next brings it up to date.
                self._outcomes += [
                    outcome_of(job.n, _decode(job.line), Result.LOST, how)
                    for job in task
                    if isinstance(job, Leave)
                ]
            case _:
                raise TypeError(f"no answer to leaving: {type(answer).__name__}")

    def _take_outcomes(self, jobs: dict[int, Leave], outcomes: list[Outcome]) -> None:
        """Take in what became of originals; of what goes on in the store, no copy counts.

        One that is gone was removed by a worker that died before it could say so, or by its owner; and where another
        file has its name, only a later pack can tell whether that is the same recording. Both copies count.
        """
        stale: list[Mark] = []
        for each in outcomes:
            if each.result is not Result.SKIPPED:
                self._outcomes.append(each)
            elif not (found := self._found(jobs[each.n])):
                text = "its original was gone already"
                self._outcomes.append(
                    msgspec.structs.replace(each, result=Result.DONE, detail=text, pack=self._sealed)
                )
            else:
                if all(found):
                    mark = Mark(session=each.session, why=Why.STALE, run=self._desk.run, at=self._desk.now)
                    stale.append(mark)
                self._outcomes.append(each)
        self._mark(self._label, self._sealed, stale)

    def _found(self, job: Leave) -> list[bool]:
        """Of each original whose place is taken, whether that is the very file that was packed."""
        found: list[bool] = []
        for member in _decode(job.line).members:
            try:
                there = looking.stat_below(self._desk.roots[member.root], member.path)
            except NotADirectoryError:
                continue
            except OSError:  # it cannot be told
                found.append(False)
                continue
            if there is not None:
                found.append(opening.fingerprint(there).same_file(member.fingerprint))
        return found

    def _left(self) -> list[Outcome]:
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def _mark_older(self, copies: list[Archived]) -> None:
        """Mark older copies of sessions that a new pack holds, as far as they are of the same recordings."""
        found: dict[tuple[str, str], list[Mark]] = {}
        for each in copies:
            mark = Mark(session=each.entry.id, why=Why.SUPERSEDED, run=self._desk.run, at=self._desk.now)
            found.setdefault((each.label, each.pack), []).append(mark)
        for (label, name), told in found.items():
            self._mark(label, name, told)

    def _mark(self, label: str, pack: str, told: list[Mark]) -> None:
        """Mark copies, if that can be done: one that is not marked is one too many, and no loss."""
        try:
            marks.add(self._desk.roots[label], pack, told)
        except OSError as error:
            folder = self._place.roots[label]
            self._desk.unwritten(unmarked(self._place.name, folder, pack, error))

    def _stop(self) -> bool:
        return self._may_stop and self._desk.stop()


def _in_order(
    planned: PlannedStore, wanted: Sequence[tuple[int, int]]
) -> Iterator[tuple[Packing, list[Chosen]]]:
    """The sessions by the way they are to be packed, alike ones side by side: by project, then by start."""
    projects: dict[str | None, int] = {}
    ways: dict[Packing, tuple[list[tuple[int, float]], list[Chosen]]] = {}
    for n, offset in wanted:
        found = _decode_outline(planned.line_at(offset))
        project = projects.setdefault(found.account.project, len(projects))
        keys, sessions = ways.setdefault(found.packing, ([], []))
        keys.append((project, found.account.started_at or 0.0))
        sessions.append(Chosen(n, offset, found.bytes, len(found.members)))
    for how, (keys, sessions) in ways.items():
        yield how, [sessions[at] for at in sorted(range(len(keys)), key=keys.__getitem__)]


def _portions(sessions: Sequence[Chosen], pack_size: int) -> Iterator[Sequence[Chosen]]:
    """The sessions of one pack after the other, none of which is larger than ``pack_size``, but for a single session."""
    start = size = files = 0
    for at, each in enumerate(sessions):
        takes = tarring.padded(each.size) + _OVERHEAD * each.files
        if at > start and (size + takes > pack_size or files + each.files > MOST_FILES):
            yield sessions[start:at]
            start, size, files = at, 0, 0
        size += takes
        files += each.files
    if start < len(sessions):
        yield sessions[start:]


def _some(jobs: Iterator[Job], count: int) -> Iterator[list[Job]]:
    task: list[Job] = []
    for job in jobs:
        task.append(job)
        if len(task) == count:
            yield task
            task = []
    if task:
        yield task


def _outcome(planned: PlannedStore, chosen: Chosen, result: Result, why: str) -> Outcome:
    return outcome_of(chosen.n, _decode(planned.line_at(chosen.offset)), result, why)
