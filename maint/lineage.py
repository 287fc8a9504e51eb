"""Who rests on whom in a store whose sessions may rest on others: in packs, in the trash, and as it is at the moment.

A session can be gone on from at any time, and nothing about its file tells. So whatever would take a session away, end
it, or give it older and perhaps shorter bytes, is asked about once more right before a plan is carried out: a minute
after a sweep has made it, or days after it was saved.
"""

import os
from collections.abc import Iterator

from maint.actions import Action, Verb, is_expiry
from maint.kin import UNSURE, Resting, plain, takes_away
from maint.planned import PlannedStore
from store import archives, names, opening, packs, trash
from store.catalogue import Catalogue
from store.facts import Place, Problem
from store.frames import Damaged
from store.layout import Layout, Moment, layout_of
from store.roots import RootFds
from store.trash import Trashed


def refused(place: Place, roots: RootFds, planned: PlannedStore, now: float) -> dict[int, str]:
    """The places of the actions that must not be done now, and why; children of those whose sessions stay among them."""
    if not any(map(_is_asked, planned.actions())):
        return {}
    resting = resting_now(place, roots, now)
    found: dict[int, str] = {}
    staying: set[str] = set()
    for n, action in enumerate(planned.actions()):
        why = _why_not(action, resting, place, roots) if _is_asked(action) else None
        if why is not None:
            found[n] = why
            staying.add(action.session)
    for n, action in enumerate(planned.actions()) if staying else ():
        if action.after in staying and n not in found:
            found[n] = f"session {action.after} was not seen to"
    return found


def refusal(place: Place, roots: RootFds, action: Action, now: float) -> str | None:
    """Why one action must not be done now, as a clause; ``None`` if it may be."""
    if not layout_of(place.kind).has_lineage or not _is_asked(action):
        return None
    return _why_not(action, resting_now(place, roots, now), place, roots)


def _why_not(action: Action, resting: Resting, place: Place, roots: RootFds) -> str | None:
    why = resting.why_held(plain(action.session), action.verb)
    ends_a_copy = action.verb is Verb.EXPIRE_TRASH and why not in (None, UNSURE)
    return (
        None if ends_a_copy and archives.labels(roots) and _is_packed(place, roots, action.session) else why
    )


def _is_packed(place: Place, roots: RootFds, session: str) -> bool:
    with Catalogue.open(place, roots) as catalogue:
        return catalogue.has(session)


def _is_asked(action: Action) -> bool:
    """Whether an action would take a session away, end it, or give it older and perhaps shorter bytes."""
    if action.verb is Verb.EXPIRE_TRASH:
        return names.parse_trash_path(action.members[0].path) is not None
    if action.verb is Verb.RESTORE:
        return bool(action.members) and names.parse_backup_path(action.members[0].path) is not None
    return takes_away(action) or is_expiry(action)


def resting_now(place: Place, roots: RootFds, now: float) -> Resting:
    """All bases of a store; the whole of it is read."""
    layout = layout_of(place.kind)
    listing = layout.discover(place, Moment(now, 0.0))
    resting = Resting(dict(listing.bases))
    for problem in listing.problems:
        resting.take(problem)
    for found in layout.read(place, listing.context, listing.entries):
        resting.take(found)
    add_kept(resting, place, roots)
    return resting


def add_kept(resting: Resting, place: Place, roots: RootFds) -> None:
    """Add what sessions in packs and in the trash rest on, those too that count no more: an undo can bring them back."""
    layout = layout_of(place.kind)
    if archives.unreachable(place, roots):
        resting.blind_to_kept = True
    if archives.labels(roots):
        with Catalogue.open(place, roots) as catalogue:
            resting.kept |= catalogue.bases()
            resting.blind_to_kept = resting.blind_to_kept or bool(catalogue.damaged())
    try:
        for kept in trash.list_trash(roots):
            resting.blind_to_kept = not _add(resting, layout, roots, kept) or resting.blind_to_kept
    except OSError:  # a folder of it cannot be read
        resting.blind_to_kept = True


def _add(resting: Resting, layout: Layout, roots: RootFds, kept: Trashed) -> bool:
    """Add what something in the trash rests on; ``False`` if that cannot be told."""
    try:
        resting.kept.update(_bases_of(layout, roots, kept))
    except FileNotFoundError:
        return True  # its time has ended
    except (OSError, ValueError, Damaged):
        return False
    return True


def _bases_of(layout: Layout, roots: RootFds, kept: Trashed) -> Iterator[str]:
    """What waits in the trash rests on: a session, or those of a pack."""
    if kept.kind != "file" or kept.backup:
        return
    if names.is_archive_root(kept.root):
        if names.parse_pack_name(kept.path) is not None:
            yield from _bases_in_pack(roots, kept)
    elif layout.session_of(kept.root, kept.path) is not None:
        base = _base_of(layout, roots, kept)
        if base is not None:
            yield base


def _bases_in_pack(roots: RootFds, kept: Trashed) -> Iterator[str]:
    with (
        opening.parent_of(roots[kept.home], kept.kept) as (folder, name),
        packs.open_pack(folder, name) as pack,
    ):
        for entry in pack.entries():
            if entry.account.rests_on is not None:
                yield entry.account.rests_on


def _base_of(layout: Layout, roots: RootFds, kept: Trashed) -> str | None:
    """What a session in the trash rests on; ValueError and OSError where that cannot be told."""
    fd = opening.open_below(roots[kept.home], kept.kept)
    try:
        return layout.rests_on(fd)
    finally:
        os.close(fd)


def base_in_trash(place: Place, roots: RootFds, files: list[Trashed]) -> str | None:
    """What a session rests on that waits in the trash, as far as that can be told."""
    layout = layout_of(place.kind)
    for kept in files:
        try:
            return _base_of(layout, roots, kept)
        except (OSError, ValueError):
            continue
    return None


def bases_in_store(place: Place, now: float) -> dict[str, str | None]:
    """The plain ids of all sessions of a store, and what each rests on."""
    layout = layout_of(place.kind)
    listing = layout.discover(place, Moment(now, 0.0))
    read = layout.read(place, listing.context, listing.entries)
    return {plain(each.id): each.rests_on for each in read if not isinstance(each, Problem)}
