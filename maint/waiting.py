"""What waits in the trash, among the backups or in a pack: found by name, and copied out.

Nothing here changes a store.
"""

from collections.abc import Iterator
from contextlib import ExitStack

from maint import archived, undoing
from maint.actions import PAYLOAD
from maint.finding import NotFound, find_trashed
from maint.owner import as_owner
from maint.reaching import open_roots
from store import copying
from store.archived import Archived
from store.facts import Place
from store.layout import layout_of
from store.names import printable
from store.trash import Trashed

Waiting = tuple[Place, str, list[Trashed] | Archived]
"""A store, the id of a session, and its files in the trash or its copy in a pack."""


def copy_out(session: str, stores: list[Place], folder: str) -> list[str]:
    """Copy a session from the trash, the backups or a pack to a folder, byte for byte; the paths it has there.

    Raises `NotFound`, `Ambiguous`, FileExistsError, OSError, and `store.frames.Damaged`.
    """
    copies: list[str] = []
    for place, _, found in chosen([session], stores):
        if isinstance(found, Archived):
            copies += archived.copy_out(place, found, folder)
            continue
        with ExitStack() as stack:
            with as_owner(place.path):
                roots = stack.enter_context(open_roots(place))
            with as_owner(folder):
                copies += copying.copy_session(roots, found, folder)
    return copies


def chosen(sessions: list[str], stores: list[Place]) -> list[Waiting]:
    """What waits under these names, each once, with the payloads that were archived by themselves, and with whatever
    they rest on that is in packs and not in the store.

    Raises `NotFound` and `Ambiguous`.
    """
    waiting: list[Waiting] = []
    for session in sessions:
        each = _waiting(session, stores)
        beside = (*_payload(each[0], each[1]), *_bases(each[0], each[2]))
        waiting += (found for found in (each, *beside) if found not in waiting)
    return waiting


def _bases(place: Place, found: list[Trashed] | Archived) -> Iterator[Waiting]:
    """What a session rests on, and that in its turn, as far as it is in packs and has to come back."""
    if not layout_of(place.kind).has_lineage:
        return
    from maint import lineage  # noqa: PLC0415  most kinds do without it

    with as_owner(place.path), open_roots(place) as roots:
        base = (
            found.entry.account.rests_on
            if isinstance(found, Archived)
            else lineage.base_in_trash(place, roots, found)
        )
    for packed in archived.bases(place, [base] if base is not None else []):
        yield place, packed.entry.id, packed


def _payload(place: Place, session: str) -> Iterator[Waiting]:
    """The payload of a session, if it is in a pack."""
    if layout_of(place.kind).has_payload:
        found = archived.newest(session + PAYLOAD, place)
        if found is not None:
            yield place, session + PAYLOAD, found


def fit(place: Place, kept: list[Trashed]) -> list[Trashed]:
    """Those of a session's files that are to be asked for."""
    with as_owner(place.path), open_roots(place) as roots:
        return undoing.all_or_refused(roots, kept)


def _waiting(session: str, stores: list[Place]) -> Waiting:
    """What waits under a name: in the trash or in a pack, whatever is later, and a backup only where nothing else does."""
    kept: tuple[Place, str, list[Trashed]] | None
    try:
        kept = find_trashed(session, stores)
    except NotFound:
        kept = None
    packed = archived.find(session, stores)
    if packed is None and kept is None:
        where = ", ".join(place.name for place in stores) or "any store: there is none"
        text = f"no session {printable(session)!r} waits in the trash or in a pack of {where}"
        raise archived.not_found(text, stores)
    if packed is None:
        assert kept is not None
        return kept
    if kept is not None:
        # Its payload is called as the session is, and more, and no other copy of it.
        is_payload = packed[1].entry.id == kept[1] + PAYLOAD
        if is_payload or _is_later(kept[2], packed[1]):
            return kept
    return packed[0], packed[1].entry.id, packed[1]


def _is_later(kept: list[Trashed], packed: Archived) -> bool:
    """Whether what waits in the trash is the later state of a session, or as late, and the nearer one."""
    changed = max(each.fingerprint.mtime_ns for each in kept) / 1e9
    return not kept[0].backup and changed >= packed.entry.last_changed
