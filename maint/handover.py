"""From a filled pack to originals that are gone: it is finished, read back and named, and only then they go.

A step is a task for the workers, so that all this is done beside the filling of the next pack: one waits for the disk
and the other for processors.
No step is begun before the one before it is done: make it durable; read it back over the workers and compare every
digest; give it its name; write that down; let go of the originals, each looked at again; mark what had changed
meanwhile.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial

import msgspec

from maint.actions import Action, Outcome, Packing, Result, outcome_of
from maint.desk import Desk
from maint.filling import Draft
from maint.loading import Check, Done, Index, Job, Leave, Left, Older
from maint.marking import unmarked
from maint.reaching import describe
from maint.sealing import Sealing
from maint.settling_packs import end_rest
from maint.workers import Died
from store import looking, marks, opening
from store.archived import Archived
from store.facts import Place
from store.layout import layout_of
from store.marks import Mark, Why

_LEAVE = 250  # originals a task

_decode = msgspec.json.Decoder(Action).decode


class Handover:
    """What is done for one pack after it was filled.

    ``line_of`` gives the action of each session that was packed, by its place in the plan, and ``at_once`` says
    whether the room of originals is wanted at once.
    """

    def __init__(
        self,
        desk: Desk,
        place: Place,
        label: str,
        draft: Draft,
        how: Packing,
        line_of: Callable[[int], bytes],
        at_once: Callable[[], bool],
    ) -> None:
        self._desk = desk
        self._place = place
        self._label = label
        self._draft = draft
        self._how = how
        self._line_of = line_of
        self._at_once = at_once
        self._sealing = Sealing(desk, place, label, draft, how.level)
        self._outcomes: list[Outcome] = []
        self._steps = self._each_step()
        self.packed = draft.packed
        self.is_sealed = False
        self.failure: OSError | None = None
        """Why it got no name, if it did not: nothing is left of it then, and every original is where it was."""

    def tasks(self) -> Iterator[list[Job]]:
        """What can be done now; more of it once every answer was taken."""
        return iter(partial(next, self._steps, None), None)

    def take(self, task: list[Job], answer: Done | Died) -> None:
        """What came of a task."""
        if isinstance(task[0], Check):
            try:
                self._sealing.take(task, answer)
            except OSError as error:
                self.failure = self.failure or error  # what follows upon the first one says less
            return
        match answer:
            case Older(copies):
                self._mark_older(copies)
            case Left(outcomes):
                self._take_left({job.n: job for job in task if isinstance(job, Leave)}, outcomes)
            case Died(how):
                # Without an answer about the catalogue, whoever opens it next brings it up to date.
                self._outcomes += [
                    outcome_of(job.n, _decode(job.line), Result.LOST, how)
                    for job in task
                    if isinstance(job, Leave)
                ]
            case _:
                raise TypeError(f"no answer to leaving: {type(answer).__name__}")

    def left(self) -> list[Outcome]:
        """What became of originals since this was asked the last time."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def drop(self) -> None:
        """Leave nothing of a pack that has no name yet."""
        self._steps.close()
        self._draft.writer.drop()

    def _each_step(self) -> Generator[list[Job] | None]:
        """Tasks, and ``None`` where the answers to those before must be taken first."""
        pack = self._draft.writer.name
        try:
            with closing(self._sealing.tasks()) as tasks:
                for task in tasks:
                    yield task
                    if self.failure is not None:
                        break
            while not self._sealing.is_read_back and self.failure is None:
                yield None
            if self.failure is None:
                sealed = self._sealing.name()
        except OSError as error:
            self.failure = error
        if self.failure is not None:
            self._draft.writer.drop()
            return
        self.is_sealed = True
        self._draft.lines.clear()
        self._desk.sealed(sealed)
        yield [Index(self._label, pack)]
        for start in range(0, len(self.packed), _LEAVE):
            at_once = self._at_once()
            yield [
                Leave(n, self._line_of(n), self._how.originals, pack, at_once)
                for n in self.packed[start : start + _LEAVE]
            ]

    def _take_left(self, jobs: dict[int, Leave], outcomes: list[Outcome]) -> None:
        """Take in what became of originals; of what goes on in the store, no copy counts.

        One that is gone was removed by a worker that died before it could say so, or by its owner; and where another
        file has its name, only a later pack can tell whether that is the same recording. Both copies count.
        """
        stale: list[Mark] = []
        for each in outcomes:
            if each.result is not Result.SKIPPED:
                self._outcomes.append(each)
            elif not (found := self._found(jobs[each.n])):
                self._outcomes.append(self._gone_already(each, jobs[each.n]))
            else:
                if all(found):
                    mark = Mark(session=each.session, why=Why.STALE, run=self._desk.run, at=self._desk.now)
                    stale.append(mark)
                self._outcomes.append(each)
        self._mark(self._label, self._draft.writer.name, stale)

    def _gone_already(self, outcome: Outcome, job: Leave) -> Outcome:
        """What to say of a session of which nothing is in its place; what a worker that died left of it aside ends."""
        pack = self._draft.writer.name
        try:
            owned = layout_of(self._place.kind).owns_folder
            end_rest(self._desk.roots, owned, _decode(job.line), self._desk.run)
        except OSError as error:
            return msgspec.structs.replace(outcome, result=Result.FAILED, detail=describe(error))
        text = "its original was gone already"
        return msgspec.structs.replace(outcome, result=Result.DONE, detail=text, pack=pack)

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
