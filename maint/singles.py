"""Sessions that are files by themselves, for whoever counts, judges or names them: each as if its file were a pack.

No index is kept of them: the folders of the store are listed, and the end of each such file is read.
"""

from collections.abc import Iterator

from store import single
from store.archived import Archived
from store.facts import Place
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


def copies(place: Place, roots: RootFds) -> dict[str, tuple[int, float]]:
    """The size and the time of change of each session that has such a file, by id, as it was then."""
    return {each.entry.id: (each.entry.size, each.entry.last_changed) for each in archived(place, roots)}
