"""Archiving sessions as files by themselves, each beside its place: the other form of the archive.

A task of a worker has many sessions, and its order never changes, as `maint.archiving` has it for a pack: all are
written, and one sync makes them durable; each is read back, compared, and gets its name; the names are made durable;
and only then is each original looked at again and let go.
"""

import errno
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

import msgspec

from maint.actions import Action, Outcome, Packing, Result, outcome_of
from maint.desk import Desk
from maint.filling import Chosen
from maint.journal import SealedLine
from maint.planned import PlannedStore
from maint.reaching import Held, describe, open_roots
from maint.version import VERSION
from maint.workers import Crew, Died
from store import change, durable, filing, looking, names, opening
from store.change import Skip, Stranded, remove_empty_folders
from store.durable import Poisoned
from store.facts import Place
from store.filing import Prepared, Standing
from store.looking import Gone
from store.packing import Wanted
from store.roots import RootFds
from store.single import Making

_TASK_BYTES, _TASK_SESSIONS = 16 << 20, 250
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

_Numbered = tuple[int, bytes]
_Originals = Literal["remove", "trash", "keep"]
_decode = msgspec.json.Decoder(Action).decode


class Made(NamedTuple):
    """What became of a task: its outcomes, and how many files were made, of how many bytes, and how long they are."""

    outcomes: list[Outcome]
    sessions: int
    bytes: int
    packed: int


class Filer:
    """What makes sessions of one run files by themselves; a worker opens the roots when it first needs them."""

    def __init__(self, place: Place, held: Held, making: Making, originals: _Originals) -> None:
        self._place = place
        self._held = held
        self._making = making
        self._originals = originals
        self._work: _Filing | None = None

    def close(self) -> None:
        if self._work is not None:
            self._work.roots.close()
            self._work = None

    def __call__(self, work: list[_Numbered]) -> Made:
        """Archive sessions, given by their places in the plan and their actions as JSON."""
        if self._work is None:
            self._work = _Filing(open_roots(self._place, self._held), self._making, self._originals)
        return self._work.do(work)


class _Filing:
    """The work itself, in a store whose roots are open."""

    def __init__(self, roots: RootFds, making: Making, originals: _Originals) -> None:
        self.roots = roots
        self._making = making
        self._originals = originals

    def do(self, work: list[_Numbered]) -> Made:
        outcomes: list[Outcome] = []
        again: list[_Numbered] = []
        ready: list[tuple[Action, Prepared]] = []
        for n, line in work:
            action = _decode(line)
            try:
                ready.append((action, self._prepare(n, action)))
            except Poisoned as error:  # that there is no room is told too late then
                outcomes.append(_refused(n, action, error))
            except OSError as error:
                if error.errno in _NO_ROOM and len(work) > 1:
                    again.append((n, line))
                else:
                    outcomes.append(_refused(n, action, error))
            except Skip as skip:
                outcomes.append(_refused(n, action, skip))
        made = self._seal_and_leave(ready)
        outcomes += made.outcomes
        sessions, size, packed = made[1:]
        for each in again:  # those that went have made room
            one = self.do([each])
            outcomes += one.outcomes
            sessions, size, packed = sessions + one.sessions, size + one.bytes, packed + one.packed
        return Made(outcomes, sessions, size, packed)

    def _prepare(self, n: int, action: Action) -> Prepared:
        return filing.prepare(self.roots, _wanted(n, action), self._making, renew=self._originals == "keep")

    def finish(self, n: int, action: Action) -> Outcome | None:
        """Let an original go whose file a killed attempt of this run has sealed; ``None`` if there is none."""
        prepared = filing.left_by(self.roots, _wanted(n, action), self._making.run)
        if prepared is None:
            return None
        (outcome,) = self._seal_and_leave([(action, prepared)]).outcomes
        return outcome

    def _seal_and_leave(self, ready: list[tuple[Action, Prepared]]) -> Made:
        outcomes: list[Outcome] = []
        sealed: list[tuple[Action, Prepared]] = []
        sessions = size = packed = 0
        if not ready:
            return Made(outcomes, 0, 0, 0)
        try:
            durable.sync_file_system(self.roots[self.roots.first], names.TMP)
        except OSError as error:
            for action, prepared in ready:
                filing.drop(self.roots, prepared)
                outcomes.append(_refused(prepared.n, action, error))
            return Made(outcomes, 0, 0, 0)
        for action, prepared in ready:
            try:
                length = filing.seal(self.roots, prepared)
            except (Skip, OSError) as error:
                outcomes.append(_refused(prepared.n, action, error))
                continue
            sealed.append((action, prepared))
            if prepared.is_new:
                sessions, size, packed = sessions + 1, size + action.bytes, packed + length
        try:
            filing.sync_names(self.roots, [prepared for _, prepared in sealed])
        except OSError as error:
            for action, prepared in sealed:
                self._withdraw(prepared)
                outcomes.append(_refused(prepared.n, action, error))
            return Made(outcomes, 0, 0, 0)
        outcomes += [self._leave(action, prepared) for action, prepared in sealed]
        return Made(outcomes, sessions, size, packed)

    def _leave(self, action: Action, prepared: Prepared) -> Outcome:
        """What becomes of an original whose file is sealed, and of the file where the original has changed."""
        run, n = self._making.run, prepared.n
        now = f"it is {names.printable(prepared.path.rpartition('/')[2])} now"
        freed = 0
        try:
            if self._originals == "trash":
                change.move_to_trash(self.roots, action.members, run)
            elif self._originals == "remove":
                freed = change.let_go(self.roots, action.members, run)
        except Gone:
            if prepared.standing is not Standing.LEFT:
                return outcome_of(n, action, Result.SKIPPED, f"is gone; {now}")
            # A worker died when it had let go of it.
            freed = action.bytes if self._originals == "remove" else 0
        except Skip as skip:
            self._withdraw(prepared)
            return outcome_of(n, action, Result.SKIPPED, str(skip))
        except OSError as error:
            return _refused(n, action, error)
        return outcome_of(n, action, Result.DONE, now, freed=freed)

    def _withdraw(self, prepared: Prepared) -> None:
        """Move a file to the trash whose original stays after all, if it was made by this run."""
        if prepared.standing is Standing.NEW:
            with suppress(Skip, OSError):  # then the next run finds both
                member = filing.look(self.roots, prepared)
                if member is not None:
                    change.move_to_trash(self.roots, (member,), self._making.run)


def filed(
    desk: Desk, planned: PlannedStore, how: Packing, sessions: Sequence[Chosen]
) -> Iterator[list[Outcome]]:
    """Make some sessions files by themselves, by their places in the plan."""
    making = Making(
        run=desk.run,
        at=desk.at,
        store=desk.place.name,
        kind=desk.place.kind,
        policy_sha256=desk.policy_sha256,
        level=how.level,
        maint=VERSION,
    )
    filer = Filer(desk.place, desk.roots.stats, making, how.originals)
    crew: Crew[_Numbered, Made] = Crew(desk.jobs if len(sessions) > 1 else 1, filer, desk.stop)
    try:
        for task, answer in crew.run(_tasks(planned, sessions)):
            if isinstance(answer, Died):
                yield [outcome_of(n, _decode(line), Result.LOST, answer.how) for n, line in task]
                continue
            if answer.sessions:
                desk.sealed(
                    SealedLine(
                        pack="",
                        path=desk.place.path,
                        sessions=answer.sessions,
                        bytes=answer.bytes,
                        packed=answer.packed,
                    )
                )
            desk.read(sum(outcome.bytes for outcome in answer.outcomes))
            yield answer.outcomes
    finally:
        filer.close()
        remove_empty_folders(desk.roots, desk.run)


def settled(roots: RootFds, run: str, n: int, action: Action) -> Outcome | None:
    """What became of an action of a run that was killed; ``None`` if the session has its place, as it had before.

    Of one whose original had begun to go, it does: its file was sealed before that. Else nothing is left.
    """
    assert action.packing is not None
    if len(action.members) != 1:
        return None
    (member,) = action.members
    if looking.stat_below(roots[member.root], member.path) is not None:
        filing.clear(roots, member, run, n)
        return None
    making = Making(run=run, at="", store="", kind="", policy_sha256="", level=action.packing.level, maint="")
    outcome = _Filing(roots, making, action.packing.originals).finish(n, action)
    if outcome is not None and outcome.result is Result.DONE:
        return outcome
    trashed = looking.stat_below(
        roots[roots.home(member.root)], names.trash_path(run, member.root, member.path)
    )
    if trashed is not None and opening.fingerprint(trashed).same_content(member.fingerprint):
        try:
            change.put_back(roots, run, member.root, member.path)
        except (Skip, OSError) as error:
            return outcome_of(n, action, Result.FAILED, f"{member.path} could not be put back: {error}")
    return outcome


def _tasks(planned: PlannedStore, sessions: Sequence[Chosen]) -> Iterator[list[_Numbered]]:
    task: list[_Numbered] = []
    size = 0
    for each in sessions:
        if task and (size + each.size > _TASK_BYTES or len(task) >= _TASK_SESSIONS):
            yield task
            task, size = [], 0
        task.append((each.n, planned.line(each.n)))
        size += each.size
    if task:
        yield task


def _wanted(n: int, action: Action) -> Wanted:
    assert action.account is not None
    return Wanted(n, action.session, action.members, action.account, action.pass_)


def _refused(n: int, action: Action, error: Skip | OSError) -> Outcome:
    match error:
        case Skip():
            return outcome_of(n, action, Result.SKIPPED, str(error))
        case Poisoned():
            why = f"the disk could not be made to keep its file ({error.strerror}); the session stays"
            return outcome_of(n, action, Result.FAILED, why)
        case Stranded():
            return outcome_of(n, action, Result.FAILED, error.strerror or str(error))
        case _:
            return outcome_of(n, action, Result.FAILED, describe(error))
