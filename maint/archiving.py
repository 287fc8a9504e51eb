"""Archiving: sessions into packs, and only then out of the store.

The order never changes: sessions are read into frames over the workers, and these written into one file
(`maint.filling`); then the pack is sealed, and its originals go (`maint.handover`).

While one pack is filled, the one before it is handed over; each is half of what a pack may be, so that a disk needs
room for one.
Where it has not even that, half as many sessions are tried, and so on: the first that fit make room for more.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from maint.actions import Action, Outcome, Packing, Result, outcome_of
from maint.desk import Desk
from maint.filing import filed
from maint.filling import Chosen, Draft, Filler, Unwritten
from maint.handover import Handover
from maint.loading import Done, Job, Loader
from maint.planned import PlannedStore
from maint.reaching import describe
from maint.workers import Crew
from store import archives, names, packing, tarring
from store.change import remove_empty_folders
from store.durable import Poisoned
from store.facts import Place
from store.layout import layout_of
from store.packs import PackWriter

MOST_FILES = 20_000
"""Files that a pack holds at most, but for a single session, so that its manifest stays a matter of megabytes."""

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


def archived(desk: Desk, planned: PlannedStore, wanted: Sequence[int]) -> Iterator[list[Outcome]]:
    """Archive the sessions of some actions, by their places in the plan."""
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


class _Filled(NamedTuple):
    """A pack that is filled, with the sessions in it, and what is done for it from then on."""

    sessions: list[Chosen]
    handover: Handover


class _Archiver:
    """Makes packs of one make in one folder: while one is filled, the one before it is handed over."""

    def __init__(self, desk: Desk, place: Place, label: str, how: Packing, planned: PlannedStore) -> None:
        self._desk = desk
        self._place = place
        self._label = label
        self._how = how
        self._planned = planned
        self._handed: Handover | None = None  # what is being done before anything else
        self._no_room = False  # the disk was full, so that the next pack needs what originals take
        self._large_next = False  # so that it will need it
        self._loader = Loader(place, desk.run, desk.roots.stats)
        self._crew: Crew[Job, Done] = Crew(desk.jobs, self._loader, self._stop)
        self._crew.__enter__()
        self._filler = Filler(
            self._crew,
            desk.roots,
            how.level,
            planned.line,
            desk.read,
            layout_of(place.kind).owns_folder,
        )
        self._before: _Filled | None = None

    def close(self) -> None:
        if self._before is not None:
            self._before.handover.drop()
        self._crew.__exit__()
        self._loader.close()

    def pack(self, sessions: Sequence[Chosen]) -> Iterator[list[Outcome]]:
        """Archive some sessions in one pack, or in more where the disk has no room for one.

        Their originals go while those of the next call are packed, or with `finish`.
        """
        filled: _Filled | None = None
        failure: OSError | None = None
        left_out: list[Outcome] = []
        try:
            filled = self._fill(sessions, left_out)
        except Unwritten as error:
            failure = error
            self._no_room = self._no_room or error.errno in _NO_ROOM
        try:
            self._hand_over()
        except BaseException:
            if filled is not None:
                filled.handover.drop()
            raise
        before, self._before = self._before, filled
        yield from self._ended(before)
        if failure is not None:
            yield from self._not_packed(sessions, failure, is_room_made=before is not None)
        else:
            yield left_out

    def finish(self) -> Iterator[list[Outcome]]:
        """Seal the last pack and let its originals go; whatever anybody says, once it is sealed."""
        self._hand_over()
        before, self._before = self._before, None
        yield from self._ended(before)

    def _fill(self, sessions: Sequence[Chosen], left_out: list[Outcome]) -> _Filled | None:
        """Fill a pack; ``None`` if there is nothing in it, or somebody said stop. `Unwritten` if it cannot be written."""
        folder = self._desk.roots[self._label]
        try:
            writer = PackWriter(folder, names.pack_name(self._desk.run, next(self._desk.numbers)))
        except OSError as error:
            raise Unwritten(error.errno, error.strerror, error.filename) from error
        draft = Draft(writer, left_out=left_out)
        try:
            small = [each for each in sessions if each.size <= packing.LARGE]
            large = [each for each in sessions if each.size > packing.LARGE]
            is_whole = self._filler.fill(draft, small, self._before and self._before.handover, large)
            if large:
                self._large_next = True
                self._hand_over()  # a large one needs all workers, and the room
                is_whole = is_whole and self._filler.fill_large(draft, large)
        except BaseException:
            writer.drop()
            raise
        finally:
            self._large_next = False
        if not is_whole or not draft.lines:
            writer.drop()
            return None
        there = set(draft.packed)
        packed = [each for each in sessions if each.n in there]
        handover = Handover(
            self._desk,
            self._place,
            self._label,
            draft,
            self._how,
            self._planned.line,
            self._wants_room,
        )
        return _Filled(packed, handover)

    def _wants_room(self) -> bool:
        """Whether the next pack may need the room of originals that go now."""
        if self._no_room or self._large_next:
            return True
        disk = os.fstatvfs(self._desk.roots[self._label])
        return disk.f_bavail * disk.f_frsize < self._how.pack_size

    def _hand_over(self) -> None:
        """Do what is left to do for the pack before this one; only before it is sealed may that be stopped."""
        if self._before is None:
            return
        self._handed = handover = self._before.handover
        going = True
        while going:
            going = False
            for task, answer in self._crew.run(handover.tasks()):
                handover.take(task, answer)
                going = True
        self._handed = None

    def _ended(self, before: _Filled | None) -> Iterator[list[Outcome]]:
        """What became of a pack for which nothing more can be done."""
        if before is None:
            return
        before.handover.drop()
        yield before.handover.left()
        if before.handover.failure is not None:
            is_room_made = self._before is not None
            yield from self.finish()  # what was filled since makes room
            yield from self._not_packed(before.sessions, before.handover.failure, is_room_made=is_room_made)

    def _not_packed(
        self, sessions: Sequence[Chosen], error: OSError, *, is_room_made: bool
    ) -> Iterator[list[Outcome]]:
        """Archive sessions in smaller packs if there was no room for one; else they stay, and it is said why.

        A single one is tried once more if room was made since.
        """
        if isinstance(error, Poisoned):
            why = f"the disk could not be made to keep the pack ({error.strerror}); the session stays"
        elif error.errno in _NO_ROOM and (len(sessions) > 1 or is_room_made):
            self._no_room = True
            half = len(sessions) // 2
            for some in (sessions[:half], sessions[half:]):
                if some:
                    yield from self.pack(some)
                    yield from self.finish()
            return
        else:
            why = f"the pack could not be written: {describe(error)}; the session stays"
        yield [_outcome(self._planned, each, Result.FAILED, why) for each in sessions]

    def _stop(self) -> bool:
        """Whether to stop; what is done for a pack that is sealed is brought to its end."""
        return not (self._handed is not None and self._handed.is_sealed) and self._desk.stop()


def _in_order(planned: PlannedStore, wanted: Sequence[int]) -> Iterator[tuple[Packing, list[Chosen]]]:
    """The sessions by the way they are to be packed, alike ones side by side: by project, then by start."""
    projects: dict[str | None, int] = {}
    ways: dict[Packing, tuple[list[tuple[int, float]], list[Chosen]]] = {}
    last: Packing | None = None
    for n in wanted:
        found = _decode_outline(planned.line(n))
        if found.packing != last:  # nearly always it is the same
            last = found.packing
            keys, sessions = ways.setdefault(last, ([], []))
        project = projects.setdefault(found.account.project, len(projects))
        keys.append((project, found.account.started_at or 0.0))
        sessions.append(Chosen(n, found.bytes, len(found.members)))
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


def _outcome(planned: PlannedStore, chosen: Chosen, result: Result, why: str) -> Outcome:
    return outcome_of(chosen.n, _decode(planned.line(chosen.n)), result, why)
