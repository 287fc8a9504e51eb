"""Before anything new is done: seeing to what earlier runs left half done, and to late writers.

A run that was killed has a journal without an end; one that lost an action with a worker says so in its end, and is
seen to in the same way (`maint.finishing`).
What was written to after it was moved or replaced is brought to its session (`maint.late_writers`).
There is seldom either, and what it takes is imported when there is.
"""

from maint import journal
from maint.actions import Outcome
from maint.leftovers import remove_leftovers, runs_with_leftovers
from store import names, trash
from store.facts import Place, Problem
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
            from maint.finishing import finish  # noqa: PLC0415

            outcomes += finish(roots, place, earlier, run, problems)
    for earlier in runs_with_leftovers(roots) - {run}:
        remove_leftovers(roots, earlier)  # it was killed before it had a journal, when it settled others
    late = [kept for kept in trash.list_trash(roots) if _may_be_late(kept)]
    if late:
        from maint.late_writers import see_to  # noqa: PLC0415

        outcomes += see_to(roots, place, late, problems)
    return outcomes, problems


def _may_be_late(kept: Trashed) -> bool:
    """Whether a file may have been written to since its run began: what the plan says of it is only asked then.

    To packs nobody writes but us.
    """
    if names.is_archive_root(kept.root):
        return False
    return kept.fingerprint.mtime_ns / 1e9 >= names.run_time(kept.run) - MARGIN
