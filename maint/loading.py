"""What workers do for the archive: read sessions into frames, read frames back, and let go of what is in a sealed pack.

Nothing of a pack is written here: frames go back to the leader, who alone puts them into the file, so that no pack is
in pieces, however many workers there are.
"""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import msgspec

from maint.actions import PAYLOAD, Action, Outcome, Result, outcome_of
from maint.reaching import Held, Reaching, describe
from store import change, frames, manifest, packing, packs, single, tarring
from store.archived import Archived
from store.barriers import side_by_side
from store.catalogue import Catalogue
from store.change import Skip, Stranded
from store.durable import Poisoned
from store.emptied import Owned, folders_of
from store.facts import Member, Place
from store.frames import Damaged, Span
from store.layout import layout_of
from store.manifest import Entry, PackedMember
from store.packing import Batch, RawFrame, Wanted
from store.packs import PackReader, Verdict
from store.roots import RootFds

_CLOSERS = 4
"""Files that are closed for good at once: that waits for the disk, not for a processor."""

_ENDED, _BATCHES = 250, 2
"""Files that are closed together, as far as a process may have so many open, and how many times that many wait for it."""

TRIAL = frames.LONG_FRAME
"""Bytes of a large session that are packed both ways to see which one pays: fewer would not show what repeats."""


class Load(msgspec.Struct, frozen=True, gc=False):
    """A session to be packed as a whole: its place in the plan, and its action as JSON."""

    n: int
    line: bytes
    level: int


class Range(NamedTuple):
    """A piece of a file that is too large to be read as a whole; the last one brings the padding."""

    member: Member
    described: PackedMember | None
    start: int
    stop: int
    level: int
    long: bool


class Trial(NamedTuple):
    """The beginning of a large file, to see whether long-distance matching pays."""

    member: Member
    stop: int
    level: int


class Check(NamedTuple):
    """Sessions of a pack that are to be read back, by their lines in its manifest, and the frames they are in."""

    label: str
    name: str
    first: str
    offset: int
    spans: list[Span]
    digests: list[bytes]
    lines: list[bytes]


class CheckFile(NamedTuple):
    """A session that is a file by itself, and is to be read back: its path below the first root."""

    path: str


class Leave(msgspec.Struct, frozen=True, gc=False):
    """A session whose pack is sealed, and what is to become of the original: remove it, trash it or keep it.

    With ``at_once`` its room is free when the job is done.
    """

    n: int
    line: bytes
    originals: str
    pack: str
    at_once: bool = False


class Index(NamedTuple):
    """A pack that was just sealed, and is to be in the catalogue."""

    label: str
    pack: str


class Frames(NamedTuple):
    """What became of a range: its frames, or why it could not be read."""

    frames: list[RawFrame]
    refused: str | None = None


class Left(NamedTuple):
    """What became of originals."""

    outcomes: list[Outcome]


class Older(NamedTuple):
    """Copies of sessions in older packs that a new pack supersedes."""

    copies: list[Archived]


Job = Load | Range | Trial | Check | CheckFile | Index | Leave
Done = Batch | Frames | bool | Verdict | Older | Left

_decode = msgspec.json.Decoder(Action).decode


class Loader(Reaching):
    """What does the jobs of one run on one store."""

    def __init__(self, place: Place, run: str, held: Held | None = None) -> None:
        super().__init__(place, run, held)
        self._closers: ThreadPoolExecutor | None = None
        self._closing: deque[Future[None]] = deque()

    @property
    def _owned(self) -> Owned:
        """Which folders the program makes for one session alone; a pack by itself, which is only read, has no program."""
        return layout_of(self._place.kind).owns_folder

    def close(self) -> None:
        self._await_closers()
        if self._closers is not None:
            self._closers.shutdown()
            self._closers = None
        super().close()

    def __call__(self, jobs: list[Job]) -> Done:
        """Do jobs, all of one kind; ranges, trials and checks come one by one."""
        match jobs:
            case [Load(), *_]:
                return self._load([job for job in jobs if isinstance(job, Load)])
            case [Range() as job]:
                return self._range(job)
            case [Trial() as job]:
                return self._try(job)
            case [Check() as job]:
                return self._check(job)
            case [CheckFile() as job]:
                return self._check_file(job)
            case [Index() as job]:
                return self._index(job)
            case _:
                return self._leave_all([job for job in jobs if isinstance(job, Leave)])

    def _load(self, jobs: list[Load]) -> Batch:
        sessions = [wanted(self.roots, job.n, _decode(job.line), self._owned) for job in jobs]
        return packing.pack(self.roots, sessions, jobs[0].level)

    def _range(self, job: Range) -> Frames:
        try:
            data = packing.read_range(self.roots, job.member, job.start, job.stop)
        except Skip as skip:
            return Frames([], str(skip))
        except OSError as error:
            return Frames([], describe(error))
        size = job.member.fingerprint.size
        head = job.described.header(self.roots.first) if job.described is not None else b""
        tail = tarring.padding(size) if job.stop == size else b""
        content = b"".join((head, data, tail)) if head or tail else data
        if job.long:
            return Frames([packing.raw_frame(content, job.level, long=True)])
        return Frames(packing.plain_frames(content, job.level))

    def _try(self, job: Trial) -> bool:
        try:
            data = packing.read_range(self.roots, job.member, 0, job.stop)
        except (Skip, OSError):
            return False  # the reading itself will say what is wrong
        plain = sum(len(frame) for frame, _, _ in packing.plain_frames(data, job.level))
        return packing.repeats_itself(data, job.level, plain)

    def _check(self, job: Check) -> Verdict:
        spans = [Span(0, 0, 0)] * job.offset + job.spans
        digests = [b""] * job.offset + job.digests
        with PackReader.open(self.roots[job.label], job.name, spans, digests, job.first) as pack:
            return packs.verify(pack, job.lines)

    def _check_file(self, job: CheckFile) -> Verdict:
        try:
            with single.open_single(self.roots, self.roots.first, job.path) as file:
                return packs.verify(file, [manifest.encode_entry(file.entry)])
        except Damaged as reason:
            return Verdict(0, 0, ((job.path, str(reason)),))

    def _index(self, job: Index) -> Older:
        """Bring the catalogue up to date; what a new pack supersedes."""
        with Catalogue.open(self._place, self.roots) as catalogue:
            older = catalogue.superseded_by(job.label, job.pack)
            return Older([each for each in older if _is_all_in(catalogue, job, each)])

    def _leave_all(self, jobs: list[Leave]) -> Left:
        at_once = any(job.at_once for job in jobs)
        most = side_by_side(_ENDED, _BATCHES + 1)
        ended: list[int] = []
        outcomes: list[Outcome] = []
        self._await_closers(0 if at_once else (_BATCHES - 1) * _CLOSERS)
        try:
            for job in jobs:
                outcomes.append(self._leave(job, ended))
                if len(ended) >= most:
                    self._close(ended)
                    ended = []
        finally:
            self._close(ended)
            if at_once:
                self._await_closers()
        return Left(outcomes)

    def _close(self, ended: list[int]) -> None:
        """Have files closed while the next ones are left, and the next job is done."""
        if self._closers is None:
            self._closers = ThreadPoolExecutor(_CLOSERS)
        step = -(-len(ended) // _CLOSERS) or 1
        self._await_closers((_BATCHES - 1) * _CLOSERS)
        self._closing += [
            self._closers.submit(_close_all, ended[at : at + step]) for at in range(0, len(ended), step)
        ]

    def _await_closers(self, latest: int = 0) -> None:
        """Wait for what was to be closed, but for the latest of it, so that there are never too many open files."""
        while len(self._closing) > latest:
            self._closing.popleft().result()

    def _leave(self, job: Leave, ended: list[int]) -> Outcome:
        action = _decode(job.line)
        try:
            freed = trashed = 0
            # Of a payload the folders stay: they are those of a session that is still there.
            whole = action.packing is None or action.packing.part == "whole"
            owned = self._owned if whole else None
            if job.originals == "trash":
                trashed = change.move_to_trash(
                    self.roots, action.members, self._run, owned=owned, packed=True
                )
            elif job.originals == "remove":
                freed = change.let_go(self.roots, action.members, self._run, ended, owned=owned)
                trashed = action.bytes - freed
        except Skip as skip:
            return outcome_of(job.n, action, Result.SKIPPED, str(skip))
        except Poisoned as error:
            return outcome_of(job.n, action, Result.FAILED, error.strerror or "")
        except Stranded as error:
            return outcome_of(job.n, action, Result.FAILED, error.strerror or str(error))
        except OSError as error:
            return outcome_of(job.n, action, Result.FAILED, describe(error))
        return outcome_of(job.n, action, Result.DONE, pack=job.pack, freed=freed, trashed=trashed)


def _is_all_in(catalogue: Catalogue, job: Index, older: Archived) -> bool:
    """Whether a new pack has all that an older copy of a session has.

    An earlier state may have come back into the store, as out of a backup of its disk. Its program may have begun some
    of many files anew since the old ones were archived, or removed them. A payload is always begun anew, because it
    was archived to be rid of it, so that only an equal one makes the older one superfluous.
    """
    old = older.entry
    is_payload = old.id.endswith(PAYLOAD)
    new = [
        each.entry for each in catalogue.copies(old.id) if (each.label, each.pack) == (job.label, job.pack)
    ]
    if len(old.members) == 1 and not is_payload:
        return any(_is_later_state(entry, old) for entry in new)
    there = {(member.root, member.path): member for entry in new for member in entry.members}
    for member in old.members:
        now = there.get((member.root, member.path))
        if now is None or (now.sha256 != member.sha256 and (is_payload or now.size < member.size)):
            return False
    return True


def _is_later_state(new: Entry, old: Entry) -> bool:
    """Whether one copy of a session of one file is of the same bytes as another one, or of what became of it."""
    if [each.sha256 for each in new.members] == [each.sha256 for each in old.members]:
        return True
    if new.last_changed < old.last_changed:
        return False
    told, knew = new.account.records, old.account.records
    return told >= knew if told is not None and knew is not None else new.size >= old.size


def _close_all(fds: list[int]) -> None:
    """Close files, those whose numbers follow upon each other with one call."""
    runs: list[range] = []
    for fd in sorted(fds):
        if runs and runs[-1].stop == fd:
            runs[-1] = range(runs[-1].start, fd + 1)
        else:
            runs.append(range(fd, fd + 1))
    for run in runs:
        os.closerange(run.start, run.stop)


def wanted(roots: RootFds, n: int, action: Action, owned: Owned) -> Wanted:
    """The session of an action as `store.packing` takes it."""
    assert action.account is not None
    folders: tuple[tuple[str, str, int], ...] = ()
    if any("/" in member.path for member in action.members):
        # A root that is not there is told when its files are to be read.
        known = [member for member in action.members if member.root in roots.labels]
        folders = folders_of(roots, known, owned)
    return Wanted(n, action.session, action.members, action.account, action.pass_, folders)
