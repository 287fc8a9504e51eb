"""What it takes to take a run back, or to bring back one session: pure lists of actions, made from journals.

What was removed is moved back from the trash, what was rewritten changes places with its backup; what has ended
for good is named.
"""

from collections.abc import Mapping
from contextlib import suppress

import msgspec

from maint import journal
from maint.actions import TO_TRASH, Action, Outcome, Result, Verb
from maint.journal import IndexedLine
from store import archives, looking, marks, names, opening, trash
from store.facts import Member, Place
from store.layout import layout_of
from store.marks import Mark, Why
from store.roots import RootFds
from store.trash import Trashed


class Undoing(msgspec.Struct):
    """The actions that take a run back in one store, and what cannot be taken back, in words."""

    actions: list[Action] = msgspec.field(default_factory=list)
    impossible: list[str] = msgspec.field(default_factory=list)
    marks: dict[str, Mapping[str, Mark]] = msgspec.field(default_factory=dict)
    """The marks of packs that were asked for."""

    def is_marked(self, roots: RootFds, label: str, pack: str, session: str, why: Why) -> bool:
        """Whether a session is marked so in its pack already."""
        if pack not in self.marks:
            self.marks[pack] = marks.read(roots[label], pack)
        mark = self.marks[pack].get(session)
        return mark is not None and mark.why == why


def undo_of(roots: RootFds, place: Place, run: str) -> Undoing | None:
    """What takes back a run in this store; ``None`` if the store knows no such run.

    Locks come back first, then sessions, in the reverse order of the run.
    """
    if run not in journal.runs(roots):
        return None
    undoing = Undoing()
    waiting = {
        (kept.root, kept.path, kept.backup): kept
        for kept in trash.list_trash(roots, lambda each: each == run)
    }
    results: dict[int, Outcome] = {}
    intents: list[Action] = []
    listed: list[IndexedLine] = []
    ended: list[str] = []
    stays = False
    for line in journal.read(roots, run):
        if isinstance(line, Action):
            intents.append(line)
        elif isinstance(line, Outcome):
            results[line.n] = line
        elif isinstance(line, IndexedLine):
            listed.append(line)
    for n, action in reversed(list(enumerate(intents))):
        outcome = results.get(n)
        if outcome is not None and (
            outcome.result is Result.SKIPPED
            or (outcome.result is Result.FAILED and action.verb not in TO_TRASH)
            or (outcome.verb is Verb.RESTORE and action.verb is not Verb.RESTORE)
        ):
            continue  # never done, or taken back already
        if action.packing is not None and action.packing.form == "file":
            if outcome is not None and outcome.result is Result.DONE:
                _undo_filed(undoing, roots, place, action, run, waiting)
        elif action.verb in (Verb.ARCHIVE, Verb.COMPACT) or action.pack is not None:
            if outcome is not None and outcome.result is Result.DONE:
                _undo_packed(undoing, roots, place, action, outcome, waiting)
        elif action.verb is Verb.RECOVER:
            stays = not _undo_recovery(undoing, roots, place, action, outcome, waiting) or stays
        elif action.verb in TO_TRASH:
            _undo_one(undoing, roots, place, action, outcome, waiting)
        elif outcome is not None and outcome.result is Result.DONE and action.verb is Verb.EXPIRE_TRASH:
            ended.append(f"{action.session}: it has ended for good")
        elif outcome is not None and outcome.result is Result.DONE:
            ended.append(f"{action.session}: it was brought back; sweep again to remove it")
    if not stays and not undoing.impossible:
        # Else the old list would not be true, and it is made to tell what comes back.
        indexes = Undoing()
        for line in listed:
            _undo_index(indexes, roots, place, line, waiting)
        undoing.actions[:0] = indexes.actions
    undoing.impossible += ended
    return undoing


def _undo_one(
    undoing: Undoing,
    roots: RootFds,
    place: Place,
    action: Action,
    outcome: Outcome | None,
    waiting: dict[tuple[str, str, bool], Trashed],
) -> None:
    found = [waiting.get((member.root, member.path, False)) for member in action.members]
    for kept in all_or_refused(roots, [each for each in found if each is not None]):
        undoing.actions.append(restoring(place, kept, action.session, f"taking back {action.verb}"))
    if outcome is not None and outcome.result is not Result.FAILED:  # which may have left some there
        missing = [
            member
            for member, kept in zip(action.members, found, strict=True)
            if kept is None and not _lies_there(roots, member)
        ]
        undoing.impossible += [f"{action.session}: it is no longer there to be put back"] * len(missing)


def all_or_refused(roots: RootFds, kept: list[Trashed]) -> list[Trashed]:
    """A session's files, or those alone whose places something has: to ask for them tells why, and brings back none.

    Files of two sessions would else be mixed. An empty folder that is there again is none to be brought back.
    """
    taken = [each for each in kept if _is_taken(roots, each)]
    refused = [each for each in taken if each.kind != "folder"]
    return refused or [each for each in kept if each not in taken]


def _is_taken(roots: RootFds, kept: Trashed) -> bool:
    try:
        return looking.stat_below(roots[kept.root], kept.path) is not None
    except (OSError, KeyError):  # whoever tries is told what is in the way
        return True


def _undo_index(
    undoing: Undoing,
    roots: RootFds,
    place: Place,
    line: IndexedLine,
    waiting: dict[tuple[str, str, bool], Trashed],
) -> None:
    """Give a file that lists sessions its old bytes back, if nobody has written it since.

    If somebody has, it will be made to tell what comes back.
    """
    ours = Member(line.root, line.path, line.left)
    if line.root not in roots.labels or not _lies_there(roots, ours):
        return
    kept = waiting.get((line.root, line.path, True))
    if line.made:
        undoing.actions.append(_unmaking(place, line.path, (ours,), "what listed the sessions of this run"))
    elif kept is not None:
        undoing.actions.append(restoring(place, kept, line.path, "taking back what was listed", ours))


def _unmaking(place: Place, session: str, made: tuple[Member, ...], reason: str) -> Action:
    """The action that removes what a run made, and nobody had."""
    return Action(
        verb=Verb.RESTORE,
        pass_="undo",
        store=place.name,
        session=session,
        path=place.absolute(made[0]),
        bytes=sum(member.fingerprint.size for member in made),
        reason=f"taking back {reason}",
        members=made,
    )


def _undo_recovery(
    undoing: Undoing,
    roots: RootFds,
    place: Place,
    action: Action,
    outcome: Outcome | None,
    waiting: dict[tuple[str, str, bool], Trashed],
) -> bool:
    """Take back that something was made whole: what was made goes, what was rewritten gets its old bytes.

    What was made stays where the rest cannot be taken back: a session that says that it was made whole, and has lost
    what was made for it, is none to its program, and none to the next sweep. ``False`` if it does.
    """
    made = outcome.made if outcome is not None else ()
    left = outcome.left if outcome is not None else None
    kept = [each for member in action.members if (each := waiting.get((member.root, member.path, True)))]
    if left is not None and not kept:
        if all(_lies_there(roots, member) for member in action.members):
            return True  # it was taken back already
        undoing.impossible.append(f"{action.session}: its backup is no longer there to be put back")
        return False
    guards = [Member(each.root, each.path, left) if left is not None else None for each in kept]
    stays = any(guard is not None and _is_another(roots, guard) for guard in guards)
    if made and not stays:
        undoing.actions.append(_unmaking(place, action.session, made, f"{action.verb}, which made this"))
    for each, guard in zip(kept, guards, strict=True):  # whoever tries is told what is in the way
        undoing.actions.append(restoring(place, each, action.session, f"taking back {action.verb}", guard))
    return not stays


def _undo_packed(
    undoing: Undoing,
    roots: RootFds,
    place: Place,
    action: Action,
    outcome: Outcome,
    waiting: dict[tuple[str, str, bool], Trashed],
) -> None:
    """Take back what was done about a pack; what it held is marked only when it is back in its place."""
    pack = outcome.pack or ""
    kept = [waiting.get((member.root, member.path, False)) for member in action.members]
    label = archives.home_of(roots, pack)
    there = label is not None
    if (
        label is not None
        and action.verb is not Verb.COMPACT
        and _is_taken_back(undoing, roots, label, pack, action)
    ):
        return
    if action.verb is Verb.PRUNE:
        if there:
            undoing.actions.append(_marking(place, action, pack, Why.HELD))
        else:
            why = _why_no_pack(place, roots, pack, "take that run back first")
            undoing.impossible.append(f"{action.session}: {why}")
    elif action.verb is Verb.RESTORE:
        undoing.impossible.append(f"{action.session}: it was brought back; sweep again to remove it")
    elif kept and all(kept):
        for each in kept:
            assert each is not None
            undoing.actions.append(restoring(place, each, action.session, f"taking back {action.verb}"))
        if there and pack != action.pack:
            undoing.actions.append(_marking(place, action, pack, Why.TAKEN_BACK))
    elif action.verb is Verb.COMPACT:
        undoing.impossible.append(f"{action.session}: it is no longer there to be put back")
    elif not there:
        why = _why_no_pack(place, roots, pack, "`maint restore` brings it back")
        undoing.impossible.append(f"{action.session}: {why}")
    elif all(_lies_there(roots, member) for member in action.members):
        undoing.actions.append(_marking(place, action, pack, Why.TAKEN_BACK))
    else:
        undoing.actions.append(
            msgspec.structs.replace(
                _marking(place, action, pack, Why.TAKEN_BACK),
                members=action.members,
                bytes=action.bytes,
                path=action.path,
            )
        )


def _is_taken_back(undoing: Undoing, roots: RootFds, label: str, pack: str, action: Action) -> bool:
    """Whether what a run did about a session in a pack was taken back already."""
    if action.verb is Verb.PRUNE:
        return not undoing.is_marked(roots, label, pack, action.session, Why.EXPIRED)
    return undoing.is_marked(roots, label, pack, action.session, Why.TAKEN_BACK) and all(
        member.root in roots.labels and looking.stat_below(roots[member.root], member.path) is not None
        for member in action.members
    )


def _why_no_pack(place: Place, roots: RootFds, pack: str, else_: str) -> str:
    """Why nothing can be taken back from a pack that is not there, and what to do."""
    away = archives.unreachable(place, roots)
    if away:
        return f"its pack {pack} is not there, and {names.printable(away[0])} with packs is not either: bring that back first"
    return f"its pack {pack} was rewritten since: {else_}"


def _undo_filed(
    undoing: Undoing,
    roots: RootFds,
    place: Place,
    action: Action,
    run: str,
    waiting: dict[tuple[str, str, bool], Trashed],
) -> None:
    """Take back that a session was made a file by itself: first it gets its place, then that one goes to the trash."""
    from store import frames, single  # noqa: PLC0415  what it takes is imported when there is such a thing

    (member,) = action.members
    path = names.zst_path(member.path)
    older = waiting.get((member.root, path, True))
    if older is not None:
        undoing.actions.append(restoring(place, older, action.session, f"taking back {action.verb}"))
        return
    kept = waiting.get((member.root, member.path, False))
    if kept is not None:
        undoing.actions.append(restoring(place, kept, action.session, f"taking back {action.verb}"))
    try:
        ours = single.look(roots, member.root, path).run == run
    except (frames.Damaged, OSError):
        if kept is None:
            undoing.impossible.append(f"{action.session}: its file {path} cannot be read now")
        return
    if ours or (kept is None and not _lies_there(roots, member)):
        # One that was there before stays.
        back = _marking(place, action, path, Why.TAKEN_BACK)
        undoing.actions.append(
            msgspec.structs.replace(
                back,
                members=action.members,
                bytes=action.bytes,
                path=action.path,
                mark=back.mark if ours else None,
            )
        )


def _marking(place: Place, action: Action, pack: str, why: Why) -> Action:
    """The action that marks a session in its pack, or, for a pack that was rewritten, all in the new one."""
    return Action(
        verb=Verb.RESTORE,
        pass_="undo",
        store=place.name,
        session=pack if action.verb is Verb.COMPACT else action.session,
        path=pack,
        bytes=0,
        reason=f"taking back {action.verb}",
        members=(),
        after=action.session if action.verb is Verb.COMPACT else None,
        pack=pack,
        mark=why,
    )


def _lies_there(roots: RootFds, member: Member) -> bool:
    """Whether a file is in its place, as it was planned."""
    if member.root not in roots.labels:
        return False
    found = looking.stat_below(roots[member.root], member.path)
    return found is not None and opening.fingerprint(found).same_content(member.fingerprint)


def _is_another(roots: RootFds, member: Member) -> bool:
    """Whether something is in the place of a file that is not as it was left."""
    if member.root not in roots.labels:
        return True
    return looking.stat_below(roots[member.root], member.path) is not None and not _lies_there(roots, member)


def restoring(place: Place, kept: Trashed, session: str, reason: str, guard: Member | None = None) -> Action:
    """The action that brings one file back to its place."""
    return Action(
        verb=Verb.RESTORE,
        pass_="undo",
        store=place.name,
        session=session,
        path=f"{place.roots.get(kept.root, kept.root)}/{kept.path}",
        bytes=kept.fingerprint.size,
        reason=f"{reason}, from {kept.kept}",
        members=(Member(kept.home, kept.kept, kept.fingerprint),),
        guard=guard,
    )


def find_trashed(roots: RootFds, place: Place, session: str) -> dict[str, list[Trashed]]:
    """What waits in a store, by the ids of the sessions: those of this id, those that begin so, or else of this name.

    Ids stand in the names of files, as a rule; unless the very one that is asked for does, the journals of the runs
    tell of those that do not.
    """
    layout = layout_of(place.kind)
    waiting = list(trash.list_trash(roots))
    found: dict[str, list[Trashed]] = {}
    for kept in waiting:
        id_ = layout.session_of(kept.root, kept.path)
        if id_ is not None and id_.startswith(session):
            found.setdefault(id_, []).append(kept)
    if session in found:
        return found
    told = _told_of(roots, waiting, session)
    return {**found, **told} if session in told or not found else found


def _told_of(roots: RootFds, waiting: list[Trashed], session: str) -> dict[str, list[Trashed]]:
    """What had this id or this name when a run took it, by the journals of the runs."""
    ids: dict[tuple[str, str, str], str] = {}
    names_: dict[tuple[str, str, str], str] = {}
    for run in {kept.run for kept in waiting}:
        with suppress(FileNotFoundError):
            for line in journal.read(roots, run):
                if not isinstance(line, Action):
                    continue
                files = {(run, member.root, member.path): line.session for member in line.members}
                if line.session.startswith(session):
                    ids |= files
                elif line.old_name == session:
                    names_ |= files
    found: dict[str, list[Trashed]] = {}
    for kept in waiting:
        id_ = (ids or names_).get((kept.run, kept.root, kept.path))
        if id_ is not None:
            found.setdefault(id_, []).append(kept)
    return found
