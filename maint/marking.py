"""Marking sessions of packs: that they have expired, or that they count again."""

from collections.abc import Iterator, Sequence

import msgspec

from maint.actions import Action, Outcome, Result, outcome_of
from maint.desk import Desk
from maint.planned import PlannedStore
from maint.reaching import describe
from store import archives, looking, marks, names, opening, packs
from store.facts import Member, Problem
from store.frames import Damaged
from store.marks import Mark, Why
from store.roots import RootFds

_decode = msgspec.json.Decoder(Action).decode


def marked(
    desk: Desk, planned: PlannedStore, wanted: Sequence[int], undone: set[str]
) -> Iterator[list[Outcome]]:
    """Set the marks that some actions ask for, by their places in the plan.

    Sessions in ``undone`` are passed over: what should have come back first did not.
    """
    by_pack: dict[str, list[tuple[int, Action]]] = {}
    for n in wanted:
        action = _decode(planned.line(n))
        first = action.after or action.session
        if first in undone:
            yield [outcome_of(n, action, Result.SKIPPED, f"{first} was not seen to")]
            continue
        by_pack.setdefault(action.pack or "", []).append((n, action))
    for pack, actions in by_pack.items():
        yield _mark(desk, pack, actions)


def as_marked_now(roots: RootFds, members: tuple[Member, ...]) -> tuple[Member, ...]:
    """A pack and its marks, of which some may have been added since that was planned."""
    pack, *rest = members
    found: list[Member] = [pack]
    for each in rest:
        now = looking.stat_at(roots[each.root], each.path)
        found.append(each if now is None else Member(each.root, each.path, opening.fingerprint(now)))
    return tuple(found)


def set_marks(desk: Desk, pack: str, sessions: Sequence[tuple[str, Why]]) -> bool:
    """Mark sessions of a pack, or under its own name all of them, durably; ``False`` if there is no such pack."""
    label = archives.home_of(desk.roots, pack)
    if label is None:
        return False
    told = [
        Mark(session=each, why=why, run=desk.run, at=desk.now)
        for session, why in sessions
        for each in (_all_in(desk.roots[label], pack) if session == pack else (session,))
    ]
    marks.add(desk.roots[label], pack, told)
    return True


def unmarked(store: str, folder: str, pack: str, error: OSError | Damaged) -> Problem:
    """What is said where copies in a pack that count no more could not be marked: one too many is no loss."""
    why = describe(error) if isinstance(error, OSError) else f"{pack} is damaged: {error}"
    what = "see that it can be written" if isinstance(error, OSError) else "see `maint verify`"
    text = (
        f"should say which copies in its pack count no more, but could not be written ({why}); "
        f"no session is lost, and those copies go on counting until they are superseded once more or expire; {what}"
    )
    return Problem(store, names.printable(f"{folder}/{names.marks_name(pack)}"), text, grave=True)


def mark_brought_back(roots: RootFds, action: Action, run: str) -> None:
    """Have the copy of a session count no more that a run, which was killed, brought back for good.

    OSError if that cannot be written down.
    """
    label = archives.home_of(roots, action.pack or "") if names.parse_pack_name(action.pack or "") else None
    if label is None or action.mark is None:
        return
    mark = Mark(session=action.session, why=Why(action.mark), run=run, at=names.run_time(run))
    marks.add(roots[label], action.pack or "", [mark])


def _all_in(folder: int, pack: str) -> list[str]:
    with packs.open_pack(folder, pack) as opened:
        return [entry.id for entry in opened.entries()]


def _mark(desk: Desk, pack: str, actions: list[tuple[int, Action]]) -> list[Outcome]:
    try:
        there = set_marks(desk, pack, [(action.session, Why(action.mark or "")) for _, action in actions])
    except ValueError:
        return [outcome_of(n, action, Result.FAILED, "no such mark") for n, action in actions]
    except Damaged as reason:
        return [
            outcome_of(n, action, Result.FAILED, f"its pack is damaged: {reason}") for n, action in actions
        ]
    except OSError as error:
        return [outcome_of(n, action, Result.FAILED, describe(error)) for n, action in actions]
    if not there:
        return [
            outcome_of(n, action, Result.SKIPPED, f"there is no pack {pack} now") for n, action in actions
        ]
    return [outcome_of(n, action, Result.DONE) for n, action in actions]
