"""Carrying out actions: the only place where a plan meets the disk.

Each verb is one of the changes of `store.change`, which look again before they act; what they refuse becomes a
``skipped``, what fails a ``failed``, and the next action goes on.
Whoever asks again for an action that an earlier, killed attempt of the same run has done is told that it is done.
"""

import os
import time
from functools import partial
from typing import assert_never

import msgspec

from maint import laps
from maint.actions import Action, Outcome, Result, Verb, outcome_of
from maint.indexing import reindex
from maint.reaching import Held, Reaching, describe
from maint.workers import how_it_failed
from store import change, locks, looking, names, opening
from store.barriers import Steps, alone, side_by_side, together
from store.change import Skip, Stranded
from store.durable import Poisoned
from store.facts import Fingerprint, Member, Place
from store.layout import Unmendable, layout_of
from store.reverting import revert

LONG_IDLE = 86_400.0
"""Seconds of silence that make up for a system that cannot tell writers."""

TOGETHER = 64
"""Actions that wait for the disk together: who opens one of their sessions for writing waits as long."""

_DESCRIPTORS = 6  # that a rewrite holds open: both files, and their folders

_decode = msgspec.json.Decoder(Action).decode


class Hands(Reaching):
    """What carries out the actions of one run on one store."""

    def __init__(self, place: Place, run: str, held: Held | None = None) -> None:
        super().__init__(place, run, held)
        self._layout = layout_of(place.kind)

    def __call__(self, work: list[tuple[int, bytes]]) -> list[Outcome]:
        """Carry out actions, given by their place in the plan and as JSON; an outcome each.

        Those that wait for the disk wait together. What one of them raises is told of it alone, after it was tried
        once more by itself, as it would be if a worker had died over it.
        """
        outcomes: list[Outcome] = []
        size = side_by_side(TOGETHER, _DESCRIPTORS)
        for start in range(0, len(work), size):
            some = [(n, _decode(line)) for n, line in work[start : start + size]]
            changes = [laps.changing(each.pass_, self._contained(n, each)) for n, each in some]
            among_others = laps.waiting(partial(together, changes))
            outcomes += [
                self._once_more(n, each, outcome) if outcome.result is Result.LOST else outcome
                for (n, each), outcome in zip(some, among_others, strict=True)
            ]
        return self.made_durable(outcomes)

    def made_durable(self, outcomes: list[Outcome]) -> list[Outcome]:
        """The outcomes of some actions when folders that they emptied are gone, for which what was moved must be durable.

        Where the disk cannot be made to keep that, nothing counts as done, and the folders stay.
        """
        try:
            if self._roots is not None:
                self._roots.moves.remove_emptied()
        except Poisoned as error:
            text = f"the disk could not be made to keep it ({error.strerror})"
            return [_failed_too(outcome, text) for outcome in outcomes]
        return outcomes

    def carry_out(self, n: int, action: Action, touched: frozenset[str] = frozenset()) -> Outcome:
        """Do the action at place ``n``, whatever comes of it.

        ``touched`` are sessions to which this run did something, for a file that lists them.
        Whoever has carried out enough of them asks for what `made_durable` says.
        """
        return alone(laps.changing(action.pass_, self._carrying_out(n, action, touched)))

    def _contained(self, n: int, action: Action) -> Steps[Outcome]:
        """An action as one of many: memory that ends, or a defect of ours, loses it and leaves the others alone."""
        try:
            return (yield from self._carrying_out(n, action))
        except Exception as error:  # noqa: BLE001  anything: what it was is told
            text = f"{how_it_failed(error)}; what was begun of it is seen to by the next sweep"
            return outcome_of(n, action, Result.LOST, text)

    def _once_more(self, n: int, action: Action, lost: Outcome) -> Outcome:
        """What comes of an action by itself; or how it was lost, if that is what makes its session look changed."""
        again = alone(self._contained(n, action))
        return lost if again.result is Result.SKIPPED else again

    def _carrying_out(self, n: int, action: Action, touched: frozenset[str] = frozenset()) -> Steps[Outcome]:
        try:
            if action.index is not None:
                return self._reindex(n, action, touched)
            if action.verb is Verb.RECOVER:
                return (yield from self._recover(n, action))
            return self._act(n, action)
        except Skip as skip:
            return outcome_of(n, action, Result.SKIPPED, str(skip))
        except Unmendable as reason:
            return outcome_of(n, action, Result.SKIPPED, f"cannot be made whole: {reason}")
        except Poisoned as error:
            text = f"the disk could not be made to keep it ({error.strerror}); the old file stays"
            return outcome_of(n, action, Result.FAILED, text)
        except Stranded as error:
            return outcome_of(n, action, Result.FAILED, error.strerror or str(error))
        except OSError as error:
            return outcome_of(n, action, Result.FAILED, describe(error))
        except KeyError as root:
            return outcome_of(n, action, Result.FAILED, f"the root {root} of the store is not there")

    def _act(self, n: int, action: Action) -> Outcome:
        match action.verb:
            case Verb.DELETE_EMPTY | Verb.PRUNE | Verb.REMOVE_LITTER:
                left: list[str] = []
                owned = self._layout.owns_folder
                change.move_to_trash(self.roots, action.members, self._run, owned=owned, left=left)
                return outcome_of(n, action, Result.DONE, _left(left))
            case Verb.UNLOCK:
                return self._unlock(n, action)
            case Verb.EXPIRE_TRASH:
                for member in action.members:
                    change.expire(self.roots, member.path, member.fingerprint, home=member.root)
                return outcome_of(n, action, Result.DONE)
            case Verb.RESTORE:
                return self._restore(n, action)
            case Verb.RECOVER | Verb.ARCHIVE | Verb.COMPACT:
                raise ValueError(f"{action.verb} is not done singly")
            case _:
                assert_never(action.verb)

    def _unlock(self, n: int, action: Action) -> Outcome:
        """Remove a recorder's file while holding the lock that the recorder takes to change it.

        A lock that is gone was removed by its recorder, or by an earlier attempt: the look of the removal tells.
        """
        guard = action.guard
        if guard is None:
            change.move_to_trash(self.roots, action.members, self._run)
            return outcome_of(n, action, Result.DONE)
        try:
            with locks.probe_flock(self.roots[guard.root], guard.path) as (held, fd):
                if not held:
                    raise Skip("its recorder holds the lock")
                if not opening.fingerprint(os.fstat(fd)).same_condition(guard.fingerprint):
                    raise Skip("another recording has begun")
                change.move_to_trash(self.roots, action.members, self._run)
        except FileNotFoundError:
            if guard not in action.members:
                raise Skip("its recorder has ended the recording itself") from None
            change.move_to_trash(self.roots, action.members, self._run)
        return outcome_of(n, action, Result.DONE)

    def _recover(self, n: int, action: Action) -> Steps[Outcome]:
        """Make a crashed session whole: files that it lacks first, and what is rewritten last.

        What was made goes to the trash again if the rest cannot be done.
        """
        changed = max(member.fingerprint.mtime_ns for member in action.members) / 1e9
        mend = self._layout.mend(action.session, action.members, action.name, changed)
        idle = time.time() - changed > LONG_IDLE
        made: list[Member] = []
        told: list[str] = []
        left: Fingerprint | None = None
        carried = 0
        try:
            for part, path in enumerate(mend.paths, 1):
                build = partial(mend.build, path=path)
                if path != mend.source.path:
                    print_of = change.make(self.roots, mend.source, path, self._run, n, part, build)
                    made.append(Member(mend.source.root, path, print_of))
                    continue
                rewritten = yield from change.rewriting(
                    self.roots, mend.source, self._run, n, build, idle=idle
                )
                left, carried = rewritten.fingerprint, rewritten.carried
                if carried:
                    told.append(f"carried over {carried} bytes that were appended meanwhile")
                told.append(f"the original is {rewritten.backup}")
        except BaseException:
            if made:
                change.move_to_trash(self.roots, tuple(made), self._run)
            raise
        if action.name is not None:
            told.insert(0, f"renamed to {action.name}")
        told.insert(0, mend.account())
        return outcome_of(
            n, action, Result.DONE, "; ".join(told), left=left, made=tuple(made), carried=carried
        )

    def _reindex(self, n: int, action: Action, touched: frozenset[str]) -> Outcome:
        """Make a file that lists sessions tell what is there, all of it."""
        root, path = action.index or ("", "")
        done = reindex(self.roots, self._layout, root, path, touched, self._run, n, whole=True)
        if done is None:
            return outcome_of(n, action, Result.DONE, "it tells the truth already")
        if done.made:
            return outcome_of(n, action, Result.DONE, "made anew", made=(Member(root, path, done.left),))
        if done.twice:
            return outcome_of(n, action, Result.DONE, "made true once more")
        backup = names.backup_path(self._run, root, path)
        return outcome_of(n, action, Result.DONE, f"made true; the original is {backup}", left=done.left)

    def _restore(self, n: int, action: Action) -> Outcome:
        member = action.members[0]
        kept = names.parse_trash_path(member.path)
        if kept is None and not names.is_ours(member.path):
            # What recovering made, and nobody had.
            change.move_to_trash(self.roots, action.members, self._run)
        elif kept is not None:
            try:
                change.put_back(self.roots, kept.run, kept.root, kept.path)
            except Skip:
                # A killed attempt may have done it.
                found = looking.stat_below(self.roots[kept.root], kept.path)
                if found is None or not opening.fingerprint(found).same_content(member.fingerprint):
                    raise
        else:
            left = action.guard.fingerprint if action.guard is not None else None
            revert(self.roots, member.path, left, self._run, old=member.fingerprint)
        return outcome_of(n, action, Result.DONE)


def _failed_too(outcome: Outcome, text: str) -> Outcome:
    done = outcome.result is Result.DONE
    return msgspec.structs.replace(outcome, result=Result.FAILED, detail=text) if done else outcome


def _left(names_of_others: list[str]) -> str:
    """What is said of a session's folder that stays because of what others have put there."""
    return f"left what its program did not write: {', '.join(names_of_others)}" if names_of_others else ""
