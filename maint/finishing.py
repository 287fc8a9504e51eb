"""Bringing a run to its end that was killed, or that lost actions with a worker.

What it had not begun stays undone, because its policy may have been what it was killed for; what it had begun is
brought to an end: a session of which only some files were moved gets them back, one whose files are all gone loses
its folders, too, one that came back in part comes back as a whole, a rewrite that had made its backup is finished.
"""

import time
from collections import Counter
from contextlib import suppress

from maint import journal
from maint.actions import TO_TRASH, Action, Outcome, Result, Verb, outcome_of
from maint.execute import Hands
from maint.indexing import keep_true
from maint.journal import BeginLine, EndLine, IndexedLine, Journal
from maint.leftovers import remove_leftovers
from maint.settling_packs import (
    Sealed,
    in_trash,
    put_all_back,
    remove_unsealed,
    settle_archived,
    settle_compacted,
    settle_packed,
)
from maint.touched import Touched
from store import looking, names, removing, unpacking
from store.facts import Fingerprint, Place, Problem
from store.layout import Unmendable, layout_of
from store.roots import RootFds


def finish(roots: RootFds, place: Place, earlier: str, run: str, problems: list[Problem]) -> list[Outcome]:
    """Bring one run to its end that was killed, or lost some actions, and say in its journal what became of it.

    Gives what was done as of ``run``, and adds to ``problems`` what needs a person.
    """
    with suppress(OSError):  # the journal may need its room; and it is written though this cannot be
        remove_unsealed(roots, earlier)
    outcomes = _finish(roots, place, earlier, run, problems)
    remove_unsealed(roots, earlier)
    return outcomes


def _finish(roots: RootFds, place: Place, earlier: str, run: str, problems: list[Problem]) -> list[Outcome]:
    begun = False
    ended: EndLine | None = None
    touched = Touched(place)
    indexed: list[IndexedLine] = []
    finished: list[Fingerprint] = []
    intended = 0
    pending: dict[int, Action] = {}
    done: Counter[str] = Counter()
    for line in journal.read(roots, earlier):
        match line:
            case Action():
                pending[intended] = line
                intended += 1
            case Outcome():
                if line.result is not Result.LOST:
                    pending.pop(line.n, None)
                touched.take((line,))
                done[line.verb] += line.result is Result.DONE
                if line.left is not None:
                    finished.append(line.left)
            case IndexedLine():
                finished.append(line.left)
            case BeginLine():
                begun = True
            case EndLine():
                ended = line
            case _:
                pass
    hands = Hands(place, earlier, roots.stats)
    sealed = Sealed(roots, earlier)
    outcomes: list[Outcome] = []
    if begun and pending:
        roots.moves.sync()  # what it has moved: folders that were emptied by it may go then
    try:
        for n, action in pending.items() if begun else ():
            try:
                outcome = _settle_one(roots, place, hands, sealed, n, action, earlier)
            except ValueError as error:  # whatever wrote this journal, it was not us
                outcome = outcome_of(n, action, Result.FAILED, str(error))
            except KeyError as root:
                outcome = outcome_of(n, action, Result.FAILED, f"the root {root} of the store is not there")
            if outcome is not None:
                outcomes.append(outcome)
        outcomes = hands.made_durable(outcomes)
        done.update(outcome.verb for outcome in outcomes if outcome.result is Result.DONE)
        roots.moves.remove_emptied()
    finally:
        hands.close()
    if begun:
        touched.take_actions(pending.values())
        finished += [each.left for each in outcomes if each.left is not None]
        remove_leftovers(roots, earlier, finished)
        problems += keep_true(roots, place, touched, earlier, intended, indexed.append)
    if begun and pending:
        roots.moves.sync()  # nobody comes back to a run that has an end
    resumed = Journal.resume(roots, earlier)
    resumed.outcomes(outcomes)
    for each in indexed:
        resumed.indexed(each)
    resumed.end(
        EndLine(
            done=dict(+done),
            skipped=len(pending) - len(outcomes) + (ended.skipped if ended else 0),
            failed=sum(outcome.result is Result.FAILED for outcome in outcomes)
            + (ended.failed if ended else 0),
            lost=0,
            bytes_freed=ended.bytes_freed if ended else 0,
            bytes_trashed=ended.bytes_trashed if ended else 0,
            bytes_packed=ended.bytes_packed if ended else 0,
            seconds=ended.seconds if ended else 0.0,
            stopped=ended is None or ended.stopped,
            settled_by=run,
        )
    )
    return outcomes


def _settle_one(
    roots: RootFds, place: Place, hands: Hands, sealed: Sealed, n: int, action: Action, run: str
) -> Outcome | None:
    """What became of an action whose outcome was never written down; ``None`` if it was not begun."""
    owned = layout_of(place.kind).owns_folder
    if action.packing is not None and action.packing.form == "file":
        from maint.filing import settled  # noqa: PLC0415  what it takes is imported when there is such a thing

        return settled(roots, run, n, action)
    if action.verb is Verb.ARCHIVE:
        return settle_archived(roots, sealed, owned, n, action, run)
    if action.verb is Verb.COMPACT:
        return settle_compacted(roots, sealed, n, action, run)
    if action.pack is not None:
        unpacking.remove_unplaced(roots, action.members, run, n)
        return settle_packed(roots, owned, n, action, run)
    if action.verb in TO_TRASH:
        moved = [member for member in action.members if in_trash(roots, run, member)]
        if len(moved) == len(action.members):
            removing.remove_folders(roots, action.members, run, owned, keep=True)
            return outcome_of(n, action, Result.DONE, "found done after its run was killed")
        return put_all_back(roots, n, action, moved, run)
    if action.index is not None:
        return None  # what it lists was seen to
    if action.verb is Verb.RECOVER and _has_begun(roots, place, run, n, action):
        return hands.carry_out(n, action)
    if action.verb is Verb.RESTORE:
        why = _refusal(roots, place, action)
        return hands.carry_out(n, action) if why is None else outcome_of(n, action, Result.SKIPPED, why)
    return None


def _refusal(roots: RootFds, place: Place, action: Action) -> str | None:
    """Why what was to be given its old bytes back must not be any more: it has been gone on from, perhaps since."""
    if not layout_of(place.kind).has_lineage:
        return None
    from maint import lineage  # noqa: PLC0415  most kinds do without it

    return lineage.refusal(place, roots, action, time.time())


def _has_begun(roots: RootFds, place: Place, run: str, n: int, action: Action) -> bool:
    """Whether a recovery has left anything: a temporary file, a backup, or a file that it made."""
    changed = max(member.fingerprint.mtime_ns for member in action.members) / 1e9
    try:
        mend = layout_of(place.kind).mend(action.session, action.members, action.name, changed)
    except Unmendable:
        return False
    home = roots[roots.home(mend.source.root)]
    ours = [names.backup_path(run, mend.source.root, mend.source.path)]
    ours += [names.tmp_path(run, n, part) for part in range(len(mend.paths) + 1)]
    if any(looking.stat_below(home, path) is not None for path in ours):
        return True
    made = [path for path in mend.paths if path != mend.source.path]
    return any(looking.stat_below(roots[mend.source.root], path) is not None for path in made)
