"""Before anything new is done: seeing to what earlier runs left half done, and to late writers.

A run that was killed has a journal without an end.
What it had not begun stays undone, because its policy may have been what it was killed for; what it had begun is
brought to an end: a session of which only some files were moved gets them back, a rewrite that had made its
backup is finished.
"""

import os
from collections import Counter
from contextlib import suppress

import msgspec

from maint import journal
from maint.actions import TO_TRASH, Action, Outcome, Result, Verb, outcome_of
from maint.execute import Hands
from maint.journal import BeginLine, EndLine, Journal
from maint.marking import as_marked_now, mark_brought_back
from store import archives, durable, looking, marks, names, opening, packs, trash
from store.change import Skip, carry_over, move_to_trash, put_back
from store.facts import Member, Place, Problem
from store.frames import Damaged
from store.manifest import Entry
from store.roots import RootFds
from store.trash import Trashed

MARGIN = 1.0
"""Seconds by which a file in the trash must be newer than its run to count as written to since."""


def settle(roots: RootFds, place: Place, run: str) -> tuple[list[Outcome], list[Problem]]:
    """Bring every unfinished run of this store to its end, and bring back what was written to in the trash.

    Gives what was done, and what needs a person.
    """
    outcomes: list[Outcome] = []
    for earlier in journal.runs(roots):
        if earlier != run and not journal.has_ended(roots, earlier):
            outcomes += _finish(roots, place, earlier, run)
            _remove_unsealed(roots, earlier)
    late, problems = _see_to_late_writers(roots, place)
    return outcomes + late, problems


def _finish(roots: RootFds, place: Place, earlier: str, run: str) -> list[Outcome]:
    """Bring one killed run to its end, and say in its journal what became of it."""
    begun = False
    intended = 0
    pending: dict[int, Action] = {}
    done: Counter[str] = Counter()
    for line in journal.read(roots, earlier):
        match line:
            case Action():
                pending[intended] = line
                intended += 1
            case Outcome():
                pending.pop(line.n, None)
                done[line.verb] += line.result is Result.DONE
            case BeginLine():
                begun = True
            case _:
                pass
    hands = Hands(place, earlier)
    sealed = Sealed(roots, earlier)
    outcomes: list[Outcome] = []
    try:
        for n, action in pending.items() if begun else ():
            try:
                outcome = _settle_one(roots, hands, sealed, n, action, earlier)
            except ValueError as error:  # whatever wrote this journal, it was not us
                outcome = outcome_of(n, action, Result.FAILED, str(error))
            if outcome is not None:
                outcomes.append(outcome)
                done[outcome.verb] += outcome.result is Result.DONE
    finally:
        hands.close()
    if any(each.verb is Verb.RESTORE and each.result is Result.DONE for each in outcomes):
        for home in dict.fromkeys(roots.home(label) for label in roots.labels):
            durable.sync_file_system(roots[home], home)
    resumed = Journal.resume(roots, earlier)
    resumed.outcomes(outcomes)
    resumed.end(
        EndLine(
            done=dict(+done),
            skipped=len(pending) - len(outcomes),
            failed=sum(outcome.result is Result.FAILED for outcome in outcomes),
            lost=0,
            bytes_freed=0,
            bytes_trashed=0,
            seconds=0.0,
            stopped=True,
            settled_by=run,
        )
    )
    return outcomes


def _settle_one(
    roots: RootFds, hands: Hands, sealed: "Sealed", n: int, action: Action, run: str
) -> Outcome | None:
    """What became of an action whose outcome was never written down; ``None`` if it was not begun."""
    if action.packing is not None and action.packing.form == "file":
        from maint.filing import settled  # noqa: PLC0415  what it takes is imported when there is such a thing

        return settled(roots, run, n, action)
    if action.verb is Verb.ARCHIVE:
        return _settle_archived(roots, sealed, n, action, run)
    if action.verb is Verb.COMPACT:
        return _settle_compacted(roots, sealed, n, action, run)
    if action.pack is not None:
        remove_unplaced(roots, n, action, run)
        return _settle_packed(roots, n, action, run)
    if action.verb in TO_TRASH:
        moved = [member for member in action.members if _in_trash(roots, run, member)]
        if len(moved) == len(action.members):
            return outcome_of(n, action, Result.DONE, "found done after its run was killed")
        for member in moved:
            try:
                put_back(roots, run, member.root, member.path)
            except (Skip, OSError) as error:
                return outcome_of(n, action, Result.FAILED, f"{member.path} could not be put back: {error}")
    elif (action.verb is Verb.RECOVER and _has_begun(roots, run, n, action)) or action.verb is Verb.RESTORE:
        return hands.carry_out(n, action)
    return None


class Sealed:
    """The packs that a killed run had sealed, read when they are first asked for."""

    def __init__(self, roots: RootFds, run: str) -> None:
        self._roots = roots
        self._run = run
        self._found: tuple[dict[str, tuple[str, Entry]], dict[str, str]] | None = None

    def holds(self, session: str) -> tuple[str, Entry] | None:
        """The pack of that run which holds the session, and its entry there."""
        return self._read()[0].get(session)

    def replacement(self, pack: str) -> str | None:
        """The pack of that run which was made from another one."""
        return self._read()[1].get(pack)

    def _read(self) -> tuple[dict[str, tuple[str, Entry]], dict[str, str]]:
        if self._found is None:
            self._found = {}, {}
            for label in archives.labels(self._roots):
                for name in sorted(os.listdir(self._roots[label])):
                    if (names.parse_pack_name(name) or ("", 0))[0] == self._run:
                        self._take(label, name)
        return self._found

    def _take(self, label: str, name: str) -> None:
        assert self._found is not None
        with suppress(Damaged, OSError), packs.open_pack(self._roots[label], name) as pack:
            if pack.head.replaces is not None:
                self._found[1][pack.head.replaces] = name
            self._found[0].update({entry.id: (name, entry) for entry in pack.entries()})


def _remove_unsealed(roots: RootFds, run: str) -> None:
    """Remove the pack that a killed run was writing: nobody else can be at it while the store is held."""
    for label in archives.labels(roots):
        for name in os.listdir(roots[label]):
            if (names.parse_unsealed_name(name) or ("", 0))[0] == run:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=roots[label])


def _settle_archived(roots: RootFds, sealed: Sealed, n: int, action: Action, run: str) -> Outcome | None:
    """A session that was to be archived: gone into a pack, moved aside, or still in its place."""
    held = sealed.holds(action.session)
    moved = [member for member in action.members if _in_trash(roots, run, member)]
    if held is not None and _is_of(held[1], action):
        gone = all(
            looking.stat_below(roots[member.root], member.path) is None
            for member in action.members
            if member not in moved
        )
        if gone:
            # What was moved aside waits in the trash like everything else, which costs nothing but patience.
            return outcome_of(n, action, Result.DONE, "found done after its run was killed", pack=held[0])
    for member in moved:
        try:
            put_back(roots, run, member.root, member.path)
        except (Skip, OSError) as error:
            return outcome_of(n, action, Result.FAILED, f"{member.path} could not be put back: {error}")
    return None


def _is_of(entry: Entry, action: Action) -> bool:
    """Whether an entry is of the very files that the action is about."""
    there = {(member.root, member.path, member.size, member.mtime_ns) for member in entry.members}
    wanted = {
        (member.root, member.path, member.fingerprint.size, member.fingerprint.mtime_ns)
        for member in action.members
    }
    return there == wanted


def _settle_compacted(roots: RootFds, sealed: Sealed, n: int, action: Action, run: str) -> Outcome | None:
    """A pack that was to be rewritten: if the new one was sealed, the old one goes; else it stays."""
    new = sealed.replacement(action.pack or "")
    moved = [member for member in action.members if _in_trash(roots, run, member)]
    if len(moved) == len(action.members):
        return outcome_of(n, action, Result.DONE, "found done after its run was killed", pack=new)
    try:
        if new is not None:
            move_to_trash(roots, as_marked_now(roots, action.members), run)
            return outcome_of(n, action, Result.DONE, "brought to its end after its run was killed", pack=new)
        for member in moved:
            put_back(roots, run, member.root, member.path)
    except (Skip, OSError) as error:
        return outcome_of(n, action, Result.FAILED, str(error))
    return None


def remove_unplaced(roots: RootFds, n: int, action: Action, run: str) -> None:
    """Remove what was written of a session that was to come back and had not got its name yet."""
    for part, member in enumerate(action.members):
        with suppress(KeyError, OSError):
            home = roots[roots.home(member.root)]
            with opening.parent_of(home, names.tmp_path(run, n, part)) as (folder, name):
                os.unlink(name, dir_fd=folder)


def _settle_packed(roots: RootFds, n: int, action: Action, run: str) -> Outcome | None:
    """What was to be marked in a pack, or to come back from one."""
    done = outcome_of(n, action, Result.DONE, "found done after its run was killed")
    if action.members:
        for member in action.members:
            found = looking.stat_below(roots[member.root], member.path)
            if found is None or found.st_mtime_ns != member.fingerprint.mtime_ns:
                return None
            if found.st_size != member.fingerprint.size:
                return _set_torn_aside(roots, n, action, member, found, run)
        mark_brought_back(roots, action, run)
        return done
    for label in archives.labels(roots):
        mark = marks.read(roots[label], action.pack or "").get(action.session)
        if mark is not None and mark.why == action.mark:
            return done
    return None


def _set_torn_aside(
    roots: RootFds, n: int, action: Action, member: Member, found: os.stat_result, run: str
) -> Outcome:
    """A file that came back and is not whole, as a power cut leaves it: its pack still has all of it."""
    torn = msgspec.structs.replace(member, fingerprint=opening.fingerprint(found))
    try:
        move_to_trash(roots, (torn,), run)
    except (Skip, OSError) as error:
        return outcome_of(n, action, Result.FAILED, f"it came back in part, and cannot be set aside: {error}")
    return outcome_of(
        n, action, Result.SKIPPED, "it came back in part and was set aside; restore it once more"
    )


def _in_trash(roots: RootFds, run: str, member: Member) -> bool:
    path = names.trash_path(run, member.root, member.path)
    return _lies_at(roots, member.root, path, member)


def _has_begun(roots: RootFds, run: str, n: int, action: Action) -> bool:
    """Whether a rewrite has left anything: its temporary file, or a backup."""
    (member,) = action.members
    home = roots[roots.home(member.root)]
    for path in (names.tmp_path(run, n), names.backup_path(run, member.root, member.path)):
        try:
            with opening.parent_of(home, path) as (folder, name):
                if _look(folder, name) is not None:
                    return True
        except FileNotFoundError:
            continue
    return False


def _lies_at(roots: RootFds, root: str, path: str, member: Member) -> bool:
    try:
        with opening.parent_of(roots[roots.home(root)], path) as (folder, name):
            found = _look(folder, name)
    except FileNotFoundError:
        return False
    return found is not None and opening.fingerprint(found).same_file(member.fingerprint)


def _look(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _see_to_late_writers(roots: RootFds, place: Place) -> tuple[list[Outcome], list[Problem]]:
    """What was appended, through descriptors held all along, to files that were moved or replaced meanwhile."""
    outcomes: list[Outcome] = []
    problems: list[Problem] = []
    planned: dict[str, dict[tuple[str, str], tuple[int, Action]]] = {}
    late = [
        kept
        for kept in trash.list_trash(roots)
        if _written_late(kept) and not names.is_archive_root(kept.root)  # to packs nobody writes but us
    ]
    for kept in late:
        if kept.run not in planned:
            planned[kept.run] = _actions_of(roots, kept.run)
        if (kept.root, kept.path) not in planned[kept.run]:
            continue
        n, action = planned[kept.run][kept.root, kept.path]
        try:
            outcome = _bring_home(roots, kept, n, action)
        except (Skip, OSError) as error:
            text = f"was written to after run {kept.run} had put it there, but {error}; look at it by hand"
            problems.append(Problem(place.name, names.printable(kept.kept), text, grave=True))
        else:
            if outcome is not None:
                Journal.amend(roots, kept.run, [outcome])
                outcomes.append(outcome)
    return outcomes, problems


def _written_late(kept: Trashed) -> bool:
    return kept.fingerprint.mtime_ns / 1e9 > names.run_time(kept.run) + MARGIN


def _bring_home(roots: RootFds, kept: Trashed, n: int, action: Action) -> Outcome | None:
    """Give a session what was written to its trashed or backed up self; ``None`` if it has that already."""
    if not kept.backup:
        put_back(roots, kept.run, kept.root, kept.path)
        restored = msgspec.structs.replace(action, verb=Verb.RESTORE)
        return outcome_of(n, restored, Result.DONE, "put back: it was written to in the trash")
    carried = carry_over(roots, action.members[0], kept.run)
    if not carried:
        return None
    return outcome_of(n, action, Result.DONE, f"carried over {carried} bytes that were appended late")


def _actions_of(roots: RootFds, run: str) -> dict[tuple[str, str], tuple[int, Action]]:
    """The actions of a run with their places, by the files they were about; empty if it has no journal."""
    found: dict[tuple[str, str], tuple[int, Action]] = {}
    with suppress(FileNotFoundError):
        actions = (line for line in journal.read(roots, run) if isinstance(line, Action))
        for n, action in enumerate(actions):
            found.update({(member.root, member.path): (n, action) for member in action.members})
    return found
