"""Filling a pack: sessions are read by the workers, and what they give goes into one file, in one order.

Sessions that can be read as a whole come first, many a task.
A large one is read in ranges, by all workers at once, while the leader takes its digest in order; if anything about
it was not as planned, the pack is cut back to where it began.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Protocol

import msgspec

from maint.actions import Action, Outcome, Result, outcome_of
from maint.loading import TRIAL, Done, Frames, Job, Load, Range, Trial, wanted
from maint.reaching import describe
from maint.workers import Crew, Died
from store import frames, leases, looking, manifest, opening, packing
from store.change import Skip
from store.emptied import Owned
from store.facts import Member
from store.manifest import Entry, PackedMember
from store.packing import Batch, RawFrame, Wanted
from store.packs import PackWriter
from store.roots import RootFds

_TASK_BYTES, _TASK_SESSIONS = 8 << 20, 1000
_BESIDE = 4  # tasks of other work upon one of filling, so that both end at about the same time

ROOM = 256 << 10
"""Bytes of a disk that a pack leaves free, because letting go of originals takes some: for folders and the journal."""

_decode = msgspec.json.Decoder(Action).decode


class Unwritten(OSError):
    """A pack could not be written; whatever else goes wrong meanwhile is another error, and ends the run."""


class Chosen(msgspec.Struct, frozen=True, gc=False):
    """A session in line to be packed: its place in the plan, and its bytes."""

    n: int
    size: int
    files: int = 1


@dataclass
class Draft:
    """A pack that is being filled: its file, the sessions' lines and places in the plan, and how long they are.

    ``left_out`` are the outcomes of those that could not be packed.
    """

    writer: PackWriter
    lines: list[bytes] = field(default_factory=list)
    packed: list[int] = field(default_factory=list)
    size: int = 0
    left_out: list[Outcome] = field(default_factory=list)

    def append(self, raw: list[RawFrame]) -> int:
        """Write frames; the number of the first. `Unwritten` if that cannot be, or would leave too little of the disk."""
        try:
            disk = os.fstatvfs(self.writer.fd)
            if disk.f_bavail * disk.f_frsize < ROOM + sum(len(frame) for frame, _, _ in raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301  as the disk itself says it
            return self.writer.append(raw)
        except OSError as error:
            raise Unwritten(error.errno, error.strerror, error.filename) from error

    def add(self, n: int, line: bytes, frame: int) -> None:
        """Take in a session by its line, which has no frame yet."""
        self.lines.append(line[:-2] + b',"frame":%d}\n' % frame if frame else line)
        self.packed.append(n)

    def add_moved(self, line: bytes, first: int) -> None:
        """Take in a session from another pack, whose frame counts from ``first``."""
        entry = manifest.decode_entry(line)
        self.lines.append(manifest.encode_entry(msgspec.structs.replace(entry, frame=first + entry.frame)))
        self.size += entry.size


class Beside(Protocol):
    """Work for the same crew that is done beside the filling."""

    def tasks(self) -> Iterator[list[Job]]:
        """What can be done of it now; more of it once every answer was taken."""

    def take(self, task: list[Job], answer: Done | Died) -> None:
        """What came of a task."""


class Filler:
    """Fills packs over a crew; ``line_of`` gives the action of a place in the plan.

    ``owned`` tells the folders that the program makes for one session alone.
    """

    def __init__(
        self,
        crew: Crew[Job, Done],
        roots: RootFds,
        level: int,
        line_of: Callable[[int], bytes],
        progress: Callable[[int], None],
        owned: Owned,
    ) -> None:
        self._crew = crew
        self._owned = owned
        self._pays_long: dict[tuple[str, str], bool] = {}
        self._roots = roots
        self._level = level
        self._line_of = line_of
        self._progress = progress

    def fill(
        self, draft: Draft, sessions: Sequence[Chosen], beside: Beside | None, then: Sequence[Chosen] = ()
    ) -> bool:
        """Put sessions into the pack that are read as a whole; whether that was done, or somebody said stop.

        ``then`` are those that `fill_large` is to put there next: it is found out already how they are to be packed.
        ``beside`` is work that goes on meanwhile, some of which waits for the disk, while this waits for processors.
        `Unwritten` when the pack cannot be; the work in flight is finished first.
        """
        sizes = {each.n: each.size for each in sessions}
        done = 0
        loads = _Stoppable(chain(self._trials(then), self._tasks(sessions)))
        failed: Unwritten | None = None
        with closing(self._crew.run(_mixed(loads, beside))) as answers:
            for task, answer in answers:
                if isinstance(task[0], Trial):
                    tried = task[0].member
                    self._pays_long[tried.root, tried.path] = answer is True
                    continue
                if beside is not None and not isinstance(task[0], Load):
                    beside.take(task, answer)
                    continue
                done += len(task)
                if failed is not None:
                    continue
                if isinstance(answer, Died):
                    draft.left_out += [_not_packed(job, Result.LOST, answer.how) for job in task]
                    continue
                assert isinstance(answer, Batch)
                try:
                    first = draft.append(answer.frames)
                except Unwritten as error:
                    failed = error
                    loads.stop()
                    continue
                for n, frame, line in answer.packed:
                    draft.add(n, line, first + frame)
                    draft.size += sizes[n]
                given = {job.n: job for job in task if isinstance(job, Load)}
                for result, those in ((Result.SKIPPED, answer.left_out), (Result.FAILED, answer.unread)):
                    draft.left_out += [_not_packed(given[n], result, reason) for n, reason in those]
                self._progress(sum(sizes[n] for n in given))
        if failed is not None:
            raise failed
        return done == len(sessions)

    def _tasks(self, sessions: Sequence[Chosen]) -> Iterator[list[Job]]:
        task: list[Job] = []
        size = 0
        for each in sessions:
            task.append(Load(each.n, self._line_of(each.n), self._level))
            size += each.size
            if size >= _TASK_BYTES or len(task) >= _TASK_SESSIONS:
                yield task
                task, size = [], 0
        if task:
            yield task

    def fill_large(self, draft: Draft, sessions: Iterable[Chosen]) -> bool:
        """Put sessions into the pack that are longer than `store.packing.LARGE`, and that `fill` was told of; else as that."""
        return all(self._fill_large(draft, each) for each in sessions)

    def _fill_large(self, draft: Draft, chosen: Chosen) -> bool:
        line = self._line_of(chosen.n)
        action = _decode(line)
        first = len(draft.writer.spans)
        self._crew.start()  # who is forked later would keep open what is read here, and its room with it
        try:
            session = wanted(self._roots, chosen.n, action, self._owned)
            members = self._read_large(draft, session)
        except Unwritten:
            raise
        except Skip as skip:
            draft.writer.cut(first)
            draft.left_out.append(outcome_of(chosen.n, action, Result.SKIPPED, str(skip)))
            return True
        except OSError as error:  # that it cannot be read is no reason to leave out the others
            draft.writer.cut(first)
            draft.left_out.append(outcome_of(chosen.n, action, Result.FAILED, describe(error)))
            return True
        except _Lost as lost:
            draft.writer.cut(first)
            draft.left_out.append(outcome_of(chosen.n, action, Result.LOST, str(lost)))
            return True
        if members is None:
            return False
        entry = Entry(
            id=session.id,
            members=members,
            account=session.account,
            why=session.why,
            packed=sum(span.packed for span in draft.writer.spans[first:]),
            folders=packing.describe_folders(session),
        )
        draft.add(chosen.n, manifest.encode_entry(entry), first)
        draft.size += chosen.size
        return True

    def _read_large(self, draft: Draft, session: Wanted) -> tuple[PackedMember, ...] | None:
        """The members of a session as its frames have them; ``None`` if somebody said stop."""
        described: list[PackedMember] = []
        for member in session.members:
            with looking.opened(self._roots, member) as (fd, folder, _):
                found = os.fstat(fd)
                looking.require_planned(found, os.fstat(folder), member.fingerprint)
                looking.require_quiet(fd)
                leases.drop_lease(fd)  # nobody is to wait for as long as this takes
                size = found.st_size
                long = self._pays_long.pop((member.root, member.path), False)
                step = frames.LONG_FRAME if long else packing.LARGE
                described_as = packing.describe_member(member, found, "")
                digest = hashlib.sha256()
                ranges = _ranges(fd, member, described_as, step, self._level, digest.update)
                done = 0
                # Closed at once where it ends early: the same workers are asked for the next session, or for half a pack.
                with closing(self._crew.run(ranges)) as answers:
                    for (job,), answer in answers:
                        assert isinstance(job, Range)
                        if isinstance(answer, Died):
                            raise _Lost(answer.how)
                        assert isinstance(answer, Frames)
                        if answer.refused is not None:
                            raise Skip(answer.refused)
                        draft.append(answer.frames)
                        done = job.stop
                        self._progress(job.stop - job.start)
                if done < size:
                    return None
                if not opening.fingerprint(os.fstat(fd)).same_condition(member.fingerprint):
                    raise Skip("changed while it was read")
                described.append(packing.describe_member(member, found, digest.hexdigest()))
        return tuple(described)

    def _trials(self, sessions: Iterable[Chosen]) -> Iterator[list[Job]]:
        for each in sessions:
            for member in _decode(self._line_of(each.n)).members:
                size = member.fingerprint.size
                if size >= packing.LARGE:
                    yield [Trial(member, min(size, TRIAL), self._level)]


class _Stoppable:
    """Tasks that end early when somebody says so."""

    def __init__(self, tasks: Iterator[list[Job]]) -> None:
        self._tasks = tasks
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True

    def __iter__(self) -> Iterator[list[Job]]:
        return self

    def __next__(self) -> list[Job]:
        if self._stopped:
            raise StopIteration
        return next(self._tasks)


def _mixed(loads: Iterable[list[Job]], beside: Beside | None) -> Iterator[list[Job]]:
    """Some tasks of one kind upon each of the other; what can be done of them at the end."""
    for load in loads:
        yield load
        if beside is not None:
            yield from islice(beside.tasks(), _BESIDE)
    if beside is not None:
        yield from beside.tasks()


def _ranges(
    fd: int,
    member: Member,
    described: PackedMember,
    step: int,
    level: int,
    note: Callable[[bytes], None],
) -> Iterator[list[Job]]:
    """A file in ranges, each of which is read here too, and noted, when it is handed out."""
    size = member.fingerprint.size
    for start in range(0, max(size, 1), step):
        stop = min(start + step, size)
        for block in packing.blocks(fd, start, stop):
            note(block)
        yield [Range(member, described if start == 0 else None, start, stop, level, step > packing.LARGE)]


class _Lost(Exception):
    """A worker died over a range."""


def _not_packed(job: Job, result: Result, why: str) -> Outcome:
    assert isinstance(job, Load)
    return outcome_of(job.n, _decode(job.line), result, why)
