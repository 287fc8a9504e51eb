"""What a killed run has left half done about packs: archived, rewritten, marked or brought back.

What is guarded: a session whose original is gone lies in a sealed pack that was opened to see it, or it gets its
original back.
Of one that has several files all are in one place in the end: part of it in the trash would be brought back before
the whole that is in the pack, and part of it in the store would be packed as if that were all.
"""

import os
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from maint.actions import Action, Outcome, Packing, Result, outcome_of
from maint.marking import as_marked_now, mark_brought_back
from maint.reaching import describe
from store import archives, durable, ending, looking, marks, names, opening, packs, removing, unpacking
from store.change import Skip, move_to_trash, put_back
from store.emptied import Owned
from store.facts import Member
from store.frames import Damaged
from store.manifest import Entry
from store.roots import RootFds


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


def remove_unsealed(roots: RootFds, run: str) -> None:
    """Remove the pack that a killed run was writing: nobody else can be at it while the store is held."""
    for label in archives.labels(roots):
        for name in os.listdir(roots[label]):
            if (names.parse_unsealed_name(name) or ("", 0))[0] == run:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=roots[label])


def settle_archived(
    roots: RootFds, sealed: Sealed, owned: Owned, n: int, action: Action, run: str
) -> Outcome | None:
    """A session that was to be archived: gone into a pack, moved aside, or still in its place.

    What was moved aside as a whole waits in the trash like everything else, which costs nothing but patience.
    """
    held = sealed.holds(action.session)
    moved = [member for member in action.members if in_trash(roots, run, member)]
    if held is not None and _is_of(held[1], action):
        gone = all(
            looking.stat_below(roots[member.root], member.path) is None
            for member in action.members
            if member not in moved
        )
        if gone:
            end_rest(roots, owned, action, run)
            return outcome_of(n, action, Result.DONE, "found done after its run was killed", pack=held[0])
    return put_all_back(roots, n, action, moved, run)


def end_rest(roots: RootFds, owned: Owned, action: Action, run: str) -> None:
    """See to what is left of a session in a sealed pack of which nothing is in its place: a part does not stay behind.

    Raises OSError, with as much done as can be.
    """
    packing = action.packing or Packing()
    moved = [member for member in action.members if in_trash(roots, run, member)]
    if packing.originals == "remove" and len(moved) < len(action.members):
        ending.end_moved(roots, action.members, run)
    if packing.part == "whole":
        removing.remove_folders(roots, action.members, run, owned, keep=packing.originals == "trash")


def put_all_back(roots: RootFds, n: int, action: Action, moved: Iterable[Member], run: str) -> Outcome | None:
    """Put back what a killed run has moved to its trash, all that can be; ``None`` if that is all of it."""
    failed: list[str] = []
    for member in moved:
        try:
            put_back(roots, run, member.root, member.path)
        except (Skip, OSError) as error:
            failed.append(f"{names.printable(member.path)} could not be put back: {error}")
    return outcome_of(n, action, Result.FAILED, "; ".join(failed)) if failed else None


def _is_of(entry: Entry, action: Action) -> bool:
    """Whether an entry is of the very files that the action is about."""
    there = {(member.root, member.path, member.size, member.mtime_ns) for member in entry.members}
    wanted = {
        (member.root, member.path, member.fingerprint.size, member.fingerprint.mtime_ns)
        for member in action.members
    }
    return there == wanted


def settle_compacted(roots: RootFds, sealed: Sealed, n: int, action: Action, run: str) -> Outcome | None:
    """A pack that was to be rewritten: if the new one was sealed, the old one goes; else it stays."""
    new = sealed.replacement(action.pack or "")
    moved = [member for member in action.members if in_trash(roots, run, member)]
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


def settle_packed(roots: RootFds, owned: Owned, n: int, action: Action, run: str) -> Outcome | None:
    """What was to be marked in a pack, or to come back from one."""
    if action.members:
        return _settle_brought_back(roots, owned, n, action, run)
    for label in archives.labels(roots):
        mark = marks.read(roots[label], action.pack or "").get(action.session)
        if mark is not None and mark.why == action.mark:
            return outcome_of(n, action, Result.DONE, "found done after its run was killed")
    return None


def _settle_brought_back(roots: RootFds, owned: Owned, n: int, action: Action, run: str) -> Outcome | None:
    """What was to come back from a pack: of what came back in part the rest comes, too.

    Where one of its files is not whole, as a power cut leaves it, all are set aside and come once more.
    """
    missing: list[Member] = []
    there: list[Member] = []
    torn = False
    for member in action.members:
        found = looking.stat_below(roots[member.root], member.path)
        if found is None:
            missing.append(member)
            continue
        if found.st_mtime_ns != member.fingerprint.mtime_ns:
            return None
        there.append(msgspec.structs.replace(member, fingerprint=opening.fingerprint(found)))
        torn = torn or found.st_size != member.fingerprint.size
    if not there:
        removing.remove_folders(roots, action.members, run, owned, keep=True)  # which were made for it
        return None
    try:
        if torn:
            move_to_trash(roots, tuple(there), run)
            missing = list(action.members)
        if missing:
            _bring_rest(roots, n, action, missing, run)
    except (Skip, Damaged, OSError) as error:
        why = f"it came back in part, and the rest cannot: {error}"
        return outcome_of(n, action, Result.FAILED, why)
    try:
        mark_brought_back(roots, action, run)
    except OSError as error:
        why = f"it came back, but that cannot be written down beside its pack: {describe(error)}"
        return outcome_of(n, action, Result.FAILED, why)
    return outcome_of(n, action, Result.DONE, "found done after its run was killed")


def _bring_rest(roots: RootFds, n: int, action: Action, missing: list[Member], run: str) -> None:
    """Bring back those files of a session that a killed run had not got to; durable on return."""
    label = archives.home_of(roots, action.pack or "")
    if label is None:
        raise Skip(f"there is no pack {action.pack} now")
    with packs.open_pack(roots[label], action.pack or "") as pack:
        entry = next((entry for entry in pack.entries() if entry.id == action.session), None)
        if entry is None:
            raise Skip(f"it is not in {action.pack}")
        written = unpacking.write(pack, entry, roots, run, n, sync=True)
    wanted = {(member.root, member.path) for member in missing}
    rest = [each for each in written if (each.root, each.path) in wanted]
    unpacking.drop(roots, [each for each in written if each not in rest])
    unpacking.settle(roots, rest)
    for each in rest:
        with opening.parent_of(roots[each.root], each.path) as (folder, _):
            durable.sync_folder(folder, each.path)


def in_trash(roots: RootFds, run: str, member: Member) -> bool:
    """Whether a run has moved a file to its trash."""
    path = names.trash_path(run, member.root, member.path)
    found = looking.stat_below(roots[roots.home(member.root)], path)
    return found is not None and opening.fingerprint(found).same_file(member.fingerprint)
