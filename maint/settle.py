"""Before anything new is done: seeing to what earlier runs left half done, and to late writers.

A run that was killed has a journal without an end; one that lost an action with a worker says so in its end, and is
seen to in the same way.
What it had not begun stays undone, because its policy may have been what it was killed for; what it had begun is
brought to an end: a session of which only some files were moved gets them back, one whose files are all gone loses
its folders, too, one that came back in part comes back as a whole, a rewrite that had made its backup is finished.
"""

import os
import time
from collections import Counter
from contextlib import suppress

import msgspec

from maint import journal
from maint.actions import TO_TRASH, Action, Outcome, Result, Verb, outcome_of
from maint.execute import Hands
from maint.indexing import Touched, keep_true
from maint.journal import BeginLine, EndLine, IndexedLine, Journal
from maint.leftovers import remove_leftovers, runs_with_leftovers
from maint.settling_packs import (
    Sealed,
    in_trash,
    put_all_back,
    remove_unplaced,
    remove_unsealed,
    settle_archived,
    settle_compacted,
    settle_packed,
)
from store import durable, looking, names, removing, trash
from store.change import Skip, carry_over, put_back
from store.facts import Fingerprint, Member, Place, Problem
from store.layout import Unmendable, layout_of
from store.roots import RootFds
from store.trash import Trashed

MARGIN = 1.0
"""Seconds by which a file that was written to since its run began may seem older: disks have clocks of their own."""


def settle(roots: RootFds, place: Place, run: str) -> tuple[list[Outcome], list[Problem]]:
    """Bring every unfinished run of this store to its end, and bring back what was written to in the trash.

    Gives what was done, and what needs a person.
    """
    outcomes: list[Outcome] = []
    problems: list[Problem] = []
    for earlier in journal.runs(roots):
        if earlier != run and not journal.has_ended(roots, earlier):
            with suppress(OSError):  # the journal may need its room; and it is written though this cannot be
                remove_unsealed(roots, earlier)
            outcomes += _finish(roots, place, earlier, run, problems)
            remove_unsealed(roots, earlier)
    for earlier in runs_with_leftovers(roots) - {run}:
        remove_leftovers(roots, earlier)  # it was killed before it had a journal, when it settled others
    late, more = _see_to_late_writers(roots, place)
    if late:
        touched = Touched(place)
        touched.take(late)
        # Not as of this run, which may have more to do to the same lists, and be taken back.
        own = names.new_run_id(time.time(), os.urandom(3))
        problems += keep_true(roots, place, touched, own, 0, lambda _: None)
    return outcomes + late, problems + more


def _finish(roots: RootFds, place: Place, earlier: str, run: str, problems: list[Problem]) -> list[Outcome]:
    """Bring one run to its end that was killed, or lost some actions, and say in its journal what became of it."""
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
        _make_durable(roots)  # what it has moved: folders that were emptied by it may go then
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
        _make_durable(roots)  # nobody comes back to a run that has an end
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
        remove_unplaced(roots, n, action, run)
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


def _see_to_late_writers(roots: RootFds, place: Place) -> tuple[list[Outcome], list[Problem]]:
    """What was appended, through descriptors held all along, to files that were moved or replaced meanwhile."""
    outcomes: list[Outcome] = []
    problems: list[Problem] = []
    planned: dict[str, dict[tuple[str, str], tuple[int, Action]]] = {}
    carried: dict[str, Counter[int]] = {}
    late = [
        kept
        for kept in trash.list_trash(roots)
        if _may_be_late(kept) and not names.is_archive_root(kept.root)  # to packs nobody writes but us
    ]
    for kept in late:
        if kept.run not in planned:
            planned[kept.run], carried[kept.run] = _told_of(roots, kept.run)
        if (kept.root, kept.path) not in planned[kept.run]:
            continue
        n, action = planned[kept.run][kept.root, kept.path]
        if kept.fingerprint.same_content(_member(action, kept).fingerprint):
            continue
        try:
            outcome = _bring_home(roots, kept, n, action, carried[kept.run][n])
        except (Skip, OSError) as error:
            text = f"was written to after run {kept.run} had put it there, but {error}; look at it by hand"
            problems.append(Problem(place.name, names.printable(kept.kept), text, grave=True))
        else:
            if outcome is not None:
                Journal.amend(roots, kept.run, [outcome])
                outcomes.append(outcome)
    roots.moves.remove_emptied()
    return outcomes, problems


def _may_be_late(kept: Trashed) -> bool:
    """Whether a file may have been written to since its run began: what the plan says of it is only asked then."""
    return kept.fingerprint.mtime_ns / 1e9 >= names.run_time(kept.run) - MARGIN


def _member(action: Action, kept: Trashed) -> Member:
    """What was planned of a file that waits in the trash or among the backups."""
    return next(each for each in action.members if (each.root, each.path) == (kept.root, kept.path))


def _bring_home(roots: RootFds, kept: Trashed, n: int, action: Action, carried: int) -> Outcome | None:
    """Give a session what was written to its trashed or backed up self; ``None`` if it has that already.

    Of a backup so many bytes are known to be ``carried`` over, whatever has become of the session since.
    """
    if any(member.root not in roots.labels for member in action.members):
        raise Skip("the folder that it came from is not there now")
    if not kept.backup:
        if looking.stat_below(roots[kept.root], kept.path) is not None:
            raise Skip("another file has its place now")
        # It goes last itself: as long as it is there, whoever was killed is known to have more to do.
        for member in action.members:  # of half a session its owner could make nothing
            if (member.root, member.path) != (kept.root, kept.path):
                with suppress(Skip):
                    put_back(roots, kept.run, member.root, member.path)
        if len(action.members) > 1:
            _make_durable(roots)
        put_back(roots, kept.run, kept.root, kept.path)
        _make_durable(roots)
        restored = msgspec.structs.replace(action, verb=Verb.RESTORE)
        return outcome_of(n, restored, Result.DONE, "put back: it was written to in the trash")
    member = _member(action, kept)
    # What is no longer than it was has been changed in place, and of that nothing can be carried over.
    if kept.fingerprint.size <= member.fingerprint.size:
        raise Skip("the session was made from what it was before")
    more = carry_over(roots, member, kept.run, carried=carried)
    if not more:
        return None
    text = f"carried over {more} bytes that were appended late"
    return outcome_of(n, action, Result.DONE, text, carried=more)


def _make_durable(roots: RootFds) -> None:
    """Return when all that was moved is sure to stay where it is."""
    for home in dict.fromkeys(roots.home(label) for label in roots.labels):
        durable.sync_file_system(roots[home], home)


def _told_of(roots: RootFds, run: str) -> tuple[dict[tuple[str, str], tuple[int, Action]], Counter[int]]:
    """The actions of a run with their places, by the files they were about, and the bytes carried over by each.

    Nothing if it has no journal.
    """
    found: dict[tuple[str, str], tuple[int, Action]] = {}
    carried: Counter[int] = Counter()
    n = 0
    with suppress(FileNotFoundError):
        for line in journal.read(roots, run):
            match line:
                case Action():
                    found.update({(member.root, member.path): (n, line) for member in line.members})
                    n += 1
                case Outcome():
                    carried[line.n] += line.carried
                case _:
                    pass
    return found, carried
