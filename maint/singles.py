"""Sessions that are files by themselves, for whoever counts, judges or names them: each as if its file were a pack.

No index is kept of them: the folders of the store are listed, and the end of each such file is read.
"""

import os
from collections.abc import Iterator

import msgspec

from store import names, single
from store.archived import Archived
from store.facts import Place
from store.frames import Damaged
from store.layout import layout_of
from store.roots import RootFds
from store.single import Filed, Unread


def singles(place: Place, roots: RootFds) -> Iterator[Filed | Unread]:
    """All files of a store that by their names are sessions archived so, in the order of their paths."""
    yield from single.look_at_all(roots, layout_of(place.kind).session_of)


def as_archived(each: Filed) -> Archived:
    """The session as those in packs are described; its pack is the path of the file below the first root."""
    return Archived(each.file.root, each.file.path, each.note.session, made_by=each.run)


def archived(place: Place, roots: RootFds) -> list[Archived]:
    """All such sessions of a store, in the order of their ids."""
    found = [as_archived(each) for each in singles(place, roots) if isinstance(each, Filed)]
    return sorted(found, key=lambda each: each.entry.id)


def find(place: Place, roots: RootFds, name: str) -> list[Archived]:
    """Those of this id, or else of an id that begins so, or else of this name."""
    session_of = layout_of(place.kind).session_of

    def begins(root: str, path: str) -> bool:
        return (session_of(root, path) or "").startswith(name)

    # The ids stand in the names: few files are read, unless it was a name that was given.
    found = [as_archived(each) for each in single.look_at_all(roots, begins) if isinstance(each, Filed)]
    if not found:
        return [each for each in archived(place, roots) if each.entry.account.name == name]
    return [each for each in found if each.entry.id == name] or found


class Copy(msgspec.Struct, frozen=True, gc=False):
    """What such a file says of its session: as little as can be, for there may be very many."""

    session: str
    size: int
    last_changed: float
    started_at: float | None


def beside(place: Place, roots: RootFds) -> dict[str, Copy | str]:
    """What has the name that a session's file would get, by the path of the session; in words, if it is no such file.

    Only sessions of the first root's own folder are archived so.
    """
    folder = roots[roots.first]
    there = set(os.listdir(folder))
    is_session = layout_of(place.kind).session_of
    found: dict[str, Copy | str] = {}
    for name in there:
        path = names.parse_zst_path(name)
        if path not in there or not is_session(roots.first, path):
            continue
        try:
            kept = single.look(roots, roots.first, name).note.session
            found[path] = Copy(kept.id, kept.size, kept.last_changed, kept.account.started_at)
        except Damaged as reason:
            found[path] = single.is_foreign(name, reason)
        except FileNotFoundError:
            continue
        except OSError as error:
            found[path] = single.cannot_be_looked_at(name, error)
    return found
