"""What was appended, through descriptors held all along, to files that were moved or replaced meanwhile."""

import os
import time
from collections import Counter
from contextlib import suppress

import msgspec

from maint import journal
from maint.actions import Action, Outcome, Result, Verb, outcome_of
from maint.indexing import keep_true
from maint.journal import Journal
from maint.touched import Touched
from store import looking, names
from store.change import Skip, carry_over, put_back
from store.facts import Member, Place, Problem
from store.roots import RootFds
from store.trash import Trashed


def see_to(roots: RootFds, place: Place, late: list[Trashed], problems: list[Problem]) -> list[Outcome]:
    """Bring what was written late to its session; ``late`` is what waits in our folder and may have been written to.

    Gives what was done, and adds to ``problems`` what needs a person.
    """
    outcomes: list[Outcome] = []
    planned: dict[str, dict[tuple[str, str], tuple[int, Action]]] = {}
    carried: dict[str, Counter[int]] = {}
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
    if outcomes:
        touched = Touched(place)
        touched.take(outcomes)
        # Not as of this run, which may have more to do to the same lists, and be taken back.
        own = names.new_run_id(time.time(), os.urandom(3))
        problems += keep_true(roots, place, touched, own, 0, lambda _: None)
    return outcomes


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
            roots.moves.sync()
        put_back(roots, kept.run, kept.root, kept.path)
        roots.moves.sync()
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
