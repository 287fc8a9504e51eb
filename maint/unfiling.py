"""Bringing sessions back that are files by themselves, each to its place beside.

As from packs: all of a task are written, one sync makes them durable, and only then do they get their names.
The files stay; only where their making is taken back do they go to the trash, and that last.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from maint.actions import Action, Outcome, Result, outcome_of
from maint.desk import Desk
from maint.planned import PlannedStore
from maint.reaching import Reaching, describe
from maint.workers import Crew, Died
from store import change, durable, looking, names, opening, packing, single, unpacking
from store.change import Skip
from store.durable import Poisoned
from store.facts import Member
from store.frames import Damaged
from store.manifest import Entry
from store.roots import RootFds
from store.unpacking import Written

_TASK_BYTES, _TASK_SESSIONS = 32 << 20, 500

_Numbered = tuple[int, bytes]
_decode = msgspec.json.Decoder(Action).decode


class _Ready(NamedTuple):
    """A session whose bytes are there, and wait for their name; ``written`` is empty if they have it already.

    ``file`` is what they were read from, or ``None`` if that has gone to the trash already.
    """

    n: int
    action: Action
    written: list[Written]
    file: Member | None


class Unfiler(Reaching):
    """What brings such sessions of one run back."""

    def __call__(self, work: list[_Numbered]) -> list[Outcome]:
        """Bring back sessions, given by their places in the plan and their actions as JSON; an outcome each."""
        outcomes: list[Outcome] = []
        ready: list[_Ready] = []
        for n, line in work:
            action = _decode(line)
            try:
                ready.append(self._write(n, action))
            except (Skip, Damaged, OSError) as error:
                outcomes.append(_refused(n, action, error))
        if not ready:
            return outcomes
        try:
            self._sync()
        except OSError as error:
            for each in ready:
                unpacking.drop(self.roots, each.written)
            return outcomes + [_refused(each.n, each.action, error) for each in ready]
        placed: list[_Ready] = []
        for each in ready:
            try:
                unpacking.settle(self.roots, each.written)
            except (Skip, OSError) as error:
                outcomes.append(_refused(each.n, each.action, error))
            else:
                placed.append(each)
        return outcomes + self._end(placed)

    def _write(self, n: int, action: Action) -> _Ready:
        """Write the session under a name of our own, unless it has its place."""
        roots, path = self.roots, action.pack or ""
        try:
            reader = single.open_single(roots, roots.first, path)
        except FileNotFoundError:
            if action.mark is not None and self._is_in_trash(path):  # a killed attempt has done it
                return _Ready(n, action, [], None)
            raise Skip(f"there is no {names.printable(path)} now") from None
        with reader:
            file = Member(roots.first, path, opening.fingerprint(os.fstat(reader.fd)))
            if unpacking.is_there(roots, reader.entry):
                if action.mark is None or not _is_same(roots, reader.entry):
                    raise Skip("another file has its place now")
                return _Ready(n, action, [], file)
            self._make_room(reader.entry, n)
            return _Ready(n, action, unpacking.write(reader, reader.entry, roots, self._run, n), file)

    def _make_room(self, entry: Entry, n: int) -> None:
        """Remove what a worker that died over this action has left."""
        home = self.roots.home(entry.members[0].root)
        with (
            suppress(OSError),
            opening.parent_of(self.roots[home], names.tmp_path(self._run, n)) as (
                folder,
                name,
            ),
        ):
            os.unlink(name, dir_fd=folder)

    def _end(self, placed: list[_Ready]) -> list[Outcome]:
        """Move the files to the trash whose making is taken back, once their sessions are sure to stay."""
        if any(each.action.mark is not None for each in placed):
            try:
                self._sync()
            except OSError as error:
                return [_refused(each.n, each.action, error) for each in placed]
        return [self._taken_back(each) for each in placed]

    def _taken_back(self, ready: _Ready) -> Outcome:
        """What became of a session that is back, once its file is in the trash, if that is wanted."""
        result, told = Result.DONE, ""
        if ready.action.mark is not None and ready.file is not None:
            stays = f"{names.printable(ready.file.path)} stays beside it"
            try:
                change.move_to_trash(self.roots, (ready.file,), self._run)
            except Skip as skip:
                told = f"{stays}: {skip}"
            except OSError as error:
                result, told = Result.FAILED, f"it is back, but {stays}: {describe(error)}"
        return outcome_of(ready.n, ready.action, result, told)

    def _is_in_trash(self, path: str) -> bool:
        roots = self.roots
        trash = names.trash_path(self._run, roots.first, path)
        return looking.stat_below(roots[roots.home(roots.first)], trash) is not None

    def _sync(self) -> None:
        durable.sync_file_system(self.roots[self.roots.first], self._place.path)


def unfiled(desk: Desk, planned: PlannedStore, wanted: Sequence[int]) -> Iterator[list[Outcome]]:
    """Bring back the sessions of some actions, by their places in the plan."""
    unfiler = Unfiler(desk.place, desk.run, desk.roots.stats)
    crew: Crew[_Numbered, list[Outcome]] = Crew(desk.jobs if len(wanted) > 1 else 1, unfiler, desk.stop)
    try:
        for task, answer in crew.run(_tasks(planned, wanted)):
            if isinstance(answer, Died):
                outcomes = [outcome_of(n, _decode(line), Result.LOST, answer.how) for n, line in task]
            else:
                outcomes = answer
            desk.read(sum(outcome.bytes for outcome in outcomes))
            yield outcomes
    finally:
        unfiler.close()


def _tasks(planned: PlannedStore, wanted: Sequence[int]) -> Iterator[list[_Numbered]]:
    task: list[_Numbered] = []
    size = 0
    for n in wanted:
        line = planned.line(n)
        task.append((n, line))
        size += _decode(line).bytes
        if size >= _TASK_BYTES or len(task) >= _TASK_SESSIONS:
            yield task
            task, size = [], 0
    if task:
        yield task


def _is_same(roots: RootFds, entry: Entry) -> bool:
    """Whether what has the place of a session is that session."""
    (member,) = entry.members
    digest = hashlib.sha256()
    try:
        fd = opening.open_below(roots[member.root], member.path)
    except OSError:
        return False
    try:
        if os.fstat(fd).st_size != member.size:
            return False
        for block in packing.blocks(fd, 0, member.size):
            digest.update(block)
    except (Skip, OSError):
        return False
    finally:
        os.close(fd)
    return digest.hexdigest() == member.sha256


def _refused(n: int, action: Action, error: Skip | Damaged | OSError) -> Outcome:
    match error:
        case Skip():
            return outcome_of(n, action, Result.SKIPPED, str(error))
        case Damaged():
            why = f"{names.printable(action.pack or '')} is damaged: {error}"
            return outcome_of(n, action, Result.FAILED, why)
        case Poisoned():
            return outcome_of(n, action, Result.FAILED, f"the disk did not take it ({error.strerror})")
        case _:
            return outcome_of(n, action, Result.FAILED, describe(error))
