"""Rewriting packs without what has expired in them, in the same order of steps as making them.

The new pack is written, made durable, read back, compared and sealed before the old one goes, and the old one goes
to the trash, with its marks, where it waits out its grace period like everything else.
The new one says which it replaces, so that a killed run can be brought to its end.
"""

from collections.abc import Iterator, Sequence

import msgspec

from maint.actions import Action, Outcome, Result, outcome_of
from maint.desk import Desk
from maint.filling import Draft
from maint.journal import SealedLine
from maint.loading import Done, Job, Loader
from maint.marking import as_marked_now, set_marks, unmarked
from maint.planned import PlannedStore
from maint.reaching import describe
from maint.sealing import seal
from maint.workers import Crew
from store import change, looking, marks, names, opening, packs, repacking
from store.change import Skip
from store.durable import Poisoned
from store.frames import Damaged
from store.marks import Why
from store.packs import OpenPack, PackWriter

_decode = msgspec.json.Decoder(Action).decode


def compacted(desk: Desk, planned: PlannedStore, wanted: Sequence[int]) -> Iterator[list[Outcome]]:
    """Rewrite the packs of some actions, by their places in the plan."""
    loader = Loader(desk.place, desk.run, desk.roots.stats)
    crew: Crew[Job, Done] = Crew(desk.jobs, loader, desk.stop)
    try:
        with crew:
            for n in wanted:
                if desk.stop():
                    return
                action = _decode(planned.line(n))
                yield [_compact(desk, crew, n, action)]
    finally:
        loader.close()


def _compact(desk: Desk, crew: Crew[Job, Done], n: int, action: Action) -> Outcome:
    try:
        name = action.pack or ""
        label = _require_there(desk, action)
        with packs.open_pack(desk.roots[label], name) as pack:
            dead = frozenset(marks.read(desk.roots[label], name))
            if not dead:
                return outcome_of(n, action, Result.SKIPPED, "nothing in it is marked any more")
            new = _rewrite(desk, crew, label, pack, dead)
        if new is None and not _all_dead(desk, label, name):
            return outcome_of(n, action, Result.SKIPPED, "it was stopped")
        try:
            if new is not None:
                desk.sealed(new)
            change.move_to_trash(desk.roots, as_marked_now(desk.roots, action.members), desk.run)
        except (Skip, OSError):
            if new is not None:  # then the old one goes on counting, and the new one must not
                _withdraw(desk, label, new.pack)
            raise
    except Skip as skip:
        return outcome_of(n, action, Result.SKIPPED, str(skip))
    except Damaged as reason:
        return outcome_of(n, action, Result.FAILED, f"it is damaged: {reason}; see `maint verify`")
    except Poisoned as error:
        return outcome_of(n, action, Result.FAILED, f"the new pack could not be kept ({error.strerror})")
    except OSError as error:
        return outcome_of(n, action, Result.FAILED, describe(error))
    return outcome_of(
        n,
        action,
        Result.DONE,
        f"it is {new.pack} now" if new else "nothing was left in it",
        pack=new.pack if new else name,
    )


def _require_there(desk: Desk, action: Action) -> str:
    """The root of the pack, which must be as it was planned."""
    planned = action.members[0]
    if planned.root not in desk.roots.labels:
        raise Skip("its folder is not there")
    found = looking.stat_at(desk.roots[planned.root], planned.path)
    if found is None:
        raise Skip("is gone")
    if not opening.fingerprint(found).same_condition(planned.fingerprint):
        raise Skip("changed since it was planned")
    return planned.root


def _withdraw(desk: Desk, label: str, name: str) -> None:
    """Have nothing of a new pack count, as far as that can be written down: what counts twice is no loss."""
    try:
        set_marks(desk, name, [(name, Why.SUPERSEDED)])
    except (OSError, Damaged) as error:
        desk.unwritten(unmarked(desk.place.name, desk.place.roots[label], name, error))


def _all_dead(desk: Desk, label: str, name: str) -> bool:
    dead = marks.read(desk.roots[label], name)
    with packs.open_pack(desk.roots[label], name) as pack:
        return all(entry.id in dead for entry in pack.entries())


def _rewrite(
    desk: Desk, crew: Crew[Job, Done], label: str, pack: OpenPack, dead: frozenset[str]
) -> SealedLine | None:
    """What the journal is to say of the new pack, which is sealed; ``None`` if nothing is left to be in one, or somebody said stop."""
    writer = PackWriter(desk.roots[label], names.pack_name(desk.run, next(desk.numbers)))
    try:
        draft = Draft(writer)
        for raw, lines in repacking.repacked(pack, pack.entries(), dead, pack.head.level):
            first = writer.append(raw)
            for line in lines:
                draft.add_moved(line, first)
        if not draft.lines:
            return None
        return seal(desk, crew, label, draft, pack.head.level, pack.head.pack)
    finally:
        writer.drop()
