"""What it takes to take a run back, or to bring back one session: pure lists of actions, made from journals.

What was removed is moved back from the trash, what was rewritten changes places with its backup; what has ended
for good is named.
"""

from contextlib import suppress
from dataclasses import dataclass, field

from maint import journal
from maint.actions import TO_TRASH, Action, Outcome, Result, Verb
from store import trash
from store.facts import Member, Place
from store.layout import known_layouts
from store.roots import RootFds
from store.trash import Trashed


@dataclass
class Undoing:
    """The actions that take a run back in one store, and what cannot be taken back, in words."""

    actions: list[Action] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)


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
    for line in journal.read(roots, run):
        if isinstance(line, Action):
            intents.append(line)
        elif isinstance(line, Outcome):
            results[line.n] = line
    for n, action in reversed(list(enumerate(intents))):
        outcome = results.get(n)
        if outcome is not None and (
            outcome.result in (Result.SKIPPED, Result.FAILED)
            or (outcome.verb is Verb.RESTORE and action.verb is not Verb.RESTORE)
        ):
            continue  # never done, or taken back already
        if action.verb in TO_TRASH or action.verb is Verb.RECOVER:
            _undo_one(undoing, place, action, outcome, waiting)
        elif outcome is not None and outcome.result is Result.DONE and action.verb is Verb.EXPIRE_TRASH:
            undoing.impossible.append(f"{action.session}: it has ended for good")
        elif outcome is not None and outcome.result is Result.DONE:
            undoing.impossible.append(f"{action.session}: it was brought back; sweep again to remove it")
    return undoing


def _undo_one(
    undoing: Undoing,
    place: Place,
    action: Action,
    outcome: Outcome | None,
    waiting: dict[tuple[str, str, bool], Trashed],
) -> None:
    backup = action.verb is Verb.RECOVER
    for member in action.members:
        kept = waiting.get((member.root, member.path, backup))
        if kept is None:
            if outcome is not None:
                gone = "its backup" if backup else "it"
                undoing.impossible.append(f"{action.session}: {gone} is no longer there to be put back")
            continue
        left = outcome.left if outcome is not None else None
        guard = Member(member.root, member.path, left) if backup and left is not None else None
        undoing.actions.append(restoring(place, kept, action.session, f"taking back {action.verb}", guard))


def restoring(place: Place, kept: Trashed, session: str, reason: str, guard: Member | None = None) -> Action:
    """The action that brings one file back to its place."""
    return Action(
        verb=Verb.RESTORE,
        pass_="undo",
        store=place.name,
        session=session,
        path=f"{place.roots[kept.root]}/{kept.path}",
        bytes=kept.fingerprint.size,
        reason=f"{reason}, from {kept.kept}",
        members=(Member(kept.home, kept.kept, kept.fingerprint),),
        guard=guard,
    )


def find_trashed(roots: RootFds, place: Place, session: str) -> list[Trashed]:
    """What waits in a store under this id, an id that begins so, or else this name."""
    layout = known_layouts()[place.kind]
    waiting = list(trash.list_trash(roots))
    found = [kept for kept in waiting if (layout.session_of(kept.root, kept.path) or "").startswith(session)]
    return found or _called(roots, waiting, session)


def _called(roots: RootFds, waiting: list[Trashed], name: str) -> list[Trashed]:
    """What had this name when a run took it, by the journals of the runs."""
    named: set[tuple[str, str, str]] = set()
    for run in {kept.run for kept in waiting}:
        with suppress(FileNotFoundError):
            for line in journal.read(roots, run):
                if isinstance(line, Action) and line.old_name == name:
                    named.update((run, member.root, member.path) for member in line.members)
    return [kept for kept in waiting if (kept.run, kept.root, kept.path) in named]
